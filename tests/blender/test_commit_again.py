# SPDX-License-Identifier: GPL-3.0-or-later
"""A line that is committed again, from the same take or another, shorter or longer, leaves the
curves around it as they were: keys of the animator's keep their value and how far they reach,
whether they were set before the first commit or after it."""

import numpy as np
import performances
import pytest
from commit_stage import (  # noqa: F401
    commit as commit_take,
    curve_of,
    curves_of,
    path_of,
    show,
    stage,
    values_of as values_at,
)
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.voice import fingerprint

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


def values_of(rig):
    """Of each curve that a rig plays its values at FRAMES, {(path, index): [T]}."""
    return values_at(rig, FRAMES)


def commit(stage, start, to="OWN", how="REPLACE", *, seconds=0.8, seed=1, voice=None, **choice):
    """Show a take of a line that begins on a frame and commit it: the report and the entry."""
    entry = show(stage, start=start, voice=voice or f"line {start:.0f}", seconds=seconds, seed=seed)
    return commit_take(entry, to, how, blend=EASE, **choice), entry


def span(committed):
    """The frames that a commit may change, with its ease."""
    _, entry = committed
    return entry.first - entry.lead_in - EASE, entry.last + entry.lead_out + EASE


def set_keys(rig):
    """Set keys of the animator's as in a window: the action that plays gets them."""
    for channel, keys in KEYS.items():
        performances.set_keys(rig.keys.key_blocks[channel], "value", keys)


def outside(spans):
    return ~np.any([(FRAMES >= first) & (FRAMES <= last) for first, last in spans], axis=0)


def check_around(before, spans, rig):
    """Outside of spans the curves are what they were, and keys of the animator's stand where they
    stood."""
    after, around = values_of(rig), outside(spans)
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
    spans = [span(commit(stage, ONE, "COPY")), span(commit(stage, TWO))]
    set_keys(head.find(scene))
    before, times = values_of(head.find(scene)), times_outside(spans, head.find(scene))
    for start, to in ((ONE, "OWN"), (ONE, "COPY"), (TWO, "OWN")):
        spans.append(span(commit(stage, start, to, **how)))
        check_around(before, spans, head.find(scene))
        assert how or times_outside(spans, head.find(scene)) == times


@pytest.mark.parametrize("to", ["COPY", "OWN"])
def test_keys_set_before_a_commit_keep_value_and_reach(blender, stage, scene, rig, to):
    """A commit leaves own keys as they were, and what stood without keys, and so do the next ones
    of the same line, of another take, shorter and longer."""
    rig.keys.key_blocks["jawForward"].value = 0.4
    set_keys(rig)
    before, spans = values_of(rig), []
    for how in ({}, {}, {"seed": 2}, {"seconds": 0.5}, {"seconds": 1.2, "seed": 3}):
        spans.append(span(commit(stage, ONE, to, **how)))
        check_around(before, spans, head.find(scene))
        before = values_of(head.find(scene))
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
    performances.set_keys(rig.armature.pose.bones["jaw"], "rotation_euler", keys, 0)
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
    _, entry = commit(stage, ONE, voice="one")
    last = entry.last
    lines = (ONE, "one"), (last + between, "two")
    reports = [commit(stage, *lines[1][:1], voice="two")[0]]
    before, seen = values_of(head.find(scene)), []
    for _ in range(2):
        reports += [commit(stage, start, voice=voice)[0] for start, voice in lines]
        seen.append(values_of(head.find(scene)))
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
        return max(np.ptp(values[was]) for values in values_of(head.find(stage[0])).values())

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
    commit(stage, ONE, "COPY", seconds=1.6)
    set_keys(head.find(scene))
    before = values_of(head.find(scene))
    for seconds in (0.8, 1.6):
        spans = [span(commit(stage, ONE, seconds=seconds))]
    for key, values in values_of(head.find(scene)).items():
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
    set_keys(rig)
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
        commit(stage, start, "OWN", seed=number)
        assert len(copies()) == len(states)
    kept = [as_it_was(copy) for copy in copies()]
    assert all(state in kept for state in states) and all(copy.use_fake_user for copy in copies())
