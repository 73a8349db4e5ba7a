# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's own curves as a commit meets them: what stays of each, and where a take's leads have to give way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....thunder_core.animation import keyframes, placing
from ....thunder_core.errors import BadRequest
from ...animation import display, fcurves
from ...host import compat
from . import line_names, modifiers, put_keys
from .choice import Choice

STILL = 1e-5  # a value nearer to another than this has not moved


@dataclass(frozen=True)
class OwnCurve:
    """A curve of the animator's as a commit uses it. keys: those that stay; dropped: how many an earlier commit of the same line
    put, which its next commit replaces."""

    curve: object
    keys: dict
    dropped: int = 0

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


def by_path(action, slot: str) -> dict:
    if action is None:
        return {}
    return {(curve.data_path, curve.array_index): curve for curve in compat.curves_of(action, slot)}


def moved_by_strips(target) -> set[tuple[str, int]]:
    """The curves (path, index) that the animator's own NLA strips move on a target."""
    tracks_there = target.animation_data.nla_tracks if target.animation_data else ()
    return {
        key
        for track in tracks_there
        if not track.mute and not track.name.startswith(display.TRACK)
        for strip in track.strips
        if strip.action is not None and not strip.mute
        for key in by_path(strip.action, compat.strip_slot(strip))
    }


def check_own(own: list) -> None:
    for action in own:
        if action is not None and (action.library is not None or action.override_library is not None):
            raise BadRequest(f"Your action “{action.name}” is linked from another file: commit to a copy of it")


def key_count(actions) -> int:
    """How many keys actions have, on all their curves."""
    return sum(len(curve.keyframe_points) for action in dict.fromkeys(filter(None, actions)) for curve in compat.all_curves(action))


def earlier_commits(line: str, choice: Choice, entry, lines: line_names.Lines | None) -> list[line_names.Line]:
    """Earlier commits of a line that a whole take of it replaces: those on some of its frames, leads included. One elsewhere is
    the line said twice."""
    first, last = choice.first - entry.lead_in, choice.last + entry.lead_out
    return [old for old in (lines.lines if lines is not None else ()) if old.name == line and old.start <= last and old.end >= first]


def own_curve(curve, put: put_keys.Put | None, name: str, earlier: list[line_names.Line]) -> OwnCurve:
    """put: what earlier commits of the line put.  earlier: those of them that are replaced."""
    keys = fcurves.read(curve)
    if put is None or not earlier or len(curve.modifiers) or curve.extrapolation != "CONSTANT":
        return OwnCurve(curve, keys)
    times = keys["co"][:, 0]
    again = put.has(name, keys) & np.any([(times > old.start - 0.5) & (times < old.end + 0.5) for old in earlier], axis=0)
    left = keyframes.some(keys, ~again)
    if not again.any() or (len(left["co"]) and keyframes.evaluate(left, left["co"][:1, 0].astype(float)) is None):
        return OwnCurve(curve, keys)  # the latter: what eases between its keys cannot be evaluated without Blender's curve
    return OwnCurve(curve, left, int(again.sum()))


def with_leads(choice: Choice, entry, tracks_of_take: dict, before: line_names.Lines | None) -> tuple[Choice, dict]:
    """The choice with the take's lead in and lead out, and the span of each curve that does without one of them: the animator's
    curve moves there or has keys.

    tracks_of_take: (block, path, index) → (curve of the animator's or None, its region) of what the take moves in the chosen
    regions.  before: lines that were committed to the same action: the leads of one that began or ended on the same frame are
    replaced with it.
    """
    if choice.how == "INSERT":
        return choice, {}
    lines = before.lines if before is not None else ()

    def busy(start: int, end: int, replaced: list) -> set:
        regions = frozenset().union(*(line.regions for line in replaced))
        return {
            key
            for key, (own, region) in tracks_of_take.items()
            if own is not None and region not in regions and len(own.keys["co"]) and _moves(own, start, end)
        }

    def is_room(kept: set) -> bool:  # a strip covers all that is under it: there the whole face goes without
        return not kept or (choice.to != "STRIP" and len(kept) < len(tracks_of_take))

    first, last, kept_in, kept_out = choice.first, choice.last, set(), set()
    if first == entry.first:
        kept_in = busy(first - entry.lead_in - choice.blend, first, [line for line in lines if line.first == first and line.start < first])
        if is_room(kept_in):
            first -= entry.lead_in
    if last == entry.last:
        kept_out = busy(last, last + entry.lead_out + choice.blend, [line for line in lines if line.last == last and line.end > last])
        if is_room(kept_out):
            last += entry.lead_out
    spans = {
        key: placing.Span(choice.first if key in kept_in else first, choice.last if key in kept_out else last, choice.blend)
        for key in kept_in | kept_out
    }
    return replace(choice, first=first, last=last), spans


def _moves(own: OwnCurve, start: int, end: int) -> bool:
    """Whether a curve has a key from one frame to another, or changes between them."""
    keys = own.keys["co"][:, 0]
    if ((keys > start - 0.5) & (keys < end + 0.5)).any():
        return True
    return bool(np.ptp(own.at(np.arange(start, end + 1, dtype=float))) > STILL)
