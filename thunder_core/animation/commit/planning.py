# SPDX-License-Identifier: GPL-3.0-or-later
"""Decides how a take goes into the animator's animation: into which action, in place of which keys,
and where it gets its leads."""

from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...grid import Grid
from .. import keyframes, placing
from . import line_records, stepping
from .before import (
    Block,
    CommitChoice,
    CommittedTake,
    Curve,
    Place,
    StateBefore,
    StripCurve,
    UNMOVED,
)
from .line_records import CommittedLine, CommittedLines, LineKeys, Naming

_BESIDE = 1  # frames: a key of the animator's so near beside a lead would make the curve jump

Track = tuple[int, str, int]  # block, path and index of an f-curve


@dataclass(frozen=True)
class KeptCurve:
    """A curve of the animator's without the keys that are replaced because they are of the same
    line.

    keys: those that stay.  dropped: number of keys removed: those an earlier commit of this line
    set, and later edits on its frames.
    edited: number of these edits.  of_line: mask of the keys set by a commit of this line, None if
    there are none.  earlier: commits of the line whose keys are dropped."""

    curve: Curve
    keys: dict
    dropped: int = 0
    edited: int = 0
    of_line: np.ndarray | None = None
    earlier: tuple[CommittedLine, ...] = ()

    def moves(self, first: int, last: int, before: int = 0, after: int = 0) -> bool:
        """Whether the curve changes from one frame to another, outside of the line's earlier
        commits, or the animator or another line has a key there or up to so many frames before or
        after."""
        if any(old.start == first or old.end == last for old in self.earlier):
            before = after = 0  # keys beside the old lead are newer
        times = self.keys["co"][:, 0]
        on_frames = (times > first - before - 0.5) & (times < last + after + 0.5)
        if (on_frames if self.of_line is None else on_frames & ~self.of_line).any():
            return True
        frames = np.arange(first, last + 1.0)
        for old in self.earlier:
            frames = frames[(frames < old.start) | (frames > old.end)]
        values = keyframes.evaluate(self.keys, frames) if self.dropped else None
        if values is None:
            values = np.array([self.curve.value_at(frame) for frame in frames])
        return bool(len(times) and len(values) and np.ptp(values) > UNMOVED)

    def shape(self, horizon: tuple[float, float]) -> placing.CurveShape:
        """The curve without the keys that are dropped; at least one must be left."""
        return (Curve.of_keys(self.keys) if self.dropped else self.curve).shape(*horizon)


@dataclass(frozen=True)
class CommitPlan:
    """How a take goes into the animator's animation.

    choice: the animator's, as it can be carried out, and with the leads that the take gets.
    line, line_first, line_last: what is committed, and its frames without leads.
    takes_part: whether the animator's actions are written, copied or played on.  keeps: whether
    they stay in the file although nothing plays them.  names: of the actions.  line_keys: what
    lines have set before in the action that the take is written into.
    earlier: commits of the line that are replaced.  is_added_again: whether it is added to itself.

    Of each data-block: curves: the animator's.  moved_by_strips: places of the take that strips
    move too.  old_strips: indices of the strips that the take replaces. Of each track: spans: the
    take's frames.  is_chosen: whether the take moves it and its region is chosen.  is_above:
    whether its keys go into a new strip above the animator's.
    """

    choice: CommitChoice
    line: str
    line_first: int
    line_last: int
    takes_part: bool
    keeps: bool
    earlier: tuple[CommittedLine, ...]
    is_added_again: bool
    names: Naming
    line_keys: Mapping[str, LineKeys]
    curves: tuple[Mapping[Place, KeptCurve], ...]
    moved_by_strips: tuple[frozenset[Place], ...]
    old_strips: tuple[tuple[int, ...], ...]
    spans: tuple[placing.Span, ...]
    is_chosen: np.ndarray
    is_above: np.ndarray

    @property
    def is_alone(self) -> bool:
        """Whether the take's keys have an action to themselves."""
        return self.choice.to in ("NEW", "STRIP")


def plan(before: StateBefore, choice: CommitChoice) -> Generator[float, None, CommitPlan]:
    """Decide how a take is committed as chosen. Yields progress; returns the plan."""
    blocks = before.blocks
    grid = Grid(before.scene_first, choice.step)
    take = stepping.with_even_leads(before.take, grid)
    if choice.to == "OWN" and before.first_action is None:
        choice = replace(choice, to="NEW", how="REPLACE")
    # A whole line that was a strip before, and is one again, is replaced; of a part the other parts
    # stay.
    is_whole = (choice.first, choice.last) == (take.first, take.last)
    again = is_whole and choice.to == "STRIP"
    old_strips = tuple(_strips_of_line(block, take, choice) if again else () for block in blocks)
    strips = [_strip_curves(block, take.line, gone) for block, gone in zip(blocks, old_strips)]
    by_strips = [frozenset(set(curves) & set(block.take)) for curves, block in zip(strips, blocks)]
    keeps, takes_part = choice.to == "NEW", True
    if any(by_strips) and (
        choice.to == "NEW" or (choice.to == "COPY" and before.first_action is None)
    ):
        # an active action would hide the strips on all frames: the take becomes one of them
        choice = replace(choice, to="STRIP", how="ADD" if choice.how == "ADD" else "REPLACE")
        takes_part = False
    above = [
        frozenset() if choice.to == "STRIP" else moved - set(block.curves)
        for moved, block in zip(by_strips, blocks)
    ]
    tracks = before.meter.driver.tracks
    is_above = np.array([(track.path, track.index) in above[track.block] for track in tracks], bool)

    # the block whose action is written, or copied
    into = before.first_action if choice.to in ("COPY", "OWN") else None
    lines, known = (None, {}) if into is None else (into.lines, before.line_keys)
    same = tuple(earlier_commits(take, choice, lines))
    earlier = same if choice.how == "REPLACE" and is_whole and take.line in known else ()
    curves: list[dict[Place, KeptCurve]] = []
    for number, block in enumerate(blocks):
        curves.append({})
        for place, curve in block.curves.items():
            name = line_records.curve_name(number, *place)
            curves[number][place] = _keep(curve, take.line, name, earlier, known, choice)
            yield 0.0
    is_chosen = np.array(
        [
            (track.path, track.index) in blocks[track.block].take and region in choice.regions
            for track, region in zip(tracks, before.regions)
        ],
        bool,
    )
    with_leads = choice
    spans: dict[Track, placing.Span] = {}
    if choice.how != "INSERT":
        is_in_strip = is_above | (choice.to == "STRIP")
        under: dict[Track, list[KeptCurve | StripCurve]] = {}
        for number in np.flatnonzero(is_chosen).tolist():
            track, at = tracks[number], (tracks[number].path, tracks[number].index)
            there: list[KeptCurve | StripCurve] = []
            if is_in_strip[number]:
                there += strips[track.block].get(at, [])
            if takes_part and choice.to != "NEW" and at in curves[track.block]:
                there.append(curves[track.block][at])
            under[track.block, *at] = there
        together = {
            (track.block, track.path, track.index)
            for track, chosen in zip(tracks, is_chosen & is_in_strip)
            if chosen
        }
        with_leads, spans = _with_leads(choice, take, under, together)
    first, last = grid.within(with_leads.first, with_leads.last)
    with_leads = replace(with_leads, first=first, last=last)
    spans = {
        track: placing.Span(*grid.within(span.first, span.last), span.blend)
        for track, span in spans.items()
    }
    return CommitPlan(
        with_leads,
        take.line,
        choice.first,
        choice.last,
        takes_part,
        keeps,
        earlier,
        choice.how == "ADD" and bool(same),
        _names(into, take, choice, with_leads, earlier),
        known,
        tuple(curves),
        tuple(by_strips),
        old_strips,
        tuple(
            spans.get((track.block, track.path, track.index), with_leads.span) for track in tracks
        ),
        is_chosen,
        is_above,
    )


def _names(
    into: Block | None,
    take: CommittedTake,
    of_line: CommitChoice,
    choice: CommitChoice,
    earlier: Collection[CommittedLine],
) -> Naming:
    """The names after a line is committed.

    into: whose action it goes into, None for a new one.  of_line: the frames of the line itself.
    choice: with the leads that it got.
    earlier: commits of it that are replaced.
    """
    before = into.lines if into is not None else None
    base = before or CommittedLines(
        line_records.BLENDERS_NUMBER.sub("", into.action)
        if into is not None and into.action is not None
        else ""
    )
    regions = choice.regions.union(
        *(old.regions for old in base.lines if (old.start, old.end) == (choice.first, choice.last))
    )
    new = CommittedLine(
        take.line, of_line.first, of_line.last, choice.first, choice.last, regions, take.voice
    )
    base = base.without(tuple(earlier), regions)
    return Naming(before, base.with_line(new, choice.how, choice.span.end - choice.first))


def _strips_of_line(block: Block, take: CommittedTake, choice: CommitChoice) -> tuple[int, ...]:
    """Indices of NLA strips of nothing but earlier commits of the line, in none but the chosen
    regions: this one replaces them."""
    replaced = []
    for number, (strip, _) in enumerate(block.strips):
        earlier = earlier_commits(take, choice, CommittedLines("", strip.lines))
        if (
            strip.lines
            and len(earlier) == len(strip.lines)
            and all(old.regions <= choice.regions for old in earlier)
        ):
            replaced.append(number)
    return tuple(replaced)


def _strip_curves(
    block: Block, line: str, without: Collection[int]
) -> dict[Place, list[StripCurve]]:
    """Places of the take that the animator's NLA strips move, and their curves, but for those of
    strips with the line itself and of still poses. without: indices of strips left out."""
    curves: dict[Place, list[StripCurve]] = {}
    for number, (strip, of_strip) in enumerate(block.strips):
        is_own = strip.is_still_pose or any(old.name == line for old in strip.lines)
        for place, curve in of_strip.items() if number not in without else ():
            curves.setdefault(place, []).extend([] if is_own else [curve])
    return curves


def earlier_commits(
    take: CommittedTake, choice: CommitChoice, lines: CommittedLines | None
) -> list[CommittedLine]:
    """Earlier commits of a line that a commit of the whole take replaces.

    A line that is a whole sequencer strip exists once, so all earlier commits are replaced,
    wherever they are. A line from a sound file may be spoken several times: only commits that
    overlap the take's frames (with leads) are replaced.
    """
    first, last = choice.first - take.lead_in, choice.last + take.lead_out
    return [
        old
        for old in (lines.lines if lines is not None else ())
        if old.name == take.line and (take.is_unique or (old.start <= last and old.end >= first))
    ]


def _keep(
    curve: Curve,
    line: str,
    name: str,
    earlier: Collection[CommittedLine],
    line_keys: Mapping[str, LineKeys],
    choice: CommitChoice,
) -> KeptCurve:
    """A curve of the animator's for a commit.

    name: of the curve in `line_keys`, the keys set by each line.  earlier: commits of the line that
    are replaced.  choice: the committed frames: keys on them that were edited since do not count as
    the animator's.
    """
    keys, of_line = curve.keys, line_keys.get(line)
    times = keys["co"][:, 0]
    if of_line is None:
        return KeptCurve(curve, keys)
    is_of_line = of_line.has(name, keys)
    on_line = np.zeros(len(times), bool)
    for old in earlier:
        on_line |= (times > old.start - 0.5) & (times < old.end + 0.5)
    unedited = is_of_line & on_line
    if (
        not unedited.any()  # everything is the animator's
        or not curve.is_plain
        # easing between keys cannot be evaluated without Blender's curve
        or keyframes.evaluate(keys, times[:1].astype(float)) is None
    ):
        return KeptCurve(curve, keys, of_line=is_of_line)
    since = on_line & ~unedited & (times > choice.first - 0.5) & (times < choice.last + 0.5)
    left = placing.remove_keys(keys, unedited | since, is_of_line, choice.blend)
    # A nearby line may have written keys on this one's frames.
    edited = ~line_records.of_any_line(line_keys, name, keyframes.select(keys, since))
    return KeptCurve(
        curve,
        left,
        len(times) - len(left["co"]),
        int(edited.sum()),
        of_line.has(name, left),
        tuple(earlier),
    )


def _with_leads(
    choice: CommitChoice,
    take: CommittedTake,
    under: Mapping[Track, list[KeptCurve | StripCurve]],
    together: set[Track],
) -> tuple[CommitChoice, dict[Track, placing.Span]]:
    """Returns the choice extended by the take's lead in and lead out, and the span of each curve
    that loses one of them because the animator has keys or movement there.

    under: the curves under it of each chosen track that the take moves.  together: the tracks that
    share one strip: all of them get a lead or none.
    """

    def busy(first: int, last: int, before: int, after: int) -> set[Track]:
        keyed = {
            track
            for track, curves in under.items()
            if any(curve.moves(first, last, before, after) for curve in curves)
        }
        return keyed | together if keyed & together else keyed

    def has_lead(keyed: set[Track]) -> bool:
        return not keyed or len(keyed) < len(under)

    first, last = choice.first, choice.last
    without_lead_in: set[Track] = set()
    without_lead_out: set[Track] = set()
    if first == take.first:
        without_lead_in = busy(first - take.lead_in, first, _BESIDE, 0)
        if has_lead(without_lead_in):
            first -= take.lead_in
    if last == take.last:
        without_lead_out = busy(last, last + take.lead_out, 0, _BESIDE)
        if has_lead(without_lead_out):
            last += take.lead_out
    spans = {
        track: placing.Span(
            choice.first if track in without_lead_in else first,
            choice.last if track in without_lead_out else last,
            choice.blend,
        )
        for track in without_lead_in | without_lead_out
    }
    return replace(choice, first=first, last=last), spans
