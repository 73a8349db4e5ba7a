# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a Blender rig from a head in FLAME's layout, ours or a user's file: mesh, shape keys,
bones, correctives; and what moves and colours a bundled head besides."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.face.head import EYE_LEFT, EYE_RIGHT, Hair, Head, JOINT_NAMES, NECK
from ...thunder_core.filters import smoothstep
from ..host import compat
from . import materials, rna_paths
from .family import MARK, points_of

HAIR_MARK = "thunder_hair"  # custom property of its hair
JOINTS = JOINT_NAMES  # bones, in FLAME's joint order
SLIDER = 10.0  # shape keys clamp silently at their slider's ends: keep them far away
IDENTITY_SLIDER = 5.0  # slider range of identity keys, standard deviations between people
BONE_METRES = 0.03
IDENTITY = "identity{:03d}"  # names of the identity keys
# key name for a joint, and the row and column of its rotation matrix
CORRECTIVE = "corrective_{}_{}{}"
COMBINATION = "corrective_{}_{}"  # key name for a pair, each a channel or a joint
# armature property: joint offsets of each identity key, [keys, 5, 3] metres in Blender's axes
SHIFTS = "thunder_joint_shifts"

_STILL = 1e-6  # movement below which a corrective is left out, metres

# The elements of a rotation matrix less the identity, from Euler angles x, y, z that turn in this
# order (Rz · Ry · Rx). Blender evaluates such simple expressions itself: no script is run, and no
# permission is needed.
_ELEMENTS = (
    ("cos(y)*cos(z)-1", "sin(x)*sin(y)*cos(z)-cos(x)*sin(z)", "cos(x)*sin(y)*cos(z)+sin(x)*sin(z)"),
    ("cos(y)*sin(z)", "sin(x)*sin(y)*sin(z)+cos(x)*cos(z)-1", "cos(x)*sin(y)*sin(z)-sin(x)*cos(z)"),
    ("-sin(y)", "sin(x)*cos(y)", "cos(x)*cos(y)-1"),
)


def flame_to_blender(points: np.ndarray) -> np.ndarray:
    """FLAME's axes (+y up, +z out of the face) to Blender's (+z up, face towards −y); [..., 3]."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


def blender_to_flame(points: np.ndarray) -> np.ndarray:
    """The inverse of flame_to_blender."""
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def armature_of(mesh: bpy.types.Object) -> bpy.types.Object | None:
    """The armature of ours that deforms a mesh, or None."""
    candidates = [m.object for m in mesh.modifiers if m.type == "ARMATURE"] + [mesh.parent]
    return next(
        (
            a
            for a in candidates
            if a is not None and a.type == "ARMATURE" and MARK in a and "jaw" in a.pose.bones
        ),
        None,
    )


def build(
    model: Head,
    name: str,
    collection: bpy.types.Collection,
    view_layer: bpy.types.ViewLayer,
    location: Sequence[float] | Vector = (0.0, 0.0, 0.0),
    identity: int = 0,
) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Add a head to a collection: a mesh with a key per expression direction, its armature,
    weights, materials; its hair.

    Correctives are keys that bones and other keys drive. identity: how many of the directions in
    which people differ become sliders. Leaves the mesh active and selected; needs object mode.
    Returns (mesh object, armature object).
    """
    mesh = _part(name, model.v_template, model)
    collection.objects.link(mesh)
    armature = bpy.data.objects.new(f"{name} Rig", bpy.data.armatures.new(f"{name} Rig"))
    collection.objects.link(armature)
    armature[MARK] = 1
    armature.location = location
    armature.data.display_type = "STICK"
    add_bones(
        armature,
        view_layer,
        dict(zip(JOINTS, flame_to_blender(model.joints))),
        {JOINTS[i]: JOINTS[parent] for i, parent in enumerate(model.parents) if i},
    )
    for index, joint in enumerate(JOINTS):
        add_weights(mesh, joint, model.weights[:, index])
    add_keys(mesh, model.expression_names, model.shapedirs, SLIDER)
    _identity(mesh, armature, model, identity)
    _correctives(mesh, armature, model)
    _combinations(mesh, armature, model)
    deform(mesh, armature)
    if model.hair is not None:
        hair = _part(f"{name} Hair", model.hair.vertices, model.hair)
        collection.objects.link(hair)
        hair[HAIR_MARK] = 1
        hair.vertex_groups.new(name="neck").add(range(len(hair.data.vertices)), 1.0, "REPLACE")
        deform(hair, armature)
    make_active(mesh, view_layer)
    return mesh, armature


def make_active(mesh: bpy.types.Object, view_layer: bpy.types.ViewLayer) -> None:
    """Make a mesh the active and the only selected object."""
    for other in view_layer.objects.selected:
        other.select_set(False)
    mesh.select_set(True)
    view_layer.objects.active = mesh


def _part(name: str, points: np.ndarray, part: Head | Hair) -> bpy.types.Object:
    """An object with the polygons, materials and tints of a part, its vertices at points [V, 3] in
    FLAME's axes."""
    padded = part.polygons[:, 3] < 0
    faces = [
        row[:3] if short else row for row, short in zip(part.polygons.tolist(), padded.tolist())
    ]
    colours = dict(zip(map(str, part.material_names), part.material_colors.tolist()))
    skin: Any = next((hue for title, hue in colours.items() if title.startswith("Skin")), None)
    looks = []
    for title, colour in colours.items():
        # the red of lips is a tint of skin, so that it has no edge
        is_tint = title.startswith("Lips") and len(part.tints) > 0
        looks.append(
            materials.material(
                f"Thunder {title.replace('Lips', 'Lip Tint') if is_tint else title}",
                skin if is_tint else colour,
                materials.look_of(title),
                tinted=len(part.tints) > 0,
                solid=colour,
            )
        )
    obj = add_mesh(
        name, flame_to_blender(points.astype(np.float64)), faces, looks, part.polygon_material
    )
    if len(part.tints):
        obj.data.color_attributes.new(materials.TINT, "FLOAT_COLOR", "POINT").data.foreach_set(
            "color", np.c_[part.tints, np.ones(len(part.tints))].astype(np.float32).ravel()
        )
    return obj


def add_mesh(
    name: str,
    points: np.ndarray,
    faces: Sequence[Sequence[int]],
    looks: list[bpy.types.Material],
    look: np.ndarray,
) -> bpy.types.Object:
    """A smooth mesh of points [V, 3] in Blender's axes, and for each of its faces the index of its
    material among `looks`."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points.tolist(), [], faces)
    for material in looks:
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", look.astype(np.int32))
    mesh.shade_smooth()
    mesh.update()
    return bpy.data.objects.new(name, mesh)


def deform(mesh: bpy.types.Object, armature: bpy.types.Object) -> None:
    """Let an armature move a mesh."""
    mesh.parent = armature
    mesh.modifiers.new(armature.name, "ARMATURE").object = armature


def add_keys(
    mesh: bpy.types.Object, names: Iterable[str], directions: np.ndarray, reach: float
) -> list:
    """One shape key per direction of directions [V, 3, n], in FLAME's axes."""
    if mesh.data.shape_keys is None:
        mesh.shape_key_add(name="Basis", from_mix=False)
        mesh.data.shape_keys.name = mesh.name  # type: ignore[attr-defined]  # it has some now
    offsets = flame_to_blender(np.moveaxis(directions.astype(np.float64), 2, 0))
    rest, keys = points_of(mesh.data.vertices), []
    for name, offset in zip(names, offsets):
        key = mesh.shape_key_add(name=str(name), from_mix=False)
        key.data.foreach_set("co", (rest + offset).astype(np.float32).ravel())
        key.slider_min, key.slider_max = -reach, reach
        key.value = 0.0  # shape_key_add starts at 1 in some versions
        keys.append(key)
    return keys


def _identity(mesh: bpy.types.Object, armature: bpy.types.Object, model: Head, count: int) -> None:
    count = min(count, model.identity.shape[2])
    if not count:
        return
    directions = model.identity[:, :, :count]
    add_keys(mesh, [IDENTITY.format(i + 1) for i in range(count)], directions, IDENTITY_SLIDER)
    shifts = np.einsum(
        "jv,vcn->njc",
        model.J_regressor.astype(np.float64),
        directions.astype(np.float64),
        optimize=True,
    )
    armature[SHIFTS] = flame_to_blender(shifts).ravel().tolist()


def _correctives(mesh: bpy.types.Object, armature: bpy.types.Object, model: Head) -> None:
    """FLAME's pose correctives, one key per element of a joint's rotation matrix that has one,
    driven by its bone."""
    moving = np.flatnonzero(np.abs(model.posedirs).max(axis=(0, 1)) > _STILL)
    if not len(moving):
        return
    places = [(JOINTS[1 + number // 9], number % 9 // 3, number % 3) for number in moving]
    names = [CORRECTIVE.format(joint, row + 1, column + 1) for joint, row, column in places]
    keys = add_keys(mesh, names, model.posedirs[:, :, moving], 2.0)
    for key, (joint, row, column) in zip(keys, places):
        driver = key.driver_add("value").driver
        driver.type = "SCRIPTED"
        for axis in "xyz":
            if f"({axis})" in _ELEMENTS[row][column]:
                add_turn(driver, axis, armature, joint, axis)
        driver.expression = _ELEMENTS[row][column]


def add_turn(
    driver: bpy.types.Driver, name: str, armature: bpy.types.Object, joint: str, axis: str
) -> None:
    """A variable of a driver: a bone's turn against its rest, constraints included, whatever
    its rotation mode."""
    variable = driver.variables.new()
    variable.name, variable.type = name, "TRANSFORMS"
    target = variable.targets[0]
    target.id, target.bone_target = armature, joint
    target.transform_type = f"ROT_{axis.upper()}"  # type: ignore[assignment]
    target.transform_space, target.rotation_mode = "LOCAL_SPACE", "XYZ"


def add_input(driver: bpy.types.Driver, name: str, block: compat.Animated, path: str) -> None:
    """A variable of a driver: the value of a property of a data-block."""
    variable = driver.variables.new()
    variable.name, target = name, variable.targets[0]
    target.id_type = block.id_type
    target.id, target.data_path = block, path


def _combinations(mesh: bpy.types.Object, armature: bpy.types.Object, model: Head) -> None:
    """The shapes where two keys meet, one key each, driven by the product of both: also of values
    that an animator keys."""
    if not model.corrective_pairs:
        return
    names = [COMBINATION.format(*pair) for pair in model.corrective_pairs]
    for key, pair in zip(add_keys(mesh, names, model.correctives, 2.0), model.corrective_pairs):
        driver = key.driver_add("value").driver
        driver.type, factors = "SCRIPTED", []
        for number, part in enumerate(pair):
            if part in JOINTS:
                for axis in "xy":
                    add_turn(driver, f"{axis}{number}", armature, part, axis)
                factors.append(f"sin(x{number})*cos(y{number})")
                continue
            add_input(driver, f"v{number}", mesh.data.shape_keys, rna_paths.key_path(part))
            factors.append(f"min(max(v{number},0),1)")
        driver.expression = "*".join(factors)


@contextlib.contextmanager
def editing(
    armature: bpy.types.Object, view_layer: bpy.types.ViewLayer
) -> Iterator[bpy.types.ArmatureEditBones]:
    """The bones of an armature in edit mode; it is active afterwards, in object mode."""
    view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        yield armature.data.edit_bones
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")


def add_bones(
    armature: bpy.types.Object,
    view_layer: bpy.types.ViewLayer,
    places: dict[str, np.ndarray],
    parents: dict[str, str],
) -> None:
    """Add bones at places [3] to an armature, parents before their children; they turn in the order
    x, y, z."""
    with editing(armature, view_layer) as bones:
        for name, place in places.items():
            bone = bones.new(name)
            place_bone(bone, place)
            bone.parent = bones.get(parents.get(name, ""))
    for bone in armature.pose.bones:
        bone.rotation_mode = "XYZ"


def place_bone(bone: bpy.types.EditBone, joint: np.ndarray) -> None:
    """Place a bone upright at a joint [3] with its z axis out of the face.

    Its axes are then FLAME's, so a motion's rotation vector applies to the bone without conversion.
    """
    bone.head = Vector(joint)
    bone.tail = Vector(joint) + Vector((0.0, 0.0, BONE_METRES))
    bone.align_roll(Vector((0.0, -1.0, 0.0)))


def add_weights(mesh: bpy.types.Object, name: str, weights: np.ndarray) -> None:
    """Add a vertex group with weights [V]."""
    group = mesh.vertex_groups.new(name=name)
    # One call for all vertices with the same weight: bundled heads have few different ones; a
    # file's are rounded to a ten-thousandth, at most a hundredth of a millimetre.
    step = np.round(weights.astype(np.float64), 4) if len(np.unique(weights)) > 2000 else weights
    order = np.argsort(step, kind="stable")
    values, starts = np.unique(step[order], return_index=True)
    for value, ids in zip(values, np.split(order, starts[1:])):
        if value > 0:
            group.add(ids.tolist(), float(value), "REPLACE")


# ---- what moves and colours a bundled head besides its keys. Drivers of plain arithmetic let it
# follow keys and bones. No take keys any of it, so curves of takes and commits are the same with
# and without it.

SWITCHES = {  # properties of a head's armature, 0 … 1, and what each is for
    "Shoulders": "How far the shoulders follow the head when it turns and tilts",
    "Breath": "How far chest and shoulders rise with a breath, in a rhythm of its own: it does not "
    "follow the voice",
}
_TURN, _TILT = 0.22, 0.15  # share of the neck's turn and tilt that shoulders follow
# rise of the shoulders, and way of the chest, at a full breath, metres
_RISE, _CHEST = 0.004, 0.003
_HERTZ = 0.24  # breaths of a face at rest
_APART = 2.4  # phase from one head's breath to the next one's, radians

# Wrinkles on the left half: largest depth, as a share of `materials.WRINKLE`; centre and radii of
# their place in millimetres, x to the head's left, y up, z out of the face. The left eye is at
# _EYE; where eyes are further apart, all of it is larger.
_EYE = (31.5, 0.0, 61.0)
_FOREHEAD = (1.0, (0, 47, 84), (52, 24, 46))
_FROWN = (0.8, (0, 15, 90), (15, 20, 20))
_NOSE = (0.45, (9, -11, 90), (11, 15, 14))
_CROWS_FEET = (0.35, (55, -1, 62), (13, 16, 18))
_YOUNG = 0.3  # share of the depth without lines at rest
_LINES = 9.5  # distance from one line of the forehead to the next, millimetres
_NOSE_LINES = 7.0  # the same on the nose
_FROWNS_AT = 5.5  # distance of the frown lines from the middle, millimetres
_CORNER = (41.0, -1.0)  # corner of the eye, where crow's feet come from, millimetres
_RAYS = 24.0  # angle from one crow's foot to the next, degrees
_WET = 13.2  # distance from the middle of the eye at which an edge of a lid is wet, millimetres
# What makes them on a side: an expression of the values a, b … of the keys after it.
_FOLDS = (("max(a,b)", "browInnerUp", "browOuterUp{}"), ("a", "browDown{}"), ("a", "noseSneer{}"))
_SIDES = ("Left", "Right")
_FROM = 0.35  # value of that expression up to which skin stays smooth
_EYE_FOLD = ("0.6*a+0.5*b+0.6*c", "eyeSquint{}", "cheekSquint{}", "mouthSmile{}")

# materials of the inner mouth
_INNER_MOUTH = (
    "Mouth", "Mouth Lining", "Gums", "Teeth", "Side Teeth", "Back Teeth", "Tongue", "Back Tongue",
)  # fmt: skip
_LIGHTER = 0.5  # power to which their tint is raised: below 1 is lighter


def enliven(
    mesh: bpy.types.Object, armature: bpy.types.Object, model: Head, lined: float = 0.0
) -> None:
    """Give a bundled head that was just built a lit mouth, wrinkles, shoulders and breath. lined:
    how deep its wrinkles are at rest, 0 … 1."""
    _light_mouth(mesh, model)
    _add_wrinkles(mesh, model, lined)
    _add_bust(mesh, armature, model)


def _light_mouth(mesh: bpy.types.Object, model: Head) -> None:
    """Make the tint of the inner mouth weaker: lamps make it dark enough."""
    inner = np.isin(np.array(model.material_names)[model.polygon_material], _INNER_MOUTH)
    mouth = np.setdiff1d(model.polygons[inner], -1)
    tint = np.c_[model.tints, np.ones(len(model.tints))].astype(np.float32)
    tint[mouth, :3] **= _LIGHTER
    mesh.data.color_attributes[materials.TINT].data.foreach_set("color", tint.ravel())


def _add_wrinkles(mesh: bpy.types.Object, model: Head, lined: float) -> None:
    """Store where wrinkles are at rest as attributes of the mesh, and drive properties of the
    object that say how deep they are.

    The material of the skin reads both (`materials.WRINKLES`), so that all heads of a file can
    share it, and what is stored at rest moves with the face.
    """
    left, right = model.joints[EYE_LEFT], model.joints[EYE_RIGHT]
    p = (model.v_template - (left + right) / 2) * 2 * _EYE[0] / (left - right)[0] + (
        0.0,
        0.0,
        _EYE[2],
    )
    x, y, z = p.T
    half = np.c_[np.abs(x), y, z]  # both halves as the left one
    is_left = smoothstep(np.clip(x / 16 + 0.5, 0, 1))
    *parts, feet = (
        min(_YOUNG + 2 * lined, 1) * deepest * _hill(half, *place)
        for deepest, *place in (_FOREHEAD, _FROWN, _NOSE, _CROWS_FEET)
    )
    skin = np.stack(parts, 1)
    wet = np.linalg.norm(half - _EYE, axis=1) < _WET
    # A whole number is the bottom of a line: of the forehead; between the brows, and of crow's
    # feet; on the nose.
    rays = np.degrees(np.arctan2(y - _CORNER[1], half[:, 0] - _CORNER[0])) / _RAYS
    frowns = (half[:, 0] - _FROWNS_AT - 0.08 * y) / (2 * _FROWNS_AT)
    lines = np.c_[
        y / _LINES + 0.2 * np.cos(half[:, 0] / 12),
        np.where(half[:, 0] < 25, frowns, rays),
        (y + 0.9 * half[:, 0]) / _NOSE_LINES,
    ]
    depths = (
        skin * is_left[:, None],
        skin * (1 - is_left)[:, None],
        np.c_[feet * (x > 0), feet * (x < 0), wet],
    )
    for name, values in zip((*materials.WRINKLES, materials.LINES), (*depths, lines)):
        stored = mesh.data.attributes.new(name, "FLOAT_VECTOR", "POINT")
        stored.data.foreach_set("vector", values.astype(np.float32).ravel())
    folds = [[_for_side(fold, side) for fold in _FOLDS] for side in _SIDES] + [
        [_for_side(_EYE_FOLD, side) for side in _SIDES]
    ]
    for name, drivers in zip(materials.WRINKLES, folds):
        mesh[name] = (0.0, 0.0, 0.0)
        for index, (expression, *keys) in enumerate(drivers):
            driver = mesh.driver_add(rna_paths.property_path(name), index).driver  # type: ignore[union-attr]
            for letter, key in zip("abc", keys):
                add_input(driver, letter, mesh.data.shape_keys, rna_paths.key_path(key))
            driver.expression = f"min(max({expression}-{_FROM},0)/{1 - _FROM}+{lined},1)"


def _for_side(fold: tuple[str, ...], side: str) -> tuple[str, ...]:
    """A fold's expression and the names of its keys on one side."""
    return tuple(part.format(side) for part in fold)


def _hill(points: np.ndarray, centre: Any, radii: Any) -> np.ndarray:
    """1 in the middle of an ellipsoid, eased to 0 at its surface; [V]."""
    return smoothstep(np.clip(1 - (((points - centre) / radii) ** 2).sum(1), 0, 1))


def _add_bust(mesh: bpy.types.Object, armature: bpy.types.Object, model: Head) -> None:
    """Keys that turn, tilt and lift what of the bust does not follow the neck, driven by the neck's
    bone and by time."""
    for name, about in SWITCHES.items():
        rna_paths.add_slider(armature, name, 1.0, 0.0, about)
    bust = model.weights[:, :1].astype(np.float64)
    away = model.v_template - model.joints[NECK]
    forward = smoothstep(np.clip(away[:, 2:] / 0.05 + 0.5, 0, 1))
    turn, tilt = (np.cross(axis, away) * bust for axis in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    breath = bust * (0.0, _RISE, 0.0) + bust * forward * (0.0, 0.0, _CHEST)
    names = [f"corrective_bust_{name}" for name in ("turn", "tilt", "breath")]
    turned, tilted, lifted = add_keys(mesh, names, np.stack([turn, tilt, breath], 2), 2.0)
    for key, axis, share in ((turned, "y", _TURN), (tilted, "z", _TILT)):
        driver = key.driver_add("value").driver
        add_input(driver, "on", armature, rna_paths.slider_path("Shoulders"))
        add_turn(driver, axis, armature, JOINTS[NECK], axis)
        driver.expression = f"on*{share}*sin({axis})"
    driver = lifted.driver_add("value").driver
    add_input(driver, "on", armature, rna_paths.slider_path("Breath"))
    rate = driver.variables.new()
    rate.name, rate.type = "rate", "CONTEXT_PROP"  # the scene's, whichever the head is in
    rate.targets[0].context_property, rate.targets[0].data_path = "ACTIVE_SCENE", "render.fps"
    phase = _APART * len(bpy.data.armatures) % (2 * np.pi)
    driver.expression = f"on*(0.5-0.5*cos({2 * np.pi * _HERTZ:.4f}*frame/rate+{phase:.2f}))"
