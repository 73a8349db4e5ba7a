# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the lines committed to the animation of a head; fast enough for every redraw."""

from ....thunder_core.animation.commit import line_names
from ....thunder_core.errors import attempt
from ...animation import display
from ...heads import head
from .. import take_list
from .choice import chosen


def _lines(rig: head.Rig, muted: bool) -> list:
    """The lines in the animator's own animation of a head: its action, also while a take is shown, and NLA strips, or those not muted."""
    animations = [target.animation_data for target in rig.targets if target.animation_data is not None]
    actions = display.own_actions(rig) if display.shown_action(rig) is not None else [animation.action for animation in animations]
    tracks = [track for animation in animations for track in animation.nla_tracks if muted or not track.mute]
    played = [strip.action for track in tracks for strip in track.strips if muted or not strip.mute]
    known = (line_names.of(action) for action in dict.fromkeys(filter(None, [*actions, *played])))
    return [line for lines in known if lines is not None for line in lines.lines]


def committed_to(mesh) -> set[str]:
    """Names of the lines in the animator's own animation of a head."""
    rig, _ = attempt(head.resolve, mesh)
    return set() if rig is None else {line.name for line in _lines(rig, muted=True)}


def is_committed(scene, mesh, entry) -> bool:
    """Whether the animation of a head has a take's line on the frames and with the regions that the Commit settings choose.

    A line whose take is shown is not: the animator has chosen what to commit. Into a new action every line has to go. Raises ThunderError.
    """
    rig, choice = head.resolve(mesh), chosen(scene, entry)
    if entry.action == display.shown_action(rig) or choice.to == "NEW":
        return False
    place = entry.voice, choice.first, choice.last
    here = [line for line in _lines(rig, muted=False) if (line.name, line.first, line.last) == place]
    return any(not line.regions or choice.regions <= line.regions for line in here)


def why_none(context) -> str:
    """The reason why there is nothing to commit if no take is shown: one line if it was already committed."""
    mesh = take_list.chosen_mesh(context)
    if mesh is not None and take_list.on_head(context.scene, mesh) is None and committed_to(mesh):
        return "Committed: choose a take to commit again"
    return take_list.why_none(context)
