# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's arguments for sampling a take: from the settings, or from an existing take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...thunder_core import records
from ...thunder_core.direction import AXES, Brief, check, DIRECTION_NAMES, MOODS, read_marks
from ...thunder_core.errors import BadRequest
from ...thunder_core.face.mapping import Sums
from ...thunder_core.request import (
    DEFAULT,
    DIRECTION,
    FROM_MOTION,
    FROM_PICTURE,
    MOOD,
    NORMAL,
    QUALITIES,
    Request,
    SYSTEMS,
)
from ...thunder_core.types import IDLE, LISTENS, SPEAKS


@dataclass(frozen=True)
class Sampling:
    """Arguments of the engine's “generate” (docs/reference/protocol.md) that a take is sampled
    with, except its seed.

    steps: of the whole diffusion model, instead of the quality's; 0: the quality's.
    asked: requested directions; None: any style.  listening: the face listens to the voice instead
    of speaking it.
    system: which of SYSTEMS performs.  style_from: name of the take's action whose style
    DiffPoseTalk takes, "" for none.
    picture: name of the image whose mood Media2Face takes, "" for none.  moods: the strength of
    every mood but neutral that was read off it, empty before that; they make a take again where the
    picture has changed.  sums: of the head that plays the take (`Rig.sums`).
    turns: the parts of the sound that the face speaks, seconds from its start; it listens to the
    others. Empty: it does the same in all.
    """

    quality: str = NORMAL
    guidance: float = 1.0
    speech_guidance: float = 0.0
    asked: Brief | None = None
    listening: bool = False
    steps: int = 0
    system: str = DEFAULT
    style_from: str = ""
    picture: str = ""
    moods: tuple[float, ...] = ()
    sums: Sums | None = None
    turns: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, settings) -> Sampling:
        """From settings with these names: a scene's, or a command's options."""
        system = _system(getattr(settings, "system", None))
        style_from = _name(settings, "style_action") if system == FROM_MOTION else ""
        picture = _name(settings, "picture_image") if system == FROM_PICTURE else ""
        return cls(
            settings.quality.lower(), settings.guidance, settings.speech_guidance,
            steps=getattr(settings, "steps", None) or 0,
            system=system, style_from=style_from, picture=picture,
        )  # fmt: skip

    @classmethod
    def of_take(cls, provenance: dict, settings) -> Sampling:
        """As a take was sampled, so that its seed makes it again; by the settings where the take
        does not store it."""
        if str(provenance.get("quality")) not in QUALITIES and "steps" not in provenance:
            return cls.of(settings)
        try:
            values = {
                name: kind(provenance[name])
                for name, kind in (
                    ("quality", str),
                    ("steps", int),
                    ("guidance", float),
                    ("speech_guidance", float),
                )
                if name in provenance
            }
        except records.UNREADABLE:
            return cls.of(settings)
        role, system = role_of(provenance), _system(provenance.get("system"))
        return cls(
            **values, asked=_brief_of(provenance), listening=role == LISTENS, system=system,
            style_from=str(provenance.get("style_from", "")),
            picture=str(provenance.get("picture", "")), moods=_moods_of(provenance),
            turns=turns_of(provenance),
        )  # fmt: skip

    def matches(self, provenance: Mapping) -> bool:
        """Whether a speaking or listening take with this provenance was sampled so: with these
        arguments, in this direction."""
        wanted = {
            "system": self.system,
            "style_from": self.style_from,
            "picture": self.picture,
        } | self.arguments
        defaults = {"system": DEFAULT, "style_from": "", "picture": ""}
        if any(provenance.get(name, defaults.get(name)) != value for name, value in wanted.items()):
            return False
        if (role_of(provenance) == LISTENS) != self.listening or not np.array_equal(
            turns_of(provenance), self.turns
        ):
            return False
        before, now = _brief_of(provenance), self.asked
        if before is None or now is None:
            return before is now
        alike = np.array_equal(before.vectors, now.vectors) and np.array_equal(
            before.as_heard, now.as_heard
        )
        return before.spread == now.spread and before.text == now.text and alike

    @property
    def arguments(self) -> dict:
        """The arguments that are no arrays."""
        effort = {"steps": self.steps} if self.steps else {"quality": self.quality}
        system = {} if self.system == DEFAULT else {"system": self.system}
        return (
            effort | {"guidance": self.guidance, "speech_guidance": self.speech_guidance} | system
        )

    @property
    def effort(self) -> str:
        """The quality, or the number of steps."""
        return str(self.steps or self.quality)

    def with_effort(self, effort: str) -> Sampling:
        """The same sampling at another `effort`: a quality, or a number of steps."""
        return (
            replace(self, steps=int(effort))
            if effort.isdecimal()
            else replace(self, quality=effort, steps=0)
        )

    def supported_part(self, asked: Brief) -> Brief | None:
        """The part of a direction that the system performs, None for nothing."""
        follows, vectors = SYSTEMS[self.system].follows, asked.vectors
        if follows == MOOD:
            moods = np.where(np.arange(vectors.shape[1]) < len(AXES), 0, vectors).astype(
                vectors.dtype
            )
            return replace(asked, vectors=moods, as_heard=np.zeros(1, np.float32))
        return asked if follows == DIRECTION else None

    def request(
        self,
        takes: int,
        seed: int,
        reference: np.ndarray | None = None,
        picture: np.ndarray | None = None,
    ) -> Request:
        """A request for takes. reference, picture: what `style_from` and `picture` name. Raises
        BadRequest."""
        return Request(
            takes, seed, self.quality, self.steps, self.guidance, self.speech_guidance, self.asked,
            listening=self.listening,
            system=self.system, reference=reference, picture=picture, sums=self.sums,
        )  # fmt: skip

    def provenance(self, made: dict) -> dict:
        """The provenance stored with a take; made: the engine's provenance of the take.
        `of_take` reads it."""
        arguments = self.arguments | ({"role": role} if (role := role_of(made)) != SPEAKS else {})
        arguments |= {"unclear": True} if made.get("unclear") else {}
        arguments |= {"style_from": self.style_from} if self.style_from else {}
        arguments |= (
            {"picture": self.picture, "picture_moods": [float(x) for x in made["picture"]]}
            if "picture" in made
            else {}
        )
        if self.asked is None:
            return arguments
        reading = {
            name: made[name]
            for name in ("spread", "as_asked", "reading", "shown", "voice_sounds", "requested")
            if name in made
        }
        around = (
            {}
            if self.asked.original is None
            else {"original": self.asked.original.ravel().tolist()}
        )
        if self.asked.like:
            around["like"] = [float(value) for pair in self.asked.like for value in pair]
        if self.asked.as_heard.any():
            around["as_heard"] = self.asked.as_heard.tolist()
        if self.asked.marks:
            around["marks"] = json.dumps([mark.row() for mark in self.asked.marks])
        if self.asked.text:
            around["text"] = self.asked.text
        return arguments | {"direction": self.asked.vectors.ravel().tolist()} | around | reading


def _system(name) -> str:
    """A name of SYSTEMS; the default for an unknown one, as in a file of a later version."""
    return name if isinstance(name, str) and name in SYSTEMS else DEFAULT


def _name(settings, pointer: str) -> str:
    """The name of the data that a setting points to, "" for none."""
    data = getattr(settings, pointer, None)
    return "" if data is None else data.name


def _moods_of(provenance: dict) -> tuple[float, ...]:
    """The moods that were read off a take's picture, empty if none are stored or they are not
    valid."""
    try:
        moods = tuple(float(x) for x in provenance["picture_moods"])
    except records.UNREADABLE:
        return ()
    return moods if len(moods) == len(MOODS) - 1 and all(0 <= x <= 1 for x in moods) else ()


def turns_of(provenance: Mapping) -> tuple[tuple[float, float], ...]:
    """The parts of its sound that a take speaks, empty if all, or none that are valid are
    stored."""
    try:
        stored = [float(seconds) for seconds in provenance["turns"]]
    except records.UNREADABLE:
        return ()
    return tuple(zip(stored[::2], stored[1::2]))


def role_of(provenance: Mapping) -> str:
    """Role of a take's face: SPEAKS, LISTENS or IDLE."""
    role = provenance.get("role")
    return role if role in (LISTENS, IDLE) else SPEAKS


def _brief_of(provenance: dict) -> Brief | None:
    """The direction that a take was sampled in, None if none is stored or it is not valid."""
    try:
        vectors, spread = _vectors(provenance["direction"]), float(provenance["spread"])
        original = _vectors(provenance["original"]) if "original" in provenance else None
        like = np.array(provenance.get("like", []), float).reshape(-1, 2)
        heard = np.array(provenance.get("as_heard", [0.0]), np.float32).reshape(-1)
        if not (
            0 <= spread <= 1
            and np.isfinite(like).all()
            and (like >= 0).all()
            and (like[:, 1] <= 1).all()
        ):
            return None
        if not (len(heard) and (heard >= 0).all() and (heard <= 1).all()):
            return None
        around = tuple((int(seed), float(by)) for seed, by in like)
        marks = read_marks(json.loads(provenance.get("marks", "[]")))
        text = str(provenance.get("text", ""))
        return Brief(
            vectors, spread, bool(provenance["as_asked"]), original, around, heard, marks, text
        )
    except (*records.UNREADABLE, BadRequest):
        return None


def _vectors(stored) -> np.ndarray:
    """A direction [1 or T, DIRECTION_NAMES] as it is stored with a take. Raises ValueError,
    TypeError, BadRequest."""
    vectors = np.array(stored, np.float32).reshape(-1, len(DIRECTION_NAMES))
    check(vectors)
    return vectors
