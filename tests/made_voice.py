# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice of which only the sounds are known that a mouth follows."""

from types import SimpleNamespace

import numpy as np


def made_voice(sounds, shut=None):
    """What `Pipeline.articulate` reads of VoiceFeatures; what is not given does not sound."""
    return SimpleNamespace(
        sounds=sounds, shut=np.zeros(len(sounds.speech)) if shut is None else shut
    )
