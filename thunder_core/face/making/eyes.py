# SPDX-License-Identifier: GPL-3.0-or-later
"""An eye as its lids see it: directions from the middle of the ball, the rims of the lids in them,
and lids that slide over the ball until they meet; numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...filters import smoothstep, split_at_gaps
from ..regions import front_view
from . import dots
from .surface import Surface

# the picture in which rims are looked for: its pixels, which columns are used, how high it is
_DEGREES, _COLUMN, _HIGH = 0.25, 12, 70.0
_MEET = 0.2  # where lids meet: so much of the opening above the lower one
_NEAR = 2.6  # radii of the ball within which skin belongs to lids
_LIDS = {True: 32.0, False: 26.0}  # degrees from a rim beyond which nothing moves
_BESIDE = 6.0  # degrees by which the opening may lie beside the middle between the marks
_OFF = 14.0  # degrees by which a rim may be off its mark
_WIDE = (0.28, -0.06)  # by which rims rise where the eye is opened wide, of the opening
_OVER = 1.5  # degrees by which lids pass each other
_INNER = (0.72, 0.88)  # radii: what is further in is behind the eye
_LID_END = (1.2, 1.75)  # radii: skin that is further out is brow and nose
_LASH_END = (1.7, 2.2)  # and what hangs on lids ends
_PAST = 0.06  # of the opening's width: how far past its marked corners rims are looked for
_INSET = 0.25  # how near these ends lids need not meet
_RIM = 2.0  # degrees from a rim that belong to it
_NARROW = 8.0  # degrees of an opening, as at corners, whose rims even out too


@dataclass(frozen=True)
class Eye:
    """middle [3] and radius of the ball, mm.  at [N]: azimuths from past the right corner to past
    the left one.  upper, lower [N]: elevation of the rims there; degrees."""

    middle: np.ndarray
    radius: float
    at: np.ndarray
    upper: np.ndarray
    lower: np.ndarray

    def seen(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(azimuth, elevation, distance) of points [P, 3]: degrees, mm."""
        return seen(points - self.middle)

    def rims(self, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Elevation of the upper rim, of the lower one and of the line where they meet."""
        upper, lower = (np.interp(azimuth, self.at, each) for each in (self.upper, self.lower))
        return upper, lower, lower + _MEET * (upper - lower)

    def side(self, points: np.ndarray) -> np.ndarray:
        """1 above the line where lids meet, −1 below it, 0 away from the eye."""
        azimuth, elevation, far = self.seen(points)
        meet = self.rims(azimuth)[2]
        near = 1.0 - fade((far / self.radius - 1.35) / 0.5)
        return np.clip((elevation - meet) / 2.0, -1, 1) * near * (np.abs(azimuth) < 85)

    def is_between(self, points: np.ndarray) -> np.ndarray:
        """Whether points [P, 3] are on lids between the corners, where they meet, [P]."""
        azimuth, _, far = self.seen(points)
        right, left = self.at[[0, -1]]
        inset = _INSET * (left - right)
        return (azimuth > right + inset) & (azimuth < left - inset) & (far < _NEAR * self.radius)

    def shut(self, points: np.ndarray, skin: Surface | None = None) -> np.ndarray:
        """How far lids move until they are shut, [P, 3]: of the points of a skin, or of what hangs
        on it, as lashes."""
        return self._moved(points, (_MEET - 1.0, _MEET), _OVER, skin)

    def widened(self, points: np.ndarray, skin: Surface | None = None) -> np.ndarray:
        """How far lids move where the eye is opened wide, [P, 3]; arguments as of `shut`."""
        return self._moved(points, _WIDE, 0.0, skin)

    def _moved(self, points, rises, over: float, skin: Surface | None) -> np.ndarray:
        """How far lids move whose rims, upper and lower, rise by shares of the opening, and by so
        many degrees further."""
        azimuth, elevation, far = self.seen(points)
        upper, lower, meet = self.rims(azimuth)
        opening, travel = upper - lower, np.zeros(len(points))
        at_rim = np.zeros(len(points), bool)
        for is_upper, rim in ((True, upper), (False, lower)):
            past = (elevation - rim) if is_upper else (rim - elevation)
            which = elevation >= meet if is_upper else elevation < meet
            goal = rises[0 if is_upper else 1] * opening
            goal = goal + (-over if is_upper else over) * fade(opening / 12.0)
            # skin above a narrow opening, as at its corners, moves less far up
            none = np.minimum(_LIDS[is_upper], 8.0 + 1.5 * opening)
            travel += which * goal * (1.0 - fade((past - 0.15 * none) / (0.85 * none)))
            at_rim |= which & (past < _RIM) & (opening > _NARROW)
        ratio = far / self.radius
        low, high = _LID_END if skin is not None else _LASH_END
        travel *= fade((ratio - _INNER[0]) / (_INNER[1] - _INNER[0]))
        travel *= 1.0 - fade((ratio - low) / (high - low))
        travel *= np.abs(azimuth) < 100
        if skin is not None:  # creases even out, rims stay where they meet
            travel = np.where(at_rim, travel, skin.smoothed(travel, 4))
        return placed(azimuth, elevation + travel, far) - placed(azimuth, elevation, far)


def fade(x: np.ndarray) -> np.ndarray:
    """0 to 1, eased at both ends and level beyond them."""
    return smoothstep(np.clip(x, 0.0, 1.0))


def seen(away: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(azimuth, elevation, distance) of offsets [P, 3] from the middle of an eye."""
    azimuth = np.degrees(np.arctan2(away[:, 0], away[:, 2]))
    elevation = np.degrees(np.arctan2(away[:, 1], np.hypot(away[:, 0], away[:, 2])))
    return azimuth, elevation, np.linalg.norm(away, axis=1)


def placed(azimuth: np.ndarray, elevation: np.ndarray, far: np.ndarray) -> np.ndarray:
    """The offsets [P, 3] that are seen so."""
    a, b = np.radians(azimuth), np.radians(elevation)
    return far[:, None] * np.stack([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)], 1)


def eyes_of(skin: Surface, marked: np.ndarray, side: int, middle: np.ndarray, radius: float) -> Eye:
    """The eye of a side (0: left) by its ball and the marked places [24, 3] of its lids, whose rims
    are looked for on the skin."""

    def mark(name):
        place = marked[dots.NAMES.index(f"{name}, {('left', 'right')[side]}")]
        return [each[0] for each in seen((place - middle)[None])]

    inner, outer, top, bottom = (
        mark(name) for name in ("inner eye corner", "outer eye corner", "upper lid", "lower lid")
    )
    right, left = sorted([inner, outer])
    width = max(left[0] - right[0], 1.0)
    away = skin.points - middle
    azimuth, elevation, far = seen(away)
    # what is behind the front of the ball hides nothing of it, nor what faces it, as the nose
    near = (far < _NEAR * radius) & (far > 0.93 * radius) & (np.abs(azimuth) < 90)
    covers = (skin.corner_normals * away[skin.triangles[:, 0]]).sum(1) > 0
    view = front_view(
        np.stack([azimuth, elevation, -far], 1),
        skin.triangles[near[skin.triangles].all(1) & covers],
        np.array([right[0] - _PAST * width, -_HIGH]),
        np.array([left[0] + _PAST * width, _HIGH]),
        _DEGREES,
    )
    at = view.x[::_COLUMN]
    along = np.clip((at - right[0]) / width, 0.0, 1.0)
    base = right[1] + along * (left[1] - right[1])
    rims = []
    for each in (top, bottom):  # arcs through the marks
        place = np.clip((each[0] - right[0]) / width, 0.2, 0.8)
        rise = each[1] - (right[1] + place * (left[1] - right[1]))
        rising = np.where(along < place, along / place, (1 - along) / (1 - place))
        rims.append(base + rise * np.sin(rising * np.pi / 2))
    for column, line in enumerate((rims[0] + rims[1]) / 2):
        bare = view.triangle[:, _COLUMN * column] < 0
        gaps = [view.y[each] for each in split_at_gaps(np.flatnonzero(bare))]
        # the gap in the skin that is nearest to where the eye is marked
        off = [max(gap[-1] - line, line - gap[0], 0.0) for gap in gaps]
        is_open = min(off, default=_BESIDE) < _BESIDE
        found = gaps[int(np.argmin(off))][[0, -1]] if is_open else (line, line)
        for rim, place in zip(rims, found):
            if abs(place - rim[column]) < _OFF:
                rim[column] = place
    return Eye(middle, radius, at, *rims)
