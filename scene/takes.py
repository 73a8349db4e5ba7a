# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes of a scene: what enters it, what leaves it, which one is shown."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import bpy
import numpy as np

from ..thunder_core.errors import BadRequest, ThunderError
from . import compat, head, keying, memory, playing, showing, sources, work
from .resample import Clock
from .showing import actions_of
from .sources import is_edited

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_STEPS = 7
_OF_ITS_OWN = ("name", "action", "star", "hidden", "kind", "made")  # what a copy does not take over
LATEST = 2**31 - 1  # what an integer property holds


def add_to_list(scene, rig: head.Rig, actions: list, performance: keying.Performance, voice: str, clock: Clock,
                kind: str = "SAMPLED", name: str = ""):
    """Enter a keyed take in the scene's list, its source kept on its action; returns the entry.

    kind: of ThunderTake.  name: what the list calls it, made different from the others'; its seed if none is given.
    """
    frames = clock.scene_frames(performance.motion.frames)
    entry = scene.thunder.takes.add()
    entry.name = free_name(scene, name or str(performance.seed))
    entry.action = actions[0]
    for action in actions[1:]:
        entry.more.add().action = action
    entry.head, entry.voice = rig.mesh, voice
    entry.seed, entry.score = performance.seed, performance.score
    entry.kind, entry.made = kind, min(int(time.time()), LATEST)
    sources.store(actions[0], performance, clock, voice)
    entry.curve = bars(performance.opening)
    entry.first, entry.last = int(frames[0]), int(frames[-1])
    return entry


def free_name(scene, name: str) -> str:
    """A name, with a number behind it if a take is called so already."""
    taken = {entry.name for entry in scene.thunder.takes}
    return next(given for given in (name, *(f"{name}.{number}" for number in range(2, len(taken) + 3))) if given not in taken)


def _name_of_copy(scene, name: str) -> str:
    """7301 → 7301b, 7301b → 7301c, Warm → Warm b: short, since a list is narrow."""
    found = re.fullmatch(r"(.*\d)[b-z]|(.*) [b-z]", name)
    base = (found[1] or found[2]) if found else name
    taken = {entry.name for entry in scene.thunder.takes}
    named = (f"{base}{'' if base[-1:].isdigit() else ' '}{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    return next((given for given in named if given not in taken), None) or free_name(scene, f"{base} copy")


def name_action(entry, context) -> None:
    """An animator's name for a take becomes its actions' too: they are found by it in the dope sheet and when appended."""
    if not entry.name:
        entry.name = str(entry.seed)  # comes back here
        return
    for action in actions_of(entry):
        action.name = f"{entry.voice} · {entry.name}"


def is_replaceable(entry) -> bool:
    """Whether a take holds nothing of the animator's: its seed makes it again, no star, name, note or key was given to it."""
    return (entry.kind == "SAMPLED" and not entry.star and not entry.note and entry.name.partition(".")[0] == str(entry.seed)
            and not is_edited(entry))


def bars(opening: np.ndarray) -> str:
    """A mouth-opening curve as a few characters for a list."""
    pieces = np.array_split(np.asarray(opening, dtype=float), min(_CURVE_STEPS, len(opening)))
    tops = np.array([piece.max() for piece in pieces])
    level = np.round((tops - tops.min()) / max(np.ptp(tops), 1.0) * (len(_BARS) - 1)).astype(int)
    return "".join(_BARS[i] for i in level)


def forget_replaced(scene, rig: head.Rig, voice: str, kept: set[str]) -> Iterator[None]:
    """Drop earlier takes of the same voice on the same head, whose seeds can make them again, one at a time.

    A take that was edited, starred, named or noted, or that something else in the file uses, stays: in the list, or as
    an action.
    kept: names of the actions just made.
    """
    takes = scene.thunder.takes
    for index in reversed(range(len(takes))):
        if takes[index].action is None:
            takes.remove(index)
    earlier = [entry.action.name for entry in takes
               if entry.head == rig.mesh and entry.voice == voice and entry.action.name not in kept]
    for name in earlier:
        yield
        # Looked up anew: the animator may have changed the list meanwhile.
        index = next((i for i, entry in enumerate(takes) if entry.action is not None and entry.action.name == name), -1)
        if index < 0 or not is_replaceable(takes[index]) or showing.is_shown(rig, takes[index]):
            continue
        remove(scene, index)


def remove(scene, index: int) -> list[str]:
    """Take an entry off the list, and its actions out of the file; names of those that stay since something uses them.

    The take must not be shown.
    """
    actions = actions_of(scene.thunder.takes[index])
    scene.thunder.takes.remove(index)
    for remembered in (remembered for other in bpy.data.scenes for remembered in other.thunder.heads):
        if remembered.before in actions:
            remembered.before = None
    kept = [action.name for action in actions if action.users > int(action.use_fake_user)]
    for action in actions:
        if action.name not in kept:
            bpy.data.actions.remove(action)
    return kept


def delete(scene, indices: list[int]) -> list[str]:
    """Delete takes; of a shown one the head gets the animator's own animation back. Returns as `remove`."""
    kept = []
    for index in sorted(indices, reverse=True):
        entry = scene.thunder.takes[index]
        if entry.action is not None and entry.head is not None and _is_on(entry):
            showing.show_own(head.resolve(entry.head))
        kept += remove(scene, index)
    return kept


def duplicate(scene, index: int) -> int:
    """Copy a take with all that was made of it, edited keys included; the copy's place in the list, right after it.

    Raises BadRequest if its action was deleted.
    """
    entries = scene.thunder.takes
    if entries[index].action is None:
        raise BadRequest(f"The action of take “{entries[index].name}” was deleted: there is nothing to duplicate")
    name = _name_of_copy(scene, entries[index].name)
    copy = entries.add()
    original = entries[index]  # adding may have moved it
    copies = [action.copy() for action in actions_of(original)]
    for part in original.bl_rna.properties:  # whatever else is known of a take
        if not part.is_readonly and part.identifier not in _OF_ITS_OWN:
            setattr(copy, part.identifier, getattr(original, part.identifier))
    copy.action = copies[0]
    for action in copies:
        action.use_fake_user = True
        if action is not copies[0]:
            copy.more.add().action = action
    copy.name, copy.kind, copy.made = name, "DUPLICATED", min(int(time.time()), LATEST)
    entries.move(len(entries) - 1, index + 1)
    return index + 1


def unlisted(scene) -> list[bpy.types.Action]:
    """The first actions of takes that no scene of the file lists: appended from another file, or left by a list that is gone."""
    found = [action for action in bpy.data.actions if sources.SOURCE in action and action.library is None]
    if not found:
        return []
    listed = {action for other in bpy.data.scenes for entry in other.thunder.takes for action in actions_of(entry)}
    return [action for action in found if action not in listed]


def adopt(scene, rig: head.Rig) -> int:
    """List the takes that no scene lists, as takes of a rig; how many that are."""
    found = unlisted(scene)
    for action in found:
        performance, clock, about = sources.load(action), sources.clock_of(action), action[sources.SOURCE]
        more = [] if compat.HAS_SLOTS else [
            other for other in bpy.data.actions if other != action and other.name.startswith(f"{action.name} ")
            and keying.PROPERTY in other and sources.SOURCE not in other]
        frames = clock.scene_frames(performance.motion.frames)
        entry = scene.thunder.takes.add()
        entry.name = free_name(scene, str(performance.seed))
        entry.action, entry.head, entry.voice = action, rig.mesh, about.get("voice", "")
        for other in more:
            entry.more.add().action = other
        for part in (action, *more):
            part.use_fake_user = True
        entry.seed, entry.score, entry.curve = performance.seed, performance.score, bars(performance.opening)
        entry.first, entry.last = int(frames[0]), int(frames[-1])
        entry.made = min(int(time.time()), LATEST)
    return len(found)


def flip(scene, rig: head.Rig) -> str:
    """Show again what was on a head before: a take, or the animator's own animation. Its name; raises BadRequest."""
    remembered, shown = memory.of(rig.owner), showing.shown_action(rig)
    before = remembered.before if remembered is not None else None
    entry = next((entry for entry in scene.thunder.takes if before is not None and entry.action == before), None)
    if entry is not None:
        showing.show(rig, entry)
        return entry.name
    if shown is None:
        raise BadRequest("There is nothing to flip to yet: show a take first")
    showing.show_own(rig)
    return "My Animation"


def rig_of(scene, entry) -> head.Rig:
    """The rig that a take was made for. Raises BadHead when it is gone."""
    if entry.head is None or entry.head.name not in scene.objects:
        raise BadRequest(f"The head of take “{entry.name}” is no longer in this scene: generate takes for another head")
    return head.resolve(entry.head)


# ---- which one is shown


def shown_index(settings) -> int:
    """Index in the list of the take that is on its head now, −1 for none: what UIList highlights."""
    on = []
    for index, entry in enumerate(settings.takes):
        if entry.action is None or entry.head is None:
            continue
        kept = memory.of(head.owner_of(entry.head))
        if kept is not None and kept.shown == entry.action and _is_on(entry):
            on.append(index)
    if len(on) > 1:  # on several heads: that of the one meant now
        meant = chosen_mesh(bpy.context)
        on = [index for index in on if settings.takes[index].head == meant] or on
    return on[0] if on else -1


def shown_take(settings):
    """The take that is on its head now, None for none."""
    index = shown_index(settings)
    return settings.takes[index] if index >= 0 else None


def _is_on(entry) -> bool:
    try:
        return showing.is_shown(head.resolve(entry.head), entry)
    except ThunderError:
        return False


def shown_rig(settings) -> head.Rig | None:
    """The rig of the take that is on its head now."""
    entry = shown_take(settings)
    return head.resolve(entry.head) if entry is not None else None


def chosen_mesh(context):
    """Mesh of the head that the settings mean now, None when there is none."""
    try:
        return head.find(context.scene, context.object).mesh
    except ThunderError:
        return None


def show_index(settings, index: int) -> None:
    """Show the take at an index of the list (−1: the animator's own animation)."""
    scene = settings.id_data
    try:
        if 0 <= index < len(settings.takes):
            entry = settings.takes[index]
            showing.show(rig_of(scene, entry), entry)
            if settings.play_shown:
                playing.start(scene, entry.first)
        else:
            showing.show_own(shown_rig(settings) or head.find(scene))
    except ThunderError as error:
        if bpy.app.background:
            raise
        work.complain(str(error))
