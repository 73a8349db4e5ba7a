# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a take on a head and restores the animator's animation, which continues unchanged
around the take, in NLA tracks below it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import bpy

from ...thunder_core import records
from ...thunder_core.errors import BadRequest
from ..heads import head, head_state, mapping_table, rna_paths
from ..host import compat

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


TRACK = "Thunder: My Animation"  # NLA track that plays the animator's action under the shown take
_BLENDING = ("action_blend_type", "action_influence", "action_extrapolation")
STILL_TRACK = f"{TRACK} (Still)"  # NLA track below it, and its action


def actions_of(entry: ThunderTake) -> list[bpy.types.Action]:
    """The actions of a take that are still there, in the order of its rig's targets; one for all
    from 4.4 on."""
    return [
        action
        for action in (entry.action, *(more.action for more in entry.more))
        if action is not None
    ]


def is_shown(rig: head.Rig, entry: ThunderTake) -> bool:
    """Whether a take plays on the head now."""
    return entry.action is not None and shown_action(rig) == entry.action


def shown_action(rig: head.Rig):
    """The take on the head now, None for the animator's animation."""
    state, animation = head_state.of(rig.owner), rig.targets[0].animation_data
    if state is None or state.shown is None or animation is None or animation.action != state.shown:
        return None
    return state.shown


def animation_of(rig: head.Rig) -> tuple[int, int]:
    """Identifies the animation of a head in this session: session ids of its mesh and of the action
    it plays."""
    animation = rig.targets[0].animation_data
    action = animation.action if animation else None
    return rig.mesh.session_uid, action.session_uid if action is not None else 0


def actions_on_heads(scene: bpy.types.Scene) -> set[int]:
    """Session ids of the actions that heads play now."""
    heads = scene.thunder.heads
    actions = {state.shown for state in heads} | {
        kept.action for state in heads for kept in state.own
    }
    blocks = [*scene.objects, *(obj.data.shape_keys for obj in scene.objects if obj.type == "MESH")]
    actions |= {
        block.animation_data.action
        for block in blocks
        if block is not None and block.animation_data is not None
    }
    return {action.session_uid for action in actions if action is not None}


def show(rig: head.Rig, entry: ThunderTake) -> None:
    """Put a take on a head and remember its animation. Under 30 ms; raises BadHead or
    BadRequest."""
    if not actions_of(entry):
        raise BadRequest(
            f"The action of take “{entry.name}” was deleted: generate the take again from seed "
            f"{entry.seed}"
        )
    head.check_animatable(rig)
    mapping_table.end_all()
    before = shown_action(rig)
    if before is None:
        remember_animation(rig)
        _hold_still(rig)
        for target in rig.targets:
            animation = target.animation_data
            if animation is not None and animation.action is not None:
                # as the uppermost NLA track, exactly as it plays now
                holds = animation.action_extrapolation == "HOLD"
                push_down(target, TRACK, animation.action, _playing_state(target), holds)
    _move_to_rest(rig)
    actions = actions_of(entry)
    for index, target in enumerate(rig.targets):
        compat.assign_action(target, *part_of(actions, rig, index))
        animation = target.animation_data
        # A take is shown unmodified, however the animator's action is blended; outside its
        # frames, and on other properties, the animator's animation continues.
        animation.action_blend_type, animation.action_influence = "REPLACE", 1.0
        animation.action_extrapolation = "NOTHING" if base_tracks(target) else "HOLD"
    remembered = head_state.ensure(rig.owner)
    if before != actions[0]:
        remembered.before = before
    remembered.shown = actions[0]


def part_of(actions: list, rig: head.Rig, index: int) -> tuple[bpy.types.Action | None, str]:
    """(action, slot) of a take for the target of that index; (None, "") if the take was made
    without that target."""
    target = rig.targets[index]
    if compat.HAS_SLOTS and len(actions) == 1:
        slot = compat.slot_for(actions[0], target, index)
        return (actions[0], slot) if slot else (None, "")
    # One action per data-block: takes of Blender before 4.4, also when a newer one has opened their
    # file.
    fitting = [action for action in actions if compat.fits(action, target)]
    named = [action for action in fitting if action.get(compat.TARGET) == target.name]
    if not named and index < len(actions) and actions[index] in fitting:
        named = [actions[index]]  # the data-block was renamed since
    return (named[0], compat.slot_for(named[0], target)) if named else (None, "")


def curves_of(rig: head.Rig, entry: ThunderTake) -> list[list]:
    """The f-curves of a take for each of the rig's targets."""
    actions = actions_of(entry)
    return [compat.curves_of(*part_of(actions, rig, index)) for index in range(len(rig.targets))]


def base_tracks(target: compat.Animated) -> list:
    """The NLA tracks of ours under the take that a data-block shows: a still pose, and the
    animator's action."""
    animation = target.animation_data
    return (
        [track for track in animation.nla_tracks if track.name.startswith(TRACK)]
        if animation
        else []
    )


def _hold_still(rig: head.Rig) -> None:
    """Hold properties that the animator's action does not move at their present values, under a
    track that plays this action."""
    values: list[list] = []
    for target in rig.targets:
        values.append([])
        if target.animation_data is not None and target.animation_data.action is not None:
            moved = {*compat.by_place(compat.curves_for(target)), *paths_in_strips(target)}
            values[-1] = [
                (track.path, track.index, rna_paths.value(target, track.path, track.index))
                for _, track in rig.tracks_of(target)
                if (track.path, track.index) not in moved
            ]
    hold_values(rig, STILL_TRACK, values)


def hold_values(rig: head.Rig, name: str, values: list[list]) -> list[bpy.types.Action]:
    """Hold values [(path, index, value)] of each target of a rig in NLA tracks without end. Returns
    the actions that these play.

    Around a take or strip Blender's NLA would set properties that nothing else moves to their
    default, and that of a shape key is 1.
    """
    if not any(values):
        return []
    actions, collections = compat.new_action(name, rig.targets)
    try:
        for action in actions:
            action.use_fake_user = False
        for index, (target, still) in enumerate(zip(rig.targets, values)):
            for path, place, value in still:
                points = compat.new_curve(collections[index], path, place, "").keyframe_points
                points.add(1)
                points[0].co = (1.0, value)
            if still:
                action = actions[min(index, len(actions) - 1)]
                strip = add_strip(target, name, 1, action, compat.slot_for(action, target, index))
                strip.extrapolation, strip.blend_type = "HOLD", "REPLACE"
    except BaseException:  # the caller cannot remove what it was not given
        bpy.data.batch_remove(actions)
        raise
    used = [action for action in actions if action.users]
    bpy.data.batch_remove([action for action in actions if not action.users])
    return used


def _playing_state(target: compat.Animated) -> dict:
    """Slot and blending of the action that a data-block plays."""
    animation = target.animation_data
    return {
        "slot": compat.slot_of(target),
        **({name: getattr(animation, name) for name in _BLENDING} if animation else {}),
    }


def remove_base(rig: head.Rig) -> None:
    """Remove our NLA tracks."""
    still = set()
    for target in rig.targets:
        for track in base_tracks(target):
            if track.name.startswith(STILL_TRACK):
                still |= {strip.action for strip in track.strips if strip.action is not None}
            target.animation_data.nla_tracks.remove(track)
    for action in still:
        if action.users <= int(action.use_fake_user):
            bpy.data.actions.remove(action)


def restore_animation(rig: head.Rig) -> None:
    """Give a head back the animation and the still pose that it had before takes were shown."""
    mapping_table.end_all()
    before = shown_action(rig)
    remove_base(rig)
    if before is None:
        return
    _move_to_rest(rig)
    for target, action, state in zip(rig.targets, animator_actions(rig), animator_states(rig)):
        compat.assign_action(target, action, state.get("slot", ""))
        with contextlib.suppress(*records.UNREADABLE):  # a damaged record gives back what it can
            for name in _BLENDING:
                if name in state:
                    setattr(target.animation_data, name, state[name])
            for path, index, value in state.get("values", ()):
                if rna_paths.exists(target, path):
                    rna_paths.set_value(target, path, index, value)
    remembered = head_state.ensure(rig.owner)
    remembered.shown, remembered.before = None, before
    rna_paths.tag(rig.targets)


def animator_actions(rig: head.Rig) -> list:
    """The animator's action of each target of a rig, None if there was none, as last
    remembered."""
    state = head_state.of(rig.owner)
    entries = state.own if state is not None else ()
    return (
        [entry.action for entry in entries]
        if len(entries) == len(rig.targets)
        else [None] * len(rig.targets)
    )


def animator_states(rig: head.Rig) -> list[dict]:
    """Slot and blending of each target's animation before a take was shown."""
    states: list[dict] = []
    with contextlib.suppress(*records.UNREADABLE):  # it may be damaged, or there is none
        record = json.loads(head_state.of(rig.owner).own_state)
        states = record["targets"] if records.is_readable(record) else []
    if len(states) != len(rig.targets):
        return [{} for _ in rig.targets]
    for state, action, target in zip(states, animator_actions(rig), rig.targets):
        if action is not None and not state.get("slot"):  # stored before 4.4, which had no slots
            state["slot"] = compat.slot_for(action, target)
    return states


def remember_animation(rig: head.Rig) -> None:
    """Store the head's current state as the animator's: actions, slots, blending, still
    values."""
    remove_base(rig)
    remembered = head_state.ensure(rig.owner)
    remembered.own.clear()
    states: list[dict] = []
    for target in rig.targets:
        animation = target.animation_data
        remembered.own.add().action = animation.action if animation else None
        states.append(_playing_state(target) | {"values": _still_values(rig, target)})
    remembered.own_state = json.dumps({records.KEY: records.VERSION, "targets": states})


def _still_values(rig: head.Rig, target: compat.Animated) -> list[tuple[str, int, float]]:
    """The values of a target without keys: those of its tracks, and of all its shape keys."""
    if isinstance(target, bpy.types.Key):
        return [(rna_paths.key_path(block.name), 0, block.value) for block in target.key_blocks]
    return [
        (track.path, track.index, rna_paths.value(target, track.path, track.index))
        for _, track in rig.tracks_of(target)
        if rna_paths.exists(target, track.path)
    ]


def _move_to_rest(rig: head.Rig) -> None:
    """Put everything on the face that a take or the animator's action moves at rest, or its pose
    would leak."""
    for target in rig.targets:
        for _, track in rig.tracks_of(target):
            rna_paths.rest(target, track.path, track.index, track.rest)
        if target.id_type == "KEY":
            for curve in compat.curves_for(target):
                if curve.data_path.endswith(".value") and rna_paths.exists(target, curve.data_path):
                    rna_paths.set_value(target, curve.data_path, 0, 0.0)


# frames to either side in which cycles and extrapolation continue as in the action
_FAR = 100_000.0


def paths_in_strips(target: compat.Animated) -> set[tuple[str, int]]:
    """What the NLA strips of a data-block move: paths with indices."""
    tracks = target.animation_data.nla_tracks if target.animation_data else ()
    strips = [strip for track in tracks for strip in track.strips]
    return {
        place
        for strip in strips
        for place in compat.by_place(compat.curves_of(strip.action, compat.strip_slot(strip)))
    }


def push_down(
    target: compat.Animated, name: str, action: bpy.types.Action, state: dict, everywhere: bool
) -> None:
    """Let an action play as the uppermost NLA track, as it plays as the active action.

    state: slot and blending of the data-block that plays it, as `display.remember_animation` stores
    them.  everywhere: whether it is evaluated beyond its keys too, where cycles and extrapolation
    of its curves continue.
    """
    strip = add_strip(target, name, int(action.frame_range[0]), action, state.get("slot", ""))
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


def add_strip(
    target: compat.Animated, name: str, start: int, action: bpy.types.Action, slot: str
) -> bpy.types.NlaStrip:
    """A new strip of an action in an NLA track above all others of a data-block."""
    animation = target.animation_data or target.animation_data_create()
    track = animation.nla_tracks.new()
    track.name = name
    strip = track.strips.new(name, start, action)
    compat.set_strip_slot(strip, slot)
    return strip
