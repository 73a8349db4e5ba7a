# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a Blender f-curve as arrays (thunder_core/animation/keyframes.py): read, and written
back exactly."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np

from ...thunder_core.animation import keyframes
from ..heads import head
from ..host import compat

# how far handles are from where Blender places them: by its rounding, and by that of takes
_EXACT, _ROUNDED = 2e-6, 1.3e-4
# tolerance in units of the value: a handle that Blender moved by less counts as unmoved
_SAME = 1e-7  # difference below which values are equal
_IN_PLACE = 3e-5


def of_tracks(rig: head.Rig, of_targets: Iterable[Iterable]) -> list:
    """The curve of each of a rig's tracks among the curves of its targets, None if it has none."""
    by_place = [compat.by_place(curves) for curves in of_targets]
    return [by_place[track.block].get((track.path, track.index)) for track in rig.driver.tracks]


def read(curve: bpy.types.FCurve) -> dict[str, np.ndarray]:
    """The keys of a curve, [count, length] for each part of a key."""
    return {part: read_part(curve, part) for part in keyframes.PARTS}


def read_part(curve: bpy.types.FCurve, part: str) -> np.ndarray:
    """One part of all keys of a curve, [count, length]."""
    kind, length = keyframes.PARTS[part]
    buffer = np.empty(len(curve.keyframe_points) * length, kind)
    curve.keyframe_points.foreach_get(part, buffer)
    return buffer.reshape(-1, length)


def write(
    curve: bpy.types.FCurve, keys: dict[str, np.ndarray], as_they_are: np.ndarray | None = None
) -> None:
    """Give a curve exactly these keys.

    as_they_are: a mask of keys whose handles must not move; Blender places automatic ones by their
    neighbours, so those that would move become aligned or free.
    """
    points, count = curve.keyframe_points, len(keys["co"])
    points.clear()
    points.add(min(count, 1))
    # Blender's defaults for new keys; for a key on every frame of a minute, setting takes longer
    # than comparing
    fresh = read(curve)
    points.add(count - len(points))
    placed = ("handle_left", "handle_right") if count > 1 and keyframes.are_automatic(keys) else ()
    _set(
        curve,
        {
            part: values
            for part, values in keys.items()
            if part not in placed and (values != fresh[part]).any()
        },
    )
    if as_they_are is None or not as_they_are.any():
        return
    now = read(curve)
    moved = (
        sum(np.abs(now[side] - keys[side]).max(1) for side in ("handle_left", "handle_right"))
        > _IN_PLACE
    )
    if (moved & as_they_are).any():
        keys = keys | {
            side: keys[side].copy() for side in ("handle_left_type", "handle_right_type")
        }
        for place in np.flatnonzero(moved & as_they_are):
            keyframes.fix_handles(keys, int(place))
        _set(curve, keys)


def round_handles(curve: bpy.types.FCurve, rest: float, step: float) -> None:
    """Round the heights of a curve's handles to multiples of a step from rest. Blender keeps them
    until keys are edited."""
    buffer = np.empty(2 * len(curve.keyframe_points), np.float32)
    heights, offset, unit = buffer[1::2], np.float32(rest), np.float32(step)
    for side in ("handle_left", "handle_right"):
        curve.keyframe_points.foreach_get(side, buffer)
        heights[:] = np.rint((heights - offset) / unit) * unit + offset
        curve.keyframe_points.foreach_set(side, buffer)


def restore_handles(curve: bpy.types.FCurve, keys: dict[str, np.ndarray]) -> None:
    """Put the handles of a curve back where `keys` have them, if Blender has placed them all close
    to that: rounded handles of a take come back as they were."""
    if len(keys["co"]) < 3 or not keyframes.are_automatic(keys):
        return
    off = [
        np.abs(read_part(curve, side) - keys[side])[:, 1].max()
        for side in ("handle_left", "handle_right")
    ]
    if _EXACT < max(off) <= _ROUNDED:
        for side in ("handle_left", "handle_right"):
            curve.keyframe_points.foreach_set(side, np.ascontiguousarray(keys[side]).ravel())


def _set(curve: bpy.types.FCurve, keys: dict[str, np.ndarray]) -> None:
    """Set parts of all keys of a curve that has as many."""
    for part, values in keys.items():
        curve.keyframe_points.foreach_set(part, np.ascontiguousarray(values).ravel())
    curve.update()


def evaluate(curve: bpy.types.FCurve, frames: np.ndarray) -> np.ndarray:
    """A curve at scene frames [S]; a key on every frame is read at once."""
    count = len(curve.keyframe_points)
    if count and not len(curve.modifiers):
        points = read_part(curve, "co").astype(np.float64)
        inside = np.minimum(np.searchsorted(points[:, 0], frames - keyframes.SAME_FRAME), count - 1)
        if (np.abs(points[inside, 0] - frames) < keyframes.SAME_FRAME).all():
            return points[inside, 1]
        is_within = curve.extrapolation == "CONSTANT" or (
            frames.min() >= points[0, 0] - keyframes.SAME_FRAME
            and frames.max() <= points[-1, 0] + keyframes.SAME_FRAME
        )
        # reading the keys is faster than evaluating many single frames
        if is_within and len(frames) > count:
            values = keyframes.evaluate(read(curve), frames)
            if values is not None:
                return values
    return np.array([curve.evaluate(float(frame)) for frame in frames])


def evaluate_keys(
    keys: dict[str, np.ndarray], target: compat.Animated, frames: np.ndarray
) -> np.ndarray:
    """Values [S] at frames of a curve that has these keys; one at least. target: a data-block."""
    values = keyframes.evaluate(keys, frames)
    if values is None:  # eased, which Blender alone can do
        (action,), (curves,) = compat.new_action("Thunder Curve", [target])
        curve = compat.new_curve(curves, "eased", 0, "")
        write(curve, keys)
        values = evaluate(curve, frames)
        bpy.data.actions.remove(action)
    return values


# ---- keys with other values


def is_on(keys: dict[str, np.ndarray], frames: np.ndarray) -> bool:
    """Whether keys sit on exactly these frames."""
    return len(keys["co"]) == len(frames) and bool(
        (np.abs(keys["co"][:, 0] - frames) < keyframes.SAME_FRAME).all()
    )


def shift_values(
    keys: dict[str, np.ndarray], frames: np.ndarray, values: np.ndarray, by: np.ndarray
) -> dict[str, np.ndarray]:
    """Keys of a curve with values [S] at frames [S], changed to values + by.

    Keys keep their frames and handles move along where that is exact; otherwise every frame gets a
    key. Keys outside the frames stay.
    """
    if np.abs(by).max(initial=0.0) < _SAME:
        return keys
    times = keys["co"][:, 0].astype(np.float64)
    more = np.interp(times, frames, by)
    is_exact = is_on(keys, frames) or (
        len(times) > 0 and np.abs(np.interp(frames, times, more) - by).max() < _SAME
    )
    if is_exact:
        result = dict(keys)
        for part in ("co", "handle_left", "handle_right"):
            result[part] = keys[part].copy()
            more = np.interp(keys[part][:, 0].astype(np.float64), frames, by)
            result[part][:, 1] = (keys[part][:, 1].astype(np.float64) + more).astype(np.float32)
        return result
    new = keyframes.on_every_frame(frames.astype(np.float64), values + by)
    return keyframes.concatenate(
        keyframes.select(keys, times < frames[0]), new, keyframes.select(keys, times > frames[-1])
    )


_KINDS = ("interpolation", "handle_left_type", "handle_right_type")


def identify_keys(curve: bpy.types.FCurve) -> dict[str, np.ndarray]:
    """Identifying data of a curve's keys: positions, types, and handles placed by hand."""
    keys = {part: read_part(curve, part) for part in ("co", *_KINDS)}
    if (
        keyframes.is_manual(keys["handle_left_type"]).any()
        or keyframes.is_manual(keys["handle_right_type"]).any()
    ):
        keys |= {part: read_part(curve, part) for part in ("handle_left", "handle_right")}
    return keys


def write_changes(
    curve: bpy.types.FCurve, keys: dict[str, np.ndarray], existing: dict[str, np.ndarray]
) -> None:
    """Give a curve keys; where only values differ from the `existing` keys (from `identify_keys`),
    only those are written."""
    if len(existing["co"]) != len(keys["co"]) or any(
        not np.array_equal(existing[part], keys[part]) for part in _KINDS
    ):
        write(curve, keys)
        restore_handles(curve, keys)
        return
    parts = ("co", "handle_left", "handle_right") if "handle_left" in existing else ("co",)
    if any(not np.array_equal(existing[part], keys[part]) for part in parts):
        _set(curve, {part: keys[part] for part in parts})
        restore_handles(curve, keys)
