# SPDX-License-Identifier: GPL-3.0-or-later
"""New lines of the heads: sound files, or those that a file of jobs names, become strips from the
playhead on, each with its speaker."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...thunder_core.batch import job_file
from ...thunder_core.errors import BadRequest, BadSound, ThunderError
from ...thunder_core.files import not_a_file
from ..heads import head
from ..host import compat
from ..host.session import Memory, session
from ..voice import strip
from . import dialogue


@dataclass(frozen=True)
class Sound:
    """A sound file that becomes a line.  name: of its strip.  speaker: the head that speaks it,
    None for no head yet."""

    path: str
    name: str
    speaker: bpy.types.Object | None = None


def of_files(context, paths: Iterable[str], first: bpy.types.Object | None) -> list[Sound]:
    """Sound files as lines of the heads in turn, beginning with the head `first`."""
    heads = head.in_scene(context.scene)
    start = heads.index(first) if first in heads else 0
    speakers = [*heads[start:], *heads[:start]] or [None]
    return [
        Sound(path, Path(path).stem, speakers[index % len(speakers)])
        for index, path in enumerate(paths)
    ]


def of_jobs(context, jobs: Iterable[job_file.Job]) -> list[Sound]:
    """The sound files that jobs name, as lines of the heads that they name, or of the chosen one.
    Raises BadRequest if there are none."""
    heads = {obj.name: obj for obj in head.in_scene(context.scene)}
    chosen = head.current(context)
    with_sound = [job for job in jobs if "audio" in job.settings]
    if not with_sound:
        raise BadRequest(
            "These jobs name no sound files, only strips of scenes or idle faces: run them with "
            "bake.py --jobs"
        )
    return [
        Sound(
            str(job.settings["audio"]), job.name, heads.get(str(job.settings.get("head")), chosen)
        )
        for job in with_sound
    ]


def read_jobs(path: str) -> job_file.Jobs:
    """The jobs of a file, as `bake.py --jobs` reads them. Raises BadRequest."""
    try:
        return job_file.read_file(path)
    except BadRequest as error:
        raise BadRequest(
            str(error).replace("name another with --jobs", "choose another file")
        ) from error


def summary_of(job: job_file.Job) -> str:
    """The voice of a job in a few words: the name of its file or strip, or how long it is idle."""
    values = job.settings
    if "strip" in values:
        return f"strip “{values['strip']}” of {os.path.basename(str(values['blend']))}"
    return (
        f"{values['seconds']:g} s idle"
        if "seconds" in values
        else os.path.basename(str(values.get("audio") or values["listen-to"]))
    )


def add(context, sounds: Sequence[Sound]) -> tuple[list[str], list[str]]:
    """Add sounds to the sequencer, one after the other from the playhead on, and choose the first
    as the voice.

    Returns the names of the strips, and a sentence for each sound that cannot be used and was left
    out. Raises BadSound if none can.
    """
    scene = context.scene
    if not strip.has_audio():
        raise BadSound(
            "This Blender was built without sound, so it has no sound strips: choose a sound file "
            "as the voice instead"
        )
    frame, added, left_out = scene.frame_current, [], []
    for sound in sounds:
        try:
            if problem := not_a_file(sound.path):
                raise BadSound(f"{problem}: choose another sound file")
            new = strip.add_voice(scene, sound.path, sound.name, frame)
        except ThunderError as error:
            left_out.append(str(error))
            continue
        _, frame = compat.strip_span(new)
        added.append(new.name)
        if sound.speaker is not None:
            dialogue.cast(scene, new.name, sound.speaker)
    if not added:
        raise BadSound("\n".join(left_out) or "No sound file was chosen: choose one")
    scene.thunder.source = "STRIP"
    dialogue.select(context, added[0])
    return added, left_out


# ---- strips that the animator adds in the sequencer


def choose(context, name: str) -> None:
    """Make a strip the voice of its speaker, or of the chosen head if it has none. Raises
    ThunderError."""
    scene = context.scene
    is_there = strip.by_name(strip.scene_of_strips(context), name) is not None
    if (
        is_there
        and dialogue.speaker_of(scene, name) is None
        and not dialogue.is_silent(scene, name)
    ):
        dialogue.cast(scene, name, head.find(scene, head.active_object(context)).mesh)
    dialogue.speak(context, name)


# Of each scene, by its name: the session ids of the sounds that its strips had when they were first
# looked at.
_seen = session.add(Memory())


def newest_strip(context) -> str:
    """Name of the strip with the newest sound that came into the sequencer in this session and has
    neither speaker nor takes; "" for none.

    Pieces of other strips share their sound, so that they are not new. Quick: for every redraw.
    """
    scene = compat.sequencer_scene(context)
    strips = [each for each in strip.sound_strips(scene) if each.sound is not None]
    known_sounds = _seen.known.setdefault(scene.name, {each.sound.session_uid for each in strips})
    new_strips = [each for each in strips if each.sound.session_uid not in known_sounds]
    if not new_strips or not head.is_any_in(context.scene):
        return ""
    settings = context.scene.thunder
    known = {part.strip for part in settings.cast if part.silent or part.head is not None} | {
        entry.voice for entry in settings.takes
    }
    offered = [
        each for each in new_strips if each.name not in known and each.name != settings.voice
    ]
    return max(offered, key=lambda each: each.sound.session_uid).name if offered else ""
