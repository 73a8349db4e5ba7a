# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of a take's keys: its motion at 25 fps, stored on the take's action, so that it
survives saving and appending; and the grade of its lip-sync."""

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ...thunder_core import grades, records
from ...thunder_core.animation.gaze import GazeTarget
from ...thunder_core.animation.timing import Clock
from ...thunder_core.face.lips import opening_mm, width_mm
from ...thunder_core.recent import Recent
from ...thunder_core.types import FPS, Motion, SPEAKS
from ..animation import display, keying, reading
from ..animation.keying import Performance
from ..heads import head
from ..host.session import Memory, session
from .sampling import role_of

# property of a take's first action: the motion and the start of its sound
SOURCE = "thunder_source"
SYNC = "thunder_drift"  # likewise: lip-sync of each frame, 0 … 100, 25 fps
LOOK = "thunder_look"  # likewise: the eyes' target and their original movement
MOUTH = "mouth_of"  # of a mix: provenance of the take whose mouth it has
CAPTURED = "captured"  # of a captured take: the name of its file
_ROTATIONS = ("jaw", "head", "eyes")


def store(action, performance: Performance, clock: Clock, voice: str) -> None:
    """Store a performance on an action, with the scene frame and rate at which its first sample
    plays, and its voice's name."""
    motion = performance.motion
    kept = {
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
    }
    kept |= {
        name: _flat(getattr(motion, name))
        for name in _ROTATIONS
        if getattr(motion, name) is not None
    }
    action[SOURCE] = kept
    look = performance.look
    if look is not None:
        parts = {
            name: _flat(getattr(look, name))
            for name in ("points", "joint", "eyes", "own", "own_head")
            if getattr(look, name) is not None
        }
        action[LOOK] = {
            records.KEY: records.VERSION,
            "leaves": float(look.leaves),
            "follows": float(look.follows),
            **parts,
        }
    else:
        action.pop(LOOK, None)
    if performance.sync_per_frame is not None:
        store_sync(action, performance.sync_per_frame)


def source_of(action):
    """The properties that an action carries of its performance; None if it carries none, or if they
    contradict each other.

    A file of another program or of a later version, or a damaged one, may carry anything under the
    same name.
    """
    record = action.get(SOURCE)
    try:
        frames = record["frames"]
        channels = len(record["channels"].split("\n"))
        rates = (record["fps"], record["motion_fps"])
        sizes = {
            "expression": frames * channels,
            "opening": frames,
            "width": frames,
            "jaw": 3 * frames,
        }
        sizes |= {name: 3 * frames for name in _ROTATIONS if name in record}
        valid = (
            records.is_readable(record)
            and isinstance(frames, int)
            and frames >= 1
            and isinstance(record.get("voice", ""), str)
            and all(math.isfinite(rate) and rate > 0 for rate in rates)
            and math.isfinite(record["start"])
            and all(
                record[name].typecode in "fd" and len(record[name]) == size
                for name, size in sizes.items()
            )
        )
    except records.UNREADABLE:
        return None
    return record if valid else None


def size(action) -> int:
    """Bytes that an action stores of its performance."""
    record = source_of(action)
    return (
        0
        if record is None
        else 4 * sum(len(values) for values in record.values() if hasattr(values, "typecode"))
    )


def load(action) -> Performance | None:
    """The performance that an action was keyed from, None if it carries none. About a millisecond
    for a minute."""
    record = source_of(action)
    if record is None:
        return None
    frames, channels = record["frames"], tuple(record["channels"].split("\n"))
    rotations = {
        name: _array(record[name]).reshape(frames, 3) if name in record else None
        for name in _ROTATIONS
    }
    motion = Motion(
        _array(record["expression"]).reshape(frames, len(channels)),
        **rotations,
        fps=float(record["motion_fps"]),
    )
    if not all(
        np.isfinite(part).all()
        for part in (motion.expression, motion.jaw, motion.head, motion.eyes)
        if part is not None
    ):
        return None
    about = about_of(action)
    seed, score = (_number(about.pop(name, 0)) for name in ("seed", "score"))
    heard = _heard_in(about)
    return Performance(
        motion,
        channels,
        _array(record["opening"]),
        _array(record["width"]),
        int(seed),
        math.nan if role_of(about) != SPEAKS else score,
        about,
        sync_of(action),
        _look_of(action, frames),
        heard,
    )


def _look_of(action, frames: int) -> GazeTarget | None:
    """The target of the eyes of a take of `frames` frames, None if its action has no valid one."""
    record = action.get(LOOK)
    try:
        sizes = {"points": frames, "own": frames, "joint": 1, "eyes": 1}
        # earlier versions left the head alone
        sizes |= {"own_head": frames} if "own_head" in record else {}
        parts = {name: _array(record[name]).reshape(rows, 3) for name, rows in sizes.items()}
        leaves, follows = float(record["leaves"]), float(record.get("follows", 0.0))
        valid = records.is_readable(record) and 0 <= leaves <= 1 and 0 <= follows <= 1
        valid = valid and all(np.isfinite(part).all() for part in parts.values())
    except records.UNREADABLE:
        return None
    look = GazeTarget(
        parts["points"],
        parts["joint"][0],
        parts["eyes"][0],
        leaves,
        parts["own"],
        follows,
        parts.get("own_head"),
    )
    return look if valid else None


def clock_of(action) -> Clock | None:
    """Position of a take's sound when it was keyed, None if its action does not store it."""
    record = source_of(action)
    return None if record is None else Clock(float(record["start"]), float(record["fps"]))


def clock_of_take(entry) -> Clock:
    """The same of a take in the list; by its first frame where its action does not store it."""
    return clock_of(entry.action) or Clock.of(entry.id_data, entry.first)


def opening_of(action) -> np.ndarray | None:
    """Mouth opening of a take as it was made, float32 [T] in mm at 25 fps, None if its action does
    not store it."""
    record = source_of(action)
    return None if record is None else _array(record["opening"])


def store_sync(action, per_frame: np.ndarray) -> None:
    """Store the lip-sync of each frame (25 fps) of a take, [T] of 0 … 100."""
    action[SYNC] = _flat(per_frame)


def sync_of(action) -> np.ndarray | None:
    """Lip-sync of each frame of a take, float32 [T] at 25 fps, None if it was not measured."""
    values = action.get(SYNC)
    sync = _array(values) if getattr(values, "typecode", "") in ("f", "d") else None
    return sync if sync is not None and len(sync) and np.isfinite(sync).all() else None


def forget(action) -> None:
    """Remove a take's data from an action that is no longer one."""
    for name in (SOURCE, SYNC, LOOK):
        action.pop(name, None)


def read(rig: head.Rig, entry) -> Generator[float, None, Performance]:
    """Read a take in its current state, shown or not: its source, or its keys if they were edited
    or it has no source.

    Returns the Performance; its sync_per_frame is None if keys were read.
    """
    action = entry.action
    sampled = load(action)
    if sampled is not None and not is_edited(entry):
        return sampled
    clock = clock_of_take(entry)
    frames = (
        max(1, round((entry.last - entry.first) / clock.fps * FPS) + 1)
        if sampled is None
        else sampled.motion.frames
    )
    channels = head.channel_names()
    motion = yield from reading.read_curves(
        rig, display.curves_of(rig, entry), channels, clock.frame(np.arange(frames) / FPS)
    )
    about = about_of(action)
    return Performance(
        motion,
        channels,
        opening_mm(motion),
        width_mm(motion),
        int(_number(about.pop("seed", entry.seed))),
        float(_number(about.pop("score", entry.score))),
        about,
        heard=_heard_in(about),
    )


def is_edited(entry) -> bool:
    """Whether the animator changed the keys of a take since it was made. Reads them all: some
    milliseconds."""
    return any(
        not (about := keying.record_of(action))
        or about.get("checksum") != keying.checksum(action, about.get("checksum"))
        for action in display.actions_of(entry)
    )


def about_of(action) -> dict:
    """Provenance of a take's action, without what describes its keys."""
    record = keying.record_of(action)
    about = record.to_dict() if record else {}
    # these are of the keys
    return {name: value for name, value in about.items() if name not in (records.KEY, "checksum")}


def of_mouth(action) -> dict:
    """Provenance of the take whose mouth an action's take has: in a mix that of another one; {} if
    it is of several."""
    about = about_of(action)
    mouth = about.get(MOUTH) if "mixed" in about else about
    return mouth if isinstance(mouth, dict) else {}


def _flat(values) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).ravel()


def _array(values) -> np.ndarray:
    return np.array(values, np.float32)


def _heard_in(about: dict) -> float:
    """Take *Heard* out of a take's provenance; not a number if it was not measured, as in files of
    earlier versions."""
    heard = about.pop("heard", math.nan)
    return heard if isinstance(heard, float) and 0 <= heard <= 100 else math.nan


def _number(value) -> float | int:
    """A number of a take's provenance; 0 for an invalid one."""
    is_number = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )
    return value if is_number else 0


_ICONS = {grades.GOOD: "CHECKMARK", grades.CHECK: "QUESTION", grades.POOR: "ERROR"}


@dataclass(frozen=True)
class Grade:
    """icon: Blender's name.  name: good, check or poor.  frame: scene frame that is worst, None of
    good ones."""

    icon: str
    name: str
    frame: int | None

    @classmethod
    def of(cls, total: float, per_frame: np.ndarray | None, clock: Clock) -> "Grade | None":
        """The grade of a score and its per-frame scores, at 25 fps [T] from clock.start on; None if
        one is not known."""
        if per_frame is None or not len(per_frame) or not np.isfinite(total):
            return None
        name, place = grades.grade_take(total, per_frame)
        return cls(
            _ICONS[name],
            name,
            None if name == grades.GOOD else round(float(clock.frame(place / FPS))),
        )

    @property
    def text(self) -> str:
        """As it is shown."""
        return self.name if self.frame is None else f"{self.name} · frame {self.frame}"


# grades of takes, by their action, score and first frame
_grades = session.add(Memory(Recent(256)))


def of_take(entry) -> Grade | None:
    """The grade of a take that speaks; None if it is not known, or is of a longer line. Quick: for
    every redraw of a list."""
    if entry.action is None or entry.of_whole or entry.role != "SPEAKS":
        return None
    key = entry.action.session_uid, entry.score, entry.first
    if key not in _grades.known:
        _grades.known[key] = Grade.of(entry.score, sync_of(entry.action), clock_of_take(entry))
    return _grades.known[key]
