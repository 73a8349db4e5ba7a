# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the lips of a face among its points, by how an open mouth parts them; numpy only."""

from collections.abc import Sequence

import numpy as np

from .character import Nearest
from .measuring import Threshold

STRONG = Threshold(0.5, "of the largest movement", "what moves less goes along only")
PARTED = Threshold(0.35, "of the jaw's way", "the lower lip goes further, the upper less")
APART = Threshold(0.5, "of their distance at rest", "by so much less a pair counts as lips")
ABLE = Threshold(0.6, "of the widest pair", "lips part nearly as far as the chin goes")
DEEP = Threshold(0.025, "of the head's height", "teeth are further behind the lips")
SEAM = Threshold(0.005, "of the head's height", "pairs further apart than the nearest are skin")
MIDDLE = Threshold(0.9, "of the widest pair", "the middle of the lips parts most")
# within these a point hides what is behind it: aside, and in depth
NEAR = Threshold(0.04, "of the head's height", "lips hide what is nearer beside them")
BEHIND = Threshold(0.15, "of the head's height", "a visor is further ahead of what it hides")
THRESHOLDS = (PARTED, APART, ABLE, DEEP, SEAM, MIDDLE, NEAR, BEHIND)
_MOST_LIPS = 4000  # points below the mouth that are looked at
_MOST_HIDDEN = 3000  # points in front of a jaw that are looked at


def is_inside(points: np.ndarray, far: np.ndarray, axes: Sequence[np.ndarray], size: float) -> bool:
    """Whether most of what opens is behind what stays: teeth, but not the lips.

    points: at rest [V, 3].  far: how far an open mouth moves them [V].  axes: left, up and forward.
    size: height of the head.
    """
    left, up, forward = axes
    moving = np.flatnonzero(far > STRONG * far.max(initial=0.0))
    moving = moving[:: 1 + len(moving) // (_MOST_LIPS // 16)]
    flat, ahead = points @ np.stack([left, up], 1), points @ forward
    near, low = NEAR * size, flat[moving].min(0, initial=np.inf)
    around = (flat > low - 2 * near) & (flat < flat[moving].max(0, initial=-np.inf) + near)
    still = np.flatnonzero(around.all(axis=1) & (far < PARTED * far.max(initial=0.0)))
    still = still[:: 1 + len(still) // _MOST_HIDDEN]
    across, above = (flat[still][None] - flat[moving][:, None]).transpose(2, 0, 1)
    depth = (ahead[still] - ahead[moving][:, None]) / size
    hides = (
        (np.abs(across) < near)
        & (above > -2 * near)
        & (above < near / 4)
        & (depth > DEEP)
        & (depth < BEHIND)
    ).any(axis=1)
    return len(moving) > 0 and bool(hides.mean() > STRONG)


def find_lips(
    points: np.ndarray,
    opened: np.ndarray,
    up: np.ndarray,
    forward: np.ndarray,
    size: float,
    nearest_of: Nearest,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Neighbours that an open mouth parts most, the upper and the lower ones [n] each; None where
    what goes down is above what stays, or what goes up, as the upper half of a puppet's head,
    below.

    points: at rest [V, 3].  opened: how far an open mouth moves them [V, 3].  size: height of the
    head.  nearest_of: as `Character.nearest`.
    """
    down = -opened @ up
    if rises := down.sum() < 0:
        down = down - down.min()
    most = down.max(initial=0.0)
    lower = np.flatnonzero(down > PARTED * most)
    lower = lower[:: 1 + len(lower) // _MOST_LIPS]
    if most <= 0 or not len(lower):
        return None
    near = (points > points[lower].min(0) - most) & (points < points[lower].max(0) + most)
    upper = np.flatnonzero(near.all(axis=1) & (down <= PARTED * most))
    if not len(upper):
        return None
    found, far = nearest_of(points[lower], points[upper])
    nearest, distances = upper[found], np.array(far)
    worth = down[lower] - down[nearest] - APART * distances
    # teeth part as well: lips are in front of them
    ahead, able = points[lower] @ forward, worth >= ABLE * max(worth.max(), 1e-12)
    in_front = able & (ahead >= ahead[able].max(initial=-np.inf) - DEEP * size)
    best = in_front & (worth >= MIDDLE * worth[in_front].max(initial=0.0))
    # where they meet, not the skin below
    best &= distances <= distances[best].min(initial=np.inf) + SEAM * size
    if not best.any():
        return None
    heights = points @ up
    if rises and not _rises_whole(opened @ up, heights, nearest[best], lower[best]):
        return None
    far_of_all = np.linalg.norm(opened, axis=1)
    above = np.average(heights, weights=far_of_all) - heights[[*nearest[best], *lower[best]]]
    is_right = above.max() >= 0 if rises else above.min() <= 0
    return (nearest[best], lower[best]) if is_right else None


def _rises_whole(
    rise: np.ndarray, heights: np.ndarray, upper: np.ndarray, lower: np.ndarray
) -> bool:
    """Whether an open mouth lifts most of what is above these lips, as that of a puppet does, or
    also brings the lower lip down: what else goes up is a smile or a brow."""
    least = PARTED * rise.max()
    return bool(
        (rise[heights > heights[upper].max()] > least).mean() > STRONG or -rise[lower].min() > least
    )
