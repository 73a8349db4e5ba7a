# SPDX-License-Identifier: GPL-3.0-or-later
"""Transcripts of voices: what each says, and whether its takes need it."""

import bpy
from bpy.props import CollectionProperty, StringProperty

from ..animation import keying
from ..host import handlers
from .direction.word_marks import ThunderWordMark, transcript_of as of


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


def is_wanted(scene, voice: str) -> bool:
    """Whether a voice is hard to understand, so that its takes need its transcript."""
    entries = (entry for entry in scene.thunder.takes if entry.voice == voice)
    return any(keying.record_of(entry.action).get("unclear") for entry in entries)


register, unregister = handlers.registration(
    properties=(
        (bpy.types.Scene, "thunder_transcripts", CollectionProperty(type=ThunderTranscript)),
    )
)
