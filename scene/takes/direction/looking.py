# SPDX-License-Identifier: GPL-3.0-or-later
"""Look At: the target of a head's eyes over a line, and takes whose eyes and head follow it."""

from collections.abc import Generator
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Vector

from ....thunder_core.animation.gaze import GazeTarget
from ....thunder_core.animation.timing import Clock
from ....thunder_core.errors import BadRequest
from ....thunder_core.progress import rescale
from ....thunder_core.types import FPS
from ...animation import display, keying
from ...heads import head
from ...host import compat, playback
from .. import browsing, provenance, take_list
from ..shape.applying import is_shaped
from . import sliders

_EYES = ("eye_left", "eye_right")


def aim_eyes(performance: keying.Performance, target: GazeTarget) -> keying.Performance:
    """The take with eyes that look at a target, and a head that follows it; what another take's did
    with that target is not asked for."""
    performance = free_eyes(performance)
    motion = performance.motion
    head_turns, eye_turns = motion.turns
    look = replace(target, own=eye_turns, own_head=head_turns)
    aimed_head = look.turn_head()
    return replace(
        performance,
        motion=replace(motion, eyes=look.turn_eyes(aimed_head), head=aimed_head),
        look=look,
    )


def free_eyes(performance: keying.Performance) -> keying.Performance:
    """A take whose eyes and head move freely again."""
    look, motion = performance.look, performance.motion
    if look is None:
        return performance
    motion = replace(motion, eyes=look.own, head=look.own_head)
    return replace(performance, motion=motion, look=None)


def target_of(
    scene, rig: head.Rig, clock: Clock, frames: int
) -> Generator[float, None, GazeTarget | None]:
    """Find the position of a head's target on `frames` frames at 25 fps. Returns None if the head
    looks freely.

    Steps through the scene's frames if the target moves, and returns to the current one. Raises
    BadRequest.
    """
    direction = sliders.of(rig.owner)
    if direction is None or direction.look_at == "NONE":
        return None
    wanted = _target(scene, rig, direction)
    bones = rig.armature.data.bones
    joint, eyes = (
        _axes(Vector(place)) for place in (bones["neck"].head_local, _eye_middle(rig.armature))
    )
    by_camera = direction.look_at == "CAMERA"
    points, still = np.empty((frames, 3), np.float32), np.zeros((frames, 3), np.float32)
    target = GazeTarget(points, joint, eyes, direction.looks_away, still, direction.head_follows)
    if not (
        _moves(rig.armature)
        or _moves(wanted)
        or _is_posed(_head_of(wanted))
        or (by_camera and any(marker.camera for marker in scene.timeline_markers))
    ):
        points[:] = _point_of(rig.armature, wanted, bpy.context.evaluated_depsgraph_get())
        return target
    with playback.returning(scene):
        for row, frame in enumerate(clock.frame(np.arange(frames) / FPS)):
            playback.go_to(scene, frame)
            wanted = (scene.camera or wanted) if by_camera else wanted
            points[row] = _point_of(rig.armature, wanted, bpy.context.evaluated_depsgraph_get())
            yield (row + 1) / frames
    return target


def check(scene, rig: head.Rig) -> None:
    """Raise BadRequest if a head's target cannot be used."""
    direction = sliders.of(rig.owner)
    if direction is not None and direction.look_at != "NONE":
        _target(scene, rig, direction)


def why_not(rig: head.Rig) -> str:
    """The reason why the eyes of a head cannot look at a target, "" if they can."""
    if rig.armature is None or any(
        name not in rig.armature.pose.bones for name in ("neck", *_EYES)
    ):
        return (
            f"Look At needs a head of Thunder's own or a FLAME head: where the eyes of "
            f"“{rig.mesh.name}” are is not known"
        )
    return ""


def is_aimed(entry) -> bool:
    """Whether the eyes of a take look at a target."""
    return entry.action is not None and provenance.LOOK in entry.action


def update(scene, rig: head.Rig, entries: list) -> Generator[float, None, tuple[int, int]]:
    """Aim the eyes of takes by their head's current direction. Returns (number aimed, number
    skipped); takes whose keys were edited or shaped, or that have no stored motion, are skipped.

    Nothing is written before the targets are known. Raises BadRequest.
    """
    ready: list[tuple[int, Clock, keying.Performance]] = []
    targets: dict[tuple[Clock, int], GazeTarget | None] = {}
    for number, entry in enumerate(entries):
        performance = (
            None
            if provenance.is_edited(entry) or is_shaped(entry.action)
            else provenance.load(entry.action)
        )
        if performance is None:
            continue
        aimed = free_eyes(performance)
        key = provenance.clock_of(entry.action), aimed.motion.frames
        if key not in targets:
            targets[key] = yield from rescale(
                target_of(scene, rig, *key), 0.9 * number / len(entries), 0.9
            )
        target = targets[key]
        ready.append(
            (entry.action.session_uid, key[0], aimed if target is None else aim_eyes(aimed, target))
        )
    for number, (uid, clock, aimed) in enumerate(ready):
        entry = take_list.by_uid(scene, uid)
        if entry is None:  # deleted meanwhile
            continue
        values = yield from rescale(keying.values_of(rig, aimed, clock), 0.9, 0.9)
        keying.key_again(rig, display.actions_of(entry), keying.curves(rig, entry), aimed, values)
        provenance.store(entry.action, aimed, clock, entry.voice)
        browsing.forget(uid)
        yield 0.9 + 0.1 * (number + 1) / len(ready)
    return len(ready), len(entries) - len(ready)


def entries_of(scene, mesh: bpy.types.Object, voice: str) -> list:
    """The takes of a head and a voice that have their actions."""
    return [
        entry
        for entry in scene.thunder.takes
        if entry.action is not None and (entry.head, entry.voice) == (mesh, voice)
    ]


def _target(scene, rig: head.Rig, direction) -> bpy.types.Object:
    """The object that a head looks at. Raises BadRequest."""
    if sentence := why_not(rig):
        raise BadRequest(sentence)
    if direction.look_at == "CAMERA":
        if scene.camera is None:
            raise BadRequest(
                "The scene has no active camera to look at: add one, or let the head look at "
                "something else"
            )
        return scene.camera
    wanted = direction.look_object
    if wanted is None or wanted.name not in scene.objects:
        raise BadRequest(
            "The object to look at is missing: choose another in the Direction panel, or No Target"
        )
    if wanted in (rig.mesh, rig.armature):
        raise BadRequest(
            "A head cannot look at itself: choose another object in the Direction panel"
        )
    return wanted


def _point_of(armature, wanted, depsgraph) -> np.ndarray:
    """Position of an object in the axes of a head; of another bundled head, the middle between its
    eyes as it is posed."""
    other = _head_of(wanted)
    if other is None:
        point = wanted.evaluated_get(depsgraph).matrix_world.translation
    else:
        other = other.evaluated_get(depsgraph)
        point = other.matrix_world @ (
            sum((other.pose.bones[name].head for name in _EYES), Vector()) / 2
        )
    return _axes(armature.evaluated_get(depsgraph).matrix_world.inverted_safe() @ point)


def _head_of(wanted):
    """The armature of the bundled head that an object belongs to, None for any other object."""
    armature = head.armature_of(wanted) if wanted.type == "MESH" else wanted
    return (
        armature
        if armature is not None
        and armature.type == "ARMATURE"
        and all(name in armature.data.bones for name in _EYES)
        else None
    )


def _is_posed(armature) -> bool:
    """Whether keys of an armature move its bones."""
    return armature is not None and any(
        curve.data_path.startswith("pose.bones") for curve in compat.curves_for(armature)
    )


def _eye_middle(armature) -> Vector:
    """The middle between the eyes of an armature of ours, in its space."""
    return sum((armature.data.bones[name].head_local for name in _EYES), Vector()) / 2


def _axes(point: Vector) -> np.ndarray:
    """A point of Blender's axes in those of a head: X to its left, Y up, Z out of the face."""
    return np.array([point.x, point.z, -point.y], np.float32)


def _moves(obj) -> bool:
    """Whether an object, or one of its parents, may move over time."""
    while obj is not None:
        animation = obj.animation_data
        keyed = any(
            curve.data_path.startswith(("location", "rotation", "scale", "delta_"))
            for curve in compat.curves_for(obj)
        )
        played = animation is not None and (animation.drivers or animation.nla_tracks)
        if keyed or played or len(obj.constraints) or obj.parent_type != "OBJECT":
            return True
        obj = obj.parent
    return False
