# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the drivers of a character, and what their variables look at."""

import ast
import re
from collections.abc import Iterable
from functools import partial

import bpy

from ...thunder_core.face.drivers import DEEP, Input, RigDriver
from ...thunder_core.face.mapping import EULER, Target
from . import rna_paths

_INDEXED = re.compile(r"^(.*?)(?:\[(\d)\]|\.([xyz]))?$", re.DOTALL)
_PATHS = {"LOC": "location", "ROT": EULER, "SCALE": "scale"}
_TRANSFORM = re.compile(r"(LOC|ROT|SCALE)_([XYZ])$")
_BONE = re.compile(r'pose\.bones\["(.*?)"\]')


class Drivers:
    """Reads drivers, each once. keys: shape keys that they read."""

    def __init__(self, looks):
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

    def driver(self, block, curve, deep: int = DEEP) -> RigDriver:
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

    def _input(self, variable, deep: int) -> Input:
        number = _number(variable)
        if (above := _driver_of(number)) is not None:
            return Input(variable.name, self.driver(*above, deep - 1) if deep > 1 else None)
        control = _control(variable, number)
        if control is not None and control[0].kind == "KEY":
            self.keys.add(control[0].name)
        return Input(variable.name, None, control, () if control else tuple(_around(variable)))


def _driven_target(block, path: str, index: int) -> Target | None:
    """What a driver on a data-block moves, None for what moves no face."""
    owner, name, custom = rna_paths.split(path)
    if block.id_type == "KEY" and name == "value":
        return Target("KEY", owner[len('key_blocks["') : -2])
    if custom or block.id_type != "OBJECT" or (bone := rna_paths.bone_of(path)) is None:
        return None
    if owner != rna_paths.bone_path(bone[0]):  # a constraint's
        return None
    return Target("BONE", "", block.name, bone[0], bone[1], index)


def _needs_scripts(driver) -> bool:
    """Whether a driver stands still because scripts are off: an expression that only Python
    calculates, and Blender refused."""
    if driver.type != "SCRIPTED" or driver.is_valid or driver.is_simple_expression:
        return False
    try:
        ast.parse(driver.expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bpy.app.autoexec_fail


def _number(variable) -> tuple | None:
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


def _around(variable) -> list[tuple[Target, float]]:
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


def _control(variable, number: tuple | None) -> tuple[Target, float] | None:
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
    obj, bone: str, path: str, index: int, is_stored: bool = False
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
