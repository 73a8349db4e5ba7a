# SPDX-License-Identifier: GPL-3.0-or-later
"""The 24 places of a face that say where it is: what an animator marks on a head that has no
shapes; where they are on the bundled head, and a first guess on another; numpy only."""

import numpy as np

from ..errors import BadHead
from .head import EYE_LEFT, EYE_RIGHT, Head
from .regions import front_view, spots_seen, Warp

# name → vertex of the bundled head; those on the left side have partners on the right
MIDDLE = {
    "nose bridge": 956, "nose tip": 1540, "nose base": 1830, "upper lip, edge": 5306,
    "upper lip, inside": 5466, "lower lip, inside": 5486, "lower lip, edge": 5326, "chin": 2390,
}  # fmt: skip
SIDES = {
    "inner eye corner": 4584, "outer eye corner": 4598, "upper lid": 4576, "lower lid": 4592,
    "brow": 805, "nose wing": 1602, "mouth corner": 5386 - 10, "temple": 962,
}  # fmt: skip
NAMES = (*MIDDLE, *(f"{name}, {side}" for name in SIDES for side in ("left", "right")))
# [24]: of each the one on the other side of the face
ACROSS = np.array([*range(len(MIDDLE)), *(len(MIDDLE) + (i ^ 1) for i in range(2 * len(SIDES)))])
_DEEP = 2.5  # of the distance between the eyes: how far behind the nose a face's front reaches
_STEPS = 160  # pixels across the face by which the front is looked for


def vertices_of(head: Head) -> np.ndarray:
    """The vertices of the bundled head at the places, [24]."""
    left = np.array(list(SIDES.values()))
    points = head.v_template
    right = [int(((points - points[i] * [-1, 1, 1]) ** 2).sum(1).argmin()) for i in left]
    return np.concatenate([list(MIDDLE.values()), np.stack([left, right], 1).ravel()])


def guess(
    head: Head, points: np.ndarray, triangles: np.ndarray, eyes: np.ndarray | None
) -> np.ndarray:
    """Where the places are likely to be on a mesh that looks along z, [24, 3], by proportions.

    points [V, 3], x to the face's left, y up · triangles [F, 3] · eyes [2, 3]: middles of the left
    and right eye, None where they are not known. Raises BadHead where the mesh has no front.
    """
    ours = head.v_template[vertices_of(head)].astype(np.float64)
    joints = head.joints[[EYE_LEFT, EYE_RIGHT]]
    if eyes is None:
        eyes = _eyes_by_proportion(points)
    apart = np.linalg.norm(eyes[0] - eyes[1])
    # upright, as wide as the eyes are apart
    scale = apart / np.linalg.norm(joints[0] - joints[1])
    middle = eyes.mean(0)
    placed = (ours - joints.mean(0)) * scale + middle
    low, high = placed[:, :2].min(0) - 0.3 * apart, placed[:, :2].max(0) + 0.3 * apart
    # what is far behind the eyes is the back of the head
    near = points[triangles][..., 2].min(1) > middle[2] - _DEEP * apart
    try:
        view = front_view(points, triangles[near], low, high, (high - low).max() / _STEPS)
    except ValueError:
        view = None
    if view is None or (view.triangle >= 0).mean() < 0.2:
        raise BadHead("No face looks forward here: choose the mesh of the face, facing the front")
    seen = np.argwhere(view.triangle >= 0)
    grid = np.stack([view.x[seen[:, 1]], view.y[seen[:, 0]]], 1)
    result = placed.copy()
    for number, place in enumerate(placed):
        row, column = seen[((grid - place[:2]) ** 2).sum(1).argmin()]
        which = view.triangle[row, column]
        spot = spots_seen(
            points, triangles[near], np.array([which]), view.x[[column]], view.y[[row]]
        )
        result[number] = spot.of(points)[0]
    return result


def _eyes_by_proportion(points: np.ndarray) -> np.ndarray:
    """Middles of the eyes [2, 3] of a head of usual proportions whose top is the highest point."""
    top = points[:, 1].max()
    # the head is as high as it is deep: look at so much of the top that it is one, without a body
    depth = np.ptp(points[points[:, 1] > top - 0.5 * np.ptp(points[:, 0])][:, 2])
    upper = points[points[:, 1] > top - 1.1 * depth]
    middle, front = (upper[:, 0].min() + upper[:, 0].max()) / 2, upper[:, 2].max()
    apart, height = 0.31 * depth, top - 0.52 * depth
    return np.array([[middle + side * apart / 2, height, front - 0.24 * depth] for side in (1, -1)])


def aligned(dots: np.ndarray, ours: np.ndarray) -> Warp:
    """The similarity that lays marked places [24, 3] over ours [24, 3]."""
    return Warp.rigid(dots, ours)
