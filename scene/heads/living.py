# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves and colours a bundled head besides its keys: uneven blood, wrinkles of its skin,
shoulders and breath.

Drivers of plain arithmetic let all of it follow keys and bones. No take keys any of it, so curves
of takes and commits are the same with and without it.
"""

import bpy
import numpy as np
from mathutils import noise, Vector

from ...thunder_core.face.head import EYE_LEFT, EYE_RIGHT, Head, NECK
from ...thunder_core.filters import smoothstep
from . import materials, rna_paths
from .build import add_input, add_keys, add_turn, JOINTS

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
_LINES = 8.0  # distance from one line of the forehead to the next, millimetres
_NOSE_LINES = 7.0  # the same on the nose
_FROWNS_AT = 5.5  # distance of the frown lines from the middle, millimetres
_CORNER = (41.0, -1.0)  # corner of the eye, where crow's feet come from, millimetres
_RAYS = 24.0  # angle from one crow's foot to the next, degrees
_WET = 12.3  # distance from the middle of the eye at which an edge of a lid is wet, millimetres
# What makes them on a side: an expression of the values a, b … of the keys after it.
_FOLDS = (("max(a,b)", "browInnerUp", "browOuterUp{}"), ("a", "browDown{}"), ("a", "noseSneer{}"))
_SIDES = ("Left", "Right")
_EYE_FOLD = ("0.6*a+0.5*b+0.6*c", "eyeSquint{}", "cheekSquint{}", "mouthSmile{}")

_FLUSH = 1.45  # factor of what the tint of skin takes away
_DARK = 0.6  # tint below which skin is dark already, as in nostrils
# materials of the inner mouth
_INNER_MOUTH = ("Mouth", "Mouth Lining", "Gums", "Teeth", "Back Teeth", "Tongue")
_LIGHTER = 0.5  # power to which their tint is raised: below 1 is lighter
# of uneven blood: how many in a metre, and the share of green and blue in one
_BLOTCHES = ((40.0, 0.05), (130.0, 0.03))


def add(
    mesh: bpy.types.Object, armature: bpy.types.Object, model: Head, lined: float = 0.0
) -> None:
    """Add all of it to a bundled head that was just built. lined: how deep its wrinkles are at
    rest, 0 … 1."""
    _flush(mesh, model)
    _add_wrinkles(mesh, model, lined)
    _add_bust(mesh, armature, model)


def _flush(mesh: bpy.types.Object, model: Head) -> None:
    """Make the tint of the skin stronger and uneven, and that of the inner mouth weaker: lamps make
    it dark enough."""
    skin, mouth = (_vertices_of(model, names) for names in (("Skin",), _INNER_MOUTH))
    tint = np.c_[model.tints, np.ones(len(model.tints))]
    places = model.v_template[skin].tolist()
    paler = np.array(
        [
            sum(size * noise.noise(often * Vector(place)) for often, size in _BLOTCHES)
            for place in places
        ]
    )
    flushed = np.maximum(1 + _FLUSH * (tint[skin, :3] - 1), np.minimum(tint[skin, :3], _DARK))
    tint[skin, :3] = flushed * (1 + paler[:, None] * (0.2, 1.0, 0.9))
    tint[mouth, :3] **= _LIGHTER
    mesh.data.color_attributes[materials.TINT].data.foreach_set(
        "color", tint.astype(np.float32).ravel()
    )


def _vertices_of(model: Head, names: tuple[str, ...]) -> np.ndarray:
    """The vertices of the parts with materials of these names."""
    wanted = np.isin(np.array(model.material_names)[model.polygon_material], names)
    return np.setdiff1d(model.polygons[wanted], -1)


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
    skin = np.stack(
        [deepest * _hill(half, *place) for deepest, *place in (_FOREHEAD, _FROWN, _NOSE)], 1
    )
    feet = _CROWS_FEET[0] * _hill(half, *_CROWS_FEET[1:])
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
            driver = mesh.driver_add(rna_paths.property_path(name), index).driver
            for letter, key in zip("abc", keys):
                add_input(driver, letter, mesh.data.shape_keys, rna_paths.key_path(key))
            driver.expression = f"min(max({expression},0)+{lined},1)"


def _for_side(fold: tuple[str, ...], side: str) -> tuple[str, ...]:
    """A fold's expression and the names of its keys on one side."""
    return tuple(part.format(side) for part in fold)


def _hill(points: np.ndarray, centre, radii) -> np.ndarray:
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


def switches_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The armature with the switches of the bundled head that an object belongs to, None for others
    and for heads of earlier files."""
    armature = obj if obj.type == "ARMATURE" else obj.parent
    return (
        armature
        if armature is not None
        and all(rna_paths.OWN_PREFIX + name in armature for name in SWITCHES)
        else None
    )
