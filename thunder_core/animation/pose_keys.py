# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of one curve of a pose, and how far curves are off in millimetres."""

from dataclasses import dataclass

import numpy as np

from ..filters import hermite
from .keys import handles, SAMPLES

STILL = 0.2  # share of the allowed error: a region that moves by less holds
# a slope beyond its limit by s (times a third of the segment) makes the curve leave its range by
# less than this
BULGE = 0.75
SHIFT = 0.5  # frames by which movement other than speech may be early or late without being noticed
LEAST = 1e-9  # lower bound of what is divided by
ROWS = 1000  # samples measured at once


@dataclass(frozen=True)
class PoseKeys:
    """Keys of one curve on whole frames.

    index [K] of the frames; value [K]; left, right [K]: slopes per frame on either side. Between
    two keys the curve is a cubic Hermite polynomial: a Bézier segment with its handles at a third.
    Beyond the outer keys it is level.
    """

    index: np.ndarray
    value: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def at(self, frames: np.ndarray) -> np.ndarray:
        """The curve at frames [N], any numbers."""
        t = np.asarray(frames, float)
        if len(self.index) == 1:
            return np.full(len(t), float(self.value[0]))
        knots = self.index.astype(float)
        k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
        h = knots[k + 1] - knots[k]
        a, b, c, d = hermite(np.clip((t - knots[k]) / h, 0.0, 1.0))
        return (
            a * self.value[k]
            + b * self.value[k + 1]
            + h * (c * self.right[k] + d * self.left[k + 1])
        )

    def handles(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and right handles [K, 2] (frame, value) for keys on scene frames [T]; the outer ones
        are level."""
        return handles(np.asarray(frames, float)[self.index], self.value, self.left, self.right)

    @property
    def aligned(self) -> np.ndarray:
        """True for keys with the same slope on either side, bool [K]."""
        return np.abs(self.left - self.right) <= 1e-9 + 1e-6 * np.abs(self.right)


@dataclass(frozen=True)
class Measure:
    """The effect of channel values in millimetres, and the allowed errors.

    pull [C, P, 3]: millimetres that a unit of each channel moves each point.  allowed [P]: allowed
    error of each point, mm. gap [C]: millimetres that a unit of each channel opens the lips.
    """

    pull: np.ndarray
    allowed: np.ndarray
    gap: np.ndarray

    def flat(self, chosen: np.ndarray) -> np.ndarray:
        """[chosen, 3 (P + 1)]: displacement of the points that these channels move, in allowed
        errors; the last is the lips' gap in mm. Single precision, since most time is spent with
        it."""
        scaled = self.pull[chosen] / self.allowed[:, None]
        most = np.linalg.norm(scaled, axis=2).max(0)
        scaled = scaled[:, most > 0.01 * most.max()]
        gap = np.zeros((len(scaled), 1, 3))
        gap[:, 0, 0] = self.gap[chosen]
        return np.concatenate([scaled, gap], 1).reshape(len(scaled), -1).astype(np.float32)


def relative_error(error: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Error of each sample [N], from displacements [N, 3 (P + 1)]; 1 is the allowed error.

    weight [N, P + 1], or [N, 2] where all points count the same: weight of errors at each sample,
    of the points (usually 1) and of the lips' gap (1 / allowed error in mm, 0 where lips are
    apart).
    """
    by_point = error.reshape(len(error), -1, 3)
    squares = np.einsum("npi,npi->np", by_point[:, :-1], by_point[:, :-1])
    if weight.shape[1] == 2:
        far = np.sqrt(squares.max(1)) * weight[:, 0]
    else:
        far = (np.sqrt(squares) * weight[:, :-1]).max(1)
    return np.maximum(far, np.abs(by_point[:, -1, 0]) * weight[:, 1])


def shift_distances(places: np.ndarray) -> np.ndarray:
    """Largest distance [S, P] of each point of places [S, P, 3] from where it is up to `SHIFT`
    frames earlier or later."""
    furthest = round(SHIFT * SAMPLES)
    moved = np.zeros(places.shape[:2])
    for samples in (furthest // 2, furthest):
        far = np.linalg.norm(places[samples:] - places[:-samples], axis=2)
        moved[samples:], moved[:-samples] = (
            np.maximum(moved[samples:], far),
            np.maximum(moved[:-samples], far),
        )
    return moved
