# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig made from a FLAME file, read back as a head from its data; the file is not needed
again."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.errors import BadHead
from ...thunder_core.face.head import Head, load_head
from ...thunder_core.face.mapping import JointRule, Mapping, Rule, Target
from ...thunder_core.face.moving import retarget
from ...thunder_core.records import UNREADABLE
from ..host.jobs import Recent
from . import binding, build
from .family import points_of, rest_of, triangles_of
from .reading import weights_of

# armature property: number of expression directions of the file
COUNT = "thunder_flame"
_EXPRESSION = re.compile(r"expression\d{3,}")  # names of its expression keys
_MOST_CHANNELS, _FARTHEST = 1000, 1e3  # of a FLAME file; metres of a joint
_JOINTS = "thunder_joints"  # armature property: joints of the average person, [5, 3] metres
retargets: Recent = Recent(4)  # retargetings by their inputs; a session has a few rigs


def add(
    path: str,
    collection: bpy.types.Collection,
    view_layer: bpy.types.ViewLayer,
    location: Sequence[float] | Vector = (0.0, 0.0, 0.0),
    sliders: int = 10,
) -> bpy.types.Object:
    """Add the head of a FLAME file to a collection, read by our restricted reader; its mesh object.
    Raises BadHead if the file is no FLAME model."""
    model = load_head(bpy.path.abspath(path))
    if not model.identity.shape[2]:
        raise BadHead(
            "This file is Thunder's own head, not a FLAME model: press Add Head to add it, or "
            "choose a FLAME model"
        )
    name = bpy.path.display_name_from_filepath(path)
    mesh, armature = build.build(model, name, collection, view_layer, location, identity=sliders)
    armature[COUNT] = model.channels
    return mesh


def is_flame(armature: bpy.types.Object | None) -> bool:
    """Whether an armature is that of a head made from a FLAME file."""
    return armature is not None and COUNT in armature


def channels_of(armature: bpy.types.Object) -> int:
    """How many expression channels the file of a FLAME head has. Raises BadHead where somebody has
    damaged what it noted."""
    count = armature.get(COUNT)
    if not isinstance(count, int) or not 0 < count <= _MOST_CHANNELS:
        raise _damaged(armature)
    return count


def _damaged(armature: bpy.types.Object) -> BadHead:
    return BadHead(
        f"What “{armature.name}” notes of its FLAME file is damaged: add the head from the file "
        f"again"
    )


def names_of(mesh: bpy.types.Object) -> tuple[str, ...]:
    """The expression keys of a FLAME head, in the file's order; those that were deleted are
    missing."""
    blocks = mesh.data.shape_keys.key_blocks if mesh.data.shape_keys else {}
    return tuple(sorted(name for name in blocks.keys() if _EXPRESSION.fullmatch(name)))


@lru_cache(maxsize=4)
def standard_mapping(title: str, channels: tuple[str, ...]) -> Mapping:
    """The mapping of a head of ours: channels by their names, joints by our bones."""
    joints = ("neck", "jaw", "eye_left", "eye_right")
    rules = tuple(Rule(name, Target("KEY", name)) for name in channels)
    return Mapping(title, rules, tuple(JointRule(joint, joint) for joint in joints))


def bind(
    mesh: bpy.types.Object, armature: bpy.types.Object
) -> tuple[tuple, retarget.RetargetDriver]:
    """The data-blocks a take on a FLAME head animates, and what turns a motion into their
    numbers."""
    names = names_of(mesh)
    if not names:
        raise BadHead(
            f"“{mesh.name}” has lost the shape keys of its FLAME file: add the head from the file "
            f"again"
        )
    bound = binding.bind(
        standard_mapping("FLAME", names), [mesh, armature], (armature, mesh.data.shape_keys)
    )
    return bound.targets, retarget.RetargetDriver(
        lambda: _retarget(mesh, armature), bound.driver, names
    )


def _retarget(mesh: bpy.types.Object, armature: bpy.types.Object) -> retarget.Retarget:
    model = model_of(mesh, armature)
    checksum = zlib.crc32(model.v_template.tobytes() + model.joints.tobytes())
    for part in (model.shapedirs, model.posedirs, model.weights):
        checksum = zlib.crc32(np.ascontiguousarray(part).tobytes(), checksum)
    if checksum not in retargets:
        retargets[checksum] = retarget.to_head(model, joints_move=False)
    return retargets[checksum]


def model_of(mesh: bpy.types.Object, armature: bpy.types.Object) -> Head:
    """The head a FLAME rig is now, identity sliders and sculpted changes included; metres, FLAME's
    axes.

    Its joints are where the bones are, and expression does not move them.
    """
    data, blocks, count = mesh.data, mesh.data.shape_keys.key_blocks, len(mesh.data.vertices)
    names = names_of(mesh)

    def offsets(block: bpy.types.ShapeKey):
        return points_of(block.data) - points_of(block.relative_key.data)

    rest = rest_of(mesh)
    for block in blocks:
        if block.name.startswith("identity") and not block.mute and block.value:
            rest = rest + block.value * offsets(block)
    posedirs = np.zeros((count, 3, 36), np.float32)
    for number in range(36):
        name = build.CORRECTIVE.format(
            build.JOINTS[1 + number // 9], number % 9 // 3 + 1, number % 3 + 1
        )
        if name in blocks:
            posedirs[:, :, number] = build.blender_to_flame(offsets(blocks[name]))
    triangles = triangles_of(data)
    template = build.blender_to_flame(rest)
    joints = np.array([armature.data.bones[name].head_local for name in build.JOINTS])
    # the file's coordinates are those of the armature, independent of its position and size
    return Head(
        v_template=template.astype(np.float32),
        shapedirs=np.ascontiguousarray(
            np.stack([build.blender_to_flame(offsets(blocks[name])) for name in names], 2),
            np.float32,
        ),
        posedirs=posedirs,
        J_regressor=_regressor(template, build.blender_to_flame(joints)),
        weights=_weights(mesh, count),
        kintree_table=np.array([[-1, 0, 1, 1, 1], range(5)]),
        f=triangles,
        polygons=np.concatenate([triangles, np.full((len(triangles), 1), -1, np.int32)], 1),
        polygon_material=np.zeros(len(triangles), np.int32),
        material_names=("Skin",),
        material_colors=np.ones((1, 4), np.float32),
        expression_names=names,
        mouth_vertices=np.zeros(0, np.int32),
        mouth_parts=np.zeros(0, np.int32),
        inner_lip_upper_mid=-1,
        inner_lip_lower_mid=-1,
        mouth_corner_left=-1,
        mouth_corner_right=-1,
        region_names=(),
        regions=np.zeros((0, count), np.float32),
        identity=np.zeros((count, 3, 0), np.float32),
    )


def _regressor(points: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """The shortest weights [5, V] that sum to 1 and give the joints [5, 3] from the points [V,
    3]."""
    system = np.concatenate([points, np.ones((len(points), 1))], 1)  # [V, 4]
    wanted = np.concatenate([joints, np.ones((len(joints), 1))], 1)  # [5, 4]
    return wanted @ np.linalg.solve(system.T @ system, system.T)


def _weights(mesh: bpy.types.Object, count: int) -> np.ndarray:
    weights, groups = np.zeros((count, 5), np.float32), weights_of(mesh)
    for column, name in enumerate(build.JOINTS):
        ids, by = groups.get(name, ([], []))
        weights[ids, column] = by
    total = weights.sum(1, keepdims=True)
    weights[total[:, 0] == 0, 0] = 1.0
    return weights / np.where(total > 0, total, 1.0)


# ---- bones follow the person


def fit_bones(
    mesh: bpy.types.Object, armature: bpy.types.Object, view_layer: bpy.types.ViewLayer
) -> float:
    """Move the bones to where the person on the identity sliders has their joints; the farthest
    way, in metres. Raises BadHead.

    Needs object mode. Without it a jaw would swing about the average person's joint.
    """
    heads = [tuple(armature.data.bones[name].head_local) for name in build.JOINTS]
    try:
        stored = np.array(armature.get(build.SHIFTS, ()), np.float64).reshape(-1, 5, 3)
        joints = np.array(armature.get(_JOINTS, heads), np.float64).reshape(5, 3)
    except UNREADABLE as error:
        raise _damaged(armature) from error
    if not all((np.abs(each) < _FARTHEST).all() for each in (stored, joints)):
        raise _damaged(armature)
    blocks = mesh.data.shape_keys.key_blocks
    values = [
        blocks[name].value
        if (name := build.IDENTITY.format(i + 1)) in blocks and not blocks[name].mute
        else 0.0
        for i in range(len(stored))
    ]
    shift = np.einsum("n,njc->jc", values, stored)
    if _JOINTS not in armature:
        armature[_JOINTS] = joints.ravel().tolist()
    wanted = joints + shift
    moved = max(
        float(np.linalg.norm(np.array(armature.data.bones[name].head_local) - place))
        for name, place in zip(build.JOINTS, wanted)
    )
    with build.editing(armature, view_layer) as bones:
        for name, place in zip(build.JOINTS, wanted):
            build.place_bone(bones[name], place)
    build.make_active(mesh, view_layer)
    return moved
