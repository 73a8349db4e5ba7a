# SPDX-License-Identifier: GPL-3.0-or-later
"""Four sliders on a character that add to its mouth: Open, Wide, Round and Smile. Animators key them over any animation.

What takes key cannot be driven as well. So each shape key that a slider moves gets a twin of the same shape, which is driven, and each bone
a constraint that turns it further. Twins and constraints stop where the mouth is shut or the shape at its full: they add to what the keys
are on that frame.
"""

from dataclasses import dataclass

import bpy
import numpy as np

from ...thunder_core.channels import JAW_OPEN_RADIANS
from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.types import Motion
from ..host import compat
from . import head, rna_paths
from .family import OWN_PREFIX

_JAW = "jawOpen"


def _pair(name: str, value: float) -> dict[str, float]:
    return {f"{name}{side}": value for side in ("Left", "Right")}


# What each slider adds at 1 and at −1.
_ROUND = {"mouthPucker": 0.8, "mouthFunnel": 0.2}
SLIDERS = {
    "Open": ({_JAW: 0.75}, {_JAW: -0.75}),
    "Wide": (_pair("mouthStretch", 0.75) | _pair("mouthSmile", 0.15), _pair("mouthStretch", -0.75) | {"mouthPucker": 0.45}),
    "Round": (_ROUND, {name: -value for name, value in _ROUND.items()} | _pair("mouthPress", 0.3)),
    "Smile": (_pair("mouthSmile", 0.8) | _pair("cheekSquint", 0.3), _pair("mouthFrown", 0.8) | _pair("mouthSmile", -0.8)),
}
_ABOUT = {
    "Open": "Opens the mouth, and closes it below 0",
    "Wide": "Draws the corners of the mouth apart, and together below 0",
    "Round": "Rounds the lips, and takes their rounding away below 0",
    "Smile": "Raises the corners of the mouth, and lowers them below 0",
}
_DRIVEN = {"TRANSFORM": [f"to_min_{axis}{kind}" for axis in "xyz" for kind in ("", "_rot")], "LIMIT_ROTATION": ["influence"]}
_SHUTS = 10  # share of a slider's lower half, inverted, after which a jaw cannot be keyed beyond shut
_LEAST = 1e-3  # share of a key, or radians, below which a slider does not move it


def property_of(slider: str) -> str:
    """Name of the custom property of a slider."""
    return OWN_PREFIX + slider


def owner_of(rig: head.Rig) -> bpy.types.Object:
    """The object with the sliders: the armature that a take animates, else the face."""
    return next((target for target in rig.targets if target.id_type == "OBJECT"), rig.mesh)


def are_on(rig: head.Rig) -> bool:
    """Whether a character has the sliders."""
    return all(property_of(slider) in owner_of(rig) for slider in SLIDERS)


@dataclass(frozen=True)
class _Effect:
    """What sliders add to a shape key, or to a bone along one of its axes.

    parts: (slider, added at 1, at −1) of those that move it.  limits: least and largest sum with the keyed value, None for any; a value
    that is keyed beyond them stays.
    """

    parts: tuple[tuple[str, float, float], ...]
    limits: tuple[float | None, float | None] = (None, None)

    def expression(self, base: str = "") -> str:
        """Of the driver, simple enough for Blender to evaluate itself. base: name of the keyed value, "" without limits."""
        terms = [f"{up:.5g}*max(v{n},0)+{down:.5g}*max(-v{n},0)" for n, (_, up, down) in enumerate(self.parts)]
        low, high = self.limits if base else (None, None)
        total = "+".join(terms)
        total = total if low is None else f"max({total},min({low:g}-{base},0))"
        return total if high is None else f"min({total},max({high:g}-{base},0))"

    def of(self, sliders: dict[str, np.ndarray], base: np.ndarray) -> np.ndarray:
        """The same in numbers, for values [T] of the sliders, and keyed ones."""
        total = sum(up * np.maximum(sliders[slider], 0) + down * np.maximum(-sliders[slider], 0) for slider, up, down in self.parts)
        low, high = self.limits
        total = total if low is None else np.maximum(total, np.minimum(low - base, 0))
        return total if high is None else np.minimum(total, np.maximum(high - base, 0))


@dataclass(frozen=True)
class _Bone:
    """A bone that sliders move. places: its tracks.  kind: ROTATION or LOCATION.  axes: what they add to its own axes, 0–2."""

    places: tuple[int, ...]
    kind: str
    mode: str
    axes: dict[int, _Effect]


def _effects(rig: head.Rig) -> tuple[dict[int, _Effect], list[_Bone]]:
    """What the sliders add to shape keys, by track, and to bones."""
    values, tracks = _driven(rig), rig.driver.tracks
    limits = (None, None) if rig.driver.is_slow else (0.0, 1.0)  # keys of FLAME files have no end
    keys, bones = {}, []
    for place, track in enumerate(tracks):
        effect = _effect(values[:, place], limits)
        if effect.parts and rig.targets[track.block].id_type == "KEY":
            keys[place] = effect
        elif effect.parts and track.path.endswith("].location"):
            bones.append(_Bone((place,), "LOCATION", "", {track.index: effect}))
    for places in rna_paths.rotations(tracks):
        first = tracks[places[0]]
        mode = rig.targets[first.block].pose.bones[rna_paths.bone_of(first.path)[0]].rotation_mode
        if len(places) == mapping.rotation_length(mode):
            turns = mapping.rotation_vectors(values[:, places], mode)
            axes = {axis: _turning(turns[:, axis]) for axis in range(3)}
            bones.append(_Bone(tuple(places), "ROTATION", mode, {axis: effect for axis, effect in axes.items() if effect.parts}))
    return keys, [bone for bone in bones if bone.axes]


def _driven(rig: head.Rig) -> np.ndarray:
    """Values of the rig's tracks for each slider at 1 and at −1, and at rest, [2 · sliders + 1, tracks]."""
    channels, count = head.channel_names(), 2 * len(SLIDERS) + 1
    expression, jaw = np.zeros((count, len(channels)), np.float32), np.zeros((count, 3))
    for row, added in enumerate(side for sides in SLIDERS.values() for side in sides):
        jaw[row, 0] = added.get(_JAW, 0.0) * JAW_OPEN_RADIANS
        for name in set(added) & set(channels):
            expression[row, channels.index(name)] = added[name]
    return rig.driver.drive(Motion(expression, jaw, np.zeros((count, 3)), np.zeros((count, 3))), channels)


def _effect(column: np.ndarray, limits: tuple[float | None, float | None] = (None, None)) -> _Effect:
    """The effect that has these values at 1 and −1 of each slider, and at rest."""
    added = (column[:-1] - column[-1]).tolist()
    sides = zip(SLIDERS, added[::2], added[1::2])
    return _Effect(tuple((slider, up, down) for slider, up, down in sides if max(abs(up), abs(down)) > _LEAST), limits)


def _turning(column: np.ndarray) -> _Effect:
    """The effect on a bone's turn: a jaw stops where it is shut."""
    effect = _effect(column)
    opens = effect.parts[0][1] if effect.parts else 0.0
    return _Effect(effect.parts, (0.0, None) if opens > 0 else (None, 0.0))


# ---- adding and removing


def add(rig: head.Rig) -> None:
    """Give a character the sliders. Raises BadHead, and then nothing was changed."""
    keys, bones = _effects(rig)
    _check(rig, keys, bones)
    owner = owner_of(rig)
    for slider, about in _ABOUT.items():
        owner[property_of(slider)] = 0.0
        owner.id_properties_ui(property_of(slider)).update(min=-1.0, max=1.0, soft_min=-1.0, soft_max=1.0, default=0.0, description=about)
        owner.property_overridable_library_set(rna_paths.property_path(property_of(slider)), True)
    for place, effect in keys.items():
        _add_twin(rig, owner, rig.driver.tracks[place], effect)
    for bone in bones:
        _add_constraints(rig, owner, bone)


def _check(rig: head.Rig, keys: dict[int, _Effect], bones: list[_Bone]) -> None:
    """Raise BadHead with the reason if sliders cannot be added to a character."""
    name = rig.owner.name
    if not keys and not bones:
        raise BadHead(f"“{name}” moves its mouth by properties of a control rig, to which sliders cannot add: use the rig's own controls")
    blocks = {rig.targets[rig.driver.tracks[place].block] for place in keys}
    meshes = [_object_of(rig, block).data for block in blocks]
    if any(block.library is not None or block.override_library is not None for block in (owner_of(rig), *blocks, *meshes)):
        raise BadHead(f"“{name}” comes from another file, and Blender adds no shape keys to it here: add the sliders in its own file")


def _add_twin(rig: head.Rig, owner, track, effect: _Effect) -> None:
    """Add a driven key of the same shape as the key of a track."""
    keys = rig.targets[track.block]
    obj = _object_of(rig, keys)
    key, active = keys.path_resolve(rna_paths.split(track.path)[0]), obj.active_shape_key_index
    twin = obj.shape_key_add(name=OWN_PREFIX + key.name, from_mix=False)
    obj.active_shape_key_index = active
    points = np.empty(3 * len(key.data), np.float32)
    key.data.foreach_get("co", points)
    twin.data.foreach_set("co", points)
    twin.relative_key, twin.vertex_group, twin.mute = key.relative_key, key.vertex_group, key.mute
    twin.slider_min, twin.slider_max, twin.value = -10.0, 10.0, 0.0
    _drive(twin, "value", owner, effect.parts, effect.expression("base"), (keys, track.path))


def _object_of(rig: head.Rig, keys) -> bpy.types.Object:
    """The character's object whose mesh has these shape keys."""
    return next(obj for obj in (rig.mesh, *rig.objects) if obj.type == "MESH" and obj.data.shape_keys == keys)


def _add_constraints(rig: head.Rig, owner, bone: _Bone) -> None:
    """Let a constraint move a bone in its own space, and another keep it from turning beyond where it is shut."""
    track = rig.driver.tracks[bone.places[0]]
    armature, (name, _) = rig.targets[track.block], rna_paths.bone_of(track.path)
    pose = armature.pose.bones[name]
    constraint = pose.constraints.new("TRANSFORM")
    constraint.name, constraint.target = OWN_PREFIX + bone.kind.title(), armature
    constraint.subtarget = _other_bone(pose)  # its movement is multiplied by 0: Blender asks for a target
    constraint.target_space = constraint.owner_space = "LOCAL"
    constraint.map_to, constraint.mix_mode, constraint.mix_mode_rot = bone.kind, "ADD", "ADD"
    for axis, effect in bone.axes.items():
        letter = "xyz"[axis]
        _drive(constraint, f"to_min_{letter}{'_rot' if bone.kind == 'ROTATION' else ''}", owner, effect.parts, effect.expression())
        if effect.limits != (None, None):
            limit, (low, high) = pose.constraints.new("LIMIT_ROTATION"), effect.limits
            limit.name, limit.owner_space = f"{OWN_PREFIX}Shut", "LOCAL"
            setattr(limit, f"use_limit_{letter}", True)
            setattr(limit, f"min_{letter}", -np.pi if low is None else low)
            setattr(limit, f"max_{letter}", np.pi if high is None else high)
            _drive(limit, "influence", owner, effect.parts, f"min({_SHUTS}*max(-v0,0),1)")


def _other_bone(pose: bpy.types.PoseBone) -> str:
    """Name of a bone that does not depend on this one."""
    others = [pose.parent, *pose.id_data.pose.bones]
    return next((bone.name for bone in others if bone not in (None, pose) and pose not in bone.parent_recursive), "")


def _drive(held, name: str, owner, parts: tuple, expression: str, base: tuple = ()) -> None:  # noqa: PLR0913 (what is driven, and by what)
    """Drive a property by the sliders, and by the value of a data-block that they add to, (block, path)."""
    driver = held.driver_add(name).driver
    driver.type = "SCRIPTED"
    inputs = {f"v{n}": (owner, rna_paths.property_path(property_of(part[0]))) for n, part in enumerate(parts)}
    for letter, (source, path) in (inputs | ({"base": base} if base else {})).items():
        variable = driver.variables.new()
        variable.name, variable.type = letter, "SINGLE_PROP"
        target = variable.targets[0]
        target.id_type = "KEY" if source.id_type == "KEY" else "OBJECT"
        target.id, target.data_path = source, path
    driver.expression = expression


def remove(rig: head.Rig) -> None:
    """Take the sliders, their keys and all that they drive from a character."""
    owner = owner_of(rig)
    for target in rig.targets:
        if target.id_type == "KEY":
            _remove_twins(_object_of(rig, target), target)
        elif target.type == "ARMATURE":
            _remove_constraints(target)
    compat.remove_curves(owner, {rna_paths.property_path(property_of(slider)) for slider in SLIDERS})
    for slider in SLIDERS:
        owner.pop(property_of(slider), None)
    for target in (*rig.targets, owner):
        if (animation := target.animation_data) and not (animation.action or animation.drivers or animation.nla_tracks):
            target.animation_data_clear()


def _remove_twins(obj: bpy.types.Object, keys) -> None:
    active = obj.active_shape_key_index
    for twin in [key for key in keys.key_blocks if key.name.startswith(OWN_PREFIX)]:
        twin.driver_remove("value")
        obj.shape_key_remove(twin)
    obj.active_shape_key_index = active


def _remove_constraints(armature: bpy.types.Object) -> None:
    for bone in armature.pose.bones:
        for constraint in [each for each in bone.constraints if each.name.startswith(OWN_PREFIX)]:
            for name in _DRIVEN[constraint.type]:
                constraint.driver_remove(name)
            bone.constraints.remove(constraint)


# ---- reading


def added(rig: head.Rig, values: np.ndarray, frames: np.ndarray, with_bones: bool) -> np.ndarray:
    """Values [T, tracks] of a rig at scene frames [T] with what its sliders add; of bones too, unless they were read from the scene."""
    if not are_on(rig):
        return values
    sliders = {slider: _values_of(owner_of(rig), property_of(slider), frames) for slider in SLIDERS}
    if not any(of_slider.any() for of_slider in sliders.values()):
        return values
    keys, bones = _effects(rig)
    values = values.copy()
    for place, effect in keys.items():
        values[:, place] += effect.of(sliders, values[:, place])
    for bone in bones if with_bones else ():
        places = list(bone.places)
        turns = mapping.rotation_vectors(values[:, places], bone.mode) if bone.kind == "ROTATION" else None
        for axis, effect in bone.axes.items():
            if turns is None:
                values[:, places[0]] += effect.of(sliders, values[:, places[0]])
            else:
                turns[:, axis] += effect.of(sliders, turns[:, axis])
        if turns is not None:
            values[:, places] = mapping.rotation_values(turns, bone.mode)
    return values


def _values_of(owner: bpy.types.Object, name: str, frames: np.ndarray) -> np.ndarray:
    """Values [T] of a slider at scene frames: by its curve, else as it is set."""
    path = rna_paths.property_path(name)
    curve = next((curve for curve in compat.curves_for(owner) if curve.data_path == path and not curve.mute), None)
    return np.full(len(frames), owner[name]) if curve is None else np.array([curve.evaluate(float(frame)) for frame in frames])
