# SPDX-License-Identifier: GPL-3.0-or-later
"""The words and sounds of voices: found by the engine, kept in the scene in seconds of the
recording, placed where its strips play."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from hashlib import sha256

import bpy

from ...thunder_core import spoken
from ...thunder_core.client import Client
from ...thunder_core.errors import attempt, BadRequest, ThunderError
from ..engine import connection
from ..host import idle, jobs
from ..host.jobs import Step
from ..host.session import Memory, Part, session
from ..voice import fingerprint, mixdown, strip
from . import generation, transcript
from .direction.word_marks import LABELS

_MOST_NAMED = 12  # words that a message names

_read = session.add(Memory())  # version of a record → what it holds


@dataclass(frozen=True)
class FoundWords:
    """What was found in a voice. unheard: words of the text that the voice does not seem to say,
    each with its scene frame."""

    spoken: spoken.Spoken
    unheard: tuple[tuple[str, int], ...]

    @property
    def sentence(self) -> str:
        """The message for the animator."""
        words, sounds = len(self.spoken.words), len(self.spoken.sounds)
        of_text = f"{words - len(self.unheard)} of {words} words and " if words else ""
        return f"Found {of_text}{sounds} sound{'s' * (sounds != 1)}" + (
            "" if words else ": enter what the voice says to find its words"
        )

    @property
    def warning(self) -> str:
        """A warning about a text that the voice does not say, "" for none."""
        if self.spoken.text and not self.spoken.words:
            return "The transcript has no words: enter what the voice says"
        if self.spoken.words and not self.spoken.matches:
            return (
                "The voice does not seem to say this transcript: check that it is this "
                "line's, and in the language that is spoken"
            )
        if not self.unheard:
            return ""
        named = ", ".join(
            f"“{word}” near frame {frame}" for word, frame in self.unheard[:_MOST_NAMED]
        )
        more = (
            f" and {len(self.unheard) - _MOST_NAMED} more"
            if len(self.unheard) > _MOST_NAMED
            else ""
        )
        return (
            f"Not heard in the voice: {named}{more}. Check the transcript there, and write "
            f"numbers as words"
        )


@dataclass(frozen=True)
class Span:
    """A strip, or file, that plays what was found in its recording. origin: scene frame at which
    the recording begins, trimmed or not.
    first, last: first frame that plays, and the one after the last.  marks: start, end (seconds of
    the recording) and sign of each."""

    spoken: spoken.Spoken
    origin: float
    first: int
    last: float
    fps: float
    marks: tuple[tuple[float, float, str], ...] = ()

    def text(self, number: int) -> str:
        """A word as it is written, with the signs of its marks."""
        word = self.spoken.words[number]
        signs = "".join(
            sign for start, end, sign in self.marks if word.start < (start + end) / 2 < word.end
        )
        return f"{word.text} {signs}" if signs else word.text


def find(
    client: Client, voice: strip.Voice, text: str | None = None
) -> Generator[Step, None, FoundWords]:
    """Steps that find the sounds of a voice, and the words of its transcript or of a new text, and
    keep both in the voice's scene.

    Raises ThunderError; nothing changes before the end.
    """
    scene = bpy.context.scene
    name, record = scene.name, transcript.of(scene, voice.name)
    said = (record.text if record is not None else "") if text is None else text
    answer = yield from mixdown.with_sound(
        client,
        voice,
        lambda sound: generation.ask(
            client, "spoken", (0.05, 1.0), "Finding words and sounds", sound=sound, text=said
        ),
    )
    scene = bpy.data.scenes.get(name)  # the animator has continued working meanwhile
    state = None if scene is None else fingerprint.of_voice(bpy.data.scenes.get(voice.scene), voice)
    if state is None:
        raise BadRequest(f"The voice “{voice.name}” was removed meanwhile")
    begin = state.seconds[0] if state.last else 0.0
    packed = spoken.pack(answer, begin, said)
    record = transcript.ensure(scene, voice.name)
    if text is not None:
        record.text = text
    record.spoken, record.recording, record.version = (
        packed,
        state.recording,
        sha256(packed.encode()).hexdigest()[:16],
    )
    content = read(record)
    unheard = tuple(
        (word.text, round(state.origin + word.start * state.fps))
        for word in content.words
        if not word.is_found
    )
    return FoundWords(content, unheard)


class _Waiting(Part):
    """Voices whose words and sounds are found once Blender is idle."""

    def __init__(self):
        self.voices: list[strip.Voice] = []
        self.work: Generator | None = None
        self.task = idle.Task(self.step)

    def step(self) -> float | None:
        """Work a little on the first voice."""
        try:
            self.work = self.work or find(connection.client(), self.voices[0])
            next(self.work)
            return idle.PAUSE_SECONDS
        except (StopIteration, ThunderError):  # found, or Find Words says why not
            self.release()
            self.voices.pop(0)
        jobs.redraw(jobs.TIMELINES)
        return idle.PAUSE_SECONDS if self.voices else None

    def release(self) -> None:
        if self.work is not None:  # it begins again
            self.work.close()
        self.work = None

    def file_opened(self) -> None:
        self.release()
        self.voices.clear()


_waiting = session.add(_Waiting())


def find_soon(scene, voice: strip.Voice | None) -> None:
    """Find the words and sounds of a voice that are not known yet, once Blender is idle."""
    if voice is not None and not is_known(scene, voice):
        _waiting.voices.append(voice)
        _waiting.task.start(0.0)


def is_known(scene, voice: strip.Voice) -> bool:
    """Whether the words and sounds of all that plays of a voice are known, for its present
    transcript."""
    record = transcript.of(scene, voice.name)
    state = fingerprint.of_voice(bpy.data.scenes.get(voice.scene), voice)
    if record is None or state is None or record.recording != state.recording:
        return False
    content = read(record)
    return content is not None and content.text == record.text


def read(record) -> spoken.Spoken | None:
    """The stored words and sounds of a voice, None if nothing can be read."""
    if record.version not in _read.known:
        _read.known[record.version] = spoken.unpack(record.spoken) if record.spoken else None
    return _read.known[record.version]


def read_next(scene) -> bool:
    """Read what is stored of one voice that was not read yet; returns whether there was one. Takes
    a third of a second for an hour's voice."""
    unread = next(
        (record for record in scene.thunder_transcripts if record.version not in _read.known), None
    )
    if unread is not None:
        read(unread)
    return unread is not None


def spans(scene, strips_scene) -> Iterator[Span]:
    """Everything in a scene, and in the one whose sequencer is shown with it, that plays a
    recording whose words and sounds are known."""
    known = {record.recording: record for record in scene.thunder_transcripts if record.version}
    if not known:
        return
    states = [
        fingerprint.of_strip(each, speaking)
        for each in {scene, strips_scene}
        for speaking in strip.sound_strips(each)
    ]
    if scene.thunder.source == "FILE":
        voice, _ = attempt(strip.of_file, scene, scene.thunder.sound_file)
        states += [fingerprint.of_voice(scene, voice)] if voice is not None else []
    for state in states:
        record = known.get(state.recording) if state is not None else None
        if record is not None and (content := read(record)) is not None:
            marks = tuple((mark.start, mark.end, LABELS[mark.kind][2]) for mark in record.marks)
            yield Span(
                content, state.origin, state.first, state.last or float("inf"), state.fps, marks
            )
