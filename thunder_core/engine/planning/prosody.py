# SPDX-License-Identifier: GPL-3.0-or-later
"""Prosody of a voice: its accents, phrases, pauses and pitch, at animation frames.

Plans of events are drawn from it, and the measures of habits compare movements with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import filters
from ...types import FPS
from ..speech.cues import LABELS_PER_SECOND, segments
from ..speech.encoder import ENCODER_RATE
from ..speech.mel import level
from ..speech.phones import SILENCE
from ..speech.phrasing import Phrasing
from ..speech.pitch import track

PAUSE = 0.25  # silence that separates phrases, s
HELD = 0.35  # shortest sound that counts as hesitation, s
_SMOOTH = 2.0  # frames
_APART = 9  # least distance between accents, frames
_PROMINENT = 0.45  # least prominence of an accent over its surroundings, standard deviations
_PITCH_SHARE = 0.6  # weight of pitch relative to loudness in an accent
_MOST_SEMITONES = 8.0


@dataclass(frozen=True)
class Prosody:
    """Of one sound over T animation frames.

    phrases [(start, end)]: parts with speech, s, separated by pauses of PAUSE or longer.  spoken bool [T]: inside of
    one.  accents [k] and weights [k]: times, s, of prominent syllables, and their prominence, 0 … 1.  hesitations: start times, s, of
    drawn-out sounds within a phrase.  level [T]: loudness of speech, smoothed over syllables, 0 … 1.
    """

    frames: int
    phrases: list[tuple[float, float]]
    spoken: np.ndarray
    accents: np.ndarray
    weights: np.ndarray
    hesitations: list[float]
    level: np.ndarray

    @property
    def seconds(self) -> float:
        return self.frames / FPS

    @property
    def pauses(self) -> list[tuple[float, float]]:
        """(start, end), s, of the silences between phrases."""
        return [(end, start) for (_, end), (start, _) in zip(self.phrases, self.phrases[1:])]


def semitones(samples: np.ndarray, frames: int) -> np.ndarray:
    """Pitch [frames] of float32 samples at 16 kHz: semitones above the voice's median, 0 where nothing is voiced."""
    if len(samples) < 1600:
        return np.zeros(frames)
    hertz, voiced = track(level(samples))
    if not voiced.any():
        return np.zeros(frames)
    above = 12 * np.log2(hertz / np.median(hertz[voiced]))
    above = np.where(voiced, np.clip(above, -_MOST_SEMITONES, _MOST_SEMITONES), 0.0)
    at = np.minimum(np.arange(frames) * int(LABELS_PER_SECOND / FPS), len(above) - 1)
    return filters.gaussian(above, 2.0)[at]


def phrases_of(phones: np.ndarray, pause: float = PAUSE) -> list[tuple[float, float]]:
    """(start, end), s, of stretches of speech in 10 ms labels [M] that no silence as long as a pause interrupts."""
    result: list[tuple[float, float]] = []
    for a, b in segments(np.asarray(phones) != SILENCE):
        start, end = a / LABELS_PER_SECOND, b / LABELS_PER_SECOND
        if result and start - result[-1][1] < pause:
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
    """Prosody of 10 ms labels [M], loudness [T, 2] (`encoder.loudness`) and, if known, pitch [T] (`semitones`)."""
    frames = len(loudness)
    phrases = phrases_of(phones)
    spoken = inside(phrases, frames)
    accents, weights = _accents(loudness[:, 0], pitch, spoken)
    held = []
    for a, b in zip(*_runs(np.asarray(phones))):
        if phones[a] != SILENCE and (b - a) / LABELS_PER_SECOND >= HELD:
            held.append(a / LABELS_PER_SECOND)
    level = filters.gaussian(np.clip((loudness[:, 0].astype(float) + 1) / 2, 0, 1) * spoken, _SMOOTH)
    return Prosody(frames, phrases, spoken, accents, weights, held, level)


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and behind-last index of every run of equal labels [M]."""
    edges = np.flatnonzero(np.diff(labels.astype(int))) + 1
    return np.concatenate([[0], edges]), np.concatenate([edges, [len(labels)]])


def _accents(loud: np.ndarray, pitch: np.ndarray | None, spoken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times, s, and weights of the peaks of loudness [T] and pitch [T] within speech."""
    if spoken.sum() < 5:
        return np.zeros(0), np.zeros(0)
    smooth = filters.gaussian(loud.astype(float), _SMOOTH)
    standing = (smooth - smooth[spoken].mean()) / (smooth[spoken].std() + 0.05)
    if pitch is not None and np.abs(pitch[spoken]).max() > 0:
        high = filters.gaussian(pitch, _SMOOTH)
        standing = (1 - _PITCH_SHARE / 2) * standing + _PITCH_SHARE * (high - high[spoken].mean()) / (high[spoken].std() + 0.5)
    standing = np.where(spoken, standing, standing[spoken].min())
    peaks, rises = filters.peaks(np.pad(standing, 1, constant_values=standing.min()), _APART, _PROMINENT)
    keep = spoken[peaks - 1] & (standing[peaks - 1] > 0)
    return (peaks[keep] - 1) / FPS, np.clip((rises[keep] - _PROMINENT) / 3.0, 0, 1)


def prosody_of(phrasing: Phrasing, loudness: np.ndarray, phones: np.ndarray) -> Prosody:
    """Prosody of a voice whose accents and phrases are marked, from its loudness [T] (`encoder.loudness`, channel 0) and likeliest phones
    [N] at 50 Hz."""
    frames, spoken = phrasing.frames, np.zeros(phrasing.frames, bool)
    for start, end in phrasing.phrases:
        spoken[start:end] = True
    held = [a / ENCODER_RATE for a, b in zip(*_runs(phones)) if phones[a] != SILENCE and (b - a) / ENCODER_RATE >= HELD]
    level = filters.gaussian(np.clip((loudness.astype(float) + 1) / 2, 0, 1) * spoken, _SMOOTH)
    phrases = [(float(start / FPS), float(end / FPS)) for start, end in phrasing.phrases]
    return Prosody(frames, phrases, spoken, phrasing.accents / FPS, phrasing.weights, held, level)
