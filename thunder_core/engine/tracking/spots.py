# SPDX-License-Identifier: GPL-3.0-or-later
"""The points of the bundled head that a tracked face's landmarks correspond to.

MediaPipe's face mesh has 478 points. Contours (lips, lids, brows) lie where `spots.json` says,
which `research/faces/landmarks.py` locates by geometry; chin, cheeks and nose go along with a
thin-plate warp from the tracked person's face to the head's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import RBFInterpolator

from ...face.head import Head

TABLE = Path(__file__).with_name("spots.json")
POINTS = 478  # landmarks of the face mesh with both irises
# [478]: of each landmark the one on the other side of the face
ACROSS = np.array(json.loads(TABLE.with_name("across.json").read_text(encoding="utf-8")))
# outer corners, the subject's right and left: their distance is the unit of the measured curves
OUTER_EYES = (33, 263)
INNER_LIPS = (13, 14)  # upper and lower mid-point
CORNERS = (61, 291)  # of the mouth, right and left
IRISES = (468, 473)  # centres, right and left
# Lids of the right and of the left eye, from the outer corner to the inner one.
UPPER_LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133), (263, 466, 388, 387, 386, 385, 384, 398, 362),
)  # fmt: skip
LOWER_LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133), (263, 249, 390, 373, 374, 380, 381, 382, 362),
)  # fmt: skip
# Brows from the outer end to the inner one: pairs of the upper and the lower row.
BROW_PAIRS = {
    "right": ((70, 46), (63, 53), (105, 52), (66, 65), (107, 55)),
    "left": ((300, 276), (293, 283), (334, 282), (296, 295), (336, 285)),
}
# Landmarks fixed to the skull: bridge, eye corners, forehead, temples.
RIGID = (
    6, 168, 197, 195, 5, 9, 8, 151, 10, 108, 337, 33, 133, 263, 362, 127, 356, 162, 389, 21, 251,
)  # fmt: skip
NOSE_TIP, CHIN = (1, 4), (152, 175)
# Landmarks between the contours, for the movement of chin, cheeks and nose.
BETWEEN = {
    "chin": (18, 83, 313, 200, 201, 421, 199, 208, 428, 175, 171, 396, 152, 148, 377),
    "cheeks": (
        50, 280, 101, 330, 205, 425, 207, 427, 187, 411, 216, 436, 206, 426, 212, 432, 202, 422,
        214, 434,
    ),
    "nose": (129, 358, 98, 327, 49, 279, 164, 167, 393),
}  # fmt: skip
_FOREMOST = 0.2  # metres to the side that a point one metre further in front is worth


@dataclass(frozen=True)
class LandmarkSpots:
    """Points on the head that landmarks correspond to.

    group [m] tuple (lips_outer, lips_inner, lids, brows, chin, cheeks, nose) · landmarks [m] tuple
    of the landmark ids whose mean each is · vertices [m, 3] ids · shares [m, 3], sum 1: where in a
    triangle or on an edge.
    """

    group: tuple[str, ...]
    landmarks: tuple[tuple[int, ...], ...]
    vertices: np.ndarray
    shares: np.ndarray

    def __len__(self) -> int:
        return len(self.group)

    @classmethod
    def of_rows(cls, rows) -> LandmarkSpots:
        """Spots from rows (group, landmark ids, vertices [3], shares [3])."""
        group, landmarks, vertices, shares = zip(*rows)
        return cls(tuple(group), tuple(map(tuple, landmarks)), np.array(vertices), np.array(shares))

    def rows(self) -> list[tuple]:
        """The rows of which these are the spots."""
        return list(zip(self.group, self.landmarks, self.vertices.tolist(), self.shares.tolist()))

    def of(self, positions: np.ndarray) -> np.ndarray:
        """Positions [..., V, 3] of all vertices → [..., m, 3] of the spots."""
        return (positions[..., self.vertices, :] * self.shares[..., None]).sum(-2)

    def tracked_points(self, landmarks: np.ndarray) -> np.ndarray:
        """Landmarks [..., 478, 3] → [..., m, 3]: the tracked counterparts."""
        return np.stack([landmarks[..., list(ids), :].mean(-2) for ids in self.landmarks], -2)


@lru_cache(maxsize=1)
def contours() -> LandmarkSpots:
    """The spots whose place on the bundled head is known: lips, lids, brows; and anchors (group
    `anchor`) for the warp."""
    return LandmarkSpots.of_rows(json.loads(TABLE.read_text(encoding="utf-8")))


def correspondence(head: Head, neutral: np.ndarray) -> LandmarkSpots:
    """All spots for a person: the contours, and chin, cheek and nose points carried over by a warp.

    neutral [478, 3]: the person's resting face, any unit, turned to the front (x to the left, y
    up).
    """
    known, at = contours(), head.v_template.astype(float)
    warp = RBFInterpolator(
        known.tracked_points(neutral)[:, :2],
        known.of(at)[:, :2],
        smoothing=1e-6,
        kernel="thin_plate_spline",
    )
    skin = np.unique(head.polygons[head.polygon_material == head.material_names.index("Skin")])
    skin = skin[skin >= 0]
    rows = [row for row in known.rows() if row[0] != "anchor"]
    for group, ids in BETWEEN.items():
        for landmark, place in zip(ids, warp(neutral[list(ids), :2])):
            far = np.linalg.norm(at[skin, :2] - place, axis=1) - _FOREMOST * at[skin, 2]
            rows.append((group, (landmark,), [skin[far.argmin()]] * 3, [1.0, 0.0, 0.0]))
    return LandmarkSpots.of_rows(rows)
