# SPDX-License-Identifier: GPL-3.0-or-later
"""Who speaks when in a recording of several people: ranges that the animator marks, each for one
head.

They are stored by the recording and its seconds, so they stay where they are heard when a strip is
moved, trimmed, cut or renamed.
"""

from dataclasses import dataclass, replace

import bpy
import numpy as np

from ...thunder_core.errors import attempt, BadHead, BadRequest, BadSound
from ...thunder_core.face.lips import opening_mm, width_mm
from ...thunder_core.filters import smoothstep
from ...thunder_core.request import turns_of
from ...thunder_core.types import FPS, Keep, pack, unpack
from ..animation.keying import record_of, TakeData
from ..heads import head
from ..voice import fingerprint, strip

_SAME = 0.02  # seconds by which a range may differ from that of a take: half a frame
_FADE = 0.4  # seconds around what a head says in which it passes from listening to speaking
Spans = tuple[tuple[float, float], ...]  # parts of a sound, seconds from its first sample


@dataclass(frozen=True)
class Turn:
    """A range of a strip that somebody speaks. index: among the scene's.  head: None if it was
    deleted.  first, last: scene frames, the latter the one after the end."""

    index: int
    head: bpy.types.Object | None
    first: int
    last: int


def of_strip(scene, sound_strip) -> list[Turn]:
    """The ranges of a sound strip in order of time, as far as the strip plays them."""
    state = fingerprint.of_strip(scene, sound_strip)
    ranges = []
    for index, row in enumerate(scene.thunder.turns):
        first, last = (
            round(state.origin + seconds * state.fps) for seconds in (row.begin, row.end)
        )
        if (
            row.sound == sound_strip.sound
            and sound_strip.sound is not None
            and max(first, state.first) < min(last, state.last)
        ):
            speaker = row.head if row.head is not None and row.head.name in scene.objects else None
            ranges.append(Turn(index, speaker, max(first, state.first), min(last, state.last)))
    return sorted(ranges, key=lambda turn: turn.first)


def mark(scene, sound_strip, speaker: bpy.types.Object, first: int, last: int) -> tuple[int, int]:
    """Let a head speak a strip from frame `first` up to `last`, whoever spoke there before. Returns
    these frames, cut to the strip. Raises BadRequest or BadSound, and then nothing was changed."""
    state = fingerprint.of_strip(scene, sound_strip)
    if state.retiming:
        raise BadRequest(
            f"“{sound_strip.name}” is retimed, so its frames are not those of its "
            f"recording: remove the retiming first"
        )
    part = strip.part_of(strip.of_strip(scene, sound_strip), first, last)
    first, last = int(part.clock.start), int(part.last)
    begin, end = ((frame - state.origin) / state.fps for frame in (first, last))
    rows = scene.thunder.turns
    places = [place for place, row in enumerate(rows) if row.sound == sound_strip.sound]
    before = [(rows[place].head, rows[place].begin, rows[place].end) for place in places]
    for head_before, start, stop in before:
        if head_before == speaker and start - _SAME <= end and begin <= stop + _SAME:
            begin, end = min(begin, start), max(end, stop)
    for place in reversed(places):
        rows.remove(place)
    left = [(head_before, start, min(stop, begin)) for head_before, start, stop in before]
    left += [(head_before, max(start, end), stop) for head_before, start, stop in before]
    for speaks, start, stop in (*left, (speaker, begin, end)):
        if stop - start > _SAME:
            row = rows.add()
            row.sound, row.head, row.begin, row.end = sound_strip.sound, speaks, start, stop
    return first, last


def mark_all(scene, name: str, listed: list[tuple[str, str, str]]) -> None:
    """Let heads speak the strip of that name as listed, (head, first frame, last frame), and nobody
    else. Raises ThunderError."""
    sound_strip = strip.by_name(scene, name)
    for index in sorted((turn.index for turn in of_strip(scene, sound_strip)), reverse=True):
        scene.thunder.turns.remove(index)
    for speaker, first, last in listed:
        obj = head.by_name(scene, speaker)
        if obj not in head.in_scene(scene):
            raise BadHead(f"“{speaker}” is no head: name another object with --speakers")
        mark(scene, sound_strip, obj, int(first), int(last) + 1)


def spans_of(scene, voice: strip.Voice, owner: bpy.types.Object) -> Spans:
    """What the head that an object represents says in a voice; empty where no ranges are marked.
    Raises BadSound if all are of others."""
    sound_strip = strip.by_name(scene, voice.strip) if voice.strip else None
    ranges = (
        []
        if sound_strip is None
        else [
            turn
            for turn in of_strip(scene, sound_strip)
            if turn.first < voice.last and turn.last > voice.clock.start
        ]
    )
    spoken = [
        turn for turn in ranges if turn.head is not None and head.owner_of(turn.head) == owner
    ]
    spans = tuple(
        (float(voice.clock.seconds(turn.first)), float(voice.clock.seconds(turn.last)))
        for turn in spoken
    )
    if ranges and not spans:
        raise BadSound(
            f"“{owner.name}” speaks none of the ranges of “{voice.name}”: mark one in the "
            f"Dialogue panel, or let it listen"
        )
    return spans


def fits_ranges(scene, entry) -> bool:
    """Whether a take speaks the ranges that its head has now."""
    sound_strip = strip.by_name(scene, entry.voice)
    voice, _ = (
        attempt(strip.of_strip, scene, sound_strip) if sound_strip is not None else (None, "")
    )
    if voice is None:
        return True
    now, _ = attempt(spans_of, scene, voice, head.owner_of(entry.head))
    then = turns_of(record_of(entry.action))
    return now is not None and len(now) == len(then) and bool(np.allclose(now, then, atol=_SAME))


def join_takes(speaks: TakeData, listens: TakeData, spans: Spans, keep: Keep | None) -> TakeData:
    """A take that speaks in some parts of a sound and listens in the others. keep: what it
    keeps."""
    times = np.arange(speaks.motion.frames) / FPS
    far = np.min([np.maximum(begin - times, times - end) for begin, end in spans], axis=0)
    share = smoothstep(1.0 - (far / _FADE).clip(0.0, 1.0))[:, None]
    packed = share * pack(speaks.motion) + (1.0 - share) * pack(listens.motion)
    packed = packed if keep is None else np.where(keep.mask, pack(keep.motion), packed)
    motion = unpack(packed.astype(np.float32), speaks.motion.expression.shape[1])
    about = speaks.provenance | {"turns": [seconds for span in spans for seconds in span]}
    return replace(
        speaks, motion=motion, opening=opening_mm(motion), width=width_mm(motion), provenance=about
    )
