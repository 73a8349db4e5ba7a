# SPDX-License-Identifier: GPL-3.0-or-later
"""Converts a Motion to values on any rig and back: sources, rules from sources to targets, and the
driver interface."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping as Values, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import MappingProxyType

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
from ..types import (
    EYE_DOWN_RADIANS,
    EYE_SIDE_RADIANS,
    EYE_UP_RADIANS,
    GAZE,
    JAW_OPEN_RADIANS,
    JAW_SIDE_RADIANS,
    Motion,
    pack,
)
from .moving.mouths import motion_of as motion_of_poses, MOUTHS

VERSION = 1  # version of the mapping format
_LONGEST = 2**22  # largest mapping file, letters: some ten thousand rules
LARGEST = 1e6  # largest weight of a rule, either sign; beyond it 32-bit curves overflow

LOWER_PER_JAW = 3.25  # default, measured on the bundled head; see Mapping
_MOST_PER_JAW = 20.0
MOST_HELD = 4  # frames for which drawings are to be held

JOINTS = ("neck", "jaw", "eye_left", "eye_right")
_AXES = "xyz"  # axes of the head: x to its left, y up, z out of the face
COMPONENTS = tuple(f"{joint}.{axis}" for joint in JOINTS for axis in _AXES)

# Derived key → (rotation, axis, sign, radians at 1). A key holds the values of its sign; its
# opposite the others.
_DERIVED = {
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
DERIVED = ("jawOpen", *_DERIVED)
REST = "lips together"  # a source that is always 1: for lips that are modelled apart
DEFAULT = "default"  # no source: how far from its default a control is where the face is at rest

_MAX_READ_BACK = (
    2.0  # upper limit of a channel read back from a rig on which several channels share targets
)
_SWEEPS = 60  # sweeps of coordinate descent; such groups have a handful of channels
_STILL = 1e-9
# radians by which joints are turned to try a rig, and the tolerance of what it shows
_PROBED, _SAME = 0.1, 1e-5


# ---- sources


def derived_keys(motion: Motion) -> dict[str, np.ndarray]:
    """ARKit's keys for what our heads do with joints, {name: [T]}: jawOpen (of any sign), jawLeft,
    jawRight, eyeLook…

    Keys that come in opposites are never negative.
    """
    turns = {"jaw": motion.jaw, "eyes": motion.turns[1]}
    values = {"jawOpen": motion.jaw[:, 0] / JAW_OPEN_RADIANS}
    for name, (what, axis, sign, radians) in _DERIVED.items():
        values[name] = np.maximum(sign * (turns[what][:, axis] / radians), 0)
    return values


def joint_rotations(
    values: dict[str, np.ndarray], frames: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """The inverse of `derived_keys`: jaw and eyes [T, 3] in radians; eyes is None if no eyeLook…
    key is given."""
    result = {"jaw": np.zeros((frames, 3)), "eyes": np.zeros((frames, 3))}
    if "jawOpen" in values:
        result["jaw"][:, 0] = values["jawOpen"] * JAW_OPEN_RADIANS
    # Both eyes' keys describe one rotation: the mean of those that are given.
    for what, axis in (("jaw", 1), ("eyes", 0), ("eyes", 1)):
        for sign in (1, -1):
            parts = [
                np.asarray(values[name]) * sign * radians
                for name, (w, a, s, radians) in _DERIVED.items()
                if (w, a, s) == (what, axis, sign) and name in values
            ]
            if parts:
                result[what][:, axis] += np.mean(parts, axis=0)
    return result["jaw"], result["eyes"] if any(name.startswith(GAZE) for name in values) else None


def sources(motion: Motion, channels: Sequence[str]) -> dict[str, np.ndarray]:
    """All sources of rules in a motion whose expression columns are `channels`, {name: [T]}.

    Channels, the derived keys, the components of the joints' rotation vectors (“jaw.x” …,
    radians), and REST.
    """
    values = {
        name: motion.expression[:, column] for column, name in enumerate(channels)
    } | derived_keys(motion)
    head, eyes = motion.turns
    for joint, turn in (
        ("neck", head),
        ("jaw", motion.jaw),
        ("eye_left", eyes),
        ("eye_right", eyes),
    ):
        for axis, letter in enumerate(_AXES):
            values[f"{joint}.{letter}"] = turn[:, axis]
    return values | {REST: np.ones(motion.frames)}


def motion_of(values: dict[str, np.ndarray], channels: Sequence[str], frames: int) -> Motion:
    """The motion of given sources {name: [T]}; parts that no source moves are still (head and eyes:
    None)."""
    expression = np.zeros((frames, len(channels)), np.float32)
    for column, name in enumerate(channels):
        if name in values:
            expression[:, column] = values[name]
    jaw, eyes = joint_rotations({name: values[name] for name in DERIVED if name in values}, frames)
    jaw = _joint(values, ("jaw",), jaw)
    eyes = _joint(values, ("eye_left", "eye_right"), eyes)
    head = _joint(values, ("neck",), None)
    return Motion(
        expression,
        *(None if part is None else part.astype(np.float32) for part in (jaw, head, eyes)),
    )


def _joint(values, joints, default):
    """Mean rotation vector of joints from their components, [T, 3]; an axis that none of them has
    is that of `default` [T, 3] or None."""
    result = default
    for axis, letter in enumerate(_AXES):
        parts = [values[name] for joint in joints if (name := f"{joint}.{letter}") in values]
        if parts:
            result = np.zeros((len(parts[0]), 3)) if result is None else result
            result[:, axis] = parts[0] if len(parts) == 1 else np.sum(parts, axis=0) / len(parts)
    return result


# ---- driving

# of each number that a rig holds: the sources that it adds up, and their weights
Sums = Sequence[Sequence[tuple[str, float]]]


@dataclass(frozen=True)
class Track:
    """One animated number of a rig.

    block: index of its data-block in the rig's targets.  path, index: the f-curve's data path and
    array index.
    group: name of its channel group.  rest: the number when the face is at rest.  steps: whether it
    is the whole number of a drawing (face/moving/drawn_mouths.py), so that its keys are constant.
    """

    block: int
    path: str
    index: int = 0
    group: str = "Thunder"
    rest: float = 0.0
    steps: bool = False


@dataclass(frozen=True)
class BoneTurn:
    """A bone that turns: its rotation vector is the sum of sources, in the head's axes.

    first: index of its first track; the tracks of all components follow each other.  mode:
    Blender's rotation mode.
    basis: [3, 3], from the head's axes to the bone's at rest.  parts: (source, axis of the head
    0–2, weight).
    """

    first: int
    mode: str
    basis: np.ndarray
    parts: tuple[tuple[str, int, float], ...]

    @property
    def length(self) -> int:
        """Number of tracks of the rotation."""
        return rotation_length(self.mode)

    @property
    def added(self) -> dict[int, list[tuple[str, float]]]:
        """The sources that each axis of the head adds up, with their weights, but for own mouths;
        axes that do not turn are left out."""
        every = {
            axis: [(s, weight) for s, a, weight in self.parts if a == axis and _is_read(s)]
            for axis in range(3)
        }
        return {axis: added for axis, added in every.items() if added}


def is_mouth(source: str) -> bool:
    """Whether a source is an animator's own mouth for a sound (face/moving/mouths.py)."""
    return source in MOUTH_SOUNDS


def _is_read(source: str) -> bool:
    """Whether a source is read back from what it moves."""
    return source != REST and not is_mouth(source)


class Driver:
    """Converts a motion into the values of a rig's tracks and back: every track is its rest value
    plus a weighted sum of sources, or part of such a turn.

    tracks: the animated properties, in the order of the values.  steps: which of them are numbers
    of drawings [tracks].  parts: (source, track, weight).
    is_slow: whether a frame takes milliseconds, so that work with it needs small slices.  Reading
    is least squares over the parts, exact where one source has its tracks to itself; sources that
    share tracks are kept within 0 … 2.  leads: the own mouths that there are, and by how many
    seconds each comes before its sound. What they add to tracks of channels is read as channels;
    what they move alone as the mouth of the usual chart.
    """

    is_slow = False
    is_drawn = False  # whether it shows drawings (face/moving/drawn_mouths.py)

    def __init__(
        self,
        tracks: Iterable[Track],
        parts: Iterable[tuple[str, int, float]],
        turns: Iterable[BoneTurn] = (),
        leads: Values[str, float] = MappingProxyType({}),
    ):
        self.tracks, self.parts, self.turns = tuple(tracks), tuple(parts), tuple(turns)
        self.steps = np.array([track.steps for track in self.tracks], bool)
        self.leads = {source: leads.get(source, 0.0) for source in self.used if is_mouth(source)}

    @property
    def used(self) -> set[str]:
        """The sources that move something."""
        return {
            source
            for parts in (self.parts, *(turn.parts for turn in self.turns))
            for source, _, weight in parts
            if weight
        }

    def prepare(self) -> Generator[float, None, None]:
        """Load what `drive` and `read` need, in steps; without it they load it themselves when they
        are first called."""
        yield from ()

    def drive(self, motion: Motion, channels: Sequence[str]) -> np.ndarray:
        """Values [T, tracks], float64, of a motion (any rate) whose expression columns are
        `channels`."""
        given = sources(motion, channels)
        values = np.tile(
            np.array([track.rest for track in self.tracks], np.float64), (motion.frames, 1)
        )
        for source, track, weight in self.parts:
            if source in given:
                values[:, track] += weight * given[source]
        for turn in self.turns:
            rotvec = np.zeros((motion.frames, 3))
            for source, axis, weight in turn.parts:
                if source in given:
                    rotvec[:, axis] += weight * given[source]
            local = rotvec @ turn.basis.T if (turn.basis != np.eye(3)).any() else rotvec
            values[:, turn.first : turn.first + turn.length] = rotation_values(local, turn.mode)
        return values

    def settle(self, frames: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values [S, tracks] of a take at whole frames [S] as they are keyed."""
        return values

    def read(self, values: np.ndarray, channels: Sequence[str]) -> Motion:
        """The motion, with expression columns `channels`, of values [T, tracks]."""
        values = np.asarray(values, np.float64)
        nothing = Motion(*(np.zeros((1, size), np.float32) for size in (0, 3)))
        still = Driver.drive(self, nothing, ())  # a subclass may need a whole motion
        columns = [values[:, track] - still[:, track] for track in self._added]
        for turn in self.turns:
            local, rest = (
                rotation_vectors(each[:, turn.first : turn.first + turn.length], turn.mode)
                for each in (values, still)
            )
            local = local - rest
            rotvec = local @ turn.basis if (turn.basis != np.eye(3)).any() else local
            columns += [rotvec[:, axis] for axis in turn.added]
        motion = motion_of(_solve(columns, self._sums, len(values)), channels, len(values))
        for source, (track, weight) in self._alone.items():
            by = np.clip((values[:, track] - self.tracks[track].rest) / weight, 0.0, 1.0)[:, None]
            shape = motion_of_poses([MOUTHS.get(source, MOUTHS["L"])], channels)
            motion = replace(
                motion,
                expression=(motion.expression + by * shape.expression).astype(np.float32),
                jaw=(motion.jaw + by * shape.jaw).astype(np.float32),
            )
        return motion

    @cached_property
    def _alone(self) -> dict[str, tuple[int, float]]:
        """Own mouths that move a track which no channel moves: that track, and how far."""
        return {
            source: (track, weight)
            for source, track, weight in self.parts
            if is_mouth(source) and track not in self._added and weight
        }

    @cached_property
    def _added(self) -> dict[int, list[tuple[str, float]]]:
        """The sources that each track adds up, with their weights, but for own mouths."""
        result: dict[int, list[tuple[str, float]]] = {}
        for source, track, weight in self.parts:
            if _is_read(source):
                result.setdefault(track, []).append((source, weight))
        return result

    @property
    def sums(self) -> Sums | None:
        """The sums that can be read off the rig, for `visible_motion`: those of its tracks, and of
        the axes of its turns. None if that is the whole motion, carried over to another basis."""
        return self._sums

    @property
    def _sums(self) -> Sums:
        return [
            *self._added.values(),
            *(added for turn in self.turns for added in turn.added.values()),
        ]


def visible_motion(motion: Motion, channels: Sequence[str], sums: Sums) -> Motion:
    """What a rig with these sums (`Driver.sums`) shows of a motion whose expression columns are
    `channels`: the motion as it is read back from the rig's tracks. Parts that no track moves are
    at rest."""
    given, still = sources(motion, channels), np.zeros(motion.frames)
    columns = [
        sum((weight * given[source] for source, weight in added if source in given), still)
        for added in sums
    ]
    seen = motion_of(_solve(columns, sums, motion.frames), channels, motion.frames)
    rest = np.zeros((motion.frames, 3), np.float32)
    head, eyes = (
        None if was is None else rest if part is None else part
        for was, part in ((motion.head, seen.head), (motion.eyes, seen.eyes))
    )
    return replace(seen, head=head, eyes=eyes, fps=motion.fps)


def shows_all(channels: Sequence[str], sums: Sums) -> bool:
    """Whether a rig with these sums shows every motion whose expression columns are `channels` as
    it is."""
    turns = _PROBED * np.concatenate([np.eye(3), -np.eye(3)])  # each joint to either side
    count, still = len(channels), np.zeros((len(turns), 3))
    expression = np.concatenate([np.eye(count), np.zeros((3 * len(turns), count))])
    joints = [
        np.concatenate([np.zeros((count, 3)), *(turns if i == k else still for i in range(3))])
        for k in range(3)
    ]
    probe = Motion(*(part.astype(np.float32) for part in (expression, *joints)))
    return bool(np.abs(pack(visible_motion(probe, channels, sums)) - pack(probe)).max() < _SAME)


def _solve(columns: Sequence[np.ndarray], parts: Sums, frames: int) -> dict[str, np.ndarray]:
    """Sources {name: [T]} whose weighted sums come nearest to the columns, by least squares."""
    result: dict[str, np.ndarray] = {}
    for rows, names in _groups(parts):
        matrix = np.zeros((len(rows), len(names)))
        for i, row in enumerate(rows):
            for source, weight in parts[row]:
                matrix[i, names.index(source)] += weight
        wanted = np.stack([columns[row] for row in rows], axis=1) if rows else np.zeros((frames, 0))
        if len(names) == 1:
            weights = matrix[:, 0]
            if len(rows) == 1 and weights[0] == 1.0:
                result[names[0]] = wanted[:, 0]
            elif (weights @ weights) > _STILL:
                result[names[0]] = wanted @ weights / (weights @ weights)
            continue
        for name, value in zip(names, _solve_bounded(matrix, wanted, names).T):
            result[name] = value
    return result


def _groups(parts):
    """Rows and sources connected by a shared track or source: [(rows, names)]."""
    groups: list[tuple[list[int], list[str]]] = []
    for row, added in enumerate(parts):
        rows, names = [row], list(dict.fromkeys(source for source, weight in added if weight))
        if not names:
            continue
        for group in [g for g in groups if set(g[1]) & set(names)]:
            groups.remove(group)
            rows, names = group[0] + rows, list(dict.fromkeys(group[1] + names))
        groups.append((rows, names))
    return groups


def _solve_bounded(matrix: np.ndarray, wanted: np.ndarray, names: list[str]) -> np.ndarray:
    """Least squares of the smallest length within bounds, [T, sources]; joint components are free
    of bounds."""
    scale = np.array([JAW_OPEN_RADIANS if name in COMPONENTS else 1.0 for name in names])
    free = np.array([name in COMPONENTS for name in names])
    a = matrix * scale
    # The source that moves a track most is assumed to have moved it: fallbacks for other channels
    # are read last.
    strongest = np.abs(a).max(axis=1, keepdims=True)
    leads = ((np.abs(a) >= 0.999 * strongest) & (strongest > 0)).any(axis=0)
    scale = np.where(leads, scale, 0.01 * scale)
    a = matrix * scale
    low, high = np.where(free, -np.inf, 0.0), np.where(free, np.inf, _MAX_READ_BACK / scale)
    solution = wanted @ np.linalg.pinv(a).T
    out = ((solution < low - 1e-9) | (solution > high + 1e-9)).any(axis=1)
    if out.any():
        y = wanted[out]
        s = np.clip(solution[out], low, high)
        # a little weight on staying small picks one of many answers
        normal = a.T @ a + 1e-6 * np.eye(len(names))
        right = y @ a
        for _ in range(_SWEEPS):
            for i in range(len(names)):
                s[:, i] = np.clip(
                    (right[:, i] - s @ normal[:, i] + s[:, i] * normal[i, i]) / normal[i, i],
                    low[i],
                    high[i],
                )
        solution[out] = s
    return solution * scale


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
    def from_json(cls, text: str) -> Mapping:
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
