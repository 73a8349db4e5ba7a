# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays a performance of the bundled head on a filmed person, and measures both as they are tracked.

A performance moves the person's resting landmarks as it moves the head, and trembles as that
person's landmarks do. Its mouth is what the tracker shows of it: filmed (`faces/filmed.py`), or by
the linear film; then it is read as the person's is (`engine.tracking.mouth`). What is
measured then differs in movement alone: not in proportions, nor in what a tracker adds or bends.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from research.faces.lip_clips import LipClip
from thunder_core.engine.tracking import solve, spots
from thunder_core.engine.tracking.mouth import (
    columns_of,
    JAW,
    JAW_UNIT,
    mouth_signals,
    tracked_mouth,
)
from thunder_core.face.head import load_head
from thunder_core.face.moving.mouth_shape import bundled_mouth, SIGNALS as MOUTH
from thunder_core.face.points import SkinnedPoints
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import Motion

Curves = dict[str, np.ndarray]  # signal → [T]
_SIDES = tuple(zip(spots.UPPER_LIDS, spots.LOWER_LIDS, spots.IRISES, spots.BROW_PAIRS.values()))
_IRISES = slice(468, 478)  # landmarks of both
_EYE_MM = 12.0  # from the eye's centre to its iris
_MIDDLE = slice(3, 6)  # of a lid's landmarks
# channels that are read of a mouth, by their names as curves
CHANNELS = {
    "pucker": "mouthPucker", "funnel": "mouthFunnel", "smile": "mouthSmile",
    "stretch": "mouthStretch", "lowerDown": "mouthLowerDown", "upperUp": "mouthUpperUp",
    "close": "mouthClose",
}  # fmt: skip
LINEAR_FILM = Path(__file__).with_name("linear_film.json")
_WARM = 20  # frames of misses before the first
_TREMBLE = 9  # frames: what landmarks fixed to the skull do beside a mean over so many


def measure_mouth(shown: np.ndarray) -> Curves:
    """A mouth's curves [T] by name, of what the tracker shows of it above rest [T, 6]:
    `mouth_shape.SIGNALS`, corner and lower lip, mm, and what makes them on our head: jaw, in
    JAW_UNIT, and CHANNELS."""
    expression, turn = tracked_mouth().read(shown)
    curves = dict(zip(MOUTH, bundled_mouth().measure(expression, turn).T))
    curves["corner"] = (curves["left corner"] + curves["right corner"]) / 2
    curves["lower lip"] = curves["upper lip"] - curves["opening"]
    names = load_head().expression_names
    of_each = {curve: columns_of(name, names) for curve, name in CHANNELS.items()}
    return (
        curves
        | {JAW: turn[:, 0] / JAW_UNIT}
        | {curve: expression[:, columns].mean(1) for curve, columns in of_each.items()}
    )


def measure_upper(points: np.ndarray, turns: np.ndarray) -> Curves:
    """The signals of an upper face [T] by name: inner and outer brow, mm on a face of the head's
    size; lid, in widths of the eye; gaze aside and up, pitch, yaw and roll, degrees about their
    usual value. Of left and right the mean; brow lean: by how much the left outer brow is above the
    right one.

    points [T, 478, 3]: landmarks held still.  turns [T, 3, 3]: rotations of the head.
    """
    sides = []
    for upper, lower, iris, pairs in _SIDES:
        corners = points[:, [upper[0], upper[-1]], :2]
        across = np.median(np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1))
        gap = points[:, list(upper), 1] - points[:, list(lower), 1]
        off = points[:, iris, :2] - corners.mean(1)
        reach = np.clip((off - np.median(off, 0)) / _EYE_MM, -0.7, 0.7)
        outer, inner = (points[:, np.ravel(some), 1].mean(1) for some in (pairs[:2], pairs[-2:]))
        sides.append(
            [inner, outer, gap[:, _MIDDLE].mean(1) / across, *np.degrees(np.arcsin(reach)).T]
        )
    names = ("inner brow", "outer brow", "lid", "gaze aside", "gaze up")
    curves = dict(zip(names, np.mean(sides, 0)))
    curves["brow lean"] = sides[1][1] - sides[0][1]
    heads = Rotation.from_matrix(turns)
    angles = np.degrees((heads.mean().inv() * heads).as_rotvec())
    return curves | dict(zip(("pitch", "yaw", "roll"), angles.T))


def measure(points: np.ndarray, turns: np.ndarray) -> Curves:
    """The signals of a tracked face [T]: those of `measure_mouth` and of `measure_upper`."""
    shown = mouth_signals(points) - mouth_signals(solve.resting_face(points)[None])
    return measure_mouth(shown) | measure_upper(points, turns)


@dataclass(frozen=True)
class LinearFilm:
    """How films of the bundled head show its mouth, without drawing one.

    moved [n, k]: of channels the share in each that is told apart.  slopes [6, k + 1]: shown
    millimetres by a unit of each, and by JAW_UNIT of the jaw.  missed [6, 6]: covariance of what
    these miss of films, mm².  alike [6]: r of that from one frame to the next.
    """

    moved: np.ndarray
    slopes: np.ndarray
    missed: np.ndarray
    alike: np.ndarray

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> "LinearFilm":
        """That of `python -m research.faces.slopes`."""
        table = json.loads(LINEAR_FILM.read_text(encoding="utf-8"))
        numbers = (np.array(table[name]) for name in ("slopes", "missed", "alike"))
        return cls(moved_by(table["channels"]), *numbers)

    def inputs(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """What `slopes` are by [T, k + 1], of expression [T, n] and jaw [T, 3]."""
        return np.c_[expression @ self.moved, jaw[:, 0] / JAW_UNIT]

    def show(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """What the tracker would show above rest [T, 6], mm, if it missed nothing."""
        return self.inputs(expression, jaw) @ self.slopes.T


def moved_by(channels: Sequence[str]) -> np.ndarray:
    """Shares [n, k] of the head's channels in some, sided ones without their side in both."""
    moved = [columns_of(name, load_head().expression_names) for name in channels]
    return np.array(moved).T / np.sum(moved, 1)


def show_mouth(motion: Motion, seed: int) -> np.ndarray:
    """What the tracker would show of a motion's mouth above rest [T, 6], mm, by the linear film,
    missing as much as that does."""
    film = LinearFilm.load()
    shown = film.show(motion.expression, motion.jaw)
    new = film.missed * (1 - np.outer(film.alike, film.alike))
    drawn = np.random.default_rng(seed).multivariate_normal(
        np.zeros(len(MOUTH)), new, motion.frames + _WARM
    )
    missed = [lfilter([1.0], [1.0, -r], x) for r, x in zip(film.alike, drawn.T)]
    return shown + np.stack(missed, 1)[_WARM:]


def measure_person(clip: LipClip, of: Callable[..., Curves] = measure) -> Curves:
    """What is measured of a clip's person, by `measure` or `measure_upper`, NaN in frames that are
    not."""
    points, turns, frames = clip.held
    curves = {}
    for name, values in of(points, turns).items():
        curves[name] = np.full(clip.frames, np.nan)
        curves[name][frames] = values
    return curves


class Puppet:
    """A filmed person's resting landmarks, which performances of the bundled head move.

    points [F, 478, 3]: the person's landmarks, held still, mm (`LipClip.held`).
    """

    def __init__(self, points: np.ndarray):
        self.head, self.neutral = load_head(), solve.resting_face(points)
        self.spots = spots.correspondence(self.head, self.neutral)
        self.skin = SkinnedPoints.of(
            self.head,
            lambda values: np.einsum(
                "kq,kq...->k...", self.spots.shares, values[self.spots.vertices]
            ),
        )
        self.size = np.full(len(self.spots), solve.MM)
        rest = solve.MM * self.skin.rest
        for _, rows, wider in solve._lids(points, self.neutral, rest, self.spots):
            self.size[rows] /= wider  # a closed eye of the head closes the person's
        rigid = points[:, list(spots.RIGID)]
        half = _TREMBLE // 2
        padded = np.pad(rigid, ((half, half), (0, 0), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, _TREMBLE, 0)
        apart = self.neutral[:, None, :2] - self.neutral[None, list(spots.RIGID), :2]
        nearest = np.linalg.norm(apart, axis=2).argmin(1)
        self.tremble = (rigid - windows.mean(-1))[:, nearest]

    def _places(self, frames: int, seed: int) -> np.ndarray:
        """Of each frame the one as which it trembles [T]."""
        start = np.random.default_rng(seed).integers(len(self.tremble))
        return (start + np.arange(frames)) % len(self.tremble)

    def wear(self, motion: Motion, seed: int) -> np.ndarray:
        """Landmarks [T, 478, 3] mm of the person who moves as a motion does, head and eyes turned.
        seed: says from which frame on they tremble."""
        moved = (self.skin.of_motion(motion) - self.skin.rest) * self.size[:, None]
        points = np.repeat(self.neutral[None], motion.frames, 0)
        for row, ids in enumerate(self.spots.landmarks):
            points[:, list(ids)] += moved[:, row, None]
        head, eyes = (turn.astype(float) for turn in motion.turns)
        looks = np.sin(eyes)[:, None]
        points[:, _IRISES, :2] += _EYE_MM * np.concatenate([looks[..., 1:2], -looks[..., :1]], -1)
        points += self.tremble[self._places(motion.frames, seed)]
        return points @ np.swapaxes(rotvec_to_matrix(head), 1, 2)

    def measure_upper(self, motion: Motion, seed: int) -> Curves:
        """What is measured of the upper face of a motion that the person wears (`wear`)."""
        return measure_upper(*solve.stabilise(self.wear(motion, seed), self.head))

    def measure(self, motion: Motion, seed: int) -> Curves:
        """The same, and its mouth as `show_mouth` has it."""
        return measure_mouth(show_mouth(motion, seed)) | self.measure_upper(motion, seed)
