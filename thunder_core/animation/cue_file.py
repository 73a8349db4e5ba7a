# SPDX-License-Identifier: GPL-3.0-or-later
"""Cues of a take: its words, sounds and mouth shapes with their times, as a table or as Rhubarb Lip
Sync writes them; numpy only."""

import json
from typing import NamedTuple

import numpy as np

from ..spoken import Spoken
from ..types import FPS

IDLE = "X"
# Rhubarb's mouth shapes of sounds; other consonants are B
_LETTERS = {"A": "M B P", "B": "IY IH", "E": "AO ER OY", "F": "UW UH OW W", "G": "F V", "H": "L"}
_LETTER_OF = {phone: letter for letter, phones in _LETTERS.items() for phone in phones.split()}
# vowels whose shape the take's opening tells: B, C from so many millimetres on, D
_OPEN_VOWELS = "AA AE AH AY AW EH EY".split()
_OPENINGS = (6.5, 12.0)
_SHORT = 0.1  # seconds of a pause in which the mouth keeps its shape


class Cue(NamedTuple):
    """A word, sound or shape (kind) from start to end, seconds."""

    start: float
    end: float
    kind: str
    value: str


def cues_of(spoken: Spoken, shift: float, opening: np.ndarray, begin: float = 0.0) -> list[Cue]:
    """The cues of a take in time, its shapes without a gap.

    shift: time of the file at the recording's time 0.  opening: of the take's mouth, [T]
    millimetres at 25 fps.  begin: time of the file at the take's first frame, seconds.
    """
    end = begin + len(opening) / FPS
    words = [Cue(w.start, w.end, "word", w.text) for w in spoken.words if w.is_found]
    sounds = [Cue(start, stop, "sound", phone) for phone, start, stop, *_ in spoken.sounds]
    cues = [
        cue._replace(start=max(cue.start + shift, begin), end=min(cue.end + shift, end))
        for cue in (*words, *sounds)
    ]
    cues = [cue for cue in cues if cue.start < cue.end]
    shapes: list[tuple[float, str]] = []
    at = begin
    for cue in [*(cue for cue in cues if cue.kind == "sound"), Cue(end, end, "sound", "")]:
        is_pause = cue.start - at > _SHORT or not shapes or not cue.value
        if is_pause and cue.start > at:
            shapes.append((at, IDLE))
        frames = slice(int((cue.start - begin) * FPS), int((cue.end - begin) * FPS) + 1)
        if cue.value:
            shapes.append((cue.start if is_pause else at, _shape(cue.value, opening[frames])))
        at = cue.end
    kept = [each for each, last in zip(shapes, [(0.0, ""), *shapes]) if each[1] != last[1]]
    ends = [start for start, _ in kept[1:]] + [end]
    cues += [Cue(start, stop, "shape", shape) for (start, shape), stop in zip(kept, ends)]
    order = ("word", "sound", "shape")
    return sorted(cues, key=lambda cue: (cue.start, order.index(cue.kind)))


def _shape(phone: str, opening: np.ndarray) -> str:
    """Rhubarb's letter of a sound at which the mouth opens so far."""
    if phone in _OPEN_VOWELS:
        return "BCD"[int(np.searchsorted(_OPENINGS, opening.max(initial=0.0), "right"))]
    return _LETTER_OF.get(phone, "B")


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
