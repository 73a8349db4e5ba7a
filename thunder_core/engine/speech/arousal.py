# SPDX-License-Identifier: GPL-3.0-or-later
"""How lively a voice is, from its effort, range of pitch and rate, and what a reading that follows it does more or less than usual.

No emotion is read: anger and joy are both loud, fast and high in range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...direction import AXES
from ...types import RATE
from .mel import frame_rms
from .phones import SILENCE, VOWELS
from .phrasing import runs

_HOP = RATE // 50  # samples per row of the encoder's logits
_PAUSE = 15  # rows of silence that end a phrase; shorter ones are closures and belong to the rate
_LEAST_SECONDS, _LEAST_SYLLABLES = 1.0, 4  # of speech; less tells nothing
_FAINT = 30.0  # dB under the loudest syllable, below which none is counted as quieter
_DOUBT = 8  # syllables at which half of what is measured is believed: a short line is rarely usual
_FURTHEST = 2.5  # bound of each value, deviations; approached smoothly, so that a change of an unusual voice is heard too


class Measures(NamedTuple):
    """Of a voice, none of which changes with the gain of its recording.

    tilt: slope of vowels' spectra, dB of their first difference above them: speakers who raise the voice have more of the high.
    loudness: deviation of the syllables' levels, dB.  pitch: semitones between the lowest and the highest tenth.  rate: logarithm of
    phones per second of speech, as changes of what the encoder believes.
    """

    tilt: float
    loudness: float
    pitch: float
    rate: float


class Heard(NamedTuple):
    """How a voice deviates from usual ones, in standard deviations between speakers: effort, range of pitch, rate."""

    effort: float = 0.0
    pitch: float = 0.0
    rate: float = 0.0


# Mean and deviation of 245 speakers who read aloud, most into microphones of their own, of which the tilt tells too
# (`python -m research heard_arousal --reference`).
_USUAL = Measures(-11.18, 4.09, 8.97, 2.515)
_DEVIATION = Measures(3.52, 1.12, 2.50, 0.092)
_EFFORT = (0.75, 0.45)  # shares of tilt and loudness in effort, whose deviation between speakers is 1 with them
# Deviations of a slider per weighed deviation of effort, pitch and rate. The mouth follows effort, brows the pitch, the head all three.
_MOVES = {"energy": (0.5, 0.2, 0.2), "brows": (0.2, 0.6, 0.0), "head": (0.3, 0.4, 0.2)}


def measure(samples: np.ndarray, belief: np.ndarray, pitch: np.ndarray) -> tuple[Measures, int] | None:
    """Measures of a sound [n] at 16 kHz, and its number of syllables; None if too little is said to measure.

    belief: [N, 40] phone probabilities at 50 Hz.  pitch: [T] of `pitch.semitones`, 0 where nothing is voiced.
    """
    belief = belief[: len(samples) // _HOP]
    phones = belief.argmax(-1)
    vowels, spoken = np.isin(phones, VOWELS), phones != SILENCE
    for start, end in runs(~spoken):
        spoken[start:end] = 0 < start and end < len(spoken) and end - start < _PAUSE
    syllables, seconds, voiced = runs(vowels), spoken.sum() * _HOP / RATE, pitch[pitch != 0]
    if seconds < _LEAST_SECONDS or len(syllables) < _LEAST_SYLLABLES or not len(voiced):
        return None
    frames = np.asarray(samples, np.float32)[: len(phones) * _HOP].reshape(-1, _HOP)[vowels]
    level, slope = (20 * np.log10(np.maximum(frame_rms(each), 1e-9)) for each in (frames, np.diff(frames)))
    lengths = np.diff(syllables)[:, 0]
    peaks = np.maximum.reduceat(level, lengths.cumsum() - lengths)
    low, high = np.quantile(voiced, [0.1, 0.9])
    changes = 0.5 * np.abs(np.diff(belief, axis=0)).sum(1)[spoken[1:]].sum()
    values = np.median(slope - level), np.maximum(peaks, peaks.max() - _FAINT).std(), high - low, np.log(changes / seconds)
    return Measures(*map(float, values)), len(syllables)


def read_arousal(samples: np.ndarray, belief: np.ndarray, pitch: np.ndarray) -> Heard:
    """How a voice deviates from usual ones, each within ±2.5 (`tanh`); nothing if little is said. Arguments as of `measure`."""
    measured = measure(samples, belief, pitch)
    if measured is None:
        return Heard()
    values, syllables = measured
    tilt, loudness, high, rate = (np.array(values) - _USUAL) / _DEVIATION * syllables / (syllables + _DOUBT)
    heard = np.array([_EFFORT[0] * tilt + _EFFORT[1] * loudness, high, rate])
    return Heard(*map(float, _FURTHEST * np.tanh(heard / _FURTHEST)))


def moves(heard: Heard) -> np.ndarray:
    """Deviations of a style's axes, float32 [len(AXES)], as a voice asks for them: 0 but for energy, brows and head.

    What is usual is left usual: x³ / (1 + x²) is an eighth at half a deviation, half at one, and 2.2 at the furthest.
    """
    x = np.array(heard)
    weighed = x**3 / (1 + x**2)
    return np.array([np.dot(_MOVES[axis.name], weighed) if axis.name in _MOVES else 0.0 for axis in AXES], np.float32)
