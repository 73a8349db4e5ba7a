# SPDX-License-Identifier: GPL-3.0-or-later
"""How the voice of a take has changed since the take was made."""

from __future__ import annotations

import os
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import bpy

from ...thunder_core.animation import keyframes
from ..host.redraw import once
from . import fingerprint, strip
from .fingerprint import OF, State

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


# about half a frame: another scene rate rounds a strip's ends to its frames
_SAME_SECONDS = 0.02


@dataclass(frozen=True)
class Change:
    """A change of a take's voice.

    kind: MOVED, CUT, CHANGED (it has sound that was never sampled), RATE (the scene's frame rate)
    or GONE.
    sentence: the same for an animator.  now: the current state of the voice, None if it is gone.
    """

    kind: str
    sentence: str
    now: State | None


@once
def stale_takes(scene: bpy.types.Scene) -> list[tuple]:
    """(entry, change) of a scene's takes whose voice exists but has changed since they were
    made."""
    stale = []
    known: dict[tuple, Change | None] = {}  # cached results; takes made together share one
    for entry in scene.thunder.takes:
        key = entry.action.get(fingerprint.STATE) if entry.action is not None else None, entry.voice
        if key not in known:
            known[key] = change(scene, entry)
        if (found := known[key]) is not None and found.kind != "GONE":
            stale.append((entry, found))
    return stale


def change(scene: bpy.types.Scene, entry: ThunderTake) -> Change | None:
    """The change of a take's voice since the take was made; None if unchanged or unknown.

    Fast enough for drawing each row of the list.
    """
    then = fingerprint.of_take(entry)
    return None if then is None else change_since(scene, then)


@once
def change_since(
    scene: bpy.types.Scene, then: State, since: str = "its takes were made"
) -> Change | None:
    """The change of a voice since a state of it; None if unchanged. since: words for when that
    was."""
    now = _state_now(scene, then)
    name = then.strip or os.path.basename(then.path)
    if now is None:
        return Change("GONE", f"The voice “{name}” was removed", None)
    if now.sound != then.sound or now.retiming != then.retiming:
        how = "replaced" if now.sound != then.sound else "retimed"
        if now.sound.partition(OF)[0] == then.sound.partition(OF)[0] and how == "replaced":
            how = "given another channel"
        return Change("CHANGED", f"The sound of “{name}” was {how} since {since}", now)
    if then.last:
        before, after = then.seconds, now.seconds
        if after[0] < before[0] - _SAME_SECONDS or after[1] > before[1] + _SAME_SECONDS:
            return Change("CHANGED", f"“{name}” is longer than when {since}", now)
        if after[0] > before[0] + _SAME_SECONDS or after[1] < before[1] - _SAME_SECONDS:
            return Change("CUT", f"“{name}” was trimmed since {since}", now)
    if abs(now.fps - then.fps) > 1e-6:
        return Change(
            "RATE", f"The scene had {then.fps:.4g} frames per second when {since} (“{name}”)", now
        )
    shift = now.origin - then.origin
    if abs(shift) > keyframes.SAME_FRAME:
        return Change("MOVED", f"“{name}” was moved by {shift:+.4g} frames since {since}", now)
    return None


def _state_now(scene: bpy.types.Scene, then: State) -> State | None:
    """The current state of the same voice, None if it is gone."""
    if not then.strip:
        now = fingerprint.of_sound_file(scene, then.path, then.origin)
        return now if now.sound else None
    strip_now = strip.by_name(scene, then.strip)
    if strip_now is None or strip_now.type != "SOUND":
        # a strip with takes is another voice
        return find_renamed(scene, then, {entry.voice for entry in scene.thunder.takes})
    now = fingerprint.of_strip(scene, strip_now)
    pieces = [each for each in _strips_of(scene, strip_now.sound) if each.strip != strip_now.name]
    # A strip that was cut in two in place still sounds the same; sound that it never had does not
    # count.
    pieces = [
        each
        for each in pieces
        if each.retiming == now.retiming and abs(each.origin - now.origin) < keyframes.SAME_FRAME
    ]
    first, last = (round(now.origin + seconds * now.fps) for seconds in then.seconds)
    begin, end = now.first, now.last
    for each in sorted(pieces, key=lambda piece: piece.first):
        end = each.last if each.first == end else end
    for each in sorted(pieces, key=lambda piece: piece.last, reverse=True):
        begin = each.first if each.last == begin else begin
    now = replace(now, first=min(now.first, max(begin, first)), last=max(now.last, min(end, last)))
    if then.limited:  # parts left out then do not count now
        now = replace(now, first=max(now.first, first), last=min(now.last, last), limited=True)
    return now


@once
def _strips_of(scene: bpy.types.Scene, sound: bpy.types.Sound | None) -> list[State]:
    """The states of the strips of a sound."""
    strips = (each for each in strip.sound_strips(scene) if each.sound == sound)
    return [fingerprint.of_strip(scene, each) for each in strips]


def find_renamed(
    scene: bpy.types.Scene, then: State | None, taken: Container[str] = ()
) -> State | None:
    """The state of the strip that is what a strip was which is gone: the same under another name,
    else what was left of it where it was, trimmed or cut; None if there is none.

    taken: names of strips that it is not.
    """
    if then is None or not then.strip:
        return None
    left = []
    for each in strip.sound_strips(scene):
        if each.name in taken:
            continue
        now = fingerprint.of_strip(scene, each)
        if then.limited and now.first <= then.first and then.last <= now.last:
            now = replace(now, first=then.first, last=then.last, limited=True)
        same_but_for_span = replace(now, strip=then.strip, first=then.first, last=then.last) == then
        if same_but_for_span and (now.first, now.last) == (then.first, then.last):
            return now
        if same_but_for_span and then.first <= now.first and now.last <= then.last:
            left.append(now)
    return min(left, key=lambda state: state.first, default=None)


def is_cut_off(
    scene: bpy.types.Scene, one: bpy.types.SoundStrip, other: bpy.types.SoundStrip
) -> bool:
    """Whether two sound strips are pieces of one recording, side by side as they were cut or with a
    gap between them."""
    if one.sound is None or one.sound != other.sound:
        return False
    a, b = fingerprint.of_strip(scene, one), fingerprint.of_strip(scene, other)
    return (
        abs(a.origin - b.origin) < keyframes.SAME_FRAME
        and a.retiming == b.retiming
        and (a.last <= b.first or b.last <= a.first)
    )


def part_of(scene: bpy.types.Scene, then: State | None, one: bpy.types.SoundStrip) -> str:
    """Whether a sound strip was cut off a take's voice, which was `then`: PLAYED if the take still
    plays it, where it was or moved along; CUT_AWAY if it was moved alone, so that Re-sync will trim
    the take; "" if the take is of another sound.

    Fast for strips of other sounds or parts.
    """
    if then is None or not then.strip or then.strip == one.name or one.sound is None:
        return ""
    voice, piece = strip.by_name(scene, then.strip), fingerprint.of_strip(scene, one)
    if (
        voice is None
        or voice.type != "SOUND"
        or voice.sound != one.sound
        or piece.retiming != then.retiming
        or not _within(piece, then)
    ):
        return ""
    changed = change_since(scene, then)
    now = then if changed is None else changed.now
    if now is None or (changed is not None and changed.kind == "CHANGED"):
        return ""
    if _within(piece, now):
        # else it is played twice, here for the second time
        return "PLAYED" if abs(piece.origin - now.origin) < keyframes.SAME_FRAME else ""
    (first, last), (begin, end) = piece.seconds, now.seconds
    apart = last <= begin + _SAME_SECONDS or first >= end - _SAME_SECONDS
    return "CUT_AWAY" if changed is not None and changed.kind == "CUT" and apart else ""


def pieces_cut_away(scene: bpy.types.Scene, then: State) -> list[State]:
    """The present states of the strips that are CUT_AWAY (`part_of`) from a voice, in order of
    time."""
    return [
        fingerprint.of_strip(scene, each)
        for each in strip.sound_strips(scene)
        if part_of(scene, then, each) == "CUT_AWAY"
    ]


def _within(part: State, whole: State) -> bool:
    """Whether one state plays a part of what the other plays; unknown for a file."""
    (first, last), (begin, end) = part.seconds, whole.seconds
    return bool(whole.last) and begin - _SAME_SECONDS <= first and last <= end + _SAME_SECONDS
