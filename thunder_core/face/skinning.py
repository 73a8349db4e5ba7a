# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's skinning in numpy, for a few points of a head that expression and jaw move, neck still.

The engine's own, in torch, for all joints, is `engine/flame.py`. Both are tested against smplx. The shapes that the bundled head
adds where two keys meet (`Head.correctives`) are left out here: they move nothing where the lips meet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..rotation import rotvec_to_matrix
from ..types import Motion
from .head import Head, JAW


@dataclass(frozen=True)
class SkinnedPoints:
    """Points of a head that expression and jaw move; metres.

    rest [K, 3] · directions [n, K, 3], what each channel adds · jaw_weight [K], how much each follows the jaw · joint [3] of
    the jaw, and joint_directions [n, 3], how expression moves it · correctives [9, K, 3], per element of the jaw's rotation.
    """

    rest: np.ndarray
    directions: np.ndarray
    jaw_weight: np.ndarray
    joint: np.ndarray
    joint_directions: np.ndarray
    correctives: np.ndarray

    @classmethod
    def of(cls, head: Head, take: Callable[[np.ndarray], np.ndarray], joints_move: bool = True) -> SkinnedPoints:
        """Points of a head; take: from values [V, …] of its vertices to the points', [K, …].

        joints_move: expression moves the jaw's joint, as FLAME's formula has it; a rig's bones stay. Of `head` only
        v_template, shapedirs, posedirs, weights and J_regressor are read.
        """
        regressor = head.J_regressor.astype(np.float64)
        moved = np.einsum("v,vcn->nc", regressor[JAW], head.shapedirs, optimize=True)
        return cls(
            take(head.v_template.astype(np.float64)),
            np.ascontiguousarray(np.moveaxis(take(head.shapedirs), 2, 0), np.float64),
            take(head.weights[:, JAW].astype(np.float64)),
            (regressor @ head.v_template.astype(np.float64))[JAW],
            moved * joints_move,
            np.ascontiguousarray(np.moveaxis(take(head.posedirs[:, :, 9 * (JAW - 1) : 9 * JAW]), 2, 0), np.float64),
        )

    def part(self, ids: slice | list[int]) -> SkinnedPoints:
        """Some of the points."""
        return replace(
            self,
            rest=self.rest[ids],
            directions=np.ascontiguousarray(self.directions[:, ids]),
            jaw_weight=self.jaw_weight[ids],
            correctives=np.ascontiguousarray(self.correctives[:, ids]),
        )

    @cached_property
    def lever(self) -> np.ndarray:
        """Directions against the joint, [n, K, 3]: what the jaw's rotation turns of them."""
        return self.directions - self.joint_directions[:, None]

    def _shaped(self, coefficients: np.ndarray, more: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] before the jaw turns; more [T, 3, 3]: its rotation matrix less the identity."""
        frames, n = coefficients.shape
        moved = (coefficients @ self.directions.reshape(n, -1)).reshape(frames, -1, 3)
        moved += (more.reshape(frames, 9) @ self.correctives.reshape(9, -1)).reshape(moved.shape)
        return self.rest + moved

    def place(self, coefficients: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] at coefficients [T, n] and jaw rotation matrices [T, 3, 3], neck still."""
        more = turn - np.eye(3)
        shaped = self._shaped(coefficients, more)
        arm = shaped - self.joint - (coefficients @ self.joint_directions)[:, None]
        return shaped + self.jaw_weight[:, None] * (arm @ more.transpose(0, 2, 1))

    def heights(self, coefficients: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """The positions' heights (y) alone, [T, K], in less time; arguments as for `place`."""
        more = turn - np.eye(3)
        shaped = self._shaped(coefficients, more)
        hinge = self.joint + coefficients @ self.joint_directions
        turned = np.einsum("tkc,tc->tk", shaped, more[:, 1]) - (hinge * more[:, 1]).sum(1)[:, None]
        return shaped[..., 1] + self.jaw_weight * turned

    def of_motion(self, motion: Motion) -> np.ndarray:
        """Positions [T, K, 3] over a motion whose expression columns are the head's channels, in their order."""
        return self.place(np.asarray(motion.expression, np.float64), rotvec_to_matrix(np.asarray(motion.jaw, np.float64)))

    def slope(self, turn: np.ndarray) -> np.ndarray:
        """How coefficients move the points at one jaw rotation [3, 3]: [n, K, 3]."""
        return self.directions + self.jaw_weight[:, None] * (self.lever @ (turn - np.eye(3)).T)

    def height_slope(self, channel: int, turn: np.ndarray) -> np.ndarray:
        """How one channel moves the points' heights at each frame's turn [T, 3, 3]: [T, K]."""
        more = turn[:, 1] - np.eye(3)[1]  # the row that makes heights
        return self.directions[channel, :, 1] + self.jaw_weight * (more @ self.lever[channel].T)

    def transposed(self, force: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """The slope's transpose at each frame's turn [T, 3, 3] applied to forces [T, K, 3]: [T, n]."""
        n = len(self.directions)
        turned = self.jaw_weight[:, None] * (force @ (turn - np.eye(3)))
        both = (force + turned).reshape(len(force), -1) @ self.directions.reshape(n, -1).T
        return both - turned.sum(1) @ self.joint_directions.T
