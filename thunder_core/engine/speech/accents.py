# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects a voice's accents (stressed syllables), on which brows rise and heads nod."""

from __future__ import annotations

import numpy as np

from ...filters import gaussian

_SMOOTH = 2.0  # standard deviation of the smoothing over syllables, frames
_APART = 9  # minimum distance of two accents, frames
_AROUND = 15  # frames on either side in which prominence is measured
_PROMINENT, _MOST_PROMINENT = 0.45, 3.45  # least prominence, and that of full weight, in standard deviations
_PITCH_SHARE = 0.6  # weight of pitch against loudness, as in the training data (train/prosody.py)
_LATER, _LASTS = 1, 2.5  # delay of the visible accent after its peak, and its standard deviation, frames
_SPEAKS = 0.5


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
