# SPDX-License-Identifier: GPL-3.0-or-later
"""Locates a tracked face's landmarks on the bundled head by geometry, and writes the table that
the product reads (`thunder_core/engine/tracking/spots.json`); reads files of landmarks.

The landmarks used for lips, lids, brows, nose and chin are named here by contour and by their
position along it; the same contours are located on the head from its mouth rings, eye joints,
materials and front surface, so that the head's topology may change: then run
`python -m research.faces.landmarks`.
"""

import json
from pathlib import Path

import numpy as np

from thunder_core.arrays import MOST_BYTES, read_npz
from thunder_core.engine.tracking.solve import LEAST_FRAMES
from thunder_core.engine.tracking.spots import (
    BROW_PAIRS,
    CHIN,
    LandmarkSpots,
    LOWER_LIDS,
    NOSE_TIP,
    POINTS,
    TABLE,
    UPPER_LIDS,
)
from thunder_core.errors import BadHead, BadRequest
from thunder_core.face.head import EYE_LEFT, EYE_RIGHT, Head, load_head
from thunder_core.types import FPS

MM = 1e3  # millimetres per metre
# Lip contours from the subject's right corner to the left one, and each point's position across the
# mouth (0 … 1).
LIP_ACROSS = {
    "outer_upper": (
        (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
        (0, 0.05, 0.12, 0.22, 0.355, 0.5),
    ),
    "outer_lower": (
        (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
        (0, 0.06, 0.12, 0.225, 0.36, 0.5),
    ),
    "inner_upper": (
        (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
        (0, 0.08, 0.16, 0.25, 0.37, 0.5),
    ),
    "inner_lower": (
        (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
        (0, 0.08, 0.16, 0.25, 0.37, 0.5),
    ),
}
# Lids, and positions across the eye from the outer corner to the inner one; positions along the brow.
LID_ACROSS = {
    "upper": (*UPPER_LIDS, (0, 0.055, 0.12, 0.235, 0.42, 0.61, 0.80, 0.935, 1)),
    "lower": (*LOWER_LIDS, (0, 0.08, 0.165, 0.29, 0.475, 0.655, 0.83, 0.94, 1)),
}
BROW_ALONG = (0.03, 0.27, 0.5, 0.75, 0.97)
_HAIR = ("Brows",)  # materials on top of the skin
# points on the face's outline level with mouth and eyes, right and left
SIDE_OF_MOUTH, SIDE_OF_EYES = ((58, 288), (127, 356))


class Front:
    """The head seen from the front: which triangle, `without` those of some materials, is foremost
    at (x, y), metres."""

    def __init__(self, head: Head, without: tuple[str, ...] = (), without_eyes: bool = False):
        ids = [i for i, name in enumerate(head.material_names) if name not in without]
        quads = head.polygons[np.isin(head.polygon_material, ids)]
        fourth = quads[quads[:, 3] >= 0]
        triangles = np.concatenate([quads[:, :3], fourth[:, [0, 2, 3]]])
        eyeball = head.weights[:, [EYE_LEFT, EYE_RIGHT]].sum(1) > 0.5
        self.of_eye = eyeball[triangles].all(1)
        if without_eyes:
            triangles, self.of_eye = triangles[~self.of_eye], self.of_eye[~self.of_eye]
        corners = head.v_template[triangles].astype(float)
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
        seen = area > 1e-12  # counter-clockwise: faces the front
        self.triangles, self.corners, self.area, self.of_eye = (
            triangles[seen],
            corners[seen],
            area[seen],
            self.of_eye[seen],
        )
        self._low, self._high = (
            self.corners[:, :, :2].min(1).T - 1e-9,
            self.corners[:, :, :2].max(1).T + 1e-9,
        )

    def at(self, x: float, y: float) -> tuple[int, np.ndarray, float] | None:
        """(triangle number, its corners' shares [3], z) of the foremost triangle at (x, y), or None
        beside the head."""
        [k], [z], shares = self.front_triangles(x, np.array([y]))
        return (int(k), shares[0], float(z)) if k >= 0 else None

    def front_triangles(self, x: float, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Along the upright line at x, for each of y [k]: triangle number [k] (−1: none), z [k],
        corners' shares [k, 3]."""
        near = (
            (self._low[0] <= x)
            & (x <= self._high[0])
            & (self._low[1] <= y.max())
            & (y.min() <= self._high[1])
        )
        near = np.flatnonzero(near)
        if not len(near):
            return np.full(len(y), -1), np.full(len(y), -np.inf), np.zeros((len(y), 3))
        at = np.stack([np.full(len(y), x), y], 1)[:, None]  # [k, 1, 2]
        a, b, c = (self.corners[None, near, k, :2] - at for k in range(3))
        u = (b[..., 0] * c[..., 1] - b[..., 1] * c[..., 0]) / self.area[near]
        v = (c[..., 0] * a[..., 1] - c[..., 1] * a[..., 0]) / self.area[near]
        shares = np.stack([u, v, 1 - u - v], 2)
        z = np.where((shares >= -1e-9).all(2), (shares * self.corners[near, :, 2]).sum(2), -np.inf)
        best, row = z.argmax(1), np.arange(len(y))
        return np.where(np.isfinite(z[row, best]), near[best], -1), z[row, best], shares[row, best]

    def spot(
        self, x: float, y: float, outwards: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[np.ndarray, np.ndarray]:
        """(vertices [3], shares [3]) of the surface at (x, y), or at the next 0.3 mm `outwards`
        that has some; else BadHead."""
        for step in range(12):
            hit = self.at(x + 0.0003 * step * outwards[0], y + 0.0003 * step * outwards[1])
            if hit is not None:
                break
        else:
            raise BadHead(
                f"The head has no skin at x {MM * x:.0f}, y {MM * y:.0f} mm, where a face has "
                f"some. Use the bundled head."
            )
        return self.triangles[hit[0]], hit[1]


def lip_rings(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Vertex ids [n] of the lips' outer border (where their red begins) and of the inner contour,
    each a closed ring.

    A ring starts at the left corner and runs over the upper lip to the right one and back along the
    lower lip.
    """
    lips = head.mouth_vertices[head.mouth_parts == 0]
    around = 40
    if len(lips) % around or head.inner_lip_upper_mid not in lips:
        raise BadHead(
            "The lips of this head are not known as rings. Use the bundled head to follow a "
            "tracked face."
        )
    rings = lips.reshape(-1, around)
    inner = rings[[head.inner_lip_upper_mid in r for r in rings].index(True)]
    red = np.unique(head.polygons[head.polygon_material == head.material_names.index("Lips")])
    outer = rings[[np.isin(r, red).all() for r in rings].index(True)]
    return outer, inner


def _along(
    head: Head, ring: np.ndarray, upper: bool, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [3] and shares [3] of the point of a lip ring at `share` of the way from the right
    corner to the left."""
    half = len(ring) // 2
    line = ring[half::-1] if upper else np.concatenate([ring[half:], ring[:1]])
    x = head.v_template[line, 0].astype(float)
    at = x[0] + share * (x[-1] - x[0])
    k = int(np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2))
    t = float(np.clip((at - x[k]) / (x[k + 1] - x[k]), 0, 1))
    return np.array([line[k], line[k + 1], line[k + 1]]), np.array([1 - t, t, 0.0])


def _lips(head: Head) -> list:
    """Rows (name, group, landmark ids, vertices [3], shares [3]) of the lip contours."""
    outer, inner = lip_rings(head)
    rows, done = [], set()
    for name, (ids, half) in LIP_ACROSS.items():
        ring = outer if name.startswith("outer") else inner
        across = half + tuple(1 - s for s in half[-2::-1])
        for number, (landmark, share) in enumerate(zip(ids, across)):
            if landmark not in done:  # the corners belong to both halves
                done.add(landmark)
                rows.append(
                    (
                        f"{name}_{number}",
                        "lips_" + name[:5],
                        (landmark,),
                        *_along(head, ring, name.endswith("upper"), share),
                    )
                )
    return rows


def aperture(
    head: Head, joint: int, step: float = 0.0004
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The opening of the lids around an eye joint: x [k] of its columns, y of its lower and of its
    upper edge, metres."""
    front, centre = Front(head, without=_HAIR), head.joints[joint]
    columns, low, high = [], [], []
    for x in centre[0] + np.arange(-0.02, 0.02, step):
        y = centre[1] + np.arange(-0.012, 0.012, step)
        hit = front.front_triangles(x, y)[0]
        seen = y[(hit >= 0) & front.of_eye[hit]]
        if len(seen):
            columns.append(x), low.append(min(seen)), high.append(max(seen))
    if len(columns) < 20:
        raise BadHead(
            "No open eye is seen from the front of this head. Use the bundled head to follow a "
            "tracked face."
        )
    return np.array(columns), np.array(low), np.array(high)


def _lids(head: Head, skin: Front) -> list:
    """Rows (name, group, landmark ids, vertices [3], shares [3]) of both eyes' lids."""
    rows = []
    beyond = 0.0006  # metres outside the edge: on the lid's margin, not on the eye
    for side, joint in (("right", EYE_RIGHT), ("left", EYE_LEFT)):
        x, low, high = aperture(head, joint)
        outwards = 1 if side == "left" else -1
        outer, inner = (x.max(), x.min()) if outwards > 0 else (x.min(), x.max())
        for lid, (right, left, across) in LID_ACROSS.items():
            for number, (landmark, share) in enumerate(
                zip(right if side == "right" else left, across)
            ):
                if number in (0, len(across) - 1):
                    if lid == "lower":
                        continue  # the corners are included already
                    at = outer + beyond * outwards if number == 0 else inner - beyond * outwards
                    y = np.interp(at, x, (low + high) / 2)
                    away = (outwards if number == 0 else -outwards, 0)
                else:
                    at = outer + share * (inner - outer)
                    away = (0, 1 if lid == "upper" else -1)
                    y = np.interp(at, x, high if lid == "upper" else low) + beyond * away[1]
                rows.append(
                    (f"{side}_{lid}_lid_{number}", "lids", (landmark,), *skin.spot(at, y, away))
                )
    return rows


def _brows(head: Head, skin: Front) -> list:
    """Rows (name, group, landmark ids, vertices [3], shares [3]) of both brows."""
    if "Brows" not in head.material_names:
        raise BadHead("This head has no brows to follow a tracked face with. Use the bundled head.")
    hair = np.unique(head.polygons[head.polygon_material == head.material_names.index("Brows")])
    hair = head.v_template[hair[hair >= 0]].astype(float)
    # lashes are hair too
    hair = hair[hair[:, 1] > head.joints[[EYE_LEFT, EYE_RIGHT], 1].max() + 0.01]
    rows = []
    for side, pairs in BROW_PAIRS.items():
        mine = hair[hair[:, 0] > 0] if side == "left" else hair[hair[:, 0] < 0]
        ends = (
            (mine[:, 0].max(), mine[:, 0].min())
            if side == "left"
            else (mine[:, 0].min(), mine[:, 0].max())
        )
        for number, (pair, share) in enumerate(zip(pairs, BROW_ALONG)):
            x = ends[0] + share * (ends[1] - ends[0])
            near = np.exp(-0.5 * ((mine[:, 0] - x) / 0.003) ** 2)
            rows.append(
                (
                    f"{side}_brow_{number}",
                    "brows",
                    pair,
                    *skin.spot(x, (near @ mine[:, 1]) / near.sum()),
                )
            )
    return rows


def _landmarks_of_the_middle(head: Head) -> list:
    """Nose tip, chin and the face's outline: anchors of the warp."""
    skin = np.unique(head.polygons[head.polygon_material == head.material_names.index("Skin")])
    skin = skin[skin >= 0]
    p, eyes = head.v_template[skin].astype(float), head.joints[[EYE_LEFT, EYE_RIGHT]].mean(0)
    lips = (
        head.v_template[[head.inner_lip_upper_mid, head.inner_lip_lower_mid]].astype(float).mean(0)
    )
    corners = head.v_template[[head.mouth_corner_left, head.mouth_corner_right], 0]
    middle = np.abs(p[:, 0]) < 0.004
    between = middle & (p[:, 1] < eyes[1]) & (p[:, 1] > lips[1])
    nose = np.flatnonzero(between)[p[between, 2].argmax()]
    # the chin's point: foremost and lowest of the middle line under the lips, before the skin turns
    # to the neck
    under = (
        middle
        & (p[:, 1] < lips[1] - 0.02)
        & (p[:, 1] > lips[1] - 0.06)
        & (p[:, 2] > lips[2] - 0.06)
    )
    chin = np.flatnonzero(under)[(p[under, 2] - p[under, 1]).argmax()]

    def outline(y, left):
        side = (
            (np.abs(p[:, 1] - y) < 0.006)
            & (p[:, 2] > 0)
            & (p[:, 2] < lips[2] - 0.03)
            & ((p[:, 0] > 0) == left)
        )
        return np.flatnonzero(side)[np.abs(p[side, 0]).argmax()]

    rows = []
    for name, ids, k in (
        ("nose_tip", NOSE_TIP, nose),
        ("chin", CHIN, chin),
        ("mouth_side_right", SIDE_OF_MOUTH[:1], outline(lips[1], False)),
        ("mouth_side_left", SIDE_OF_MOUTH[1:], outline(lips[1], True)),
        ("eye_side_right", SIDE_OF_EYES[:1], outline(eyes[1], False)),
        ("eye_side_left", SIDE_OF_EYES[1:], outline(eyes[1], True)),
    ):
        rows.append((name, "anchor", ids, np.full(3, skin[k]), np.array([1.0, 0, 0])))
    assert corners[0] > corners[1]
    return rows


def contours(head: Head) -> LandmarkSpots:
    """The spots whose position on the head is known by name: lips, lids, brows; and anchors (group
    `anchor`) for the warp."""
    skin = Front(head, _HAIR, without_eyes=True)
    rows = _lips(head) + _lids(head, skin) + _brows(head, skin) + _landmarks_of_the_middle(head)
    return LandmarkSpots.of_rows([row[1:] for row in rows])


def write_table(head: Head) -> None:
    """Write where the contours are on the bundled head."""
    rows = [
        [group, ids, vertices, [round(share, 5) for share in shares]]
        for group, ids, vertices, shares in contours(head).rows()
    ]
    TABLE.write_text("[" + ",\n".join(map(json.dumps, rows)) + "]\n", encoding="utf-8")


def read_landmarks(path: Path) -> np.ndarray:
    """Landmarks float64 [T, 478, 3] at 25 fps of an .npz (`landmarks`, `fps`), turned to our axes.

    The file keeps MediaPipe's axes: x right in the picture, y down, z away from the camera, any
    unit, NaN without a face. Here x is to the subject's left, y up, z to the camera. Raises
    BadRequest.
    """
    try:
        data = read_npz(path, 4 * MOST_BYTES)  # an hour at 50 fps
        points, fps = data["landmarks"].astype(np.float64), float(data["fps"])
    except (OSError, ValueError, KeyError) as error:
        raise BadRequest(
            f"{path.name} holds no landmarks and frame rate ({error}). Save arrays named landmarks "
            f"and fps."
        ) from None
    if points.ndim != 3 or points.shape[1:] != (POINTS, 3):
        raise BadRequest(
            f"{path.name} has landmarks of shape {points.shape} where frames × {POINTS} × 3 are "
            f"needed. Track with irises."
        )
    if np.isfinite(points).all((1, 2)).sum() < LEAST_FRAMES:
        raise BadRequest(
            f"{path.name} sees a face in fewer than {LEAST_FRAMES} frames. Use a longer recording "
            f"of one face."
        )
    at = np.arange(int((len(points) - 1) / fps * FPS + 1e-6) + 1) / FPS * fps
    low = at.astype(int).clip(0, len(points) - 2)
    rest = (at - low)[:, None, None]
    mixed = points[low] + np.where(rest > 1e-6, rest * (points[low + 1] - points[low]), 0)
    return mixed * (1, -1, -1)


if __name__ == "__main__":
    write_table(load_head())
