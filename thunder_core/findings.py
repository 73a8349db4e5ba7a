# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an animation's lip-sync: where in the voice, and a sentence; the engine finds
it (`engine.scorer`). How keys are mended there. And the score with its parts and its grade: good,
to be checked or poor; numpy only."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import numpy as np

from .animation import keyframes
from .records import if_readable
from .translation import plural

Fault = StrEnum("Fault", ["SHIFTED", "OPEN", "STILL", "MOVES", "OTHER", "SIZE", "MUMBLED", "FLAT"])
SHIFTED, OPEN, STILL, MOVES, OTHER, SIZE, MUMBLED, FLAT = Fault
REALISTIC, CARTOONY, SNAPPY = StrEnum("Tolerated", ["REALISTIC", "CARTOONY", "SNAPPY"])
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
    with the voice; SIZE: the mouth's opening, as a ratio of what the voice asks for; MUMBLED: how
    much of the voice mesh-to-speech reads off the mouth, as a ratio of what it reads off takes;
    FLAT: millimetres by which lips are narrower than at rest.
    sound: the one that demands it, "m", "b" or "p", or "oo", "w" or "o".
    word, last_word: the words at its start and its end, "" where no text is known. whole: it
    concerns the whole line.
    weight: how much it is noticed; 1 is just noticeable.
    """

    kind: Fault
    start: float
    end: float
    size: float
    weight: float
    sound: str = ""
    word: str = ""
    last_word: str = ""
    whole: bool = False

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
        if self.kind == MUMBLED:
            return (
                f"The mouth mumbles: only {self.size:.0%} of what a mouth made for this voice "
                "gives can be read off it"
            )
        if self.kind == SIZE:
            return (
                f"The mouth opens only {self.size:.0%} of what voice and direction ask for"
                if self.size < 1
                else f"The mouth opens {self.size:.1f} times as far as voice and direction ask for"
            )
        where = f"“{self.word}” ({self.sound})" if self.word else self.sound
        if self.kind == OPEN:
            return f"Lips do not meet on {where}: {self.size:.1f} mm apart"
        if self.kind == FLAT:
            return f"Lips stay flat on {where}, which is round"
        if self.kind == SHIFTED:
            count = max(1, round(abs(self.size) * fps))
            place = "" if self.whole else self._place_in_words(place)
            late = plural(count, f"late by {count} frame{place}", f"late by {count} frames{place}")
            early = plural(
                count, f"early by {count} frame{place}", f"early by {count} frames{place}"
            )
            by = late if self.size > 0 else early
            return f"The whole line is {by}" if self.whole else f"Lips are {by}"
        place = self._place_in_words(place)
        if self.kind == STILL:
            return f"The mouth stands still{place}: {self.size:.1f} s"
        return f"The mouth moves in silence{place}: {self.size:.1f} s"

    def label(self, fps: float) -> str:
        """What is wrong in a few words, for a row of a list."""
        count = max(1, round(abs(self.size) * fps))
        frames = plural(count, f"{count} frame", f"{count} frames")
        what = {
            OTHER: "another line?",
            SIZE: f"opens {self.size:.0%}",
            MUMBLED: "mumbles",
            OPEN: f"{self.sound} open",
            FLAT: f"{self.sound} flat",
            SHIFTED: f"{frames} late" if self.size > 0 else f"{frames} early",
            STILL: "stands still",
            MOVES: "moves in silence",
        }[self.kind]
        return f"{what} “{self.word}”" if self.word else what

    def _place_in_words(self, place: str) -> str:
        if self.word and self.last_word and self.word != self.last_word:
            return f" from “{self.word}” to “{self.last_word}”"
        return f" on “{self.word}”" if self.word else f", {place}" * bool(place)


# ---- keys are mended

# Keys that are this many frames from a moved stretch are squeezed or spread, and as many more for
# each frame that it moves.
_ROOM = 2


def shift_keys(
    keys: dict[str, np.ndarray], first: float, last: float, by: float
) -> tuple[dict[str, np.ndarray], int]:
    """Move the keys from first to last by some frames. Returns all keys, and the number that moved.

    Keys beside them are squeezed or spread, so that none passes another. Where all lie on whole
    frames and move by whole ones, these do, too: of two that come to one frame the nearer stays.
    """
    room = _ROOM * abs(by) + _ROOM
    corners = [first - room, first, last, last + room]

    def shift(frames: np.ndarray) -> np.ndarray:
        return frames + np.interp(frames, corners, [0.0, by, by, 0.0])

    times = keys["co"][:, 0].astype(np.float64)
    moved = shift(times)
    to = np.round(moved) if are_whole(np.append(times, by)) else moved
    result = {part: values.copy() for part, values in keys.items()}
    result["co"][:, 0] = to
    for part in ("handle_left", "handle_right"):
        result[part][:, 0] = shift(keys[part][:, 0].astype(np.float64)) + to - moved
    nearest_first = np.lexsort((np.abs(to - moved), to))
    kept = nearest_first[np.unique(to[nearest_first], return_index=True)[1]]
    return keyframes.select(result, kept), int((np.abs(to - times) > 1e-3).sum())


def are_whole(frames: np.ndarray) -> bool:
    """Whether frames are whole ones, as animators set keys."""
    return np.allclose(frames, np.round(frames), rtol=0, atol=1e-2)


def add_values(
    keys: dict[str, np.ndarray],
    frames: np.ndarray,
    values: np.ndarray,
    change: np.ndarray,
    rows: list[int],
) -> tuple[dict[str, np.ndarray], int]:
    """Add `change` [S] to a curve with values [S] at whole frames [S], with few keys: the present
    ones, and new ones at `rows`.

    Returns the keys, and the number that are new or changed. Keys elsewhere stay exactly as they
    are.
    """
    times = keys["co"][:, 0].astype(np.float64)
    inside = (times >= frames[0] - 0.01) & (times <= frames[-1] + 0.01)
    kept = [
        place
        for place in np.flatnonzero(inside)
        if all(abs(times[place] - frames[row]) > 0.5 for row in rows)
    ]
    kept_times = times[kept]
    new_times = np.concatenate([kept_times, frames[rows]])
    new_values = np.interp(new_times, frames, values + change)
    order = np.argsort(new_times, kind="stable")
    new = keyframes.on_every_frame(new_times[order], new_values[order])
    result = keyframes.concatenate(
        keyframes.select(keys, times < frames[0] - 0.01),
        new,
        keyframes.select(keys, times > frames[-1] + 0.01),
    )
    return result, len(new_times)


def delete_keys(
    keys: dict[str, np.ndarray], first: float, last: float
) -> tuple[dict[str, np.ndarray], int]:
    """Delete the keys between two frames, except one at either end. Returns the rest, and the
    number deleted."""
    times = keys["co"][:, 0]
    gone = (times > first + 0.01) & (times < last - 0.01)
    return keyframes.select(keys, ~gone), int(gone.sum())


Verdict = StrEnum("Verdict", ["GOOD", "CHECK", "POOR"])
GOOD, CHECK, POOR = Verdict
# What a person who does not know the code is told of the parts of a score.
PARTS = {
    "opening": "opens with the voice",
    "width": "widens with the voice",
    "speed": "moves in time",
    "size": "size",
    "closures": "m, b, p",
    "bites": "f, v",
    "places": "no late or still places",
}
# Weight of a finding that alone makes an animation poor, as one of the whole line does that is not
# mumbled. Set on validation voices (`python -m research ranking`).
_POOR = 3.0
# Seconds by which a whole line is late or early at most that mesh-to-speech notices more than
# viewers do, and sizes that are not far off: they are to be checked, not poor.
_BARELY, _NEARLY = 0.049, (0.45, 2.2)


@dataclass(frozen=True)
class LipSyncScore:
    """Lip-sync of a motion with a sound.

    total: 0 … 100, on one scale for all sounds and weights: the sum of the parts (`engine.scorer`).
    per_frame: float32 [T], points of each frame; low where the lips disagree with the voice.
    parts: 0 … 1, by the names of PARTS.  findings: what a viewer would notice, most noticeable
    first.  heard: how much of the voice mesh-to-speech reads off the mouth, as a ratio of what it
    reads off the mouth that is expected of the voice; None where that says nothing.
    """

    total: float
    per_frame: np.ndarray = field(repr=False)
    parts: dict[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    heard: float | None = None

    @property
    def grade(self) -> Verdict:
        """By what is found."""
        return grade(self.findings)

    def to_record(self) -> dict:
        """Parts, findings as JSON, and what is read, for the provenance of a take."""
        parts = {name: round(part, 3) for name, part in self.parts.items()}
        # Blender's properties know no None
        heard = -1.0 if self.heard is None else round(self.heard, 3)
        return {"parts": parts, "read": heard} | record_of(self.findings)


def record_of(findings: Sequence[Finding]) -> dict:
    """Findings as `findings_of` reads them."""
    return {"findings": json.dumps([asdict(each) for each in findings])}


@if_readable(None)
def findings_of(record: Mapping) -> tuple[Finding, ...] | None:
    """The findings in what `LipSyncScore.to_record` gave; None if there are none in it."""
    return tuple(Finding(**values) for values in json.loads(record["findings"]))


# Ratio of what is read off a mouth to what is read off the expected one, below which it is little:
# none of 432 takes of 18 validation voices in 22 directions and moods is (least .73), and 69 % of
# those that were halved and smoothed. `python -m research say` counts it of other voices.
LITTLE = 0.6


def is_little(heard: float) -> bool:
    """Whether a ratio is little, as it is shown in whole percents."""
    return round(heard, 2) < LITTLE


def heard_of(record: Mapping) -> float | None:
    """The ratio in what `LipSyncScore.to_record` gave; None if there is none in it, as in records
    of earlier versions, whose percents are no ratios."""
    heard = record.get("read")  # “heard” was of earlier versions, of another scale
    return float(heard) if isinstance(heard, (int, float)) and 0 <= heard < 10 else None


def heard_in_a_word(heard: float | None) -> str:
    """How much mesh-to-speech reads, for a column of a list; "" where that says nothing."""
    return "" if heard is None else "little" if is_little(heard) else f"{heard:.0%}"


def say_heard(heard: float | None) -> str:
    """How much mesh-to-speech reads, in a sentence; "" where that says nothing."""
    if heard is None:
        return ""
    if is_little(heard):
        return (
            f"Read by mesh-to-speech: little, {heard:.0%} of what a mouth made for this voice gives"
        )
    return f"Read by mesh-to-speech: {heard:.0%} of what a mouth made for this voice gives"


def grade(findings: Sequence[Finding]) -> Verdict:
    """The verdict on an animation, by what is found in it."""

    def is_poor(each: Finding) -> bool:
        if each.whole and each.kind == SHIFTED:
            return abs(each.size) > _BARELY
        if each.kind == SIZE:
            return not _NEARLY[0] <= each.size <= _NEARLY[1]
        return each.whole and each.kind != MUMBLED or each.weight >= _POOR

    if any(map(is_poor, findings)):
        return POOR
    return CHECK if findings else GOOD
