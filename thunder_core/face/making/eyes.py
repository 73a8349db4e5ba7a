# SPDX-License-Identifier: GPL-3.0-or-later
"""An eye as its lids see it: directions from the middle of the ball, the opening between the lids
in them, and lids that slide over the ball until they meet; numpy only."""

from dataclasses import dataclass

import numpy as np

from ...filters import ease
from ..regions import front_view, spots_seen
from .dots import grown, patches
from .surface import Surface

# the picture of the ball: its pixels, how far it reaches, the least opening of an eye; degrees
_DEGREES, _FRAME, _OPENING = 0.5, 88.0, 60.0
_TIGHT = 4  # pixels from skin that belong to an opening only beside others
_MEET = 0.2  # where lids meet: so much of the opening above the lower one
_LIDS = (32.0, 26.0)  # degrees above the upper rim and below the lower one where nothing moves
_WIDE = (-0.06, 0.28)  # by which lower and upper rim rise where the eye is opened wide
# and where it looks up or down: ICT-FaceKit's, which by degree of the ball's turn lie between those
# of MakeHuman and of Ready Player Me (upper rim down by .93, 1.15, .44); looking aside moves none
_LOOKS = {"eyeLookUp": (0.16, 0.32), "eyeLookDown": (-0.22, -0.67)}
_COVERS = (0.75, 2.6)  # radii of the ball between which skin belongs to lids
_INNER = (0.72, 0.88)  # radii: what is further in is behind the eye
_LID_END = (1.2, 1.75)  # radii: skin that is further out is brow and nose
_LASH_END = (1.7, 2.2)  # and what hangs on lids ends
_PAST = 9.0  # degrees past a corner where nothing moves
_RIM = 2.0  # degrees from a rim that belong to it
_NARROW = 6.0  # degrees of an opening, as at corners, whose rims even out too
_CLEAR = (1.01, 1.12)  # radii: shut lids lie so far from the middle; what is further out stays


@dataclass(frozen=True)
class Eye:
    """middle [3] and radius of the ball, mm.  at [N]: azimuths from the right corner to the left
    one.  lower, upper [N]: elevation of the rims there; degrees.  corners [4, 3]: places on the
    skin: right and left corner, middle of the upper rim and of the lower one."""

    middle: np.ndarray
    radius: float
    at: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    corners: np.ndarray

    def rims(self, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Elevation of the lower rim and of the upper one."""
        return tuple(np.interp(azimuth, self.at, each) for each in (self.lower, self.upper))

    def side(self, points: np.ndarray) -> np.ndarray:
        """1 above the line where lids meet, −1 below it, 0 away from the eye."""
        azimuth, elevation, far = seen(points - self.middle)
        lower, upper = self.rims(azimuth)
        near = 1.0 - ease((far / self.radius - 1.35) / 0.5)
        meet = lower + _MEET * (upper - lower)
        return np.clip((elevation - meet) / 2.0, -1, 1) * near * (np.abs(azimuth) < 85)

    def is_rim(self, points: np.ndarray) -> np.ndarray:
        """Whether points [P, 3] belong to rims where the eye is clearly open, [P]."""
        azimuth, elevation, far = seen(points - self.middle)
        lower, upper = self.rims(azimuth)
        near = (elevation > lower - _RIM) & (elevation < upper + _RIM)
        near &= (azimuth > self.at[0]) & (azimuth < self.at[-1])
        return near & (upper - lower > _NARROW) & (far < _COVERS[1] * self.radius)

    def shut(self, points: np.ndarray, skin: Surface | None = None) -> np.ndarray:
        """How far lids move until they are shut, [P, 3]: of the points of a skin, or of what hangs
        on it, as lashes."""
        return self._moved(points, (_MEET, _MEET - 1.0), skin, True)

    def widened(self, points: np.ndarray, skin: Surface | None = None) -> np.ndarray:
        """How far lids move where the eye is opened wide, [P, 3]; arguments as of `shut`."""
        return self._moved(points, _WIDE, skin, False)

    def followed(self, name: str, points: np.ndarray, skin: Surface | None = None) -> np.ndarray:
        """How far lids move where the eye looks as a key's name says, [P, 3]; arguments as of
        `shut`."""
        return self._moved(points, _LOOKS.get(name, (0.0, 0.0)), skin, False)

    def _moved(self, points, rises, skin: Surface | None, is_shut: bool) -> np.ndarray:
        """How far lids move whose rims, lower and upper, rise by shares of the opening:
        elevations keep their order, so that nothing folds."""
        azimuth, elevation, far = seen(points - self.middle)
        lower, upper = self.rims(azimuth)
        opening, ratio = upper - lower, far / self.radius
        high = np.clip((elevation - lower) / np.maximum(opening, 0.1), 0.0, 1.0)
        goal = (rises[0] + high * (rises[1] - rises[0])) * opening
        past = np.maximum(np.maximum(elevation - upper, lower - elevation), 0.0)
        # skin above a narrow opening, as at its corners, moves less far up
        none = np.minimum(np.where(elevation > upper, *_LIDS), 8.0 + 1.5 * opening)
        share = 1.0 - ease((past - 0.15 * none) / (0.85 * none))
        share *= 1.0 - ease(np.maximum(azimuth - self.at[-1], self.at[0] - azimuth) / _PAST)
        share *= ease(ratio, *_INNER)
        near, end = _LID_END if skin is not None else _LASH_END
        share *= 1.0 - ease(ratio, near, end)
        travel = goal * share
        if skin is not None:  # creases even out, rims stay where they meet
            travel = np.where(self.is_rim(points), travel, skin.smoothed(travel, 4))
        out = far
        if is_shut:  # what is shut lies before the ball, in order
            clear = self.radius * np.interp(ratio, (_INNER[1], _CLEAR[1]), _CLEAR)
            out = far + share * np.where(ratio < _CLEAR[1], np.maximum(clear - far, 0.0), 0.0)
        return placed(azimuth, elevation + travel, out) - placed(azimuth, elevation, far)


def seen(away: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(azimuth, elevation, distance) of offsets [P, 3] from the middle of an eye."""
    azimuth = np.degrees(np.arctan2(away[:, 0], away[:, 2]))
    elevation = np.degrees(np.arctan2(away[:, 1], np.hypot(away[:, 0], away[:, 2])))
    return azimuth, elevation, np.linalg.norm(away, axis=1)


def placed(azimuth: np.ndarray, elevation: np.ndarray, far: np.ndarray) -> np.ndarray:
    """The offsets [P, 3] that are seen so."""
    a, b = np.radians(azimuth), np.radians(elevation)
    return far[:, None] * np.stack([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)], 1)


def eye_of(skin: Surface, marks: np.ndarray, middle: np.ndarray, radius: float) -> Eye | None:
    """The eye of a ball: of what the skin leaves bare of it what is nearest to the marked places
    of its lids [4, 3]. None where it is shut, or no eye is there."""
    away = skin.points - middle
    azimuth, elevation, far = seen(away)
    ratio = far / radius
    # what is behind the front of the ball hides nothing of it, nor what faces it, as the nose
    near = (ratio > _COVERS[0]) & (ratio < _COVERS[1]) & (np.abs(azimuth) < 120)
    covers = (skin.corner_normals * away[skin.triangles[:, 0]]).sum(1) > 0
    sky, covers = np.stack([azimuth, elevation, -far], 1), near[skin.triangles].all(1) & covers
    frame = np.full(2, _FRAME)
    view = front_view(sky, skin.triangles[covers], -frame, frame, _DEGREES)
    bare = view.triangle < 0
    # beside a corner skin may bend away, as to the nose: what is narrow is no way out
    tight = ~grown(~bare, _TIGHT)
    patch = patches(tight)
    x, y = np.meshgrid(view.x, view.y)
    there = [each[0] for each in seen(marks.mean(0)[None] - middle)]
    off, best = np.hypot(x - there[0], y - there[1]), None
    inside = np.setdiff1d(patch[tight], np.r_[patch[[0, -1]].ravel(), patch[:, [0, -1]].ravel()])
    for label in inside:
        one = patch == label
        if one.sum() * _DEGREES**2 > _OPENING and (
            best is None or off[one].min() < off[best].min()
        ):
            best = one
    if best is None:
        return None
    for _ in range(2 * _TIGHT):
        best = bare & grown(best)
    columns = np.flatnonzero(best.any(0))
    top = best[:, columns].argmax(0)
    bottom = len(best) - 1 - best[::-1, columns].argmax(0)
    half, high, low = len(columns) // 2, view.y[top], view.y[bottom]
    # pixels of skin beside the opening
    row = np.r_[(top + bottom)[[0, -1]] // 2, top[half] - 1, bottom[half] + 1]
    column = columns[[0, -1, half, half]] + [-1, 1, 0, 0]
    beside = view.triangle[row, column], view.x[column], view.y[row]
    corners = spots_seen(sky, skin.triangles[covers], *beside).of(skin.points)
    pixel = _DEGREES / 2
    return Eye(middle, radius, view.x[columns], low - pixel, high + pixel, corners)
