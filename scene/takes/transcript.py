# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scene knows of a voice's words, as its takes get it: the transcript, and marks on words
(`thunder_core/direction.py`)."""

from __future__ import annotations

from dataclasses import replace
from typing import cast, TYPE_CHECKING

import bpy

from ...thunder_core import languages, spoken, subtitles, timings
from ...thunder_core.direction import (
    CLOSED,
    DirectionRequest,
    HELD,
    Mark,
    Marking,
    MOVED,
    OPEN,
    SOUND,
    STRESSED,
    THROWN_AWAY,
)
from ..animation import keying
from ..host import compat, jobs
from ..host.language import translated
from ..host.prop import Collection, CollectionProperty, EnumProperty, FloatProperty, StringProperty
from ..voice import changes, fingerprint, strip

if TYPE_CHECKING:
    from ..properties.settings import ThunderScene


# kind → label, tooltip, and its sign beside the word on the track
LABELS: dict[str, tuple[str, str, str]] = {
    STRESSED: ("Stressed", "Lips, brows and head do more on this word", "▲"),
    THROWN_AWAY: ("Thrown Away", "Lips, brows and head do less on this word", "▼"),
    HELD: ("Held", "The mouth stays in the word's vowel until its end", "▬"),
    CLOSED: ("Closed", "Lips stay shut on this word", "●"),
    OPEN: ("Open", "Lips open wide on this word and do not meet", "○"),
    MOVED: ("Moved", "Lips say this word earlier, later, or at another speed", "↔"),
    SOUND: ("Sound", "Lips make another sound than the one that was recognized", "="),
}
AUTOMATIC = "AUTO"  # language of transcripts
WORD_KINDS = (STRESSED, THROWN_AWAY, HELD, CLOSED, OPEN)


class ThunderWordMark(bpy.types.PropertyGroup):
    """A mark on a word of a recording, in seconds of it."""

    kind: str = EnumProperty(
        name="Mark",
        items=[(kind, *texts[:2]) for kind, texts in LABELS.items()],
        description="Mark on the word",
    )
    start: float = FloatProperty(
        name="Start", description="Where the word begins in the recording, seconds"
    )
    end: float = FloatProperty(
        name="End", description="Where the word ends in the recording, seconds"
    )
    sound: str = StringProperty(name="Sound", description="The sound that lips make instead")
    to_start: float = FloatProperty(
        name="New Start", description="When lips begin the word, seconds"
    )
    to_end: float = FloatProperty(name="New End", description="When lips end the word, seconds")

    @property
    def mark(self) -> Mark:
        """The same, in seconds of the recording."""
        return Mark(
            cast(Marking, self.kind),
            self.start,
            self.end,
            self.sound,
            (self.to_start, self.to_end) if self.kind == MOVED else None,
        )


def of(scene: bpy.types.Scene, voice: str):
    """The transcript of a voice, None if it has none."""
    return next((each for each in scene.thunder_transcripts if each.voice == voice), None)


def of_piece(scene: bpy.types.Scene, voice: str, state: fingerprint.State | None):
    """The transcript of a voice; without one of its own that of the strip that it was cut off,
    if that has words that it plays. None if nothing tells its words. state: what plays."""
    own = of(scene, voice)
    if state is None or (own is not None and not own.is_empty):
        return own
    strips = {each.name: each for each in strip.sound_strips(scene)}
    one = strips.pop(voice, None)
    for record in scene.thunder_transcripts if one is not None else ():
        whole = strips.get(record.voice)
        if (
            whole is not None
            and changes.is_cut_off(scene, one, whole)
            and any(words_in(record, state))
        ):
            return record
    return own


def whole_of(scene: bpy.types.Scene, voice: strip.Voice) -> str:
    """Name of the strip that a voice was cut off, whose words are used for it as it has none of its
    own; "" for none."""
    record = of_piece(scene, voice.name, voice.state)
    return "" if record is None or record.voice == voice.name else record.voice


def add_words(
    direction: DirectionRequest, scene: bpy.types.Scene, voice: strip.Voice
) -> DirectionRequest:
    """A request with the transcript of a voice, its times where a file told them, and the marks on
    its words."""
    text = text_of(scene, voice.name, voice.state)
    language = language_of(scene, voice.name, voice.state) if text else ""
    times = times_of(scene, voice.name, voice.state) if text else None
    return replace(
        direction, marks=of_line(scene, voice), text=text, language=language, times=times
    )


def language_of(scene: bpy.types.Scene, voice: str, state: fingerprint.State | None = None) -> str:
    """The language of a voice's transcript: the chosen one, or that in which it was recognised;
    "" where its words tell."""
    if scene.thunder.language != AUTOMATIC:
        return scene.thunder.language.lower()
    record = of_piece(scene, voice, state)
    is_heard = record is not None and record.is_recognised and "," not in record.language
    return record.language if is_heard else ""


def text_of(scene: bpy.types.Scene, voice: str, state: fingerprint.State | None = None) -> str:
    """What takes of a voice are made with: its transcript, "" for none, and for a recognised one
    where these are switched off. state: what plays, of whose words alone it is where it is known
    when they are said; None: the whole transcript."""
    record = of_piece(scene, voice, state)
    if record is None or (record.is_recognised and not scene.thunder.recognise_words):
        return ""
    text = record.text.strip()
    # a text that was typed since its words were found may be of what plays now
    if state is None or not state.last or (record.voice == voice and not is_found(record)):
        return text
    key = record.version, text, state.recording, state.seconds
    if key not in _read.known:
        words = words_in(record, state)
        _read.known[key] = spoken.slice_text(text, *words) if any(words) else text
    return _read.known[key]


def times_of(scene: bpy.types.Scene, voice: str, state: fingerprint.State) -> timings.Times | None:
    """When the words of a transcript are said in what a voice plays, in seconds of that, where a
    file told it and its text was not changed since; else None."""
    record = of_piece(scene, voice, state)
    content = read(record) if record is not None else None
    if content is None or not content.timed or not is_found(record):
        return None
    if record.recording != state.recording:
        return None
    begin, end = state.seconds if state.last else (0.0, float("inf"))
    first, behind = words_in(record, state) if state.last else (0, len(content.words))
    sounds = (
        ((phone, *(other for other, _ in others)), start, end)
        for phone, start, end, _, others in (
            content.sounds if content.timed == timings.SOUNDS else ()
        )
    )
    return timings.Times(
        tuple((word.start, word.end) for word in content.words[first:behind]),
        tuple(each for each in sounds if begin <= (each[1] + each[2]) / 2 < end),
    ).later(-begin)


def part_of(scene: bpy.types.Scene, voice: strip.Voice) -> subtitles.PlayedPart | None:
    """What a voice plays of its recording, and where in the scene; None for a file."""
    state = voice.state
    if not state.last:
        return None
    strips_scene = bpy.data.scenes.get(voice.scene) or scene
    length = compat.content_length(strip.by_name(strips_scene, voice.strip))
    return subtitles.PlayedPart(
        *state.seconds, length / state.fps, (state.first - strips_scene.frame_start) / state.fps
    )


def of_line(scene: bpy.types.Scene, voice: strip.Voice) -> tuple[Mark, ...]:
    """The marks of what a voice plays, in seconds from its beginning."""
    state = voice.state
    begin, end = state.seconds if state.last else (0.0, float("inf"))
    marks = (
        each.mark
        for record in scene.thunder_transcripts
        if record.recording == state.recording
        for each in record.marks
    )
    return tuple(
        mark.later(-begin)
        for mark in sorted(marks, key=lambda mark: mark.start)
        if mark.end > begin and mark.start < end
    )


# version of a record → what it holds; that and a text → the same with the words of the text
_read = jobs.session.add(jobs.Memory())


def read(record: ThunderTranscript) -> spoken.Spoken | None:
    """The stored words and sounds of a voice, with the words of its present text; None if nothing
    can be read."""
    known, version, text = _read.known, record.version, record.text
    if version not in known:
        known[version] = spoken.unpack(record.spoken) if record.spoken else None
    content = known[version]
    if content is None or content.text == text:
        return content
    if (version, text) not in known:
        known[version, text] = spoken.mend(content, text)
    return known[version, text]


def is_found(record: ThunderTranscript) -> bool:
    """Whether the words of a voice were found in its present text."""
    content = read(record)
    return content is not None and content.text == record.text


def read_next(scene: bpy.types.Scene) -> bool:
    """Read what is stored of one voice that was not read yet; returns whether there was one. Takes
    a third of a second for an hour's voice."""
    unread = next(
        (record for record in scene.thunder_transcripts if record.version not in _read.known), None
    )
    if unread is not None:
        read(unread)
    return unread is not None


def words_in(record: ThunderTranscript, piece: fingerprint.State) -> tuple[int, int]:
    """The words of a transcript whose middle a piece of its recording plays: the first, and the one
    after the last; the same for none, or where they are not known."""
    content = read(record) if record.recording == piece.recording else None
    if content is None or len(content.words) != len(spoken.split(record.text)):
        return 0, 0
    begin, end = piece.seconds
    middles = [(word.start + word.end) / 2 for word in content.words]
    inside = [number for number, middle in enumerate(middles) if begin <= middle < end]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


class ThunderTranscript(bpy.types.PropertyGroup):
    """The words of a voice."""

    voice: str = StringProperty(description="Strip or file that says it")
    text: str = StringProperty(
        name="Transcript",
        description="What the voice says, with numbers written out as words",
        update=lambda self, context: jobs.redraw(jobs.TIMELINES),  # which show its words
    )
    spoken: str = StringProperty(
        description="Its words and sounds with their times in the recording"
    )
    recognised: str = StringProperty(
        description="The text that was recognized, a space for no words; “text” is typed where it "
        "differs"
    )
    language: str = StringProperty(description="Codes of the languages that were recognized")
    recording: str = StringProperty(description="The recording that these are of")
    version: str = StringProperty(description="Changes with these")
    marks: Collection[ThunderWordMark] = CollectionProperty(type=ThunderWordMark)

    @property
    def is_recognised(self) -> bool:
        """Whether its text is as it was recognised: nobody typed or changed it."""
        return bool(self.text) and self.text == self.recognised

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed or recognised, not even that there are no words."""
        return not (self.text.strip() or self.recognised)

    @property
    def is_typed(self) -> bool:
        """Whether somebody typed its text."""
        return bool(self.text.strip()) and not self.is_recognised


def ensure(scene: bpy.types.Scene, voice: str):
    """The transcript of a voice, made empty if it has none."""
    transcript = of(scene, voice)
    if transcript is None:
        transcript = scene.thunder_transcripts.add()
        transcript.voice = voice
    return transcript


_USUAL = "en"  # read where nothing else is seen, so that it needs no row


def draw_language(
    layout: bpy.types.UILayout,
    record: ThunderTranscript | None,
    settings: ThunderScene,
    is_changeable: bool,
) -> None:
    """The language that a transcript is read in, and a menu of them where it can be changed, was
    chosen, or its words tell none."""
    code, is_told = languages.guess(record.text if record is not None else "")
    is_chosen = settings.language != AUTOMATIC
    is_changeable |= is_chosen or (code != "" and not is_told)
    # buttons stay where they are when a usual transcript comes
    if not is_changeable and code in ("", _USUAL):
        return
    row = layout.row()
    row.label(text=translated(languages.NAMES[code]) if code and not is_chosen else "Language")
    if is_changeable:
        row.prop(settings, "language", text="")


def is_wanted(scene: bpy.types.Scene, voice: str) -> bool:
    """Whether a voice is hard to understand, so that its takes need its transcript."""
    of_batches = {entry.batch: entry for entry in scene.thunder.takes if entry.voice == voice}
    return any(keying.record_of(entry.action).get("unclear") for entry in of_batches.values())


register, unregister = jobs.registration(
    properties=(
        (
            bpy.types.Scene,
            "thunder_transcripts",
            bpy.props.CollectionProperty(type=ThunderTranscript),
        ),
    )
)
