# SPDX-License-Identifier: GPL-3.0-or-later
"""Any system as an engine: from a voice's features, seeds and a direction to finished motions on the head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ...direction import AXES
from ...errors import BadRequest
from ...files import hash_of
from ...quality import DRAFT, FINAL, NORMAL
from ...systems import available, FOLDER, FROM_MOTION, MOOD, NOTHING, System, SYSTEMS
from ...types import Motion
from ..cards import unusable
from .base import load_system, Progress
from .thunder import Thunder, VoiceFeatures

STEPS_OF = {DRAFT: 8, NORMAL: 20, FINAL: 20}  # diffusion steps at each quality; these systems are not distilled
_LEAST_REFERENCE = 25  # shortest reference for a style, frames


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


def open_performer(name: str, folder: Path, thunder: Thunder) -> Performer:
    """A system of SYSTEMS besides the default, with the weights of a folder. Raises BadRequest, BadWeights."""
    if name not in SYSTEMS:
        raise BadRequest(f"There is no engine “{name}”: choose one of {', '.join(SYSTEMS)}")
    if SYSTEMS[name] not in available(folder):
        raise BadRequest(f"The weights in use have no {SYSTEMS[name].label}: choose another engine, or weights that hold it")
    if SYSTEMS[name].trained:
        return NetworkPerformer(name, folder, thunder)
    from ...train.teacher_system import TeacherPerformer  # the teacher stays with training; no other request needs that code

    return TeacherPerformer(thunder)


def check_request(
    system: System, styles: Sequence[np.ndarray] | None, keeps: bool, pulls: bool, guidance: float, reference: np.ndarray | None
) -> None:
    """Raise BadRequest if a system does not support part of a request: no option is ignored silently."""
    if keeps and not system.keeps:
        raise BadRequest(f"{system.label} cannot keep parts of a take: choose THUNDER as the engine")
    if pulls and not system.keeps:
        raise BadRequest(f"{system.label} has no Lip-Sync Pull: set it to 0, or choose THUNDER as the engine")
    if guidance != 1.0 and not system.diffuses:
        raise BadRequest(f"{system.label} has no Follow the Voice: set it to 1, or choose THUNDER as the engine")
    if styles is not None and system.follows == NOTHING:
        raise BadRequest(f"{system.label} cannot be directed: generate without a direction, or choose THUNDER as the engine")
    if styles is not None and system.follows == MOOD and any(np.abs(style[:, : len(AXES)]).max() > 1e-3 for style in styles):
        raise BadRequest(f"{system.label} follows only the mood: reset the other sliders of the direction, or choose THUNDER")
    if reference is not None and system.name != FROM_MOTION:
        raise BadRequest(f"{system.label} takes no style from a motion: choose DiffPoseTalk as the engine")


class NetworkPerformer:
    """A trained system behind THUNDER's speech encoder, its motions finished as THUNDER's are."""

    def __init__(self, name: str, folder: Path, thunder: Thunder):
        self.name, self.thunder = name, thunder
        self.network = load_system(name, folder).to(thunder.device)
        path = folder / FOLDER / f"{name}.safetensors"
        if self.network.config.motion != thunder.columns.count:
            raise unusable(path, "was made for another head")
        if self.network.config.audio != thunder.denoiser.config.audio:
            raise unusable(path, "was trained with another speech encoder")
        self.fingerprint = hash_of(path)[:16]

    def perform(
        self, voice: VoiceFeatures, seeds: Sequence[int], steps: int, guidance: float, progress: Progress,
        styles: Sequence[np.ndarray] | None = None, reference: np.ndarray | None = None,
    ) -> list[Motion]:  # fmt: skip
        """As `Performer`."""
        device, condition = self.thunder.device, None
        if styles is not None:  # of Media2Face: the strength of every mood
            frames = max(len(style) for style in styles)
            moods = [np.broadcast_to(style[:, len(AXES) :], (frames, style.shape[1] - len(AXES))) for style in styles]
            condition = torch.from_numpy(np.stack(moods).astype(np.float32)).to(device)
        if reference is not None:
            if reference.ndim != 2 or reference.shape[1] != self.thunder.columns.count or len(reference) < _LEAST_REFERENCE:
                raise BadRequest("The motion that the style is taken from is none of this head, or shorter than a second: choose another")
            condition = self.network.condition_of(torch.from_numpy(reference.astype(np.float32))[None].to(device))
        x = self.network.sample(voice.features[None], seeds, condition, steps, guidance, progress)
        return self.thunder.finish(x.cpu().numpy(), voice)
