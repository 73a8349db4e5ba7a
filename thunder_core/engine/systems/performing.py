# SPDX-License-Identifier: GPL-3.0-or-later
"""Any system as an engine: from a voice's features, seeds and a direction to finished motions on the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from ...direction import Asked, AXES, Direction
from ...errors import BadRequest
from ...progress import Progress
from ...request import DRAFT, FINAL, NORMAL, Request
from ...systems import available, FROM_MOTION, FROM_PICTURE, MOOD, NOTHING, SYSTEMS
from ...types import Motion
from .thunder import Thunder, VoiceFeatures

STEPS_OF = {DRAFT: 8, NORMAL: 20, FINAL: 20}  # diffusion steps at each quality; these systems are not distilled


class Performer(Protocol):
    """A system that performs.  fingerprint: of its weights, "" if it has none."""

    fingerprint: str

    def perform(
        self, voice: VoiceFeatures, seeds: Sequence[int], steps: int, guidance: float, progress: Progress,
        styles: Sequence[np.ndarray] | None = None, reference: np.ndarray | None = None,
    ) -> list[Motion]:  # fmt: skip
        """One motion per seed.

        styles: how each is played, [1 or T, DIRECTION_NAMES], None in any way.  reference: a packed motion [N, C] whose style is
        taken, None for none.
        """
        ...

    def moods_of(self, picture: np.ndarray) -> np.ndarray:
        """Of Media2Face alone: the strength of every mood but neutral, 0 … 1, that a grey picture of a face [h, w], 0 … 1, shows.

        Raises BadRequest.
        """
        ...


def open_performer(name: str, folder: Path, thunder: Thunder) -> Performer:
    """A system of SYSTEMS besides the default, with the weights of a folder. Raises BadRequest, BadWeights."""
    if SYSTEMS[name] not in available(folder):
        raise BadRequest(f"The weights in use have no {SYSTEMS[name].label}: choose another engine, or weights that hold it")
    if SYSTEMS[name].trained:
        if not find_spec("torch"):
            raise BadRequest(
                f"{SYSTEMS[name].label} needs the engine for graphics cards: install it in the preferences, or choose THUNDER as the engine"
            )
        from ...networks.systems.performing import NetworkPerformer

        return NetworkPerformer(name, folder, thunder)
    from ...train.teacher_system import TeacherPerformer  # the teacher stays with training; no other request needs that code

    return TeacherPerformer(thunder)


def check_request(request: Request) -> None:
    """Raise BadRequest if a request's system does not support part of it: no option is ignored silently."""
    system = SYSTEMS[request.system]
    sliders = 0.0 if request.direction is None else float(np.abs(request.direction.vectors[:, : len(AXES)]).max())
    for is_unsupported, sentence in (
        (request.keep is not None and not system.keeps, "cannot keep parts of a take: choose THUNDER as the engine"),
        (request.speech_guidance > 0 and not system.keeps, "has no Lip-Sync Pull: set it to 0, or choose THUNDER as the engine"),
        (request.guidance != 1.0 and not system.diffuses, "has no Follow the Voice: set it to 1, or choose THUNDER as the engine"),
        (
            request.direction is not None and system.follows == NOTHING,
            "cannot be directed: generate without a direction, or choose THUNDER as the engine",
        ),
        (
            sliders > 1e-3 and system.follows == MOOD,
            "follows only the mood: reset the other sliders of the direction, or choose THUNDER",
        ),
        (
            request.reference is not None and system.name != FROM_MOTION,
            "takes no style from a motion: choose DiffPoseTalk as the engine",
        ),
        (request.picture is not None and system.name != FROM_PICTURE, "takes no mood from a picture: choose Media2Face as the engine"),
    ):
        if is_unsupported:
            raise BadRequest(f"{system.label} {sentence}")


def over_picture(asked: Asked | None, moods: np.ndarray) -> Asked:
    """The direction in which a picture's moods [MOODS but neutral] are played wherever none is asked for.

    A mood that is asked for takes the picture's place by its own strength. Without a direction the picture alone counts.
    """
    if asked is None:
        asked = Asked(Direction().vector()[None], 0.0)
    own = asked.vectors[:, len(AXES) :]
    free = 1 - own.sum(1, keepdims=True).clip(0, 1)
    return replace(asked, vectors=np.concatenate([asked.vectors[:, : len(AXES)], own + free * moods], 1).astype(np.float32))
