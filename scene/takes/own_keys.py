# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's own keys go along: those in a committed line when another line performs as this
one, each with the word or phrase on which it sits; those in a take that is keyed again, on their
frames of its voice."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...thunder_core.animation import keyframes
from ...thunder_core.animation.commit import line_records
from ...thunder_core.animation.timing import Clock
from ...thunder_core.filters import smoothstep
from ..animation import display, fcurves, keying
from ..heads import head, rna_paths
from ..host import compat, playback
from ..voice.fingerprint import State
from .commit import following, reading
from .shape.applying import STRENGTH

if TYPE_CHECKING:
    import bpy

    from ..properties.settings import ThunderTake


_REACH = 0.24  # seconds around a key in which its curve flows into the new take's
_NAMED = 5  # keys without a place that a sentence names


@dataclass(frozen=True)
class OwnKeys:
    """Own keys of one curve.

    block: index of its target in the rig.  keys: as `fcurves.read`, on scene frames.  reach [K, 2]:
    frames before and after each in which it has an effect.  frames [S], values [S]: the curve.
    is_whole: the animator keyed all of a curve that the line had set.
    """

    block: int
    path: str
    index: int
    keys: dict[str, np.ndarray]
    reach: np.ndarray
    frames: np.ndarray
    values: np.ndarray
    is_whole: bool = False

    @property
    def name(self) -> str:
        """For a sentence."""
        names = re.findall(r'"([^"]+)"', self.path)
        return names[-1].removeprefix(rna_paths.OWN_PREFIX) if names else self.path


def of_line(
    rig: head.Rig, line: line_records.CommittedLine
) -> Generator[float, None, list[OwnKeys]]:
    """The animator's own keys on the face, and of custom properties, on the frames of a committed
    line. Yields progress; returns them."""
    actions = [
        (block, action, slot, 0) for block, (action, slot) in enumerate(following.action_slots(rig))
    ]
    for block, target in enumerate(rig.targets):
        for _, strip in reading.active_strips(target):
            if line in reading.lines_in(strip):
                late = round(strip.frame_start - strip.action_frame_start)
                actions.append((block, strip.action, compat.strip_slot(strip), late))
    found, is_noted = [], any(line_records.keys_of(action) for _, action, _, _ in actions)
    for block, action, slot, late in actions:
        curves = compat.curves_of(action, slot)
        face = following.of_face(rig, rig.targets[block], curves)
        for curve in curves:
            if curve in face or curve.data_path.startswith('["'):
                own = _of_curve(rig, line.later(-late), block, curve, action, is_noted)
                if own is not None:
                    keys, frames = keyframes.move(own.keys, late), own.frames + late
                    found.append(replace(own, keys=keys, frames=frames))
            yield 0.0
    return found


def _of_curve(
    rig: head.Rig,
    line: line_records.CommittedLine,
    block: int,
    curve: bpy.types.FCurve,
    action: bpy.types.Action,
    is_noted: bool,
) -> OwnKeys | None:
    """The own keys of one curve, None if it has none. is_noted: whether it is known which keys the
    line wrote."""
    keys, known = fcurves.read(curve), line_records.keys_of(action)
    name = line_records.curve_name(block, curve.data_path, curve.array_index)
    times = keys["co"][:, 0].astype(float)
    start, end = (line.start, line.end) if line.end else (line.first, line.last)
    inside = (times > start - 0.5) & (times < end + 0.5)
    own = inside & ~line_records.of_any_line(known, name, keys)
    set_by_line = len(known.get(line.name, line_records.LineKeys()).curves.get(name, ()))
    is_track = any(
        (t.block, t.path, t.index) == (block, curve.data_path, curve.array_index)
        for t in rig.driver.tracks
    )
    if not own.any() or (is_track and not is_noted):  # not by earlier versions
        return None
    gaps = np.diff(times, prepend=-np.inf, append=np.inf)
    reach = np.stack([gaps[:-1], gaps[1:]], 1)[own]
    frames = np.arange(start - 1, end + 2, dtype=float)
    return OwnKeys(
        block, curve.data_path, curve.array_index, keyframes.select(keys, own), reach, frames,
        fcurves.evaluate(curve, frames),
        is_track and set_by_line > 0 and (inside & ~own).sum() * 2 < own.sum(),
    )  # fmt: skip


def seconds_of(own: Sequence[OwnKeys], clock: Clock) -> list[float]:
    """The seconds of all these keys in a voice, in order."""
    times = [clock.seconds(each.keys["co"][:, 0]).tolist() for each in own]
    return [round(at, 4) for some in times for at in some]


def enter(
    rig: head.Rig,
    entry: ThunderTake,
    own: Sequence[OwnKeys],
    places: Sequence[float | None],
    clock: Clock,
) -> list[str]:
    """Give a take own keys of another line, at once. places: seconds in its voice for each of
    `seconds_of`, None without one.  Returns what has no place: “name at frame 12”."""
    left, places = [], list(places)
    curves = keying.curves_of_tracks(rig, entry)
    tracks = {(t.block, t.path, t.index): i for i, t in enumerate(rig.driver.tracks)}
    for each in own:
        count = len(each.keys["co"])
        here, places = places[:count], places[count:]
        key = (each.block, each.path, each.index)
        exists = each.block < len(rig.targets) and rna_paths.exists(
            rig.targets[each.block], each.path
        )
        if each.is_whole or not exists:
            left.append(f"{each.name} (all keys)" if each.is_whole else each.name)
            continue
        has_place = np.array([at is not None for at in here], bool)
        left += [
            f"{each.name} at frame {frame:g}" for frame in each.keys["co"][~has_place, 0].tolist()
        ]
        to = np.round(clock.frame(np.array([at for at in here if at is not None], float)))
        if len(to) and key in tracks:
            _pull(entry, curves[tracks[key]], each, has_place, to)
        elif len(to):
            _copy(rig, entry, each, has_place, to)
    rna_paths.tag(rig.targets)
    return left


def _pull(
    entry: ThunderTake,
    curve: bpy.types.FCurve | None,
    own: OwnKeys,
    has_place: np.ndarray,
    to: np.ndarray,
) -> None:
    """Let the curve of a track go through own keys at their new frames, and flow into them."""
    if curve is None:
        return
    frames, at = keying.frames_of(entry).astype(float), own.keys["co"][has_place, 0].astype(float)
    values = fcurves.evaluate(curve, frames)
    reach = np.clip(own.reach[has_place], 1.0, max(1.0, _REACH * Clock.of(entry.id_data, 0).fps))
    past = frames[:, None] - to
    far = np.where(past < 0, -past / reach[:, 0], past / reach[:, 1])
    weight = (1 - smoothstep(np.clip(far, 0, 1))).max(1)
    for one, other in zip(range(len(to)), range(1, len(to))):
        if own.reach[has_place][one, 1] >= at[other] - at[one] - 1e-3:  # neighbours on the curve
            weight[(frames >= to[one]) & (frames <= to[other])] = 1.0
    # between two keys evenly, outside at the old speed
    order = np.argsort(to, kind="stable")
    ends_new = np.r_[to[order[0]] - 1e4, to[order], to[order[-1]] + 1e4]
    ends_old = np.r_[at[order[0]] - 1e4, at[order], at[order[-1]] + 1e4]
    old = np.interp(np.interp(frames, ends_new, ends_old), own.frames, own.values)
    new = (1 - weight) * values + weight * old
    # exact on the keys themselves
    new[np.searchsorted(frames, to).clip(0, len(frames) - 1)] = own.keys["co"][has_place, 1]
    fcurves.write(curve, keyframes.on_every_frame(frames, new))


def _copy(
    rig: head.Rig, entry: ThunderTake, own: OwnKeys, has_place: np.ndarray, to: np.ndarray
) -> None:
    """Add own keys of something that takes do not move."""
    keys = keyframes.select(own.keys, has_place)
    late = (to - keys["co"][:, 0])[:, None] * [1, 0]
    keys |= {side: keys[side] + late for side in ("co", "handle_left", "handle_right")}
    order = np.argsort(keys["co"][:, 0], kind="stable")
    action, slot = display.part_of(display.actions_of(entry), rig, own.block)
    if action is None:
        return
    added = compat.new_curve(
        compat.curves_in(action, rig.targets[own.block], slot), own.path, own.index, "Own Keys"
    )
    fcurves.write(added, keyframes.select(keys, order))


def carry(
    rig: head.Rig, entry: ThunderTake, actions: list, then: State, now: State
) -> Generator[float, None, None]:
    """Give new actions the keys that a take has on those frames of its voice that still play, and
    its curves of what takes do not move. Yields progress; closed early it removes the actions.

    actions: of the same take, keyed from its motion for the voice as it plays now, which has the
    same sound and frame rate as then.
    """
    late = round(now.origin - then.origin)
    first, last = max(now.first, then.first + late), min(now.last, then.last + late) - 1
    try:
        for block, curves in enumerate(display.curves_of(rig, entry)):
            action, slot = display.part_of(actions, rig, block)
            assert action is not None  # they were keyed for all targets
            into = compat.curves_in(action, rig.targets[block], slot)
            places = compat.by_place(into)
            for number, curve in enumerate(curves):
                new = places.get((curve.data_path, curve.array_index))
                if curve.data_path != STRENGTH:  # of a shape, which is in the keys by now
                    _carry_curve(curve, new, into, late, first, last)
                yield (block + number / len(curves)) / len(rig.targets)
    except BaseException:
        playback.remove(actions)
        raise


def _carry_curve(
    curve: bpy.types.FCurve,
    new: bpy.types.FCurve | None,
    into: bpy.types.ActionChannelbagFCurves,
    late: int,
    first: int,
    last: int,
) -> None:
    """Give the curve `new`, between two frames, the keys that another has so many frames earlier;
    all of them in a new curve if it is None."""
    keys = fcurves.read(curve)
    if len(curve.modifiers) or not len(keys["co"]):
        frames = np.arange(first, last + 1.0) - late
        keys = keyframes.on_every_frame(frames, fcurves.evaluate(curve, frames))
    keys = keyframes.move(keys, late)
    if new is None:
        group = curve.group.name if curve.group else ""
        new = compat.new_curve(into, curve.data_path, curve.array_index, group)
    else:
        around = fcurves.read(new)
        inside = keyframes.keys_between(keys, first, last, lambda at: curve.evaluate(at - late))
        before = keyframes.keys_until(around, first - 1)
        keys = keyframes.concatenate(before, inside, keyframes.keys_from(around, last + 1))
    fcurves.write(new, keys)
    new.mute, new.extrapolation = curve.mute, curve.extrapolation


def describe_unplaced(left: Sequence[str]) -> str:
    """The sentence on keys without a place, "" for none."""
    if not left:
        return ""
    more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    return (
        f"Keys of yours without a place in this recording were not set in it, only their movement: "
        f"{', '.join(left[:_NAMED])}{more}"
    )
