# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an animation's lip-sync: where in the voice, and a sentence; the engine finds
it (`engine.check`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

SHIFTED, OPEN, STILL, MOVES, OTHER = "shifted", "open", "still", "moves", "other"
REALISTIC, CARTOONY, SNAPPY = "realistic", "cartoony", "snappy"
TOLERANCES = {
    REALISTIC: "As people move: what a viewer of a film would notice",
    CARTOONY: "Larger gaps, longer holds and looser timing are allowed",
    SNAPPY: "Poses may be held for half a second; timing and closures stay strict",
}


@dataclass(frozen=True)
class Finding:
    """One place where a viewer would notice the lips.

    start, end: seconds from the voice's beginning.  size: SHIFTED: seconds, above zero where the
    lips are late; OPEN: millimetres between the lips; STILL, MOVES: seconds; OTHER: correlation
    with the voice.  sound: the one that demands it, "m", "b" or "p".
    word, last_word: the words at its start and its end, "" where no text is known. whole: it
    concerns the whole line.
    weight: how much it is noticed; 1 is just noticeable.
    """

    kind: str
    start: float
    end: float
    size: float
    weight: float
    sound: str = ""
    word: str = ""
    last_word: str = ""
    whole: bool = False

    @classmethod
    def of(cls, values: dict) -> Finding:
        """A finding from `asdict` of one."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def values(self) -> dict:
        """Its fields, for JSON."""
        return asdict(self)

    @property
    def key(self) -> str:
        """Identifies it when the animation is checked again, so that it stays ignored."""
        return f"{self.kind} {self.start:.1f} {self.word or self.sound}".strip()

    def frames(self, frame_of: Callable[[float], float]) -> tuple[int, int]:
        """First and last frame; frame_of: second → frame."""
        first = round(frame_of(self.start))
        return first, max(first, round(frame_of(self.end)))

    def sentence(self, fps: float, place: str = "") -> str:
        """What is wrong. place: words for where it is, for a finding without words of a text."""
        if self.kind == OTHER:
            return "The mouth does not follow the voice: it may be of another line"
        if self.kind == OPEN:
            where = f"“{self.word}” ({self.sound})" if self.word else self.sound
            return f"Lips do not meet on {where}: {self.size:.1f} mm apart"
        if self.kind == SHIFTED:
            count = max(1, round(abs(self.size) * fps))
            how = f"{'late' if self.size > 0 else 'early'} by {count} frame{'s' * (count > 1)}"
            return (
                f"The whole line is {how}"
                if self.whole
                else f"Lips are {how}{self._place_in_words(place)}"
            )
        what = "stands still" if self.kind == STILL else "moves in silence"
        return f"The mouth {what}{self._place_in_words(place)}: {self.size:.1f} s"

    def _place_in_words(self, place: str) -> str:
        if self.word and self.last_word and self.word != self.last_word:
            return f" from “{self.word}” to “{self.last_word}”"
        return f" on “{self.word}”" if self.word else f", {place}" * bool(place)
