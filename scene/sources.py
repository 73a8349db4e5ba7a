# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take's keys were made from: its motion at 25 fps, kept on the take's action, so that it outlives save and append."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..thunder_core.face import mouth
from ..thunder_core.types import Motion
from . import compat, curves, head, keying, showing
from .keying import Performance
from .resample import MOTION_FPS, Clock

SOURCE = "thunder_source"  # of a take's first action: the motion and where its sound lies
DRIFT = "thunder_drift"  # of the same: how well the lips say each frame, 0 … 100, 25 fps
_ROTATIONS = ("jaw", "head", "eyes")


def store(action, performance: Performance, clock: Clock, voice: str = "") -> None:
    """Keep a performance on an action, the scene frame and rate its first sample is heard at, and its voice's name."""
    motion = performance.motion
    kept = {
        "channels": "\n".join(performance.channels), "motion_fps": float(motion.fps), "start": float(clock.start),
        "fps": float(clock.fps), "frames": int(motion.frames), "voice": voice or _voice_of(action),
        "expression": _flat(motion.expression), "opening": _flat(performance.opening), "width": _flat(performance.width),
    }
    kept |= {name: _flat(getattr(motion, name)) for name in _ROTATIONS if getattr(motion, name) is not None}
    action[SOURCE] = kept
    if performance.drift is not None:
        keep_drift(action, performance.drift)


def _voice_of(action) -> str:
    return action[SOURCE].get("voice", "") if SOURCE in action else ""


def load(action) -> Performance | None:
    """The performance that an action was keyed from, None if it carries none. About a millisecond for a minute."""
    kept = action.get(SOURCE)
    if kept is None:
        return None
    frames, channels = int(kept["frames"]), tuple(kept["channels"].split("\n"))
    rotations = {name: _array(kept[name]).reshape(frames, 3) if name in kept else None for name in _ROTATIONS}
    motion = Motion(_array(kept["expression"]).reshape(frames, len(channels)), **rotations, fps=float(kept["motion_fps"]))
    about = _about(action)
    return Performance(motion, channels, _array(kept["opening"]), _array(kept["width"]), int(about.pop("seed", 0)),
                       float(about.pop("score", 0.0)), about, drift_of(action))


def clock_of(action) -> Clock | None:
    """Where the sound of a take lay when it was keyed, None if its action does not tell."""
    kept = action.get(SOURCE)
    return None if kept is None else Clock(float(kept["start"]), float(kept["fps"]))


def opening_of(action) -> np.ndarray | None:
    """Mouth opening of a take as it was made, float32 [T] in mm at 25 fps, None if its action does not tell."""
    kept = action.get(SOURCE)
    return None if kept is None else _array(kept["opening"])


def keep_drift(action, per_frame: np.ndarray) -> None:
    """Keep how well each frame (25 fps) of a take says its sound, [T] of 0 … 100."""
    action[DRIFT] = _flat(per_frame)


def drift_of(action) -> np.ndarray | None:
    """How well each frame of a take says its sound, float32 [T] at 25 fps, None where nobody has measured it."""
    kept = action.get(DRIFT)
    return None if kept is None else _array(kept)


def forget(action) -> None:
    """Drop what an action that is no take (any more) carries of one."""
    for name in (SOURCE, DRIFT):
        if name in action:
            del action[name]


def read(rig: head.Rig, entry) -> Iterator[Performance | float]:
    """What a take says now, whether it is shown or not: its source, or its keys where they were edited or it has none.

    A generator that yields the fraction read and at last the Performance; drift is None where keys were read.
    """
    action = entry.action
    sampled = load(action)
    if sampled is not None and not is_edited(entry):
        yield sampled
        return
    clock = clock_of(action) or Clock.of(entry.id_data, entry.first)
    frames = max(1, round((entry.last - entry.first) / clock.fps * MOTION_FPS) + 1)
    if sampled is not None:
        frames = sampled.motion.frames
    channels = head.channel_names()
    parts = [showing.part_of(showing.actions_of(entry), rig, index) for index in range(len(rig.targets))]
    found = [compat.curves_of(action, slot) if action is not None else [] for action, slot in parts]
    motion = None
    for told in curves.read_curves(rig, found, channels, clock.frame(np.arange(frames) / MOTION_FPS)):
        if isinstance(told, Motion):
            motion = told
        else:
            yield told
    about = _about(action)
    yield Performance(motion, channels, mouth.opening_mm(motion), mouth.width_mm(motion), int(about.pop("seed", entry.seed)),
                      float(about.pop("score", entry.score)), about)


def is_edited(entry) -> bool:
    """Whether the animator changed the keys of a take since it was made. Reads them all: some milliseconds."""
    return any(action.get(keying.PROPERTY) is None or action[keying.PROPERTY].get("checksum") != keying.checksum(action)
               for action in showing.actions_of(entry))


def _about(action) -> dict:
    """Provenance of a take's action, without what tells of its keys."""
    kept = action.get(keying.PROPERTY)
    about = {} if kept is None else kept.to_dict()
    about.pop("checksum", None)
    return about


def _flat(values) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).ravel()


def _array(kept) -> np.ndarray:
    return np.array(kept, np.float32)
