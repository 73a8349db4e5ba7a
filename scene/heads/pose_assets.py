# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps a character by pose assets: mouths that an animator posed with keys or bones become the
targets of channels."""

from collections.abc import Mapping as Values
from dataclasses import replace

import bpy
import numpy as np

from ...thunder_core.errors import BadRequest
from ...thunder_core.face import conventions, jaw_balance, mapping
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ..host import compat
from . import binding, rna_paths
from .detection import detect
from .family import relatives

TAG = "Thunder"  # tag of the assets that this add-on saves
_STILL = 1e-4  # least difference from rest that counts
# share of the open jaw from which on a mouth is taken to contain it, and is given without it
_JAW_TOO = 0.1

Moves = dict[Target, float]


def map_by_poses(face: bpy.types.Object) -> tuple[Mapping, list[str]]:
    """A character's mapping in which pose assets of this file make the channels that they are named
    after, and the names of those poses.

    What no pose makes is as the character's names have it. Raises BadRequest if no pose is
    known or moves the character.
    """
    plan = detect(face)
    poses = _poses(relatives(face), plan)
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
    rules = [rule for rule in plan.rules if rule.source not in moves]
    rules += [
        Rule(channel, *move)
        for channel, moved in moves.items()
        for move in moved.items()
        if abs(move[1]) > _STILL
    ]
    joints = tuple(rule for rule in plan.joints if rule.joint != "jaw" or not jaw)
    used = {name for shapes in known.shapes.values() for name in shapes}
    return replace(
        plan, name="Pose Assets", convention="", rules=tuple(rules), joints=joints
    ), sorted(used)


def _poses(objects: list, plan: Mapping) -> dict[str, Moves]:
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


def _pose_moves(action, obj, plan: Mapping) -> Moves:
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
                moved[Target("KEY", block.path_resolve(owner).name)] = value
            elif bone is not None and name in ("location", "scale"):
                moved[Target("BONE", "", obj.name, bone[0], name, index)] = value - (
                    name == "scale"
                )
            elif bone is not None:
                turns.setdefault(bone, {})[index] = value
    for (bone, path), values in turns.items():
        mode = obj.pose.bones[bone].rotation_mode
        if path == mapping.rotation_path(mode):  # what is in another mode does not turn the bone
            numbers = np.array(
                [
                    [
                        values.get(index, rest)
                        for index, rest in enumerate(mapping.rotation_rest(mode))
                    ]
                ]
            )
            turn = binding.basis(obj, bone, plan).T @ mapping.rotation_vectors(numbers, mode)[0]
            moved |= {
                Target("BONE", "", obj.name, bone, "rotation", index): float(value)
                for index, value in enumerate(turn)
            }
    return moved


def _sum(parts) -> Moves:
    parts = list(parts)
    targets = dict.fromkeys(target for moved, _ in parts for target in moved)
    return {
        target: sum(weight * moved.get(target, 0.0) for moved, weight in parts)
        for target in targets
    }


def _without(moved: Values[Target, float], jaw: Values[Target, float]) -> Moves:
    """A mouth's moves without its share of the open jaw, by what turns most in that, or else moves
    most."""
    leads = max(jaw, key=lambda target: (target.path == "rotation", abs(jaw[target])), default=None)
    share = moved.get(leads, 0.0) / jaw[leads] if leads is not None else 0.0
    return _sum([(moved, 1.0), (jaw, -share)]) if share >= _JAW_TOO else dict(moved)
