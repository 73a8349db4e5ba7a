# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample a take's f-curves, shown or not, and write changed keys."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from ...thunder_core.animation import keyframes
from ...thunder_core.types import Motion
from ..animation import display, fcurves, reading
from ..heads import head, rna_paths

SLICE = 400  # frames converted to or from a motion at once
SLOW_SLICE = 12  # the same for a rig that is slow
_SAME = 1e-7  # difference below which values are equal
_NEAR = 1e-3  # difference below which frames are equal


def frames_of(entry) -> np.ndarray:
    """The scene frames that a take has keys on, lead in and lead out included, int [S]."""
    return np.arange(entry.first - entry.lead_in, entry.last + entry.lead_out + 1)


def curves(rig: head.Rig, entry) -> list:
    """The f-curve of each of the rig's tracks in a take, None if it has none."""
    return fcurves.of_tracks(rig, display.curves_of(rig, entry))


def values(rig: head.Rig, of_tracks: list, frames: np.ndarray) -> np.ndarray:
    """Values of curves (one for each track, or None) at scene frames [S]: float64 [S, tracks]. A
    track without one rests."""
    result = np.empty((len(frames), len(rig.driver.tracks)))
    for index, (track, curve) in enumerate(zip(rig.driver.tracks, of_tracks)):
        result[:, index] = track.rest if curve is None or curve.mute else evaluate(curve, frames)
    return result


def evaluate(curve, frames: np.ndarray) -> np.ndarray:
    """A curve at scene frames [S]; a key on every frame is read at once."""
    count = len(curve.keyframe_points)
    if count and not len(curve.modifiers):
        points = np.empty(2 * count, np.float32)
        curve.keyframe_points.foreach_get("co", points)
        points = points.reshape(-1, 2).astype(np.float64)
        inside = np.minimum(np.searchsorted(points[:, 0], frames - _NEAR), count - 1)
        if (np.abs(points[inside, 0] - frames) < _NEAR).all():
            return points[inside, 1]
        if np.ptp(points[:, 1]) == 0 and count <= 2:
            return np.full(len(frames), points[0, 1])
        is_within = curve.extrapolation == "CONSTANT" or (
            frames.min() >= points[0, 0] - _NEAR and frames.max() <= points[-1, 0] + _NEAR
        )
        # reading the keys is faster than evaluating many single frames
        if is_within and len(frames) > count:
            values = keyframes.evaluate(fcurves.read(curve), frames)
            if values is not None:
                return values
    return np.array([curve.evaluate(float(frame)) for frame in frames])


def motion(rig: head.Rig, values: np.ndarray, fps: float) -> Generator[float, None, Motion]:
    """Returns the Motion, its columns head.channel_names(), of a rig's values [S, tracks]."""
    shown = np.stack(
        [
            rna_paths.visible_values(rig.targets[track.block], values[:, index], track.path)
            for index, track in enumerate(rig.driver.tracks)
        ],
        axis=1,
    )
    return replace(
        (yield from reading.motion_of(rig, shown, head.channel_names(), _size(rig))), fps=fps
    )


def drive(
    rig: head.Rig, motion: Motion, channels: tuple[str, ...] | None = None
) -> Generator[float, None, np.ndarray]:
    """Returns a rig's values [S, tracks] of a motion. channels: of its columns, None for
    head.channel_names()."""
    parts = []
    size = _size(rig)
    for start in range(0, motion.frames, size):
        parts.append(
            rig.driver.drive(
                motion.part(slice(start, start + size)),
                head.channel_names() if channels is None else channels,
            )
        )
        yield min(1.0, (start + size) / motion.frames)
    return np.concatenate(parts)


def _size(rig: head.Rig) -> int:
    return SLOW_SLICE if rig.driver.is_slow else SLICE


# ---- keys with other values


def is_on(keys: dict[str, np.ndarray], frames: np.ndarray) -> bool:
    """Whether keys sit on exactly these frames."""
    return len(keys["co"]) == len(frames) and bool(
        (np.abs(keys["co"][:, 0] - frames) < _NEAR).all()
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
    enough = is_on(keys, frames) or (
        len(times) > 0 and np.abs(np.interp(frames, times, more) - by).max() < _SAME
    )
    if enough:
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


def identify_keys(curve) -> dict[str, np.ndarray]:
    """Identifying data of a curve's keys: positions, types, and handles placed by hand."""
    keys = {part: fcurves.read_part(curve, part) for part in ("co", *_KINDS)}
    if (
        keyframes.is_manual(keys["handle_left_type"]).any()
        or keyframes.is_manual(keys["handle_right_type"]).any()
    ):
        keys |= {part: fcurves.read_part(curve, part) for part in ("handle_left", "handle_right")}
    return keys


def write(curve, keys: dict[str, np.ndarray], existing: dict[str, np.ndarray]) -> None:
    """Give a curve keys; where only values differ from the `existing` keys (from `identify_keys`),
    only those are written."""
    if len(existing["co"]) != len(keys["co"]) or any(
        not np.array_equal(existing[part], keys[part]) for part in _KINDS
    ):
        fcurves.write(curve, keys)
        fcurves.restore_handles(curve, keys)
        return
    handles = "handle_left" in existing
    if np.array_equal(existing["co"], keys["co"]) and not (
        handles
        and any(
            not np.array_equal(existing[part], keys[part])
            for part in ("handle_left", "handle_right")
        )
    ):
        return
    for part in ("co", "handle_left", "handle_right") if handles else ("co",):
        curve.keyframe_points.foreach_set(part, np.ascontiguousarray(keys[part]).ravel())
    curve.update()
    fcurves.restore_handles(curve, keys)
