# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a voice's stressed syllables and the bounds of its phrases, which movements other than the lips' follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .accents import accents
from .phones import SILENCE

_QUIET, _BLUR = 0.3, 7  # probability of silence, averaged over 7 rows of 20 ms: breath and noise in a pause are not speech
_JOINED, _SHORTEST = 5, 4  # frames of silence that do not separate phrases; frames of sound too short for a phrase
_SPEAKS = 0.5  # least presence of speech
_LEAST_WEIGHT = 0.1  # least weight of an accent; weaker ones are often peaks of noise


@dataclass(frozen=True)
class Phrasing:
    """The marks of a voice over some animation frames.

    accents: int [k], frames of stressed syllables.  weights: [k] 0 … 1, prominence of each.  phrases: int [n, 2], first frame
    of each and first frame behind it.
    """

    frames: int
    accents: np.ndarray
    weights: np.ndarray
    phrases: np.ndarray

    def part(self, start: int, end: int) -> Phrasing:
        """The marks of frames start … end, counted from start."""
        inside = (self.accents >= start) & (self.accents < end)
        phrases = self.phrases[(self.phrases[:, 1] > start) & (self.phrases[:, 0] < end)]
        return Phrasing(end - start, self.accents[inside] - start, self.weights[inside], np.clip(phrases, start, end) - start)

    @property
    def silences(self) -> np.ndarray:
        """int [n + 1, 2]: pauses before the first phrase, between phrases and after the last one; some may be empty."""
        return np.concatenate([[0], self.phrases.ravel(), [self.frames]]).reshape(-1, 2)


def silent(frames: int) -> Phrasing:
    """The marks of `frames` frames without speech."""
    return Phrasing(frames, np.zeros(0, int), np.zeros(0), np.zeros((0, 2), int))


def quiet(belief: np.ndarray, frames: int) -> np.ndarray:
    """True for frames [frames] without speech, from phone probabilities [N, 40] at 50 Hz."""
    at = np.minimum(np.arange(frames) * len(belief) // max(1, frames), len(belief) - 1)
    padded = np.pad(belief[:, SILENCE].astype(float), _BLUR // 2, mode="edge")
    return np.convolve(padded, np.full(_BLUR, 1 / _BLUR), "valid")[at] > _QUIET


def runs(flags: np.ndarray) -> np.ndarray:
    """int [n, 2]: first frame of every run of True in [T], and first frame after it."""
    return np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int))).reshape(-1, 2)


def phrasing(loudness: np.ndarray, presence: np.ndarray, belief: np.ndarray, pitch: np.ndarray | None = None) -> Phrasing:
    """The marks of a voice from its loudness [T], the presence of speech [T] 0 … 1, phone probabilities [N, 40] at 50 Hz and, if it is
    known, its pitch [T] (`pitch.semitones`)."""
    frames = len(presence)
    if presence.max(initial=0.0) <= _SPEAKS:
        return silent(frames)
    sound = ~quiet(belief, frames) & (presence > _SPEAKS)
    for start, end in runs(~sound):
        if 0 < start and end < frames and end - start < _JOINED:
            sound[start:end] = True
    phrases = runs(sound)
    peaks, weights = accents(loudness, sound, pitch)
    clear = weights >= _LEAST_WEIGHT
    return Phrasing(frames, peaks[clear], weights[clear], phrases[np.diff(phrases, axis=1)[:, 0] >= _SHORTEST])
