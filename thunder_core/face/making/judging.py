# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges shapes that were made for a face by what is seen of them: what a blink leaves open, holes
in which the skin's back shows, skin that tears; numpy only."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...rotation import rotvec_to_matrix
from ..regions import front_view, spots_seen
from .surface import Surface

_AROUND_MM = 60.0  # about the marked places, as far as skin is judged
_VIEWS, _VIEW_MM = (-0.9, 0.0, 0.9), 0.6  # radians and pixels by which what is seen is looked for
_SIDES = (-25.0, 0.0, 25.0)  # degrees from which an eye is seen
# round a mouth, pixels of holes, and how deep behind the skin these may be
_LIPS_MM, _HOLE_MM, _DEEP_MM = 15.0, 0.4, 12.0
_CLOSE_MM = 1.0  # by which a lip that goes back may come behind teeth
_STRETCH, _STRETCH_MM = 3.0, 2.0  # a longer edge is torn: so many times, and mm more


def seen_of(skin: Surface, marked: np.ndarray) -> np.ndarray:
    """Which triangles round the marked places [24, 3] are seen from the front or from a side in
    front, or lie between such, [F]."""
    seen = np.zeros(len(skin.points), bool)
    for turn in rotvec_to_matrix(np.outer(_VIEWS, [0.0, 1.0, 0.0])):
        low, high = (each((marked @ turn.T)[:, :2], axis=0) for each in (np.min, np.max))
        window = low - _AROUND_MM, high + _AROUND_MM
        view = front_view(skin.points @ turn.T, skin.triangles, *window, _VIEW_MM)
        seen[skin.triangles[view.triangle[view.triangle >= 0]]] = True
    return seen[skin.triangles].all(1)


def torn(skin: Surface, move: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, float]:
    """Which triangles seen [F] a movement [K, 3] turns over or stretches more than threefold, [F],
    and their area, in square units."""
    moved = Surface(skin.points + move, skin.triangles)
    flips = (skin.corner_normals * moved.corner_normals).sum(1) < 0

    def lengths(points):
        corners = points[skin.triangles]
        return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)

    tears = (lengths(moved.points) > _STRETCH * lengths(skin.points) + _STRETCH_MM).any(1)
    tears = seen & (flips | tears)
    return tears, float(np.linalg.norm(skin.corner_normals, axis=1)[tears].sum() / 2)


def left_open(
    points: np.ndarray,
    triangles: np.ndarray,
    is_eye: np.ndarray,
    middle: np.ndarray,
    radius: float,
    step: float = 0.1,
) -> float:
    """How high an eye is open, mm: the most of a column, over the whole ball, from the front and
    from both sides, in which the ball or nothing is seen, not skin.

    points [V, 3], triangles [F, 3] of skin and balls · is_eye [V]: balls · middle [3] and radius
    of this one · step: mm of a pixel.
    """
    away, highest = points - middle, 0.0
    # with the nose, behind which it may be
    near = ((np.abs(away[:, 1]) < 1.5 * radius) & (away[:, 2] > -radius))[triangles].any(1)
    for angle in _SIDES:
        turned = away @ rotvec_to_matrix(np.radians([[0.0, angle, 0.0]]))[0].T
        view = front_view(turned, triangles[near], -radius * np.ones(2), radius * np.ones(2), step)
        shown = triangles[near][view.triangle]
        bare = (view.triangle < 0) | is_eye[shown[..., 0]]
        bare |= Surface(turned, triangles[near]).corner_normals[view.triangle, 2] < 0
        bare &= np.hypot(view.x, view.y[:, None]) < radius
        highest = max(highest, bare.sum(0).max() * step)
    return float(highest)


@dataclass(frozen=True)
class MouthView:
    """A mouth from the front. skin.  triangles [N, 3]: of skin near it, which may come into the
    picture, as a chin that rises.  low, high [2]: its corners.  hidden: what lies in the mouth,
    as teeth; None for nothing."""

    skin: Surface
    triangles: np.ndarray
    low: np.ndarray
    high: np.ndarray
    hidden: Surface | None

    @classmethod
    def of(cls, skin: Surface, mouth: np.ndarray, hidden: Surface | None = None) -> "MouthView":
        """Round the marked places of a mouth [M, 3]."""
        low, high = mouth.min(0) - _LIPS_MM, mouth.max(0) + _LIPS_MM
        is_near = (skin.points > low - _LIPS_MM).all(1)
        is_near &= (skin.points[:, :2] < high[:2] + _LIPS_MM).all(1)
        return cls(skin, skin.triangles[is_near[skin.triangles].any(1)], low[:2], high[:2], hidden)

    def look(self, points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Triangles seen [H, W], −1 for none, and how far in front they are there [H, W]."""
        view = front_view(points, triangles, self.low, self.high, _HOLE_MM)
        has = view.triangle >= 0
        row, column = np.nonzero(has)
        spots = spots_seen(points, triangles, view.triangle[has], view.x[column], view.y[row])
        depth = np.full(has.shape, -np.inf)
        depth[has] = spots.of(points[:, 2])
        return view.triangle, depth

    def faces_back(self, points: np.ndarray) -> np.ndarray:
        """Which triangles turn their backs to the front, [N]."""
        return Surface(points, self.triangles).corner_normals[:, 2] < 0

    @cached_property
    def rest(self) -> tuple[np.ndarray, np.ndarray]:
        """What is seen of the skin at rest."""
        return self.look(self.skin.points, self.triangles)

    @cached_property
    def inside(self) -> np.ndarray:
        """How far in front what lies in the mouth is where skin hides it at rest, [H, W]."""
        if self.hidden is None:
            return np.full(self.rest[1].shape, -np.inf)
        depth = self.look(self.hidden.points, self.hidden.triangles)[1]
        return np.where(depth < self.rest[1], depth, -np.inf)

    def back_shown(self, move: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Where a movement [K, 3] shows the skin's back, which is not seen at rest: of each pixel
        the vertices of its triangle [N, 3], and how far its back lies before the front of the skin
        there, mm [N]; the area of all, mm²."""
        now = self.skin.points + move
        rest, rest_depth = self.rest
        shown, depth = self.look(now, self.triangles)
        is_back = self.faces_back(now)
        is_hole = (shown >= 0) & is_back[shown] & (depth > rest_depth - _DEEP_MM)
        is_hole &= ~((rest >= 0) & self.faces_back(self.skin.points)[rest])
        if not is_hole.any():
            return np.empty((0, 3), int), np.empty(0), 0.0
        behind = self.look(now, self.triangles[~is_back])[1][is_hole]
        before = depth[is_hole] - np.maximum(behind, -1e6)
        before = np.where(np.isfinite(behind), before, 0.0)
        return self.triangles[shown[is_hole]], before, float(is_hole.sum() * _HOLE_MM**2)

    def pierced(self, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where what lies in the mouth comes through skin that is seen at rest, as a movement
        [K, 3] brings this behind it: as of `back_shown`, without the area."""
        front = np.unique(self.rest[0])
        if not (move[self.triangles[front[front >= 0]], 2] < -_CLOSE_MM).any():
            return np.empty((0, 3), int), np.empty(0)
        shown, depth = self.look(self.skin.points + move, self.triangles)
        by = self.inside - np.where(shown < 0, np.inf, depth)
        is_pierced = np.isin(shown, front) & (by > 0) & (by < _DEEP_MM)
        return self.triangles[shown[is_pierced]], by[is_pierced]
