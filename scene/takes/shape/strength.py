# SPDX-License-Identifier: GPL-3.0-or-later
"""Strength of a take's emotion over time: a curve of the take's action, which the take
follows."""

import bpy
import numpy as np
from bpy.props import FloatProperty

from ....thunder_core.animation import keyframes
from ....thunder_core.animation.layered import fingerprints_of
from ....thunder_core.errors import attempt, BadRequest
from ...animation import display, fcurves
from ...heads import head
from ...host import compat, handlers, idle
from ...host.session import Memory, session
from .. import take_list, track_values
from .stored import STATE

# property of a rig's first data-block: strength of the emotion, which a curve can animate
STRENGTH = "thunder_emotion"
# delay from a change of a slider or curve until the take is written, if not at once
UPDATE_SECONDS = 0.3


# actions that an undo left older than their curve → fingerprint of that curve
_outdated_by_undo = session.add(Memory())


def strength_curve(rig: head.Rig, entry):
    """The curve of a take's emotion over time, None if it has none."""
    curves = compat.curves_of(*display.part_of(display.actions_of(entry), rig, 0))
    return next(
        (
            each
            for each in curves
            if each.data_path == STRENGTH and not each.mute and len(each.keyframe_points)
        ),
        None,
    )


def animate_strength(rig: head.Rig, entry) -> None:
    """Give a take's emotion a curve over time: it grows from nothing at the first frame to its
    strength at the last."""
    if strength_curve(rig, entry) is not None:
        return
    action, slot = display.part_of(display.actions_of(entry), rig, 0)
    if action is None:
        raise BadRequest(
            f"The action of “{entry.name}” was deleted: generate the take again from seed "
            f"{entry.seed}"
        )
    strength = entry.action.thunder_shape.strength
    curve = compat.new_curve(
        compat.curves_in(action, rig.targets[0], slot), STRENGTH, 0, "Thunder Emotion"
    )
    ends = np.array([entry.first, entry.last], np.float64)
    fcurves.write(curve, keyframes.on_every_frame(ends, np.array([0.0, strength])))
    setattr(rig.targets[0], STRENGTH, strength)


def remove_strength_curve(rig: head.Rig, entry) -> None:
    """Remove the curve over time: the emotion has the slider's strength all along."""
    action, slot = display.part_of(display.actions_of(entry), rig, 0)
    curves = compat.curves_in(action, rig.targets[0], slot)
    curve = curves.find(STRENGTH)
    if curve is not None:
        curves.remove(curve)


def strength_at(rig: head.Rig, entry, frames: np.ndarray) -> np.ndarray | None:
    """Strength of a take's emotion at scene frames [T], 0 … 1; None if it is the same all along."""
    curve = strength_curve(rig, entry)
    return None if curve is None else np.clip(track_values.evaluate(curve, frames), 0.0, 1.0)


def strength_fingerprint(rig: head.Rig, entry) -> int:
    """Fingerprint of the curve of a take's emotion, 0 for none."""
    curve = strength_curve(rig, entry)
    return 0 if curve is None else int(fingerprints_of([fcurves.read(curve)])[0])


def is_outdated(rig: head.Rig, entry) -> bool:
    """Whether a take is older than the curve of its emotion's strength."""
    state = entry.action.get(STATE)
    if entry.action.thunder_shape.emotion == "NONE":
        return False
    known = 0 if state is None else int(state["strength"])
    return known != strength_fingerprint(rig, entry)


def _do_nothing() -> None:
    """Placeholder until operators/shape_take.py sets the step. (A timer's changes are no undo step,
    an operator's are.)"""


# writes the shown take shortly afterwards, when nothing else is being dragged
update = idle.Task(_do_nothing, any_time=True)


@bpy.app.handlers.persistent
def _on_curve_edit(scene, depsgraph):
    """Notes that the strength of a shown take's emotion was edited; the take follows when the edit
    is over."""
    if bpy.app.background or not any(
        isinstance(update.id, bpy.types.Action) for update in depsgraph.updates
    ):
        return
    entry = take_list.shown_take(scene.thunder)
    if entry is None or entry.action.thunder_shape.emotion == "NONE":
        return
    rig, _ = attempt(take_list.rig_of, scene, entry)
    if rig is None:  # the head was deleted: there is nothing to write
        return
    if is_outdated(rig, entry) and _outdated_by_undo.known.get(
        entry.action.session_uid
    ) != strength_fingerprint(rig, entry):
        update.start(UPDATE_SECONDS)


@bpy.app.handlers.persistent
def _on_undo(*_):
    """Do not write a take again that an undo left older than its curve: that would be a change that
    undo could never pass."""
    _outdated_by_undo.known.clear()
    for scene in bpy.data.scenes:
        entry = take_list.shown_take(scene.thunder)
        rig, _ = attempt(take_list.rig_of, scene, entry) if entry is not None else (None, "")
        if rig is not None:
            _outdated_by_undo.known[entry.action.session_uid] = strength_fingerprint(rig, entry)


# What moves the strength: on the data-blocks animated by a take's first action, so that its curve
# is one of the take.
PROPERTY = FloatProperty(
    name="Emotion",
    default=0.5,
    min=0.0,
    max=1.0,
    subtype="FACTOR",
    description="Strength of the take's emotion at this frame. It can be keyed",
)
register, unregister = handlers.registration(
    (("depsgraph_update_post", _on_curve_edit), ("undo_post", _on_undo), ("redo_post", _on_undo)),
    properties=((bpy.types.Object, STRENGTH, PROPERTY), (bpy.types.Key, STRENGTH, PROPERTY)),
)
