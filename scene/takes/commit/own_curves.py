# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's own curves in a commit: the keys of each that stay, and where a take's leads are left out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ....thunder_core.animation import keyframes, placing, remaining
from ....thunder_core.animation.commit import line_keys, line_names
from ....thunder_core.errors import BadRequest
from ...animation import display, fcurves
from ...host import compat
from ...voice import fingerprint
from . import modifiers
from .choice import Choice

STILL = 1e-5  # difference below which a value has not moved
_SHORTEST_FADE = 2  # least frames between the animator's key and a lead; with fewer the curve would jump
STILL_POSE = "Thunder: Still Pose"  # NLA track, strip and action of the still pose under a committed strip


@dataclass(frozen=True)
class OwnCurve:
    """A curve of the animator's during a commit.

    keys: those that stay.  dropped: number of keys removed: those an earlier commit of this line set, and later edits on its frames.
    edited: number of these edits.  lines: lines committed to the curve's action.  put: mask of the keys set by a commit of this
    line, None if there are none.  ends, gaps: see `remaining.Remaining`.  led: outer frames of the leads the line had here."""

    curve: object
    keys: dict
    dropped: int = 0
    lines: tuple[line_names.Line, ...] = ()
    edited: int = 0
    put: np.ndarray | None = None
    ends: np.ndarray | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    led: tuple[int, ...] = ()

    def moves(self, start: int, end: int, before: int = 0, after: int = 0) -> bool:
        """Whether the animator has a key in start … end, or the curve changes there or in the fades.

        before, after: frames of the fades; they begin at the animator's last key before start and end at the first after end.
        A key right beside a lead counts too, unless the line already had that lead.
        """
        keys = self.keys["co"][:, 0]
        if not len(keys):
            return False
        own = keys if self.put is None else keys[~self.put]
        had_lead = start in self.led or end in self.led
        nearest_before, nearest_after = (0 if had_lead else min(fade, _SHORTEST_FADE - 1) for fade in (before, after))
        if ((own > start - nearest_before - 0.5) & (own < end + nearest_after + 0.5)).any():
            return True
        first = max([start - before, *own[own < start]])
        last = min([end + after, *own[own > end]])
        frames = np.arange(np.ceil(first), np.floor(last) + 1)
        known = ~np.any([np.zeros(len(frames), bool), *((frames > low) & (frames < high) for low, high in self.gaps)], axis=0)
        values = self.at(frames)
        stretches = np.split(values, np.flatnonzero(np.diff(known)) + 1)[0 if known[0] else 1 :: 2]
        return any(np.ptp(stretch) > STILL for stretch in stretches)

    def at(self, frames: np.ndarray) -> np.ndarray:
        """Its values [T] without the keys that are dropped."""
        if self.dropped:
            return keyframes.evaluate(self.keys, frames) if len(self.keys["co"]) else np.zeros(len(frames))
        return np.array([self.curve.evaluate(float(frame)) for frame in frames])

    def shape(self, horizon: tuple[float, float]) -> placing.Shape:
        """It without the keys that are dropped; one key at least must be left."""
        if self.dropped:
            return placing.Shape(self.keys, lambda frame: float(keyframes.evaluate(self.keys, np.array([frame]))[0]))
        return modifiers.shape_of(self.curve, *horizon)


@dataclass(frozen=True)
class StripCurve:
    """A curve of the animator's that one of the NLA strips plays."""

    curve: object
    strip: object

    def moves(self, start: int, end: int, before: int = 0, after: int = 0) -> bool:
        """Whether the strip plays a key of the curve from one scene frame to another, or a change of it, fades included. Where the
        strip only holds its first or last value it plays nothing."""
        strip, start, end = self.strip, start - before, end + after
        frames = np.arange(np.ceil(max(start, strip.frame_start)), np.floor(min(end, strip.frame_end)) + 1)
        if not len(frames):
            return False
        if strip.use_animated_time:
            return True
        times = self._action_times(frames)
        keys = fcurves.read(self.curve)["co"][:, 0]
        if len(keys) and np.abs(keys[:, None] - times).min() < 0.5 / abs(strip.scale or 1.0):
            return True
        return bool(np.ptp([self.curve.evaluate(time) for time in times]) > STILL)

    def _action_times(self, frames: np.ndarray) -> np.ndarray:
        """The action's frames that the strip plays at scene frames within it."""
        strip = self.strip
        first, last, scale = strip.action_frame_start, strip.action_frame_end, abs(strip.scale or 1.0)
        played = (frames - strip.frame_start) / scale
        if last - first > 0:
            times = played % (last - first)
            played = np.where((times == 0.0) & (played > 0.0), last - first, times)
        return last - played if strip.use_reverse else first + played

    @property
    def lines(self) -> tuple[line_names.Line, ...]:
        """The lines in its action on the scene frames on which the strip plays them; none where it plays them at another speed."""
        strip = self.strip
        lines = line_names.of(strip.action)
        if lines is None or strip.scale != 1.0 or strip.repeat != 1.0 or strip.use_reverse or strip.use_animated_time:
            return ()
        return tuple(line.later(round(strip.frame_start - strip.action_frame_start)) for line in lines.lines)


def by_path(action, slot: str) -> dict:
    """The curves of an action's slot: (path, index) → f-curve; empty without an action."""
    if action is None:
        return {}
    return {(curve.data_path, curve.array_index): curve for curve in compat.curves_of(action, slot)}


def _played(target) -> Iterator:
    """(track, strip) of the NLA strips on a target that play an action, but for those of shown takes."""
    for track in target.animation_data.nla_tracks if target.animation_data else ():
        if not track.mute and not track.name.startswith(display.TRACK):
            yield from ((track, strip) for strip in track.strips if strip.action is not None and not strip.mute)


def strips_of_line(target, line: str, choice: Choice, entry) -> list:
    """(track, strip) of NLA strips of nothing but earlier commits of a line, in none but the chosen regions: this one replaces them."""
    replaced = []
    for track, strip in _played(target):
        lines = StripCurve(None, strip).lines
        earlier = earlier_commits(line, choice, entry, line_names.Lines("", lines))
        if lines and len(earlier) == len(lines) and all(old.regions <= choice.regions for old in earlier):
            replaced.append((track, strip))
    return replaced


def strip_curves(target, without: Collection = ()) -> dict[tuple[str, int], list[StripCurve]]:
    """Properties of a target moved by the animator's own NLA strips: (path, index) → curves. without: strips left out."""
    curves: dict[tuple[str, int], list[StripCurve]] = {}
    for _, strip in _played(target):
        if strip not in without:
            for key, curve in by_path(strip.action, compat.strip_slot(strip)).items():
                curves.setdefault(key, []).append(StripCurve(curve, strip))
    return {key: [one for one in strips if not one.strip.name.startswith(STILL_POSE)] for key, strips in curves.items()}


def check_local(actions: list) -> None:
    """Raise BadRequest if an action is linked from another file."""
    for action in actions:
        if action is not None and (action.library is not None or action.override_library is not None):
            raise BadRequest(f"Your action “{action.name}” is linked from another file: commit to a copy of it")


def key_count(actions) -> int:
    """Number of keys of actions, on all their curves."""
    return sum(len(curve.keyframe_points) for action in dict.fromkeys(filter(None, actions)) for curve in compat.all_curves(action))


def earlier_commits(line: str, choice: Choice, entry, lines: line_names.Lines | None) -> list[line_names.Line]:
    """Earlier commits of a line that a commit of the whole take replaces.

    A line that is a whole sequencer strip exists once, so all earlier commits are replaced, wherever they are. A line from a sound
    file may be spoken several times: only commits that overlap the take's frames (with leads) are replaced.
    """
    state = fingerprint.remembered(display.actions_of(entry)[0])
    in_one_place = state is not None and state.strip and not state.limited  # parts of a strip are separate lines
    first, last = choice.first - entry.lead_in, choice.last + entry.lead_out
    return [
        old
        for old in (lines.lines if lines is not None else ())
        if old.name == line and (in_one_place or (old.start <= last and old.end >= first))
    ]


def own_curve(  # noqa: PLR0913 (what one curve is looked at with)
    curve, line: str, name: str, earlier: list[line_names.Line], lines: tuple[line_names.Line, ...], puts: dict, choice: Choice
) -> OwnCurve:
    """A curve of the animator's for a commit.

    earlier: commits of the line that are replaced.  lines: of the curve's action.  puts: keys written by each line.
    choice: the committed frames: keys on them that were edited since do not count as the animator's own.
    """
    keys, put = fcurves.read(curve), puts.get(line)
    if put is None or not earlier or len(curve.modifiers) or curve.extrapolation != "CONSTANT":
        return OwnCurve(curve, keys, 0, lines)
    times = keys["co"][:, 0]
    on_line = np.any([(times > old.start - 0.5) & (times < old.end + 0.5) for old in earlier], axis=0)
    of_line = put.has(name, keys)
    as_put = of_line & on_line
    if not as_put.any():  # everything is the animator's
        return OwnCurve(curve, keys, 0, lines)
    since = on_line & ~as_put & (times > choice.first - 0.5) & (times < choice.last + 0.5)
    if keyframes.evaluate(keys, times[:1].astype(float)) is None:
        return OwnCurve(curve, keys, 0, lines)  # easing between keys cannot be evaluated without Blender's curve
    replaced = [(old.start, old.end) for old in earlier]
    left = remaining.without(keys, as_put | since, of_line, put.has_end(name, keys), replaced, choice.blend)
    dropped = len(times) - len(left.keys["co"])
    # A nearby line may have written keys on this one's frames.
    edited_since = ~line_keys.of_any_line(puts, name, keyframes.select(keys, since))
    # A lead ends with a key at the end of the line's frames.
    led = tuple(
        frame
        for old in earlier
        for frame, has_lead in ((old.start, old.start < old.first), (old.end, old.end > old.last))
        if has_lead and (as_put & (np.abs(times - frame) < 0.5)).any()
    )
    return OwnCurve(curve, left.keys, dropped, lines, int(edited_since.sum()), put.has(name, left.keys), left.ends, left.gaps, led)


def edited(  # noqa: PLR0913 (what one curve is looked at with)
    old: OwnCurve | None,
    name: str,
    puts: dict[str, line_keys.LineKeys],
    lines: line_names.Lines | None,
    span: placing.Span,
    was_elsewhere: bool,
) -> int:
    """Number of keys on a span that the animator moved or added on lines committed there, and, if the current line was elsewhere before,
    the number of the animator's own keys that it now overlaps.

    puts: keys written by each line.  lines: those of the action.  A curve without a line's keys is the animator's own.
    """
    if old is None or lines is None:
        return 0
    times = old.keys["co"][:, 0]
    known = {line for line, put in puts.items() if (put.curves or {}).get(name)}
    counted, on_any = np.zeros(len(times), bool), np.zeros(len(times), bool)
    for line in lines.lines:
        on_line = (times > line.start - 0.5) & (times < line.end + 0.5)
        on_any |= on_line
        if line.name in known:
            counted |= on_line
    if was_elsewhere:
        counted |= ~on_any
    counted &= ~line_keys.of_any_line(puts, name, old.keys)
    return old.edited + int((counted & (times > span.first - 0.5) & (times < span.last + 0.5)).sum())


def with_leads(choice: Choice, entry, tracks_of_take: dict, together: set, puts: dict[str, line_keys.LineKeys]) -> tuple[Choice, dict]:
    """Returns the choice extended by the take's lead in and lead out, and the span of each curve that loses one of them because
    the animator has keys or movement there.

    tracks_of_take: (block, path, index) → (OwnCurves and StripCurves under it, its region) of each chosen track that the take
    moves.  together: keys of the tracks that share one strip: all of them get a lead or none.  puts: the keys each line set in
    the action. A lead that this line had on the same frames is replaced; the animator's own keys in it stay.
    """
    if choice.how == "INSERT":
        return choice, {}

    def is_busy(key: tuple, curve, region: str, frames: tuple[int, int, int, int], is_same) -> bool:
        if isinstance(curve, OwnCurve) and curve.dropped:  # without the keys of the line
            return curve.moves(*frames)
        replaced = [line for line in curve.lines if is_same(line) and region in line.regions]
        return (not replaced or _has_other_keys(curve, line_keys.name_of(*key), replaced, puts)) and curve.moves(*frames)

    def busy(frames: tuple[int, int, int, int], is_same) -> set:
        moving = {
            key for key, (under, region) in tracks_of_take.items() if any(is_busy(key, curve, region, frames, is_same) for curve in under)
        }
        return moving | together if moving & together else moving

    def has_lead(moving: set) -> bool:
        return not moving or len(moving) < len(tracks_of_take)

    first, last, without_lead_in, without_lead_out = choice.first, choice.last, set(), set()
    if first == entry.first:
        frames = entry.first - entry.lead_in, first, choice.blend, 0
        without_lead_in = busy(frames, lambda line: line.first == entry.first > line.start)
        if has_lead(without_lead_in):
            first -= entry.lead_in
    if last == entry.last:
        frames = last, entry.last + entry.lead_out, 0, choice.blend
        without_lead_out = busy(frames, lambda line: line.last == entry.last < line.end)
        if has_lead(without_lead_out):
            last += entry.lead_out
    spans = {
        key: placing.Span(choice.first if key in without_lead_in else first, choice.last if key in without_lead_out else last, choice.blend)
        for key in without_lead_in | without_lead_out
    }
    return replace(choice, first=first, last=last), spans


def _has_other_keys(curve, name: str, replaced: list[line_names.Line], puts: dict[str, line_keys.LineKeys]) -> bool:
    """Whether a curve of the action that lines put keys on has others in the leads of some of them."""
    if not isinstance(curve, OwnCurve) or not any((put.curves or {}).get(name) for put in puts.values()):
        return False  # keys written by an earlier version are not recorded
    times = curve.keys["co"][:, 0]
    foreign = ~line_keys.of_any_line(puts, name, curve.keys)
    leads = [(times > line.start - 0.5) & (times < line.end + 0.5) & ((times < line.first) | (times > line.last)) for line in replaced]
    return bool((foreign & np.any(leads, axis=0)).any())
