# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the lips' opening and the mouth's width over a motion, and defines closures; numpy
only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import BadHead
from ..rotation import rotvec_to_matrix
from ..types import LIP_OPENERS, LIP_PRESS, Motion, reorder
from . import regions
from .head import Head, load_head
from .points import SkinnedPoints

# Two thresholds for the inner lips' gap. TOUCH_MM is for exact motions. CLOSED_MM is for motions
# sampled at 25 fps or converted to scene frames, where the smallest gap may be between two frames.
TOUCH_MM = 0.3  # gap below which inner lips touch visibly
CLOSED_MM = 0.6  # gap below which lips form a closure, which must survive at any scene rate
_PRESSED = 0.3  # value of mouthPress on shut lips


def height_gap(upper, lower):
    """Height of the upper point over the lower one [...], of positions [..., 3] in the head's axes:
    arrays or tensors.

    Measured along the face's height, as it is seen from the front: a lip rolled in over the teeth
    is not an open mouth.
    """
    return upper[..., 1] - lower[..., 1]


@dataclass(frozen=True)
class Lips:
    """The margins of a head's lips: P pairs of points that face each other, from its left corner to
    its right.

    along: 2P of them, upper before lower.  pair: those in the middle, the `middle` of P.  corners:
    the left and the right one of the mouth.  names: the head's channels.
    """

    along: SkinnedPoints
    pair: SkinnedPoints
    corners: SkinnedPoints
    names: tuple[str, ...]
    middle: int

    @classmethod
    def of(cls, head: Head) -> Lips:
        """The lips of a head: all pairs where its lips are known as rings (ours), else only the
        middle one.

        Raises BadHead if the position of the lips is not known.
        """
        corners = [head.mouth_corner_left, head.mouth_corner_right]
        upper, lower = np.array([head.inner_lip_upper_mid]), np.array([head.inner_lip_lower_mid])
        if min(*upper, *lower, *corners) < 0:
            raise BadHead(
                "The position of this head's lips is not known: use the bundled head to measure a "
                "mouth"
            )
        skin = head.mouth_vertices[head.mouth_parts == 0]
        if len(skin) == regions.LIP_RINGS * regions.LIP_AROUND:
            ring = skin.reshape(regions.LIP_RINGS, regions.LIP_AROUND)[regions.CONTACT_RING]
            upper, lower = ring[regions.UPPER], ring[regions.LOWER]
        vertices, middle = np.concatenate([upper, lower, corners]), len(upper) // 2
        points = SkinnedPoints.of(head, lambda values: values[vertices])
        parts = slice(0, -2), [middle, middle + len(upper)], slice(-2, None)
        along, pair, ends = map(points.part, parts)
        return cls(along, pair, ends, head.expression_names, middle)

    def coefficients(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """Expression [T, n] in the head's order of channels, double precision. channels: the
        motion's (None: the head's)."""
        if not channels:
            return np.asarray(motion.expression, np.float64)
        return reorder(motion.expression, channels, self.names)

    def gap(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """Gap along the lips, [T, P] millimetres; below zero they intersect."""
        return self._gap(self.along, motion, channels)

    def middle_gap(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """The same in their middle alone, [T], in a fraction of the time."""
        return self._gap(self.pair, motion, channels)[:, 0]

    def _gap(
        self, points: SkinnedPoints, motion: Motion, channels: Sequence[str] | None
    ) -> np.ndarray:
        upper, lower = np.split(
            points.heights(self.coefficients(motion, channels), rotvec_to_matrix(motion.jaw)),
            2,
            axis=1,
        )
        return 1e3 * (upper - lower)

    def opening(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """The gap in the middle beyond that at rest, float64 [T] millimetres, never below zero."""
        return np.maximum(self.beyond_rest(motion, channels), 0.0)

    def beyond_rest(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """The same, below zero where the lips are pressed together."""
        at_rest = 1e3 * height_gap(*self.pair.rest)
        return self.middle_gap(motion, channels) - at_rest

    def width(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """Distance of the mouth's corners, float64 [T] millimetres."""
        return self._width(self.coefficients(motion, channels), rotvec_to_matrix(motion.jaw))

    def _width(self, coefficients: np.ndarray, turn: np.ndarray) -> np.ndarray:
        left, right = np.moveaxis(self.corners.place(coefficients, turn), 1, 0)
        return 1e3 * np.linalg.norm(left - right, axis=1)

    def gap_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """`beyond_rest` and `width` of a motion of the head's channels."""
        given = self.coefficients(motion), rotvec_to_matrix(motion.jaw)
        upper, lower = np.split(self.pair.heights(*given), 2, axis=1)
        gap = 1e3 * (upper - lower)[:, 0] - 1e3 * height_gap(*self.pair.rest)
        return gap, self._width(*given)

    def slope(self, name: str, jaw: np.ndarray) -> np.ndarray:
        """Millimetres by which one channel parts the lips' middle per unit, [T], at jaw rotation
        vectors [T, 3]."""
        upper, lower = self.pair.height_slopes([self.names.index(name)], rotvec_to_matrix(jaw))[0].T
        return 1e3 * (upper - lower)


def press_together(expression: np.ndarray, channels: Sequence[str], shut: np.ndarray) -> None:
    """Reduce lip openers in place, and press the lips, on shut frames: expression [T, n], shut [T]
    0 … 1.

    This alone does not make the lips meet over an open jaw: mouthClose does
    (`lip_closures.set_gap`, or its share of the jaw's angle).
    """
    expression[
        :, [column for column, name in enumerate(channels) if name.startswith(LIP_OPENERS)]
    ] *= 1 - shut[:, None]
    for column in (column for column, name in enumerate(channels) if name.startswith(LIP_PRESS)):
        expression[:, column] = np.maximum(expression[:, column], _PRESSED * shut)


@lru_cache(maxsize=1)
def bundled_lips() -> Lips:
    """The lips of the bundled head."""
    return Lips.of(load_head())


def opening_mm(motion: Motion, head: Head | None = None) -> np.ndarray:
    """Gap of the inner lips, float32 [T], millimetres above its value at rest, never negative.

    The motion's expression columns are the head's channels, in their order; None: the bundled
    head's. Raises BadHead if the head's lips are unknown.
    """
    return (bundled_lips() if head is None else Lips.of(head)).opening(motion).astype(np.float32)


def width_mm(motion: Motion, head: Head | None = None) -> np.ndarray:
    """Distance of the mouth's corners, float32 [T], millimetres; the rest as opening_mm."""
    return (bundled_lips() if head is None else Lips.of(head)).width(motion).astype(np.float32)
