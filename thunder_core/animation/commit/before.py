# SPDX-License-Identifier: GPL-3.0-or-later
"""What a commit begins with: the animator's choices, the take, and the animation of the head, as
plain data and curves that can be evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...face.moving.displacement import RigMeter
from .. import keyframes
from ..placing import CurveShape, Span
from ..poses import REGIONS
from .line_records import CommittedLine, CommittedLines, LineKeys

UNMOVED = 1e-5  # difference below which a value has not moved

Place = tuple[str, int]  # data path and array index of an f-curve


@dataclass(frozen=True)
class CommitChoice:
    """The animator's choices: see ThunderCommit. first, last: committed scene frames of the take.

    regions: those of poses.REGIONS that are committed; others keep the animator's animation.
    backup: whether My Action is copied first.  step: frames for which each pose is held; 1 for
    curves that move.  breakdowns: whether Blocking's poses flow into each other.
    """

    first: int
    last: int
    to: str = "COPY"
    how: str = "REPLACE"
    error: float = 0.6
    blend: int = 3
    keys: str = "POSES"
    regions: frozenset[str] = frozenset(REGIONS)
    backup: bool = True
    step: int = 1
    breakdowns: bool = False

    @property
    def is_held(self) -> bool:
        """Whether keys are constant."""
        return self.step > 1 or (self.keys == "BLOCKING" and not self.breakdowns)

    @property
    def span(self) -> Span:
        """The frames of the take, and those around it in which the animator's animation passes into
        it."""
        return Span(self.first, self.last, self.blend)


@dataclass(frozen=True)
class Curve:
    """An f-curve of the animator's or the take's.

    keys: its keys.  value_at: the curve at a frame.  sampled: at frames [S].  is_plain: whether it
    has no modifiers and holds its outer keys.  cycles: the modifier that repeats it.
    unmodified_at: the curve at a frame without other modifiers; value_at if it has none.  group:
    its group's name.
    """

    keys: dict
    value_at: Callable[[float], float]
    sampled: Callable[[np.ndarray], np.ndarray]
    is_plain: bool = True
    cycles: keyframes.Cycles | None = None
    unmodified_at: Callable[[float], float] | None = None
    group: str = ""

    def shape(self, low: float, high: float) -> CurveShape:
        """The curve without modifiers, its cycles as keys from frame `low` to `high` at least."""
        value_at = self.unmodified_at or self.value_at
        return CurveShape(
            self.keys
            if self.cycles is None
            else keyframes.repeat(self.keys, self.cycles, low, high, value_at),
            value_at,
        )

    @staticmethod
    def of_keys(keys: dict) -> Curve:
        """A curve that is nothing but its keys; one at least."""

        def sample(frames: np.ndarray) -> np.ndarray:
            values = keyframes.evaluate(keys, np.asarray(frames, float))
            assert values is not None, "an easing cannot be evaluated without Blender"
            return values

        return Curve(keys, lambda frame: float(sample(np.array([frame]))[0]), sample)


@dataclass(frozen=True)
class Strip:
    """An NLA strip of the animator's, without its curves; frames as Blender has them.

    lines: those in its action on the scene frames on which the strip plays them; none where it
    plays them at another speed.
    is_still_pose: whether it holds what stood below a committed strip.
    """

    start: float
    end: float
    action_start: float
    action_end: float
    scale: float = 1.0
    is_reversed: bool = False
    has_animated_time: bool = False
    lines: tuple[CommittedLine, ...] = ()
    is_still_pose: bool = False

    def action_times(self, frames: np.ndarray) -> np.ndarray:
        """The action's frames that the strip plays at scene frames within it."""
        first, last = self.action_start, self.action_end
        position = (frames - self.start) / abs(self.scale or 1.0)
        if last - first > 0:
            times = position % (last - first)
            position = np.where((times == 0.0) & (position > 0.0), last - first, times)
        return last - position if self.is_reversed else first + position


@dataclass(frozen=True)
class StripCurve:
    """A curve of the animator's that an NLA strip plays. key_times [K]: action frames of its keys.
    value_at: the curve at an action frame."""

    strip: Strip
    key_times: np.ndarray
    value_at: Callable[[float], float]

    def moves(self, first: int, last: int, before: int = 0, after: int = 0) -> bool:
        """Whether the strip plays a key of the curve from `before` frames before one scene frame to
        `after` frames after another, or a change of it. Where the strip only holds its first or
        last value it plays nothing."""
        strip, first, last = self.strip, first - before, last + after
        frames = np.arange(np.ceil(max(first, strip.start)), np.floor(min(last, strip.end)) + 1)
        if not len(frames) or strip.has_animated_time:
            return bool(len(frames))
        times = strip.action_times(frames)
        near = np.abs(self.key_times[:, None] - times) < 0.5 / abs(strip.scale or 1.0)
        return bool(near.any() or np.ptp([self.value_at(time) for time in times]) > UNMOVED)


@dataclass(frozen=True)
class Block:
    """One of the rig's data-blocks.

    action: name of the animator's action on it, None if there is none.  lines: those committed to
    that action.  curves: of that action, for the data-block.  take: of the take.  strips: the
    animator's NLA strips, each with those of its curves that the take has too.
    """

    action: str | None
    lines: CommittedLines | None
    curves: Mapping[Place, Curve]
    take: Mapping[Place, Curve]
    strips: tuple[tuple[Strip, Mapping[Place, StripCurve]], ...] = ()


@dataclass(frozen=True)
class CommittedTake:
    """The take that is committed.

    line: its line.  first, last: scene frames of its sound.  lead_in, lead_out: frames before and
    after that.  is_unique: whether its line exists once, because it is a whole strip of the
    sequencer.  score: its lip-sync.  change: how the voice has changed since, as a sentence, or "".
    voice: the record of that voice when the take was made.
    """

    line: str
    first: int
    last: int
    lead_in: int = 0
    lead_out: int = 0
    is_unique: bool = False
    score: float = float("nan")
    change: str = ""
    voice: str = ""


@dataclass(frozen=True)
class StateBefore:
    """The state before a commit.

    meter: of the rig.  rotation_modes: of the rotations of `meter`, Blender's names. Of each of its
    tracks: regions; limits: least and greatest value that it shows, None for any; still: its value
    before the take was shown.
    line_keys: what lines have set in the first of the animator's actions.
    scene_first, scene_last: frames of the scene.  fps: of the scene, fps_base included.  left_out:
    paths of curves of the take that are not committed, because its keys contain their effect.
    """

    take: CommittedTake
    blocks: tuple[Block, ...]
    meter: RigMeter
    rotation_modes: tuple[str, ...]
    regions: tuple[str, ...]
    limits: tuple[tuple[float, float] | None, ...]
    still: tuple[float, ...]
    line_keys: Mapping[str, LineKeys]
    scene_first: int
    scene_last: int
    fps: float
    left_out: frozenset[str] = frozenset()

    @property
    def first_action(self) -> Block | None:
        """The first data-block with an action of the animator's."""
        return next((block for block in self.blocks if block.action is not None), None)
