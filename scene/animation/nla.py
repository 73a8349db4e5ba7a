# SPDX-License-Identifier: GPL-3.0-or-later
"""NLA tracks that the add-on puts on a data-block: an action that continues below others, and a
held pose; and the paths that existing strips move."""

from ..host import compat

# frames to either side in which cycles and extrapolation continue as in the action
_FAR = 100_000.0


def paths_in_strips(target) -> set[tuple[str, int]]:
    """What the NLA strips of a data-block move: paths with indices."""
    tracks = target.animation_data.nla_tracks if target.animation_data else ()
    strips = [strip for track in tracks for strip in track.strips]
    return {
        place
        for strip in strips
        for place in compat.by_place(compat.curves_of(strip.action, compat.strip_slot(strip)))
    }


def push_down(target, name: str, action, state: dict, everywhere: bool) -> None:
    """Let an action play as the uppermost NLA track, as it plays as the active action.

    state: slot and blending of the data-block that plays it, as `display.remember_animation` stores
    them.  everywhere: whether it is evaluated beyond its keys too, where cycles and extrapolation
    of its curves continue.
    """
    track = target.animation_data.nla_tracks.new()
    track.name = name
    strip = track.strips.new(name, int(action.frame_range[0]), action)
    compat.set_strip_slot(strip, state.get("slot", ""))
    if everywhere:
        strip.action_frame_start, strip.action_frame_end = -_FAR, _FAR
        strip.frame_start_ui = -_FAR
    strip.extrapolation, strip.blend_type = (
        state.get("action_extrapolation", "HOLD"),
        state.get("action_blend_type", "REPLACE"),
    )
    if (influence := state.get("action_influence", 1.0)) != 1.0:
        strip.use_animated_influence = True
        strip.influence = influence


def hold_pose(target, name: str, action, index: int) -> None:
    """Hold the pose of an action's first frame in an NLA track without end. index: of the
    data-block among the action's."""
    animation = target.animation_data or target.animation_data_create()
    track = animation.nla_tracks.new()
    track.name = name
    strip = track.strips.new(name, 1, action)
    compat.set_strip_slot(strip, compat.slot_for(action, target, index))
    strip.extrapolation, strip.blend_type = "HOLD", "REPLACE"
