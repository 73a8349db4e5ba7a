# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions for a line's performance: a style of named numbers, a mood, and marks on its words;
numpy only.

The teacher performs a direction, the corpus stores it as a label of every performance, the
diffusion model is conditioned on its vector, and the Direction panel shows its sliders: all use the
names listed here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from .behaviour import Mood, read_moods
from .errors import BadRequest
from .filters import gaussian
from .manner import Manner
from .timings import Times
from .types import FPS

# ---- marks: what an animator wants of single words

Marking = StrEnum("Marking", {
    "STRESSED": "stressed", "THROWN_AWAY": "thrown away", "HELD": "held", "CLOSED": "closed",
    "OPEN": "open", "SOUND": "sound", "MOVED": "moved",
})  # fmt: skip
STRESSED, THROWN_AWAY, HELD, CLOSED, OPEN, SOUND, MOVED = Marking
MOST_MARKS = 10_000


@dataclass(frozen=True)
class Mark:
    """What an animator wants of one word or sound.

    start, end: of the word or sound in the line, seconds from its start.  sound: for SOUND, the
    phone to perform there (ARPABET).  to: for MOVED, (start, end) in seconds, when lips perform it
    instead.
    """

    kind: Marking
    start: float
    end: float
    sound: str = ""
    to: tuple[float, float] | None = None

    def later(self, seconds: float) -> Mark:
        """The mark in a line that begins earlier by so many seconds."""
        to = self.to and (self.to[0] + seconds, self.to[1] + seconds)
        return replace(self, start=self.start + seconds, end=self.end + seconds, to=to)

    def row(self) -> list:
        """As a row of JSON; `read_mark` is the inverse."""
        return [
            self.kind,
            self.start,
            self.end,
            *([self.sound] if self.kind == SOUND else self.to or ()),
        ]


def read_mark(row: object) -> Mark:
    """The mark of a row [kind, start, end], with the sound or the new start and end behind it.
    Raises BadRequest."""
    wrong = BadRequest(f"“{str(row)[:60]}” is no mark of a word: remove it and mark the word again")
    if not isinstance(row, Sequence) or isinstance(row, str) or not row or row[0] not in [*Marking]:
        raise wrong
    kind, times, sound = Marking(row[0]), list(row[1:]), ""
    if kind == SOUND:
        sound = times.pop() if times else ""
    wanted = 4 if kind == MOVED else 2
    if (
        len(times) != wanted
        or not all(isinstance(each, (int, float)) and math.isfinite(each) for each in times)
        or not all(start < end for start, end in zip(times[::2], times[1::2]))
        or not isinstance(sound, str)
        or (kind == SOUND) != bool(sound)
    ):
        raise wrong
    return Mark(
        kind,
        float(times[0]),
        float(times[1]),
        sound,
        (float(times[2]), float(times[3])) if kind == MOVED else None,
    )


def read_marks(rows: object) -> tuple[Mark, ...]:
    """Marks of rows, in the order of their starts. Raises BadRequest."""
    if not isinstance(rows, list) or len(rows) > MOST_MARKS:
        raise BadRequest(
            f"“marks” must be a list of at most {MOST_MARKS} marks: remove them and mark the "
            f"words again"
        )
    return tuple(sorted((read_mark(row) for row in rows), key=lambda mark: (mark.start, mark.kind)))


# ---- styles and moods


@dataclass(frozen=True)
class Axis:
    """One number of a style: its meaning and variation.

    usual: value of most people.  least, most: its range.  speakers, readings: its deviation between
    people, and between readings of one person; of the logarithm if it is a `factor` of the usual
    value.  slider: shown in the panel.
    """

    name: str
    label: str
    description: str
    usual: float
    speakers: float
    readings: float
    least: float
    most: float
    factor: bool = True
    slider: bool = False

    def deviations(self, value: float) -> float:
        """A value's deviation from the usual one, in standard deviations between speakers."""
        return (
            float(np.log(value / self.usual)) if self.factor else value - self.usual
        ) / self.speakers

    def value(self, deviations: float) -> float:
        """The value at `deviations` above the usual one, within the range."""
        by = deviations * self.speakers
        return float(
            np.clip(
                self.usual * np.exp(by) if self.factor else self.usual + by, self.least, self.most
            )
        )


AXES = (
    Axis(
        "energy",
        "Energy",
        "How far and how fast the mouth opens",
        1.0,
        0.25,
        0.14,
        0.35,
        2.0,
        slider=True,
    ),
    Axis(
        "jaw",
        "Jaw",
        "How much of an opening the jaw makes, the lips make the rest",
        1.0,
        0.2,
        0.06,
        0.55,
        1.65,
        slider=True,
    ),
    Axis(
        "articulation",
        "Articulation",
        "How much sounds differ on the lips, mumbled to exact",
        1.0,
        0.2,
        0.1,
        0.5,
        1.6,
        slider=True,
    ),
    Axis(
        "smile",
        "Smile",
        "Corners of the mouth up, or down",
        0.0,
        0.25,
        0.1,
        -1.0,
        1.0,
        factor=False,
        slider=True,
    ),
    Axis("brows", "Brows", "How much brows move on accents", 1.0, 0.4, 0.2, 0.1, 2.5, slider=True),
    Axis("head", "Head", "How much the head moves", 1.0, 0.35, 0.2, 0.1, 2.5, slider=True),
    Axis(
        "eyes",
        "Eyes",
        "How often eyes blink and look elsewhere",
        1.0,
        0.5,
        0.3,
        0.2,
        3.0,
        slider=True,
    ),
    Axis("width", "Width", "How far corners spread on wide sounds", 1.0, 0.18, 0.07, 0.5, 1.7),
    Axis("rounding", "Rounding", "How far lips round on oo, w, sh", 1.0, 0.2, 0.07, 0.5, 1.7),
    Axis(
        "asymmetry",
        "Asymmetry",
        "Which side moves more: below 0 the right, above 0 the left",
        0.0,
        0.3,
        0.08,
        -1.0,
        1.0,
        factor=False,
    ),
    Axis(
        "tension",
        "Tension",
        "Slack or tight lips and corners",
        0.0,
        0.3,
        0.12,
        -1.0,
        1.0,
        factor=False,
    ),
    Axis(
        "frown", "Frown", "Brows drawn together, or apart", 0.0, 0.3, 0.12, -1.0, 1.0, factor=False
    ),
)
SLIDERS = tuple(axis.name for axis in AXES if axis.slider)


@dataclass(frozen=True)
class Style:
    """A way of speaking: a number for each of AXES."""

    energy: float = 1.0
    jaw: float = 1.0
    articulation: float = 1.0
    smile: float = 0.0
    brows: float = 1.0
    head: float = 1.0
    eyes: float = 1.0
    width: float = 1.0
    rounding: float = 1.0
    asymmetry: float = 0.0
    tension: float = 0.0
    frown: float = 0.0

    def vector(self) -> np.ndarray:
        """float32 [len(AXES)]: deviations between speakers above the usual values."""
        return np.array([axis.deviations(getattr(self, axis.name)) for axis in AXES], np.float32)

    @staticmethod
    def of_vector(deviations: np.ndarray) -> Style:
        """The style at the given deviations [len(AXES)], clipped to the axes' ranges."""
        return Style(
            **{axis.name: axis.value(float(by)) for axis, by in zip(AXES, deviations, strict=True)}
        )

    def shift(self, deviations: Mapping[str, float], strength: float) -> Style:
        """The style moved along the named axes by deviations times a strength."""
        return replace(self, **{name: _AXIS[name].value(_AXIS[name].deviations(getattr(self,
            name)) + strength * by)
                                for name, by in deviations.items()})  # fmt: skip

    def values(self) -> dict[str, float]:
        """The numbers by name."""
        return asdict(self)


_AXIS = {axis.name: axis for axis in AXES}
assert [field.name for field in fields(Style)] == list(_AXIS)


NEUTRAL = "neutral"
# chosen in place of a mood: energy, brows and head as the voice has them (`engine.speech.cues`)
AS_HEARD = "as heard"
STRENGTH = 0.6  # default strength of a mood
SPREAD = 0.5  # default variation of takes around a direction
_NO_FILES = (
    Mood(NEUTRAL, "Neutral", "No mood", 0),
    Mood(AS_HEARD, "As Heard", "Energy, brows and head follow how lively the voice sounds", 12),
)
# a file each, but the first
MOODS: Mapping[str, Mood] = MappingProxyType({mood.name: mood for mood in (
    _NO_FILES[0], *read_moods(_AXIS, {mood.number: mood.name for mood in _NO_FILES}),
)})  # fmt: skip
# What a direction may name as its mood; `as heard` is none that models know.
CHOICES: Mapping[str, Mood] = MappingProxyType({mood.name: mood for mood in _NO_FILES} | {**MOODS})
_ROUNDING = 1e-3  # deviations or strengths outside a range that are accepted as rounding

# those with a number in a direction's vector
MOOD_NAMES = tuple(name for name in MOODS if name != NEUTRAL)
DIRECTION_NAMES = (*_AXIS, *(f"mood.{name}" for name in MOOD_NAMES))


@dataclass(frozen=True)
class Direction:
    """The direction of a performance. mood: one of CHOICES.  strength: of the mood, 0 … 1."""

    style: Style = Style()
    mood: str = NEUTRAL
    strength: float = 1.0

    @property
    def style_in_mood(self) -> Style:
        """The style as the mood changes it."""
        return self.style.shift(CHOICES[self.mood].changes, self.strength)

    @property
    def tempo(self) -> float:
        """Speed of movements, 1 as usual."""
        return CHOICES[self.mood].tempo ** self.strength

    def share(self, mood: str) -> float:
        """The strength of a mood of MOODS, 0 where it is another."""
        return self.strength if mood == self.mood else 0.0

    def vector(self) -> np.ndarray:
        """float32 [len(DIRECTION_NAMES)]: the style's deviations, then every mood's strength."""
        return np.concatenate(
            [self.style.vector(), np.array([self.share(name) for name in MOOD_NAMES], np.float32)]
        )

    @staticmethod
    def of_vector(vector: np.ndarray) -> Direction:
        """The direction that a vector describes; of several moods the strongest."""
        moods = dict(zip(MOOD_NAMES, np.asarray(vector, float)[len(AXES) :], strict=True))
        strongest = max(moods, key=lambda name: moods[name])
        named = moods[strongest] > 0
        return Direction(
            Style.of_vector(vector[: len(AXES)]),
            strongest if named else NEUTRAL,
            moods[strongest] if named else 1.0,
        )


class InMood(NamedTuple):
    """A direction, its style as the mood changes it, and its tempo."""

    direction: Direction
    style: Style
    tempo: float


def in_moods(vectors: Iterable[np.ndarray]) -> list[InMood]:
    """What each vector describes: of a line one a second, in one call."""
    each = [Direction.of_vector(vector) for vector in vectors]
    return [InMood(direction, direction.style_in_mood, direction.tempo) for direction in each]


_SAME_MOOD = 1e-4  # change of a mood's strength over a line that is none
_MOOD_EASE = 1.0  # deviation in frames by which moods that are keyed abruptly are eased


def split_moods(vectors: np.ndarray, frames: int) -> tuple[list[np.ndarray], np.ndarray]:
    """The directions of which one (`over_frames`) is a cross-fade: each [1 or T, DIRECTION_NAMES]
    with one mood, or none, that keeps its strength over the line; and their shares of each frame
    [k, T].

    One whose moods do not change is itself alone. The diffusion model reads a second of the
    direction around each frame, so that a mood would show before it begins and never fully.
    """
    style = over_frames(vectors, frames)
    moods = np.clip(style[:, len(AXES) :], 0, 1)
    if np.ptp(moods, axis=0).max() < _SAME_MOOD:
        return [style], np.ones((1, len(style)))
    strongest = moods.max(0)
    moods_used = np.flatnonzero(strongest > 0)
    shares = moods[:, moods_used] / strongest[moods_used]
    shares = gaussian(shares / np.maximum(shares.sum(1, keepdims=True), 1), _MOOD_EASE, "nearest")
    styles = np.repeat(style[None], 1 + len(moods_used), 0)
    styles[:, :, len(AXES) :] = 0
    for row, mood in enumerate(moods_used, 1):
        styles[row, :, len(AXES) + mood] = strongest[mood]
    every = np.concatenate([1 - shares.sum(1, keepdims=True), shares], 1).T
    seen = every.max(1) > _SAME_MOOD
    every = np.maximum(every[seen], 0)
    return list(styles[seen]), every / every.sum(0)


def stored_vectors(record: Mapping, values: Any) -> np.ndarray:
    """Directions [T, DIRECTION_NAMES] of numbers in a row, as a take's record has them; moods that
    are files since then are 0, and those that are gone are left out. Raises one of
    `records.UNREADABLE`."""
    numbers = len(record.get("reading", DIRECTION_NAMES))  # which is one direction
    if numbers < len(AXES):
        raise ValueError(f"{numbers} numbers are no direction")
    known = np.array(values, float).reshape(-1, numbers)[:, : len(DIRECTION_NAMES)]
    return np.pad(known, ((0, 0), (0, len(DIRECTION_NAMES) - known.shape[1])))


def check(vectors: np.ndarray) -> None:
    """Raise BadRequest unless these are directions [1 or T, DIRECTION_NAMES] whose numbers a style
    may have."""
    if vectors.ndim != 2 or vectors.shape[1] != len(DIRECTION_NAMES) or not len(vectors):
        raise BadRequest(
            f"A direction has the shape {list(vectors.shape)}, not [1 or frames, "
            f"{len(DIRECTION_NAMES)}]: set it again"
        )
    if not np.isfinite(vectors).all():
        raise BadRequest(
            "The direction holds values that are not numbers: look at the keys of its sliders"
        )
    for axis, by in zip(AXES, vectors.T):
        least = axis.deviations(axis.least) - _ROUNDING
        most = axis.deviations(axis.most) + _ROUNDING
        if by.min() < least or by.max() > most:
            raise BadRequest(
                f"The direction goes beyond what {axis.label} may be, {axis.least:g} to "
                f"{axis.most:g}: move its slider back"
            )
    moods = vectors[:, len(AXES) :]
    if moods.min() < -_ROUNDING or moods.max() > 1 + _ROUNDING:
        raise BadRequest(
            "The direction has a mood whose strength is not within 0 to 1: move its slider back"
        )


def over_frames(vectors: np.ndarray, frames: int) -> np.ndarray:
    """Directions [1 or T, …] for a sound of `frames` frames: one row stays one; several are padded
    with the last or cut.

    A request may miss the sound's length by a frame: it is rounded from samples, and a line may be
    trimmed later.
    """
    if len(vectors) in (1, frames):
        return vectors
    return vectors[np.minimum(np.arange(frames), len(vectors) - 1)]


LONGEST_TRANSCRIPT = 200_000  # letters; nobody says more in an hour
# what a record has in place of an array: its file's path, or its numbers in a row
PutArray = Callable[[np.ndarray], Any]


def check_transcript(text: str) -> str:
    """What a voice says, if it is no longer than anybody speaks. Raises BadRequest."""
    if len(text) > LONGEST_TRANSCRIPT:
        raise BadRequest(
            f"The transcript has {len(text):,} letters: enter only what the voice says"
        )
    return text


@dataclass(frozen=True, eq=False)
class DirectionRequest:
    """The direction of a batch of takes and how far takes may vary from it; by default the panel's
    neutral direction.

    vectors: float32 [1 or T, DIRECTION_NAMES], one direction for the line or one for every frame.
    spread: 0 … 1, variation of takes around it.  exact_first: whether the first take follows it
    exactly, without spread.
    as_heard: float32 [1 or T], share of its strength with which the voice moves `requested`, 0 … 1
    (`performance.follow_voice`).

    Of takes around another take (*More Like This*): original: as vectors, the direction that it was
    sampled in, which scores compare with; None: `vectors`.  like: (seed, spread) of that take,
    after those of the takes that it was sampled around itself. Takes stress their words and differ
    little from them in what is drawn at random; gestures and the side of the head are those of the
    first. Beside a kept part all of that is drawn anew.

    marks: on words of the line, for all takes (`engine.voice`).  text: what the voice says, ""
    if it is not known.  language: of the text (`languages.NAMES`), "": the one that it seems to be
    in.  times: when it is said, None where the voice alone tells.
    manner: of the character, None for none.  manner_strength: float32 [1 or T], 0 … 1.
    """

    vectors: np.ndarray = field(default_factory=lambda: Direction().vector()[None])
    spread: float = SPREAD
    exact_first: bool = True
    original: np.ndarray | None = None
    like: tuple[tuple[int, float], ...] = ()
    as_heard: np.ndarray = field(default_factory=lambda: np.zeros(1, np.float32))
    marks: tuple[Mark, ...] = ()
    text: str = ""
    language: str = ""
    times: Times | None = None
    manner: Manner | None = None
    manner_strength: np.ndarray = field(default_factory=lambda: np.ones(1, np.float32))

    @staticmethod
    def of(
        direction: Direction, spread: float = SPREAD, exact_first: bool = True
    ) -> DirectionRequest:
        """For takes in one direction over the whole line."""
        share = np.array([direction.share(AS_HEARD)], np.float32)
        return DirectionRequest(direction.vector()[None], spread, exact_first, as_heard=share)

    @property
    def mean(self) -> Direction:
        """The mean of the direction over its line."""
        mean, share = Direction.of_vector(self.vectors.mean(0)), float(self.as_heard.mean())
        return (
            replace(mean, mood=AS_HEARD, strength=share) if share and mean.mood == NEUTRAL else mean
        )

    @property
    def requested(self) -> np.ndarray:
        """The direction that scores compare with."""
        return self.vectors if self.original is None else self.original

    def from_frame(self, first: int) -> DirectionRequest:
        """The same for a sound that begins at this frame; negative: before the line, where its
        first direction holds."""

        def rows(vectors: np.ndarray) -> np.ndarray:
            count = len(vectors)
            return (
                vectors
                if count == 1
                else vectors[np.clip(np.arange(first, max(count, first + 1)), 0, count - 1)]
            )

        return replace(
            self,
            vectors=rows(self.vectors),
            original=None if self.original is None else rows(self.original),
            as_heard=rows(self.as_heard),
            marks=tuple(mark.later(-first / FPS) for mark in self.marks),
            times=None if self.times is None else self.times.later(-first / FPS),
            manner_strength=rows(self.manner_strength),
        )

    def to_record(self, put_array: PutArray) -> dict:
        """As the protocol has it, and a take in a .blend; `of_record` reads it. What is not used is
        left out."""
        manner = self.manner
        record = {
            "direction": put_array(self.vectors),
            "spread": self.spread,
            "as_asked": self.exact_first,
            "original": None if self.original is None else put_array(self.original),
            "as_heard": put_array(self.as_heard) if self.as_heard.any() else None,
            "like": [float(value) for pair in self.like for value in pair],
            # a .blend holds no lists in lists
            "marks": json.dumps([mark.row() for mark in self.marks]) if self.marks else "",
            "text": self.text,
            "language": self.language,
            "times": "" if self.times is None else self.times.to_json(),
            "manner": None if manner is None else manner.to_json(),
            "manner_strength": None if manner is None else put_array(self.manner_strength),
        }
        return {name: value for name, value in record.items() if value not in (None, "", [])}

    @staticmethod
    def of_record(
        record: Mapping, get_array: Callable[[Any], Any] = list
    ) -> DirectionRequest | None:
        """The direction in a record, None if it has none. get_array: the inverse of `put_array`.

        Raises BadRequest, or one of `records.UNREADABLE` if the record is damaged.
        """
        if record.get("direction") is None:
            return None

        def rows(name: str) -> np.ndarray:
            stored = record[name]
            array = np.array(get_array(stored), np.float32)
            # a .blend has its numbers in a row
            return (
                array
                if isinstance(stored, str)
                else stored_vectors(record, array).astype(np.float32)
            )

        like = np.array(record.get("like", ()), float).reshape(-1, 2)
        heard = get_array(record["as_heard"]) if "as_heard" in record else np.zeros(1)
        request = DirectionRequest(
            rows("direction"), float(record.get("spread", SPREAD)),
            bool(record.get("as_asked", True)), rows("original") if "original" in record else None,
            tuple((int(seed), by) for seed, by in like.tolist()),
            np.array(heard, np.float32).reshape(-1),
            read_marks(json.loads(record.get("marks", "[]"))),
            check_transcript(record.get("text", "")), str(record.get("language", "")),
            Times.of_json(str(record.get("times", ""))),
        )  # fmt: skip
        if "manner" in record:
            strength = np.array(get_array(record["manner_strength"]), np.float32).reshape(-1)
            request = replace(
                request,
                manner=Manner.from_json(record["manner"]),
                manner_strength=np.clip(np.nan_to_num(strength), 0, 1),
            )
        check(request.vectors)
        check(request.requested)
        return request
