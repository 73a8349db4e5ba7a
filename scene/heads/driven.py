# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows drivers of plain arithmetic and constraints that copy: which control moves a value or a
bone, and what a slider moves."""

import ast
import re
from collections.abc import Callable

import bpy
from mathutils import Matrix, Quaternion

from ...thunder_core.face import driver_math, mapping
from . import rna_paths

CHAIN = 3  # copying bones in a row that are followed
_DEEP = 8  # drivers in a row that are followed
_UNREADABLE = (
    ValueError, ArithmeticError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError,
)  # fmt: skip
SCRIPTS = (
    "Drivers of this character need scripts: allow them in Preferences › Save & Load › Auto Run "
    "Python Scripts, and open the file again"
)


def copying(rig, bone: str):
    """The constraint by which a bone copies the whole turn of another of its armature, or None."""
    for constraint in reversed(rig.pose.bones[bone].constraints):
        if (
            constraint.type in ("COPY_TRANSFORMS", "COPY_ROTATION")
            and constraint.target == rig
            and constraint.subtarget in rig.pose.bones
            and constraint.mix_mode == "REPLACE"
            and constraint.influence >= 1.0
            and not constraint.mute
            and all(getattr(constraint, f"use_{axis}", True) for axis in "xyz")
        ):
            return constraint
    return None


def copied_bone(rig, bone: str) -> str:
    """The bone of its armature whose turn a bone copies whole; "" for none."""
    return getattr(copying(rig, bone), "subtarget", "")


def follower_of(rig, bone: str, copies: int = CHAIN) -> str:
    """The bone that copies another, or what copies that; the bone itself where none does."""
    for other in rig.pose.bones if copies else ():
        looks = bool(other.constraints) and any(bone in sources_of(c) for c in other.constraints)
        if looks and copied_bone(rig, other.name) == bone:
            return follower_of(rig, other.name, copies - 1)
    return bone


def posed(rig, bone: str, turned: dict[str, Matrix], copies: int = CHAIN) -> Matrix:
    """How a bone moves, [4, 4] in its armature's space, where these bones move so on their own:
    with its parents, and as the bone that it copies."""
    if bone == "":
        return Matrix.Identity(4)
    bones = rig.data.bones
    rest, above = bones[bone].matrix_local, posed(rig, _parent(rig, bone), turned, copies)
    copy = copying(rig, bone) if copies else None
    if copy is None:
        return above @ turned.get(bone, Matrix.Identity(4))
    by = posed(rig, copy.subtarget, turned, copies - 1)
    if copy.owner_space == copy.target_space == "LOCAL":  # the numbers, about its own axes
        other = bones[copy.subtarget].matrix_local
        below = posed(rig, _parent(rig, copy.subtarget), turned, copies - 1)
        local = other.inverted() @ below.inverted() @ by @ other
        if copy.type == "COPY_ROTATION":
            angle = local.to_quaternion()
            signs = [-1.0 if getattr(copy, f"invert_{axis}") else 1.0 for axis in "xyz"]
            local = Quaternion((angle.w, *(s * a for s, a in zip(signs, angle[1:])))).to_matrix()
        by = above @ rest @ local.to_4x4() @ rest.inverted()
    if copy.type == "COPY_TRANSFORMS":
        return by
    at = rest.translation
    return (
        Matrix.Translation(above @ at)
        @ by.to_quaternion().to_matrix().to_4x4()
        @ Matrix.Translation(-at)
    )


def _parent(rig, bone: str) -> str:
    return getattr(rig.data.bones[bone].parent, "name", "")


def sources_of(constraint) -> set[str]:
    """The bones that a constraint looks at; none if it is muted."""
    targets = [constraint, *getattr(constraint, "targets", ())]
    return set() if constraint.mute else {getattr(each, "subtarget", "") for each in targets}


Way = tuple[mapping.Target, float, float]


def follow(curve) -> Way | None:
    """The control behind a driven value, the distance by which it brings the value from 0 to 1, and
    how far from its default the value is 0; None if it cannot be keyed or the dependence is not
    simple arithmetic."""
    rest, is_readable = controls(curve)
    try:
        return _nearest(rest, lambda at: _value(curve, at)) if rest and is_readable else None
    except _UNREADABLE:
        return None


def _nearest(
    rest: dict[mapping.Target, float], value: Callable[[dict[mapping.Target, float]], float]
) -> Way | None:
    """Of controls with their values at rest the one that goes least far until a value is full, as
    `follow`; None if it never rises."""
    still, ways = value(rest), []
    for target, at in rest.items():
        far = driver_math.distance(
            lambda by, target=target, at=at: value(rest | {target: at + by}) - still
        )
        # an object of its own may stand anywhere; its default is 0
        stands = 0.0 if target.bone or target.kind != "BONE" else at - (target.path == "scale")
        ways += [(target, far, stands - still * far)] if far else []
    return min(ways, key=lambda way: abs(way[1]), default=None)


def look(curve, seen: Callable[[mapping.Target, float], float]) -> Way | None:
    """What `follow` finds for a driver that cannot be read, by what Blender shows.

    seen: the driven value where a control has this value.
    """

    def value(at: dict[mapping.Target, float]) -> float:
        moved = [target for target in at if at[target] != rest[target]] or list(at)[:1]
        return seen(moved[0], at[moved[0]])

    rest, _ = controls(curve)
    return _nearest(rest, value) if rest else None


def change(
    curve, moved: dict[mapping.Target, float], rest: dict[mapping.Target, float] | None = None
) -> float:
    """How far a driven value goes where controls go so far from rest; 0 if that cannot be
    followed. rest: of `controls`, where these are known."""
    rest = controls(curve)[0] if rest is None else rest
    if not rest.keys() & moved.keys():
        return 0.0
    try:
        there = {target: at + moved.get(target, 0.0) for target, at in rest.items()}
        return _value(curve, there) - _value(curve, rest)
    except _UNREADABLE:
        return 0.0


def needs_scripts(curve) -> bool:
    """Whether a driver stands still because scripts are off: an expression that only Python
    calculates, and Blender refused."""
    driver = curve.driver
    if driver.type != "SCRIPTED" or driver.is_valid or driver.is_simple_expression:
        return False
    try:
        ast.parse(driver.expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bpy.app.autoexec_fail


def driven_target(block, path: str, index: int) -> mapping.Target | None:
    """What a driver on a data-block moves, None for what moves no face."""
    owner, name, custom = rna_paths.split(path)
    if block.id_type == "KEY" and name == "value":
        return mapping.Target("KEY", owner[len('key_blocks["') : -2])
    if custom or block.id_type != "OBJECT" or (bone := rna_paths.bone_of(path)) is None:
        return None
    if owner != rna_paths.bone_path(bone[0]):  # a constraint's
        return None
    return mapping.Target("BONE", "", block.name, bone[0], bone[1], index)


def _value(curve, at: dict[mapping.Target, float], deep: int = _DEEP) -> float:
    """A driven value where controls have these values."""
    if not deep:
        raise ValueError("too many drivers in a row")
    driver = curve.driver
    inputs = {
        variable.name: _value(above, at, deep - 1)
        if (above := _driver_of(variable)) is not None
        else at[_input(variable)[0]]
        for variable in driver.variables
    }
    numbers = list(inputs.values())
    if driver.type == "SCRIPTED":
        value = driver_math.calculate(driver.expression, inputs)
    else:
        value = {
            "AVERAGE": lambda: sum(numbers) / len(numbers),
            "SUM": lambda: sum(numbers),
            "MIN": lambda: min(numbers),
            "MAX": lambda: max(numbers),
        }[driver.type]()
    return curve.evaluate(value) if len(curve.keyframe_points) or len(curve.modifiers) else value


def controls(curve, deep: int = _DEEP) -> tuple[dict[mapping.Target, float], bool]:
    """What takes keys behind a driven value, drivers of drivers too, each with its value at rest;
    and whether the value can be calculated from these."""
    found, is_readable = {}, deep > 0
    for variable in curve.driver.variables if deep else ():
        if (above := _driver_of(variable)) is not None:
            more, is_known = controls(above, deep - 1)
        else:
            known = _input(variable)
            is_known, more = known is not None, dict([known] if known else _channels(variable))
        found, is_readable = found | more, is_readable and is_known
    return found, is_readable


_INDEXED = re.compile(r"^(.*?)(?:\[(\d)\]|\.([xyz]))?$", re.DOTALL)


def _driver_of(variable):
    """The driver of what a driver's variable reads; None if it has none, or a muted one."""
    source = variable.targets[0]
    data = source.id.animation_data if source.id is not None else None
    if data is None or not len(data.drivers):
        return None
    path, index = source.data_path, 0
    if variable.type == "TRANSFORMS":
        match = _TRANSFORM.match(source.transform_type)
        if match is None:
            return None
        path, index = _PATHS[match[1]], "XYZ".index(match[2])
        path = f"{rna_paths.bone_path(source.bone_target)}.{path}" if source.bone_target else path
    elif variable.type == "SINGLE_PROP":
        match = _INDEXED.match(path)
        path, index = match[1], int(match[2] or "xyz".find(match[3] or "x"))
    else:
        return None
    found = data.drivers.find(path, index=index)
    return None if found is None or found.mute else found


def _channels(variable) -> list[tuple[mapping.Target, float]]:
    """All channels of the bones and objects that a driver's variable looks at, as it cannot be told
    which of them counts."""
    return [
        found
        for source in variable.targets
        if source.id is not None and source.id.id_type == "OBJECT"
        if variable.type != "SINGLE_PROP"
        for path in ("location", "rotation_euler", "scale")
        for index in range(3)
        if (found := _bone(source.id, source.bone_target, path, index)) is not None
    ]


_PATHS = {"LOC": "location", "ROT": "rotation_euler", "SCALE": "scale"}
_TRANSFORM = re.compile(r"(LOC|ROT|SCALE)_([XYZ])$")
_BONE_CHANNEL = re.compile(
    r'^(?:pose\.bones\["(.+)"\]\.)?(location|scale|rotation_euler)(?:\[(\d)\]|\.([xyz]))$'
)


def _input(variable):
    """(target, value at rest) of a driver's variable, None if it is nothing that takes keys."""
    source = variable.targets[0]
    if source.id is None:
        return None
    if variable.type == "TRANSFORMS":
        match = _TRANSFORM.match(source.transform_type)
        # the local space of an object is not what its own channels say
        own = ("LOCAL_SPACE", "TRANSFORM_SPACE") if source.bone_target else ("TRANSFORM_SPACE",)
        if match and source.transform_space in own:
            return _bone(source.id, source.bone_target, _PATHS[match[1]], "XYZ".index(match[2]))
    if variable.type != "SINGLE_PROP":
        return None
    if channel := _BONE_CHANNEL.match(source.data_path):
        index = int(channel[3]) if channel[3] else "xyz".index(channel[4])
        return _bone(source.id, channel[1] or "", channel[2], index, is_stored=True)
    path, name, custom = rna_paths.split(source.data_path)
    if source.id.id_type == "KEY" and path.startswith("key_blocks"):
        return mapping.Target("KEY", path[len('key_blocks["') : -2]), 0.0
    is_found = custom and rna_paths.exists(source.id, source.data_path)
    if not is_found or source.id.id_type != "OBJECT":
        return None
    holder = source.id.path_resolve(path) if path else source.id
    bone = path[len('pose.bones["') : -2] if path.startswith("pose.bones") else ""
    return mapping.Target("PROPERTY", name, source.id.name, bone), rna_paths.rest_value(
        holder, name
    )


def _bone(obj, bone: str, path: str, index: int, is_stored: bool = False):
    """A channel of a bone, or of an object where that is "", and its value at rest; is_stored: the
    number itself, not how it turns."""
    if obj.id_type != "OBJECT":
        return None
    pose = obj.pose.bones.get(bone) if bone and obj.pose else None if bone else obj
    is_whole = not bone and obj.type == "ARMATURE"  # where a character stands is no control
    if pose is None or is_whole:
        return None
    if path == "rotation_euler" and (is_stored or not bone) and len(pose.rotation_mode) > 3:
        return None
    target = mapping.Target("BONE", "", obj.name, bone, path, index)
    return target, (1.0 if path == "scale" else 0.0) if bone else getattr(obj, path)[index]
