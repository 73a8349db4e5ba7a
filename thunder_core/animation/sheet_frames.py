# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments of a line at which takes differ most: where lips close, where mouths are widest, where the voice is loudest."""

from __future__ import annotations

import numpy as np

CLOSED, WIDE, LOUD = "closed", "wide", "loud"
APART = 4  # least distance between two chosen frames at 25 fps
_CLOSED_SHARE, _AROUND = 0.35, 6  # share of the widest opening nearby below which lips are closed, and frames considered


def choose(openings: np.ndarray, loudness: np.ndarray | None, count: int) -> list[tuple[int, str]]:
    """(frame, reason) of at most `count` moments, in order of time.

    openings: [takes, T], mm at 25 fps.  loudness: [T] of any scale, or None if it is unknown.
    A third of the moments are closures if there are any, one is the loudest, the others the widest mouths.
    """
    mean = np.asarray(openings, np.float64).mean(axis=0)
    frames = len(mean)
    result: list[tuple[int, str]] = []

    def take(candidates, why: str, most: int) -> None:
        for frame in candidates:
            if most <= 0 or len(result) >= count:
                return
            if all(abs(int(frame) - other) >= APART for other, _ in result):
                result.append((int(frame), why))
                most -= 1

    take(_closures(mean), CLOSED, count // 3)
    if loudness is not None and np.max(loudness) > 0:
        take([int(np.argmax(loudness[:frames]))], LOUD, 1)
    peaks = [i for i in range(frames) if mean[i] >= mean[max(0, i - 1)] and mean[i] >= mean[min(frames - 1, i + 1)]]
    take(sorted(peaks, key=lambda i: -mean[i]), WIDE, count)
    take(np.linspace(0, frames - 1, count).round().astype(int), WIDE, count)  # for lines with little movement
    return sorted(result)


def _closures(mean: np.ndarray) -> list[int]:
    """Frames of local minima that are deep against their surroundings, the deepest first."""
    result = []
    for i in range(1, len(mean) - 1):
        around = mean[max(0, i - _AROUND) : i + _AROUND + 1]
        before, after = mean[max(0, i - _AROUND) : i + 1].max(), mean[i : i + _AROUND + 1].max()
        if mean[i] == around.min() and mean[i] <= _CLOSED_SHARE * min(before, after) and min(before, after) > 0:
            result.append((mean[i] / min(before, after), -min(before, after), i))
    return [i for _, _, i in sorted(result)]


def loudness(peaks: np.ndarray, per_second: int, fps: float = 25.0) -> np.ndarray:
    """Loudness of a sound at each frame, [T], from the lowest and highest sample [n, 2] of each part of a second."""
    height = (np.asarray(peaks, np.float64)[:, 1] - peaks[:, 0]) ** 2
    frames = int(np.ceil(len(height) / per_second * fps))
    edges = (np.arange(frames + 1) * per_second / fps).round().astype(int).clip(0, len(height))
    total = np.r_[0.0, np.cumsum(height)]
    return np.sqrt((total[edges[1:]] - total[edges[:-1]]) / np.maximum(1, edges[1:] - edges[:-1]))
