# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a character into arrays and names: its meshes with their keys and groups, its bones with
what constrains them, and its drivers. Not to be kept: some of it is read when it is asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache, partial
from typing import TYPE_CHECKING

import bpy
import numpy as np
from mathutils import kdtree

from ...thunder_core.face.mapping import EULER, Target
from ...thunder_core.face.reading import bones, character
from ...thunder_core.face.reading.drivers import DEEP, Input, RigDriver
from . import rna_paths
from .family import key_names, properties_of

if TYPE_CHECKING:
    from ..host.compat import Animated
    from . import trial


_STILL_SHARE = 1e-6  # share of a mesh's size below which a point does not move
_EVERY = 8  # of points by which the size of a mesh is told
_PROBES = 16  # points of a mesh at rest by which its changes are noticed


def read(
    meshes: list[bpy.types.Object], rigs: list[bpy.types.Object], looks: trial.Trial | None = None
) -> character.Character:
    """The character of some meshes and armatures, whose points are in the space of the first
    armature, else of the first mesh. looks: the trial.Trial of what can only be seen on the
    evaluated face."""
    base, drivers = next(iter((*rigs, *meshes)), None), Drivers(looks)
    if base is None:
        return character.Character((), _nearest)
    millimetres = 1000.0 * abs(base.matrix_world.to_scale().z)
    for scene in base.users_scene[:1]:
        if scene.unit_settings.system != "NONE":
            millimetres *= scene.unit_settings.scale_length
    keyed = [obj for obj in meshes if key_names(obj)] or meshes
    return character.Character(
        tuple(mesh_of(obj, base, drivers) for obj in meshes),
        _nearest,
        tuple(rig_of(rig, base) for rig in rigs),
        base.name,
        millimetres,
        base.matrix_world.determinant() < 0,
        drivers.of([*rigs, *meshes, *(obj.data.shape_keys for obj in meshes)]),
        _elsewhere(drivers.keys, meshes),
        *([partial(looks.offsets, keyed, base)] if looks is not None else []),
    )


def _nearest(points: np.ndarray, others: np.ndarray) -> tuple[list[int], list[float]]:
    tree = kdtree.KDTree(len(others))
    for place, point in enumerate(others.tolist()):
        tree.insert(point, place)
    tree.balance()
    found = [tree.find(point) for point in points.tolist()]
    return [place for _, place, _ in found], [far for _, _, far in found]


def _elsewhere(names: Iterable[str], meshes: list[bpy.types.Object]) -> dict[str, str]:
    """The first object of the character's scenes that has each of some keys."""
    scenes = [scene for obj in meshes[:1] if names for scene in obj.users_scene]
    others = [obj for scene in scenes for obj in scene.objects]
    having = ((name, obj.name) for obj in reversed(others) for name in key_names(obj))
    return {name: owner for name, owner in having if name in names}


# ---- meshes


def mesh_of(
    obj: bpy.types.Object, base: bpy.types.Object, drivers: "Drivers | None" = None
) -> character.Mesh:
    """A mesh in the space of another object; without drivers, also keys of the mouth sliders."""
    keys = obj.data.shape_keys
    into = base.matrix_world.inverted_safe() @ obj.matrix_world
    along, weights = np.array(into.to_3x3(), np.float32), cache(partial(weights_of, obj))

    def points(data: bpy.types.Mesh | bpy.types.ShapeKey) -> np.ndarray:
        """[V, 3] from the mesh's own origin."""
        buffer = np.empty(3 * len(data), np.float32)
        data.foreach_get("co", buffer)
        return buffer.reshape(-1, 3) @ along.T

    rest = points(obj.data.vertices if keys is None else keys.reference_key.points)
    others = cache(lambda name: points(keys.key_blocks[name].points))

    def moves(name: str) -> character.Part:
        block = keys.key_blocks[name]
        is_basis = block.relative_key == keys.reference_key
        by = points(block.points)
        by -= rest if is_basis else others(block.relative_key.name)
        if group := obj.vertex_groups.get(block.vertex_group):
            shares = np.zeros((len(by), 1), np.float32)
            ids, shares[ids, 0] = weights()[group.name]
            by *= shares
        far = np.einsum("ij,ij->i", by, by)
        ids = np.flatnonzero(far > (_STILL_SHARE * np.abs(rest[::_EVERY]).max(initial=0.0)) ** 2)
        return ids, by[ids]

    above = obj.parent if obj.parent_type == "BONE" else None
    curves = rna_paths.drivers_of(keys) if keys is not None and drivers else {}
    names = key_names(obj) if drivers else () if keys is None else keys.key_blocks.keys()
    return character.Mesh(
        obj.name,
        rest,
        np.array(into.translation, np.float32),
        {
            name: character.Key(
                cache(partial(moves, name)),
                block.slider_min,
                block.slider_max,
                block.mute,
                drivers.driver(keys, curves[path]) if (path := rna_paths.key_path(name)) in curves
                else None,
            )
            for name in names
            for block in [keys.key_blocks[name]]
        },
        frozenset(obj.vertex_groups.keys()),
        weights,
        lambda: (each.vertices for every in (obj.data.edges, obj.data.polygons) for each in every),
        frozenset(m.object.name for m in obj.modifiers if m.type == "ARMATURE" and m.object),
        (above.name, obj.parent_bone) if above else ("", ""),
        frozenset(m.type for m in obj.modifiers),
        properties_of(obj),
    )  # fmt: skip


def weights_of(obj: bpy.types.Object) -> dict[str, character.Part]:
    """The vertices of every vertex group of a mesh, and their weights."""
    rows = [
        (place, each.group, each.weight)
        for place, vertex in enumerate(obj.data.vertices)
        for each in vertex.groups
    ]
    ids, groups, weights = np.array(rows, np.float64).reshape(-1, 3).T
    return {
        group.name: (ids[groups == group.index].astype(int), weights[groups == group.index])
        for group in obj.vertex_groups
    }


def probes(meshes: list[bpy.types.Object], read: character.Character) -> tuple[tuple, ...]:
    """Points by which a change of meshes that were read is noticed: (mesh, key, vertex, place)."""
    result = []
    for obj, mesh in zip(meshes, read.meshes):
        for number, (name, key) in enumerate(mesh.keys.items()):
            ids, by = key.moves()
            wanted = [int(ids[np.abs(by).max(axis=1).argmax()])] if len(ids) else []
            if number == 0:  # the Basis
                wanted = [*range(0, len(mesh.rest), 1 + len(mesh.rest) // _PROBES)]
            data = obj.data.shape_keys.key_blocks[name].data
            result += [(obj.name_full, name, i, tuple(data[i].co)) for i in wanted]
    return tuple(result)


def is_as_read(meshes: list[bpy.types.Object], probes: tuple[tuple, ...]) -> bool:
    """Whether meshes have the same points as when they were read, by some of them."""
    named = {obj.name_full: obj.data.shape_keys.key_blocks for obj in meshes}
    return all(
        mesh in named
        and name in named[mesh]
        and vertex < len(named[mesh][name].data)
        and tuple(named[mesh][name].data[vertex].co) == place
        for mesh, name, vertex, place in probes
    )


# ---- bones

# constraints that leave what keys do visible: they limit it, or add to it
_LIMITS = ("LIMIT_ROTATION", "LIMIT_LOCATION", "LIMIT_SCALE", "LIMIT_DISTANCE", "CHILD_OF", "FLOOR")
_MAINTAIN = ("MAINTAIN_VOLUME", "PIVOT", "SHRINKWRAP", "CLAMP_TO", "COPY_LOCATION", "COPY_SCALE")
_MIXED = ("ADD", "OFFSET", "BEFORE", "AFTER")  # beginnings of how constraints mix


def rig_of(rig: bpy.types.Object, base: bpy.types.Object | None = None) -> bones.Armature:
    """An armature, seen from the space of another object."""
    inward = rig.matrix_world.inverted_safe() @ (base or rig).matrix_world
    every = bones_of(rig, rig.data.bones.keys())
    return bones.Armature(rig.name, every, np.array(inward), properties_of(rig))


def bones_of(rig: bpy.types.Object, names: Iterable[str]) -> dict[str, bones.Bone]:
    """Those of some bones that an armature has, by their names."""
    channels = filter(None, map(rna_paths.bone_of, rna_paths.drivers_of(rig)))
    driven = {bone for bone, channel in channels if channel.startswith("rotation")}
    poses = ((name, rig.pose.bones.get(name)) for name in names)
    return {name: _bone(rig, pose, name in driven) for name, pose in poses if pose is not None}


def _bone(rig: bpy.types.Object, pose: bpy.types.PoseBone, is_driven: bool) -> bones.Bone:
    bone, constraints = pose.bone, pose.constraints[:]
    return bones.Bone(
        bone.parent.name if bone.parent else "",
        np.array(bone.matrix_local),
        np.array(bone.tail_local),
        pose.rotation_mode,
        bone.use_deform,
        bone.use_connect,
        tuple(pose.lock_rotation),
        tuple(_limit(each) for each in constraints if _is_limit(each)),
        next((_copy(each) for each in reversed(constraints) if _is_copy(rig, each)), None),
        frozenset().union(*map(_looks_at, constraints)),
        _ruled_by(constraints) or "a driver" * is_driven,
    )


def _looks_at(constraint: bpy.types.Constraint) -> set[str]:
    """The bones that a constraint looks at; none if it is muted."""
    targets = [constraint, *getattr(constraint, "targets", ())]
    return set() if constraint.mute else {getattr(each, "subtarget", "") for each in targets}


def _is_copy(rig: bpy.types.Object, constraint: bpy.types.Constraint) -> bool:
    """Whether a bone copies by this the whole turn of another of its armature."""
    return (
        constraint.type in ("COPY_TRANSFORMS", "COPY_ROTATION")
        and constraint.target == rig
        and constraint.subtarget in rig.pose.bones
        and constraint.mix_mode == "REPLACE"
        and constraint.influence >= 1.0
        and not constraint.mute
        and all(getattr(constraint, f"use_{axis}", True) for axis in "xyz")
    )


def _copy(constraint: bpy.types.Constraint) -> bones.Copy:
    signs = [-1.0 if getattr(constraint, f"invert_{axis}", False) else 1.0 for axis in "xyz"]
    return bones.Copy(
        constraint.subtarget,
        constraint.type == "COPY_TRANSFORMS",
        constraint.owner_space == constraint.target_space == "LOCAL",
        tuple(signs),
    )


def _is_limit(constraint: bpy.types.Constraint) -> bool:
    """Whether a constraint limits how far a bone turns or moves from rest, and does so whole."""
    return (
        constraint.type in ("LIMIT_ROTATION", "LIMIT_LOCATION")
        and not constraint.mute
        and constraint.owner_space == "LOCAL"
        and constraint.influence >= 1.0
    )


def _limit(constraint: bpy.types.Constraint) -> bones.Limit:
    def ends(name: str, none: float) -> tuple[float, ...]:
        return tuple(
            getattr(constraint, f"{name}_{axis}")
            if any(getattr(constraint, f"use_{each}_{axis}", False) for each in ("limit", name))
            else none
            for axis in "xyz"
        )

    is_turn = constraint.type == "LIMIT_ROTATION"
    return bones.Limit(is_turn, ends("min", -np.inf), ends("max", np.inf))


def _ruled_by(constraints: list) -> str:
    """The first constraint that leaves nothing of how a bone is turned."""
    for constraint in constraints:
        mix = getattr(constraint, "mix_mode_rot", getattr(constraint, "mix_mode", ""))
        if (
            constraint.type not in (*_LIMITS, *_MAINTAIN)
            and not constraint.mute
            and constraint.is_valid
            and constraint.influence >= 1.0
            and not mix.startswith(_MIXED)
            and not (constraint.type == "TRANSFORM" and constraint.map_to != "ROTATION")
            and all(getattr(constraint, f"use_{axis}", True) for axis in "xyz")
        ):
            return f"its constraint “{constraint.name}”"
    return ""


# ---- drivers, and what their variables look at

_INDEXED = re.compile(r"^(.*?)(?:\[(\d)\]|\.([xyz]))?$", re.DOTALL)
_PATHS = {"LOC": "location", "ROT": EULER, "SCALE": "scale"}
_TRANSFORM = re.compile(r"(LOC|ROT|SCALE)_([XYZ])$")
_BONE = re.compile(r'pose\.bones\["(.*?)"\]')


class Drivers:
    """Reads drivers, each once. keys: shape keys that they read."""

    def __init__(self, looks: trial.Trial | None) -> None:
        self.looks, self.keys = looks, set()
        self._read: dict[tuple, RigDriver] = {}

    def of(self, blocks: Iterable) -> tuple[RigDriver, ...]:
        """The drivers of data-blocks."""
        return tuple(
            self.driver(block, curve)
            for block in dict.fromkeys(filter(None, blocks))
            for curve in (block.animation_data.drivers if block.animation_data else ())
            if not curve.mute
        )

    def driver(self, block: Animated, curve: bpy.types.FCurve, deep: int = DEEP) -> RigDriver:
        """A driver of a data-block, and those that it reads in turn."""
        place = curve.as_pointer(), deep
        if place not in self._read:
            driver, variables = curve.driver, curve.driver.variables[:]
            sources = [variable.targets[0] for variable in variables]
            is_curved = len(curve.keyframe_points) or len(curve.modifiers)
            is_tried = block.id_type == "KEY" and self.looks is not None
            self._read[place] = RigDriver(
                tuple(self._input(variable, deep) for variable in variables),
                driver.expression,
                driver.type,
                _driven_target(block, curve.data_path, curve.array_index),
                frozenset(
                    name
                    for source in sources
                    for name in (source.bone_target, *_BONE.findall(source.data_path))
                ),
                _needs_scripts(driver),
                curve.evaluate if is_curved else None,
                *([partial(self.looks.way, block, curve.data_path)] if is_tried else []),
            )
        return self._read[place]

    def _input(self, variable: bpy.types.DriverVariable, deep: int) -> Input:
        number = _number(variable)
        if (above := _driver_of(number)) is not None:
            block, curve = above
            return Input(variable.name, self.driver(block, curve, deep - 1) if deep > 1 else None)
        control = _control(variable, number)
        if control is not None and control[0].kind == "KEY":
            self.keys.add(control[0].name)
        return Input(variable.name, None, control, () if control else tuple(_around(variable)))


def _driven_target(block: Animated, path: str, index: int) -> Target | None:
    """What a driver on a data-block moves, None for what moves no face."""
    owner, name, custom = rna_paths.split(path)
    if block.id_type == "KEY" and name == "value":
        return Target("KEY", owner[len('key_blocks["') : -2])
    if custom or block.id_type != "OBJECT" or (bone := rna_paths.bone_of(path)) is None:
        return None
    if owner != rna_paths.bone_path(bone[0]):  # a constraint's
        return None
    return Target("BONE", "", block.name, bone[0], bone[1], index)


def _needs_scripts(driver: bpy.types.Driver) -> bool:
    """Whether a driver stands still because scripts are off: an expression that only Python
    calculates, and Blender refused."""
    if driver.type != "SCRIPTED" or driver.is_valid or driver.is_simple_expression:
        return False
    try:
        ast.parse(driver.expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bpy.app.autoexec_fail


def _number(variable: bpy.types.DriverVariable) -> tuple | None:
    """(data-block, path, index) of the number that a driver's variable reads; None for anything
    else."""
    source = variable.targets[0]
    if variable.type == "TRANSFORMS" and (match := _TRANSFORM.match(source.transform_type)):
        path, index = _PATHS[match[1]], "XYZ".index(match[2])
        path = f"{rna_paths.bone_path(source.bone_target)}.{path}" if source.bone_target else path
    elif variable.type == "SINGLE_PROP":
        match = _INDEXED.match(source.data_path)
        path, index = match[1], int(match[2] or "xyz".find(match[3] or "x"))
    else:
        return None
    return None if source.id is None else (source.id, path, index)


def _driver_of(number: tuple | None) -> tuple | None:
    """The data-block and driver of a number; None if it has none, or a muted one."""
    block, path, index = number or (None, "", 0)
    data = block and block.animation_data
    found = data.drivers.find(path, index=index) if data else None
    return None if found is None or found.mute else (block, found)


def _around(variable: bpy.types.DriverVariable) -> list[tuple[Target, float]]:
    """All channels of the bones and objects that a driver's variable looks at."""
    return [
        found
        for source in variable.targets
        if source.id is not None and source.id.id_type == "OBJECT"
        if variable.type != "SINGLE_PROP"
        for path in _PATHS.values()
        for index in range(3)
        if (found := _channel(source.id, source.bone_target, path, index)) is not None
    ]


def _control(
    variable: bpy.types.DriverVariable, number: tuple | None
) -> tuple[Target, float] | None:
    """What a driver's variable reads by its number, and its value at rest, None if it is nothing
    that takes keys."""
    if number is None:
        return None
    (block, path, index), source = number, variable.targets[0]
    bone, channel = rna_paths.bone_of(path) or ("", path)
    is_stored = variable.type == "SINGLE_PROP"
    if channel in _PATHS.values():
        # the local space of an object is not what its own channels say
        own = ("LOCAL_SPACE", "TRANSFORM_SPACE") if bone else ("TRANSFORM_SPACE",)
        is_own = is_stored or source.transform_space in own
        return _channel(block, bone, channel, index, is_stored) if is_own else None
    path, name, custom = rna_paths.split(source.data_path)
    if block.id_type == "KEY" and path.startswith("key_blocks"):
        return Target("KEY", path[len('key_blocks["') : -2]), 0.0
    is_found = custom and rna_paths.exists(block, source.data_path)
    if not is_found or block.id_type != "OBJECT":
        return None
    holder = block.path_resolve(path) if path else block
    bone = path[len('pose.bones["') : -2] if path.startswith("pose.bones") else ""
    return Target("PROPERTY", name, block.name, bone), rna_paths.rest_value(holder, name)


def _channel(
    obj: bpy.types.Object, bone: str, path: str, index: int, is_stored: bool = False
) -> tuple[Target, float] | None:
    """A channel of a bone, or of an object where that is "", and its value at rest; is_stored: the
    number itself, not how it turns."""
    if obj.id_type != "OBJECT":
        return None
    pose = obj.pose.bones.get(bone) if bone and obj.pose else None if bone else obj
    is_whole = not bone and obj.type == "ARMATURE"  # where a character stands is no control
    if pose is None or is_whole:
        return None
    if path == EULER and (is_stored or not bone) and len(pose.rotation_mode) > 3:
        return None
    target = Target("BONE", "", obj.name, bone, path, index)
    return target, (1.0 if path == "scale" else 0.0) if bone else getattr(obj, path)[index]
