# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lines are committed to the animation of a head, quickly enough to be asked at every redraw."""

from ..scene.animation import display
from ..scene.heads import head
from ..scene.takes.commit import line_names
from ..thunder_core.errors import ThunderError


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
    known = (line_names.of(action) for action in dict.fromkeys(actions) if action is not None)
    return {line.name for lines in known if lines is not None for line in lines.lines}
