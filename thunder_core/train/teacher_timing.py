# SPDX-License-Identifier: GPL-3.0-or-later
"""Timing of the teacher by phone labels: presence of speech, accents and phrases, and slow noise
that avoids exact repetition."""

import numpy as np

from .. import filters
from ..engine.speech.acoustics import level, track
from ..engine.speech.cues import LABELS_PER_SECOND, prominence_curve, Prosody, prosody_from, runs
from ..engine.speech.encoder import SILENCE
from ..filters import smoothstep
from ..types import FPS

PHRASE_PAUSE = 0.25  # silence that separates phrases, s
_APART = 9  # least distance between accents, frames
_PROMINENT = 0.45  # least prominence of an accent over its surroundings, standard deviations
_MOST_SEMITONES = 8.0
# labels (10 ms) of silence after which lips come to rest: in shorter pauses real lips follow the
# map
PAUSE = 80


def presence(phones: np.ndarray, frames: int) -> np.ndarray:
    """Presence of speech [T]: 1 in speech, 0 in longer pauses, eased in ahead of the sound.

    phones: 10 ms labels [M].
    """
    quiet = phones == SILENCE
    for a, b in runs(quiet):
        if b - a < PAUSE and a > 0 and b < len(phones):
            quiet[a:b] = False
    active = (~quiet).astype(float)
    active = filters.highest(active, 13, origin=-1) if len(active) > 13 else active
    active = filters.gaussian(np.pad(active, 40, mode="edge"), 6.0)[40:-40]
    at = (np.arange(frames) * 4).clip(0, len(active) - 1)
    return smoothstep(np.clip((active[at] - 0.08) / 0.84, 0, 1))


def wander(frames: int, rng: np.random.Generator, hertz: float) -> np.ndarray:
    """Slow smooth noise [T] of unit deviation around `hertz`."""
    pad = int(2 * FPS / hertz)
    x = filters.gaussian(rng.standard_normal(frames + 2 * pad), FPS / (2 * np.pi * hertz))
    return (x / (x.std() + 1e-9))[pad : pad + frames]


def semitones(samples: np.ndarray, frames: int) -> np.ndarray:
    """Pitch [frames] of float32 samples at 16 kHz: semitones above the voice's median, 0 where
    nothing is voiced."""
    if len(samples) < 1600:
        return np.zeros(frames)
    hertz, voiced = track(level(samples))
    if not voiced.any():
        return np.zeros(frames)
    above = 12 * np.log2(hertz / np.median(hertz[voiced]))
    above = np.where(voiced, np.clip(above, -_MOST_SEMITONES, _MOST_SEMITONES), 0.0)
    at = np.minimum(np.arange(frames) * int(LABELS_PER_SECOND / FPS), len(above) - 1)
    return filters.gaussian(above, 2.0)[at]


def phrases_of(phones: np.ndarray) -> list[tuple[float, float]]:
    """(start, end), s, of stretches of speech in 10 ms labels [M] that no silence as long as a
    pause interrupts."""
    result: list[tuple[float, float]] = []
    for a, b in runs(np.asarray(phones) != SILENCE):
        start, end = a / LABELS_PER_SECOND, b / LABELS_PER_SECOND
        if result and start - result[-1][1] < PHRASE_PAUSE:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def inside(spans: list[tuple[float, float]], frames: int) -> np.ndarray:
    """bool [frames]: True for animation frames in spans of (start, end), s."""
    t = np.arange(frames) / FPS
    within = np.zeros(frames, bool)
    for start, end in spans:
        within |= (t >= start) & (t < end)
    return within


def prosody(phones: np.ndarray, loudness: np.ndarray, pitch: np.ndarray | None = None) -> Prosody:
    """Prosody of 10 ms labels [M], loudness [T, 2] (`encoder.loudness`) and, if known, pitch [T]
    (`semitones`)."""
    phrases, loud = phrases_of(phones), loudness[:, 0]
    spoken = inside(phrases, len(loudness))
    return prosody_from(
        phrases, spoken, _accents(loud, pitch, spoken), np.asarray(phones), LABELS_PER_SECOND, loud
    )


def _accents(
    loud: np.ndarray, pitch: np.ndarray | None, spoken: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Times, s, and weights of the peaks of loudness [T] and pitch [T] within speech."""
    if spoken.sum() < 5:
        return np.zeros(0), np.zeros(0)
    standing = prominence_curve(loud, pitch, spoken, "reflect")
    peaks, rises = filters.peaks(
        np.pad(standing, 1, constant_values=standing.min()), _APART, _PROMINENT
    )
    keep = spoken[peaks - 1] & (standing[peaks - 1] > 0)
    return (peaks[keep] - 1) / FPS, np.clip((rises[keep] - _PROMINENT) / 3.0, 0, 1)
