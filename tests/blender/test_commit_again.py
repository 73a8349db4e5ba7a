# SPDX-License-Identifier: GPL-3.0-or-later
"""A line that is committed again, from the same take or another, shorter or longer, leaves the
curves around it as they were: keys of the animator's keep their value and how far they reach,
whether they were set before the first commit or after it."""

import numpy as np
import pytest
from commit_stage import (  # noqa: F401
    choose,
    commit as commit_take,
    count_keys,
    curve_of,
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
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes.commit import writing
from thunder.scene.voice import fingerprint
from thunder.thunder_core.animation import keyframes

ONE, TWO = 101.0, 301.0  # frames on which two lines begin
EASE = 3
FRAMES = np.arange(-100, 600, 0.5)
KEYS = {  # own keys of one channel each: value by frame
    "mouthPucker": {40: 0.4},
    "mouthFunnel": {86: 0.4},  # just before the first line
    "mouthSmileLeft": {190: 0.4},
    "mouthSmileRight": {160: 0.4},  # just after the first line
    "mouthRollLower": {40: 0.3, 190: 0.5},
    "mouthPressLeft": {230: 0.4},
    "mouthPressRight": {200: 0.4, 240: 0.1},
    "mouthUpperUpLeft": {500: 0.4},
    "mouthUpperUpRight": {20: 0.2, 50: 0.5, 200: 0.4, 220: 0.0, 500: 0.3},
    "mouthLowerDownLeft": {190: 0.0},
}


def commit_at(stage, start, to="OWN", how="REPLACE", *, seconds=0.8, seed=1, voice=None, **choice):
    """Show a take of a line that begins on a frame and commit it: the report and the entry."""
    entry = show(stage, start=start, voice=voice or f"line {start:.0f}", seconds=seconds, seed=seed)
    return commit_take(entry, to, how, blend=EASE, **choice), entry


def span(committed):
    """The frames that a commit may change, with its ease."""
    _, entry = committed
    return entry.first - entry.lead_in - EASE, entry.last + entry.lead_out + EASE


def set_all_keys(rig):
    """Set keys of the animator's as in a window: the action that plays gets them."""
    for channel, keys in KEYS.items():
        set_keys(rig.keys.key_blocks[channel], "value", keys)


def outside(spans):
    return ~np.any([(FRAMES >= first) & (FRAMES <= last) for first, last in spans], axis=0)


def check_around(before, spans, rig):
    """Outside of spans the curves are what they were, and keys of the animator's stand where they
    stood."""
    after, around = values_of(rig, FRAMES), outside(spans)
    for key, values in before.items():
        off = np.abs(after[key] - values)[around]
        assert off.max() < 2e-3, (key, FRAMES[around][off.argmax()])
    curves = curves_of(rig)
    for channel, keys in KEYS.items():
        there = {
            round(point.co[0], 2): point.co[1]
            for point in curves[path_of(channel), 0].keyframe_points
        }
        for frame, value in keys.items():
            assert there[frame] == pytest.approx(value, abs=1e-6), (channel, frame)


def times_outside(spans, rig):
    """Frames of the keys that lie outside of spans, {(path, index): [...]}."""
    return {
        key: [
            point.co[0]
            for point in curve.keyframe_points
            if not any(first < point.co[0] < last for first, last in spans)
        ]
        for key, curve in curves_of(rig).items()
    }


@pytest.mark.one_blender
@pytest.mark.parametrize("how", [{}, {"seconds": 0.5}, {"seconds": 1.2, "seed": 2}])
def test_keys_set_after_a_commit_keep_value_and_reach(blender, stage, scene, how):
    """Two lines, then own keys before, after and between them, then each line again, one of them
    twice; the same take gets no more keys."""
    spans = [span(commit_at(stage, ONE, "COPY")), span(commit_at(stage, TWO))]
    set_all_keys(head.find(scene))
    before, times = values_of(head.find(scene), FRAMES), times_outside(spans, head.find(scene))
    for start, to in ((ONE, "OWN"), (ONE, "COPY"), (TWO, "OWN")):
        spans.append(span(commit_at(stage, start, to, **how)))
        check_around(before, spans, head.find(scene))
        assert how or times_outside(spans, head.find(scene)) == times


@pytest.mark.parametrize("to", ["COPY", "OWN"])
def test_keys_set_before_a_commit_keep_value_and_reach(blender, stage, scene, rig, to):
    """A commit leaves own keys as they were, and what stood without keys, and so do the next ones
    of the same line, of another take, shorter and longer."""
    rig.keys.key_blocks["jawForward"].value = 0.4
    set_all_keys(rig)
    before, spans = values_of(rig, FRAMES), []
    for how in ({}, {}, {"seed": 2}, {"seconds": 0.5}, {"seconds": 1.2, "seed": 3}):
        spans.append(span(commit_at(stage, ONE, to, **how)))
        check_around(before, spans, head.find(scene))
        before = values_of(head.find(scene), FRAMES)
        assert np.abs(before[path_of("jawForward"), 0][outside(spans)] - 0.4).max() < 1e-4


@pytest.mark.parametrize("distance, has_leads", [(EASE, True), (2, True), (1, False)])
def test_an_own_key_just_beside_a_lead_shortens_the_fade_and_no_more(
    blender, stage, scene, rig, distance, has_leads
):
    """But for a key that is so near that the curve would jump."""
    entry = show(stage, start=ONE, seconds=0.8)
    first, last = entry.first - entry.lead_in, entry.last + entry.lead_out
    display.restore_animation(rig)
    keys = {first - distance: 0.1, last + distance: 0.1}
    set_keys(rig.armature.pose.bones["jaw"], "rotation_euler", keys, 0)
    commit_take(entry, blend=EASE)
    times = [
        point.co[0]
        for point in curves_of(head.find(scene))[
            'pose.bones["jaw"].rotation_euler', 0
        ].keyframe_points
    ]
    inner = [time for time in times if first - distance < time < last + distance]
    assert {first - distance, last + distance} <= {*times}
    assert (inner[0], inner[-1]) == (
        (first, last) if has_leads else (entry.first - EASE, entry.last + EASE)
    ), times


@pytest.mark.one_blender
@pytest.mark.parametrize("between", [2, 13])
def test_lines_close_by_that_are_committed_again_change_nothing(blender, stage, scene, between):
    """However their leads and fades overlap; and keys that the other line put are none that
    somebody edited."""
    _, entry = commit_at(stage, ONE, voice="one")
    last = entry.last
    lines = (ONE, "one"), (last + between, "two")
    reports = [commit_at(stage, *lines[1][:1], voice="two")[0]]
    before, seen = values_of(head.find(scene), FRAMES), []
    for _ in range(2):
        reports += [commit_at(stage, start, voice=voice)[0] for start, voice in lines]
        seen.append(values_of(head.find(scene), FRAMES))
    assert [report.warnings for report in reports] == [[]] * 5
    # Between lines whose leads overlap, that which was committed last has its own; after 12 frames
    # the lead out has room.
    calm = (FRAMES <= last - EASE) | (FRAMES >= last + between + EASE) | (between > 12)
    for now in seen:
        assert max(np.abs(now[key] - values)[calm].max() for key, values in before.items()) < 2e-3


def of_strip(stage, start, to, limited=False):
    """Commit a take of a strip, or of a part of it, that begins on a frame; the frames that it may
    change."""
    entry = show(stage, start=start, voice="line", seconds=0.8, seed=1)
    state = fingerprint.State(
        "line", "", "sound", "", start, int(start), int(start) + 20, 25.0, limited
    )
    fingerprint.remember(display.actions_of(entry)[0], state)
    commit_take(entry, to, blend=EASE)
    return (FRAMES > entry.first - entry.lead_in - EASE) & (
        FRAMES < entry.last + entry.lead_out + EASE
    )


def test_a_line_of_a_strip_that_moved_far_leaves_nothing_where_it_was_but_parts_lie_beside_each_other(
    blender, stage
):
    def moves(was):
        return max(
            np.ptp(values[was]) for values in values_of(head.find(stage[0]), FRAMES).values()
        )

    was = of_strip(stage, ONE, "COPY", limited=True)
    of_strip(stage, TWO, "OWN", limited=True)
    assert moves(was) > 0.1
    was = of_strip(stage, ONE, "NEW")
    assert moves(was) > 0.1
    of_strip(stage, TWO, "OWN")
    assert moves(was) < 1e-4


def test_a_line_that_was_shorter_for_a_while_gets_its_lead_out_back(blender, stage, scene):
    """Also on curves with a key of the animator's behind it, on which the end of the longer line
    stayed."""
    commit_at(stage, ONE, "COPY", seconds=1.6)
    set_all_keys(head.find(scene))
    before = values_of(head.find(scene), FRAMES)
    for seconds in (0.8, 1.6):
        spans = [span(commit_at(stage, ONE, seconds=seconds))]
    for key, values in values_of(head.find(scene), FRAMES).items():
        assert np.abs(values - before[key])[outside(spans)].max() < 2e-3, key
        # the same take: what it says is the same, but for the error
        assert np.abs(values - before[key]).max() < 0.05, key


def as_it_was(action):
    return {
        (c.data_path, c.array_index): [tuple(point.co) for point in c.keyframe_points]
        for c in compat.all_curves(action)
    }


def test_copies_of_my_action_are_one_for_each_state_that_the_animator_made(
    blender, stage, scene, rig
):
    """Commits one after the other keep one copy; after an edit there is one more, and every state
    of the animator's is in one."""
    set_all_keys(rig)
    states = [as_it_was(rig.keys.animation_data.action)]

    def copies():
        return [other for other in blender.data.actions if "before Commit" in other.name]

    for number, start in enumerate((ONE, ONE, TWO, ONE, ONE)):
        if number == 3:
            action = head.find(scene).keys.animation_data.action
            action.name = "Scene 12"
            point = curves_of(head.find(scene))[path_of("mouthPucker"), 0].keyframe_points[0]
            point.handle_right_type = point.handle_left_type = "FREE"
            # a handle alone is an edit too
            point.handle_right = (point.co[0] + 5, point.co[1] + 0.2)
            states.append(as_it_was(action))
        commit_at(stage, start, "OWN", seed=number)
        assert len(copies()) == len(states)
    kept = [as_it_was(copy) for copy in copies()]
    assert all(state in kept for state in states) and all(copy.use_fake_user for copy in copies())


# ---- around a line, and between its keys


WINDOW = 12  # half a second at 24 fps


def commit_line(blender, stage, start, **how):
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


@pytest.mark.one_blender
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
    first, last = commit_line(blender, stage, start, to=to, blend=blend)
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


@pytest.mark.one_blender
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
    commit_line(blender, stage, 40, to="OWN")
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


@pytest.mark.one_blender
def test_an_insert_moves_whatever_the_animators_curves_do(blender, stage, rig):
    own_work(rig)
    set_keys(rig.armature, "location", {1: 0.0, 60: 1.0}, 2)
    frames = np.arange(-100, 300.0)
    before = values_of(rig, frames)
    first, last = commit_line(blender, stage, 10, how="INSERT")
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


@pytest.mark.one_blender
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


@pytest.mark.one_blender
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
