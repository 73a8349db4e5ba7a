# SPDX-License-Identifier: GPL-3.0-or-later
"""What a voice plays and where, and which recording that is, as a take stores it."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import bpy

from ...thunder_core import records
from ...thunder_core.animation.timing import Clock
from ...thunder_core.protocol import MIX, MOST_CHANNELS
from ..host import compat
from ..host.redraw import once

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


CHANNEL = "thunder_channel"  # property of a strip: its channel, as a number
AUTOMATIC = -1  # such a number where none was chosen; others are as in `channels`
STATE = "thunder_strip"  # property of a take's first action: its voice when the take was made
# bytes hashed at the start, middle and end of a recording, enough to identify it
_PIECE_BYTES = 1 << 16
OF = "#"  # between a sound and its channel


@dataclass(frozen=True)
class State:
    """Sound and position of a voice.

    strip: its name, "" for a file.  path: the file, "" for a strip.  sound: fingerprint of the
    recording, and its channel if one was chosen.
    retiming: JSON of the strip's retiming keys, "" for none.
    origin: scene frame at which the recording itself begins, trimmed or not.  first, last: first
    frame with sound, and the one after the last; last is 0 for a file.  fps: of the scene.
    limited: only a part of the voice was used.
    """

    strip: str
    path: str
    sound: str
    retiming: str
    origin: float
    first: int
    last: int
    fps: float
    limited: bool = False

    @property
    def recording(self) -> str:
        """Names the recording, as it is retimed: times of words are of it."""
        return self.sound + self.retiming

    @property
    def seconds(self) -> tuple[float, float]:
        """The part of the recording that plays, in seconds from its beginning."""
        return (self.first - self.origin) / self.fps, (self.last - self.origin) / self.fps


def record_of(state: State) -> str:
    """A state as text, to be stored."""
    return json.dumps({records.KEY: records.VERSION, **asdict(state)})


def remember(action: bpy.types.Action | bpy.types.Strip, state: State | None) -> None:
    """Store the state of a take's voice in its action."""
    if state is not None:
        action[STATE] = record_of(state)


def state_of(action: bpy.types.Action | bpy.types.Strip | None) -> State | None:
    """The voice of a take when it was made, None if its action has no record of it that can be
    read, or was deleted."""
    return None if action is None else read(action.get(STATE, ""))


def read(text: str) -> State | None:
    """The state in a record (`record_of`), None if it cannot be read."""
    return _read(text) if isinstance(text, str) else None


@lru_cache(maxsize=1024)
def _read(text: str) -> State | None:
    try:
        record = json.loads(text)
        if not records.is_readable(record):
            return None
        record.pop(records.KEY, None)
        return State(**record)
    except records.UNREADABLE:
        return None


def of_take(entry: ThunderTake) -> State | None:
    """The same of a take in the list, under the present name of its strip, which the list follows
    and undo restores (takes/dialogue.py)."""
    state = state_of(entry.action)
    return state if state is None or not state.strip else replace(state, strip=entry.voice)


def channel_of(scene: bpy.types.Scene, strip: bpy.types.SoundStrip | None = None) -> int | None:
    """The channel that was chosen for a strip, or for the scene's sound file."""
    number = scene.thunder.file_channel if strip is None else strip.get(CHANNEL, AUTOMATIC)
    # anything may stand there in a file that others have edited
    return number if isinstance(number, int) and MIX <= number <= MOST_CHANNELS else None


def of_sound_file(scene: bpy.types.Scene, path: str, start: float) -> State:
    """The state of a sound file whose first sample plays at frame `start` of a scene."""
    sound = _mark(of_file(path), channel_of(scene))
    return State("", path, sound, "", start, math.floor(start), 0, Clock.of(scene, 0).fps)


def with_channel(state: State, channel: int | None) -> State:
    """The state of a voice that was given another channel."""
    return replace(state, sound=_mark(state.sound.partition(OF)[0], channel))


@once
def of_strip(scene: bpy.types.Scene, speaking: bpy.types.SoundStrip) -> State:
    """The state of a sound strip now."""
    fps = Clock.of(scene, 0).fps
    start = compat.content_start(speaking)
    origin = start - compat.content_trim(speaking) + getattr(speaking, "sound_offset", 0.0) * fps
    first, last = compat.strip_span(speaking)
    keys = [
        round(float(key.timeline_frame) - start, 2)
        for key in getattr(speaking, "retiming_keys", ())
    ]
    return State(
        speaking.name,
        "",
        _mark(_of_sound(speaking.sound), channel_of(scene, speaking)),
        json.dumps(keys) if keys else "",
        float(origin),
        first,
        last,
        fps,
    )


def _mark(sound: str, channel: int | None) -> str:
    """A fingerprint that tells which channel was chosen; as in files of earlier versions where none
    was."""
    return sound if channel is None or not sound else f"{sound}{OF}{channel}"


def _of_sound(sound: bpy.types.Sound | None) -> str:
    """Fingerprint of a strip's recording, "" for none."""
    if sound is not None and sound.packed_file is not None:
        return _of_packed(sound.session_uid, sound.packed_file.size)
    return "" if sound is None else of_file(bpy.path.abspath(sound.filepath, library=sound.library))


@lru_cache(maxsize=64)
def _of_packed(session_uid: int, size: int) -> str:
    """Fingerprint of a packed sound, read once for each."""
    data = next(
        sound.packed_file.data
        for sound in bpy.data.sounds
        if sound.packed_file is not None and sound.session_uid == session_uid
    )
    return _fingerprint(size, lambda place: data[place : place + _PIECE_BYTES])


def of_file(path: str) -> str:
    """Fingerprint of a sound file: of its contents, not of its name or time; "" for none."""
    try:
        about = os.stat(path)
        # reading a pipe, or a file of the system, would never end
        if not stat.S_ISREG(about.st_mode) or not about.st_size:
            return ""
        return _of_contents(path, about.st_size, about.st_mtime_ns)
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=256)
def _of_contents(path: str, size: int, changed: int) -> str:
    """Fingerprint of a file's contents, read again when its size or time has changed."""
    with open(path, "rb") as file:

        def read(place: int) -> bytes:
            file.seek(place)
            return file.read(_PIECE_BYTES)

        return _fingerprint(size, read)


def _fingerprint(size: int, read: Callable[[int], bytes]) -> str:
    """Digest of the size and of three pieces returned by read(place)."""
    digest = hashlib.sha256(str(size).encode())
    for place in (0, size // 2, max(0, size - _PIECE_BYTES)):
        digest.update(read(place))
    return digest.hexdigest()[:16]
