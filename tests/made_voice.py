# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice of which only the sounds are known that a mouth follows."""

from types import SimpleNamespace

import numpy as np

from thunder_core.engine.speech.cues import no_vowels, unrounded


def made_voice(sounds, shut=None, rounding=None, vowels=None, end=None):
    """What `Pipeline.articulate` reads of VoiceFeatures; what is not given does not sound."""
    frames = len(sounds.speech)
    return SimpleNamespace(
        sounds=sounds,
        shut=np.zeros(frames) if shut is None else shut,
        rounding=rounding or unrounded(frames),
        vowels=vowels or no_vowels(frames),
        end=frames if end is None else end,
    )
