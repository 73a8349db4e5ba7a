# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects a voice's accents (stressed syllables), on which brows rise and heads nod."""

from __future__ import annotations

import numpy as np

_SMOOTH = 2.0  # standard deviation of the smoothing over syllables, frames
_APART = 9  # minimum distance of two accents, frames
_AROUND = 15  # frames on either side in which prominence is measured
_PROMINENT = 0.45  # least prominence, in standard deviations of loudness
_LATER, _LASTS = 1, 2.5  # delay of the visible accent after its peak, and its standard deviation, frames
_SPEAKS = 0.5


def _blurred(values: np.ndarray, deviation: float) -> np.ndarray:
    reach = int(4 * deviation)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(np.pad(values.astype(float), reach, mode="edge"), kernel / kernel.sum(), "valid")


def accents(loudness: np.ndarray, speaking: np.ndarray) -> np.ndarray:
    """Frames [k] of prominent peaks of loudness [T] (`encoder.loudness`, channel 0) in speech; speaking: [T] 0 … 1."""
    spoken = speaking > _SPEAKS
    if spoken.sum() < 5:
        return np.zeros(0, int)
    smooth = _blurred(loudness, _SMOOTH)
    standing = (smooth - smooth[spoken].mean()) / (smooth[spoken].std() + 0.05)
    standing = np.where(spoken, standing, standing[spoken].min())
    result: list[int] = []
    for peak in np.argsort(-standing, kind="stable"):
        if standing[peak] <= 0:
            break
        valleys = (standing[max(0, peak - _AROUND) : peak + 1].min(), standing[peak : peak + _AROUND + 1].min())
        highest = standing[max(0, peak - 1) : peak + 2].max() == standing[peak]
        if highest and standing[peak] - max(valleys) >= _PROMINENT and all(abs(peak - other) >= _APART for other in result):
            result.append(int(peak))
    return np.array(sorted(result), int)


def accent_curve(loudness: np.ndarray, speaking: np.ndarray) -> np.ndarray:
    """Accent weight of each frame [T], 0 … 1."""
    at = np.arange(len(loudness))
    result = np.zeros(len(at))
    for peak in accents(loudness, speaking):
        near = slice(max(0, peak - 12), peak + 14)
        result[near] = np.maximum(result[near], np.exp(-0.5 * ((at[near] - peak - _LATER) / _LASTS) ** 2))
    return result
