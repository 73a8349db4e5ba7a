# SPDX-License-Identifier: GPL-3.0-or-later
"""The voice of a take when the take was made, and how it has changed since."""

import hashlib
import json
import math
import os
import stat
from collections.abc import Container
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import bpy

from ...thunder_core import records
from ...thunder_core.animation import keyframes
from ...thunder_core.animation.timing import Clock
from ...thunder_core.errors import BadSound
from ..host import compat
from . import strip

STATE = "thunder_strip"  # property of a take's first action: its voice when the take was made
# about half a frame: another scene rate rounds a strip's ends to its frames
_SAME_SECONDS = 0.02
# bytes hashed at the start, middle and end of a recording, enough to identify it
_PIECE_BYTES = 1 << 16
_OF = "#"  # between a sound and its channel


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


def of_voice(scene, voice: strip.Voice) -> State | None:
    """The current state of a voice; None if its strip and its file are gone."""
    if voice.strip:
        strip_now = strip.by_name(scene, voice.strip)
        if strip_now is None:
            return None
        state = of_strip(scene, strip_now)
        first, last = int(voice.clock.start), int(voice.last)
        return replace(
            state, first=first, last=last, limited=(first, last) != (state.first, state.last)
        )
    return State(
        "",
        voice.path,
        _mark(of_file(voice.path), voice.channel),
        "",
        voice.clock.start,
        math.floor(voice.clock.start),
        0,
        voice.clock.fps,
    )


def voice_of(scene, now: State) -> strip.Voice:
    """A voice as it plays now, from its first frame to its last."""
    if not now.strip:
        return strip.of_file(scene, now.path, now.origin)
    member = strip.by_name(scene, now.strip)
    if member is None:
        raise BadSound(
            f"The strip “{now.strip}” is no longer in the sequencer: choose another voice and "
            f"generate again"
        )
    return strip.part_of(strip.of_strip(scene, member), now.first, now.last)


def record_of(state: State) -> str:
    """A state as text, to be stored."""
    return json.dumps({records.KEY: records.VERSION, **asdict(state)})


def remember(action, state: State | None) -> None:
    """Store the state of a take's voice in its action."""
    if state is not None:
        action[STATE] = record_of(state)


def state_of(action) -> State | None:
    """The voice of a take when it was made, None if its action has no record of it that can be
    read, or was deleted."""
    return None if action is None else read(action.get(STATE, ""))


def read(text: str) -> State | None:
    """The state in a record (`record_of`), None if it cannot be read."""
    try:
        record = json.loads(text)
        if not records.is_readable(record):
            return None
        record.pop(records.KEY, None)
        return State(**record)
    except records.UNREADABLE:
        return None


def of_take(entry) -> State | None:
    """The same of a take in the list, under the present name of its strip, which the list follows
    and undo restores (takes/dialogue.py)."""
    state = state_of(entry.action)
    return state if state is None or not state.strip else replace(state, strip=entry.voice)


def stale_takes(scene) -> list[tuple]:
    """(entry, change) of a scene's takes whose voice exists but has changed since they were
    made."""
    stale = []
    known: dict[tuple, Change | None] = {}  # cached results; takes made together share one
    for entry in scene.thunder.takes:
        key = entry.action.get(STATE) if entry.action is not None else None, entry.voice
        if key not in known:
            known[key] = change(scene, entry)
        if known[key] is not None and known[key].kind != "GONE":
            stale.append((entry, known[key]))
    return stale


def change(scene, entry) -> Change | None:
    """The change of a take's voice since the take was made; None if unchanged or unknown.

    Fast enough for drawing each row of the list.
    """
    then = of_take(entry)
    return None if then is None else change_since(scene, then)


def change_since(scene, then: State, since: str = "its takes were made") -> Change | None:
    """The change of a voice since a state of it; None if unchanged. since: words for when that
    was."""
    now = _state_now(scene, then)
    name = then.strip or os.path.basename(then.path)
    if now is None:
        return Change("GONE", f"The voice “{name}” was removed", None)
    if now.sound != then.sound or now.retiming != then.retiming:
        how = "replaced" if now.sound != then.sound else "retimed"
        if now.sound.partition(_OF)[0] == then.sound.partition(_OF)[0] and how == "replaced":
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


def _state_now(scene, then: State) -> State | None:
    """The current state of the same voice, None if it is gone."""
    if not then.strip:
        sound = _mark(of_file(then.path), strip.channel_of(scene))
        return replace(then, sound=sound, fps=Clock.of(scene, 0).fps) if sound else None
    strip_now = strip.by_name(scene, then.strip)
    if strip_now is None or strip_now.type != "SOUND":
        # a strip with takes is another voice
        return find_renamed(scene, then, {entry.voice for entry in scene.thunder.takes})
    now = of_strip(scene, strip_now)
    pieces = [
        of_strip(scene, each)
        for each in strip.sound_strips(scene)
        if each != strip_now and each.sound == strip_now.sound
    ]
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


def find_renamed(scene, then: State | None, taken: Container[str] = ()) -> State | None:
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
        now = of_strip(scene, each)
        if then.limited and now.first <= then.first and then.last <= now.last:
            now = replace(now, first=then.first, last=then.last, limited=True)
        same_but_for_span = replace(now, strip=then.strip, first=then.first, last=then.last) == then
        if same_but_for_span and (now.first, now.last) == (then.first, then.last):
            return now
        if same_but_for_span and then.first <= now.first and now.last <= then.last:
            left.append(now)
    return min(left, key=lambda state: state.first, default=None)


def is_cut_off(scene, one, other) -> bool:
    """Whether two sound strips are pieces of one recording, side by side as they were cut or with a
    gap between them."""
    if one.sound is None or one.sound != other.sound:
        return False
    a, b = of_strip(scene, one), of_strip(scene, other)
    return (
        abs(a.origin - b.origin) < keyframes.SAME_FRAME
        and a.retiming == b.retiming
        and (a.last <= b.first or b.last <= a.first)
    )


def part_of(scene, then: State | None, one) -> str:
    """Whether a sound strip was cut off a take's voice, which was `then`: PLAYED if the take still
    plays it, where it was or moved along; CUT_AWAY if it was moved alone, so that Re-sync will trim
    the take; "" if the take is of another sound.

    Fast for strips of other sounds or parts.
    """
    if then is None or not then.strip or then.strip == one.name or one.sound is None:
        return ""
    voice, piece = strip.by_name(scene, then.strip), of_strip(scene, one)
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


def pieces_cut_away(scene, then: State) -> list[State]:
    """The present states of the strips that are CUT_AWAY (`part_of`) from a voice, in order of
    time."""
    return [
        of_strip(scene, each)
        for each in strip.sound_strips(scene)
        if part_of(scene, then, each) == "CUT_AWAY"
    ]


def _within(part: State, whole: State) -> bool:
    """Whether one state plays a part of what the other plays; unknown for a file."""
    (first, last), (begin, end) = part.seconds, whole.seconds
    return bool(whole.last) and begin - _SAME_SECONDS <= first and last <= end + _SAME_SECONDS


def of_strip(scene, speaking) -> State:
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
        _mark(_of_sound(speaking.sound), strip.channel_of(None, speaking)),
        json.dumps(keys) if keys else "",
        float(origin),
        first,
        last,
        fps,
    )


def _mark(sound: str, channel: int | None) -> str:
    """A fingerprint that tells which channel was chosen; as in files of earlier versions where none
    was."""
    return sound if channel is None or not sound else f"{sound}{_OF}{channel}"


def _of_sound(sound) -> str:
    """Fingerprint of a strip's recording, "" for none."""
    if sound is not None and sound.packed_file is not None:
        return _of_packed(sound.session_uid, sound.packed_file.size)
    return "" if sound is None else of_file(bpy.path.abspath(sound.filepath, library=sound.library))


@lru_cache(maxsize=64)
def _of_packed(session_uid: int, size: int) -> str:
    """Fingerprint of a packed sound, read once for each."""
    data = next(
        sound.packed_file.data for sound in bpy.data.sounds if sound.session_uid == session_uid
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

        def read(place):
            file.seek(place)
            return file.read(_PIECE_BYTES)

        return _fingerprint(size, read)


def _fingerprint(size: int, read) -> str:
    """Digest of the size and of three pieces returned by read(place)."""
    digest = hashlib.sha256(str(size).encode())
    for place in (0, size // 2, max(0, size - _PIECE_BYTES)):
        digest.update(read(place))
    return digest.hexdigest()[:16]
