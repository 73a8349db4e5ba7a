# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects how a character is driven, from its shape keys, the controls behind them, properties and
bones; or learns it from a pose, or from pose assets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Mapping as Values
from dataclasses import replace
from typing import cast

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.errors import BadRequest
from ...thunder_core.face import mapping
from ...thunder_core.face.reading import conventions, detecting, jaw_balance
from ...thunder_core.face.reading.character import PointMeter
from ...thunder_core.face.reading.measured_face import Face
from ...thunder_core.face.reading.reach import Reach
from ...thunder_core.rotation import quaternion_to_rotvec
from ..host import compat, jobs
from . import reading, rna_paths, trial
from .family import key_names, owners_of, property_names, relatives

CACHE_MOST = 64
_STILL = 1e-4  # least difference from rest that is a pose

# (what is found, points by which a change is noticed) by what identifies a face, and its mapping
_detected: jobs.Recent = jobs.Recent(CACHE_MOST)


def detect(face: bpy.types.Object, anew: bool = False) -> mapping.Mapping:
    """A mapping from the names of a character's shape keys, the controls that drive them, its
    properties and bones, and from what these do to its face.

    The mapping has no rules where nothing is known. `anew` looks again though nothing seems to
    have changed.
    """
    return _look(face, None, anew).plan


def reach_of(
    face: bpy.types.Object,
    plan: mapping.Mapping,
    opened: Callable[[list[bpy.types.Object], bpy.types.Object], list[np.ndarray]] | None = None,
) -> Reach:
    """What a mapping does on a character's face, measured again where its meshes have changed;
    opened: what sees how far an open mouth moves each of some meshes in the space of an object,
    [V, 3], where that is not followed."""
    if opened is None:
        return _look(face, plan, False).reach
    meshes, rigs = _family(face)
    seen = opened(meshes, (rigs or meshes)[0])
    return Reach.of(Face(PointMeter(reading.read(meshes, rigs)), plan, seen))


def _family(face: bpy.types.Object) -> tuple[list[bpy.types.Object], list[bpy.types.Object]]:
    """The meshes of a character, the face first, those with keys before others; and its
    armatures."""
    family = relatives(face)
    rigs = [obj for obj in family if obj.type == "ARMATURE"]
    meshes = (obj for obj in family if obj not in rigs and obj.data.vertices)
    return sorted(meshes, key=lambda obj: (not key_names(obj), obj is not face)), rigs


def unused_of(face: bpy.types.Object, plan: mapping.Mapping | None = None) -> tuple[str, ...]:
    """Sentences on keys and bones of a face that have a known name, or one of a mapping, and yet do
    not move it."""
    found = _look(face, None, False)
    # one made by hand has muted keys of its own
    more = _look(face, plan, False).unused if plan not in (None, found.plan) else ()
    return tuple(dict.fromkeys((*found.unused, *more)))


def _look(
    face: bpy.types.Object,
    plan: mapping.Mapping | None,
    anew: bool,
    looks: trial.Trial | None = None,
) -> detecting.Found:
    """What is found on a face, for this mapping or (None) the one that suits it. looks: those that
    were begun."""
    family = relatives(face)
    parts = sorted(filter(key_names, family), key=lambda obj: obj is not face)
    rigs = [obj for obj in family if obj.type == "ARMATURE"]
    names = tuple(bone.name for rig in rigs for bone in rig.data.bones)
    joints = conventions.joint_bones(names)
    placed = [bone for rig in rigs for bone in reading.bones_of(rig, joints).values()]
    signature = (
        face.session_uid,
        face.name_full,
        tuple(obj.name_full for obj in family),
        tuple(
            (part.name, block.name, block.mute, block.slider_min, block.slider_max)
            for part in parts
            for block in part.data.shape_keys.key_blocks
        ),
        property_names(rigs + parts),
        names,
        tuple(len(rna_paths.drivers_of(obj.data.shape_keys)) for obj in parts),
        tuple((bone.ruled_by, bone.limits, bone.is_locked, bone.is_connected) for bone in placed),
        plan,
    )
    known = _detected.get(signature)
    if anew or known is None or not reading.is_as_read(parts, known[1]):
        meshes, looks = _family(face)[0], looks or trial.Trial()
        with looks:
            read = reading.read(meshes, rigs, looks)
            found = detecting.find(read, plan)
        known = _detected[signature] = found, reading.probes(meshes, read)
        if looks.waits:
            _waiting.append((face.name, plan, looks))
            look_on.start(0.0)
    return known[0]


_waiting: list[tuple] = []  # (name of a face, mapping, what was seen) of which not all was seen yet


def _go_on() -> float | None:
    """Look further at a face, if one waits."""
    if not _waiting:
        return None
    name, plan, looks = _waiting.pop(0)
    face, count = bpy.data.objects.get(name), len(looks.known)
    if face is not None:
        looks.begin()
        _look(face, plan, True, looks)
        if len(looks.known) == count and looks.waits:  # it is not to be moved
            _waiting.pop()
        jobs.redraw()
    return 0.0 if _waiting else None


look_on = jobs.Task(_go_on)  # drawing must not change data


# ---- from a pose


def rules_of_pose(source: str, plan: mapping.Mapping, objects: list) -> list[mapping.Rule]:
    """Rules by which a channel at 1 makes the current pose of a character's objects.

    Shape keys, bones and custom properties that are not at rest are taken. Raises BadRequest if
    everything is at rest.
    """
    moves = (pair for obj in objects for pair in _displacements(obj, plan))
    posed = {target: moved for target, moved in moves if abs(moved) > _STILL}
    if not posed:
        raise BadRequest(
            f"Nothing is posed: pose the face as “{source}” at its strongest, then press Learn "
            f"again"
        )
    return [mapping.Rule(source, target, moved) for target, moved in posed.items()]


def _displacements(
    obj: bpy.types.Object, plan: mapping.Mapping
) -> Iterator[tuple[mapping.Target, float]]:
    """Everything that can pose an object, each with its distance from rest."""
    keys = obj.data.shape_keys if obj.type == "MESH" else None
    for block in keys.key_blocks[1:] if keys is not None else ():
        yield mapping.Target("KEY", block.name), block.value
    rig = reading.rig_of(obj) if obj.type == "ARMATURE" else None
    for owner, bone in owners_of(obj):
        if bone and rig is not None:
            turn = rig.basis(bone, plan).T @ quaternion_to_rotvec(
                np.array(owner.matrix_basis.to_quaternion())
            )
            moves = {
                "location": owner.location,
                "scale": owner.scale - Vector((1.0, 1.0, 1.0)),
                "rotation": turn.tolist(),
            }
            for path, values in moves.items():
                yield from (
                    (mapping.Target("BONE", "", obj.name, bone, path, index), value)
                    for index, value in enumerate(values)
                )
        for name, value in owner.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield (
                    mapping.Target("PROPERTY", name, obj.name, bone),
                    value - rna_paths.rest_value(owner, name),
                )


TAG = "Thunder"  # tag of the assets that earlier versions saved
# share of the open jaw from which on a mouth is taken to contain it, and is given without it
_JAW_TOO = 0.1

Moves = dict[mapping.Target, float]


def map_by_poses(face: bpy.types.Object) -> tuple[mapping.Mapping, list[str]]:
    """A character's mapping in which pose assets of this file make the channels that they are named
    after, and the names of those poses.

    What no pose makes is as the character's names have it. Raises BadRequest if no pose is
    known or moves the character.
    """
    plan = detect(face)
    poses = poses_of(relatives(face), plan)
    known = conventions.find(tuple(poses))
    if known is None:
        examples = f" ({', '.join(sorted(poses)[:5])} …)" if poses else ""
        raise BadRequest(
            f"This file has no pose asset{examples} that moves “{face.name}” and is named after a "
            f"sound or a channel: "
            "name poses AH, EE, OH, OO, MBP, FV, L, TH or as ARKit's keys"
        )
    moves = {
        channel: _sum((poses[name], weight) for name, weight in shapes.items())
        for channel, shapes in known.shapes.items()
        if channel not in known.fallbacks or channel not in plan.used
    }
    jaw = moves.get("jawOpen", {})
    moves |= {
        channel: _without(moved, jaw)
        for channel, moved in moves.items()
        if channel.startswith(jaw_balance.LEAVES_JAW)
    }
    rules = [rule for rule in plan.rules if rule.source not in (*moves, mapping.REST)]
    rules += [
        mapping.Rule(channel, *move)
        for channel, moved in moves.items()
        for move in moved.items()
        if abs(move[1]) > _STILL
    ]
    joints = tuple(rule for rule in plan.joints if rule.joint != "jaw" or not jaw)
    used = {name for shapes in known.shapes.values() for name in shapes}
    return replace(
        plan, name="Pose Assets", convention="", rules=tuple(rules), joints=joints
    ), sorted(used)


def poses_of(objects: list, plan: mapping.Mapping) -> dict[str, Moves]:
    """What each pose asset of the file moves of a character's objects; poses of others and of this
    add-on are left out."""
    poses = {}
    for action in bpy.data.actions:
        start, end = action.frame_range
        if action.asset_data is not None and TAG not in action.asset_data.tags and start == end:
            moved = _sum((_pose_moves(action, obj, plan), 1.0) for obj in objects)
            if any(abs(value) > _STILL for value in moved.values()):
                poses[action.name] = moved
    return poses


def _pose_moves(action: bpy.types.Action, obj: bpy.types.Object, plan: mapping.Mapping) -> Moves:
    """How far from rest a pose brings the shape keys and bones of an object."""
    keys = obj.data.shape_keys if obj.type == "MESH" else None
    moved: Moves = {}
    turns: dict[tuple[str, str], dict[int, float]] = {}
    for block in (
        block for block in (obj, keys) if block is not None and compat.fits(action, block)
    ):
        for curve in compat.curves_of(action, compat.slot_for(action, block)):
            path = curve.data_path
            index = curve.array_index
            value = curve.evaluate(action.frame_range[0])
            owner, name, custom = rna_paths.split(path)
            bone = rna_paths.bone_of(path)
            if custom or not rna_paths.exists(block, path):
                continue
            if block == keys and name == "value":
                key = cast(bpy.types.ShapeKey, block.path_resolve(owner))
                moved[mapping.Target("KEY", key.name)] = value
            elif bone is not None and name in ("location", "scale"):
                moved[mapping.Target("BONE", "", obj.name, bone[0], name, index)] = value - (
                    name == "scale"
                )
            elif bone is not None:
                turns.setdefault(bone, {})[index] = value
    read = reading.rig_of(obj) if turns else None
    for (turned, path), values in turns.items():
        mode = obj.pose.bones[turned].rotation_mode
        if path == mapping.rotation_path(mode):  # what is in another mode does not turn the bone
            numbers = np.array(
                [
                    [
                        values.get(index, rest)
                        for index, rest in enumerate(mapping.rotation_rest(mode))
                    ]
                ]
            )
            assert read is not None  # where anything turns
            turn = read.basis(turned, plan).T @ mapping.rotation_vectors(numbers, mode)[0]
            moved |= {
                mapping.Target("BONE", "", obj.name, turned, "rotation", index): float(value)
                for index, value in enumerate(turn)
            }
    return moved


def _sum(parts: Iterable[tuple[Mapping, float]]) -> Moves:
    parts = list(parts)
    targets = dict.fromkeys(target for moved, _ in parts for target in moved)
    return {
        target: sum(weight * moved.get(target, 0.0) for moved, weight in parts)
        for target in targets
    }


def _without(moved: Values[mapping.Target, float], jaw: Values[mapping.Target, float]) -> Moves:
    """A mouth's moves without its share of the open jaw, by what turns most in that, or else moves
    most."""
    leads = max(jaw, key=lambda target: (target.path == "rotation", abs(jaw[target])), default=None)
    share = moved.get(leads, 0.0) / jaw[leads] if leads is not None else 0.0
    return _sum([(moved, 1.0), (jaw, -share)]) if share >= _JAW_TOO else dict(moved)
