# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialogue of a scene with several heads: speakers of strips, takes for all of them at once,
and what follows a strip that the animator renames or cuts."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ...thunder_core.animation.commit import line_records
from ...thunder_core.client import Client
from ...thunder_core.errors import (
    attempt,
    BadHead,
    BadSound,
    Cancelled,
    NoEngine,
    ThunderError,
    WorkerDied,
)
from ...thunder_core.files import not_a_file
from ...thunder_core.progress import map_progress
from ..animation import display
from ..heads import head
from ..host import compat, jobs
from ..host.redraw import once
from ..voice import changes, fingerprint, strip
from . import grades, seeds, take_list, transcript, word_places
from .generation import How, perform, TakeCollector

if TYPE_CHECKING:
    from ..properties.settings import ThunderScene


@dataclass(frozen=True)
class Line:
    """A strip of the dialogue.

    speaker: object that represents the speaking head, None for no speaker.  why_not: the reason why
    it cannot be spoken, one sentence, "" if it can.
    """

    strip: str
    speaker: bpy.types.Object | None
    why_not: str


def cast(scene: bpy.types.Scene, name: str, speaker: bpy.types.Object | None) -> None:
    """Set the head that speaks the strip of that name; None: no head does."""
    row = (
        next((part for part in scene.thunder.cast if part.strip == name), None)
        or scene.thunder.cast.add()
    )
    row.strip, row.head, row.silent = name, speaker, speaker is None
    owner = None if speaker is None else head.owner_of(speaker)
    for state in scene.thunder.heads:
        if state.voice == name and state.object != owner and state.role == "SPEAKS":
            state.property_unset("voice")


def speaker_of(
    scene: bpy.types.Scene, name: str, heads: list | None = None
) -> bpy.types.Object | None:
    """The head that speaks a strip: the one it was given to, else the scene's only one (of `heads`,
    all of the scene's)."""
    part = next((part for part in scene.thunder.cast if part.strip == name), None)
    if part is not None and (part.silent or part.head is not None):
        return part.head if part.head is not None and part.head.name in scene.objects else None
    heads = head.in_scene(scene) if heads is None else heads
    return heads[0] if len(heads) == 1 else None


def say_listens(
    scene: bpy.types.Scene, mesh: bpy.types.Object, name: str, heads: list | None = None
) -> str:
    """That a head listens to the voice of that name: one that another speaks, or by its role one
    that nobody was chosen to speak; "" if it does not. heads: as of `speaker_of`."""
    if any(part.strip == name and part.head == mesh for part in scene.thunder.cast):
        return ""  # whatever it does with other voices
    speaker = speaker_of(scene, name, heads)
    if speaker not in (None, mesh):
        return f"“{speaker.name}” speaks “{name}”: a head that listens has no Lip-Sync"
    if strip.role(scene, mesh) == "LISTENS":
        return f"“{mesh.name}” listens to “{name}”: a head that listens has no Lip-Sync"
    return ""


def why_silent(scene: bpy.types.Scene, mesh: bpy.types.Object, name: str) -> str:
    """The reason why lips of a head say nothing of the voice of that name, "" if they may: the take
    that it shows of it does not speak, or the head listens to it. Quick: for panels."""
    entry = take_list.on_head(scene, mesh)
    if entry is not None and entry.voice == name:
        return take_list.why_silent(entry)
    return say_listens(scene, mesh, name)


def is_silent(scene: bpy.types.Scene, name: str) -> bool:
    """Whether the animator marked a strip as not spoken: music, footsteps."""
    return any(part.strip == name and part.silent for part in scene.thunder.cast)


@once
def lines(scene: bpy.types.Scene) -> list[Line]:
    """The dialogue of a scene in order of time, without strips that are not spoken."""
    heads, listed = head.in_scene(scene), []
    for each in strip.sound_strips(scene):
        if is_silent(scene, each.name):
            continue
        speaker = speaker_of(scene, each.name, heads)
        if speaker is not None:
            why = say_listens(scene, speaker, each.name, heads)
            why = why or attempt(strip.voice_of, scene, each)[1]
        elif heads:
            why = f"Choose who speaks “{each.name}”"
        else:
            why = "There is no head in this scene: add one"
        listed.append(Line(each.name, speaker, why))
    return listed


def speaks(scene: bpy.types.Scene, name: str, speaker: bpy.types.Object) -> bool:
    """Whether a head speaks a strip."""
    return any((line.strip, line.speaker) == (name, speaker) for line in lines(scene))


def silence(scene: bpy.types.Scene, name: str, former: bpy.types.Object) -> str:
    """Give a head its own animation back if it plays a take with which it speaks a strip; a
    sentence on that, "" if it plays none."""
    entry = take_list.on_head(scene, former)
    if entry is None or entry.voice != name or take_list.listens(entry):
        return ""
    display.restore_animation(head.resolve(former))
    return f"“{former.name}” no longer plays “{entry.name}” of “{name}”"


def takes_of(scene: bpy.types.Scene, name: str, speaker: bpy.types.Object | None) -> Iterator:
    """The takes with which a head speaks a strip, and which fit the strip as it is."""
    return (
        entry
        for entry in take_list.of_line(scene, speaker, name)
        if not take_list.listens(entry)
        and entry.action is not None
        and ((changed := changes.change(scene, entry)) is None or changed.kind != "CHANGED")
    )


def has_takes(scene: bpy.types.Scene, name: str, speaker: bpy.types.Object | None) -> bool:
    """Whether there are any."""
    return any(True for _ in takes_of(scene, name, speaker))


def select(context: bpy.types.Context, name: str) -> None:
    """Make a strip of the dialogue the voice and who speaks it the head, selected in their editors
    too."""
    scene = context.scene
    settings, chosen, speaker = scene.thunder, strip.by_name(scene, name), speaker_of(scene, name)
    if chosen is not None:
        for other in strip.sound_strips(scene):
            other.select = other == chosen
        scene.sequence_editor.active_strip = chosen
    if speaker is None:  # no speaker: there is no voice to choose
        return
    if context.mode == "OBJECT" and speaker.name in context.view_layer.objects:
        for other in context.view_layer.objects.selected:
            other.select_set(False)
        if speaker.visible_get():
            speaker.select_set(True)
        context.view_layer.objects.active = speaker
    if settings.head is not None or head.guess(scene, context.view_layer.objects.active) != speaker:
        settings.head = speaker
    settings.head_role = "SPEAKS"
    voice, _ = attempt(strip.find, context)
    # an empty field keeps following the active strip
    if settings.voice or voice is None or voice.name != name:
        settings.voice = name


def chosen_strip(context: bpy.types.Context) -> str:
    """Name of the strip that is the voice now, "" for none."""
    voice, _ = attempt(strip.find, context)
    return "" if voice is None else voice.strip


def say_passed_over(context: bpy.types.Context, voice: strip.Voice) -> str:
    """A sentence where the active strip is a line of another head, so that it is not the voice; ""
    elsewhere."""
    settings = context.scene.thunder
    active = strip.active_sound(strip.scene_of_strips(context))
    if settings.source == "FILE" or settings.voice or settings.head_role == "LISTENS":
        return ""
    is_other = active is not None and active.name != voice.strip
    speaker = speaker_of(context.scene, active.name) if is_other else None
    if speaker is None:
        return ""
    return (
        f"{strip.say_speaker(active.name, speaker)}, so the voice is “{voice.name}”: choose "
        f"“{active.name}” in Dialogue to change both"
    )


def chosen_index(settings: ThunderScene) -> int:
    """Index, among all strips of the sequencer, of the current voice, which the dialogue list
    highlights; −1 for none."""
    scene = settings.id_data
    if scene != bpy.context.scene or scene.sequence_editor is None:
        return -1
    name = chosen_strip(bpy.context)
    return next(
        (
            index
            for index, each in enumerate(compat.strips_all(scene.sequence_editor))
            if each.name == name
        ),
        -1,
    )


def choose_index(settings: ThunderScene, index: int) -> None:
    """Select the strip at an index among all strips of the sequencer, as `select`."""
    scene = settings.id_data
    strips = compat.strips_all(scene.sequence_editor) if scene.sequence_editor is not None else ()
    if bpy.context.scene == scene and 0 <= index < len(strips):
        select(bpy.context, strips[index].name)


def lines_to_generate(scene: bpy.types.Scene) -> list[Line]:
    """The lines that can be spoken and have no fitting takes yet, nor has the strip that they were
    cut off."""
    return [
        line
        for line in _without_takes(scene)
        if not take_list.piece_of(scene, line.strip, line.speaker)
    ]


def say_pieces(scene: bpy.types.Scene) -> list[str]:
    """A sentence for each line without takes that is included in those of the strip it was cut
    off."""
    pieces = ((line.strip, line.speaker) for line in _without_takes(scene))
    return [
        f"“{name}” was cut off “{whole}”, whose takes include it: use Re-sync if it was moved"
        for name, speaker in pieces
        if (whole := take_list.piece_of(scene, name, speaker))
    ]


def why_none(scene: bpy.types.Scene) -> str:
    """The reason why no line is `lines_to_generate`, and what to do about it."""
    listed = lines(scene)
    if not listed:
        return (
            "There is no sound strip with a speaker: add the dialogue to the sequencer, or choose "
            "a speaker"
        )
    reasons = [line.why_not for line in listed if line.why_not] or say_pieces(scene)
    return next(
        iter(reasons),
        "All dialogue strips have takes that match them: press Generate Takes for more of the "
        "chosen one",
    )


@once
def _without_takes(scene: bpy.types.Scene) -> list[Line]:
    return [
        line
        for line in lines(scene)
        if not line.why_not and not has_takes(scene, line.strip, line.speaker)
    ]


def warnings(scene: bpy.types.Scene, todo: list[Line]) -> list[str]:
    """A sentence for each sound file of the lines that is shorter than it should be."""
    voices = [strip.of_strip(scene, strip.by_name(scene, line.strip)) for line in todo]
    return list(dict.fromkeys(filter(None, map(strip.warning, voices))))


def generate(
    client: Client, scene: bpy.types.Scene, todo: list[Line], how: How
) -> Generator[jobs.Step, None, list[str]]:
    """Steps that sample takes for lines, one after the other, from the scene's seed or that of each
    head.

    how: of each line. A line that fails is left out and the others continue; returns a sentence for
    each failure. Raises ThunderError only if no line can continue.
    """
    scene_name, left_out = scene.name, []
    lines_of = [(line.strip, line.speaker.name) for line in todo]
    # closed at the end: those of earlier lines list their takes again after an undo
    with ExitStack() as all_complete:
        for number, (name, mesh_name) in enumerate(lines_of):
            which = f"Strip {number + 1} of {len(todo)}"
            scene = bpy.data.scenes.get(scene_name)
            if scene is None:
                raise BadHead("The scene was removed during generation: generate again")
            try:
                sound = strip.by_name(scene, name)
                if sound is None:
                    raise BadSound(f"The strip “{name}” is no longer in the sequencer")
                voice = strip.voice_of(scene, sound)
                _, rig = head.look_up(scene_name, mesh_name)
                # a head keeps showing the first of its lines
                show = mesh_name not in {mesh for _, mesh in lines_of[:number]}
                of_line = replace(
                    how, seed=seeds.with_first, said=[],
                    collector=partial(TakeCollector, show=show),
                )  # fmt: skip
                yield from map_progress(
                    perform(client, scene, rig, voice, of_line, all_complete),
                    lambda step: replace(
                        step,
                        fraction=(number + step.fraction) / len(todo),
                        message=f"{which}: {step.message[:1].lower()}{step.message[1:]}",
                    ),
                )
                how.said.extend(f"“{name}”: {sentence}" for sentence in of_line.said)
            except (Cancelled, NoEngine, WorkerDied):
                raise
            except ThunderError as error:
                left_out.append(str(error))
                yield jobs.Step((number + 1) / len(todo), f"“{name}” is skipped")
    if len(left_out) == len(todo):
        raise BadSound("\n".join(left_out))
    return left_out


def renamed_strips(scene: bpy.types.Scene) -> dict[str, str]:
    """{name of a strip when its takes were made: its name now} of the strips that have a new name,
    and of those of which a piece is left.

    A name that has takes already is left out: the lists of two voices are not joined.
    """
    editor = scene.sequence_editor
    present = set() if editor is None else {each.name for each in compat.strips_all(editor)}
    known, result = take_list.voices(scene), {}
    missing = known - present
    for entry in scene.thunder.takes if missing else ():
        if entry.voice in missing - result.keys():
            names = known | set(result.values())
            now = changes.find_renamed(scene, fingerprint.of_take(entry), names)
            if now is not None:
                result[entry.voice] = now.strip
    return result


def cut_pieces(scene: bpy.types.Scene) -> dict[str, str]:
    """{name of a strip for which no speaker was chosen: name of the strip that it was cut off,
    which has one}."""
    chosen, result = _with_speaker(scene), {}
    strips = strip.sound_strips(scene) if chosen else ()
    known = [each for each in strips if each.name in chosen]
    for each in strips:
        wholes = (other for other in known if changes.is_cut_off(scene, each, other))
        if each.name not in chosen and (whole := next(wholes, None)) is not None:
            result[each.name] = whole.name
    return result


def _with_speaker(scene: bpy.types.Scene) -> set[str]:
    """Names of the strips for which a speaker was chosen, or that nobody speaks."""
    return {part.strip for part in scene.thunder.cast if part.silent or part.head is not None}


def cut_texts(scene: bpy.types.Scene) -> dict[str, list[fingerprint.State]]:
    """{name of a strip whose words are known: its pieces that have no transcript yet, and itself};
    not of pieces that its takes still play."""
    strips, result = {each.name: each for each in strip.sound_strips(scene)}, {}
    known = {record.voice for record in scene.thunder_transcripts if not record.is_empty}
    new = [each for name, each in strips.items() if name not in known]
    for record in scene.thunder_transcripts if new else ():
        whole = strips.get(record.voice)
        if whole is None or not record.version:
            continue
        of_one_sound = (each for each in new if each.sound == whole.sound)
        apart = (each for each in of_one_sound if _is_apart(scene, each, whole))
        states = (fingerprint.of_strip(scene, each) for each in apart)
        pieces = [state for state in states if any(transcript.words_in(record, state))]
        if pieces:
            result[record.voice] = [*pieces, fingerprint.of_strip(scene, whole)]
    return result


def _is_apart(
    scene: bpy.types.Scene, one: bpy.types.SoundStrip, whole: bpy.types.SoundStrip
) -> bool:
    """Whether a strip was cut off another one, whose takes do not play it."""
    takes = {  # one of each state
        entry.action.get(fingerprint.STATE): entry
        for entry in scene.thunder.takes
        if entry.voice == whole.name and entry.action is not None
    }
    if not takes:
        return changes.is_cut_off(scene, one, whole)
    parts = {changes.part_of(scene, fingerprint.of_take(each), one) for each in takes.values()}
    return "CUT_AWAY" in parts and "PLAYED" not in parts


def follow(scene: bpy.types.Scene) -> dict[str, str]:
    """Call everything by the new names of `renamed_strips`, and let `cut_pieces` keep their
    speaker and `cut_texts` their words; returns the new names."""
    names, settings = renamed_strips(scene), scene.thunder
    for entry in settings.takes:
        if entry.voice in names:
            entry.voice = names[entry.voice]
            take_list.name_action(entry, bpy.context)
    chosen = {part.strip for part in settings.cast}
    for part in settings.cast:
        # unless its speaker was chosen again under the new name
        if part.strip in names and names[part.strip] not in chosen:
            part.strip = names[part.strip]
    for action in bpy.data.actions if names else ():
        if action.library is None:
            line_records.rename_lines(action, names)
    for record in scene.thunder_transcripts:
        now = names.get(record.voice, record.voice)
        if transcript.of(scene, now) is None:  # a piece has its own
            record.voice = now
    settings.strip = names.get(settings.strip, settings.strip)
    for state in settings.heads:
        if state.voice in names:
            state.voice = names[state.voice]
    for name, other in cut_pieces(scene).items():
        cast(scene, name, speaker_of(scene, other))
    for name, pieces in cut_texts(scene).items():
        before = transcript.text_of(scene, name)
        word_places.share_words(scene, name, pieces)
        for entry in (each for each in settings.takes if each.voice == name and each.action):
            grades.replace_scored_text(entry, before, transcript.text_of(scene, name))
    return names


def _follow(name: str) -> None:
    if (scene := bpy.data.scenes.get(name)) is not None:
        follow(scene)
        jobs.redraw()


_follow_soon = jobs.Task(lambda: None)  # drawing must not change data


def follow_soon(scene: bpy.types.Scene) -> None:
    """Follow renamed and cut strips of a scene shortly after, if there are any."""
    if renamed_strips(scene) or cut_pieces(scene) or cut_texts(scene):
        _follow_soon.step = partial(_follow, scene.name)
        _follow_soon.start(0.0)


def add_sounds(context: bpy.types.Context, paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Add sound files to the sequencer, one after the other from the playhead on, as lines of the
    heads in turn, beginning with the chosen one, and choose the first as the voice.

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
    heads, first = head.in_scene(scene), head.current(context)
    start = heads.index(first) if first in heads else 0
    for path, speaker in zip(paths, itertools.cycle([*heads[start:], *heads[:start]] or [None])):
        try:
            if problem := not_a_file(path):
                raise BadSound(f"{problem}: choose another sound file")
            new = strip.add_voice(scene, path, Path(path).stem, frame)
        except ThunderError as error:
            left_out.append(str(error))
            continue
        _, frame = compat.strip_span(new)
        added.append(new.name)
        if speaker is not None:
            cast(scene, new.name, speaker)
    if not added:
        raise BadSound("\n".join(left_out) or "No sound file was chosen: choose one")
    scene.thunder.source = "STRIP"
    select(context, added[0])
    return added, left_out


# ---- strips that the animator adds in the sequencer


def choose_strip(context: bpy.types.Context, name: str) -> None:
    """Make a strip the voice of its speaker, or of the chosen head if it has none, as `select`.
    Raises ThunderError if nobody speaks it, or it cannot be heard."""
    scene, strips = context.scene, strip.scene_of_strips(context)
    if (sound := strip.by_name(strips, name)) is None:
        raise BadSound(f"The strip “{name}” is no longer in the sequencer: choose another")
    if is_silent(scene, name):
        raise BadHead(f"Nobody speaks “{name}”: choose a speaker, or add a head")
    if speaker_of(scene, name) is None:
        cast(scene, name, head.find(scene, head.active_object(context)).mesh)
    strip.voice_of(strips, sound)
    scene.thunder.source = "STRIP"
    select(context, name)


# Of each scene, by its name: the session ids of the sounds that its strips had when they were first
# looked at.
_seen = jobs.session.add(jobs.Memory())


def newest_strip(context: bpy.types.Context) -> str:
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
    known = _with_speaker(context.scene) | take_list.voices(context.scene)
    known.add(context.scene.thunder.voice)
    offered = [each for each in new_strips if each.name not in known]
    return max(offered, key=lambda each: each.sound.session_uid).name if offered else ""
