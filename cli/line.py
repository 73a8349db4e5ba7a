# SPDX-License-Identifier: GPL-3.0-or-later
"""The line that is baked: which voice, with which words, on which head; the voice is kept in the
scene."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import bpy
from mathutils import Quaternion

from ..scene.heads import family, head
from ..scene.host import compat
from ..scene.takes import dialogue, transcript
from ..scene.voice import fingerprint, strip
from ..thunder_core import protocol, subtitles, timings
from ..thunder_core.animation.timing import Clock
from ..thunder_core.batch.settings import is_text_file
from ..thunder_core.errors import BadHead, BadSound

# a viewport that looks at a face from the front, and how many of its heights away
_FRONT, _AWAY = Quaternion((0.5**0.5, 0.5**0.5, 0.0, 0.0)), 2.0


class Line(NamedTuple):
    """Who says what: the voice, with its transcript, the rig to animate, the times of the
    transcript's words where a file tells them, and what is to be warned of."""

    voice: strip.Voice
    rig: head.Rig
    times: timings.Times | None
    notes: list[str]


def choose_line(scene: bpy.types.Scene, chosen: argparse.Namespace, sound: str | None) -> Line:
    """The line that options name. sound: the voice, None for a strip. Raises ThunderError."""
    voice = choose_voice(scene, sound, chosen.strip, chosen.start, chosen.channel)
    words, note, times = words_of(chosen.transcript, transcript.part_of(scene, voice))
    present = [
        obj.name
        for obj in scene.objects
        if obj.type not in ("CAMERA", "EMPTY", "LIGHT", "LIGHT_PROBE", "SPEAKER")  # no faces
    ]
    rig = choose_head(scene, chosen.head, chosen.strip, chosen.new_head)
    passed_by = "" if chosen.new_head else say_passed_by(rig, present)
    head.check_animatable(rig)
    if words:
        transcript.ensure(scene, voice.name).text = words
    if chosen.language:
        is_automatic = chosen.language == "auto"
        scene.thunder.language = transcript.AUTOMATIC if is_automatic else chosen.language
    return Line(voice, rig, times, [strip.warning(voice), note, passed_by, *rig.warnings])


def words_of(given: str | None, part: subtitles.PlayedPart | None = None) -> subtitles.ReadText:
    """The words that --transcript gives, or those in the file that it names; "" where it is left
    out. part: as of `subtitles.read_text`. Raises BadRequest."""
    if not given:
        return subtitles.ReadText("")
    if not is_text_file(given):
        return subtitles.ReadText(" ".join(given.split()))
    return subtitles.read_text(given, "name another with --transcript", part)


def choose_voice(
    scene: bpy.types.Scene,
    sound: str | None,
    name: str | None,
    start: float | None,
    channel: str | None,
) -> strip.Voice:
    """The voice that is baked: a sound file from a frame on, or the strip of that name; channel:
    the one chosen, None for that of the scene. Raises BadSound."""
    if name is None:
        scene.thunder.property_unset("file_channel")  # of another file
        voice = strip.of_file(scene, sound or "", scene.frame_start if start is None else start)
    else:
        speaking = strip.by_name(scene, name)
        found = voice_elsewhere(scene, name) if speaking is None else None
        if found is None and (speaking is None or speaking.type != "SOUND"):
            raise BadSound(
                strip.say_elsewhere(scene, name)
                or f"There is no sound strip “{name}” in the scene “{scene.name}”: name another "
                f"with --strip"
            )
        voice = found or strip.voice_of(scene, speaking)
    if channel is not None:
        voice = strip.choose_channel(scene, voice, protocol.read_channel(channel))
    return voice


def voice_elsewhere(scene: bpy.types.Scene, name: str) -> strip.Voice | None:
    """The voice of a strip that only one other scene has, where its frames are this scene's: at the
    same rate, and not moved by a scene strip. None if there is no such strip."""
    others = strip.elsewhere(scene, name)
    here: Iterable = (
        [] if scene.sequence_editor is None else compat.strips_all(scene.sequence_editor)
    )
    is_same = len(others) == 1 and Clock.of(others[0], 0).fps == Clock.of(scene, 0).fps
    if not is_same or any(
        each.type == "SCENE"
        and each.scene == others[0]
        and compat.content_start(each) != others[0].frame_start
        for each in here
    ):
        return None
    return strip.voice_of(others[0], strip.by_name(others[0], name))


def choose_head(
    scene: bpy.types.Scene, name: str | None, speaks: str | None = None, new: bool = False
):
    """The rig to animate: the named object's, the speaker of a strip, the scene's head, or a
    new one if there is none; a linked one is made editable. new: also beside a character whose
    names are not known.

    Raises BadHead, also for a strip without a speaker in a scene of several heads: its takes would
    be on the wrong one.
    """
    heads = head.in_scene(scene)
    if name is not None:
        scene.thunder.head = head.by_name(scene, name)
    elif speaks is not None and (speaker := dialogue.speaker_of(scene, speaks, heads)) is not None:
        scene.thunder.head = speaker
    elif speaks is not None and len(heads) > 1:
        raise BadHead(
            f"“{speaks}” has no speaker and the scene “{scene.name}” several heads: choose who "
            f"speaks it under Dialogue, "
            f"or name the head with --head"
        )
    elif scene.thunder.head is None and not heads:
        scene.thunder.head = None if new else family.instance(scene.objects)
        unknown = None if new or scene.thunder.head else family.find_unknown(scene)
        if unknown is not None:
            raise BadHead(
                f"“{unknown.name}” looks like a character, but none of its names is known: map it "
                f"in Thunder Character and save the file, or use --new-head for a head of Thunder's"
            )
        if scene.thunder.head is None:
            scene.thunder.head = head.build(scene.collection, bpy.context.view_layer).mesh
            if not bpy.data.filepath:
                _look_at(scene.thunder.head)
    chosen = scene.thunder.head or head.guess(scene, bpy.context.object)
    if chosen is not None and family.find_linked(scene, chosen) == chosen:
        scene.thunder.head = family.make_editable(scene, bpy.context.view_layer, chosen)
    return head.find(scene, bpy.context.object)


def _look_at(mesh: bpy.types.Object) -> None:
    """Let every viewport that a new file opens with show a head from the front."""
    low, high = family.extent(mesh)
    for area in (area for screen in bpy.data.screens for area in screen.areas):
        if area.type == "VIEW_3D":
            view = area.spaces.active.region_3d
            view.view_perspective, view.view_rotation = "PERSP", _FRONT
            view.view_location, view.view_distance = (low + high) / 2, _AWAY * max(high - low)


def say_passed_by(rig: head.Rig, present: list[str]) -> str:
    """That a head was added to a file though it had objects, which are none that Thunder knows; ""
    where none was added."""
    if not present or family.MARK not in rig.owner or rig.owner.name in present:
        return ""
    return (
        f"No object of this file (“{present[0]}” …) is a character that Thunder knows, so it added "
        f"a head of its own: name yours with --head, or use --new-head"
    )


def keep_voice(
    scene: bpy.types.Scene, voice: strip.Voice, chosen: argparse.Namespace, sound: str | None
) -> None:
    """Keep the voice in the scene: a sound file, if that was given, as a strip; with --pack in the
    .blend itself."""
    spoken = None if chosen.strip is None else strip.by_name(scene, chosen.strip)
    if sound is not None and not chosen.seconds and strip.has_audio():
        spoken = place_voice(scene, sound, voice)
    if chosen.pack and spoken is not None:
        pack_sound(spoken)


def place_voice(scene: bpy.types.Scene, sound: str, voice: strip.Voice):
    """Add the sound to the sequencer where the takes were keyed, unless it exists already; returns
    its strip."""
    for present in strip.sound_strips(scene):
        same = present.sound is not None and bpy.path.abspath(present.sound.filepath) == sound
        if same and abs(compat.content_start(present) - voice.clock.start) < 0.01:
            return present
    added = strip.add(scene, sound, Path(sound).stem, int(voice.clock.start))
    strip.move(added, voice.clock.start)
    if voice.channel is not None:
        added[fingerprint.CHANNEL] = voice.channel
    scene.thunder.voice = added.name
    return added


def pack_sound(sound_strip: bpy.types.SoundStrip) -> None:
    """Store the sound of a strip in the .blend, unless it is there."""
    sound = sound_strip.sound
    if sound is not None and sound.packed_file is None:
        sound.pack()
