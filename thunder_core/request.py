# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request for takes says: one type for panel, bakes, benches and the Python API; numpy
only."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .direction import Brief, check
from .errors import BadRequest
from .face.mapping import Sums
from .types import Keep, Motion, pack

ENGINE = "thunder"  # in the provenance of takes
DRAFT, NORMAL, FINAL = "draft", "normal", "final"
QUALITIES = (DRAFT, NORMAL, FINAL)
# takes per request, a memory bound; the panel and bakes allow 64 (batch/settings.py)
MOST_TAKES = 256
PutArray = Callable[[np.ndarray], str]
LAST_SEED = 2**63 - 1
MOST_STEPS = 1000
MOST_GUIDANCE, MOST_SPEECH_GUIDANCE = 20.0, 5.0  # far beyond what is of use
TAKES = 8  # the usual number of takes, and the number of seeds between those of two voices
# number of voices to draw from; times TAKES this is the number of readings (`engine.performance`)
_VOICES = 8192
_LONGEST_VALUE = 40  # letters of a wrong value that are quoted


@dataclass(frozen=True, eq=False)
class Performed:
    """A performance that moves to another recording.

    sound: that it is of: as the engine reads it (`types.Speech`), or as the protocol names it, a
    path or [path, channel].  direction: float32 [1 or T, DIRECTION_NAMES], in which it was played
    and mouths are sampled; None: the request's.  choice: of its words (`planning.choice`), {} if
    not known.  keys: seconds of an animator's own keys, which get a place in the other recording.
    """

    motion: Motion
    sound: Any
    direction: np.ndarray | None = None
    choice: dict = field(default_factory=dict)
    keys: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Request:
    """Takes of a sound: take i has the seed `seed` + i. Raises BadRequest for values out of range.

    quality: one of QUALITIES.  steps: of the whole diffusion model, instead of the quality's; 0:
    the quality's.
    guidance: s_a of classifier-free guidance.  speech_guidance: strength of the guidance by
    mesh-to-speech, 0 … 2.
    direction: None: the neutral one, as the panel sends it.
    keep: the fixed part, into which the sampled rest blends.  listening: the sound is another
    person's voice, to which the face listens.  sums: `mapping.Driver.sums` of the face that will
    play the takes: scores and words are of what it shows (`mapping.visible_motion`), while the
    takes have all channels; None: it shows everything.  performed: on another recording, from which
    head, brows, lids and eyes move to this one.
    """

    takes: int = TAKES
    seed: int = 0
    quality: str = NORMAL
    steps: int = 0
    guidance: float = 1.0
    speech_guidance: float = 0.0
    direction: Brief | None = None
    keep: Keep | None = None
    listening: bool = False
    sums: Sums | None = None
    performed: "Performed | None" = None

    def __post_init__(self):
        check_whole("takes", self.takes, 1, MOST_TAKES)
        check_whole("seed", self.seed, 0, LAST_SEED)
        if not isinstance(self.quality, str) or self.quality not in QUALITIES:
            raise BadRequest(
                f"“quality” is {_quote(self.quality)} but must be one of {', '.join(QUALITIES)}"
            )
        check_whole("steps", self.steps, 0, MOST_STEPS)
        check_number("guidance", self.guidance, -MOST_GUIDANCE, MOST_GUIDANCE)
        check_number("speech_guidance", self.speech_guidance, 0.0, MOST_SPEECH_GUIDANCE)
        if not isinstance(self.listening, bool):
            raise BadRequest(f"“listening” is {_quote(self.listening)} but must be true or false")
        if self.direction is not None:
            check(self.direction.vectors)

    def arguments(self, put_array: PutArray) -> dict:
        """As the protocol's “generate” takes them, besides the sound; the inverse of
        `engine.verbs.read_request`.

        put_array: writes an array and returns its path.
        """
        values: dict = {
            "takes": self.takes,
            "seed": self.seed,
            "guidance": self.guidance,
            "speech_guidance": self.speech_guidance,
        }
        values |= {"steps": self.steps} if self.steps else {"quality": self.quality}
        values |= {"listening": True} if self.listening else {}
        values |= {} if self.sums is None else {"sums": self.sums}
        values |= {} if self.direction is None else direction_arguments(self.direction, put_array)
        if self.keep is not None:
            values |= {
                "keep_motion": put_array(pack(self.keep.motion)),
                "keep_mask": put_array(self.keep.mask),
            }
        if self.performed is not None:
            values |= {
                "performed_motion": put_array(pack(self.performed.motion)),
                "performed_sound": self.performed.sound,
                "performed_choice": self.performed.choice,
                "performed_keys": list(self.performed.keys),
            }
            if self.performed.direction is not None:
                values["performed_direction"] = put_array(self.performed.direction)
        return values


def seed_of_voice(name: str, character: int = 0) -> int:
    """The first seed of the takes of a voice where none was chosen, so that not all characters are
    played by the same people.

    name: of its sound file, with or without the file's ending. The seed stays when a voice is cut,
    trimmed, moved or recorded again, and is the same on every machine.  character: counts the
    characters who speak in the same sound; each has another seed.
    """
    stem, ending = os.path.splitext(name)
    # the other part of a strip that was cut: Blender numbers strips of one name
    if ending[1:].isdecimal():
        stem = os.path.splitext(stem)[0]
    if character:
        stem += f" {character}"
    return TAKES * (zlib.crc32(stem.casefold().encode("utf-8", "surrogatepass")) % _VOICES)


def direction_arguments(direction: Brief, put_array: PutArray) -> dict:
    """A direction as the protocol's “generate” and “score” take it."""
    values = {
        "direction": put_array(direction.vectors),
        "spread": direction.spread,
        "as_asked": direction.as_asked,
    }
    if direction.original is not None:
        values["original"] = put_array(direction.original)
    if direction.as_heard.any():
        values["as_heard"] = put_array(direction.as_heard)
    if direction.like:
        values["like"] = [list(pair) for pair in direction.like]
    if direction.marks:
        values["marks"] = [mark.row() for mark in direction.marks]
    if direction.text:
        values["text"] = direction.text
    return values


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise BadRequest unless a value is a whole number from `low` to `high`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, np.integer))
        or not low <= value <= high
    ):
        raise BadRequest(
            f"“{name}” is {_quote(value)} but must be a whole number from {low} to {high}"
        )


def check_number(name: str, value: object, low: float, high: float) -> float:
    """The value as float, if it is a number from `low` to `high`. Raises BadRequest."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(
        value, bool
    )
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise BadRequest(
            f"“{name}” is {_quote(value)} but must be a number from {low:g} to {high:g}"
        )
    return float(value)  # type: ignore[arg-type]


def _quote(value: object) -> str:
    return repr(value)[:_LONGEST_VALUE]
