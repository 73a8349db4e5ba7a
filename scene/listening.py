# SPDX-License-Identifier: GPL-3.0-or-later
"""From the animation on a head to sound: what its mouth says, put in the sequencer as a muted strip."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import bpy

from ..thunder_core.client import Client
from ..thunder_core.errors import BadRequest, ThunderError
from ..thunder_core.types import Motion
from . import compat, curves, head, strip
from .performing import ask, sound_for_engine
from .resample import Clock
from .work import Step

SHORTEST_SECONDS = 0.3  # under this there is nothing to hear


def frame_range(context, rig: head.Rig) -> tuple[int, int]:
    """First and last scene frame that Listen speaks, by the scene's settings. Raises BadRequest."""
    scene = context.scene
    choice = scene.thunder.listen_range
    if choice == "PREVIEW":
        if not scene.use_preview_range:
            raise BadRequest("This scene has no preview range: set one in the timeline (P) or listen to the take")
        first, last = scene.frame_preview_start, scene.frame_preview_end
    elif choice == "SCENE":
        first, last = scene.frame_start, scene.frame_end
    else:
        first, last = _of_take(context, rig)
    if (last - first + 1) / Clock.of(scene, first).fps < SHORTEST_SECONDS:
        raise BadRequest(f"Frames {first} to {last} are too short to hear: choose a longer range")
    return first, last


def _of_take(context, rig: head.Rig) -> tuple[int, int]:
    scene = context.scene
    index = scene.thunder.active_take
    if index >= 0:
        entry = scene.thunder.takes[index]
        return entry.first, entry.last
    try:
        voice = strip.find(context)
        if voice.last is not None:
            return math.floor(voice.clock.start), voice.last - 1
    except ThunderError:
        pass
    spans = [curve.range() for target in rig.targets for curve in compat.curves_for(target)]
    if not spans:
        raise BadRequest("The head has no animation to listen to: generate takes or animate it first")
    return math.floor(min(span[0] for span in spans)), math.ceil(max(span[1] for span in spans))


def speak(client: Client, scene, rig: head.Rig, voice: strip.Voice | None, first: int, last: int,
          out: str) -> Iterator[Step]:
    """Steps that read the animation of frames first … last and write what it says to the WAV file `out`.

    With a voice the sound has its speaker's colour. The value is the engine's result.
    """
    clock = Clock.of(scene, first)
    seconds = (last - first + 1) / clock.fps
    motion = None
    for read in curves.read(rig, head.channel_names(), clock, seconds):
        if isinstance(read, Motion):
            motion = read
        else:
            yield Step(0.3 * read, "Reading the animation", busy=True)
    reference = None
    if voice is not None:
        reference = yield from sound_for_engine(client, voice)
    files = []
    try:
        files = [client.put_array(motion.expression), client.put_array(motion.jaw)]
        return (yield from ask(client, "listen", (0.3, 0.95), "Listening", expression=files[0], jaw=files[1],
                               voice=reference, out=out))
    finally:
        if reference and not voice.path:
            files.append(reference)
        for file in files:
            if os.path.exists(file):
                os.remove(file)


def listen(client: Client, scene, rig: head.Rig, voice: strip.Voice | None, first: int,
           last: int) -> Iterator[Step]:
    """Steps that speak the animation and leave it in the sequencer as a muted strip, in place of the one
    that an earlier Listen left for the same head. The sound is packed into the file: it needs no other."""
    scene_name, name = scene.name, f"{strip.LISTEN_MARK} {rig.mesh.name}"
    out = os.path.join(client.folder, f"{bpy.path.clean_name(name)}.wav")
    try:
        yield from speak(client, scene, rig, voice, first, last, out)
        yield Step(0.97, "Placing the sound", busy=True)
        scene = bpy.data.scenes.get(scene_name)
        if scene is None:
            raise BadRequest("The scene was removed meanwhile: listen again")
        place(scene, out, name, first)
    finally:
        if os.path.exists(out):
            os.remove(out)


def place(scene, path: str, name: str, first: int):
    """Put a spoken file in the sequencer as a muted, packed strip called `name`, replacing the one before."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    members = compat.strips(editor)
    for old in [s for s in members if s.type == "SOUND" and (s.name == name or s.name.startswith(name + "."))]:
        sound = old.sound
        members.remove(old)
        if sound is not None and sound.users == 0:
            bpy.data.sounds.remove(sound)
    strip_ = strip.add(scene, path, name, first)
    strip_.mute = True
    strip_.sound.name = name
    strip_.sound.pack()
    strip_.sound.filepath = f"//{os.path.basename(path)}"
    return strip_
