# SPDX-License-Identifier: GPL-3.0-or-later
"""Transcripts of voices: closes a take's lips on the m, b and p of the text, and opens them
elsewhere."""

from collections.abc import Generator
from dataclasses import dataclass

import bpy
from bpy.props import CollectionProperty, StringProperty

from ...thunder_core.client import Client
from ...thunder_core.errors import BadRequest
from ...thunder_core.face import lip_closures
from ..animation import keying
from ..heads import head
from ..host import handlers
from ..host.jobs import stage, Step
from ..voice import mixdown, strip
from . import generation, provenance, take_list
from .direction.word_marks import ThunderWordMark, transcript_of as of
from .sampling import turns_of
from .shape.applying import change

_SURE = 0.3  # median confidence of a transcript's closures below which the voice does not match
# Confidence below which a closure counts as not spoken. On 36 recordings 1 of 98 true closures is
# below it, and 20 of 22 false ones (made by replacing half of the words).
_SAID = 0.2
# share of missing closures from which the transcript does not match (if at least two)
_MOST_UNSAID = 0.25
# a matching part has this many closures in a row and this share of all
_LEAST_SAID, _LEAST_PART = 3, 0.5
_BESIDE = 0.15  # seconds added on either side of such a part
_FOR_EVER = 1e6  # seconds
_MOST_WORDS = 3  # words that a message lists
_MOST_PLACES = 6  # closures that a message lists


class ThunderTranscript(bpy.types.PropertyGroup):
    """The words of a voice."""

    voice: StringProperty(description="Strip or file that says it")
    text: StringProperty(
        name="Transcript", description="What the voice says, with numbers written out as words"
    )
    spoken: StringProperty(description="Its words and sounds with their times in the recording")
    recording: StringProperty(description="The recording that these are of")
    version: StringProperty(description="Changes with these")
    marks: CollectionProperty(type=ThunderWordMark)


def ensure(scene, voice: str):
    """The transcript of a voice, made empty if it has none."""
    transcript = of(scene, voice)
    if transcript is None:
        transcript = scene.thunder_transcripts.add()
        transcript.voice = voice
    return transcript


@dataclass(frozen=True)
class Corrections:
    """The result of a correction. added, removed: the word ("" outside of words) and scene frame of
    each closure.
    unspoken: words whose m, b or p the voice does not say.  part: first and last word of the
    corrected part, None for the whole text."""

    added: tuple[tuple[str, int], ...] = ()
    removed: tuple[tuple[str, int], ...] = ()
    unspoken: tuple[str, ...] = ()
    part: tuple[str, str] | None = None

    @property
    def sentence(self) -> str:
        """The message for the animator."""
        if not self.added and not self.removed:
            return "The lip closures already match the transcript"
        added = (
            f"Added {len(self.added)} lip "
            f"closure{'s' * (len(self.added) != 1)}{_list_closures(self.added)}"
        )
        return f"{added}; removed {len(self.removed)}{_list_closures(self.removed)}"

    @property
    def warning(self) -> str:
        """A warning about parts of the transcript that do not match the voice, "" for none."""
        if self.part is not None:
            return (
                f"The voice says the transcript from “{self.part[0]}” to “{self.part[1]}” only, "
                f"the lips elsewhere stay as they were: "
                f"check {_list_words(self.unspoken)}"
            )
        return (
            f"Not heard in the voice and left out: {_list_words(self.unspoken)}. Check the "
            f"transcript there"
            if self.unspoken
            else ""
        )


def _list_words(words: tuple[str, ...]) -> str:
    """Words in a message."""
    words = tuple(dict.fromkeys(words))
    more = f" and {len(words) - _MOST_WORDS} more" if len(words) > _MOST_WORDS else ""
    return ", ".join(f"“{word}”" for word in words[:_MOST_WORDS]) + more


def _list_closures(closures: tuple[tuple[str, int], ...]) -> str:
    """Words and frames of closures in a message."""
    places = [
        f"“{word}” at frame {frame}" if word else f"frame {frame}"
        for word, frame in closures[:_MOST_PLACES]
    ]
    more = f" and {len(closures) - _MOST_PLACES} more" if len(closures) > _MOST_PLACES else ""
    return f": {', '.join(places)}{more}" if places else ""


def _matching(closed: list) -> slice:
    """The closures of the part of a text that the voice says: all, or the longest part in which
    each is spoken. Raises BadRequest if too few match."""
    spoken = [sure >= _SAID for _, _, sure, _ in closed]
    unspoken = spoken.count(False)
    if sorted(sure for _, _, sure, _ in closed)[len(closed) // 2] >= _SURE and unspoken < max(
        2, _MOST_UNSAID * len(closed)
    ):
        return slice(0, len(closed))
    ends = [-1, *(index for index, is_spoken in enumerate(spoken) if not is_spoken), len(closed)]
    length, start = max((end - before - 1, -before - 1) for before, end in zip(ends, ends[1:]))
    part = slice(-start, -start + length)
    sure = sorted(each[2] for each in closed[part])
    if (
        unspoken
        and length >= max(_LEAST_SAID, _LEAST_PART * len(closed))
        and sure[length // 2] >= _SURE
    ):
        return part
    first = next((each[3] for each in closed if each[2] < _SAID), "")
    where = f" from “{first}” on" if first else ""
    raise BadRequest(
        f"The transcript does not seem to match the voice: check its words{where}, and the strip"
    )


def is_wanted(scene, voice: str) -> bool:
    """Whether a voice is hard to understand, so that its takes need its transcript."""
    entries = (entry for entry in scene.thunder.takes if entry.voice == voice)
    return any(keying.record_of(entry.action).get("unclear") for entry in entries)


def correct(client: Client, context, entry) -> Generator[Step, None, Corrections]:
    """Steps that close the lips of a take on the m, b and p of its voice's transcript and open them
    elsewhere. If the voice says only a part of the transcript, the lips outside of that part are
    left alone.

    Returns the corrections. Raises ThunderError; nothing changes before the end.
    """
    scene = context.scene
    record = of(scene, entry.voice)
    if record is None or not record.text.strip():
        raise BadRequest(f"“{entry.voice}” has no transcript: enter what it says")
    voice = take_list.check_voice(entry, strip.of_take(context, entry))
    take_list.rig_of(scene, entry)
    scene_name, uid, text = scene.name, entry.action.session_uid, record.text
    result = yield from mixdown.with_sound(
        client,
        voice,
        lambda sound: generation.ask(
            client, "closures", (0.05, 0.6), "Analyzing the voice", sound=sound, text=text
        ),
    )
    closed = result["closures"]
    if not closed:
        raise BadRequest("The transcript has no m, b or p: there is nothing to correct")
    part = _matching(closed)
    spoken_closed = [each for each in closed[part] if each[2] >= _SAID]
    is_all = len(closed[part]) == len(closed)
    left_alone = [*result["pauses"]]
    if part.start > 0:
        left_alone.append((0.0, closed[part.start][1] - _BESIDE))
    if part.stop < len(closed):
        left_alone.append((closed[part.stop - 1][1] + _BESIDE, _FOR_EVER))
    # The animator has continued working meanwhile, and undo may have invalidated earlier
    # references.
    scene = bpy.data.scenes.get(scene_name)
    entry = take_list.by_uid(scene, uid)
    if entry is None:
        raise BadRequest("The take was deleted: show another and try again")
    if spans := turns_of(keying.record_of(entry.action)):  # while others speak the face listens
        spoken_closed = [
            each for each in spoken_closed if any(begin <= each[1] <= end for begin, end in spans)
        ]
        edges = [0.0, *(seconds for span in spans for seconds in span), _FOR_EVER]
        left_alone += zip(edges[::2], edges[1::2])
    rig = take_list.rig_of(scene, entry)
    clock = provenance.clock_of_take(entry)
    offset, done, start = entry.action.thunder_shape.offset, lip_closures.Correction(), 0.0

    def alter(motion, first):
        nonlocal done, start
        start = first

        # The take's time: an offset moves its lips against the sound on purpose.
        def row(seconds):
            return float(clock.frame(seconds)) - (first - offset)

        changed, done = lip_closures.correct(
            motion,
            head.channel_names(),
            [row(seconds) for _, seconds, *_ in spoken_closed],
            [(row(start), row(end)) for start, end in left_alone],
        )
        return changed, done.rows or slice(0, 1)

    yield from stage(change(rig, entry, alter), "Closing lips", 0.6, 1.0)
    added = tuple(
        (word, round(float(clock.frame(seconds)) + offset))
        for _, seconds, _, word in (spoken_closed[n] for n in done.made)
    )
    removed = tuple(
        (_word_at(result["words"], float(clock.seconds(start - offset + row))), round(start + row))
        for row in done.gone
    )
    unspoken = tuple(word for _, _, sure, word in closed if sure < _SAID)
    return Corrections(
        added, removed, unspoken, None if is_all else (closed[part][0][3], closed[part][-1][3])
    )


def _word_at(words: list, seconds: float) -> str:
    """The word that is spoken at a time, "" for none."""
    return next((word for word, start, end in words if start <= seconds <= end), "")


register, unregister = handlers.registration(
    properties=(
        (bpy.types.Scene, "thunder_transcripts", CollectionProperty(type=ThunderTranscript)),
    )
)
