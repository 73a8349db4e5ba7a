# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of a head that expression and jaw move, neck still, by FLAME's skinning; numpy only.

Positions have the shapes that the bundled head adds where two keys meet (`Head.correctives`);
slopes leave them out. They move nothing where the lips meet. Tested against smplx.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from ..rotation import rotvec_to_matrix
from ..types import Motion
from .head import Head, JAW, JOINT_NAMES

Values = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SkinnedPoints:
    """Points of a head that expression and jaw move; metres.

    rest [K, 3] · directions [n, K, 3], offsets of each channel · jaw_weight [K], skinning weight of
    the jaw · joint [3] of the jaw, and joint_directions [n, 3], its movement by expression ·
    correctives [9, K, 3], per element of the jaw's rotation · pairs [c, 2] and pair_shapes [c, K,
    3]: shapes of key pairs, each a channel's index or −1 for the jaw.
    """

    rest: np.ndarray
    directions: np.ndarray
    jaw_weight: np.ndarray
    joint: np.ndarray
    joint_directions: np.ndarray
    correctives: np.ndarray
    pairs: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    pair_shapes: np.ndarray | None = None

    @classmethod
    def of(
        cls, head: Head, places: np.ndarray | list[int] | slice | Values, joints_move: bool = True
    ) -> SkinnedPoints:
        """Points of a head; places: which of its vertices, an index, or what makes of values [V, …]
        of its vertices the points', [K, …].

        joints_move: expression moves the jaw's joint, as FLAME's formula has it; a rig's bones
        stay. Of `head` only v_template, shapedirs, posedirs, weights, J_regressor,
        expression_names, corrective_pairs and correctives are read.
        """
        take = places if callable(places) else lambda values: values[places]
        regressor = head.J_regressor.astype(np.float64)
        moved = np.einsum("v,vcn->nc", regressor[JAW], head.shapedirs, optimize=True)
        return cls(
            take(head.v_template.astype(np.float64)),
            np.ascontiguousarray(np.moveaxis(take(head.shapedirs), 2, 0), np.float64),
            take(head.weights[:, JAW].astype(np.float64)),
            (regressor @ head.v_template.astype(np.float64))[JAW],
            moved * joints_move,
            np.ascontiguousarray(
                np.moveaxis(take(head.posedirs[:, :, 9 * (JAW - 1) : 9 * JAW]), 2, 0), np.float64
            ),
            *_pairs(head, take),
        )

    def part(self, ids: slice | list[int]) -> SkinnedPoints:
        """Some of the points, with those shapes of two keys that move them."""
        pairs, shapes = self.pairs, None if self.pair_shapes is None else self.pair_shapes[:, ids]
        if shapes is not None:
            moving = shapes.any(axis=(1, 2))
            pairs, shapes = (
                pairs[moving],
                np.ascontiguousarray(shapes[moving]) if moving.any() else None,
            )
        return replace(
            self,
            rest=self.rest[ids],
            directions=np.ascontiguousarray(self.directions[:, ids]),
            jaw_weight=self.jaw_weight[ids],
            correctives=np.ascontiguousarray(self.correctives[:, ids]),
            pairs=pairs,
            pair_shapes=shapes,
        )

    def in_single(self) -> SkinnedPoints:
        """These points in float32, which are placed in less than half the time, to 1e-8 m."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(
            self,
            **{
                name: array.astype(np.float32)
                for name, array in arrays.items()
                if array is not None and array.dtype == np.float64
            },
        )

    def average(self, shares: np.ndarray) -> SkinnedPoints:
        """Weighted means of these points. shares [M, K]: weight of each point in each mean; rows
        add up to 1.

        Raises ValueError for a mean of points that follow the jaw differently.
        """
        follow = [np.unique(self.jaw_weight[row != 0]) for row in shares]
        if any(len(weights) != 1 for weights in follow):
            raise ValueError("Points that follow the jaw differently have no mean that follows it")
        return replace(
            self,
            rest=shares @ self.rest,
            directions=np.ascontiguousarray(shares @ self.directions),
            jaw_weight=np.array([weights[0] for weights in follow]),
            correctives=np.ascontiguousarray(shares @ self.correctives),
            pair_shapes=None
            if self.pair_shapes is None
            else np.ascontiguousarray(shares @ self.pair_shapes),
        ).part(slice(None))

    @cached_property
    def lever(self) -> np.ndarray:
        """Directions relative to the joint, [n, K, 3]: the part that the jaw rotates."""
        return self.directions - self.joint_directions[:, None]

    @cached_property
    def _shapes(self) -> np.ndarray:
        """All that moves the points but the jaw's turn, [n + 9 + c, 3·K]."""
        parts = [self.directions, self.correctives]
        if self.pair_shapes is not None:
            parts.append(self.pair_shapes)
        return np.concatenate([part.reshape(len(part), -1) for part in parts])

    def _shape(self, coefficients: np.ndarray, rotation_change: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] before the jaw turns; rotation_change [T, 3, 3]: its rotation matrix
        less the identity."""
        amounts = [coefficients, rotation_change.reshape(len(coefficients), 9)]
        if self.pair_shapes is not None:
            # the last is the jaw's, at place −1
            factors = np.c_[np.clip(coefficients, 0.0, 1.0), rotation_change[:, 2, 1]]
            amounts.append(factors[:, self.pairs[:, 0]] * factors[:, self.pairs[:, 1]])
        moved = np.concatenate(amounts, 1) @ self._shapes
        return self.rest + moved.reshape(-1, *self.rest.shape)

    def place(self, coefficients: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] at coefficients [T, n] and jaw rotation matrices [T, 3, 3], neck
        still; all of the points' type."""
        more = turn - np.eye(3, dtype=turn.dtype)
        shaped = self._shape(coefficients, more)
        arm = shaped - self.joint - (coefficients @ self.joint_directions)[:, None]
        return shaped + self.jaw_weight[:, None] * (arm @ more.transpose(0, 2, 1))

    def heights(self, coefficients: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """The positions' heights (y) alone, [T, K], in less time; arguments as for `place`."""
        more = turn - np.eye(3)
        shaped = self._shape(coefficients, more)
        hinge = self.joint + coefficients @ self.joint_directions
        lift = np.einsum("tkc,tc->tk", shaped, more[:, 1]) - (hinge * more[:, 1]).sum(1)[:, None]
        return shaped[..., 1] + self.jaw_weight * lift

    def of_motion(self, motion: Motion) -> np.ndarray:
        """Positions [T, K, 3] over a motion whose expression columns are the head's channels, in
        their order."""
        return self.place(np.asarray(motion.expression, np.float64), rotvec_to_matrix(motion.jaw))

    def slope(self, turn: np.ndarray) -> np.ndarray:
        """Derivative of the points by the coefficients at one jaw rotation [3, 3], without the
        shapes of key pairs: [n, K, 3]."""
        return self.directions + self.jaw_weight[:, None] * (self.lever @ (turn - np.eye(3)).T)

    def height_slopes(self, channels: Sequence[int], turn: np.ndarray) -> np.ndarray:
        """Derivative of the points' heights by some channels at each frame's rotation [T, 3, 3]:
        [C, T, K]."""
        more = turn[:, 1] - np.eye(3)[1]  # the row that makes heights
        by_jaw = np.stack([more @ self.lever[channel].T for channel in channels])
        return self.directions[channels, None, :, 1] + self.jaw_weight * by_jaw

    def apply_transpose(self, force: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """The slope's transpose at each frame's turn [T, 3, 3] applied to forces [T, K, 3]: [T,
        n]."""
        n = len(self.directions)
        by_jaw = self.jaw_weight[:, None] * (force @ (turn - np.eye(3)))
        both = (force + by_jaw).reshape(len(force), -1) @ self.directions.reshape(n, -1).T
        return both - by_jaw.sum(1) @ self.joint_directions.T


def _pairs(head: Head, take: Values) -> tuple[np.ndarray, np.ndarray | None]:
    """(pairs [c, 2], shapes [c, K, 3]) of those shapes of two keys that move the points with neck
    and eyes still; None without one."""
    places = {str(name): place for place, name in enumerate(head.expression_names)} | {
        JOINT_NAMES[JAW]: -1
    }
    used = [
        number
        for number, pair in enumerate(head.corrective_pairs)
        if all(str(key) in places for key in pair)
    ]
    shapes = (
        np.moveaxis(take(head.correctives[:, :, used]), 2, 0).astype(np.float64)
        if used
        else np.zeros((0, 1, 3))
    )
    moving = shapes.any(axis=(1, 2))
    if not moving.any():
        return np.zeros((0, 2), int), None
    pairs = np.array(
        [[places[str(key)] for key in head.corrective_pairs[number]] for number in used]
    )
    return pairs[moving], np.ascontiguousarray(shapes[moving])
