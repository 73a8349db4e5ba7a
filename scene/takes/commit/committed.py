# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the lines committed to the animation of a head; fast enough for every redraw."""

from ....thunder_core.animation.commit import line_records
from ....thunder_core.errors import ThunderError
from ...animation import display
from ...heads import head
from .. import take_list


def committed_to(mesh) -> set[str]:
    """Names of the lines in the animator's own animation of a head: its action, NLA strips, and what waits while a take is shown."""
    try:
        rig = head.resolve(mesh)
    except ThunderError:
        return set()
    actions = list(display.own_actions(rig)) if display.shown_action(rig) is not None else []  # remembered only for as long
    for target in rig.targets:
        if (animation := target.animation_data) is not None:
            actions += [animation.action, *(strip.action for track in animation.nla_tracks for strip in track.strips)]
    known = (line_records.lines_of(action) for action in dict.fromkeys(actions) if action is not None)
    return {line.name for lines in known if lines is not None for line in lines.lines}


def why_none(context) -> str:
    """The reason why there is nothing to commit if no take is shown: one line if it was already committed."""
    mesh = take_list.chosen_mesh(context)
    if mesh is not None and take_list.on_head(context.scene, mesh) is None and committed_to(mesh):
        return "Committed: choose a take to commit again"
    return take_list.why_none(context)
