# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows drivers of plain arithmetic and constraints that copy: which control moves a value or a
bone, and what a slider moves."""

import ast
import math
import operator
import re

from mathutils import Matrix, Quaternion

from ...thunder_core.face import mapping
from . import rna_paths

CHAIN = 3  # drivers or copying bones in a row that are followed
# Controls are probed with increasing movements until one has an effect: some have a range of
# millimetres, some go from 0 to 100. Most stop where the key is at 1.
_STEPS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_SEEN = 0.01  # least change of the key that counts

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS = {
    "min": min,
    "max": max,
    "abs": abs,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "pow": pow,
    "degrees": math.degrees,
    "radians": math.radians,
    "fabs": math.fabs,
    "clamp": lambda x, low=0.0, high=1.0: min(max(x, low), high),
}


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


def follow(curve) -> tuple[mapping.Target, float, float] | None:
    """The control behind a driven value, the distance by which it brings the value from 0 to 1, and
    how far from its default the value is 0; None if it cannot be keyed or the dependence is not
    simple arithmetic."""
    driver = curve.driver
    inputs = {variable.name: _input(variable) for variable in driver.variables}
    if not inputs or None in inputs.values():
        return None
    rest = {name: at for name, (_, at) in inputs.items()}
    try:
        still = _value(curve, rest)
        controls = []  # (slope, control)
        for name, (target, at) in inputs.items():
            for sign in (1, -1):
                moved = (
                    (step, _value(curve, rest | {name: at + sign * step}) - still)
                    for step in _STEPS
                )
                # Only movement that raises the value counts; the other direction belongs to another
                # key.
                slope = next((change / step for step, change in moved if change >= _SEEN), 0.0)
                if slope > 0:
                    controls.append((slope, (target, sign / slope, -still * sign / slope)))
    except (ValueError, ArithmeticError, KeyError, TypeError, SyntaxError, RecursionError):
        return None
    return max(controls, key=lambda each: each[0], default=(0.0, None))[1]


def change(curve, moved: dict[mapping.Target, float]) -> float:
    """How far a driven value goes where controls go so far from rest; 0 if that cannot be
    followed."""
    inputs = {variable.name: _input(variable) for variable in curve.driver.variables}
    if not any(each is not None and each[0] in moved for each in inputs.values()):
        return 0.0
    try:
        rest = {name: at for name, (_, at) in inputs.items()}
        there = {name: at + moved.get(target, 0.0) for name, (target, at) in inputs.items()}
        return _value(curve, there) - _value(curve, rest)
    except (ValueError, ArithmeticError, KeyError, TypeError, SyntaxError, RecursionError):
        return 0.0


def driven_target(block, path: str, index: int) -> mapping.Target | None:
    """What a driver on a data-block moves, None for what moves no face."""
    owner, name, custom = rna_paths.split(path)
    if block.id_type == "KEY" and name == "value":
        return mapping.Target("KEY", owner[len('key_blocks["') : -2])
    if custom or block.id_type != "OBJECT" or (bone := rna_paths.bone_of(path)) is None:
        return None
    return mapping.Target("BONE", "", block.name, bone[0], bone[1], index)


def _value(curve, inputs: dict[str, float]) -> float:
    driver = curve.driver
    numbers = list(inputs.values())
    if driver.type == "SCRIPTED":
        value = float(_calculate(ast.parse(driver.expression, mode="eval").body, inputs))
    else:
        value = {
            "AVERAGE": lambda: sum(numbers) / len(numbers),
            "SUM": lambda: sum(numbers),
            "MIN": lambda: min(numbers),
            "MAX": lambda: max(numbers),
        }[driver.type]()
    return curve.evaluate(value) if len(curve.keyframe_points) or len(curve.modifiers) else value


def _calculate(node, names: dict[str, float]):
    """The value of a driver's expression if it is plain arithmetic; it is never executed as
    Python."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        return math.pi if node.id == "pi" and "pi" not in names else names[node.id]
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_calculate(node.operand, names))
    if isinstance(node, ast.BinOp):
        left, right = _calculate(node.left, names), _calculate(node.right, names)
        if isinstance(node.op, ast.Pow) and (abs(left) > 1e6 or abs(right) > 64):
            raise ValueError("too large a power")
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _OPERATORS[type(node.ops[0])](
            _calculate(node.left, names), _calculate(node.comparators[0], names)
        )
    if isinstance(node, ast.IfExp):
        return _calculate(node.body if _calculate(node.test, names) else node.orelse, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _FUNCTIONS[node.func.id](*(_calculate(argument, names) for argument in node.args))
    raise ValueError("no plain arithmetic")


_TRANSFORM = re.compile(r"(LOC|ROT|SCALE)_([XYZ])$")
_BONE_CHANNEL = re.compile(
    r'^pose\.bones\["(.+)"\]\.(location|scale|rotation_euler)(?:\[(\d)\]|\.([xyz]))$'
)


def _input(variable):
    """(target, value at rest) of a driver's variable, None if it is nothing that takes keys."""
    source = variable.targets[0]
    if source.id is None:
        return None
    if variable.type == "TRANSFORMS":
        match = _TRANSFORM.match(source.transform_type)
        if match and source.transform_space in ("LOCAL_SPACE", "TRANSFORM_SPACE"):
            path = {"LOC": "location", "ROT": "rotation_euler", "SCALE": "scale"}[match[1]]
            return _bone(source.id, source.bone_target, path, "XYZ".index(match[2]))
    if variable.type != "SINGLE_PROP":
        return None
    if channel := _BONE_CHANNEL.match(source.data_path):
        index = int(channel[3]) if channel[3] else "xyz".index(channel[4])
        return _bone(source.id, channel[1], channel[2], index, is_stored=True)
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
    """A bone's channel and its value at rest; is_stored: the number itself, not how it turns."""
    pose = obj.pose.bones.get(bone) if obj.id_type == "OBJECT" and obj.pose else None
    is_turn = path == "rotation_euler" and is_stored
    if pose is None or (is_turn and len(pose.rotation_mode) > 3):
        return None
    return mapping.Target("BONE", "", obj.name, bone, path, index), 1.0 if path == "scale" else 0.0
