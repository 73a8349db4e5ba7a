# SPDX-License-Identifier: GPL-3.0-or-later
"""Cues of a take: its words, sounds and mouth shapes with their times, as a table or as Rhubarb Lip
Sync writes them; numpy only."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..face.drawn_mouths import CLOSED
from ..spoken import SOUND_OF, Spoken
from ..types import FPS

IDLE = "X"
# Rhubarb's mouth shapes of sounds; other consonants are B
_LETTERS = {"A": "M B P", "B": "IY IH", "E": "AO ER OY", "F": "UW UH OW W", "G": "F V", "H": "L"}
_LETTER_OF = {phone: letter for letter, phones in _LETTERS.items() for phone in phones.split()}
# vowels whose shape the take's opening tells: B, C from so many millimetres on, D
_OPEN_VOWELS = "AA AE AH AY AW EH EY".split()
_OPENINGS = (6.5, 12.0)
_LIKELY = 0.5  # probability of an m, b or p from which lips shut for it
_SHORT = 0.1  # seconds of a pause in which the mouth keeps its shape


class Cue(NamedTuple):
    """A word, sound or shape (kind) from start to end, seconds."""

    start: float
    end: float
    kind: str
    value: str


def cues_of(
    spoken: Spoken,
    shift: float,
    opening: np.ndarray,
    begin: float = 0.0,
    shapes: Sequence[tuple[float, str]] = (),
) -> list[Cue]:
    """The cues of a take in time, its shapes without a gap.

    shift: time of the file at the recording's time 0.  opening: of the take's mouth, [T]
    millimetres at 25 fps.  begin: time of the file at the take's first frame, seconds.  shapes:
    when each begins, and its name, where they are not Rhubarb's.
    """
    end = begin + len(opening) / FPS
    words = [Cue(w.start, w.end, "word", w.text) for w in spoken.words if w.is_found]
    sounds = [Cue(row[1], row[2], "sound", row[0]) for row in spoken.sounds]
    seen = [Cue(row[1], row[2], "seen", _seen(*row[:5])) for row in spoken.sounds]
    cues = [
        cue._replace(start=max(cue.start + shift, begin), end=min(cue.end + shift, end))
        for cue in (*words, *sounds, *seen)
    ]
    said = [(cue.value, cue.start, cue.end) for cue in cues if cue.kind == "seen"]
    said = [row for row in said if row[1] < row[2]]
    cues = [cue for cue in cues if cue.start < cue.end and cue.kind != "seen"]
    kept = shapes or mouths_of(said, opening, begin, rhubarb_mouth)
    ends = [start for start, _ in kept[1:]] + [end]
    cues += [Cue(start, stop, "shape", shape or IDLE) for (start, shape), stop in zip(kept, ends)]
    order = ("word", "sound", "shape")
    return sorted(cues, key=lambda cue: (cue.start, order.index(cue.kind)))


def _seen(
    phone: str, start: float, end: float, sure: float = 1.0, others: Sequence[Sequence] = ()
) -> str:
    """The phone whose mouth is seen for one that was heard: of an m, b or p that is less likely
    than not, which nobody would see closed, the likeliest other."""
    closes = SOUND_OF.get(phone) == CLOSED
    likely = sure + sum(chance for name, chance in others if SOUND_OF.get(name) == CLOSED)
    open_ones = [each for each in others if SOUND_OF.get(each[0]) != CLOSED]
    if closes and likely < _LIKELY and open_ones:
        return str(max(open_ones, key=lambda each: each[1])[0])
    return phone


def mouths_of(
    sounds: Sequence[Sequence], opening: np.ndarray, begin: float, name: Callable[[str, float], str]
) -> list[tuple[float, str]]:
    """When each mouth of a take begins, and its name, one after the other; "" in a pause.

    sounds: phone, start and end (seconds) of each.  opening: of the take's mouth from `begin` on,
    [T] millimetres at 25 fps.  name(phone, opening): of the mouth of a sound at which a mouth opens
    so far.
    """
    end, at = begin + len(opening) / FPS, begin
    mouths: list[tuple[float, str]] = []
    for phone, start, stop, *_ in (*sounds, ("", end, end)):
        is_pause = start - at > _SHORT or not mouths or not phone
        if is_pause and start > at:
            mouths.append((at, ""))
        frames = slice(int((start - begin) * FPS), int((stop - begin) * FPS) + 1)
        if phone:
            opened = float(opening[frames].max(initial=0.0))
            mouths.append((start if is_pause else at, name(phone, opened)))
        at = stop
    return [
        each for place, each in enumerate(mouths) if place == 0 or each[1] != mouths[place - 1][1]
    ]


def _name(
    of_vowels: Sequence[str], names: Mapping[str, str], other: str, phone: str, opening: float
) -> str:
    """A name of the mouth of a phone at which it opens so far; other: where `names` has none."""
    if phone in _OPEN_VOWELS:
        return of_vowels[int(np.searchsorted(_OPENINGS, opening, "right"))]
    return names.get(phone, other)


rhubarb_mouth = partial(_name, "BCD", _LETTER_OF, "B")
# the sound whose drawing (face/moving/drawings.py) is shown
drawn_mouth = partial(_name, ("EE", "EH", "AH"), SOUND_OF, "T D K")


def as_table(cues: list[Cue], sound: str = "") -> str:
    """Cues as tab-separated text: start, end, kind, value."""
    rows = [f"{c.start:.3f}\t{c.end:.3f}\t{c.kind}\t{' '.join(c.value.split())}" for c in cues]
    return "\n".join(["start\tend\tkind\tvalue", *rows, ""])


def as_rhubarb(cues: list[Cue], sound: str = "") -> str:
    """The shapes in the format of Rhubarb Lip Sync's JSON. sound: its file."""
    shapes = [
        {"start": round(cue.start, 2), "end": round(cue.end, 2), "value": cue.value}
        for cue in cues
        if cue.kind == "shape"
    ]
    about = {"soundFile": sound, "duration": shapes[-1]["end"] if shapes else 0.0}
    return json.dumps({"metadata": about, "mouthCues": shapes}, ensure_ascii=False, indent=2)
