# SPDX-License-Identifier: GPL-3.0-or-later
"""The word at the current frame: where it plays, what the voice may say there, its marks, and the mouths of takes on it."""

from dataclasses import dataclass

import bpy
import bpy.utils.previews
import numpy as np

from ...thunder_core.errors import attempt, BadRequest
from ...thunder_core.marks import MOVED, SOUND
from ...thunder_core.spoken import CLEAR, Spoken
from ...thunder_core.types import FPS
from ..host.session import Part, session
from ..voice import fingerprint, strip
from . import provenance, take_list, transcript, words
from .direction import sliders
from .direction.word_marks import WORD_KINDS

ALONE = 0.4  # seconds that count as a word around a frame of a voice without a text
PAUSE = 0.25  # seconds between words of two phrases
_NEAR = 1e-3  # seconds
SIZE, MOUTHS = 32, 6  # height of a picture of mouths, pixels, and mouths in it
_WIDE_MM, _OPEN_MM = 60.0, 24.0  # width and opening that fill a mouth's square
_LIPS, _INSIDE, _GROUND = (0.86, 0.44, 0.42), (0.17, 0.05, 0.06), (0.09, 0.10, 0.12)


@dataclass(frozen=True)
class Place:
    """A word or sound of a voice, in seconds of its recording.

    voice: name of its voice.  origin: scene frame at which the recording begins.  number: among the recording's words, −1 without a text.
    """

    voice: str
    text: str
    start: float
    end: float
    origin: float
    fps: float
    number: int = -1

    @property
    def frames(self) -> tuple[int, int]:
        """First and last scene frame."""
        first = round(self.origin + self.start * self.fps)
        return first, max(first, round(self.origin + self.end * self.fps) - 1)

    def around(self, seconds: float) -> tuple[int, int]:
        """The same with so many seconds on either side."""
        first, last = self.frames
        return first - round(seconds * self.fps), last + round(seconds * self.fps)


def _known(context) -> tuple[strip.Voice, fingerprint.State, Spoken]:
    """The current voice, its state, and what it says. Raises BadRequest, BadSound."""
    voice = strip.find(context)
    state = fingerprint.of_voice(bpy.data.scenes.get(voice.scene), voice)
    record = transcript.of(context.scene, voice.name)
    found = None if record is None or state is None or record.recording != state.recording else words.read(record)
    if found is None:
        raise BadRequest("The words of this voice are not known yet: press Find Words")
    return voice, state, found


def places(context) -> list[Place]:
    """The words of the current voice that play, in time; none without a text. Raises BadRequest, BadSound."""
    voice, state, found = _known(context)
    begin, end = state.seconds if state.last else (0.0, float("inf"))
    return [
        Place(voice.name, word.text, word.start, word.end, state.origin, state.fps, number)
        for number, word in enumerate(found.words)
        if word.end > begin and word.start < end
    ]


def current(context) -> Place:
    """The word that is looped, else that at the current frame, the last before it, or the first; without a text what is said around it.

    Raises BadRequest, BadSound.
    """
    voice, state, _ = _known(context)
    frame = context.scene[LOOPED][2] if is_looped(context.scene) else context.scene.frame_current
    now, there = (frame - state.origin) / state.fps, places(context)
    if not there:
        begin, end = state.seconds if state.last else (0.0, now + ALONE)
        middle = float(np.clip(now, begin + ALONE / 2, max(begin + ALONE / 2, end - ALONE / 2)))
        return Place(voice.name, "", middle - ALONE / 2, middle + ALONE / 2, state.origin, state.fps)
    begun = [place for place in there if place.start <= now + 0.5 / state.fps]
    return begun[-1] if begun else there[0]


def beside(context, step: int) -> Place:
    """The word so many words after the current one, the first or last where there are no more. Raises BadRequest, BadSound."""
    there, here = places(context), current(context)
    if not there:
        raise BadRequest("Words are known only of a voice with a transcript: enter what it says and press Find Words")
    return there[int(np.clip(there.index(here) + step, 0, len(there) - 1))]


def phrase(context) -> Place:
    """The words around the current one that no pause separates. Raises BadRequest, BadSound."""
    there, here = places(context), current(context)
    if not there:
        return here
    first = last = there.index(here)
    while first and there[first].start - there[first - 1].end < PAUSE:
        first -= 1
    while last + 1 < len(there) and there[last + 1].start - there[last].end < PAUSE:
        last += 1
    text = " ".join(place.text for place in there[first : last + 1])
    return Place(here.voice, text, there[first].start, there[last].end, here.origin, here.fps)


def sounds(context, place: Place) -> list[tuple[Place, list[tuple[str, float]]]]:
    """The sounds of a word, each with the classes that it may be of and their probabilities. Raises BadRequest, BadSound."""
    _, _, found = _known(context)
    inside = [(number, each) for number, each in enumerate(found.sounds) if each[2] > place.start + _NEAR and each[1] < place.end - _NEAR]
    return [(Place(place.voice, str(each[0]), each[1], each[2], place.origin, place.fps), found.chances(number)) for number, each in inside]


def is_clear(context, place: Place) -> bool:
    """Whether every sound of a word was recognised for certain, so that takes hear the same. Raises BadRequest, BadSound."""
    return all(chances[0][1] >= CLEAR for _, chances in sounds(context, place))


LOOPED = "thunder_looped"  # property of a scene: preview range of the looped word, and its first frame


def hold(scene, place: Place) -> None:
    """Keep a word the current one while the preview range is played again and again."""
    scene[LOOPED] = [scene.frame_preview_start, scene.frame_preview_end, place.frames[0]]


def is_looped(scene) -> bool:
    """Whether the preview range is that of a looped word."""
    held = list(scene.get(LOOPED, ()))
    return scene.use_preview_range and len(held) == 3 and held[:2] == [scene.frame_preview_start, scene.frame_preview_end]


# ---- marks


def marks(context, place: Place) -> list:
    """The marks on a word and its sounds, and their places among the transcript's. Raises BadRequest, BadSound."""
    record = transcript.of(context.scene, place.voice)
    there = enumerate(record.marks if record is not None else ())
    return [(index, mark) for index, mark in there if place.start - _NEAR < (mark.start + mark.end) / 2 < place.end + _NEAR]


def toggle(context, place: Place, kind: str) -> bool:
    """Mark a word, or take the mark off again; whether it is marked now. Of marks on the whole word only one holds."""
    record, there = transcript.ensure(context.scene, place.voice), marks(context, place)
    was = any(mark.kind == kind for _, mark in there)
    for index, mark in reversed(there):
        if mark.kind in WORD_KINDS:
            record.marks.remove(index)
    if not was:
        _add(record, place, kind)
    _follow(context)
    return not was


def set_sound(context, place: Place, sound: str) -> None:
    """Have lips make another sound at a sound's place; "" for the one that was recognised."""
    _replace(context, place, SOUND, bool(sound), sound=sound)


def move(context, place: Place, start: float, end: float) -> None:
    """Have lips say a word at another time, in seconds of the recording; at its own time again where that is given."""
    is_moved = abs(start - place.start) > _NEAR or abs(end - place.end) > _NEAR
    if end - start < 1 / FPS:
        raise BadRequest("A word needs a frame at least: move its edge less")
    _replace(context, place, MOVED, is_moved, to_start=start, to_end=end)


def clear(context, place: Place) -> int:
    """Remove all marks of a word; their number."""
    record, there = transcript.ensure(context.scene, place.voice), marks(context, place)
    for index, _ in reversed(there):
        record.marks.remove(index)
    _follow(context)
    return len(there)


def _replace(context, place: Place, kind: str, is_wanted: bool, **values) -> None:
    """Put a mark in the place of one of the same kind on the same stretch."""
    record = transcript.ensure(context.scene, place.voice)
    for index, mark in reversed(marks(context, place)):
        if mark.kind == kind and abs(mark.start - place.start) < _NEAR and abs(mark.end - place.end) < _NEAR:
            record.marks.remove(index)
    if is_wanted:
        _add(record, place, kind, **values)
    _follow(context)


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


class _Mouths(Part):
    """Drawn pictures of mouths: (session id of a take's action, when it was made, frames) → icon."""

    def __init__(self):
        self.icons: dict[tuple, int] = {}
        self.collection = None

    def file_opened(self) -> None:
        self.icons.clear()
        if self.collection is not None:
            bpy.utils.previews.remove(self.collection)
            self.collection = None


_mouths = session.add(_Mouths())
_MOST = 200  # pictures that are kept


def icons(entry, place: Place) -> tuple[int, ...]:
    """Icons of a take's mouth over a word from left to right; none of a take that does not store its performance."""
    key = (entry.action.session_uid, round(entry.score, 3), round(place.start, 3), round(place.end, 3))
    if (*key, 0) not in _mouths.icons:
        made = provenance.load(entry.action)
        clock = provenance.clock_of(entry.action)
        if made is None or clock is None or made.width is None:
            return ()
        if len(_mouths.icons) > _MOST * MOUTHS:
            _mouths.file_opened()
        if _mouths.collection is None:
            _mouths.collection = bpy.utils.previews.new()
        first, last = place.frames
        at = np.interp(np.linspace(0, 1, MOUTHS), (0, 1), [float(clock.seconds(frame)) * FPS for frame in (first, last)])
        rows = at.round().astype(int).clip(0, len(made.opening) - 1)
        for number, row in enumerate(rows.tolist()):
            name = ".".join(map(str, (*key, number)))
            preview = _mouths.collection.get(name) or _mouths.collection.new(name)
            preview.icon_size = (SIZE, SIZE)
            preview.icon_pixels_float.foreach_set(mouth(float(made.width[row]), float(made.opening[row])).ravel())
            _mouths.icons[*key, number] = preview.icon_id
    return tuple(_mouths.icons[*key, number] for number in range(MOUTHS))


def mouth(width: float, opening: float) -> np.ndarray:
    """A picture [SIZE, SIZE, 4] of lips so wide and so far apart, millimetres."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2) / (SIZE / 2)
    wide, high = np.clip(width / _WIDE_MM, 0.35, 0.97), np.clip(opening, 0.0, _OPEN_MM) / _OPEN_MM
    lips, inside = ((x / across) ** 2 + (y / up) ** 2 < 1 for across, up in ((wide, high + 0.2), (0.88 * wide, max(high, 0.04))))
    image = np.ones((SIZE, SIZE, 4), np.float32)
    for where, colour in ((np.ones_like(lips), _GROUND), (lips, _LIPS), (inside, _INSIDE)):
        image[where, :3] = colour
    return image
