# SPDX-License-Identifier: GPL-3.0-or-later
"""A committed line passes into what was there within half a second, and beyond that nothing moves
that nobody keyed; between keys the lips are where the take has them."""

import numpy as np
import pytest
from commit_stage import (  # noqa: F401
    choose,
    count_keys,
    curves_of,
    distances,
    numbers,
    path_of,
    seen,
    show,
    stage,
    values_of,
)
from performances import set_keys
from thunder.scene.animation import fcurves, keying
from thunder.scene.host import compat
from thunder.scene.takes.commit import writing
from thunder.thunder_core.animation import keyframes

pytestmark = pytest.mark.one_blender

WINDOW = 12  # half a second at 24 fps


def commit(blender, stage, start, **how):
    """Show a line of 1.6 s from a frame on and commit it; the first and last frame it may have keys
    on."""
    scene, _ = stage
    entry = show(stage, start=float(start), seconds=1.6, seed=abs(start))
    first, last = entry.first, entry.last
    choose(scene, **how)
    if scene.thunder.commit.how != "INSERT":
        first, last = first - entry.lead_in, last + entry.lead_out
    blender.ops.thunder.commit_take()
    return first, last


KINDS = {
    "CONSTANT": "mouthSmileLeft",
    "LINEAR": "mouthSmileRight",
    "REPEAT": "mouthPucker",
    "REPEAT_OFFSET": "mouthFunnel",
    "MIRROR": "mouthRollLower",
    "NOISE": "mouthPressLeft",
    "EASED": "mouthUpperUpLeft",
    "OVERLAPPING": "mouthLowerDownLeft",
}
CLOSE = 1e-4  # values that are one


def own_work(rig):
    """Curves of the animator's own, of every kind: a few keys, and whatever it does between and
    beyond them."""
    for name in KINDS.values():
        set_keys(rig.keys.key_blocks[name], "value", {1: 0.2, 13: 0.5, 29: 0.3})
    neck = rig.armature.pose.bones["neck"]
    neck.rotation_mode = "XYZ"
    set_keys(neck, "rotation_euler", {1: 0.1, 13: -0.05, 29: 0.12}, 1)
    curves = curves_of(rig)
    for kind, name in KINDS.items():
        curve = curves[path_of(name), 0]
        if kind == "LINEAR":
            curve.extrapolation = "LINEAR"
        elif kind in ("REPEAT", "REPEAT_OFFSET", "MIRROR"):
            modifier = curve.modifiers.new("CYCLES")
            modifier.mode_before = modifier.mode_after = kind
        elif kind == "NOISE":
            modifier = curve.modifiers.new("NOISE")
            modifier.scale, modifier.strength = 7.0, 0.3
        for point in curve.keyframe_points:
            if kind == "EASED":
                point.interpolation = "ELASTIC"
            elif kind == "OVERLAPPING":
                point.handle_left_type = point.handle_right_type = "FREE"
                point.handle_left = (point.co[0] - 9.0, point.co[1] - 0.1)
                point.handle_right = (point.co[0] + 9.0, point.co[1] + 0.05)
        curve.update()


def changed(before, after, frames, where):
    """Kinds of curves that are not what they were at some of the frames, with how far off they
    are."""
    kinds, off = {path_of(name): kind for kind, name in KINDS.items()}, {}
    for (path, index), values in before.items():
        kind = kinds.get(path, path)
        apart = np.abs(values - after[path, index])[where(kind, frames)].max() / max(
            1.0, np.abs(values).max()
        )
        if apart >= CLOSE:
            off[kind] = apart
    return off


@pytest.mark.parametrize(
    "start, to, blend",
    [(-80, "OWN", 3), (10, "COPY", 3), (100, "OWN", 3), (100, "COPY", 60)],
    ids=["before", "among", "after", "long blend"],
)
def test_the_animators_curves_are_unchanged_around_the_take(blender, stage, rig, start, to, blend):
    """Also where the blend is longer than the half second after which it ends."""
    own_work(rig)
    frames = np.arange(-200, 400, 0.25)
    before = values_of(rig, frames)
    first, last = commit(blender, stage, start, to=to, blend=blend)
    after = values_of(rig, frames)
    outside = (frames <= first - min(blend, WINDOW)) | (frames >= last + min(blend, WINDOW))

    # an easing that was cut, and cycles that jump or turn, are keys on every frame, straight in
    # between
    def where(kind, frames):
        on_frames = frames == np.round(frames)
        return outside & (
            on_frames | (kind not in ("REPEAT", "MIRROR", *["EASED"] * (start == 10)))
        )

    assert not changed(before, after, frames, where)
    for name in KINDS.values():
        assert np.abs(after[path_of(name), 0] - before[path_of(name), 0])[~outside].max() > 0.1, (
            name
        )


@pytest.mark.parametrize("kind", ["GENERATOR", "FNGENERATOR", "ENVELOPE", "STEPPED", "LIMITS"])
def test_a_curve_with_any_modifier_is_committed_and_known_as_it_is(blender, stage, rig, kind):
    set_keys(rig.keys.key_blocks["mouthSmileLeft"], "value", {1: 0.1, 150: 0.4})
    place = path_of("mouthSmileLeft"), 0
    modifier = curves_of(rig)[place].modifiers.new(kind)
    limits = [(20.0, -0.5, 0.25), (30.0, -1.0, 2.0)]
    if kind == "ENVELOPE":
        for frame, low, high in limits:
            modifier.control_points.add(frame)
        for name, column in (("min", 1), ("max", 2)):
            modifier.control_points.foreach_set(name, [each[column] for each in limits])
    commit(blender, stage, 40, to="OWN")
    made = curves_of(rig)[place].modifiers
    if kind == "ENVELOPE":
        assert [[(p.frame, p.min, p.max) for p in each.control_points] for each in made] == [
            limits
        ] * 2
    # before 4.4 each target has an action
    played = {target.animation_data.action for target in rig.targets if target.animation_data}
    actions = played - {None}
    assert actions and all(
        action[writing.AS_COMMITTED] == keying.checksum_of(action) for action in actions
    )


def test_an_insert_moves_whatever_the_animators_curves_do(blender, stage, rig):
    own_work(rig)
    set_keys(rig.armature, "location", {1: 0.0, 60: 1.0}, 2)
    frames = np.arange(-100, 300.0)
    before = values_of(rig, frames)
    first, last = commit(blender, stage, 10, how="INSERT")
    shift = last + 3 - first
    assert not changed(before, values_of(rig, frames), frames, lambda kind, at: at <= first - 3)
    later = values_of(rig, frames + shift)
    # noise has to pass in
    assert not changed(
        before, later, frames, lambda kind, at: at >= first + (3 if kind == "NOISE" else 0)
    )
    assert np.ptp(values_of(rig, range(first + 3, last - 3))["location", 2]) < 1e-4, (
        "the body waits"
    )


def test_keys_are_evaluated_as_blender_does(blender):
    obj = blender.data.objects.new("Thing", None)
    rng = np.random.default_rng(0)
    frames = np.linspace(-5, 65, 281)
    for _ in range(40):
        obj.animation_data_clear()
        times = np.sort(rng.choice(np.arange(1, 60), rng.integers(1, 10), replace=False))
        set_keys(obj, "location", {float(frame): rng.normal() for frame in times}, 0)
        (curve,) = compat.curves_for(obj)
        for point in curve.keyframe_points:
            point.interpolation = str(rng.choice(["BEZIER", "BEZIER", "LINEAR", "CONSTANT"]))
            kind = str(rng.choice(["FREE", "ALIGNED", "AUTO", "AUTO_CLAMPED", "VECTOR"]))
            point.handle_left_type = point.handle_right_type = kind
            if kind == "FREE":
                point.handle_left = (point.co[0] - rng.uniform(0.5, 20), rng.normal())
                point.handle_right = (point.co[0] + rng.uniform(0.5, 20), rng.normal())
        curve.update()
        said = np.array([curve.evaluate(float(frame)) for frame in frames])
        assert np.abs(keyframes.evaluate(fcurves.read(curve), frames) - said).max() < 2e-3


def as_strip(target, name):
    """Let the active action of a data-block play as an NLA strip instead."""
    animation = target.animation_data
    action, slot = animation.action, compat.slot_of(target)
    strip = animation.nla_tracks.new().strips.new(name, int(action.frame_range[0]), action)
    compat.set_strip_slot(strip, slot)
    compat.assign_action(target, None)
    return strip


@pytest.mark.parametrize(
    "own, to, how",
    [
        (True, "COPY", "REPLACE"),
        (False, "COPY", "REPLACE"),
        (True, "OWN", "ADD"),
        (True, "NEW", "REPLACE"),
        (True, "STRIP", "REPLACE"),
    ],
)
def test_the_animators_strips_go_on_around_the_take(blender, stage, scene, rig, own, to, how):
    keys = rig.keys.key_blocks
    for name in ("browInnerUp", "mouthSmileLeft"):
        values = {frame: 0.3 + 0.2 * np.sin(frame) for frame in range(1, 161, 8)}
        set_keys(keys[name], "value", values)
    as_strip(rig.keys, "Idle")
    if own:
        set_keys(keys["mouthPucker"], "value", {1: 0.1, 90: 0.4, 150: 0.2})
    frames = [*range(-20, 38, 3), *range(82, 200, 3)]  # the line is on 40 … 79
    before, inside = seen(blender, scene, frames), range(42, 78, 4)
    entry = show(stage, start=40.0, seconds=1.6)
    assert 40 <= entry.first and entry.last <= 79
    take = seen(blender, scene, inside)
    choose(scene, to=to, how=how)
    blender.ops.thunder.commit_take()
    off = np.abs(seen(blender, scene, frames) - before)
    names = [block.name for block in keys]
    if own and to == "NEW":
        off[:, names.index("mouthPucker")] = 0.0  # its action was dropped on purpose
    for name in ("browInnerUp", "mouthSmileLeft", "mouthPucker"):
        assert off[:, names.index(name)].max() < 1e-4, name
    if how == "REPLACE":
        assert np.abs(seen(blender, scene, inside) - take).max() < 0.09
