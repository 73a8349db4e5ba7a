# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher as an engine: it performs the speech encoder's phones in the requested direction, without a network of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..direction import Direction
from ..engine.speech.encoder import LOUDNESS
from ..engine.speech.phones import PHONES
from ..engine.systems.thunder import Thunder, VoiceFeatures
from ..progress import Progress
from ..types import FPS, Motion
from .label import likeliest
from .lip_kernels import fitted_to, identity
from .teacher import perform

_LABELS = round(100 / FPS)  # phone labels (10 ms) per animation frame
_CHANGE = 2.0  # cost of a change of phone at 25 frames per second, nats: half of the cost at 50


class TeacherPerformer:
    """`engine.engine.Performer` of the procedural animator.

    It has phones per animation frame and no pitch; the corpus' performances use finer data.
    """

    fingerprint = ""

    def __init__(self, thunder: Thunder):
        self.thunder = thunder
        self.fits = identity(thunder.encoder) == fitted_to()  # whether its lips can follow the encoder's own features

    def perform(
        self, voice: VoiceFeatures, seeds: Sequence[int], steps: int, guidance: float, progress: Progress,
        styles: Sequence[np.ndarray] | None = None, reference: np.ndarray | None = None,
    ) -> list[Motion]:  # fmt: skip
        """As `Performer`; a direction that changes within the line is played as its mean."""
        features = voice.features
        belief = voice.features[:, -LOUDNESS - len(PHONES) : -LOUDNESS]
        phones = likeliest(np.log(belief.clip(1e-6, None)), _CHANGE).astype(np.uint8).repeat(_LABELS)
        motions = []
        for i, seed in enumerate(seeds):
            progress(i / len(seeds))
            direction = None if styles is None else Direction.of_vector(styles[i].mean(0))
            own = features if self.fits and not voice.listens else None
            rng = np.random.default_rng(seed)
            motions.append(perform(phones, features[:, -LOUDNESS:], self.thunder.channel_names, rng, direction, None, voice.listens, own))
        return motions
