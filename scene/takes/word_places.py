# SPDX-License-Identifier: GPL-3.0-or-later
"""The word at the current frame: where it plays, what the voice may say there, its marks, and the
mouths of takes on it."""

from dataclasses import dataclass
from functools import cached_property

import bpy
import numpy as np

from ...thunder_core.errors import attempt, BadRequest
from ...thunder_core.marks import MOVED, SOUND
from ...thunder_core.spoken import CLEAR, Spoken
from ...thunder_core.types import FPS
from ..host.session import session
from ..voice import fingerprint, strip
from . import provenance, take_list, transcript, words
from .direction import sliders
from .direction.word_marks import WORD_KINDS
from .thumbnails import Previews

WORD_SECONDS = 0.4  # seconds that count as a word around a frame of a voice without a text
PHRASE_PAUSE = 0.25  # seconds between words of two phrases
_NEAR = 1e-3  # seconds
SIZE = 32  # height of a picture of mouths, pixels
MOUTHS = 6  # mouths in a picture
_WIDE_MM, _OPEN_MM = 60.0, 24.0  # width and opening that fill a mouth's square
_LIPS, _INSIDE, _BACKGROUND = (0.86, 0.44, 0.42), (0.17, 0.05, 0.06), (0.09, 0.10, 0.12)


@dataclass(frozen=True)
class Place:
    """A word or sound of a voice, in seconds of its recording.

    voice: name of its voice.  origin: scene frame at which the recording begins.
    """

    voice: str
    text: str
    start: float
    end: float
    origin: float
    fps: float

    @property
    def frames(self) -> tuple[int, int]:
        """First and last scene frame."""
        first = round(self.origin + self.start * self.fps)
        return first, max(first, round(self.origin + self.end * self.fps) - 1)

    def around(self, seconds: float) -> tuple[int, int]:
        """The same with so many seconds on either side."""
        first, last = self.frames
        return first - round(seconds * self.fps), last + round(seconds * self.fps)


@dataclass(frozen=True, eq=False)
class Line:
    """What the current voice says, and where its strip plays it.

    voice: its name.  origin: scene frame at which its recording begins.  begin, end: the seconds of
    the recording that play.
    """

    voice: str
    spoken: Spoken
    origin: float
    fps: float
    begin: float
    end: float

    def _place(self, text: str, start: float, end: float) -> Place:
        return Place(self.voice, text, start, end, self.origin, self.fps)

    @cached_property
    def words(self) -> list[Place]:
        """The words that play, in time; none without a text."""
        inside = (
            word for word in self.spoken.words if word.end > self.begin and word.start < self.end
        )
        return [self._place(word.text, word.start, word.end) for word in inside]

    def at(self, frame: float) -> Place:
        """The word at a frame, else the last before it, else the first; without a text what is said
        around the frame."""
        now = (frame - self.origin) / self.fps
        if not self.words:
            least = self.begin + WORD_SECONDS / 2
            middle = float(
                np.clip(
                    now, least, max(least, min(self.end, now + WORD_SECONDS) - WORD_SECONDS / 2)
                )
            )
            return self._place("", middle - WORD_SECONDS / 2, middle + WORD_SECONDS / 2)
        begun = [place for place in self.words if place.start <= now + 0.5 / self.fps]
        return begun[-1] if begun else self.words[0]

    def current(self, scene) -> Place:
        """The word that is looped, else that at the scene's current frame."""
        return self.at(scene[LOOPED][2] if is_looped(scene) else scene.frame_current)

    def beside(self, place: Place, step: int) -> Place:
        """The word so many words after another one, the first or last where there are no more.
        Raises BadRequest."""
        if not self.words:
            raise BadRequest(
                "Words are known only of a voice with a transcript: enter what it says and press "
                "Find Words"
            )
        return self.words[int(np.clip(self.words.index(place) + step, 0, len(self.words) - 1))]

    def phrase(self, place: Place) -> Place:
        """The words around one of them that no pause separates."""
        if not self.words:
            return place
        first = last = self.words.index(place)
        while first and self.words[first].start - self.words[first - 1].end < PHRASE_PAUSE:
            first -= 1
        while (
            last + 1 < len(self.words)
            and self.words[last + 1].start - self.words[last].end < PHRASE_PAUSE
        ):
            last += 1
        text = " ".join(each.text for each in self.words[first : last + 1])
        return self._place(text, self.words[first].start, self.words[last].end)

    def sounds(self, place: Place) -> list[tuple[Place, list[tuple[str, float]]]]:
        """The sounds of a word, each with the classes that it may be of and their probabilities."""
        return [
            (self._place(str(phone), start, end), self.spoken.chances(number))
            for number, (phone, start, end, *_) in enumerate(self.spoken.sounds)
            if end > place.start + _NEAR and start < place.end - _NEAR
        ]

    def is_clear(self, place: Place) -> bool:
        """Whether every sound of a word was recognised for certain, so that takes hear the same."""
        return all(chances[0][1] >= CLEAR for _, chances in self.sounds(place))


def line(context) -> Line:
    """What the current voice says. Raises BadRequest, BadSound."""
    voice = strip.find(context)
    state = fingerprint.of_voice(bpy.data.scenes.get(voice.scene), voice)
    record = transcript.of(context.scene, voice.name)
    content = (
        None
        if record is None or state is None or record.recording != state.recording
        else words.read(record)
    )
    if content is None:
        raise BadRequest("The words of this voice are not known yet: press Find Words")
    return Line(
        voice.name,
        content,
        state.origin,
        state.fps,
        *(state.seconds if state.last else (0.0, float("inf"))),
    )


def current(context) -> Place:
    """The word that is worked on. Raises BadRequest, BadSound."""
    return line(context).current(context.scene)


# property of a scene: preview range of the looped word, and its first frame
LOOPED = "thunder_looped"


def remember_loop(scene, place: Place) -> None:
    """Keep a word the current one while the preview range is played again and again."""
    scene[LOOPED] = [scene.frame_preview_start, scene.frame_preview_end, place.frames[0]]


def is_looped(scene) -> bool:
    """Whether the preview range is that of a looped word."""
    record = list(scene.get(LOOPED, ()))
    return (
        scene.use_preview_range
        and len(record) == 3
        and record[:2] == [scene.frame_preview_start, scene.frame_preview_end]
    )


# ---- marks


def marks(context, place: Place) -> list:
    """The marks on a word and its sounds, and their places among the transcript's."""
    record = transcript.of(context.scene, place.voice)
    numbered = enumerate(record.marks if record is not None else ())
    return [
        (index, mark)
        for index, mark in numbered
        if place.start - _NEAR < (mark.start + mark.end) / 2 < place.end + _NEAR
    ]


def toggle(context, place: Place, kind: str) -> bool:
    """Mark a word, or remove the mark; returns whether it is marked now. A new mark on the whole
    word replaces another."""
    record, numbered = transcript.ensure(context.scene, place.voice), marks(context, place)
    was = any(mark.kind == kind for _, mark in numbered)
    for index, mark in reversed(numbered):
        if mark.kind in WORD_KINDS:
            record.marks.remove(index)
    if not was:
        _add(record, place, kind)
    _follow(context)
    return not was


def set_sound(context, place: Place, sound: str) -> None:
    """Have lips make another sound at a sound's place."""
    _replace(context, place, SOUND, True, sound=sound)


def sound_at(context, place: Place) -> str:
    """The sound that lips make instead at a sound's place, "" for the one that was recognised."""
    return next(
        (
            mark.sound
            for _, mark in marks(context, place)
            if mark.kind == SOUND and _is_of(mark, place)
        ),
        "",
    )


def move(context, place: Place, start: float, end: float) -> None:
    """Have lips say a word at another time, in seconds of the recording; at its original time again
    where that is given."""
    is_moved = abs(start - place.start) > _NEAR or abs(end - place.end) > _NEAR
    if end - start < 1 / FPS:
        raise BadRequest("A word needs a frame at least: move its edge less")
    _replace(context, place, MOVED, is_moved, to_start=start, to_end=end)


def clear(context, place: Place) -> int:
    """Remove all marks of a word; their number."""
    record, numbered = transcript.ensure(context.scene, place.voice), marks(context, place)
    for index, _ in reversed(numbered):
        record.marks.remove(index)
    _follow(context)
    return len(numbered)


def _replace(context, place: Place, kind: str, is_wanted: bool, **values) -> None:
    """Put a mark in the place of one of the same kind on the same stretch."""
    record = transcript.ensure(context.scene, place.voice)
    for index, mark in reversed(marks(context, place)):
        if mark.kind == kind and _is_of(mark, place):
            record.marks.remove(index)
    if is_wanted:
        _add(record, place, kind, **values)
    _follow(context)


def _is_of(mark, place: Place) -> bool:
    """Whether a mark is of exactly this word or sound."""
    return abs(mark.start - place.start) < _NEAR and abs(mark.end - place.end) < _NEAR


def _add(record, place: Place, kind: str, **values) -> None:
    mark = record.marks.add()
    mark.kind, mark.start, mark.end = kind, place.start, place.end
    for name, value in values.items():
        setattr(mark, name, value)


def _follow(context) -> None:
    """Have the shown take follow, as it follows the sliders."""
    shown = take_list.shown_take(context.scene.thunder)
    rig, _ = attempt(take_list.rig_of, context.scene, shown) if shown is not None else (None, None)
    direction = None if rig is None else sliders.ensure(rig.owner)
    for listener in sliders.listeners if direction is not None else ():
        listener(direction)


# ---- the mouths of takes on a word


class _Mouths(Previews):
    """Drawn mouths. icons: (session id of a take's action, its score, start and end of a word) →
    icons."""

    def __init__(self):
        super().__init__()
        self.icons: dict[tuple, tuple[int, ...]] = {}

    def file_opened(self) -> None:
        super().file_opened()
        self.icons.clear()


_mouths = session.add(_Mouths())
_MOST_KEPT = 200  # words of takes whose mouths are kept


def icons(entry, place: Place) -> tuple[int, ...]:
    """Icons of a take's mouth over a word from left to right; none of a take that does not store
    its performance."""
    key = (
        entry.action.session_uid,
        round(entry.score, 3),
        round(place.start, 3),
        round(place.end, 3),
    )
    if key not in _mouths.icons:
        performance, clock = provenance.load(entry.action), provenance.clock_of(entry.action)
        if performance is None or clock is None:
            return ()
        if len(_mouths.icons) > _MOST_KEPT:
            _mouths.file_opened()
        first, last = (float(clock.seconds(frame)) * FPS for frame in place.frames)
        rows = (
            np.linspace(first, last, MOUTHS)
            .round()
            .astype(int)
            .clip(0, len(performance.opening) - 1)
        )
        pictures = (
            mouth(float(performance.width[row]), float(performance.opening[row])) for row in rows
        )
        _mouths.icons[key] = tuple(
            _mouths.icon(f"{key} {number}", image) for number, image in enumerate(pictures)
        )
    return _mouths.icons[key]


def mouth(width: float, opening: float) -> np.ndarray:
    """A picture [SIZE, SIZE, 4] of lips so wide and so far apart, millimetres."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2) / (SIZE / 2)
    wide, high = np.clip(width / _WIDE_MM, 0.35, 0.97), np.clip(opening, 0.0, _OPEN_MM) / _OPEN_MM
    lips, inside = (
        (x / across) ** 2 + (y / up) ** 2 < 1
        for across, up in ((wide, high + 0.2), (0.88 * wide, max(high, 0.04)))
    )
    image = np.ones((SIZE, SIZE, 4), np.float32)
    for where, colour in ((np.ones_like(lips), _BACKGROUND), (lips, _LIPS), (inside, _INSIDE)):
        image[where, :3] = colour
    return image
