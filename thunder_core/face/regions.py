# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds lips, eyes and other parts on a FLAME-format head, numpy only: where its lips meet by
geometry, as the seam where the jaw's influence jumps, and the rest by carrying the bundled head's
marks over."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import BadHead
from ..filters import slices, split_at_gaps
from .head import EYE_LEFT, EYE_RIGHT, Head, JAW, load_head

# ---- points on a mesh

# pixel and triangle pairs of a front view; a face at a third of a millimetre has a tenth
_MOST_CANDIDATES = 6_000_000


@dataclass(frozen=True)
class Spots:
    """Points on a mesh: vertices [K, 3] of their triangles and barycentric shares [K, 3], rows sum
    to 1."""

    vertices: np.ndarray
    shares: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """Values [V, …] of the vertices at the points, [K, …]."""
        shares = self.shares.reshape(self.shares.shape + (1,) * (values.ndim - 1))
        return (values[self.vertices] * shares).sum(1)


@dataclass(frozen=True)
class FrontView:
    """The surface visible from the front (along −z), on a grid; rows from top to bottom.

    triangle: [H, W] number of the triangle, −1 for none.  x: [W], y: [H] of the pixels' middles,
    metres.
    """

    triangle: np.ndarray
    x: np.ndarray
    y: np.ndarray


def front_view(
    points: np.ndarray, triangles: np.ndarray, low: np.ndarray, high: np.ndarray, step: float
) -> FrontView:
    """The front of a mesh between the corners low and high ([2], x and y in metres) with pixels of
    a step.

    points [V, 3] · triangles [F, 3]. Raises BadHead if the window is far too fine for the mesh.
    """
    x = np.arange(low[0] + step / 2, high[0], step)
    y = np.arange(high[1] - step / 2, low[1], -step)
    corners = points[triangles]  # [F, 3, 3]
    first = np.floor((corners[:, :, 0].min(1) - low[0]) / step).astype(np.int64).clip(0, len(x))
    last = np.ceil((corners[:, :, 0].max(1) - low[0]) / step).astype(np.int64).clip(0, len(x))
    top = np.floor((high[1] - corners[:, :, 1].max(1)) / step).astype(np.int64).clip(0, len(y))
    bottom = np.ceil((high[1] - corners[:, :, 1].min(1)) / step).astype(np.int64).clip(0, len(y))
    wide = last - first
    count = wide * (bottom - top)
    if count.sum() > _MOST_CANDIDATES:
        raise BadHead("The mesh has too many triangles to be looked at: decimate it first")
    which = np.repeat(np.arange(len(triangles)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column = first[which] + place % np.maximum(wide[which], 1)
    row = top[which] + place // np.maximum(wide[which], 1)
    v, w, sound = _shares_at(corners[which], x[column], y[row])
    inside = sound & (v >= -1e-9) & (w >= -1e-9) & (v + w <= 1 + 1e-9)
    a, b, c = corners[which, :, 2].T
    depth = (a + v * (b - a) + w * (c - a))[inside]
    order = np.argsort(depth, kind="stable")  # the nearest is written last and stays
    ids = np.full(len(x) * len(y), -1, np.int64)
    ids[(row * len(x) + column)[inside][order]] = which[inside][order]
    return FrontView(ids.reshape(len(y), len(x)), x, y)


def _shares_at(corners, x, y):
    """Barycentric shares of the second and third of corners [K, 3, 3] at x, y [K] in the front
    view, [K] each, and whether the triangle has an area there."""
    a, b, c = (corners[:, i] for i in range(3))
    ab, ac, right, up = b - a, c - a, x - a[:, 0], y - a[:, 1]
    area = ab[:, 0] * ac[:, 1] - ac[:, 0] * ab[:, 1]
    sound = np.abs(area) > 1e-14
    area = np.where(sound, area, 1e-14)
    v = (right * ac[:, 1] - ac[:, 0] * up) / area
    w = (ab[:, 0] * up - right * ab[:, 1]) / area
    return v, w, sound


def spots_seen(
    points: np.ndarray, triangles: np.ndarray, which: np.ndarray, x: np.ndarray, y: np.ndarray
) -> Spots:
    """The points of the triangles `which` [K] that lie at x, y [K] in the front view."""
    v, w, _ = _shares_at(points[triangles[which]], x, y)
    shares = np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)
    return Spots(triangles[which], shares / shares.sum(1, keepdims=True))


def nearest_spots(
    queries: np.ndarray, points: np.ndarray, triangles: np.ndarray, tries: int = 24
) -> Spots:
    """About the nearest point of a mesh to each of the queries [K, 3], of the `tries` triangles
    whose middles are nearest."""
    middles = points[triangles].mean(1).astype(np.float32)
    queries32 = queries.astype(np.float32)
    tries = min(tries, len(triangles))
    near = np.empty((len(queries), tries), np.int64)
    for block in slices(len(queries), 512):
        distance = distances(queries32[block], middles)
        near[block] = np.argpartition(distance, tries - 1, axis=1)[:, :tries]
    corners = points[triangles[near]]  # [K, tries, 3 corners, 3]
    shares = _nearest_shares(queries[:, None], corners)
    points_on = (shares[..., None] * corners).sum(2)
    distance = np.linalg.norm(points_on - queries[:, None], axis=2)
    best = distance.argmin(1)
    rows = np.arange(len(queries))
    return Spots(triangles[near[rows, best]], shares[rows, best])


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances [A, B] of points [A, 3] and [B, 3]."""
    middle = b.mean(0)  # about a common middle no digits are lost
    a, b = a - middle, b - middle
    return (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T


def _nearest_shares(query, corners):
    """Barycentric shares of points of triangles [..., 3, 3] near queries [..., 3]: the nearest
    where these lie over the triangle, else one on its edge."""
    a, b, c = (corners[..., i, :] for i in range(3))
    ab, ac, aq = b - a, c - a, query - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (aq * ab).sum(-1), (aq * ac).sum(-1)
    det = d00 * d11 - d01 * d01
    det = np.where(det > 1e-20, det, 1.0)
    v, w = (d11 * d20 - d01 * d21) / det, (d00 * d21 - d01 * d20) / det
    shares = np.clip(np.stack([1 - v - w, v, w], -1), 0, 1)
    return shares / shares.sum(-1, keepdims=True)


def pieces(count: int, triangles: np.ndarray) -> np.ndarray:
    """Number of the connected piece that each of count vertices belongs to, [V]."""
    label = np.arange(count)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    while True:  # labels run to the smallest of their piece, in doubling steps
        low = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        new = label.copy()
        np.minimum.at(new, edges[:, 0], low)
        np.minimum.at(new, edges[:, 1], low)
        new = new[new]
        if np.array_equal(new, label):
            return label
        label = new


# Mouth vertices of the bundled head: the lips come first, as rings from the skin inwards, each
# starting at the left corner along the upper lip.
LIP_RINGS, LIP_AROUND, CONTACT_RING = 7, 40, 5
# opposite vertices of a ring, from corner to corner
UPPER, LOWER = (np.arange(1, 20), np.arange(39, 20, -1))

_FACE_POINTS = 420  # skin points, besides the lips, that describe a face's movement
# stiffness at the known places, in distances between the eyes: they are accurate to half a
# millimetre
_PLACES_STIFF = 0.01

# In distances between the eyes (62 mm in an adult): the window in which a mouth is searched, and
# its pixels.
_WIDE, _BELOW, _ABOVE = 0.75, 1.75, -0.6
_PIXEL = 1 / 192
_MERGE = 0.1  # distance below which breaks in one column belong to one mouth
_REACH = 4  # most pixels that the line rises or falls per column
_JUMP = 0.04  # smallest difference of the jaw's pull across lips; across skin there is none
_NARROWEST, _WIDEST = 0.35, 1.3


# ---- the line of the lips


@dataclass(frozen=True)
class Seam:
    """The line on which closed lips meet, from the head's right to its left corner.

    upper, lower: the lips' margins [M] that meet.  x: [M], middle: [M, 3], metres.
    upper_pull, lower_pull: [M], how much the margins follow the jaw.
    """

    upper: Spots
    lower: Spots
    x: np.ndarray
    middle: np.ndarray
    upper_pull: np.ndarray
    lower_pull: np.ndarray

    def along(self, u: np.ndarray) -> np.ndarray:
        """Points [K, 3] of the line at u [K]: −1 is the right corner, 1 the left."""
        places = self.x[0] + (np.asarray(u) + 1) / 2 * (self.x[-1] - self.x[0])
        return np.stack([np.interp(places, self.x, self.middle[:, i]) for i in range(3)], 1)


def find_seam(head: Head) -> Seam:
    """The seam of a head at rest. Raises BadHead if its front shows no mouth with an upper and a
    lower lip."""
    points, joints = head.v_template.astype(np.float64), head.joints
    eyes = joints[[EYE_LEFT, EYE_RIGHT]]
    eye_distance = float(np.linalg.norm(eyes[0] - eyes[1]))
    middle = eyes.mean(0)
    low = middle[:2] + eye_distance * np.array([-_WIDE, -_BELOW])
    high = middle[:2] + eye_distance * np.array([_WIDE, _ABOVE])
    # those that have three different corners
    triangles = head.f[(head.f != np.roll(head.f, 1, axis=1)).all(1)]
    view = front_view(points, triangles, low, high, eye_distance * _PIXEL)
    pull = head.weights[:, JAW].astype(np.float64)
    above, below = _breaks(view, triangles, pull)
    columns = _longest_run(above, view, middle[0])
    if columns is None or not _NARROWEST < np.ptp(view.x[columns]) / eye_distance < _WIDEST:
        raise BadHead(_LOST)
    columns = _extend_to_corners(columns, above, below, view, triangles)
    rows_above, rows_below = above[columns], below[columns]
    x = view.x[columns]
    upper = spots_seen(points, triangles, view.triangle[rows_above, columns], x, view.y[rows_above])
    lower = spots_seen(points, triangles, view.triangle[rows_below, columns], x, view.y[rows_below])
    line = (upper.of(points) + lower.of(points)) / 2
    return Seam(upper, lower, x, line, upper.of(pull), lower.of(pull))


_LOST = (
    "No lips were found on this head (seen from the front, nothing below its eyes parts when the "
    "jaw opens): "
    "choose a FLAME model, unchanged and with a closed mouth"
)


def _breaks(view, triangles, pull):
    """Per column the row above and the row below the break with the largest jump of the jaw's pull;
    −1 for none."""
    tri = view.triangle
    parted = tri[:-1] != tri[1:]
    rows, columns = np.nonzero(parted)
    a, b = tri[rows, columns], tri[rows + 1, columns]
    both = (a >= 0) & (b >= 0)
    adjacent = np.zeros(len(a), bool)
    adjacent[both] = _share_a_vertex(triangles, a[both], b[both])
    rows, columns = rows[~adjacent], columns[~adjacent]
    above, below = np.full(tri.shape[1], -1), np.full(tri.shape[1], -1)
    jump = np.full(tri.shape[1], _JUMP)
    merge = round(_MERGE / _PIXEL)
    order = np.lexsort((rows, columns))
    rows, columns = rows[order], columns[order]
    if not len(rows):
        return above, below
    start = np.r_[True, (np.diff(columns) != 0) | (np.diff(rows) > merge)]
    firsts, lasts = np.flatnonzero(start), np.r_[np.flatnonzero(start)[1:] - 1, len(rows) - 1]
    share = pull[triangles].mean(1)
    for first, last in zip(firsts, lasts):
        column, row, after = columns[first], rows[first], rows[last] + 1
        if tri[row, column] < 0 or tri[after, column] < 0:
            continue
        difference = share[tri[after, column]] - share[tri[row, column]]
        if difference > jump[column]:
            jump[column], above[column], below[column] = difference, row, after
    return above, below


def _share_a_vertex(triangles, a, b):
    """Whether the triangles a and b [K] share a vertex."""
    return (triangles[a][:, :, None] == triangles[b][:, None, :]).any((1, 2))


def _longest_run(above, view, middle):
    """The columns of the run that has a break and is nearest the middle; short losses inside are
    bridged."""
    have = np.flatnonzero(above >= 0)
    if not len(have):
        return None
    run = max(split_at_gaps(have, 4), key=len)
    # the lips' line is smooth: a column with a break elsewhere is not part of the mouth
    rows = above[run]
    smooth = np.array([np.median(rows[max(0, i - 6) : i + 7]) for i in range(len(run))])
    run = run[np.abs(rows - smooth) <= round(0.05 / _PIXEL)]
    return run if len(run) and abs(view.x[run].mean() - middle) < 0.3 * np.ptp(view.x) else None


def _extend_to_corners(columns, above, below, view, triangles):
    """The columns with those beyond their ends where the margins come close, but share no vertex
    yet; fills above and below."""
    tri, result = view.triangle, list(columns)
    for end, step in ((0, -1), (-1, 1)):
        while 0 < result[end] + step < tri.shape[1] - 1:
            last, column = result[end], result[end] + step
            rows = np.arange(
                max(above[last] - _REACH, 0), min(below[last] + _REACH, tri.shape[0] - 1)
            )
            a, b = tri[rows, column], tri[rows + 1, column]
            is_break = (a != b) & (a >= 0) & (b >= 0)
            is_break[is_break] = ~_share_a_vertex(triangles, a[is_break], b[is_break])
            if not is_break.any():
                break
            row = rows[is_break][np.abs(rows[is_break] - above[last]).argmin()]
            above[column], below[column] = row, row + 1
            result.insert(0 if end == 0 else len(result), column)
    return np.array(result)


# ---- one head over another


@dataclass(frozen=True)
class Warp:
    """A smooth map of space that maps points onto others: a similarity, and a biharmonic spline for
    the residual."""

    turn: np.ndarray
    shift: np.ndarray
    centres: np.ndarray
    pull: np.ndarray

    @classmethod
    def rigid(cls, source: np.ndarray, target: np.ndarray) -> "Warp":
        """The similarity (Umeyama 1991) that takes source [K, 3] nearest to target [K, 3]."""
        a, b = source - source.mean(0), target - target.mean(0)
        u, stretch, vt = np.linalg.svd(a.T @ b)
        sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
        turn = (stretch * sign).sum() / (a**2).sum() * (u * sign) @ vt
        return cls(turn, target.mean(0) - source.mean(0) @ turn, np.zeros((0, 3)), np.zeros((0, 3)))

    def bend(self, source: np.ndarray, target: np.ndarray, stiffness: np.ndarray) -> "Warp":
        """This map's similarity, bent to take source [K, 3] to target; a point of stiffness 0 [K]
        is met exactly."""
        count = len(source)
        system = np.zeros((count + 1, count + 1))
        system[:count, :count] = np.diag(np.maximum(stiffness, 1e-6)) - _distances(source, source)
        system[:count, -1] = system[-1, :count] = 1.0
        left = target - (source @ self.turn + self.shift)
        solved = np.linalg.solve(system, np.concatenate([left, np.zeros((1, 3))]))
        return Warp(self.turn, self.shift + solved[-1], source, solved[:count])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The mapped points [P, 3]."""
        return points @ self.turn + self.shift - _distances(points, self.centres) @ self.pull


def _distances(a, b):
    """Distances [A, B] between points [A, 3] and [B, 3]."""
    return np.sqrt(np.maximum(distances(a, b), 0.0)) if len(b) else np.zeros((len(a), 0))


@dataclass(frozen=True)
class MatchableFace:
    """A head's data for matching: points, skin, seam, and a few landmarks known by shape.

    unit: distance between the eyes, metres.  skin: triangles [F', 3] of the part with the lips.
    places: [L, 3], eyes, lips' line, nose, chin, in one order for all heads.
    """

    head: Head
    seam: Seam
    points: np.ndarray
    skin: np.ndarray
    places: np.ndarray
    unit: float


def study(head: Head) -> MatchableFace:
    """Find the places of a head. Raises BadHead if it shows no mouth."""
    seam = find_seam(head)
    points, joints = head.v_template.astype(np.float64), head.joints
    piece = pieces(len(points), head.f)
    skin = head.f[piece[head.f[:, 0]] == piece[seam.upper.vertices[len(seam.x) // 2, 0]]]
    unit = float(np.linalg.norm(joints[EYE_LEFT] - joints[EYE_RIGHT]))
    middle = seam.along(np.zeros(1))[0]
    ids = np.unique(skin)
    band = ids[np.abs(points[ids, 0] - middle[0]) < 0.12 * unit]
    nose = band[
        (points[band, 1] > middle[1] + 0.15 * unit) & (points[band, 1] < joints[EYE_LEFT, 1])
    ]
    chin = band[head.weights[band, JAW] > 0.8 * seam.lower_pull.max()]
    if not len(nose) or not len(chin):
        raise BadHead(
            "No nose or chin was found on this head where a face has them: choose a FLAME model, "
            "unchanged"
        )
    places = np.concatenate(
        [
            joints[[EYE_LEFT, EYE_RIGHT]],
            seam.along(np.linspace(-1, 1, 17)),
            points[
                [nose[points[nose, 2].argmax()], chin[(points[chin, 2] - points[chin, 1]).argmax()]]
            ],
        ]
    )
    return MatchableFace(head, seam, points, skin, places, unit)


@lru_cache(maxsize=1)
def bundled_face() -> MatchableFace:
    """The bundled head, studied."""
    return study(load_head())


def _front(face: MatchableFace) -> np.ndarray:
    """Vertices of the skin that are seen from the front, above the throat; [K] ids."""
    points, unit = face.points, face.unit
    eyes, middle = face.places[:2].mean(0), face.seam.along(np.zeros(1))[0]
    low = np.array([eyes[0] - 1.4 * unit, min(middle[1] - 0.9 * unit, face.places[-1, 1])])
    high = np.array([eyes[0] + 1.4 * unit, eyes[1] + 1.0 * unit])
    view = front_view(points, face.skin, low, high, unit / 64)
    ids = np.unique(face.skin)
    ids = ids[((points[ids, :2] > low) & (points[ids, :2] < high)).all(1)]
    column = ((points[ids, 0] - low[0]) / (unit / 64)).astype(int).clip(0, len(view.x) - 1)
    row = ((high[1] - points[ids, 1]) / (unit / 64)).astype(int).clip(0, len(view.y) - 1)
    triangle = view.triangle[row, column]
    depth = np.where(triangle >= 0, points[face.skin[triangle], 2].min(1), np.inf)
    return ids[points[ids, 2] > depth - 0.02 * unit]


def _spread_vertices(face: MatchableFace, ids: np.ndarray, count: int) -> np.ndarray:
    """`count` vertices, evenly spread: each is the farthest from those before."""
    points = face.points[ids]
    chosen = [int(np.abs(points - points.mean(0)).sum(1).argmin())]
    distance = np.full(len(points), np.inf)
    for _ in range(min(count, len(ids)) - 1):
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    return ids[np.array(chosen)]


@dataclass(frozen=True)
class MatchedPoints:
    """Points of the bundled head and the same places on another.

    vertices: [K] ids on the bundled head: its 280 lip vertices first, in their order, then the
    skin's.
    spots: [K] places on the other head.  weight: [K], how much each counts.  scale: the other
    head's size over ours.
    """

    vertices: np.ndarray
    spots: Spots
    weight: np.ndarray
    scale: float


def match(source: MatchableFace, target: MatchableFace) -> MatchedPoints:
    """Corresponding points of the bundled head's lips and face and another head's."""
    # eyes, lips, nose and chin on each other
    stiffness = np.full(len(source.places), _PLACES_STIFF * source.unit)
    warp = Warp.rigid(source.places, target.places).bend(source.places, target.places, stiffness)
    lips = source.head.mouth_vertices[source.head.mouth_parts == 0]
    rings = lips.reshape(LIP_RINGS, LIP_AROUND)
    face = _spread_vertices(source, np.setdiff1d(_front(source), lips), _FACE_POINTS)
    ids = np.concatenate([lips, face])
    carried = warp(source.points[ids])
    spots = nearest_spots(carried, target.points, target.skin)
    # adjacent at rest, apart when the mouth opens: each lip is searched on its own side
    pull = target.head.weights[:, JAW].astype(np.float64)[target.skin].mean(1)
    between = (np.median(target.seam.upper_pull) + np.median(target.seam.lower_pull)) / 2
    vertices, shares = spots.vertices.copy(), spots.shares.copy()
    for columns, side in ((UPPER, pull < between), (LOWER, pull > between)):
        place = (np.arange(LIP_RINGS)[:, None] * LIP_AROUND + columns).ravel()
        spots_on_lip = nearest_spots(carried[place], target.points, target.skin[side])
        vertices[place], shares[place] = spots_on_lip.vertices, spots_on_lip.shares
    middle = source.seam.along(np.zeros(1))[0]
    near = np.exp(
        -0.5 * (np.linalg.norm(source.points[face] - middle, axis=1) / (0.6 * source.unit)) ** 2
    )
    eyes = _distances(source.points[face], source.places[:2]).min(1)
    near = np.maximum(near, np.exp(-0.5 * (eyes / (0.35 * source.unit)) ** 2))
    weight = np.concatenate([np.ones(rings.size), 0.08 + 0.35 * near])
    return MatchedPoints(
        ids, Spots(vertices, shares), weight, float(np.cbrt(np.linalg.det(warp.turn)))
    )
