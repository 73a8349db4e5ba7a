# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives a rig: a motion becomes the values of its tracks by weighted sums of sources, and is read
back from them; what of a motion such a rig shows."""

from collections.abc import Generator, Iterable, Mapping as Values, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from ...types import GAZE, JAW_OPEN_RADIANS, Motion, pack
from ..mapping import (
    AXES,
    COMPONENTS,
    DERIVED,
    DERIVED_TURNS,
    FALLBACKS,
    is_mouth,
    REST,
    rotation_length,
    rotation_values,
    rotation_vectors,
    Sums,
)
from .mouths import motion_of as motion_of_poses, MOUTHS

_MAX_READ_BACK = (
    2.0  # upper limit of a channel read back from a rig on which several channels share targets
)
_SWEEPS = 60  # sweeps of coordinate descent; such groups have a handful of channels
_STILL = 1e-9
# by how much channels, and joints by how many radians, are moved to try a rig, and the tolerance of
# what it shows
_PROBED, _SAME = 0.1, 1e-5


# ---- sources


def derived_keys(motion: Motion) -> dict[str, np.ndarray]:
    """ARKit's keys for what our heads do with joints, {name: [T]}: jawOpen (of any sign), jawLeft,
    jawRight, eyeLook…

    Keys that come in opposites are never negative.
    """
    turns = {"jaw": motion.jaw, "eyes": motion.turns[1]}
    values = {"jawOpen": motion.jaw[:, 0] / JAW_OPEN_RADIANS}
    for name, (what, axis, sign, radians) in DERIVED_TURNS.items():
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
                for name, (w, a, s, radians) in DERIVED_TURNS.items()
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
        for axis, letter in enumerate(AXES):
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
    head, eyes = (None if each is None else each.astype(np.float32) for each in (head, eyes))
    return Motion(expression, jaw.astype(np.float32), head, eyes)


def _joint(values, joints, default):
    """Mean rotation vector of joints from their components, [T, 3]; an axis that none of them has
    is that of `default` [T, 3] or None."""
    result = default
    for axis, letter in enumerate(AXES):
        parts = [values[name] for joint in joints if (name := f"{joint}.{letter}") in values]
        if parts:
            result = np.zeros((len(parts[0]), 3)) if result is None else result
            result[:, axis] = parts[0] if len(parts) == 1 else np.sum(parts, axis=0) / len(parts)
    return result


_OF_JAW = ("jawOpen", "jaw.x", "mouthClose")


def open_jaw_instead(given: dict[str, np.ndarray], sums: Sums) -> dict[str, np.ndarray]:
    """The sources {name: [T]} as a rig with these sums can show them.

    A control that raises the upper lip one way and lowers the lower lip the other, as on face
    boards, shows their difference alone. What it lacks of either opens the jaw.
    """
    opened = np.zeros(len(given[REST]))
    for added in sums:
        strongest = max(added, key=lambda part: abs(part[1]), default=("", 0.0))[0]
        if strongest in _OF_JAW:
            continue  # what closes is meant to take back what opens
        parts = [(name, by) for name, by in added if name in given and name not in _OF_JAW]
        pulls = {
            sign: sum((abs(by) * given[name] for name, by in parts if sign * by > 0), 0 * opened)
            for sign in (1, -1)
        }
        lost = np.minimum(pulls[1], pulls[-1])
        for name, by in parts if (lost > _STILL).any() else ():
            instead, share = FALLBACKS.get(name, ("", 0.0))
            if instead == "jawOpen" and share > 0:
                pull = np.maximum(pulls[1 if by > 0 else -1], _STILL)
                opened += share * given[name] * lost / pull
    if not opened.any():
        return given
    more = {"jawOpen": opened, "jaw.x": JAW_OPEN_RADIANS * opened}
    return given | {name: given[name] + by for name, by in more.items()}


# ---- driving


@dataclass(frozen=True)
class Track:
    """One animated number of a rig.

    block: index of its data-block in the rig's targets.  path, index: the f-curve's data path and
    array index.
    group: name of its channel group.  rest: the number when the face is at rest.  steps: whether it
    is the whole number of a drawing (face/moving/drawings.py), so that its keys are constant.
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
    is_drawn = False  # whether it shows drawings (face/moving/drawings.py)

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
        given = open_jaw_instead(sources(motion, channels), self._sums)
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
        nothing = Motion(np.zeros((1, 0), np.float32), np.zeros((1, 3), np.float32))
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
    given, still = open_jaw_instead(sources(motion, channels), sums), np.zeros(motion.frames)
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
    at_once = np.full((1, count), _PROBED)  # two on one control do not go together
    expression = np.concatenate([np.eye(count), at_once, np.zeros((3 * len(turns), count))])
    jaw, head, eyes = (
        np.concatenate(
            [np.zeros((count + 1, 3)), *(turns if i == k else still for i in range(3))]
        ).astype(np.float32)
        for k in range(3)
    )
    probe = Motion(expression.astype(np.float32), jaw, head, eyes)
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
