# SPDX-License-Identifier: GPL-3.0-or-later
"""Retargets a performance between the bundled head and one with another expression basis, lips
closed alike; numpy only.

Corresponding points of lips and face are moved alike: per frame the coefficients are the most
likely ones (least squares with a prior), then changed as little as possible so that the gap between
the lips is exact. With the jaw's angle given, both are linear in the coefficients.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...filters import slices
from ...rotation import rotvec_to_matrix
from ...types import Motion, reorder
from .. import regions
from ..head import Head, JAW
from ..points import SkinnedPoints
from .driving import Driver

MOST = 10.0  # largest coefficient, the end of a shape key's slider

# Standard deviations of the points' positions, mm, relative to coefficients of size 1 (as FLAME's
# basis is scaled).
_POINT_MM, _GAP_MM = 0.25, 0.15
# number of independent measurements that all points together count as, since neighbours move alike
_STRENGTH = 40
# share of the jaw's pull on the bundled lips; where another head has less, its corner is nearer: no
# gap there
_PARTED = 0.6
# tolerance of the lips' gap at contact, and its growth per millimetre of opening
_TOUCH_MM, _SHARE = 0.02, 5.0
_MEETINGS = 3  # correction rounds for the gap; each leaves a part of the tolerance
# step of the jaw's angle between two factorisations, radians; in between the solution is refined
_BIN = 0.04
_REFINE = 3
_FRAMES = 512  # frames solved at once
_BUNDLED_RANGE = (0.0, 1.4)  # range of the bundled head's channels when a motion is read back
_OTHER_MOST = 8.0  # bound that leaves room for the last correction of the lips' gap
_BUNDLED_SIZE = 0.6  # expected size of these channels
_SWEEPS = 40  # most sweeps of coordinate descent; it stops when all steps are below _STILL
_STILL = 2e-4
_TURN_RANGE = (0.6, 1.6)


@dataclass(frozen=True)
class CoefficientSolver:
    """Finds the coefficients of a head's basis that bring its points to given positions.

    points: K of them.  weight: [K].  upper, lower: [P, 3] numbers of the points whose averages with
    the shares [P, 3] face each other across the lips.  middle: which of these pairs is in their
    middle.  size: [n], expected size of each coefficient.  low,
    high: its bounds.
    """

    points: SkinnedPoints
    weight: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    upper_shares: np.ndarray
    lower_shares: np.ndarray
    middle: int
    size: np.ndarray
    low: float
    high: float
    _factors: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, init=False)

    def gap(self, values: np.ndarray) -> np.ndarray:
        """Values [..., K, 3] of the points at the upper lip less those at the lower, [..., P,
        3]."""
        upper = (values[..., self.upper, :] * self.upper_shares[..., None]).sum(-2)
        return upper - (values[..., self.lower, :] * self.lower_shares[..., None]).sum(-2)

    @cached_property
    def _force(self):
        """Force on each point [K, 1] per metre that it is off."""
        unit = 1e-3 * _POINT_MM
        return (self.weight * _STRENGTH / self.weight.sum() / unit**2)[:, None]

    @cached_property
    def _gap_force(self):
        """The same for the gap of each pair across the lips."""
        return _STRENGTH / len(self.upper) / (1e-3 * _GAP_MM) ** 2

    def _factor(self, step: int):
        """Normal matrix at a jaw angle of `step` times _BIN, and its inverse."""
        if step not in self._factors:
            slope = self.points.slope(rotvec_to_matrix(np.array([step * _BIN, 0.0, 0.0])))
            n = len(slope)
            rows = (slope * np.sqrt(self._force)).reshape(n, -1)
            gaps = self.gap(slope).reshape(n, -1)
            normal = rows @ rows.T + self._gap_force * gaps @ gaps.T + np.diag(self.size**-2.0)
            self._factors[step] = normal, np.linalg.inv(normal)
        return self._factors[step]

    def solve(self, wanted: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Coefficients [T, n] that bring the points to wanted [T, K, 3] at jaw rotation vectors [T,
        3].

        The height of the gap between the lips is met exactly in their middle, and along them as far
        as the basis can.
        """
        result = np.zeros((len(wanted), len(self.points.directions)))
        steps = np.round(jaw[:, 0] / _BIN).astype(int)
        for step in np.unique(steps):
            rows = np.flatnonzero(steps == step)
            result[rows] = self._solve(
                wanted[rows], rotvec_to_matrix(jaw[rows]), *self._factor(int(step))
            )
        return result

    def _solve(self, wanted, turn, normal, inverse):
        """`solve` for frames whose jaw is near one angle; turn [T, 3, 3], normal matrix and its
        inverse."""
        result = np.zeros((len(wanted), len(normal)))
        for _ in range(_REFINE):
            right = self._downhill(result, wanted, turn)
            free = result + right @ inverse
            out = ((free < self.low) | (free > self.high)).any(1)
            if out.any():
                free[out] = self._solve_bounded((right + result @ normal)[out], normal, free[out])
            result = free
        return np.clip(self._meet(result, wanted, turn, inverse), -MOST, MOST)

    def _downhill(self, coefficients, wanted, turn):
        """Minus the gradient of the misfit, [T, n]."""
        left = wanted - self.points.place(coefficients, turn)
        force = left * self._force
        gap = self._gap_force * self.gap(left)[:, :, None]
        np.add.at(force, (slice(None), self.upper), gap * self.upper_shares[..., None])
        np.subtract.at(force, (slice(None), self.lower), gap * self.lower_shares[..., None])
        return self.points.apply_transpose(force, turn) - coefficients * self.size**-2.0

    def _solve_bounded(self, right, normal, start):
        """Coordinate descent for the bounds; right [T, n]."""
        result = np.clip(start, self.low, self.high)
        left = right - result @ normal
        for _ in range(_SWEEPS):
            moved = False
            for i in range(len(normal)):
                new = np.clip(result[:, i] + left[:, i] / normal[i, i], self.low, self.high)
                step = new - result[:, i]
                step[np.abs(step) <= _STILL] = 0.0  # frames do not depend on each other
                if step.any():
                    left -= step[:, None] * normal[i]
                    result[:, i] += step
                    moved = True
            if not moved:
                break
        return result

    def _meet(self, coefficients, wanted, turn, inverse):
        """The smallest change, by the misfit, that gives the gaps between the lips the wanted
        height.

        All along the lips to a tolerance that vanishes where they touch; in the middle exactly,
        whatever the basis.
        """
        rest, goal = self.gap(self.points.rest)[:, 1], self.gap(wanted)[..., 1]
        short = goal - self.gap(self.points.place(coefficients, turn))[..., 1]  # [T, P]
        slope = self._slope(turn)  # [T, n, P]
        slack = (1e-3 * _TOUCH_MM + _TOUCH_MM * _SHARE * np.abs(goal - rest)) ** 2
        reach = inverse @ slope
        system = slope.swapaxes(1, 2) @ reach
        soft = np.linalg.inv(system + slack[:, :, None] * np.eye(slack.shape[1]))
        for _ in range(_MEETINGS):
            push = soft @ short[..., None]
            coefficients = coefficients + (reach @ push)[..., 0]
            short = short - (system @ push)[..., 0]
        middle = self.middle
        push = short[:, middle] / (system[:, middle, middle] + 1e-14)
        return coefficients + reach[:, :, middle] * push[:, None]

    @cached_property
    def _lift(self):
        """Derivative of the gaps' height by the coefficients: at rest [n, P], and per element of
        the rotation's middle row [3, n·P]."""
        points = self.points
        # [n, P], [n, P, 3]
        still = self.gap(points.directions)[..., 1]
        per_rotation = self.gap(points.jaw_weight[:, None] * points.lever)
        return still, np.moveaxis(per_rotation, 2, 0).reshape(3, -1)

    def _slope(self, turn):
        """Derivative of the gaps' height by the coefficients at each frame's rotation, [T, n,
        P]."""
        still, per_rotation = self._lift
        row = turn[:, 1] - np.eye(3)[1]
        return still + (row @ per_rotation).reshape(len(turn), *still.shape)


@dataclass(frozen=True)
class Retarget:
    """Carries motions between the bundled head and another: `to` and `back`.

    bundled, other: the points of both heads.  scale: the other head's size over ours.  turn: its
    jaw's angle over ours.
    """

    bundled: CoefficientSolver
    other: CoefficientSolver
    bundled_channels: tuple[str, ...]
    scale: float
    turn: float

    def target_points(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """Target positions of the other head's points, [T, K, 3] metres, for a motion of the
        bundled head."""
        bundled = self.bundled.points
        expression = reorder(
            motion.expression, channels or self.bundled_channels, self.bundled_channels
        )
        placed = bundled.place(expression, rotvec_to_matrix(motion.jaw))
        return self.other.points.rest + self.scale * (placed - bundled.rest)

    def to(self, motion: Motion, channels: Sequence[str] | None = None) -> Motion:
        """The motion of the other head, in its basis; channels: names of the motion's columns, ours
        by default."""
        return _solve_motion(
            self.other, motion, self.turn, lambda part: self.target_points(part, channels)
        )

    def back(self, motion: Motion) -> Motion:
        """The motion of the bundled head that looks like a motion of the other. Its tongue, if it
        has none, stays at rest."""
        bundled, other = self.bundled.points, self.other.points
        return _solve_motion(
            self.bundled,
            motion,
            1 / self.turn,
            lambda part: bundled.rest + (other.of_motion(part) - other.rest) / self.scale,
        )


def _solve_motion(
    fit: CoefficientSolver, motion: Motion, turn: float, wanted: Callable[[Motion], np.ndarray]
) -> Motion:
    """The motion in the basis of a fit, its jaw turned `turn` times as far; wanted: gives the
    places of the fit's points in a part."""
    jaw = motion.jaw.astype(np.float64) * turn
    parts = [np.zeros((0, len(fit.points.directions)))]
    for rows in slices(motion.frames, _FRAMES):
        parts.append(fit.solve(wanted(motion.part(rows)), jaw[rows]))
    return replace(
        motion, expression=np.concatenate(parts).astype(np.float32), jaw=jaw.astype(np.float32)
    )


def to_head(head: Head, joints_move: bool = True) -> Retarget:
    """The retarget from the bundled head to another FLAME-format head, about half a second to make.

    joints_move: whether expression moves the other head's jaw joint (FLAME's formula) or not (a rig
    of bones). Raises BadHead if the head shows no lips.
    """
    ours = regions.bundled_face()
    result = regions.match(ours, regions.study(head))
    ring = regions.CONTACT_RING * regions.LIP_AROUND
    upper, lower = ring + regions.UPPER, ring + regions.LOWER
    pull, pulled = ours.head.weights[result.vertices, JAW], result.spots.of(head.weights[:, JAW])
    parted = pulled[lower] - pulled[upper] > _PARTED * (pull[lower] - pull[upper])
    middle = len(upper) // 2
    parted[middle] = True
    upper, lower, middle = upper[parted], lower[parted], int(parted[:middle].sum())
    # Lips meet as the mesh has them: an edge's middle is the average of its ends where they are,
    # not a skinned point.
    ends = np.concatenate([upper, lower])
    bundled = SkinnedPoints.of(
        ours.head, np.concatenate([result.vertices, np.repeat(result.vertices[ends], 3)])
    )
    corners = result.spots.vertices[ends].ravel()
    other = SkinnedPoints.of(
        head, lambda values: np.concatenate([result.spots.of(values), values[corners]]), joints_move
    )
    weight = np.concatenate([result.weight, np.zeros(len(corners))])
    numbers = len(result.vertices) + np.arange(len(corners)).reshape(-1, 3)
    shares = result.spots.shares[ends]
    lips = (*np.split(numbers, 2), *np.split(shares, 2), middle)
    return Retarget(
        CoefficientSolver(
            bundled, weight, *lips, np.full(ours.head.channels, _BUNDLED_SIZE), *_BUNDLED_RANGE
        ),
        CoefficientSolver(other, weight, *lips, np.ones(head.channels), -_OTHER_MOST, _OTHER_MOST),
        ours.head.expression_names,
        result.scale,
        _turn_ratio(bundled, other, weight, result.scale),
    )


def _turn_ratio(
    bundled: SkinnedPoints, other: SkinnedPoints, weight: np.ndarray, scale: float
) -> float:
    """By how much more the other jaw has to turn for the same opening, least squares over the
    points that follow the jaw."""
    turn = rotvec_to_matrix(np.array([[0.15, 0.0, 0.0]]))
    ours = scale * (bundled.place(np.zeros((1, len(bundled.directions))), turn)[0] - bundled.rest)
    plain = replace(other, correctives=np.zeros_like(other.correctives))
    theirs = plain.place(np.zeros((1, len(other.directions))), turn)[0] - other.rest
    weight = weight * (bundled.jaw_weight > 0.5)
    ratio = (weight[:, None] * ours * theirs).sum() / max(
        (weight[:, None] * theirs**2).sum(), 1e-12
    )
    return float(np.clip(ratio, *_TURN_RANGE))


class RetargetDriver(Driver):
    """Drives a rig that has another head's basis: keys named after its directions, bones for its
    joints.

    rig: drives the other head's coefficients and joints; its sources are that head's direction
    names.  names: these.
    make: creates the retarget on first use, since rigs are often inspected without being moved.
    """

    sums = None  # type: ignore[assignment]  # the whole motion is shown

    is_slow = True  # each frame is solved for

    def __init__(self, make: Callable[[], Retarget], rig: Driver, names: Sequence[str]):
        super().__init__(rig.tracks, rig.parts, rig.turns)
        self._make, self.names = make, tuple(names)

    @cached_property
    def retarget(self) -> Retarget:
        """The retarget, made when it is first needed."""
        return self._make()

    def prepare(self) -> Generator[float, None, None]:
        """Make the retarget in two steps of a few tenths of a second, so that a window can stay
        alive in between."""
        regions.bundled_face()
        yield 0.5
        self.retarget
        yield 1.0

    @property
    def used(self) -> set[str]:
        """The channels of the bundled head that move something: its basis is carried over as a
        whole."""
        return set(regions.bundled_face().head.expression_names)

    def drive(self, motion: Motion, channels: Sequence[str]) -> np.ndarray:
        """Values [T, tracks] of a motion of the bundled head whose expression columns are
        `channels`."""
        return super().drive(self.retarget.to(motion, channels), self.names)

    def read(self, values: np.ndarray, channels: Sequence[str]) -> Motion:
        """The motion of the bundled head, with expression columns `channels`, of values [T,
        tracks]."""
        motion = self.retarget.back(super().read(values, self.names))
        expression = reorder(motion.expression, self.retarget.bundled_channels, channels)
        return replace(motion, expression=expression.astype(np.float32))
