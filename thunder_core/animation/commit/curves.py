# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the keys that a commit gives each curve, the take's and the animator's around them, and
reports what it did."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...translation import plural
from .. import keyframes, placing, posing
from ..keys import PoseKeys, SAMPLES
from ..poses import Column, poses_in, REGIONS
from . import line_records
from .before import Block, CommitChoice, Curve, StateBefore, UNMOVED
from .fitting import Fitted, Sampled
from .line_records import CommittedLines, LineKeys
from .planning import CommitPlan, KeptCurve

_MARGIN_SECONDS = 10.0  # time outside the scene's range in which cycles become keys
_LONGEST_NAME = 32  # bytes of an action's name in a message
OF_SPEECH = frozenset({"Mouth", "Jaw"})  # regions that a line's score depends on


@dataclass(frozen=True)
class NewCurve:
    """Keys for one curve of a data-block.

    span: frames of the keys that the take sets.  of_take: only those keys and the fades'; None
    where the take does not move it.  edited: number of the animator's keys, set or edited on a
    line, that are replaced.  steps: whether it is the number of a drawing.
    """

    path: str
    index: int
    group: str
    keys: dict
    span: placing.Span
    of_take: dict | None = None
    edited: int = 0
    steps: bool = False


@dataclass(frozen=True)
class Drawing:
    """What a commit writes.

    curves, above: the new curves of each data-block, and those of a new strip above the animator's.
    still: tracks without a curve, and their values.  line_keys: what lines have set then.  labels:
    (scene frame, text) of the mouth's poses.  score: of the line, None if it has none.
    """

    curves: tuple[tuple[NewCurve, ...], ...]
    above: tuple[tuple[NewCurve, ...], ...]
    still: tuple[tuple[Any, float], ...]
    line_keys: Mapping[str, LineKeys]
    score: line_records.LineScore | None

    @property
    def edited(self) -> list[int]:
        """Of each data-block the number of keys, set or edited by the animator on a line, that are
        replaced."""
        return [sum(curve.edited for curve in curves) for curves in self.curves]


def draw(
    before: StateBefore, plan: CommitPlan, sampled: Sampled, fitted: Fitted
) -> Generator[float, None, Drawing]:
    """Place the new keys of each curve among the animator's. Yields progress; returns the
    Drawing."""
    tracks, horizon = before.meter.driver.tracks, horizon_of(before, plan.choice)
    curves: list[list[NewCurve]] = [[] for _ in before.blocks]
    above: list[list[NewCurve]] = [[] for _ in before.blocks]
    still = []
    for place, track in enumerate(tracks):
        keys = _keys_of_take(before, plan, sampled, fitted, place)
        if keys is None:
            still.append((track, before.still[place]))
            continue
        region, span = before.regions[place], plan.spans[place]
        is_stepped = plan.choice.is_held or track.steps
        keys = trim(
            keys,
            span,
            None if is_stepped else before.blocks[track.block].take.get((track.path, track.index)),
        )
        if plan.is_above[place]:
            above[track.block].append(NewCurve(track.path, track.index, region, keys, span))
        else:
            outside = (
                None
                if plan.choice.to == "STRIP"
                else track.rest
                if plan.choice.to == "NEW"
                else before.still[place]
            )
            new = NewCurve(track.path, track.index, region, keys, span, steps=track.steps)
            curves[track.block].append(_place(plan, track.block, new, outside, horizon))
        if place % 2 == 0:
            yield place / len(tracks)
    if plan.choice.regions == frozenset(REGIONS):
        for block, new in _other_curves(before, plan):
            moving = replace(plan, choice=replace(plan.choice, breakdowns=True))
            curves[block].append(_place(moving, block, new, None, horizon))
    if plan.choice.how == "INSERT" and not plan.is_alone:
        for block, there in enumerate(before.blocks):
            curves[block] += _hold_in_gap(plan, there, [*curves[block], *above[block]], horizon)
    yield 1.0
    choice = plan.choice
    # whether the line's lips come only from the take, and are as good as its: all drawings stay
    is_scored = (
        choice.how != "ADD"
        and (choice.keys != "BLOCKING" or before.meter.driver.is_drawn)
        and OF_SPEECH <= choice.regions
        and (plan.line_first, plan.line_last) == (before.take.first, before.take.last)
        and np.isfinite(before.take.score)
    )
    score = line_records.LineScore(float(before.take.score)) if is_scored else None
    known = _line_keys(before, plan, curves)
    return Drawing(tuple(map(tuple, curves)), tuple(map(tuple, above)), tuple(still), known, score)


def horizon_of(before: StateBefore, choice: CommitChoice) -> tuple[float, float]:
    """Frames that cycles of the animator's curves must cover once they are keys: all of the scene,
    of its animation and of the take, and more on both sides."""
    keyed = [
        curve.keys["co"][:, 0]
        for block in before.blocks
        for curve in block.curves.values()
        if len(curve.keys["co"])
    ]
    margin = _MARGIN_SECONDS * before.fps
    low = (
        min([before.scene_first, choice.span.start, *(float(times[0]) for times in keyed)]) - margin
    )
    return low, max(
        [before.scene_last, choice.span.end, *(float(times[-1]) for times in keyed)]
    ) + margin


def _keys_of_take(
    before: StateBefore, plan: CommitPlan, sampled: Sampled, fitted: Fitted, place: int
) -> dict | None:
    """The take's keys of a track, from its first frame to its last; None if the take does not
    visibly move it."""
    if not sampled.moved[place]:
        return None
    track = before.meter.driver.tracks[place]
    choice = plan.choice
    frames = sampled.frames.astype(float)
    if track.steps:
        values = sampled.values[::SAMPLES, place]
        return keyframes.as_steps(keyframes.on_every_frame(frames, values))
    if fitted is None:
        if choice.how == "ADD" and choice.to != "STRIP":
            return keyframes.on_every_frame(sampled.frames, sampled.values[::SAMPLES, place])
        return part_of(
            before.blocks[track.block].take[track.path, track.index], choice.first, choice.last
        )
    posed = fitted.curves[place]
    if posed is None:
        span, at = plan.spans[place], (track.path, track.index)
        ends = sampled.values[
            [(frame - choice.first) * SAMPLES for frame in (span.first, span.last)], place
        ]
        has_curve = at in plan.curves[track.block] or at in plan.moved_by_strips[track.block]
        if not has_curve and not posing.is_seen(
            fitted, place, ends - before.still[place], max(choice.error, UNMOVED)
        ):
            return None
        index = np.array([0, len(frames) - 1][: len(frames)])
        posed = PoseKeys(index, ends[: len(index)], np.zeros(len(index)), np.zeros(len(index)))
    return keyframes.from_poses(posed, frames, fitted.kind_of(before.regions[place]))


def part_of(curve: Curve, first: int, last: int) -> dict:
    """A curve's keys between two frames, cut there."""
    return keyframes.keys_between(curve.keys, first, last, curve.value_at)


def trim(keys: dict, span: placing.Span, curve: Curve | None) -> dict:
    """Keys of a take's curve, cut to a span. curve: the curve itself; None: as its keys say."""
    if len(keys["co"]) < 2 or (
        keys["co"][0, 0] >= span.first - 0.5 and keys["co"][-1, 0] <= span.last + 0.5
    ):
        return keys
    return keyframes.keys_between(
        keys, span.first, span.last, (Curve.of_keys(keys) if curve is None else curve).value_at
    )


def _place(
    plan: CommitPlan, block: int, new: NewCurve, outside: float | None, horizon: tuple[float, float]
) -> NewCurve:
    """The take's keys of one curve with the animator's around them. outside: without a curve, the
    value before and after the take, in an action that continues there."""
    choice = plan.choice
    old = None if plan.is_alone else plan.curves[block].get((new.path, new.index))
    name = line_records.curve_name(block, new.path, new.index)
    of_take = new.keys
    is_inserted = choice.how == "INSERT"
    if old is not None and len(old.keys["co"]):
        keys = placing.place_keys(new.span, of_take, old.shape(horizon), is_inserted)
    else:
        keys = of_take
        if outside is not None and not (old is not None and old.dropped):
            keys = placing.hold_around(new.span, keys, outside)
        values = np.concatenate(
            [keys[part][:, 1] for part in ("co", "handle_left", "handle_right")]
        )
        keys = keyframes.select(keys, np.arange(1)) if np.ptp(values) < UNMOVED else keys
    if choice.is_held or new.steps:
        held = new.steps | _is_on(keys["co"][:, 0], new.span.start, new.span.last)
        keys["interpolation"][held] = keyframes.CONSTANT
    return NewCurve(
        new.path,
        new.index,
        new.group,
        keys,
        new.span,
        _committed_keys(keys, new.span, old, is_inserted),
        _count_edited(old, name, plan.line_keys, plan.names.before, new.span, bool(plan.earlier))
        if choice.how == "REPLACE"
        else 0,
    )


def _committed_keys(
    keys: dict, span: placing.Span, old: KeptCurve | None, is_inserted: bool
) -> dict:
    """Of the new keys of a curve those that the commit sets: the take's, and those at the ends of
    its fades."""
    times = keys["co"][:, 0]
    is_set = _is_on(times, span.first, span.last)
    if not is_inserted:
        old_points = (
            old.keys["co"].astype(np.float32) if old is not None else np.zeros((0, 2), np.float32)
        )
        is_old = (abs(keys["co"].astype(np.float32)[:, None] - old_points) < UNMOVED).all(2).any(1)
        is_set |= _is_on(times, span.start, span.end) & ~is_old
    return keyframes.select(keys, is_set)


def _count_edited(
    old: KeptCurve | None,
    name: str,
    line_keys: Mapping[str, LineKeys],
    lines: CommittedLines | None,
    span: placing.Span,
    was_elsewhere: bool,
) -> int:
    """Number of keys on a span that the animator moved or added on lines committed there, and, if
    the current line was elsewhere before, the number of the animator's keys that it now overlaps.

    line_keys: keys written by each line.  lines: those of the action.  A curve without a line's
    keys belongs to the animator.
    """
    if old is None or lines is None:
        return 0
    times = old.keys["co"][:, 0]
    on_curve = {line for line, of_line in line_keys.items() if of_line.curves.get(name)}
    counted, on_any = np.zeros(len(times), bool), np.zeros(len(times), bool)
    for line in lines.lines:
        on_line = (times > line.start - 0.5) & (times < line.end + 0.5)
        on_any |= on_line
        if line.name in on_curve:
            counted |= on_line
    if was_elsewhere:
        counted |= ~on_any
    counted &= ~line_records.of_any_line(line_keys, name, old.keys)
    return old.edited + int(
        (counted & (times > span.first - 0.5) & (times < span.last + 0.5)).sum()
    )


def _is_on(times: np.ndarray, first: int, last: int) -> np.ndarray:
    """True for times [K] on the frames first … last."""
    return (times >= first - 0.5) & (times <= last + 0.5)


def _other_curves(before: StateBefore, plan: CommitPlan) -> list[tuple[int, NewCurve]]:
    """(block, keys) of curves of the take besides the rig's tracks, such as one that the animator
    added by hand."""
    choice = plan.choice
    steps = np.arange(choice.first, choice.last + 1.0, choice.step)

    def keys_of(curve: Curve) -> dict:
        if choice.step == 1:
            return part_of(curve, choice.first, choice.last)
        return keyframes.on_every_frame(steps, curve.sampled(steps))

    of_rig = {(track.block, track.path, track.index) for track in before.meter.driver.tracks}
    return [
        (block, NewCurve(path, index, curve.group, keys_of(curve), choice.span))
        for block, there in enumerate(before.blocks)
        for (path, index), curve in there.take.items()
        if path not in before.left_out and (block, path, index) not in of_rig
    ]


def _hold_in_gap(
    plan: CommitPlan, there: Block, moved: Sequence[NewCurve], horizon: tuple[float, float]
) -> list[NewCurve]:
    """Keys that hold the properties of a data-block which the take does not move, until it ends.
    moved: the curves that it moves."""
    span, places = plan.choice.span, {(one.path, one.index) for one in moved}
    return [
        NewCurve(
            path,
            index,
            "",
            placing.open_gap(span, curve.shape(*horizon)) if len(curve.keys["co"]) else curve.keys,
            span,
        )
        for (path, index), curve in there.curves.items()
        if (path, index) not in places
    ]


def _line_keys(
    before: StateBefore, plan: CommitPlan, curves: list[list[NewCurve]]
) -> dict[str, LineKeys]:
    """Keys set by each line, after this commit."""
    known, line, names = dict(plan.line_keys), before.take.line, plan.names
    if plan.choice.how == "INSERT":
        known.pop(line, None)
        shift = plan.choice.span.end - plan.choice.first
        later = (
            {old.name for old in names.before.lines if old.first >= plan.choice.first}
            if names.before
            else set()
        )
        known = {
            name: of_line.later(shift) if name in later else of_line
            for name, of_line in known.items()
        }
    none = keyframes.on_every_frame(np.zeros(0), np.zeros(0))
    # With Add the result includes the animator's keys, so it is not only the line's.
    new = {
        line_records.curve_name(block, curve.path, curve.index): (
            curve.keys,
            none if plan.choice.how == "ADD" else curve.of_take,
        )
        for block, of_block in enumerate(curves)
        for curve in of_block
        if curve.of_take is not None
    }
    return known | {line: known.get(line, LineKeys()).with_keys(new)}


@dataclass(frozen=True)
class Report:
    """The result of a commit.

    actions: names.  keys: number of new keys.  total: number of all keys in the actions.
    key_frames: number of frames with a new key.  first, frames: first committed frame and their
    number.  poses: of the mouth, counted from the first frame; None unless keys are poses and the
    mouth is committed.  error: largest lip error in mm; None if every key was kept or the mouth is
    left out.
    edited: number of keys the animator had set or edited that this commit replaced.  earlier:
    action that still has them, or "".
    twice: the line, if it was added on top of itself.  stale: how the voice has changed since the
    take was made, or "".  lost: points of lip-sync by which what was committed is below the take;
    None if that was not measured.
    """

    actions: tuple[str, ...]
    keys: int
    total: int
    key_frames: int
    first: int
    frames: int
    poses: tuple[Column, ...] | None
    error: float | None
    edited: int = 0
    earlier: str = ""
    twice: str = ""
    stale: str = ""
    lost: float | None = None

    @property
    def sentence(self) -> str:
        """The message for the animator: short, or the status bar cuts it off."""
        keys = (
            f"{self.keys} keys"
            if self.keys == self.total
            else f"{self.keys} new keys ({self.total} in all)"
        )
        name = line_records.shorten(self.actions[0], _LONGEST_NAME)
        poses = poses_in(self.poses or ())
        costs = [
            f"Committed to “{name}”: {keys} on {self.key_frames} of {self.frames} frames",
            *([plural(poses, f"{poses} mouth pose", f"{poses} mouth poses")] if self.poses else []),
            *self._costs,
        ]
        return ", ".join(costs)

    @property
    def _costs(self) -> list[str]:
        error = [] if self.error is None else [f"lips within {self.error:.2f} mm"]
        lost = round(self.lost or 0.0)  # a loss of less than half a point is none
        return error + ([f"Lip-Sync {lost} lower"] if lost else [])

    @property
    def cost(self) -> str:
        """The message beside warnings: what the commit costs, in few words."""
        return ", ".join((f"Committed {self.key_frames} frames", *self._costs))

    @property
    def warnings(self) -> list[str]:
        """Warnings for the animator: edited keys that were replaced, a line added twice, a take of
        a voice that has changed since."""
        twice = self.twice and (
            f"“{line_records.shorten(self.twice, _LONGEST_NAME)}” was committed here before and "
            f"is added to itself: undo, or use Replace"
        )
        return [
            *filter(
                None,
                (twice or edited_warning(self.edited, self.earlier), stale_warning(self.stale)),
            )
        ]


def stale_warning(stale: str) -> str:
    """A warning that a take was committed unchanged though its voice has changed since; "" if it
    has not."""
    return (
        stale
        and f"{stale}; the take was committed as it was made: undo and press Re-sync to fit it"
    )


def edited_warning(edited: int, earlier: str) -> str:
    """A warning about the number of the animator's keys that were replaced, and the action that
    still has them; "" for none."""
    if not edited:
        return ""
    keys = (
        "1 key that you had set or edited was"
        if edited == 1
        else f"{edited} keys that you had set or edited were"
    )
    return f"{keys} replaced" + (
        f"; your action “{earlier}” still has {'it' if edited == 1 else 'them'}" if earlier else ""
    )


def report(
    before: StateBefore,
    plan: CommitPlan,
    sampled: Sampled,
    fitted: Fitted,
    drawing: Drawing,
    actions: tuple[str, ...],
    total: int,
    earlier: str,
) -> Report:
    """The report of a commit. actions: names of those written.  total: number of their keys.
    earlier: name of the action that still has the edited keys, or ""."""
    choice = plan.choice
    written = [curve for curves in (*drawing.curves, *drawing.above) for curve in curves]
    times = np.concatenate([np.zeros(0), *(curve.keys["co"][:, 0] for curve in written)])
    on_take = times[(times > choice.first - 0.5) & (times < choice.last + 0.5)]
    return Report(
        actions,
        sum(len((curve.of_take or curve.keys)["co"]) for curve in written),
        total,
        len(np.unique(np.rint(on_take))),
        choice.first,
        len(sampled.frames),
        fitted.columns[0]
        if fitted is not None and "Mouth" in choice.regions and not before.meter.driver.is_drawn
        else None,
        fitted.error if fitted is not None and choice.regions & OF_SPEECH else None,
        sum(drawing.edited),
        earlier,
        before.take.line if plan.is_added_again else "",
        before.take.change,
    )
