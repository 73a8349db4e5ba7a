# SPDX-License-Identifier: GPL-3.0-or-later
"""What a motion shows on a head: the lips' opening and width, and how far it goes in style."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..animation.played import Played
from ..animation.shown import measured, measured_quiet
from ..face.head import Head
from ..face.lips import Lips
from ..types import Motion
from .systems.thunder import VoiceFeatures

SPOKEN = 0.5  # presence (0 … 1) above which a sound counts as containing speech


class Measures:
    """Measures of motions of one head; what they need of the head is worked out on first use."""

    def __init__(self, head: Head):
        self._head = head

    @cached_property
    def _margins(self) -> Lips:
        """The margins of the head's lips. Raises BadHead if they are not known."""
        return Lips.of(self._head)

    @cached_property
    def _played(self) -> Played:
        return Played.of(self._head)

    def opening_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """As `face.lips.opening_mm` and `width_mm` measure a motion, each float32 [T]."""
        return self._margins.opening(motion).astype(np.float32), self._margins.width(motion).astype(np.float32)

    def of_style(self, motion: Motion, voice: VoiceFeatures) -> dict[str, float]:
        """What a motion of this sound shows, as `animation.shown.measured`."""
        return measured(self._played, motion, voice.presence.cpu().numpy() > SPOKEN)

    def of_quiet(self, motion: Motion) -> dict[str, float]:
        """What a motion of a face that does not speak shows, as `animation.shown.measured_quiet`."""
        return measured_quiet(self._played, motion)
