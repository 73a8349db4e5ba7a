# SPDX-License-Identifier: GPL-3.0-or-later
"""What a voice says, written down by the animator: a take's lips close on the m, b and p of it, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Generator

import bpy
from bpy.props import CollectionProperty, StringProperty

from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.errors import BadRequest
from ...thunder_core.face import lip_closures
from ..heads import head
from ..host.jobs import stage, Step
from ..voice import mixdown, strip
from . import generation, provenance, take_list
from .shape.applying import change

_SURE = 0.3  # of half of a text's closures: a voice that says something else is less sure of them
# A closure that is less sure is not said. Of 98 closures of 36 recordings with their transcripts one is below, of 22 that were
# made up by replacing half of the words, 20.
_SAID = 0.2
_MOST_UNSAID = 0.25  # share of a text's closures that are not said, from two on: the words are others


class ThunderTranscript(bpy.types.PropertyGroup):
    """The words of a voice."""

    voice: StringProperty(description="Strip or file that says it")
    text: StringProperty(name="Transcript", description="What the voice says, with numbers written out as words")


def of(scene, voice: str):
    """The transcript of a voice, None if it has none."""
    return next((each for each in scene.thunder_transcripts if each.voice == voice), None)


def ensure(scene, voice: str):
    """The transcript of a voice, made empty if it has none."""
    transcript = of(scene, voice)
    if transcript is None:
        transcript = scene.thunder_transcripts.add()
        transcript.voice = voice
    return transcript


def correct(client: Client, context, entry) -> Generator[Step, None, tuple[int, int, int]]:
    """Steps that close the lips of a take on the m, b and p of its voice's transcript and open them elsewhere.

    Returns how many closures were added, how many removed, and how many of the transcript are not in the voice. Raises
    ThunderError; until the end nothing changes.
    """
    scene = context.scene
    said = of(scene, entry.voice)
    if said is None or not said.text.strip():
        raise BadRequest(f"“{entry.voice}” has no transcript: enter what it says")
    voice = strip.of_take(context, entry)
    if voice.name != entry.voice:
        raise BadRequest(f"“{entry.name}” is a take of “{entry.voice}”, but the chosen voice is “{voice.name}”: choose “{entry.voice}”")
    take_list.rig_of(scene, entry)
    scene_name, uid, text = scene.name, entry.action.session_uid, said.text
    sound = ""
    try:
        sound = yield from mixdown.sound_for_engine(client, voice)
        result = yield from generation.ask(client, "closures", (0.05, 0.6), "Analyzing the voice", sound=sound, text=text)
    finally:
        if sound and not voice.path and os.path.exists(sound):
            os.remove(sound)
    closed = result["closures"]
    if not closed:
        raise BadRequest("The transcript has no m, b or p: there is nothing to correct")
    said_closed = [each for each in closed if each[2] >= _SAID]
    unsaid = len(closed) - len(said_closed)
    if sorted(sure for _, _, sure in closed)[len(closed) // 2] < _SURE or unsaid >= max(2, _MOST_UNSAID * len(closed)):
        raise BadRequest("The transcript does not seem to match the voice: check its words and the strip")
    # The animator went on working meanwhile, and may have undone what was found before.
    scene = bpy.data.scenes.get(scene_name)
    entry = next(
        (each for each in (scene.thunder.takes if scene else ()) if each.action is not None and each.action.session_uid == uid), None
    )
    if entry is None:
        raise BadRequest("The take was deleted: show another and try again")
    rig = take_list.rig_of(scene, entry)
    clock = provenance.clock_of(entry.action) or Clock.of(scene, entry.first)
    offset, added, removed = entry.action.thunder_shape.offset, 0, 0

    def alter(motion, first):
        nonlocal added, removed

        # The take's own time: an offset moves its lips against the sound on purpose.
        def row(seconds):
            return float(clock.frame(seconds)) - (first - offset)

        changed, added, removed = lip_closures.correct(
            motion,
            head.channel_names(),
            [row(seconds) for _, seconds, _ in said_closed],
            [(row(start), row(end)) for start, end in result["pauses"]],
        )
        return changed, slice(0, motion.frames)

    yield from stage(change(rig, entry, alter), "Closing lips", 0.6, 1.0)
    return added, removed, unsaid


def register():
    bpy.utils.register_class(ThunderTranscript)
    bpy.types.Scene.thunder_transcripts = CollectionProperty(type=ThunderTranscript)


def unregister():
    del bpy.types.Scene.thunder_transcripts
    bpy.utils.unregister_class(ThunderTranscript)
