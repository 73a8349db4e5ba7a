# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech features of a sound that the teacher's map of the lips can read."""

import numpy as np

from thunder_core.engine.planning.mouth_map import encoder_matches
from thunder_core.engine.speech.encoder import speech_features, SpeechEncoder


def map_features(encoder: SpeechEncoder, samples: np.ndarray, frames: int) -> np.ndarray | None:
    """Speech features [frames, d] of a sound [samples]; None of an encoder that the map was not
    fitted to."""
    return (
        speech_features(*encoder.analyse(samples), samples, frames)
        if encoder_matches(encoder)
        else None
    )
