# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes, speakers and the chosen voice follow a strip that the animator renames or cuts; they know
it by its name."""

import bpy

from ..host import compat, idle, jobs
from ..host.session import Part, session
from ..voice import fingerprint, strip
from . import take_list


def renamed_strips(scene) -> dict[str, str]:
    """{name of a strip when its takes were made: its name now} of the strips that have a new name,
    and of those of which a piece is left.

    A name that has takes already is left out: the lists of two voices are not joined.
    """
    editor = scene.sequence_editor
    present = set() if editor is None else {each.name for each in compat.strips_all(editor)}
    known, result = {entry.voice for entry in scene.thunder.takes}, {}
    missing = known - present
    for entry in scene.thunder.takes:
        if entry.voice not in missing or entry.voice in result:
            continue
        now = fingerprint.find_renamed(
            scene, fingerprint.of_take(entry), known | set(result.values())
        )
        if now is not None:
            result[entry.voice] = now.strip
    return result


def cut_pieces(scene) -> dict[str, str]:
    """{name of a strip for which no speaker was chosen: name of the strip that it was cut off,
    which has one}."""
    chosen = {part.strip for part in scene.thunder.cast if part.silent or part.head is not None}
    if not chosen:
        return {}
    strips, result = strip.sound_strips(scene), {}
    known = [each for each in strips if each.name in chosen]
    for each in strips:
        if (
            each.name not in chosen
            and (other := next((k for k in known if fingerprint.is_cut_off(scene, each, k)), None))
            is not None
        ):
            result[each.name] = other.name
    return result


def follow(scene) -> dict[str, str]:
    """Call everything by the new names of `renamed_strips`, and let `cut_pieces` keep their
    speaker; returns the new names.

    Undo of the renaming restores the scene, but not the actions, which the animator did not change:
    they are called by the restored name when this is run next.
    """
    names, settings = renamed_strips(scene), scene.thunder
    for entry in settings.takes:
        entry.voice = names.get(entry.voice, entry.voice)
    chosen = {part.strip for part in settings.cast}
    for place in reversed(range(len(settings.cast))):
        name = names.get(settings.cast[place].strip)
        if name in chosen:  # its speaker was chosen again under the new name
            settings.cast.remove(place)
        elif name is not None:
            settings.cast[place].strip = name
    for record in scene.thunder_transcripts:
        record.voice = names.get(record.voice, record.voice)
    settings.strip = names.get(settings.strip, settings.strip)
    for state in settings.heads:
        if state.voice in names:
            state.voice = names[state.voice]
    for name, other in cut_pieces(scene).items():
        source = next(part for part in settings.cast if part.strip == other)
        part = (
            next((part for part in settings.cast if part.strip == name), None)
            or settings.cast.add()
        )
        part.strip, part.head, part.silent = name, source.head, source.silent
    for entry in settings.takes:
        if take_list.is_misnamed(entry):
            take_list.name_action(entry, bpy.context)
    return names


class _Renames(Part):
    """The scene whose strips a panel saw renamed, because drawing must not change data."""

    scene = ""

    def step(self) -> None:
        scene = bpy.data.scenes.get(self.scene)
        if scene is not None:
            follow(scene)
            jobs.redraw()


_renames = session.add(_Renames())
_follow_renames = idle.Task(_renames.step)


def follow_soon(scene) -> None:
    """Follow renamed and cut strips of a scene shortly after, if there are any."""
    if (
        renamed_strips(scene)
        or cut_pieces(scene)
        or any(map(take_list.is_misnamed, scene.thunder.takes))
    ):
        _renames.scene = scene.name
        _follow_renames.start(0.0)
