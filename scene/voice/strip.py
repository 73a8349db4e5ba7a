# SPDX-License-Identifier: GPL-3.0-or-later
"""The voice in a scene: which sound strip it is, when it plays, why it cannot be used; and adding
sound."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, TYPE_CHECKING

import bpy

from ...thunder_core.animation.timing import Clock
from ...thunder_core.errors import attempt, BadSound, ThunderError
from ...thunder_core.files import not_a_file, reason_of
from ...thunder_core.types import LEAST_FPS, MOST_FPS
from ...thunder_core.wav import missing_end
from ..heads import head, head_state
from ..host import compat
from ..host.redraw import once
from . import fingerprint
from .fingerprint import State

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


LISTEN_MARK = "Thunder Listen"  # name of the add-on's strips, which are never used as a voice
# property of a strip that is muted only while generated speech is compared with it
FLIPPED = "thunder_flipped"
SHORTEST_SECONDS = 0.3


@dataclass(frozen=True)
class Voice:
    """The voice of takes: a strip of a scene's sequencer, or a sound file that starts at a frame.

    state: when the voice was looked up.  channel: of the sound, as in `channels`.
    """

    name: str
    scene: str
    state: State
    channel: int | None = None

    @property
    def strip(self) -> str:
        """Name of the strip, "" for a file."""
        return self.state.strip

    @property
    def path(self) -> str:
        """The file, "" for a strip."""
        return self.state.path

    @property
    def clock(self) -> Clock:
        """Scene frame of the first sample sent to the engine, and the scene's rate."""
        start = self.state.first if self.strip else self.state.origin
        return Clock(float(start), self.state.fps)

    @property
    def last(self) -> int | None:
        """The scene frame after the last one with sound; None for a file, whose length is not
        known."""
        return self.state.last if self.strip else None

    def state_in(self, scene: bpy.types.Scene) -> State | None:
        """What takes of a scene store of it; None where the strip is another scene's, which they do
        not follow."""
        return self.state if self.scene == scene.name else None


def choose_channel(scene: bpy.types.Scene, voice: Voice, channel: int | None) -> Voice:
    """The voice after its strip or file was given another channel."""
    number = fingerprint.AUTOMATIC if channel is None else channel
    if voice.strip:
        by_name(bpy.data.scenes[voice.scene], voice.strip)[fingerprint.CHANNEL] = number
    else:
        scene.thunder.file_channel = number
    return replace(voice, channel=channel, state=fingerprint.with_channel(voice.state, channel))


def has_channels(voice: Voice) -> bool:
    """Whether there is a channel to choose: not in a strip of a mono sound."""
    speaking = by_name(bpy.data.scenes.get(voice.scene), voice.strip)
    return speaking is None or speaking.sound.channels != "MONO"


@once
def sound_strips(scene: bpy.types.Scene) -> list:
    """The sound strips of a scene that may be a voice, those in metas included, in order of
    time."""
    if scene is None or scene.sequence_editor is None:
        return []
    result = [
        s
        for s in compat.strips_all(scene.sequence_editor)
        if s.type == "SOUND" and not s.name.startswith(LISTEN_MARK)
    ]
    return sorted(result, key=lambda strip: (compat.strip_span(strip)[0], strip.channel))


def active_sound(scene: bpy.types.Scene):
    """The active strip of a scene's sequencer if it may be a voice, else None."""
    active = None if scene.sequence_editor is None else scene.sequence_editor.active_strip
    return active if active is not None and active in sound_strips(scene) else None


def scene_of_strips(context: bpy.types.Context):
    """The scene whose sound strips may be the voice: the active one, else that of the sequencer."""
    shown = compat.sequencer_scene(context)
    return context.scene if shown == context.scene or sound_strips(context.scene) else shown


@once
def find(context: bpy.types.Context) -> Voice:
    """The voice chosen for the current head, else the active sound strip unless it is another
    head's, else one of the head's, or the only one that is not another's.

    Raises BadSound with the reason and what to do.
    """
    settings = context.scene.thunder
    if settings.source == "FILE":
        return of_file(context.scene, settings.sound_file)
    scene = scene_of_strips(context)
    everyones, spoken_strips = sound_strips(scene), []
    chosen, mesh = settings.voice, head.current(context)
    if settings.head_role == "LISTENS":
        strips = everyones = _strips_to_hear(context, everyones, chosen)
    else:
        spoken_strips = spoken_by(context.scene, mesh, everyones)
        taken = set() if mesh is None else _assigned(context.scene)
        strips = spoken_strips or [each for each in everyones if each.name not in taken]
    if chosen:
        strip = next((s for s in everyones if s.name == chosen), None)
        if strip is None:
            raise BadSound(
                f"The strip “{chosen}” is no longer in the sequencer: choose another voice"
            )
        return voice_of(scene, strip)
    if not everyones:
        raise BadSound(
            say_elsewhere(scene)
            or "There is no sound strip in the sequencer: add the dialogue there or choose a sound "
            "file"
        )
    active = scene.sequence_editor.active_strip
    if active in strips or (active in everyones and active.name not in _assigned(context.scene)):
        return voice_of(scene, active)
    # of a head's several lines, the current or the next one; quick where there are hundreds
    if spoken_strips:
        now = context.scene.frame_current
        ahead = (strip for strip in strips if compat.strip_span(strip)[1] > now)
        spoken = next(
            (
                strip
                for each in (ahead, reversed(strips))
                for strip in each
                if not _why_silent(scene, strip)
            ),
            strips[0],
        )
        return voice_of(scene, spoken)
    audible = [strip for strip in strips if not _why_silent(scene, strip)]
    if len(audible) != 1 and (active in everyones or not strips):
        name = (active if active in everyones else everyones[0]).name
        part = next(part for part in context.scene.thunder.cast if part.strip == name)
        assert mesh is not None  # or every strip could be its voice
        raise BadSound(
            f"{say_speaker(name, part.head)}, so “{mesh.name}” has no voice: choose a line in "
            f"Dialogue, or “{name}” in Thunder's first field to let “{mesh.name}” speak it"
        )
    if len(audible) > 1:
        raise BadSound(
            "There are several sound strips: choose one in Thunder's first field, or click it in "
            "the sequencer"
        )
    return voice_of(scene, audible[0] if audible else strips[0])


def current(context: bpy.types.Context) -> Voice | None:
    """The voice that `find` gives, None where it has a reason not to."""
    return attempt(find, context)[0]


def voice_of_take(context: bpy.types.Context, entry: ThunderTake) -> Voice:
    """The voice of a take, or the one of the settings if its strip is gone or there is no take
    (None).

    Raises BadSound.
    """
    for scene in (
        dict.fromkeys((context.scene, compat.sequencer_scene(context))) if entry is not None else ()
    ):
        speaking = by_name(scene, entry.voice)
        if speaking is not None and speaking.type == "SOUND":
            return of_strip(scene, speaking)
    return find(context)


def chosen_name(scene: bpy.types.Scene, mesh: bpy.types.Object | None) -> str:
    """Name of the strip that is chosen as the voice of a head, "" for none: the head's choice,
    else the scene's unless the head has others to speak, or another head speaks it."""
    settings = scene.thunder
    state = None if mesh is None else head_state.of(head.owner_of(mesh))
    if state is not None and state.is_property_set("voice"):
        return state.voice
    if settings.strip and role(scene, mesh) != "LISTENS":
        spoken_names = {each.name for each in spoken_by(scene, mesh, sound_strips(scene))}
        is_free = not spoken_names and (mesh is None or settings.strip not in _assigned(scene))
        return settings.strip if is_free or settings.strip in spoken_names else ""
    return settings.strip


def role(scene: bpy.types.Scene, mesh: bpy.types.Object | None) -> str:
    """What a head does with its voice, as ThunderHead.role: the head's choice, else the scene's."""
    state = None if mesh is None else head_state.of(head.owner_of(mesh))
    return state.role if state is not None and state.is_property_set("role") else scene.thunder.role


def spoken_by(scene: bpy.types.Scene, mesh: bpy.types.Object | None, strips: list) -> list:
    """The strips that a head speaks: those assigned to it; the scene's only head also speaks the
    unassigned ones."""
    given = {
        part.strip: part for part in scene.thunder.cast if part.silent or part.head is not None
    }
    spoken_names = {
        name for name, part in given.items() if part.head is not None and part.head == mesh
    }
    is_only = mesh is not None and len(head.in_scene(scene)) == 1
    return [
        strip
        for strip in strips
        if strip.name in spoken_names or (is_only and strip.name not in given)
    ]


def sound_name(strip: bpy.types.SoundStrip) -> str:
    """Name of a strip's sound file, which stays when the strip is renamed or cut; the strip's name
    if it has lost its sound."""
    sound = strip.sound
    return strip.name if sound is None else bpy.path.basename(sound.filepath) or sound.name


def _strips_to_hear(context: bpy.types.Context, strips: list, chosen: str) -> list:
    """The strips that the current head can listen to: those not assigned to it. Raises BadSound if
    there is none, or the chosen one is not among them."""
    mesh = head.current(context)
    spoken_names = {
        part.strip for part in context.scene.thunder.cast if mesh is not None and part.head == mesh
    }
    others = [strip for strip in strips if strip.name not in spoken_names]
    if mesh is not None and (chosen in spoken_names or (strips and not others)):
        raise BadSound(
            f"“{mesh.name}” speaks {f'“{chosen}”' if chosen else 'all sound strips'} and cannot "
            f"listen to it: choose another voice or another head"
        )
    return others


def _assigned(scene: bpy.types.Scene) -> set[str]:
    """Names of the strips that a head of the scene was chosen to speak, or none to."""
    return {
        part.strip
        for part in scene.thunder.cast
        if part.silent or (part.head and part.head.name in scene.objects)
    }


def say_speaker(name: str, speaker: bpy.types.Object | None) -> str:
    """The beginning of a sentence: which head, or none, was chosen to speak a strip."""
    return f"“{name}” is a line of “{speaker.name}”" if speaker else f"“{name}” has no speaker"


def keep_speaker(scene: bpy.types.Scene, name: str, mesh: bpy.types.Object) -> None:
    """Assign an unassigned strip to a head, so that it stays with it when others are added."""
    if by_name(scene, name) is not None and name not in _assigned(scene):
        part = (
            next((part for part in scene.thunder.cast if part.strip == name), None)
            or scene.thunder.cast.add()
        )
        part.strip, part.head = name, mesh


def voice_of(scene: bpy.types.Scene, strip: bpy.types.SoundStrip) -> Voice:
    """The spoken part of a strip: all that plays, or the part in the preview range if set."""
    voice = of_strip(scene, strip)
    if scene.thunder.only_preview and scene.use_preview_range:
        return part_of(voice, scene.frame_preview_start, scene.frame_preview_end + 1)
    return voice


def of_file(scene: bpy.types.Scene, path: str, start: float | None = None) -> Voice:
    """A sound file whose first sample plays at frame `start` (the scene's first by default)."""
    if not path:
        raise BadSound("No sound file is chosen: click the folder in Thunder's first field")
    absolute = bpy.path.abspath(path)
    if problem := not_a_file(absolute):
        raise BadSound(f"{problem}: choose another sound file")
    start = float(scene.frame_start if start is None else start)
    _check_rate(scene)
    return Voice(
        os.path.splitext(os.path.basename(absolute))[0], scene.name,
        fingerprint.of_sound_file(scene, absolute, start), fingerprint.channel_of(scene),
    )  # fmt: skip


def of_strip(scene: bpy.types.Scene, strip: bpy.types.SoundStrip) -> Voice:
    """A strip as it plays: from its left to its right handle. Raises BadSound if it does not play
    at all."""
    reason = _why_silent(scene, strip)
    if reason:
        raise BadSound(reason)
    sound = strip.sound
    if sound is None:
        raise BadSound(
            f"The strip “{strip.name}” has lost its sound: choose its file again in the sequencer"
        )
    if sound.packed_file is None and not_a_file(
        bpy.path.abspath(sound.filepath, library=sound.library)
    ):
        raise BadSound(
            f"The file of the strip “{strip.name}” is missing ({sound.filepath}): "
            "find it with File › External Data, or choose another voice"
        )
    if sound.samplerate == 0:
        raise BadSound(
            f"“{sound_name(strip)}” is not a sound that can be read: choose another voice"
        )
    first, last = compat.strip_span(strip)
    _check_rate(scene)
    state = fingerprint.of_strip(scene, strip)
    # Blender itself aborts when it mixes down a single frame.
    if last - first < 2 or (last - first) / state.fps < SHORTEST_SECONDS:
        raise BadSound(
            f"The strip “{strip.name}” is too short or empty: it needs {SHORTEST_SECONDS} s or more"
        )
    return Voice(strip.name, scene.name, state, fingerprint.channel_of(scene, strip))


def of_state(scene: bpy.types.Scene, now: State) -> Voice:
    """A voice as it plays now, from its first frame to its last. Raises BadSound."""
    if not now.strip:
        return of_file(scene, now.path, now.origin)
    member = by_name(scene, now.strip)
    if member is None:
        raise BadSound(
            f"The strip “{now.strip}” is no longer in the sequencer: choose another voice and "
            f"generate again"
        )
    return part_of(of_strip(scene, member), now.first, now.last)


def _check_rate(scene: bpy.types.Scene) -> None:
    """Raise BadSound at a rate at which a take would have no keys, or billions."""
    fps = Clock.of(scene, 0).fps
    if not LEAST_FPS <= fps <= MOST_FPS:
        raise BadSound(
            f"The scene “{scene.name}” has {fps:.3g} frames per second: set 1 to {MOST_FPS:g} in "
            f"its Output properties, such as 24"
        )


def file_of(voice: Voice) -> str:
    """The sound file that a voice is read from; "" if there is none or it is packed into the
    .blend."""
    if voice.path:
        return voice.path
    speaking = by_name(bpy.data.scenes.get(voice.scene), voice.strip)
    sound = None if speaking is None else speaking.sound
    return (
        ""
        if sound is None or sound.packed_file is not None
        else bpy.path.abspath(sound.filepath, library=sound.library)
    )


def warning(voice: Voice) -> str:
    """A sentence about the file of a voice that can be used but is shorter than it should be; ""
    for every other voice."""
    path = file_of(voice)
    return missing_end(path) if path else ""


def part_of(voice: Voice, first: int, last: int) -> Voice:
    """The part of a strip's voice from frame `first` up to `last`. Raises BadSound if nothing is
    left."""
    whole = voice.state
    start, end = max(int(voice.clock.start), first), min(whole.last, last)
    if end - start < 2 or (end - start) / voice.clock.fps < SHORTEST_SECONDS:
        raise BadSound(
            f"Too little of “{voice.name}” lies in the preview range: it needs {SHORTEST_SECONDS} "
            f"s or more"
        )
    limited = whole.limited or (start, end) != (whole.first, whole.last)
    return replace(voice, state=replace(whole, first=start, last=end, limited=limited))


def _why_silent(scene: bpy.types.Scene, strip: bpy.types.SoundStrip) -> str:
    """The reason why a strip does not play, as a sentence; "" if it does."""
    parents, inside = lineage(scene, strip)
    if strip.mute and FLIPPED not in strip:
        return f"The strip “{strip.name}” is muted: unmute it or choose another voice"
    for meta in parents:
        if meta.mute:
            return f"The strip “{strip.name}” is in the muted meta strip “{meta.name}”: unmute it"
    for holder, member in inside:
        channel = holder.channels[member.channel] if member.channel < len(holder.channels) else None
        if channel is not None and channel.mute:
            return (
                f"The channel of the strip “{strip.name}” is muted: unmute it or choose "
                f"another voice"
            )
    return ""


def elsewhere(scene: bpy.types.Scene, name: str = "") -> list:
    """The other scenes with sound strips, or with one of that name."""
    return [
        other
        for other in bpy.data.scenes
        if other != scene and any(name in ("", each.name) for each in sound_strips(other))
    ]


def say_elsewhere(scene: bpy.types.Scene, name: str = "") -> str:
    """The sentence that a scene lacks sound strips, or one of that name, which other scenes have;
    "" if none has."""
    scenes = elsewhere(scene, name)
    if not scenes:
        return ""
    what = f"The strip “{name}”" if name else "The dialogue"
    return (
        f"{what} is in the scene “{scenes[0].name}”, not in “{scene.name}”: copy it into this "
        f"scene's sequencer at the frame where it plays, or choose its sound file"
    )


def lineage(scene: bpy.types.Scene, strip: bpy.types.SoundStrip):
    """The meta strips that contain a strip, outermost first, and (what holds the channels, member)
    pairs."""
    parent = strip.parent_meta()
    parents: list[bpy.types.Strip] = []
    while parent is not None:
        parents.insert(0, parent)
        parent = parent.parent_meta()
    return parents, list(zip([scene.sequence_editor, *parents], [*parents, strip]))


def by_name(scene: bpy.types.Scene | None, name: str):
    """The strip of that name in a scene, or None."""
    if scene is None or scene.sequence_editor is None:
        return None
    return compat.strips_all(scene.sequence_editor).get(name)


# ---- putting sound in


def free_frame(scene: bpy.types.Scene) -> int:
    """The scene frame for a new sound: the scene's first if there is no other, else the playhead,
    or after the last sound if one plays there."""
    spans = [compat.strip_span(strip) for strip in sound_strips(scene)]
    if not spans:
        return scene.frame_start
    now = scene.frame_current
    return max(end for _, end in spans) if any(first <= now < end for first, end in spans) else now


def add(
    scene: bpy.types.Scene,
    path: str,
    name: str,
    start: int,
    span: tuple[int, int] | None = None,
    above: int = 0,
):
    """A new sound strip in a scene whose content begins at frame `start`, on the lowest channel
    above `above` that is free for all of it.

    span: the first frame that plays and the one after the last; None for all.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    members = compat.strips(editor)
    strip = members.new_sound(name, path, 1, start)
    compat.show_in_sequencer(scene)
    if span is not None:
        compat.trim(strip, *span)
    first, last = compat.strip_span(strip)
    spans = [(other.channel, compat.strip_span(other)) for other in members if other != strip]
    used = {channel for channel, (begin, end) in spans if begin < last and end > first}
    # new_sound moves an overlapping strip upwards; its channel is chosen here instead.
    strip.channel = next(number for number in range(above + 1, 129) if number not in used)
    if compat.content_start(strip) != start:
        move(strip, start)
    return strip


def add_voice(scene: bpy.types.Scene, path: str, name: str, start: int):
    """As `add` with a sound that can be a voice; lets the scene play all of it in sync. Raises
    BadSound, and then nothing was added."""
    added = None
    try:
        added = add(scene, path, name, start)
        voice = of_strip(scene, added)
    except (ThunderError, RuntimeError) as error:
        if added is not None:
            remove(scene, added)
        raise BadSound(reason_of(error)) from error
    scene.frame_end = max(scene.frame_end, voice.state.last)
    scene.sync_mode = "AUDIO_SYNC"  # so that the sound is in sync with the lips
    return added


def remove(scene: bpy.types.Scene, strip: Any) -> None:
    """Take a sound strip out of a scene, and its sound out of the file if nothing else uses it."""
    sound, editor = strip.sound, scene.sequence_editor
    assert editor is not None  # which holds the strip
    compat.strips(editor).remove(strip)
    if sound is not None and not sound.users:
        bpy.data.sounds.remove(sound)


def move(strip: bpy.types.Strip, start: float) -> None:
    """Let the content of a strip begin at a scene frame, fraction included."""
    setattr(strip, "content_start" if hasattr(strip, "content_start") else "frame_start", start)


def has_audio() -> bool:
    """Whether this Blender was built with sound (the 4.2 wheel of the bpy module was not)."""
    return bpy.app.build_options.audaspace  # type: ignore[attr-defined]
