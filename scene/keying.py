# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances become keys: actions of their own, on whole scene frames, with where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from ..thunder_core.types import Motion
from . import compat, head, keyframes
from .resample import Clock, at_scene_frames

PROPERTY = "thunder"  # of an action: where a take comes from, enough to make it again
PIECE = 400  # frames that are turned into a rig's numbers in one go: the window stays alive in between
PRINT_LENGTH = 16  # letters of a fingerprint
STILL = 1e-6  # a channel that moves less than this gets a key at either end alone


@dataclass(frozen=True)
class Performance:
    """A sampled take as it comes from the engine: motion at 25 fps and what is known of it.

    opening, width: float32 [T], millimetres.  provenance: seed, score, engine, weights, audio, settings.
    drift: float32 [T], how well each frame says the sound, 0 … 100, or None where nobody has measured it.
    """

    motion: Motion
    channels: tuple[str, ...]
    opening: np.ndarray
    width: np.ndarray
    seed: int
    score: float
    provenance: dict
    drift: np.ndarray | None = None


def key(rig: head.Rig, performance: Performance, clock: Clock, name: str) -> Iterator[list[bpy.types.Action]]:
    """New actions (one from 4.4 on) that play a performance on a rig; nothing else in the file changes.

    Every take keys the same channels, on whole scene frames; the first sample of the sound is at clock.start.
    A generator that writes a curve and yields the actions so far, to the end; what it yields last is complete.
    Closed before its end it removes them.
    """
    frames = clock.scene_frames(performance.motion.frames)
    actions, curves = compat.new_action(name, rig.targets)
    complete = False
    try:
        motion = on_scene_frames(performance, clock, frames)
        for _ in getattr(rig.driver, "prepare", tuple)():
            yield actions
        pieces = []
        for start in range(0, motion.frames, PIECE):
            pieces.append(rig.driver.drive(motion.part(slice(start, start + PIECE)), performance.channels))
            yield actions
        values = np.concatenate(pieces)
        for track, samples in zip(rig.driver.tracks, values.T):
            _write(curves[track.block], track.path, track.index, track.group, frames, samples)
            yield actions
        for action in actions:
            digest = hashlib.sha256()
            for curve in compat.all_curves(action):
                add_to_print(digest, curve)
                yield actions
            action.use_fake_user = True
            action[PROPERTY] = performance.provenance | {
                "seed": performance.seed, "score": performance.score, "checksum": _printed(digest),
            }
        yield actions
        complete = True  # closed at the last step too, nobody has listed them yet
    finally:
        if not complete:
            for action in actions:
                bpy.data.actions.remove(action)


def on_scene_frames(performance: Performance, clock: Clock, frames: np.ndarray) -> Motion:
    """The motion as it stands at scene frames, double precision."""
    motion = performance.motion
    still = np.zeros_like(motion.jaw)
    parts = [motion.expression, motion.jaw, motion.head if motion.head is not None else still,
             motion.eyes if motion.eyes is not None else still]
    resampled = at_scene_frames(clock, np.concatenate(parts, axis=1), frames, performance.opening)
    return Motion(*np.split(resampled, np.cumsum([part.shape[1] for part in parts])[:-1], axis=1), fps=clock.fps)


def _write(curves, path: str, index: int, group: str, frames: np.ndarray, values: np.ndarray) -> None:
    if np.ptp(values) < STILL and len(frames) > 2:
        frames, values = frames[[0, -1]], values[[0, -1]]
    # Clamped handles never overshoot a key, so lips that close stay closed between frames as well.
    keyframes.write(compat.new_curve(curves, path, index, group), keyframes.on_every_frame(frames, values))


def checksum(action) -> str:
    """Fingerprint of an action's keys: tells a take the animator edited from one that can be made again."""
    digest = hashlib.sha256()
    for curve in compat.all_curves(action):
        add_to_print(digest, curve)
    return _printed(digest)


def _printed(digest) -> str:
    return digest.hexdigest()[:PRINT_LENGTH]


def add_to_print(digest, curve) -> None:
    """Take one curve into a fingerprint: a millisecond for a minute of keys."""
    points = curve.keyframe_points
    digest.update(f"{curve.data_path}|{curve.array_index}|{len(points)}|{len(curve.modifiers)}|{curve.mute}".encode())
    for name in ("co", "handle_left", "handle_right"):
        buffer = np.empty(2 * len(points), np.float32)
        points.foreach_get(name, buffer)
        digest.update(buffer.tobytes())
    kinds = np.empty(len(points), np.int32)
    points.foreach_get("interpolation", kinds)
    digest.update(kinds.tobytes())
