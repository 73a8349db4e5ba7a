# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds where the lips of a FLAME-format head meet, by geometry: the seam where the jaw's influence jumps; numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import BadHead
from . import surface
from .head import EYE_LEFT, EYE_RIGHT, Head, JAW

# In distances between the eyes (62 mm in an adult): the window in which a mouth is searched, and its pixels.
_WIDE, _BELOW, _ABOVE = 0.75, 1.75, -0.6
_PIXEL = 1 / 192
_MERGE = 0.1  # distance below which breaks in one column belong to one mouth
_REACH = 4  # most pixels that the line rises or falls per column
_JUMP = 0.04  # smallest difference of the jaw's pull across lips; across skin there is none
_NARROWEST, _WIDEST = 0.35, 1.3


@dataclass(frozen=True)
class Seam:
    """The line on which closed lips meet, from the head's right to its left corner.

    upper, lower: the lips' margins [M] that meet.  x: [M] metres.  left, right: [3], the mouth's corners.
    upper_pull, lower_pull: [M], how much the margins follow the jaw.
    """

    upper: surface.Spots
    lower: surface.Spots
    x: np.ndarray
    middle: np.ndarray
    left: np.ndarray
    right: np.ndarray
    upper_pull: np.ndarray
    lower_pull: np.ndarray

    def along(self, u: np.ndarray) -> np.ndarray:
        """Points [K, 3] of the line at u [K]: −1 is the right corner, 1 the left."""
        x = np.concatenate([[self.right[0]], self.x, [self.left[0]]])
        points = np.concatenate([self.right[None], self.middle, self.left[None]])
        at = self.right[0] + (np.asarray(u) + 1) / 2 * (self.left[0] - self.right[0])
        return np.stack([np.interp(at, x, points[:, i]) for i in range(3)], 1)


def find_seam(head: Head) -> Seam:
    """The seam of a head at rest. Raises BadHead if its front shows no mouth with an upper and a lower lip."""
    points, joints = head.v_template.astype(np.float64), head.joints
    eyes = joints[[EYE_LEFT, EYE_RIGHT]]
    eye_distance = float(np.linalg.norm(eyes[0] - eyes[1]))
    middle = eyes.mean(0)
    low = middle[:2] + eye_distance * np.array([-_WIDE, -_BELOW])
    high = middle[:2] + eye_distance * np.array([_WIDE, _ABOVE])
    triangles = head.f[(head.f != np.roll(head.f, 1, axis=1)).all(1)]  # those that have three different corners
    try:
        view = surface.front_view(points, triangles, low, high, eye_distance * _PIXEL)
    except ValueError:
        raise BadHead(_LOST) from None
    above, below = _breaks(view, points, triangles, head.weights[:, JAW].astype(np.float64))
    columns = _longest_run(above, view, middle[0])
    if columns is None or not _NARROWEST < np.ptp(view.x[columns]) / eye_distance < _WIDEST:
        raise BadHead(_LOST)
    columns = _extended_to_corners(columns, above, below, view, triangles)
    rows_above, rows_below = above[columns], below[columns]
    x = view.x[columns]
    upper = surface.spots_seen(points, triangles, view.triangle[rows_above, columns], x, view.y[rows_above])
    lower = surface.spots_seen(points, triangles, view.triangle[rows_below, columns], x, view.y[rows_below])
    pull = head.weights[:, JAW].astype(np.float64)
    line = (upper.of(points) + lower.of(points)) / 2
    right, left = (_corner(points, view, triangles, columns, above, below, end) for end in (0, -1))
    return Seam(upper, lower, x, line, left, right, upper.of(pull), lower.of(pull))


_LOST = (
    "No lips were found on this head (seen from the front, nothing below its eyes parts when the jaw opens): "
    "choose a FLAME model, unchanged and with a closed mouth"
)


def _breaks(view, points, triangles, pull):
    """Per column the row above and the row below the break with the largest jump of the jaw's pull; −1 for none."""
    tri = view.triangle
    parted = tri[:-1] != tri[1:]
    rows, columns = np.nonzero(parted)
    a, b = tri[rows, columns], tri[rows + 1, columns]
    both = (a >= 0) & (b >= 0)
    adjacent = np.zeros(len(a), bool)
    adjacent[both] = _are_adjacent(triangles, len(points), a[both], b[both])
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


def _are_adjacent(triangles, count, a, b):
    """Whether the triangles a and b [K] share a vertex or have vertices that an edge joins."""
    edges = surface.edges_of(triangles)
    keys = np.sort(edges[:, 0] * count + edges[:, 1])
    one, other = triangles[a].astype(np.int64), triangles[b].astype(np.int64)  # [K, 3]
    p, q = np.repeat(one, 3, axis=1), np.tile(other, (1, 3))
    pair = np.minimum(p, q) * count + np.maximum(p, q)
    place = np.searchsorted(keys, pair).clip(0, len(keys) - 1)
    return ((p == q) | (keys[place] == pair)).any(1)


def _longest_run(above, view, middle):
    """The columns of the run that has a break and is nearest the middle; short losses inside are bridged."""
    have = np.flatnonzero(above >= 0)
    if not len(have):
        return None
    runs = np.split(have, np.flatnonzero(np.diff(have) > 4) + 1)
    run = max(runs, key=len)
    # the lips' line is smooth: a column with a break elsewhere is not part of the mouth
    rows = above[run]
    smooth = np.array([np.median(rows[max(0, i - 6) : i + 7]) for i in range(len(run))])
    run = run[np.abs(rows - smooth) <= round(0.05 / _PIXEL)]
    return run if len(run) and abs(view.x[run].mean() - middle) < 0.3 * np.ptp(view.x) else None


def _extended_to_corners(columns, above, below, view, triangles):
    """The columns with those beyond their ends where the margins come close, but share no vertex yet; fills above and below."""
    tri, result = view.triangle, list(columns)
    for end, step in ((0, -1), (-1, 1)):
        while 0 < result[end] + step < tri.shape[1] - 1:
            last, column = result[end], result[end] + step
            rows = np.arange(max(above[last] - _REACH, 0), min(below[last] + _REACH, tri.shape[0] - 1))
            a, b = tri[rows, column], tri[rows + 1, column]
            is_break = (a != b) & (a >= 0) & (b >= 0)
            is_break[is_break] = ~(triangles[a[is_break]][:, :, None] == triangles[b[is_break]][:, None, :]).any((1, 2))
            if not is_break.any():
                break
            row = rows[is_break][np.abs(rows[is_break] - above[last]).argmin()]
            above[column], below[column] = row, row + 1
            result.insert(0 if end == 0 else len(result), column)
    return np.array(result)


def _corner(points, view, triangles, columns, above, below, end):
    """Corner of the mouth: the vertex near the line's end that the triangles beyond it share; [3]."""
    last = columns[end]
    step = -1 if end == 0 else 1
    at_end = np.unique(triangles[view.triangle[[above[last], below[last]], last]])
    beyond = view.triangle[max(above[last] - _REACH, 0) : below[last] + _REACH, min(max(last + step, 0), len(view.x) - 1)]
    shared = np.intersect1d(np.unique(triangles[np.unique(beyond[beyond >= 0])]), at_end)
    x, y = view.x[last], (view.y[above[last]] + view.y[below[last]]) / 2
    outward = shared[(points[shared, 0] - x) * step > -1e-9]
    shared = outward if len(outward) else at_end
    return points[shared[np.hypot(points[shared, 0] - x, points[shared, 1] - y).argmin()]]
