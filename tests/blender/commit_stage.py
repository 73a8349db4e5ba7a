# SPDX-License-Identifier: GPL-3.0-or-later
"""A spoken take on a head with animation of its own, committed with given choices, and everything
that must not be lost."""

import numpy as np
import pytest
from performances import performance, show_take
from thunder.scene.animation import display, keying
from thunder.scene.heads import build, head as head_module, rna_paths
from thunder.scene.host import compat
from thunder.scene.takes import take_list
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import CommitChoice
from thunder.thunder_core import progress, types
from thunder.thunder_core.face.moving import displacement
from thunder.thunder_core.face.moving.lips import opening_mm

CHANNELS = (
    "mouthPucker",
    "mouthFunnel",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthRollLower",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "browDownLeft",
    "jawForward",
)
CLOSED = (0.6, 1.4, 2.2)  # seconds at which the lips meet for two frames


@pytest.fixture
def stage(stage):
    """A scene with our head at 24 fps: (scene, rig)."""
    stage[0].thunder.commit.accuracy = "EXACT"
    for name in build.SWITCHES:
        stage[1].armature[f"Thunder {name}"] = 0.0  # what moves by itself is not what is committed
    return stage


def key_frames(curve):
    """The whole frames on which a curve has keys."""
    return {round(point.co[0]) for point in curve.keyframe_points}


def distances(first, second):
    """Distances of two motions at the lips, elsewhere on the face, of the head and the eyes, [T]
    millimetres each."""
    return displacement.group_distances(
        displacement.positions(first) - displacement.positions(second)
    ).T


def spoken(seconds=3.0, seed=5):
    """A performance with the bumps of speech on many channels, and shut lips at CLOSED."""
    made = performance(seconds=seconds, closed_at=(), seed=seed)
    rng = np.random.default_rng(seed)
    t = np.arange(made.motion.frames) / 25
    expression, jaw = made.motion.expression.copy(), made.motion.jaw.copy()

    def bumps(rate):
        centres = rng.uniform(0, seconds, max(1, round(rate * seconds)))
        return sum(
            rng.uniform(0.2, 0.7) * np.exp(-0.5 * ((t - c) / rng.uniform(0.06, 0.15)) ** 2)
            for c in centres
        )

    for name in CHANNELS:
        expression[:, made.channels.index(name)] = np.clip(bumps(2.0), 0, 1)
    jaw[:, 0] = 0.05 + 0.25 * np.clip(bumps(3.0), 0, 1)
    shut = np.zeros(len(t))
    for closed in (*CLOSED, *(c + 1 / 25 for c in CLOSED)):
        shut = np.maximum(shut, np.clip(1.6 - np.abs(t - closed) / 0.06, 0, 1))
    mouth = [i for i, name in enumerate(made.channels) if name.startswith(("mouth", "jaw"))]
    expression[:, mouth] *= 1 - shut[:, None]
    jaw *= 1 - shut[:, None]
    motion = types.Motion(
        expression.astype(np.float32), jaw.astype(np.float32), made.motion.head, made.motion.eyes
    )
    opening = opening_mm(motion)
    return keying.TakeData(motion, made.channels, opening, made.width, seed, 80.0, made.provenance)


def show(stage, start=21.0, voice="voice", **how):
    """Key a spoken performance, list it and show it; the entry."""
    scene = stage[0]
    # a rig is looked up again for every action
    return show_take((scene, head_module.find(scene)), spoken(**how), start, voice)


def commit(entry, to="OWN", how="REPLACE", *, first=None, last=None, **choice):
    """Show a take and commit it, or its frames from first to last; the report."""
    rig = take_list.rig_of(entry.id_data, entry)
    display.show(rig, entry)
    first, last = entry.first if first is None else first, entry.last if last is None else last
    return progress.result(
        committing.commit(rig, entry, entry.voice, CommitChoice(first, last, to, how, **choice))
    )


def path_of(channel):
    return f'key_blocks["{channel}"].value'


def curves_of(rig):
    """The curves that a rig plays, {(path, index): curve}."""
    return {
        (curve.data_path, curve.array_index): curve
        for target in rig.targets
        for curve in compat.curves_for(target)
    }


def curve_of(rig, channel):
    """The curve of a shape key."""
    return curves_of(rig)[path_of(channel), 0]


def count_keys(rig):
    return sum(len(curve.keyframe_points) for curve in curves_of(rig).values())


def values_of(rig, frames):
    """What each curve that a rig plays says at frames, {(path, index): [T]}."""
    return {
        place: np.array([curve.evaluate(float(frame)) for frame in frames])
        for place, curve in curves_of(rig).items()
    }


def choose(scene, **how):
    if "error" in how:
        scene.thunder.commit.accuracy = "CUSTOM"
    for name, value in how.items():
        setattr(scene.thunder.commit, name, value)


def animate(rig, mode="XYZ"):
    """The animator's own work, before, within and after the take: keys of several kinds, and still
    values without keys."""
    jaw = rig.armature.pose.bones["jaw"]
    jaw.rotation_mode = mode
    for frame, angle in ((1, 0.0), (12, 0.1), (40, 0.15), (130, 0.02), (150, 0.08)):
        if mode == "QUATERNION":
            jaw.rotation_quaternion = (np.cos(angle / 2), np.sin(angle / 2), 0, 0)
            jaw.keyframe_insert("rotation_quaternion", frame=frame)
        else:
            jaw.rotation_euler[0] = angle
            jaw.keyframe_insert("rotation_euler", index=0, frame=frame)
        rig.keys.key_blocks["mouthSmileLeft"].value = angle * 4
        rig.keys.key_blocks["mouthSmileLeft"].keyframe_insert("value", frame=frame)
        rig.armature.location[2] = angle
        rig.armature.keyframe_insert("location", index=2, frame=frame)
    rig.keys.key_blocks["browInnerUp"].value = 0.7
    return rig


def everything(bpy):
    """All that an animator could lose of a file's animation, as plain values: every action, slot,
    curve, key and handle, and what each data-block plays."""
    parts = (
        "co",
        "handle_left",
        "handle_right",
        "interpolation",
        "easing",
        "handle_left_type",
        "handle_right_type",
        "type",
        "back",
        "period",
        "amplitude",
    )

    def plain(value):
        return tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value

    def curve(c):
        return (
            c.data_path,
            c.array_index,
            c.mute,
            c.extrapolation,
            c.group.name if c.group else "",
            [m.type for m in c.modifiers],
            [[plain(getattr(k, part)) for part in parts] for k in c.keyframe_points],
        )

    def action(a):
        if hasattr(a, "slots"):
            bags = [
                (bag.slot.identifier, [curve(c) for c in bag.fcurves])
                for layer in a.layers
                for strip in layer.strips
                for bag in strip.channelbags
            ]
        else:
            bags = [curve(c) for c in a.fcurves]
        # Blender 4.2 makes this one when it is read
        properties = sorted({*a.keys(), "thunder_shape"})
        return a.name, a.use_fake_user, a.users, properties, bags

    def strip(s):
        slot = getattr(s, "action_slot", None)
        return (
            s.name,
            s.action and s.action.name,
            slot and slot.identifier,
            s.frame_start,
            s.frame_end,
            s.action_frame_start,
            s.action_frame_end,
            s.blend_type,
            s.extrapolation,
            s.blend_in,
            s.blend_out,
            s.influence,
            s.use_animated_influence,
        )

    def animation(block):
        data, slot = block.animation_data, getattr(block.animation_data, "action_slot", None)
        return (
            None
            if data is None
            else (
                data.action and data.action.name,
                slot and slot.identifier,
                data.action_blend_type,
                data.action_influence,
                data.action_extrapolation,
                [(t.name, t.mute, [strip(s) for s in t.strips]) for t in data.nla_tracks],
            )
        )

    return {
        "actions": sorted(action(a) for a in bpy.data.actions),
        "objects": {o.name: (animation(o), plain(o.location)) for o in bpy.data.objects},
        "keys": {
            k.name: (animation(k), [block.value for block in k.key_blocks])
            for k in bpy.data.shape_keys
        },
        "takes": [
            (t.name, t.action and t.action.name, t.score, t.first, t.last)
            for t in bpy.context.scene.thunder.takes
        ],
    }


def seen(bpy, scene, frames):
    """Of the evaluated scene at frames: every shape key (a breath as 0, which no key moves), the
    jaw's turn, the height, [T, …]."""
    rows = []
    for frame in frames:
        scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        armature = next(o for o in scene.objects if o.type == "ARMATURE")
        mesh = next(o for o in scene.objects if o.type == "MESH" and o.data.shape_keys)
        done = armature.evaluated_get(graph)
        turn = done.pose.bones["jaw"].matrix_basis.to_quaternion()
        keys = [
            0.0 if "breath" in block.name else block.value
            for block in mesh.data.shape_keys.key_blocks
        ]
        rows.append([*keys, 2 * np.arctan2(turn.x, turn.w), done.location[2]])
    return np.array(rows)


def numbers(rig, frames):
    """What the rig's tracks are by their curves, or stand at without one, [T, tracks], the motion
    and its lips' gap in mm."""
    curves = [
        {(c.data_path, c.array_index): c for c in compat.curves_for(target)}
        for target in rig.targets
    ]
    values = np.empty((len(frames), len(rig.driver.tracks)))
    for place, track in enumerate(rig.driver.tracks):
        curve = curves[track.block].get((track.path, track.index))
        stands = (
            rna_paths.value(rig.targets[track.block], track.path, track.index)
            if curve is None
            else None
        )
        values[:, place] = stands if curve is None else [curve.evaluate(frame) for frame in frames]
    motion = rig.driver.read(values, head_module.channel_names())
    return values, motion, displacement.face_meter().gap(displacement.face_meter().points(motion))
