# SPDX-License-Identifier: GPL-3.0-or-later
"""The bones of a character, as they were read: how a mapping turns them, also those that copy
others; numpy only."""

from collections.abc import Mapping as Values
from dataclasses import dataclass, field

import numpy as np

from ...rotation import (
    euler_to_rotvec,
    matrix_to_euler,
    matrix_to_rotvec,
    quaternion_to_rotvec,
    rotvec_to_matrix,
)
from ...types import JAW_OPEN_RADIANS
from ..mapping import EULER, Mapping, ROTATION, Rule, Target

CHAIN = 3  # copying bones in a row that are followed
_STILL = np.eye(4)
_SQUARE = 1e-5  # cosine up to which a bone's axes are meant to be square to the head

Moves = Values[Target, float]


@dataclass(frozen=True)
class Copy:
    """How a bone copies the whole turn of another. is_place: also where that goes.  is_local: as
    that turns about its own axes.  signs: −1 for axes that are inverted."""

    bone: str
    is_place: bool = False
    is_local: bool = False
    signs: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Limit:
    """How far a bone turns, radians, or else moves, in its own space."""

    is_turn: bool
    least: tuple[float, ...]
    most: tuple[float, ...]


@dataclass(frozen=True)
class Bone:
    """A bone. rest: its matrix in its armature, [4, 4].  tail: [3].  mode: how it keeps its turn.
    is_locked: whether its turn about each axis is.  looks_at: bones that its constraints look at.
    ruled_by: what has the last word on its turn, so that keys would not be seen; "" for nothing."""

    parent: str
    rest: np.ndarray
    tail: np.ndarray
    mode: str = "QUATERNION"
    is_deforming: bool = True
    is_connected: bool = False
    is_locked: tuple[bool, bool, bool] = (False, False, False)
    limits: tuple[Limit, ...] = ()
    copy: Copy | None = None
    looks_at: frozenset[str] = frozenset()
    ruled_by: str = ""

    @property
    def head(self) -> np.ndarray:
        """Where it begins, [3]."""
        return self.rest[:3, 3]

    @property
    def order(self) -> str:
        """In which order angles turn it."""
        return self.mode if len(self.mode) == 3 else "XYZ"

    def angles(self, by: np.ndarray) -> np.ndarray:
        """About its own axes [3], what moves it so in its armature, [4, 4]."""
        return matrix_to_euler((np.linalg.inv(self.rest) @ by @ self.rest)[:3, :3], self.order)


@dataclass(frozen=True, eq=False)
class Armature:
    """An armature. inward: from the character's space into its own, [4, 4].  properties: its
    numbers that are custom properties, (bone or "", name) each."""

    name: str
    bones: Values[str, Bone]
    inward: np.ndarray = field(default_factory=lambda: np.eye(4))
    properties: tuple[tuple[str, str], ...] = ()

    def copied(self, bone: str) -> str:
        """The bone whose turn a bone copies whole; "" for none."""
        copy = self.bones[bone].copy
        return "" if copy is None else copy.bone

    def above(self, bone: str) -> set[str]:
        """The bones that a bone goes with."""
        parent = self.bones[bone].parent
        return {parent, *self.above(parent)} if parent else set()

    def follower(self, bone: str, copies: int = CHAIN) -> str:
        """The bone that copies another, or what copies that; the bone itself where none does."""
        for other in self.bones if copies else ():
            if self.copied(other) == bone:
                return self.follower(other, copies - 1)
        return bone

    def control(self, bone: str) -> str:
        """A bone itself, or the control that it copies, whose keys would be seen; "" for none."""
        for _ in range(CHAIN):
            if not bone or not self.bones[bone].ruled_by:
                break
            bone = self.copied(bone)
        return bone

    def posed(self, bone: str, turned: Values[str, np.ndarray], copies: int = CHAIN) -> np.ndarray:
        """How a bone moves, [4, 4], where these bones move so on their own: with its parents, and
        as the bone that it copies."""
        if bone == "":
            return _STILL
        here = self.bones[bone]
        above = self.posed(here.parent, turned, copies)
        copy = here.copy if copies else None
        if copy is None:
            return above @ turned[bone] if bone in turned else above
        by = self.posed(copy.bone, turned, copies - 1)
        if copy.is_local:
            other = self.bones[copy.bone]
            below = self.posed(other.parent, turned, copies - 1)
            local = np.linalg.inv(below @ other.rest) @ by @ other.rest
            if not copy.is_place:
                local = _matrix(rotvec_to_matrix(turn_of(local) * copy.signs))
            by = above @ here.rest @ local @ np.linalg.inv(here.rest)
        if copy.is_place:
            return by
        at = _matrix(np.eye(3), here.head)
        return (
            _matrix(np.eye(3), (above @ at)[:3, 3])
            @ _matrix(rotvec_to_matrix(turn_of(by)))
            @ np.linalg.inv(at)
        )

    def basis(self, bone: str, plan: Mapping) -> np.ndarray:
        """[3, 3] from the head's axes (left, up, out of the face) to a bone's axes at rest; of a
        control to the axes about which it turns the bone that copies it."""
        forward, up = plan.axes
        head = np.array([np.cross(up, forward), up, forward]).T
        rest = self.bones[bone].rest
        into = rest[:3, :3].T
        if (follower := self.follower(bone)) != bone:
            turns = [_matrix(rotvec_to_matrix(axis)) for axis in np.eye(3)]
            shown = [
                self.posed(follower, {bone: rest @ turn @ np.linalg.inv(rest)}) for turn in turns
            ]
            into = np.linalg.pinv(np.array([turn_of(each) for each in shown]).T)
        result = into @ head
        near = np.round(result)
        # what is almost square would only add noise to the keys
        return near if np.abs(result - near).max() < _SQUARE else result

    def moves(self, moves: Moves, plan: Mapping) -> dict[str, np.ndarray]:
        """How moves turn and shift bones: [4, 4] each, in the armature."""
        channels: dict[str, dict[tuple[str, int], float]] = {}
        for target, amount in moves.items():
            is_here = target.object in ("", self.name) and target.bone in self.bones
            if target.kind == "BONE" and is_here:
                channels.setdefault(target.bone, {})[target.path, target.index] = amount
        result = {}
        for name, values in channels.items():
            bone = self.bones[name]

            def three(path, rest=0.0, *, values=values):
                return np.array([rest + values.get((path, axis), 0.0) for axis in range(3)])

            whole = rotvec_to_matrix(self.basis(name, plan) @ three(ROTATION))
            whole = whole @ rotvec_to_matrix(euler_to_rotvec(three(EULER), bone.order))
            if bone.mode == "QUATERNION":
                numbers = [
                    float(i == 0) + values.get(("rotation_quaternion", i), 0.0) for i in range(4)
                ]
                whole = whole @ rotvec_to_matrix(quaternion_to_rotvec(np.array(numbers)))
            at = three("location", values={} if bone.is_connected else values)
            for limit in bone.limits:
                if limit.is_turn:
                    angles = matrix_to_euler(whole, bone.order).clip(limit.least, limit.most)
                    whole = rotvec_to_matrix(euler_to_rotvec(angles, bone.order))
                else:
                    at = at.clip(limit.least, limit.most)
            local = _matrix(whole * three("scale", 1.0), at)
            result[name] = bone.rest @ local @ np.linalg.inv(bone.rest)
        return result


def _matrix(turn: np.ndarray, at: np.ndarray | tuple = (0.0, 0.0, 0.0)) -> np.ndarray:
    """[4, 4] of a turn [3, 3] and a place [3]."""
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = turn, at
    return result


def turn_of(matrix: np.ndarray) -> np.ndarray:
    """The rotation vector [3] of a matrix [4, 4], whatever its scale."""
    axes = matrix[:3, :3] / np.maximum(np.linalg.norm(matrix[:3, :3], axis=0), 1e-12)
    return matrix_to_rotvec(axes * np.sign(np.linalg.det(axes)))


def jaw_rules(plan: Mapping) -> list[Rule]:
    """The bones that open the jaw in a mapping, as rules."""
    return [
        Rule(
            "jawOpen",
            Target("BONE", "", joint.object, joint.bone, ROTATION, 0),
            joint.scale * JAW_OPEN_RADIANS,
        )
        for joint in plan.joints
        if joint.joint == "jaw"
    ]
