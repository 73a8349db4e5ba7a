# SPDX-License-Identifier: GPL-3.0-or-later
"""What a character's mapping says: sources of a motion, the rules and joints by which these move a
rig, saved as JSON; and rotations as curves hold them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from ..errors import BadHead
from ..named_files import is_text, read_document
from ..rotation import (
    euler_to_rotvec,
    matrix_to_euler,
    quaternion_to_rotvec,
    rotvec_to_matrix,
    rotvec_to_quaternion,
)
from ..spoken import MOUTH_SOUNDS
from ..types import EYE_DOWN_RADIANS, EYE_SIDE_RADIANS, EYE_UP_RADIANS, JAW_SIDE_RADIANS

VERSION = 1  # version of the mapping format
_LONGEST = 2**22  # largest mapping file, letters: some ten thousand rules
LARGEST = 1e6  # largest weight of a rule, either sign; beyond it 32-bit curves overflow

LOWER_PER_JAW = 3.25  # default, measured on the bundled head; see Mapping
_MOST_PER_JAW = 20.0
MOST_HELD = 4  # frames for which drawings are to be held

JOINTS = ("neck", "jaw", "eye_left", "eye_right")
AXES = "xyz"  # axes of the head: x to its left, y up, z out of the face
COMPONENTS = tuple(f"{joint}.{axis}" for joint in JOINTS for axis in AXES)

# Derived key → (rotation, axis, sign, radians at 1). A key holds the values of its sign; its
# opposite the others.
DERIVED_TURNS = {
    "jawLeft": ("jaw", 1, 1, JAW_SIDE_RADIANS),
    "jawRight": ("jaw", 1, -1, JAW_SIDE_RADIANS),
    "eyeLookUpLeft": ("eyes", 0, -1, EYE_UP_RADIANS),
    "eyeLookUpRight": ("eyes", 0, -1, EYE_UP_RADIANS),
    "eyeLookDownLeft": ("eyes", 0, 1, EYE_DOWN_RADIANS),
    "eyeLookDownRight": ("eyes", 0, 1, EYE_DOWN_RADIANS),
    "eyeLookOutLeft": ("eyes", 1, 1, EYE_SIDE_RADIANS),
    "eyeLookInRight": ("eyes", 1, 1, EYE_SIDE_RADIANS),
    "eyeLookInLeft": ("eyes", 1, -1, EYE_SIDE_RADIANS),
    "eyeLookOutRight": ("eyes", 1, -1, EYE_SIDE_RADIANS),
}
DERIVED = ("jawOpen", *DERIVED_TURNS)

# For a channel without a shape: the nearest other one that has part of its effect, with a weight. A
# closing jaw closes the lips as well as mouthClose does, but moves the chin too; it also replaces
# lip shapes that open the mouth.
FALLBACKS = {
    "mouthClose": ("jawOpen", -1.0),
    "mouthFunnel": ("mouthPucker", 0.6),
    "mouthPucker": ("mouthFunnel", 0.6),
    **{
        f"{name}{side}": ("jawOpen", weight)
        for name, weight in (("mouthLowerDown", 0.15), ("mouthUpperUp", 0.13))
        for side in ("Left", "Right")
    },
}

REST = "lips together"  # a source that is always 1: for lips that are modelled apart
DEFAULT = "default"  # no source: how far from its default a control is where the face is at rest
# of each number that a rig holds: the sources that it adds up, and their weights
Sums = Sequence[Sequence[tuple[str, float]]]


def is_mouth(source: str) -> bool:
    """Whether a source is an animator's own mouth for a sound (face/moving/mouths.py)."""
    return source in MOUTH_SOUNDS


# ---- rotations as curves hold them


def rotation_length(mode: str) -> int:
    """Number of values of a rotation in one of Blender's modes."""
    return 4 if mode in ("QUATERNION", "AXIS_ANGLE") else 3


def rotation_path(mode: str) -> str:
    """Name of the property that holds a rotation in one of Blender's modes."""
    return {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
        mode, "rotation_euler"
    )


def rotation_rest(mode: str) -> tuple[float, ...]:
    """The numbers of no rotation."""
    return {"QUATERNION": (1.0, 0.0, 0.0, 0.0), "AXIS_ANGLE": (0.0, 0.0, 1.0, 0.0)}.get(
        mode, (0.0, 0.0, 0.0)
    )


def rotation_values(rotvec: np.ndarray, mode: str) -> np.ndarray:
    """Rotation vectors [T, 3] as [T, 3 or 4] numbers of one of Blender's rotation modes."""
    if mode == "QUATERNION":
        return rotvec_to_quaternion(rotvec)
    if mode == "AXIS_ANGLE":
        angle = np.linalg.norm(rotvec, axis=1, keepdims=True)
        axis = np.where(angle > 1e-9, rotvec / np.maximum(angle, 1e-9), [0.0, 1.0, 0.0])
        return np.concatenate([angle, axis], axis=1)
    return matrix_to_euler(rotvec_to_matrix(rotvec), mode)


def rotation_vectors(values: np.ndarray, mode: str) -> np.ndarray:
    """The inverse: numbers [T, 3 or 4] of a rotation mode as rotation vectors [T, 3]."""
    if mode == "QUATERNION":
        return quaternion_to_rotvec(values)
    if mode == "AXIS_ANGLE":
        axis = values[:, 1:]
        return axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9) * values[:, :1]
    return euler_to_rotvec(values, mode)


# ---- mapping


@dataclass(frozen=True)
class Target:
    """Something on a rig that a rule adds to.

    kind: KEY (a shape key, `name`) · BONE (a channel of a bone, `path` and `index`) · PROPERTY (a
    custom property, `name`, of a bone). Where `bone` is empty the object itself is meant. Or one of
    DRAWN, what is shown of an animator's drawings for a sound or look: SHOW (an object or a
    collection, `name`), LAYER (of a Grease Pencil object, which is the head's own where none is
    named), DRAWING (of such a layer), IMAGE (of the sequence) or CELL (of the sheet in a material,
    `name`) the number of which is the rule's weight.
    object: which object of the character; empty means every one of its objects that has it.
    path: location, scale, rotation_euler, or rotation, the rotation vector in the head's axes, for
    any rotation mode.
    """

    kind: str
    name: str = ""
    object: str = ""
    bone: str = ""
    path: str = ""
    index: int = 0


@dataclass(frozen=True)
class Rule:
    """A source adds `weight` times its value to a target."""

    source: str
    target: Target
    weight: float = 1.0


@dataclass(frozen=True)
class JointRule:
    """A joint turns a bone by `scale` times the joint's rotation; several bones of one joint add up
    (neck and head)."""

    joint: str
    bone: str
    object: str = ""
    scale: float = 1.0


ROTATION = "rotation"  # path of a bone's turn, whatever its rotation mode
EULER = "rotation_euler"  # path of its turn about one of its own axes
TILT = "delta_rotation_euler"  # path of what an object turns beside its own rotation
IN_MATERIALS = ("IMAGE", "CELL")
NUMBERED = ("DRAWING", *IN_MATERIALS)
DRAWN = ("SHOW", "LAYER", *NUMBERED)
KINDS = ("KEY", "BONE", "PROPERTY", *DRAWN)
PATHS = ("location", ROTATION, EULER, "scale", TILT)
DIRECTIONS = {
    sign + axis: np.eye(3)[index] if not sign else 0.0 - np.eye(3)[index]
    for index, axis in enumerate("XYZ")
    for sign in ("", "-")
}
FACINGS = ("", *DIRECTIONS)
FORWARD, UP = "-Y", "Z"  # of characters in Blender


@dataclass(frozen=True)
class Mapping:
    """The mapping of a character: rules from sources to targets, and joints to bones; saved as
    JSON.

    name: given by the animator.  convention: the detected naming convention, "" for a mapping made
    by hand.
    forward, up: the character's facing and up axes in its armature; empty: detected.
    balance: share of an opening made by the jaw, −1 more lips … 1 more jaw; 0 as in the
    performance.
    lower_per_jaw: value of mouthLowerDown that opens the lips as far as jawOpen = 1, measured on
    the character.
    leads: seconds by which an own mouth comes before its sound.
    least, step: frames for which a drawn mouth is shown at least, and for which each is held.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    joints: tuple[JointRule, ...] = ()
    convention: str = ""
    forward: str = ""
    up: str = ""
    balance: float = 0.0
    lower_per_jaw: float = LOWER_PER_JAW
    leads: tuple[tuple[str, float], ...] = ()
    least: int = 2
    step: int = 1

    @cached_property
    def drawn(self) -> tuple[Rule, ...]:
        """The rules that show drawings."""
        return tuple(rule for rule in self.rules if rule.target.kind in DRAWN)

    @cached_property
    def used(self) -> frozenset[str]:
        """Names of the channels, derived keys and joints that have a target."""
        return frozenset(
            {rule.source for rule in self.rules if rule.weight}
            | {rule.joint for rule in self.joints if rule.scale}
        )

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the face looks and what is up, [3] each."""
        return DIRECTIONS[self.forward or FORWARD], DIRECTIONS[self.up or UP]

    def to_json(self) -> str:
        """The mapping as JSON text with a version number."""
        short = lambda item: {key: value for key, value in asdict(item).items() if value != ""}  # noqa: E731
        data = {
            "thunder_mapping": VERSION,
            "name": self.name,
            "convention": self.convention,
            "forward": self.forward,
            "up": self.up,
            "balance": self.balance,
            "lower_per_jaw": self.lower_per_jaw,
            "leads": dict(self.leads),
            **({"least": self.least, "step": self.step} if self.drawn else {}),
            "rules": [
                {"source": rule.source, "weight": rule.weight, "target": short(rule.target)}
                for rule in self.rules
            ],
            "joints": [short(rule) for rule in self.joints],
        }
        return json.dumps(data, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Mapping":
        """The mapping of a JSON text. Raises BadHead with a sentence if it is not one."""
        advice = "choose a file that Save Mapping wrote", "choose another file or map again"
        data = read_document(
            text, "thunder_mapping", VERSION, _LONGEST, "The mapping", advice, BadHead
        )
        try:
            plan = cls(
                data.get("name") or "Mapping",
                tuple(
                    Rule(item["source"], Target(**item["target"]), float(item.get("weight", 1.0)))
                    for item in data.get("rules", ())
                ),
                tuple(JointRule(**item) for item in data.get("joints", ())),
                data.get("convention", ""),
                data.get("forward", ""),
                data.get("up", ""),
                float(data.get("balance", 0.0)),
                float(data.get("lower_per_jaw", LOWER_PER_JAW)),
                tuple((str(key), float(value)) for key, value in data.get("leads", {}).items()),
                int(data.get("least", 2)),
                int(data.get("step", 1)),
            )
            plan._check()
        except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as problem:
            raise BadHead(
                f"The mapping holds what no mapping has ({ascii(str(problem))[1:-1][:60]}): "
                f"{advice[1]}"
            ) from None
        return plan

    def _check(self) -> None:
        """Raise ValueError unless all values are what they should be."""
        for number, rule in enumerate(self.rules, 1):
            to = rule.target
            named = to.bone or to.object or to.path == TILT if to.kind == "BONE" else to.name
            if (
                not all(map(is_text, (rule.source, to.name, to.object, to.bone, to.path)))
                or not rule.source
                or to.kind not in KINDS
                or not named
                or (to.kind == "BONE" and to.path not in PATHS)
                or not (isinstance(to.index, int) and 0 <= to.index <= 2)
                or not abs(rule.weight) <= LARGEST
            ):
                raise ValueError(f"rule {number}")
        for number, joint in enumerate(self.joints, 1):
            if (
                joint.joint not in JOINTS
                or not all(map(is_text, (joint.bone, joint.object)))
                or not joint.bone
                or not abs(joint.scale) <= LARGEST
            ):
                raise ValueError(f"joint {number}")
        if not all(map(is_text, (self.name, self.convention))):
            raise ValueError("a name that is no text")
        is_facing = self.forward in FACINGS and self.up in FACINGS
        if not is_facing or (self.forward and self.forward[-1:] == self.up[-1:]):
            raise ValueError("forward and up are not two axes such as -Y and Z")
        if not (1 <= self.least <= MOST_HELD and 1 <= self.step <= MOST_HELD):
            raise ValueError("drawings that are not held for a few frames")
        if not all(abs(lead) <= 1 for _, lead in self.leads):
            raise ValueError("a mouth that leads by more than a second")
        if not (abs(self.balance) <= 1 and 0 <= self.lower_per_jaw <= _MOST_PER_JAW):
            raise ValueError("balance is not between -1 and 1")
