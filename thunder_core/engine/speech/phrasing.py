# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a voice's stressed syllables, on which brows rise and heads nod, and the bounds of its phrases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...filters import gaussian
from .phones import SILENCE

_SMOOTH = 2.0  # standard deviation of the smoothing over syllables, frames
_APART = 9  # minimum distance of two accents, frames
_AROUND = 15  # frames on either side in which prominence is measured
_PROMINENT, _MOST_PROMINENT = 0.45, 3.45  # least prominence, and that of full weight, in standard deviations
_PITCH_SHARE = 0.6  # weight of pitch against loudness, as in the training data (`planning.prosody`)
_LATER, _LASTS = 1, 2.5  # delay of the visible accent after its peak, and its standard deviation, frames
_QUIET, _BLUR = 0.3, 7  # probability of silence, averaged over 7 rows of 20 ms: breath and noise in a pause are not speech
_JOINED, _SHORTEST = 5, 4  # frames of silence that do not separate phrases; frames of sound too short for a phrase
_SPEAKS = 0.5  # least presence of speech
_LEAST_WEIGHT = 0.1  # least weight of an accent; weaker ones are often peaks of noise


def accents(loudness: np.ndarray, speaking: np.ndarray, pitch: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Frames [k] at which loudness and pitch stand out of speech, and how much each does [k], 0 … 1.

    loudness [T]: `encoder.loudness`, channel 0.  speaking: [T] 0 … 1.  pitch [T]: `pitch.semitones`, None if it is not known.
    """
    spoken = speaking > _SPEAKS
    if spoken.sum() < 5:
        return np.zeros(0, int), np.zeros(0)
    smooth = gaussian(loudness, _SMOOTH, "nearest")
    standing = (smooth - smooth[spoken].mean()) / (smooth[spoken].std() + 0.05)
    if pitch is not None and np.abs(pitch[spoken]).max() > 0:
        high = gaussian(pitch, _SMOOTH, "nearest")
        standing = (1 - _PITCH_SHARE / 2) * standing + _PITCH_SHARE * (high - high[spoken].mean()) / (high[spoken].std() + 0.5)
    standing = np.where(spoken, standing, standing[spoken].min())
    result: dict[int, float] = {}
    for peak in np.argsort(-standing, kind="stable"):
        if standing[peak] <= 0:
            break
        valleys = (standing[max(0, peak - _AROUND) : peak + 1].min(), standing[peak : peak + _AROUND + 1].min())
        highest, prominence = standing[max(0, peak - 1) : peak + 2].max() == standing[peak], standing[peak] - max(valleys)
        if highest and prominence >= _PROMINENT and all(abs(peak - other) >= _APART for other in result):
            result[int(peak)] = float(prominence)
    frames = np.array(sorted(result), int)
    prominent = np.array([result[frame] for frame in frames])
    return frames, np.clip((prominent - _PROMINENT) / (_MOST_PROMINENT - _PROMINENT), 0, 1)


def accent_curve(accented: np.ndarray, frames: int) -> np.ndarray:
    """Accent weight of each of so many frames, 0 … 1, from the frames of accents [k]."""
    at, result = np.arange(frames), np.zeros(frames)
    for peak in accented:
        near = slice(max(0, peak - 12), peak + 14)
        result[near] = np.maximum(result[near], np.exp(-0.5 * ((at[near] - peak - _LATER) / _LASTS) ** 2))
    return result


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
