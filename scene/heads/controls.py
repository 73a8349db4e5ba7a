# SPDX-License-Identifier: GPL-3.0-or-later
"""Four sliders on a character that add to its mouth: Open, Wide, Round and Smile. Animators key
them over any animation.

What takes key cannot be driven as well. So each shape key that a slider moves gets a twin of the
same shape, which is driven, and each bone a constraint that turns it further. Twins and constraints
stop where the mouth is shut or the shape at its full: they add to what the keys are on that frame.
"""

import bpy
import numpy as np

from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.types import JAW_OPEN_RADIANS, Motion
from ..host import compat
from . import head, rna_paths
from .build import add_input
from .family import points_of

_JAW = "jawOpen"


def _pair(name: str, value: float) -> dict[str, float]:
    return {f"{name}{side}": value for side in ("Left", "Right")}


_ROUND = {"mouthPucker": 0.8, "mouthFunnel": 0.2}
SLIDERS = {  # what each is for, and what it adds at 1 and at −1
    "Open": ("Opens the mouth, and closes it below 0", {_JAW: 0.75}, {_JAW: -0.75}),
    "Wide": (
        "Draws the corners of the mouth apart, and together below 0",
        _pair("mouthStretch", 0.75) | _pair("mouthSmile", 0.15),
        _pair("mouthStretch", -0.75) | {"mouthPucker": 0.45},
    ),
    "Round": (
        "Rounds the lips, and takes their rounding away below 0",
        _ROUND,
        {name: -value for name, value in _ROUND.items()} | _pair("mouthPress", 0.3),
    ),
    "Smile": (
        "Raises the corners of the mouth, and lowers them below 0",
        _pair("mouthSmile", 0.8) | _pair("cheekSquint", 0.3),
        _pair("mouthFrown", 0.8) | _pair("mouthSmile", -0.8),
    ),
}
_LEAST = 1e-3  # share of a key, or radians, below which a slider does not move it
# share of a slider's lower half, inverted, after which a jaw cannot be keyed beyond shut
_SHUTS = 10

Parts = tuple[tuple[str, float, float], ...]  # (slider, what it adds at 1, and at −1)


def owner_of(rig: head.Rig) -> bpy.types.Object:
    """The object with the sliders: the armature that a take animates, else the face."""
    return next((target for target in rig.targets if target.id_type == "OBJECT"), rig.mesh)


def are_on(rig: head.Rig) -> bool:
    """Whether a character has the sliders."""
    return any(rna_paths.OWN_PREFIX + slider in owner_of(rig) for slider in SLIDERS)


def add(rig: head.Rig) -> None:
    """Give a character the sliders. Raises BadHead, and then nothing was changed."""
    values, tracks, owner = _values_at_ends(rig), rig.driver.tracks, owner_of(rig)
    keys = {
        place: _parts(values[:, place])
        for place, track in enumerate(tracks)
        if rig.targets[track.block].id_type == "KEY"
    }
    keys = {place: parts for place, parts in keys.items() if parts}
    turns = {}
    for places in rna_paths.rotations(tracks):
        block, (bone, _) = (
            rig.targets[tracks[places[0]].block],
            rna_paths.bone_of(tracks[places[0]].path),
        )
        vectors = mapping.rotation_vectors(values[:, places], block.pose.bones[bone].rotation_mode)
        turns |= {
            (block.pose.bones[bone], axis): parts
            for axis in range(3)
            if (parts := _parts(vectors[:, axis]))
        }
    moving = {slider for parts in (*keys.values(), *turns.values()) for slider, *_ in parts}
    if not moving:
        raise BadHead(
            f"“{owner.name}” moves its mouth by the controls of a rig, to which sliders cannot "
            f"add: use these controls"
        )
    _check_local(rig, {rig.targets[tracks[place].block] for place in keys})
    for slider, (about, *_) in [each for each in SLIDERS.items() if each[0] in moving]:
        rna_paths.add_slider(owner, slider, 0.0, -1.0, about)
    for place, parts in keys.items():
        _add_twin(rig, owner, rig.targets[tracks[place].block], tracks[place].path, parts)
    for (bone, axis), parts in turns.items():
        _add_constraints(owner, bone, "xyz"[axis], parts)


def _values_at_ends(rig: head.Rig) -> np.ndarray:
    """Values of the rig's tracks for each slider at 1 and at −1, and at rest, [2 · sliders + 1,
    tracks]."""
    channels, count = head.channel_names(), 2 * len(SLIDERS) + 1
    expression, jaw = np.zeros((count, len(channels)), np.float32), np.zeros((count, 3))
    for row, added in enumerate(side for _, *sides in SLIDERS.values() for side in sides):
        jaw[row, 0] = added.get(_JAW, 0.0) * JAW_OPEN_RADIANS
        for name in set(added) & set(channels):
            expression[row, channels.index(name)] = added[name]
    return rig.driver.drive(
        Motion(expression, jaw, np.zeros((count, 3)), np.zeros((count, 3))), channels
    )


def _parts(column: np.ndarray) -> Parts:
    """The sliders that move a value, from what it is for each, and at rest."""
    added = (column[:-1] - column[-1]).tolist()
    return tuple(
        part for part in zip(SLIDERS, added[::2], added[1::2]) if max(map(abs, part[1:])) > _LEAST
    )


def _check_local(rig: head.Rig, blocks: set) -> None:
    """Raise BadHead if a character, or some of its shape keys, cannot get or lose keys here."""
    changed = (owner_of(rig), *blocks, *(_object_of(rig, block).data for block in blocks))
    if any(block.library is not None or block.override_library is not None for block in changed):
        raise BadHead(
            f"“{rig.owner.name}” comes from another file, as do its shape keys: add or remove its "
            f"sliders in that file"
        )


def _object_of(rig: head.Rig, keys) -> bpy.types.Object:
    """The character's object whose mesh has these shape keys."""
    return next(
        obj
        for obj in (rig.mesh, *rig.objects)
        if obj.type == "MESH" and obj.data.shape_keys == keys
    )


def _add_twin(rig: head.Rig, owner, keys, path: str, parts: Parts) -> None:
    """Add a driven key of the same shape as the one of a path; together they stay from 0 to 1, but
    for those of FLAME files."""
    obj, key = _object_of(rig, keys), keys.path_resolve(rna_paths.split(path)[0])
    active = obj.active_shape_key_index
    twin = obj.shape_key_add(name=rna_paths.OWN_PREFIX + key.name, from_mix=False)
    obj.active_shape_key_index = active
    twin.data.foreach_set("co", points_of(key.data).astype(np.float32).ravel())
    twin.relative_key, twin.vertex_group, twin.mute = key.relative_key, key.vertex_group, key.mute
    twin.slider_min, twin.slider_max, twin.value = -10.0, 10.0, 0.0
    within = "{}" if rig.driver.is_slow else "min(max({},-max(base,0)),max(1-base,0))"
    _drive(twin, "value", owner, parts, within, (keys, path))


def _add_constraints(owner, bone: bpy.types.PoseBone, axis: str, parts: Parts) -> None:
    """Let a constraint turn a bone, and another keep a jaw from turning beyond where it is shut."""
    turn, stop = bone.constraints.new("TRANSFORM"), bone.constraints.new("LIMIT_ROTATION")
    turn.name, stop.name = rna_paths.OWN_PREFIX + "Turn", rna_paths.OWN_PREFIX + "Shut"
    others = [bone.parent, *bone.id_data.pose.bones]
    # Blender asks for a target, of which nothing is used; it must not depend on the bone.
    turn.target = bone.id_data
    turn.subtarget = next(
        (
            other.name
            for other in others
            if other not in (None, bone) and bone not in other.parent_recursive
        ),
        "",
    )
    turn.target_space = turn.owner_space = stop.owner_space = "LOCAL"
    turn.map_to, turn.mix_mode_rot = "ROTATION", "ADD"
    _drive(turn, f"to_min_{axis}_rot", owner, parts, "{}")
    setattr(stop, f"use_limit_{axis}", True)
    setattr(
        stop, f"{'max' if parts[0][1] > 0 else 'min'}_{axis}", np.pi if parts[0][1] > 0 else -np.pi
    )
    _drive(stop, "influence", owner, parts, f"min({_SHUTS}*max(-v0,0),1)")


def _drive(held, name: str, owner, parts: Parts, within: str, base: tuple = ()) -> None:
    """Drive a property by an expression that Blender evaluates itself, with “{}” for what the
    sliders v0 … add.

    base: (data-block, path) of the keyed value that it adds to.
    """
    driver = held.driver_add(name).driver
    inputs = [
        (f"v{n}", owner, rna_paths.slider_path(slider)) for n, (slider, *_) in enumerate(parts)
    ] + ([("base", *base)] if base else [])
    for letter, source, path in inputs:
        add_input(driver, letter, source, path)
    driver.expression = within.format(
        "+".join(
            f"{up:.5g}*max(v{n},0)+{down:.5g}*max(-v{n},0)" for n, (_, up, down) in enumerate(parts)
        )
    )


def remove(rig: head.Rig) -> None:
    """Take the sliders, their keys and all that they drive from a character. Raises BadHead, and
    then nothing was changed."""
    owner = owner_of(rig)
    _check_local(rig, {target for target in rig.targets if target.id_type == "KEY"})
    for target in rig.targets:
        if target.id_type == "KEY":
            obj = _object_of(rig, target)
            active = obj.active_shape_key_index
            for twin in [
                key for key in target.key_blocks if key.name.startswith(rna_paths.OWN_PREFIX)
            ]:
                twin.driver_remove("value")
                obj.shape_key_remove(twin)
            obj.active_shape_key_index = active
        for bone in target.pose.bones if target.id_type == "OBJECT" and target.pose else ():
            for constraint in [
                each for each in bone.constraints if each.name.startswith(rna_paths.OWN_PREFIX)
            ]:
                for name in (
                    "influence",
                    *(f"to_min_{axis}_rot" for axis in "xyz" if constraint.type == "TRANSFORM"),
                ):
                    constraint.driver_remove(name)
                bone.constraints.remove(constraint)
    compat.remove_curves(owner, set(map(rna_paths.slider_path, SLIDERS)))
    for slider in SLIDERS:
        owner.pop(rna_paths.OWN_PREFIX + slider, None)
