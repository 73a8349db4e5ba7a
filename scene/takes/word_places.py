# SPDX-License-Identifier: GPL-3.0-or-later
"""The words and sounds of voices: found by the engine, kept in the scene in seconds of the
recording, placed where strips play them; and the word at the current frame, with its marks and
takes."""

from __future__ import annotations

import textwrap
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import bpy
import numpy as np

from ...thunder_core import records, spoken, whisper
from ...thunder_core.client import Client
from ...thunder_core.direction import MOVED, SOUND
from ...thunder_core.errors import attempt, BadRequest, Cancelled, ThunderError
from ...thunder_core.progress import map_progress
from ...thunder_core.protocol import KANJI, SOUNDS
from ...thunder_core.spoken import Spoken
from ...thunder_core.timings import Times
from ...thunder_core.translation import plural
from ...thunder_core.types import FPS
from ..engine import connection, recogniser
from ..host import jobs
from ..voice import fingerprint, mixdown, strip
from . import mix, take_list, take_record, transcript
from .direction import sliders

WORD_SECONDS = 0.4  # seconds that count as a word around a frame of a voice without a text
FINDING = "Finding words and sounds"
PHRASE_PAUSE = 0.25  # seconds between words of two phrases
_LETTERS = 40  # of the name of a place
_SAME_SECOND = 1e-3  # seconds


@dataclass(frozen=True)
class WordPlace:
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

    @property
    def name(self) -> str:
        """What a list calls it: the first of its words, or its frames without a text."""
        first, last = self.frames
        return textwrap.shorten(self.text, _LETTERS, placeholder=" …") or f"frames {first}–{last}"

    def around(self, seconds: float) -> tuple[int, int]:
        """The frames with so many seconds on either side."""
        first, last = self.frames
        return first - round(seconds * self.fps), last + round(seconds * self.fps)


@dataclass(frozen=True)
class PlacedText:
    """What a voice says, and where its strip, or file, plays it.

    voice: its name.  origin: scene frame at which its recording begins, trimmed or not.  begin,
    end: the seconds of the recording that play.  marks: start, end (seconds of the recording) and
    sign of each.
    """

    voice: str
    spoken: Spoken
    origin: float
    fps: float
    begin: float
    end: float
    marks: tuple[tuple[float, float, str], ...] = ()

    @classmethod
    def of(
        cls, record: transcript.ThunderTranscript, spoken: Spoken, state: fingerprint.State
    ) -> "PlacedText":
        """The line of a transcript, what it holds, and the strip or file that plays it."""
        return cls(
            record.voice,
            spoken,
            state.origin,
            state.fps,
            *(state.seconds if state.last else (0.0, float("inf"))),
            tuple((mark.start, mark.end, transcript.LABELS[mark.kind][2]) for mark in record.marks),
        )

    def text(self, number: int) -> str:
        """A word as it is written, with the signs of its marks."""
        word = self.spoken.words[number]
        signs = "".join(
            sign for start, end, sign in self.marks if word.start < (start + end) / 2 < word.end
        )
        return f"{word.text} {signs}" if signs else word.text

    def _place(self, text: str, start: float, end: float) -> WordPlace:
        return WordPlace(self.voice, text, start, end, self.origin, self.fps)

    @cached_property
    def words(self) -> list[WordPlace]:
        """The words that play, in time; none without a text."""
        inside = (
            word for word in self.spoken.words if word.end > self.begin and word.start < self.end
        )
        return [self._place(word.text, word.start, word.end) for word in inside]

    def at(self, frame: float) -> WordPlace:
        """The word at a frame, else the last before it, else the first; without a text what is said
        around the frame."""
        now = (frame - self.origin) / self.fps
        if not self.words:
            start = max(self.begin, min(now - WORD_SECONDS / 2, self.end - WORD_SECONDS))
            return self._place("", start, start + WORD_SECONDS)
        begun = [place for place in self.words if place.start <= now + 0.5 / self.fps]
        return begun[-1] if begun else self.words[0]

    def current(self, scene: bpy.types.Scene) -> WordPlace:
        """The word that is looped, else that at the scene's current frame."""
        return self.at(_loop_in(scene)[2] if is_looped(scene) else scene.frame_current)

    def beside(self, place: WordPlace, step: int) -> WordPlace:
        """The word so many words after another one, the first or last where there are no more.
        Raises BadRequest."""
        if not self.words:
            raise BadRequest(
                "Words are known only of a voice with a transcript: enter what it says and press "
                "Find Words"
            )
        return self.words[int(np.clip(self.words.index(place) + step, 0, len(self.words) - 1))]

    def phrase(self, place: WordPlace) -> WordPlace:
        """The words around one of them that no pause separates."""
        phrases: list[list[WordPlace]] = []
        for word in self.words:
            if not phrases or word.start - phrases[-1][-1].end >= PHRASE_PAUSE:
                phrases.append([])
            phrases[-1].append(word)
        for words in phrases:
            if place in words:
                text = " ".join(each.text for each in words)
                return self._place(text, words[0].start, words[-1].end)
        return place

    def sounds(self, place: WordPlace) -> list[tuple[WordPlace, str, float]]:
        """The sounds of a word, each with its class and the probability of that."""
        return [
            (self._place(str(phone), start, end), spoken.name_of(phone), sure)
            for (phone, start, end, *_), sure in zip(self.spoken.sounds, self.spoken.columns[3])
            if end > place.start + _SAME_SECOND and start < place.end - _SAME_SECOND
        ]


def line(context: bpy.types.Context) -> PlacedText:
    """What the current voice says. Raises BadRequest, BadSound."""
    voice = strip.find(context)
    state = voice.state
    record = transcript.of_piece(context.scene, voice.name, state)
    content = (
        None if record is None or record.recording != state.recording else transcript.read(record)
    )
    if content is None:
        raise BadRequest("The words of this voice are not known yet: press Find Words")
    return PlacedText.of(record, content, state)


def current(context: bpy.types.Context) -> WordPlace:
    """The word that is worked on. Raises BadRequest, BadSound."""
    return line(context).current(context.scene)


# property of a scene: preview range of the looped word, its first frame, and of the preview range
# before whether it was used, and its frames
LOOPED = "thunder_looped"


def loop(scene: bpy.types.Scene, place: WordPlace, first: int, last: int) -> None:
    """Play only these frames around a word, which stays the current one meanwhile."""
    before = (
        _loop_in(scene)[3:]
        if is_looped(scene)
        else [int(scene.use_preview_range), scene.frame_preview_start, scene.frame_preview_end]
    )
    scene.use_preview_range = True
    scene.frame_preview_start, scene.frame_preview_end = first, last
    scene[LOOPED] = [scene.frame_preview_start, scene.frame_preview_end, place.frames[0], *before]


def end_loop(scene: bpy.types.Scene) -> None:
    """Give the scene the preview range that it had before a word was looped; the word stays the
    current one."""
    if is_looped(scene):
        at, used, first, last = _loop_in(scene)[2:]
        scene.frame_preview_start, scene.frame_preview_end = first, last
        scene.use_preview_range = bool(used)
        scene.frame_set(at)


def is_looped(scene: bpy.types.Scene) -> bool:
    """Whether the preview range is that of a looped word."""
    played = [scene.frame_preview_start, scene.frame_preview_end]
    return scene.use_preview_range and _loop_in(scene)[:2] == played


def _loop_in(scene) -> list[int]:
    """The six numbers of a scene's record of a loop, [] where it has none or it is damaged."""
    with suppress(*records.UNREADABLE):
        record = [records.frames(each) for each in scene.get(LOOPED, ())]
        return record if len(record) == 6 else []
    return []


# ---- marks


def marks(context: bpy.types.Context, place: WordPlace) -> list:
    """The marks on a word and its sounds, and their places among the transcript's."""
    record = transcript.of(context.scene, place.voice)
    return [
        (index, mark)
        for index, mark in enumerate(record.marks if record is not None else ())
        if place.start - _SAME_SECOND < (mark.start + mark.end) / 2 < place.end + _SAME_SECOND
    ]


def toggle(context: bpy.types.Context, place: WordPlace, kind: str) -> bool:
    """Mark a word, or remove the mark; returns whether it is marked now. A new mark on the whole
    word replaces another."""
    record, numbered = transcript.ensure(context.scene, place.voice), marks(context, place)
    was = any(mark.kind == kind for _, mark in numbered)
    _remove(record, [index for index, mark in numbered if mark.kind in transcript.WORD_KINDS])
    if not was:
        _add(record, place, kind)
    _follow(context)
    return not was


def set_sound(context: bpy.types.Context, place: WordPlace, sound: str) -> None:
    """Have lips make another sound at a sound's place."""
    _replace(context, place, SOUND, True, sound=sound)


def sound_at(context: bpy.types.Context, place: WordPlace) -> str:
    """The sound that lips make instead at a sound's place, "" for the one that was recognised."""
    sounds = (mark for _, mark in marks(context, place) if mark.kind == SOUND)
    return next((mark.sound for mark in sounds if _is_of(mark, place)), "")


def move(context: bpy.types.Context, place: WordPlace, start: float, end: float) -> None:
    """Have lips say a word at another time, in seconds of the recording; at its original time again
    where that is given."""
    is_moved = abs(start - place.start) > _SAME_SECOND or abs(end - place.end) > _SAME_SECOND
    if end - start < 1 / FPS:
        raise BadRequest("A word needs a frame at least: move its edge less")
    _replace(context, place, MOVED, is_moved, to_start=start, to_end=end)


def clear(context: bpy.types.Context, place: WordPlace) -> int:
    """Remove all marks of a word; their number."""
    record, numbered = transcript.ensure(context.scene, place.voice), marks(context, place)
    _remove(record, [index for index, _ in numbered])
    _follow(context)
    return len(numbered)


def _remove(record: transcript.ThunderTranscript, places: list[int]) -> None:
    """Remove the marks at these places, which go up."""
    for index in reversed(places):
        record.marks.remove(index)


def _replace(
    context: bpy.types.Context, place: WordPlace, kind: str, is_wanted: bool, **values: Any
) -> None:
    """Put a mark in the place of one of the same kind on the same stretch."""
    record, numbered = transcript.ensure(context.scene, place.voice), marks(context, place)
    _remove(record, [i for i, mark in numbered if mark.kind == kind and _is_of(mark, place)])
    if is_wanted:
        _add(record, place, kind, **values)
    _follow(context)


def _is_of(mark: transcript.ThunderWordMark, place: WordPlace) -> bool:
    """Whether a mark is of exactly this word or sound."""
    return abs(mark.start - place.start) < _SAME_SECOND and abs(mark.end - place.end) < _SAME_SECOND


def _add(record: transcript.ThunderTranscript, place: WordPlace, kind: str, **values: Any) -> None:
    mark = record.marks.add()
    mark.kind, mark.start, mark.end = kind, place.start, place.end
    for name, value in values.items():
        setattr(mark, name, value)


def _follow(context: bpy.types.Context) -> None:
    """Have the shown take follow, as it follows the sliders."""
    shown = take_list.shown_take(context.scene.thunder)
    rig, _ = attempt(take_list.rig_of, context.scene, shown) if shown is not None else (None, None)
    direction = None if rig is None else sliders.ensure(rig.owner)
    for listener in sliders.listeners if direction is not None else ():
        listener(direction)


# ---- takes on a word


def choices(context: bpy.types.Context) -> tuple[list, object]:
    """The takes to choose a mouth from, and the original among them: the take that the shown one
    was first made from, None for none. The shown one comes first, then the original."""
    entries = take_list.takes_of_voice(context)
    by_name = {entry.name: entry for entry in entries if entry.action is not None}
    first = [take_list.shown_take(context.scene.thunder)]
    while (before := by_name.get(take_record.made_from(first[-1].action))) not in (None, *first):
        first.append(before)
    first = [first[0], *first[:0:-1]]
    return [*dict.fromkeys(first + mix.candidates(context))], next(iter(first[1:]), None)


NOTHING = " "  # what is recognised of a voice that says no words
_MOST_NAMED = 12  # words that a message names


@dataclass(frozen=True)
class FoundWords:
    """What was found in a voice. unheard: words of the text that the voice does not seem to say,
    each with its scene frame.  left_out: what a model recognised where nobody says it, likewise.
    wordless: (seconds, scene frame) of speech without words.  languages: the names of those that
    were recognised.  is_mistimed: whether a file told times at which the voice does not say
    them.  unread: what of the text is not read though it might be, as of the engine's answer."""

    spoken: Spoken
    unheard: tuple[tuple[str, int], ...]
    left_out: tuple[tuple[str, int], ...] = ()
    wordless: tuple[tuple[float, int], ...] = ()
    languages: str = ""
    is_mistimed: bool = False
    unread: str = ""

    @property
    def sentence(self) -> str:
        """The message for the animator."""
        words, sounds = len(self.spoken.words), len(self.spoken.sounds)
        sound = plural(sounds, f"{sounds} sound", f"{sounds} sounds")
        return (
            f"Found {words - len(self.unheard)} of {words} words and {sound}"
            if words
            else f"Found {sound}: enter what the voice says to find its words"
        )

    @property
    def warning(self) -> str:
        """A warning about a text that the voice does not say, "" for none."""
        cases = (
            (
                self.spoken.text and not self.spoken.words,
                "The transcript has no words: enter what the voice says",
            ),
            (
                spoken.is_other_script(self.spoken.text),
                "The letters of this alphabet are not known as sounds: words are placed by their "
                "length, and lips follow the voice alone. Write what is said in Latin letters",
            ),
            (
                self.unread == KANJI,
                "Kanji cannot be read yet: lips follow the kana and the voice. Install Kanji "
                "Reading in the preferences, or write in kana what is said",
            ),
            (
                self.spoken.words and not self.spoken.matches,
                "The voice does not seem to say this transcript: check that it is this "
                "line's, and in the language that is spoken",
            ),
            (
                self.is_mistimed,
                "The voice does not say these words at the file's times: they were found in the "
                "voice. Check that the file is of this recording",
            ),
            (
                self.unread == SOUNDS,
                "The transcript is read letter by letter, as espeak-ng cannot be used here: "
                "install Thunder again, in a folder of a shorter path",
            ),
            (
                self.unheard,
                f"Not heard in the voice: {_named(self.unheard)}. Check the transcript there, and "
                f"write numbers as words",
            ),
        )
        return next((sentence for is_so, sentence in cases if is_so), "")

    @property
    def left_out_in_words(self) -> str:
        """A note on what was left out, "" for nothing."""
        said = f"Left out, as nobody says it: {_named(self.left_out)}" if self.left_out else ""
        bare = ", ".join(f"{length:.0f} s from frame {frame}" for length, frame in self.wordless)
        unread = f"Speech without words: {bare}. Type what is said there" if bare else ""
        return ". ".join(filter(None, (said, unread)))


def _named(words: tuple[tuple[str, int], ...]) -> str:
    named = ", ".join(f"“{word}” near frame {frame}" for word, frame in words[:_MOST_NAMED])
    return f"{named} and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else named


def find(
    client: Client, voice: strip.Voice, text: str | None = None, times: Times | None = None
) -> Generator[jobs.Step, None, FoundWords]:
    """Steps that find the sounds of a voice, and the words of its transcript or of a new text, and
    keep both in the voice's scene. times: of a new text, as a file tells them, in seconds of what
    plays.

    Raises ThunderError; nothing changes before the end.
    """
    scene = bpy.context.scene
    name, record = scene.name, transcript.of(scene, voice.name)
    is_new = text is not None or record is None or record.is_empty
    if is_new and text is None:  # of the strip that it was cut off
        text = transcript.text_of(scene, voice.name, voice.state)
    said = record.text if text is None else text
    language = transcript.language_of(scene, voice.name, voice.state)
    if text is None:
        times = transcript.times_of(scene, voice.name, voice.state)
    with mixdown.sound_for_engine(client, voice) as (sound, mixing):
        yield from mixing
        answer = yield from connection.ask(
            client, "spoken", (0.05, 1.0), FINDING, sound=sound, text=said, language=language,
            times="" if times is None else times.to_json(),
        )  # fmt: skip
    found = _keep(name, voice, answer, said, is_new)
    return replace(found, is_mistimed=times is not None and not found.spoken.timed)


def recognise(
    client: Client, voice: strip.Voice, by: dict[str, Any]
) -> Generator[jobs.Step, None, FoundWords]:
    """Steps that recognise what a voice says, and keep it as its transcript with words and sounds.
    by: `recogniser.arguments`. One that somebody typed is never replaced. Raises ThunderError;
    nothing changes before the end."""
    name = bpy.context.scene.name
    _check_not_typed(bpy.context.scene, voice)
    with mixdown.sound_for_engine(client, voice) as (sound, mixing):
        yield from mixing
        answer = yield from connection.ask(
            client, "recognise", (0.05, 1.0), "Recognizing words", sound=sound, **by
        )
    if (scene := bpy.data.scenes.get(name)) is not None:
        _check_not_typed(scene, voice)
    found = _keep(name, voice, answer, answer["text"], True)
    record = transcript.of(bpy.data.scenes[name], voice.name)
    # as the field has it
    record.recognised, record.language = record.text or NOTHING, ", ".join(answer["languages"])
    return replace(found, languages=whisper.names_of(record.language))


def _check_not_typed(scene: bpy.types.Scene, voice: strip.Voice) -> None:
    record = transcript.of(scene, voice.name)
    if record is not None and record.is_typed:
        raise BadRequest(
            f"The transcript of “{voice.name}” was typed and stays: empty it to recognize the words"
        )


def is_to_recognise(scene: bpy.types.Scene, voice: strip.Voice, by: dict[str, str] | None) -> bool:
    """Whether the words of a voice are recognised before its takes are sampled: where the scene
    says so, a model is there, and they are not known. by: as of `How`."""
    if by is not None:
        return bool(by)
    state = voice.state
    record = transcript.of_piece(scene, voice.name, state)
    is_known = record is not None and (
        record.is_typed or (record.recording == state.recording and record.recognised)
    )
    is_wanted = scene.thunder.recognise_words and recogniser.model()
    return bool(is_wanted and not is_known and not attempt(recogniser.python)[1])


def recognise_before(
    client: Client, voice: strip.Voice, by: dict[str, str] | None, said: list[str]
) -> Generator[jobs.Step, None, None]:
    """Steps that recognise the words of a voice before its takes are sampled (`is_to_recognise`).
    What is left out of them is a note, which `said` receives too; so is why it failed unless `by`
    is given, and takes are made without."""
    try:
        found = yield from recognise(client, voice, by or recogniser.arguments())
        sentence = found.left_out_in_words
    except Cancelled:
        raise
    except ThunderError as error:
        if by is not None:
            raise
        sentence = f"Takes are made without words. {error}"
    if sentence:
        said.append(sentence)
        yield jobs.Step(1.0, "Recognizing words", note=sentence)


def _keep(name: str, voice: strip.Voice, answer: dict, said: str, is_new: bool) -> FoundWords:
    """Keep the engine's answer on a voice that says this text in the scene of that name; is_new: as
    its transcript too. Raises BadRequest."""
    scene = bpy.data.scenes.get(name)  # the animator has continued working meanwhile
    strips_scene, state = bpy.data.scenes.get(voice.scene), voice.state
    if scene is None or (voice.strip and strip.by_name(strips_scene, voice.strip) is None):
        raise BadRequest(f"The voice “{voice.name}” was removed meanwhile: choose another")
    begin = state.seconds[0] if state.last else 0.0
    packed = spoken.pack(answer, begin, said)
    record = transcript.ensure(scene, voice.name)
    if is_new:
        record.text = said
    _store(record, packed, state.recording)
    content = transcript.read(record)

    def frame(seconds: float) -> int:
        return round(state.origin + seconds * state.fps)

    return FoundWords(
        content,
        tuple((word.text, frame(word.start)) for word in content.words if not word.is_found),
        tuple((text, frame(begin + start)) for text, start, *_ in answer.get("left_out", ())),
        tuple((end - start, frame(begin + start)) for start, end in answer.get("wordless", ())),
        unread=answer.get("unread", ""),
    )


def _store(record: transcript.ThunderTranscript, packed: str, recording: str) -> None:
    record.spoken, record.recording = packed, recording
    record.version = sha256(packed.encode()).hexdigest()[:16]


def share_words(scene: bpy.types.Scene, voice: str, pieces: list[fingerprint.State]) -> None:
    """Give each piece of a voice that was cut its words of the transcript, and these alone, with
    their marks."""
    record = transcript.of(scene, voice)
    content, text, language = transcript.read(record), record.text, record.language
    is_recognised = record.is_recognised
    for piece, words in [(piece, transcript.words_in(record, piece)) for piece in pieces]:
        record = transcript.ensure(scene, piece.strip)
        record.text = spoken.slice_text(text, *words)
        record.recognised, record.language = record.text if is_recognised else "", language
        part = "" if content is None else spoken.pack_part(content, *words, record.text)
        _store(record, part, piece.recording)
        if piece.strip != voice:
            _move_marks(transcript.of(scene, voice), record, *piece.seconds)


def _move_marks(
    whole: transcript.ThunderTranscript,
    record: transcript.ThunderTranscript,
    begin: float,
    end: float,
) -> None:
    """Move the marks between two times of the recording to the transcript of a piece, where they
    are shown and removed from then on."""
    for index in reversed(range(len(whole.marks))):
        mark = whole.marks[index]
        if begin <= (mark.start + mark.end) / 2 < end:
            new = record.marks.add()
            for name in transcript.ThunderWordMark.__annotations__:
                setattr(new, name, getattr(mark, name))
            whole.marks.remove(index)


def share_with_piece(scene: bpy.types.Scene, voice: strip.Voice) -> None:
    """Give a voice its words of the strip that it was cut off, if it has none of its own, with all
    that it plays, also outside the preview range."""
    whole = transcript.whole_of(scene, voice)
    if whole:
        strips_scene = bpy.data.scenes[voice.scene]
        piece = fingerprint.of_strip(strips_scene, strip.by_name(strips_scene, voice.strip))
        share_words(scene, whole, [piece])


def find_if_unknown(client: Client, voice: strip.Voice) -> Generator[jobs.Step, None, None]:
    """Steps that find the words and sounds of a voice after its takes, if they are not known yet;
    what cannot be found is left to Find Words."""
    with suppress(ThunderError):
        if not is_known(bpy.context.scene, voice):
            # named so from its first step on, which mixes the voice down: takes are there by then
            yield from map_progress(
                find(client, voice), lambda step: replace(step, fraction=1.0, message=FINDING)
            )


def is_known(scene: bpy.types.Scene, voice: strip.Voice) -> bool:
    """Whether the words and sounds of all that plays of a voice are known, for its present
    transcript."""
    record = transcript.of_piece(scene, voice.name, voice.state)
    if record is None or record.recording != voice.state.recording:
        return False
    return transcript.is_found(record)


def lines(scene: bpy.types.Scene, strips_scene: bpy.types.Scene) -> Iterator[PlacedText]:
    """Everything in a scene, and in the one whose sequencer is shown with it, that plays a
    recording whose words and sounds are known: voices of which they are known first, then others
    that play the same recording."""
    records = [record for record in scene.thunder_transcripts if record.version]
    if not records:
        return
    known = {record.recording: record for record in records}
    own = {(record.voice, record.recording): record for record in records}
    plays = [
        (speaking.name, fingerprint.of_strip(each, speaking))
        for each in {scene, strips_scene}
        for speaking in strip.sound_strips(each)
    ]
    if scene.thunder.source == "FILE":
        voice, _ = attempt(strip.of_file, scene, scene.thunder.sound_file)
        plays += [(voice.name, voice.state)] if voice is not None else []
    for name, state in sorted(plays, key=lambda play: (play[0], play[1].recording) not in own):
        record = own.get((name, state.recording), known.get(state.recording))
        if record is not None and (content := transcript.read(record)) is not None:
            yield PlacedText.of(record, content, state)
