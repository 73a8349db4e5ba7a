# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a Blender f-curve as arrays (thunder_core/animation/keyframes.py): read, and written
back exactly."""

from collections.abc import Iterable

import numpy as np

from ...thunder_core.animation.keyframes import are_automatic, fix_handles, PARTS
from ..heads import head
from ..host import compat

# how far handles are from where Blender places them: by its rounding, and by that of takes
_EXACT, _ROUNDED = 2e-6, 1.3e-4
# tolerance in units of the value: a handle that Blender moved by less counts as unmoved
_IN_PLACE = 3e-5


def of_tracks(rig: head.Rig, of_targets: Iterable[Iterable]) -> list:
    """The curve of each of a rig's tracks among the curves of its targets, None if it has none."""
    by_place = [compat.by_place(curves) for curves in of_targets]
    return [by_place[track.block].get((track.path, track.index)) for track in rig.driver.tracks]


def read(curve) -> dict[str, np.ndarray]:
    """The keys of a curve, [count, length] for each part of a key."""
    return {part: read_part(curve, part) for part in PARTS}


def read_part(curve, part: str) -> np.ndarray:
    """One part of all keys of a curve, [count, length]."""
    kind, length = PARTS[part]
    buffer = np.empty(len(curve.keyframe_points) * length, kind)
    curve.keyframe_points.foreach_get(part, buffer)
    return buffer.reshape(-1, length)


def write(curve, keys: dict[str, np.ndarray], as_they_are: np.ndarray | None = None) -> None:
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
    placed = ("handle_left", "handle_right") if count > 1 and are_automatic(keys) else ()
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
            fix_handles(keys, place)
        _set(curve, keys)


def round_handles(curve, rest: float, step: float) -> None:
    """Round the heights of a curve's handles to multiples of a step from rest. Blender keeps them
    until keys are edited."""
    buffer = np.empty(2 * len(curve.keyframe_points), np.float32)
    heights, offset, unit = buffer[1::2], np.float32(rest), np.float32(step)
    for side in ("handle_left", "handle_right"):
        curve.keyframe_points.foreach_get(side, buffer)
        heights[:] = np.rint((heights - offset) / unit) * unit + offset
        curve.keyframe_points.foreach_set(side, buffer)


def restore_handles(curve, keys: dict[str, np.ndarray]) -> None:
    """Put the handles of a curve back where `keys` have them, if Blender has placed them all close
    to that: rounded handles of a take come back as they were."""
    if len(keys["co"]) < 3 or not are_automatic(keys):
        return
    off = [
        np.abs(read_part(curve, side) - keys[side])[:, 1].max()
        for side in ("handle_left", "handle_right")
    ]
    if _EXACT < max(off) <= _ROUNDED:
        for side in ("handle_left", "handle_right"):
            curve.keyframe_points.foreach_set(side, np.ascontiguousarray(keys[side]).ravel())


def _set(curve, keys: dict[str, np.ndarray]) -> None:
    """Set parts of all keys of a curve that has as many."""
    for part, values in keys.items():
        curve.keyframe_points.foreach_set(part, np.ascontiguousarray(values).ravel())
    curve.update()
