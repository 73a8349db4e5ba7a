# SPDX-License-Identifier: GPL-3.0-or-later
"""How loud the voice of a take is at each of the take's frames."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from ...thunder_core.animation import activity
from ...thunder_core.types import FPS
from ..host.jobs import Step
from ..voice import fingerprint, strip, voice_cache


def of_take(scene, voice: strip.Voice, entry) -> Generator[Step, None, np.ndarray | None]:
    """Steps that read a voice. Returns its loudness [T] at 25 fps from the first frame of a take of it on; None if it cannot be read.

    The voice may have been moved or trimmed since the take was made.
    """
    cached = voice_cache.read(scene, voice)
    while cached is not None and cached.reading:
        yield Step(0.0, "Reading the voice")
    if cached is None or cached.peaks is None:
        return None
    levels = activity.loudness(cached.peaks, voice_cache.PEAKS_PER_SECOND)
    then, now = fingerprint.of_take(entry), fingerprint.of_voice(scene, voice)
    late = round((then.seconds[0] - now.seconds[0]) * FPS) if then is not None and now is not None and then.last and now.last else 0
    return np.concatenate([np.zeros(max(0, -late)), levels[max(0, late) :]])
