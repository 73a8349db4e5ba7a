# SPDX-License-Identifier: GPL-3.0-or-later
"""How a take was made: the request for it, what the engine says of it, and the motion at 25 fps
that its keys are of, stored on its action, so that it survives saving and appending."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TYPE_CHECKING

import numpy as np

from ...thunder_core import records
from ...thunder_core.animation import motion_file
from ...thunder_core.animation.gaze import GazeTarget
from ...thunder_core.animation.timing import Clock
from ...thunder_core.direction import DirectionRequest
from ...thunder_core.errors import BadRequest
from ...thunder_core.face.moving.lips import opening_mm, width_mm
from ...thunder_core.request import QUALITIES, Request
from ...thunder_core.types import FPS, IDLE, LISTENS, Motion, SPEAKS
from ..animation import display, keying
from ..heads import head

if TYPE_CHECKING:
    import bpy

    from ..properties.settings import ThunderScene, ThunderTake


def request_of(about: Mapping, settings: ThunderScene, takes: int = 1) -> Request:
    """The request that a take was sampled for, so that its seed makes it again; by the settings
    where its provenance does not tell."""
    if str(about.get("quality")) in QUALITIES or "steps" in about:
        with suppress(*records.UNREADABLE, BadRequest):
            return replace(Request.of_record(about), takes=takes)
    return Request.of(settings, takes=takes)


# what the engine says of a take that is stored elsewhere: in the request's record, and with keys
_ELSEWHERE = {"seed", "score", "weights_origin", "marks", "text", "language"}


def of_made(request: Request, made: Mapping) -> dict:
    """The provenance stored with a take of a request; made: the engine's of the take."""
    about = {name: value for name, value in made.items() if name not in _ELSEWHERE}
    # a .blend holds no lists in lists
    about |= {name: json.dumps(made[name]) for name in ("choice", "moved") if name in made}
    return request.to_record() | about


def role_of(provenance: Mapping) -> str:
    """Role of a take's face: SPEAKS, LISTENS or IDLE."""
    role = provenance.get("role")
    return role if role in (LISTENS, IDLE) else SPEAKS


def is_same_direction(
    one: DirectionRequest | None,
    other: DirectionRequest | None,
    names: Sequence[str] = (
        "spread",
        "exact_first",
        "like",
        "marks",
        "text",
        "language",
        "times",
        "manner",
    ),
) -> bool:
    """Whether two directions are the same, with their fields of these names."""
    if one is None or other is None:
        return one is other
    arrays = ("vectors", "as_heard", "manner_strength")
    pairs = [(getattr(one, name), getattr(other, name)) for name in arrays]
    alike = all(a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5) for a, b in pairs)
    return alike and all(getattr(one, name) == getattr(other, name) for name in names)


def is_same_request(one: Request, other: Request) -> bool:
    """Whether takes of one seed are the same for both."""
    return (
        (one.settings, one.listening) == (other.settings, other.listening)
    ) and is_same_direction(
        one.direction, other.direction, ("spread", "marks", "text", "language", "times", "manner")
    )


# property of a take's first action: the motion and the start of its sound
SOURCE = "thunder_source"
SYNC = "thunder_drift"  # likewise: lip-sync of each frame, 0 … 100, 25 fps
LOOK = "thunder_look"  # likewise: the eyes' target and their original movement
COMMITTED = "thunder_committed"  # likewise, of the last of its line: regions that were committed
MOUTH = "mouth_of"  # of a mix: provenance of the take whose mouth it has
CAPTURED = "captured"  # of a captured take: the name of its file
SCORED_KEYS = "scored_keys"  # of a take with a score: checksum of the keys that were scored
_ROTATIONS = ("jaw", "head", "eyes")


def store(action: bpy.types.Action, performance: keying.TakeData, clock: Clock, voice: str) -> None:
    """Store a performance on an action, with the scene frame and rate at which its first sample
    plays, and its voice's name."""
    motion, look = performance.motion, performance.look
    action[SOURCE] = {
        records.KEY: records.VERSION,
        "channels": "\n".join(performance.channels),
        "motion_fps": float(motion.fps),
        "start": float(clock.start),
        "fps": float(clock.fps),
        "frames": int(motion.frames),
        "voice": voice,
        "expression": _flat(motion.expression),
        "opening": _flat(performance.opening),
        "width": _flat(performance.width),
        **{
            name: _flat(getattr(motion, name))
            for name in _ROTATIONS
            if getattr(motion, name) is not None
        },
    }
    if look is not None:
        action[LOOK] = {
            records.KEY: records.VERSION,
            "leaves": float(look.leaves),
            "follows": float(look.follows),
            **{
                name: _flat(getattr(look, name))
                for name in ("points", "joint", "eyes", "own", "own_head")
            },
        }
    else:
        action.pop(LOOK, None)
    if performance.sync_per_frame is not None:
        store_sync(action, performance.sync_per_frame)


def source_of(action: bpy.types.Action | None) -> Any:
    """The properties that an action carries of its performance; None if it carries none, or if a
    later version wrote them or they do not fit together."""
    record: Any = None if action is None else action.get(SOURCE)
    try:
        frames, channels = record["frames"], len(record["channels"].split("\n"))
        sizes = {"expression": frames * channels, "opening": frames, "width": frames}
        sizes |= {name: 3 * frames for name in _ROTATIONS if name == "jaw" or name in record}
        valid = (
            records.is_readable(record)
            and math.isfinite(record["start"])
            and min(record["fps"], record["motion_fps"], frames) > 0
            and all(len(record[name]) == size for name, size in sizes.items())
        )
    except records.UNREADABLE:
        return None
    return record if valid else None


def load(action: bpy.types.Action | None) -> keying.TakeData | None:
    """The performance that an action was keyed from, None if it carries none. About a millisecond
    for a minute."""
    record = source_of(action)
    if action is None or record is None:
        return None
    frames, channels = record["frames"], tuple(record["channels"].split("\n"))
    rotations: dict[str, Any] = {
        name: _array(record[name]).reshape(frames, 3) for name in _ROTATIONS if name in record
    }
    motion = Motion(
        _array(record["expression"]).reshape(frames, len(channels)),
        **rotations,
        fps=float(record["motion_fps"]),
    )
    about = about_of(action)
    seed, score = _numbers_in(about)
    return keying.TakeData(
        motion,
        channels,
        _array(record["opening"]),
        _array(record["width"]),
        seed,
        score,
        about,
        sync_of(action),
        _look_of(action, frames),
    )


def _look_of(action: bpy.types.Action, frames: int) -> GazeTarget | None:
    """The target of the eyes of a take of `frames` frames, None if its action has no valid one."""
    record: Any = action.get(LOOK)
    try:
        parts: dict[str, Any] = {
            name: _array(record[name]).reshape(frames, 3) for name in ("points", "own", "own_head")
        }
        parts |= {name: _array(record[name]).reshape(3) for name in ("joint", "eyes")}
        parts |= {name: float(record[name]) for name in ("leaves", "follows")}
        return GazeTarget(**parts) if records.is_readable(record) else None
    except records.UNREADABLE:
        return None


def clock_of(action: bpy.types.Action | None) -> Clock | None:
    """Position of a take's sound when it was keyed, None if its action does not store it."""
    record = source_of(action)
    return None if record is None else Clock(float(record["start"]), float(record["fps"]))


def clock_of_take(entry: ThunderTake) -> Clock:
    """The same of a take in the list; by its first frame where its action does not store it."""
    return clock_of(entry.action) or Clock.of(entry.id_data, entry.first)


def opening_of(action: bpy.types.Action | None) -> np.ndarray | None:
    """Mouth opening of a take as it was made, float32 [T] in mm at 25 fps, None if its action does
    not store it."""
    record = source_of(action)
    return None if record is None else _array(record["opening"])


def store_sync(action: bpy.types.Action, per_frame: np.ndarray) -> None:
    """Store the lip-sync of each frame (25 fps) of a take, [T] of 0 … 100."""
    action[SYNC] = _flat(per_frame)


def sync_of(action: bpy.types.Action | None) -> np.ndarray | None:
    """Lip-sync of each frame of a take, float32 [T] at 25 fps, None if it was not measured."""
    values: Any = None if action is None else action.get(SYNC)
    return _array(values) if getattr(values, "typecode", "") in ("f", "d") else None


def remove_data(action: bpy.types.Action) -> None:
    """Remove a take's data from an action that is no longer one."""
    for name in (SOURCE, SYNC, LOOK):
        action.pop(name, None)


def read(rig: head.Rig, entry: ThunderTake) -> Generator[float, None, keying.TakeData]:
    """Read a take in its current state, shown or not: its source, or its keys if they were edited
    or it has no source.

    Returns the TakeData; its sync_per_frame is None if keys were read.
    """
    sampled = load(entry.action)
    if sampled is not None and not is_edited(entry):
        return sampled
    clock = clock_of_take(entry)
    frames = (
        max(1, round((entry.last - entry.first) / clock.fps * FPS) + 1)
        if sampled is None
        else sampled.motion.frames
    )
    channels = head.channel_names()
    motion = yield from keying.read_curves(
        rig, display.curves_of(rig, entry), channels, clock.frame(np.arange(frames) / FPS)
    )
    about = about_of(entry.action)
    seed, score = _numbers_in(about)
    return keying.TakeData(
        motion, channels, opening_mm(motion), width_mm(motion), seed, score, about
    )


def is_edited(entry: ThunderTake) -> bool:
    """Whether the animator changed the keys of a take since it was made. Reads them all: some
    milliseconds."""
    return _differs(entry, "checksum")


def is_outdated(entry: ThunderTake) -> bool:
    """Whether they were changed since the take was scored. As slow."""
    return _differs(entry, SCORED_KEYS, "checksum")


def _differs(entry: ThunderTake, *names: str) -> bool:
    """Whether the keys of a take are others than those whose checksum has the first of these names
    in its record."""
    for action in display.actions_of(entry):
        about = keying.record_of(action)
        known = next((about[name] for name in names if name in about), None)
        if known is None or not _is_of(known, action):
            return True
    return False


def _is_of(checksum: object, action: bpy.types.Action) -> bool:
    return checksum == keying.checksum_of(action, checksum)


@contextmanager
def checksums_follow(entry: ThunderTake) -> Iterator[None]:
    """Move all keys of a take within this block: checksums in its record that its keys had before
    become those that they have afterwards; others, of keys before an edit, stay."""
    alike = []
    for action in display.actions_of(entry):
        about = keying.record_of(action)
        names = [name for name in ("checksum", SCORED_KEYS) if name in about]
        alike.append([name for name in names if _is_of(about[name], action)])
    yield
    for action, names in zip(display.actions_of(entry), alike):
        if names:
            keying.record_of(action).update(dict.fromkeys(names, keying.checksum_of(action)))


def about_of(action: bpy.types.Action | None) -> dict:
    """Provenance of a take's action, without what describes its keys."""
    record = keying.record_of(action)
    about = record.to_dict() if record else {}
    for name in (records.KEY, "checksum", SCORED_KEYS):  # these are of the keys
        about.pop(name, None)
    return about


def made_from(action: bpy.types.Action) -> str:
    """Name of the take that a resampled or mixed one was made from, "" for none."""
    about = keying.record_of(action)
    mixed = about.get("mixed")
    return str(about.get("kept") or (mixed.get("upper_face") if hasattr(mixed, "get") else ""))


def of_mouth(action: bpy.types.Action | None) -> dict:
    """Provenance of the take whose mouth an action's take has: in a mix that of another one; {} if
    it is of several."""
    about = about_of(action)
    mouth = about.get(MOUTH) if "mixed" in about else about
    return mouth if isinstance(mouth, dict) else {}


def weights_of(entry: ThunderTake) -> str | None:
    """The fingerprint of the weights that made the mouth of a take, None where it is not known."""
    return of_mouth(entry.action).get("weights")


def style_of_take(action: bpy.types.Action | None) -> np.ndarray | None:
    """The direction of an action's take, float32 [DIRECTION_NAMES], the mean over its line; None if
    not stored."""
    return motion_file.style_of_take(keying.record_of(action))


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).ravel()


def _array(values: np.ndarray) -> np.ndarray:
    return np.array(values, np.float32)


def _numbers_in(about: dict) -> tuple[int, float]:
    """Take the seed and the score out of a take's provenance; the latter is not a number where it
    was not measured."""
    seed, score = (about.pop(name, math.nan) for name in ("seed", "score"))
    return seed if isinstance(seed, int) else 0, math.nan if role_of(about) != SPEAKS else score
