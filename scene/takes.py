# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes of a scene: what enters it, what leaves it, which one is shown."""

from __future__ import annotations

import bpy
import numpy as np

from ..thunder_core.errors import BadRequest, ThunderError
from . import head, keying, showing
from .resample import Clock
from .showing import actions_of

_BARS = "▁▂▃▄▅▆▇█"
_CURVE_STEPS = 7


def add_to_list(scene, rig: head.Rig, actions: list, performance: keying.Performance, voice: str, clock: Clock):
    """Enter a keyed take in the scene's list; returns the entry."""
    frames = clock.scene_frames(performance.motion.frames)
    entry = scene.thunder.takes.add()
    entry.name = actions[0].name
    entry.action = actions[0]
    entry.key_action = actions[1] if len(actions) > 1 else None
    entry.head, entry.voice = rig.mesh, voice
    entry.seed, entry.score = performance.seed, performance.score
    entry.curve = bars(performance.opening)
    entry.first, entry.last = int(frames[0]), int(frames[-1])
    return entry


def bars(opening: np.ndarray) -> str:
    """A mouth-opening curve as a few characters for a list."""
    pieces = np.array_split(np.asarray(opening, dtype=float), min(_CURVE_STEPS, len(opening)))
    tops = np.array([piece.max() for piece in pieces])
    level = np.round((tops - tops.min()) / max(np.ptp(tops), 1.0) * (len(_BARS) - 1)).astype(int)
    return "".join(_BARS[i] for i in level)


def is_edited(entry) -> bool:
    """Whether the animator changed the keys of a take since it was made."""
    return any(action.get(keying.PROPERTY) is None or action[keying.PROPERTY].get("checksum") != keying.checksum(action)
               for action in actions_of(entry))


def forget_replaced(scene, rig: head.Rig, voice: str, kept: set[str]) -> None:
    """Drop earlier takes of the same voice on the same head, whose seeds can make them again.

    A take that was edited, or that something else in the file uses, stays: in the list, or as an action.
    kept: names of the actions just made.
    """
    takes = scene.thunder.takes
    for index in reversed(range(len(takes))):
        entry = takes[index]
        if entry.action is None:
            takes.remove(index)
        elif entry.head == rig.mesh and entry.voice == voice and entry.action.name not in kept:
            if is_edited(entry) or showing.is_shown(rig, entry):
                continue
            actions = actions_of(entry)
            takes.remove(index)
            for action in actions:
                if action.users <= int(action.use_fake_user):
                    bpy.data.actions.remove(action)


def rig_of(scene, entry) -> head.Rig:
    """The rig that a take was made for. Raises BadHead when it is gone."""
    if entry.head is None or entry.head.name not in scene.objects:
        raise BadRequest(f"The head of “{entry.name}” is no longer in this scene: generate takes for another head")
    return head.resolve(entry.head)


# ---- which one is shown


def shown_index(settings) -> int:
    """Index in the list of the take that is on its head now, −1 for none: what UIList highlights."""
    for index, entry in enumerate(settings.takes):
        if entry.action is None or entry.head is None:
            continue
        owner = head.armature_of(entry.head) or entry.head
        target = owner if owner is not entry.head else entry.head.data.shape_keys
        animation = target.animation_data if target is not None else None
        if owner.thunder.shown == entry.action and animation is not None and animation.action == entry.action:
            return index
    return -1


def shown_rig(settings) -> head.Rig | None:
    """The rig of the take that is on its head now."""
    index = shown_index(settings)
    return head.resolve(settings.takes[index].head) if index >= 0 else None


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
        else:
            showing.show_own(shown_rig(settings) or head.find(scene))
    except ThunderError as error:
        message = str(error)
        if not bpy.app.background:
            bpy.context.window_manager.popup_menu(
                lambda menu, context: menu.layout.label(text=message), title="Thunder", icon="ERROR")
        else:
            raise
