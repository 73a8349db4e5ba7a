# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes, speakers and the chosen voice follow a strip that the animator renames; they know it by its name."""

from __future__ import annotations

import bpy

from ..host import compat, idle, jobs
from ..host.session import Part, session
from ..voice import fingerprint


def renamed(scene) -> dict[str, str]:
    """{name of a strip when its takes were made: its name now} of the strips that have a new name and are otherwise unchanged.

    A name that has takes already is left out: the lists of two voices are not joined.
    """
    if not (missing := _missing(scene)):
        return {}
    known, result = {entry.voice for entry in scene.thunder.takes}, {}
    for entry in scene.thunder.takes:
        if entry.voice not in missing or entry.voice in result:
            continue
        now = fingerprint.renamed(scene, fingerprint.of_take(entry))
        if now is not None and now.strip not in known and now.strip not in result.values():
            result[entry.voice] = now.strip
    return result


def follow(scene) -> dict[str, str]:
    """Call everything by the new names of `renamed`; returns them.

    Only the scene is changed: undo of the renaming restores it too, but not actions, which the animator did not change.
    """
    names, settings = renamed(scene), scene.thunder
    for entry in settings.takes:
        entry.voice = names.get(entry.voice, entry.voice)
    chosen = {part.strip for part in settings.cast}
    for place in reversed(range(len(settings.cast))):
        name = names.get(settings.cast[place].strip)
        if name in chosen:  # its speaker was chosen again under the new name
            settings.cast.remove(place)
        elif name is not None:
            settings.cast[place].strip = name
    settings.strip = names.get(settings.strip, settings.strip)
    return names


def _missing(scene) -> set[str]:
    """Names of strips that have takes and are no longer in the sequencer."""
    editor = scene.sequence_editor
    present = set() if editor is None else {each.name for each in compat.strips_all(editor)}
    return {entry.voice for entry in scene.thunder.takes} - present


class _Renames(Part):
    """The scene whose strips a panel saw renamed, because drawing must not change data."""

    def __init__(self):
        self.scene = ""
        self.task = idle.Task(self.step)

    def step(self) -> None:
        scene = bpy.data.scenes.get(self.scene)
        if scene is not None and follow(scene):
            jobs.redraw()

    def close(self) -> None:
        self.task.stop()


_renames = session.add(_Renames())


def follow_soon(scene) -> None:
    """Follow renamed strips of a scene shortly after, if there are any."""
    if renamed(scene):
        _renames.scene = scene.name
        _renames.task.start(0.0)
