# SPDX-License-Identifier: GPL-3.0-or-later
"""What a character's direction asks of takes: set by presets or by the style of an animation or a
recording, and translated into a request to the engine, for the whole line or per frame where it has
keys; and Look At, the target of the eyes over a line, which takes follow."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
import numpy as np
from mathutils import Vector

from ....thunder_core.animation.gaze import GazeTarget
from ....thunder_core.animation.timing import Clock
from ....thunder_core.animation.traits import style_of, StyleOfMotion
from ....thunder_core.direction import AS_HEARD, AXES, Direction, DirectionRequest, MOOD_NAMES
from ....thunder_core.direction_presets import Preset, Presets, USERS
from ....thunder_core.direction_words import words
from ....thunder_core.errors import BadRequest
from ....thunder_core.progress import rescale
from ....thunder_core.types import FPS
from ...animation import display, fcurves, keying
from ...heads import character, family, head
from ...host import compat, playback
from .. import browsing, take_list, take_record
from ..shape.applying import is_shaped
from . import sliders

if TYPE_CHECKING:
    from ...properties.settings import ThunderTake


MOOD_SECONDS = 0.4  # length of the blend from one mood to another at a mood key


def direction_over(owner: bpy.types.Object, clock: Clock, last: float | None) -> DirectionRequest:
    """The direction of the head that an object represents, over a sound.

    last: the scene frame after the sound's end; None if unknown: then the frame after the last key.
    """
    direction = sliders.of(owner)
    return DirectionRequest() if direction is None else _sample_direction(direction, clock, last)


def direction_now(owner: bpy.types.Object) -> DirectionRequest:
    """The direction of the head that an object represents, as its sliders are now."""
    direction = sliders.of(owner)
    return DirectionRequest() if direction is None else _request_of(direction)


def _request_of(direction: sliders.ThunderDirection) -> DirectionRequest:
    """What the sliders of a direction request. Raises BadRequest."""
    _check_mood(direction)
    request = DirectionRequest.of(sliders.value(direction), direction.spread)
    return _add_manner(request, direction, np.full(1, direction.manner_strength))


def _add_manner(
    request: DirectionRequest, direction: sliders.ThunderDirection, strength: np.ndarray
) -> DirectionRequest:
    """A request in the character's manner. strength: of it, [1 or T]."""
    manner, strength = sliders.manner_of(direction), np.clip(strength, 0, 1).astype(np.float32)
    if manner is None or not manner.used or not strength.any():
        return request
    return replace(request, manner=manner, manner_strength=strength)


def _check_mood(direction: sliders.ThunderDirection) -> None:
    """Raise BadRequest for a mood that is not on this machine, or whose file is damaged."""
    if sentence := why_no_mood(direction):
        raise BadRequest(sentence)


def why_no_mood(direction: sliders.ThunderDirection) -> str:
    """The reason why a direction's mood cannot be played here, "" if it can."""
    if direction.mood:
        return ""
    return (
        f"The mood of this direction is a file that is not on this machine (its number is "
        f"{direction.get('mood')}): choose another mood, or copy the file to the folder of moods"
    )


def _sample_direction(
    direction: sliders.ThunderDirection, clock: Clock, last: float | None
) -> DirectionRequest:
    """A direction over a sound, in one row if nothing of it changes."""
    curves, now = _curves(direction), sliders.value(direction)
    if not curves:
        return _request_of(direction)
    if "mood" not in curves:
        _check_mood(direction)
    if last is None:
        last = max(curve.keyframe_points[-1].co[0] for curve in curves.values()) + 1
    count = max(1, round(float(clock.seconds(last)) * FPS))
    frames = clock.frame(np.arange(count) / FPS)
    values = {name: fcurves.evaluate(curve, frames) for name, curve in curves.items()}
    result = np.repeat(now.vector()[None], count, axis=0)
    as_heard = np.full(count, now.share(AS_HEARD), np.float32)
    for column, axis in enumerate(AXES):
        if axis.name in values:
            clipped = np.clip(values[axis.name], axis.least, axis.most)
            result[:, column] = (
                np.log(clipped / axis.usual) if axis.factor else clipped - axis.usual
            ) / axis.speakers
    if "mood" in values or "strength" in values:
        strengths = _strengths(direction, values, count)
        result[:, len(AXES) :], as_heard = strengths[:, :-1], strengths[:, -1].astype(np.float32)
    request = DirectionRequest(
        _first_if_alike(result), direction.spread, as_heard=_first_if_alike(as_heard)
    )
    manner = values.get("manner_strength", np.full(1, direction.manner_strength))
    return _add_manner(request, direction, _first_if_alike(manner))


def _first_if_alike(rows: np.ndarray) -> np.ndarray:
    """Rows [T, …], or the first of them where all are alike."""
    return rows[:1] if (rows == rows[0]).all() else rows


def _strengths(
    direction: sliders.ThunderDirection, values: dict[str, np.ndarray], count: int
) -> np.ndarray:
    """The strength of each mood and of *As Heard* [T, moods + 1]; where the mood has keys one flows
    into the next. Raises BadRequest."""
    numbers = sliders.CHOICE_NUMBERS
    chosen = values["mood"] if "mood" in values else np.full(count, numbers[direction.mood])
    chosen = np.floor(chosen + 1e-6)
    if not np.isin(chosen, list(numbers.values())).all():
        raise BadRequest(
            "A key of Mood holds a number that is no mood: go to it, choose one, and key it again"
        )
    strength = np.clip(values.get("strength", np.full(count, direction.strength)), 0.0, 1.0)
    result = np.stack(
        [(chosen == numbers[name]) * strength for name in (*MOOD_NAMES, AS_HEARD)], axis=1
    )
    if "mood" in values:
        length = round(MOOD_SECONDS * FPS) | 1
        padded = np.pad(result, ((length // 2, length // 2), (0, 0)), mode="edge")
        result = np.lib.stride_tricks.sliding_window_view(padded, length, axis=0).mean(axis=-1)
    return result


def remove_keys(direction: sliders.ThunderDirection) -> None:
    """Remove the curves of all sliders of a direction."""
    scene = direction.id_data
    for curve in _curves(direction, silent=True).values():
        compat.curves_in(scene.animation_data.action, scene, compat.slot_of(scene)).remove(curve)


def _curves(direction: sliders.ThunderDirection, silent: bool = False) -> dict:
    """The keyed curves of a direction's sliders by their names; with `silent` also muted and empty
    ones."""
    before = f"{direction.path_from_id()}."
    return {
        curve.data_path.removeprefix(before): curve
        for curve in compat.curves_for(direction.id_data)
        if curve.data_path.startswith(before)
        and (silent or (not curve.mute and len(curve.keyframe_points)))
    }


MOST_SECONDS = 120.0  # longest motion that is read; more does not improve the style


def all_presets() -> Presets:
    """The shipped presets and the animator's."""
    return Presets(compat.user_folder(USERS))


def use_preset(direction: sliders.ThunderDirection, name: str) -> None:
    """Move the sliders of a direction to a preset. Raises BadRequest."""
    preset = all_presets().load(name)
    sliders.set_direction(direction, preset.direction)
    if preset.spread is not None:
        direction.spread = preset.spread
    if preset.manner is not None:
        sliders.set_manner(direction, preset.manner)


def save_preset(direction: sliders.ThunderDirection, name: str) -> Path:
    """Save the sliders as a preset of the animator. Raises BadRequest or NoSpace."""
    _check_mood(direction)
    manner = sliders.manner_of(direction)
    return all_presets().save(
        Preset(name.strip(), sliders.value(direction), "", direction.spread, manner)
    )


def reset_direction(direction: sliders.ThunderDirection) -> None:
    """Move all sliders to their usual values."""
    sliders.set_direction(direction, Direction())
    for name in ("strength", "spread"):
        direction.property_unset(name)


def style_of_animation(
    rig: head.Rig, scene: bpy.types.Scene, first: int, last: int
) -> Generator[float, None, StyleOfMotion]:
    """Read the style of a head's animation over these frames of its scene. Returns it. Raises
    BadRequest."""
    clock = Clock.of(scene, first)
    motion = yield from keying.read(
        rig, head.channel_names(), clock, min(MOST_SECONDS, (last - first + 1) / clock.fps)
    )
    return style_of(motion, head.channel_names())


def use_style(direction: sliders.ThunderDirection, read: StyleOfMotion) -> str:
    """Move the sliders of a direction to a style, without a mood and without their keys; returns a
    sentence on the result."""
    remove_keys(direction)
    style = Direction(read.style)
    sliders.set_direction(direction, style)
    if read.spread is not None:
        direction.spread = read.spread
    return f"Style read from {read.seconds:.0f} s of speech: {words(style.vector())}"


_EYES = ("eye_left", "eye_right")


def aim_eyes(performance: keying.TakeData, target: GazeTarget | None) -> keying.TakeData:
    """The take with eyes that look at a target, and a head that follows it, or both moving freely;
    what they did with another target is not asked for."""
    motion, before = performance.motion, performance.look
    if before is not None:
        motion = replace(motion, eyes=before.own, head=before.own_head)
    if target is None:
        return replace(performance, motion=motion, look=None)
    head_turns, eye_turns = motion.turns
    look = replace(target, own=eye_turns, own_head=head_turns)
    aimed_head = look.turn_head()
    motion = replace(motion, eyes=look.turn_eyes(aimed_head), head=aimed_head)
    return replace(performance, motion=motion, look=look)


def target_of(
    scene: bpy.types.Scene, rig: head.Rig, clock: Clock, frames: int
) -> Generator[float, None, GazeTarget | None]:
    """Find the position of a head's target on `frames` frames at 25 fps. Returns None if the head
    looks freely.

    Steps through the frames, in a scene apart, if the target moves. Raises BadRequest.
    """
    direction = sliders.of(rig.owner)
    if direction is None or direction.look_at == "NONE":
        return None
    wanted = _target(scene, rig, direction)
    bones = rig.armature.data.bones
    eyes = sum((bones[name].head_local for name in _EYES), Vector()) / 2
    joint, eyes = (_axes(place) for place in (bones["neck"].head_local, eyes))
    by_camera = direction.look_at == "CAMERA"
    points, still = np.empty((frames, 3), np.float32), np.zeros((frames, 3), np.float32)
    target = GazeTarget(points, joint, eyes, direction.looks_away, still, direction.head_follows)
    if not (
        _moves(rig.armature)
        or _moves(wanted)
        or any(map(_is_posed, (wanted, *family.relatives(wanted))))
        or (by_camera and any(marker.camera for marker in scene.timeline_markers))
    ):
        graph = bpy.context.evaluated_depsgraph_get()
        points[:] = _in_axes(rig.armature, _aim_at(wanted), graph)
        return target
    places = clock.frame(np.arange(frames) / FPS)
    looked_at = _cameras_on(scene, places) if by_camera else [wanted] * frames
    aims = {each: _aim_at(each) for each in set(looked_at)}
    objects = [obj for each in aims for obj in (each, *family.relatives(each))]
    with playback.apart(scene, [rig.armature, *objects]) as other:
        for row, frame in enumerate(places):
            playback.go_to(other, frame)
            graph = other.view_layers[0].depsgraph
            points[row] = _in_axes(rig.armature, aims[looked_at[row]], graph)
            yield (row + 1) / frames
    return target


def check_target(scene: bpy.types.Scene, rig: head.Rig) -> None:
    """Raise BadRequest if a head's target cannot be used."""
    direction = sliders.of(rig.owner)
    if direction is not None and direction.look_at != "NONE":
        _target(scene, rig, direction)


def why_no_target(rig: head.Rig) -> str:
    """The reason why the eyes of a head cannot look at a target, "" if they can."""
    if rig.armature is None or any(
        name not in rig.armature.pose.bones for name in ("neck", *_EYES)
    ):
        return (
            f"Look At needs a head of Thunder's own or a FLAME head: where the eyes of "
            f"“{rig.mesh.name}” are is not known"
        )
    return ""


def is_aimed(entry: ThunderTake) -> bool:
    """Whether the eyes of a take look at a target."""
    return entry.action is not None and take_record.LOOK in entry.action


def update_eyes(
    scene: bpy.types.Scene, rig: head.Rig, voice: str,
    on_aimed: Callable[[int], object] = lambda uid: None,
) -> Generator[float, None, tuple[int, int]]:  # fmt: skip
    """Aim the eyes of a head's takes of a voice by its current direction. Returns (number aimed,
    number skipped); those whose keys were edited or shaped, or that have no stored motion, are
    skipped.

    on_aimed: gets the session id of each take that was written; none is before all targets are
    known.
    Raises BadRequest.
    """
    takes = take_list.of_line(scene, rig.mesh, voice)
    entries = [entry for entry in takes if entry.action is not None]
    ready: list[tuple[int, Clock, keying.TakeData]] = []
    targets: dict[tuple[Clock, int], GazeTarget | None] = {}
    for number, entry in enumerate(entries):
        has_changes = take_record.is_edited(entry) or is_shaped(entry.action)
        performance = None if has_changes else take_record.load(entry.action)
        if performance is None:
            continue
        clock, frames = take_record.clock_of(entry.action), performance.motion.frames
        if (clock, frames) not in targets:
            targets[clock, frames] = yield from rescale(
                target_of(scene, rig, clock, frames), 0.9 * number / len(entries), 0.9
            )
        ready.append(
            (entry.action.session_uid, clock, aim_eyes(performance, targets[clock, frames]))
        )
    for number, (uid, clock, aimed) in enumerate(ready):
        entry = take_list.by_uid(scene, uid)
        if entry is None:  # deleted meanwhile
            continue
        values = yield from rescale(keying.values_of(rig, aimed, clock), 0.9, 0.9)
        keying.key_again(
            rig, display.actions_of(entry), keying.curves_of_tracks(rig, entry), aimed, values
        )
        take_record.store(entry.action, aimed, clock, entry.voice)
        browsing.drop_thumbnail(uid)
        on_aimed(uid)
        yield 0.9 + 0.1 * (number + 1) / len(ready)
    return len(ready), len(entries) - len(ready)


def _target(
    scene: bpy.types.Scene, rig: head.Rig, direction: sliders.ThunderDirection
) -> bpy.types.Object:
    """The object that a head looks at. Raises BadRequest."""
    if sentence := why_no_target(rig):
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


def _cameras_on(scene: bpy.types.Scene, frames: np.ndarray) -> list[bpy.types.Object]:
    """The camera that markers bind to each frame, as Blender chooses it; else the scene's own."""
    bound = sorted((m for m in scene.timeline_markers if m.camera), key=lambda m: m.frame)
    if not bound:
        return [scene.camera] * len(frames)
    last = np.searchsorted([marker.frame for marker in bound], frames, "right") - 1
    return [bound[max(0, place)].camera for place in last]


def _in_axes(armature: bpy.types.Object, aim: Callable, graph: bpy.types.Depsgraph) -> np.ndarray:
    """A place that `_aim_at` gives in a depsgraph, in the axes of a head."""
    return _axes(armature.evaluated_get(graph).matrix_world.inverted_safe() @ aim(graph))


def _aim_at(wanted: bpy.types.Object) -> Callable:
    """A function of the depsgraph that gives the place in the world to look at: of an object where
    it is, of a head the middle between its eyes as it is posed."""
    armature, face = _head_of(wanted), family.face_of(wanted)
    if armature is not None:
        return lambda graph: _eyes_of(armature.evaluated_get(graph))
    if face is None or face.type != "MESH" or family.is_drawn(face):
        return lambda graph: wanted.evaluated_get(graph).matrix_world.translation
    part, weights = character.between_eyes(face, character.plan_of(face))

    def between_eyes(graph: bpy.types.Depsgraph) -> Vector:
        posed = part.evaluated_get(graph)
        points = family.points_of(posed.data.vertices)[: len(weights)]  # modifiers add some
        return posed.matrix_world @ Vector(weights[: len(points)] @ points)

    return between_eyes


def _eyes_of(armature: bpy.types.Object) -> Vector:
    """The middle between the eyes of a bundled head as it is posed, in the world."""
    places = (armature.pose.bones[name].head for name in _EYES)
    return armature.matrix_world @ (sum(places, Vector()) / 2)


def _head_of(wanted: bpy.types.Object):
    """The armature of the bundled head that an object belongs to, None for any other object."""
    armature = head.armature_of(wanted) if wanted.type == "MESH" else wanted
    return (
        armature
        if armature is not None
        and armature.type == "ARMATURE"
        and all(name in armature.data.bones for name in _EYES)
        else None
    )


def _is_posed(armature: bpy.types.Object) -> bool:
    """Whether keys of an armature move its bones."""
    return armature is not None and any(
        curve.data_path.startswith("pose.bones") for curve in compat.curves_for(armature)
    )


def _axes(point: Vector) -> np.ndarray:
    """A point of Blender's axes in those of a head: X to its left, Y up, Z out of the face."""
    return np.array([point.x, point.z, -point.y], np.float32)


def _moves(obj: bpy.types.Object) -> bool:
    """Whether an object, or one of its parents, may move over time."""
    while obj is not None:
        animation = obj.animation_data
        keyed = any(
            curve.data_path.startswith(("location", "rotation", "scale", "delta_"))
            for curve in compat.curves_for(obj)
        )
        is_driven = animation is not None and (animation.drivers or animation.nla_tracks)
        if keyed or is_driven or len(obj.constraints) or obj.parent_type != "OBJECT":
            return True
        obj = obj.parent
    return False
