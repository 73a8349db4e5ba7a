# SPDX-License-Identifier: GPL-3.0-or-later
"""Generates speech from the animation on a head, puts it in the sequencer as a muted strip, and
compares it."""

from __future__ import annotations

import math
import os
from collections.abc import Generator
from contextlib import nullcontext

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.errors import attempt, BadRequest
from ...thunder_core.types import FPS, Motion
from ..animation import display, keying
from ..engine import connection
from ..heads import head
from ..host import compat, jobs, playback
from ..takes import take_list, word_places
from ..voice import changes, fingerprint, mixdown, strip

SHORTEST_SECONDS = 0.3  # shortest range for which speech is generated
AROUND_SECONDS = 0.4  # length played before and after the edit: a syllable
# least change that is an edit: in a channel, or in radians of the jaw
_EDITED = 1e-3


# Of each animation (its head and action), as of the last Listen: scene frame of the start, and the
# motion
_before = jobs.session.add(jobs.Memory())


def frame_range(context: bpy.types.Context, rig: head.Rig) -> tuple[int, int]:
    """First and last scene frame that Listen speaks: of a word that is looped, else by the scene's
    settings. Raises BadRequest."""
    choice = context.scene.thunder.listen_range
    if word_places.is_looped(context.scene):
        choice = "PREVIEW"
    first, last = chosen_frames(context, rig, "TAKE" if choice == "EDITED" else choice)
    if (last - first + 1) / Clock.of(context.scene, first).fps < SHORTEST_SECONDS:
        raise BadRequest(f"Frames {first} to {last} are too short: choose a longer range")
    return first, last


def is_of_edits(scene: bpy.types.Scene) -> bool:
    """Whether Listen speaks only what was edited."""
    return scene.thunder.listen_range == "EDITED" and not word_places.is_looped(scene)


# the choices of an operator for `chosen_frames`
FRAMES = (
    ("TAKE", "Take", "The frames of the shown take; without one, of the voice"),
    ("VOICE", "Voice", "The frames of the voice, or of the animation without one"),
    ("PREVIEW", "Preview Range", "The scene's preview range"),
    ("SCENE", "Scene", "The scene's frame range"),
)


def chosen_frames(context: bpy.types.Context, rig: head.Rig, choice: str) -> tuple[int, int]:
    """First and last scene frame of the shown take or, without one, the voice (TAKE), the voice
    (VOICE), the preview range (PREVIEW) or the scene (SCENE).

    Raises BadRequest if there is no such range.
    """
    scene = context.scene
    if choice == "SCENE":
        return scene.frame_start, scene.frame_end
    if choice == "VOICE":
        return _of_voice(context, rig)
    if choice == "TAKE":
        entry = take_list.on_head(scene, rig.mesh)
        return _of_voice(context, rig) if entry is None else (entry.first, entry.last)
    if not scene.use_preview_range:
        raise BadRequest(
            "This scene has no preview range: set one in the timeline (P) or choose other frames"
        )
    return scene.frame_preview_start, scene.frame_preview_end


def _of_voice(context: bpy.types.Context, rig: head.Rig) -> tuple[int, int]:
    """First and last frame of the voice, else of the animation."""
    voice = strip.current(context)
    if voice is not None and voice.last is not None:
        return math.floor(voice.clock.start), voice.last - 1
    spans = [curve.range() for target in rig.targets for curve in compat.curves_for(target)]
    if not spans:
        raise BadRequest("The head has no animation yet: generate takes or animate it first")
    return math.floor(min(span[0] for span in spans)), math.ceil(max(span[1] for span in spans))


def speak(
    client: Client,
    scene: bpy.types.Scene,
    rig: head.Rig,
    voice: strip.Voice | None,
    first: int,
    last: int,
    out: str,
    edited: bool = False,
) -> Generator[jobs.Step, None, tuple[int, int]]:
    """Steps that read the animation of frames first … last and write its generated speech to the
    WAV file `out`.

    With a voice, the speech has its speaker's timbre. edited: speak only the edited part of these
    frames, with a margin; all of them if nothing was edited. Returns the first and last frame
    spoken.
    """
    clock = Clock.of(scene, first)
    seconds = (last - first + 1) / clock.fps
    whole = yield from jobs.stage(
        keying.read(rig, head.channel_names(), clock, seconds), "Reading the animation", 0.0, 0.3
    )
    if (
        max(np.ptp(whole.expression, 0).max(initial=0), np.ptp(whole.jaw, 0).max(initial=0))
        < _EDITED
    ):
        raise BadRequest(
            f"The face does not move on frames {first}–{last}: show a take or animate it first"
        )
    key, motion = display.animation_of(rig), whole
    part = _edited_since_heard(rig, whole, clock) if edited else None
    if part is not None:
        motion = whole.part(part)
        first = first + round(part.start / FPS * clock.fps)
        last = min(last, first + math.ceil(motion.frames / FPS * clock.fps) - 1)
    mixed = nullcontext((None, ())) if voice is None else mixdown.sound_for_engine(client, voice)
    with mixed as (reference, mixing):
        yield from mixing
        yield from connection.ask_about(
            client, "listen", motion, (0.3, 0.95), "Listening", voice=reference, out=out
        )
    _before.known[key] = (clock.start, whole)
    return first, last


def _edited_since_heard(rig: head.Rig, now: Motion, clock: Clock) -> slice | None:
    """The rows of a motion that changed since Listen was last pressed on this animation, with what
    is played around them; None for none, or never.

    now: the motion from clock.start on.
    """
    start, before = _before.known.get(display.animation_of(rig), (0.0, None))
    if before is None or abs(start - clock.start) > 1e-6:
        return None
    count = min(before.frames, now.frames)
    changed = np.abs(now.expression[:count] - before.expression[:count]).max(1) > _EDITED
    changed |= np.abs(now.jaw[:count] - before.jaw[:count]).max(1) > _EDITED
    rows = np.flatnonzero(changed)
    if not len(rows):
        return None
    around = round(AROUND_SECONDS * FPS)
    return slice(max(0, rows[0] - around), min(now.frames, rows[-1] + 1 + around))


def listen(
    client: Client,
    scene: bpy.types.Scene,
    rig: head.Rig,
    voice: strip.Voice | None,
    first: int,
    last: int,
    edited: bool = False,
) -> Generator[jobs.Step, None, tuple[int, int]]:
    """Steps that generate the animation's speech and add it to the sequencer as a muted strip,
    replacing that of an earlier Listen for the same head. The sound is packed into the .blend file.
    Returns the first and last frame with sound."""
    scene_name = scene.name if voice is None or not voice.strip else voice.scene
    name = name_of(rig.mesh)
    out = os.path.join(client.folder, f"{bpy.path.clean_name(name)}.wav")
    try:
        first, last = yield from speak(client, scene, rig, voice, first, last, out, edited)
        yield jobs.Step(0.97, "Placing the sound", busy=True)
        of_voice = bpy.data.scenes.get(scene_name)
        if of_voice is None:
            raise BadRequest("The scene was removed: listen again")
        speech = place(of_voice, out, name, first)
        if voice is not None:
            fingerprint.remember(speech, voice.state)
    finally:
        if os.path.exists(out):
            os.remove(out)
    return first, last


def name_of(mesh: bpy.types.Object) -> str:
    """Name of the strip that Listen leaves for a head."""
    return f"{strip.LISTEN_MARK} {mesh.name}"


def place(scene: bpy.types.Scene, path: str, name: str, first: int):
    """Put a spoken file in the sequencer as a muted, packed strip called `name`, replacing the one
    before."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    for old in [
        s
        for s in compat.strips(editor)
        if s.type == "SOUND" and (s.name == name or s.name.startswith(name + "."))
    ]:
        strip.remove(scene, old)
    restore()  # the new sound starts muted
    strip_ = strip.add(scene, path, name, first)
    strip_.mute = True
    strip_.sound.name = name
    strip_.sound.pack()
    strip_.sound.filepath = f"//{os.path.basename(path)}"
    return strip_


# ---- the original against what was heard


def listening_strip(context: bpy.types.Context):
    """(scene, strip) of the generated speech of the current head, (None, None) if there is none."""
    rig, _ = attempt(head.find, context.scene, context.object)
    if rig is None:
        return None, None
    scenes = dict.fromkeys((context.scene, compat.sequencer_scene(context)))
    candidates = ((scene, strip.by_name(scene, name_of(rig.mesh))) for scene in scenes)
    return next(
        ((scene, speech) for scene, speech in candidates if speech is not None), (None, None)
    )


def plays_generated(context: bpy.types.Context) -> bool:
    """Whether the generated speech plays now, and not the original."""
    _, speech = listening_strip(context)
    return speech is not None and not speech.mute


def flip(context: bpy.types.Context, generated: bool) -> None:
    """Play the generated speech instead of the voice (generated), or the voice again. Raises
    BadRequest."""
    scene, speech = listening_strip(context)
    if speech is None:
        raise BadRequest("There is no generated speech yet: press Hear the Lips first")
    speech.mute = not generated
    if not generated:
        restore()
        return
    speech[strip.FLIPPED] = True
    voice = strip.current(context)
    original = (
        strip.by_name(scene, voice.strip)
        if voice is not None and voice.scene == scene.name
        else None
    )
    if original is not None and not original.mute:
        original.mute = True
        original[strip.FLIPPED] = True


@persistent
def restore(*_: object) -> None:
    """Play the voices again that are muted while generated speech plays instead of them: when
    playback stops, on undo, in a file that is saved, and when it is opened."""
    for strips in map(_sounds, bpy.data.scenes):
        flipped = [each for each in strips if strip.FLIPPED in each]
        for each in flipped:
            each.mute = False
            del each[strip.FLIPPED]
        for each in strips if flipped else ():
            each.mute |= each.name.startswith(strip.LISTEN_MARK)


def _sounds(scene: bpy.types.Scene) -> list:
    editor = scene.sequence_editor
    return [each for each in (compat.strips_all(editor) if editor else ()) if each.type == "SOUND"]


# scene → names of the strips that play otherwise than in the file that is being saved
_saved = jobs.session.add(jobs.Memory())


@persistent
def _before_saving(*_: object) -> None:
    """Let the file have the voices, not what is heard instead."""
    for scene in bpy.data.scenes:
        _saved.known[scene.name] = {each.name for each in _sounds(scene) if strip.FLIPPED in each}
    restore()


@persistent
def _after_saving(*_: object) -> None:
    """Play what was heard before."""
    for scene in bpy.data.scenes:
        for each in _sounds(scene):
            if each.name in _saved.known.get(scene.name, ()):
                each.mute = not each.name.startswith(strip.LISTEN_MARK)
                each[strip.FLIPPED] = True
    _saved.known.clear()


def follow(scene: bpy.types.Scene) -> None:
    """Move generated speech along with the voice that it was made for; remove it if that plays
    another sound, or another part of it."""
    editor = scene.sequence_editor
    members = [] if editor is None else list(compat.strips(editor))
    for speech in [each for each in members if each.name.startswith(strip.LISTEN_MARK)]:
        then = fingerprint.state_of(speech)
        changed = None if then is None else changes.change_since(scene, then)
        now = None if changed is None else changed.now
        if then is None or changed is None or now is None:
            continue  # as it was, or gone
        if changed.kind == "MOVED":
            strip.move(speech, compat.content_start(speech) + (now.origin - then.origin))
            fingerprint.remember(speech, now)
        else:
            strip.remove(scene, speech)


def play_both(context: bpy.types.Context, start: float, end: float) -> str:
    """Play the generated speech, and then the voice from start to end of its recording, seconds;
    the current frame stays. Returns why nothing is heard, "" if it is."""
    _, speech = listening_strip(context)
    voice = strip.current(context)
    if speech is None or voice is None:
        return ""
    spoken = (
        strip.by_name(bpy.data.scenes.get(voice.scene, context.scene), voice.strip)
        if voice.strip
        else None
    )
    sound = spoken.sound if spoken is not None else None
    original = voice.path if sound is None else _file_of(sound)
    _, why = playback.hear(
        lambda aud: aud.Sound(_file_of(speech.sound)).join(aud.Sound(original).limit(start, end))
    )
    return why


def _file_of(sound: bpy.types.Sound) -> str:
    """The file of a sound; one that is packed is written to Blender's temporary folder. (What its
    `factory` is, Blender knows only once it has played it.)"""
    if sound.packed_file is None:
        return bpy.path.abspath(sound.filepath, library=sound.library)
    path = os.path.join(bpy.app.tempdir, bpy.path.basename(sound.filepath) or "sound.wav")
    with open(path, "wb") as file:
        file.write(sound.packed_file.data)
    return path


register, unregister = jobs.registration(
    handlers=(
        ("save_pre", _before_saving),
        ("save_post", _after_saving),
        ("save_post_fail", _after_saving),
        *(
            (name, restore)
            for name in ("animation_playback_post", "load_post", "undo_post", "redo_post")
        ),
    )
)
