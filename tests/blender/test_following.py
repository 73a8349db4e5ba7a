# SPDX-License-Identifier: GPL-3.0-or-later
"""A committed line belongs to its strip: Re-sync moves its keys, and the animator's on its frames,
to where the strip plays, or says why not; nothing else moves."""

from dataclasses import replace

import numpy as np
import pytest
from commit_stage import commit, curves_of, path_of
from drawing import draw
from performances import noise, set_keys, trim_end, trim_start
from test_resync import cut, enter, resync, second_strip, speaking  # noqa: F401
from thunder.panels.sidebar import THUNDER_PT_main
from thunder.scene.animation import display, fcurves
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes.commit import committing, following
from thunder.scene.voice import strip
from thunder.thunder_core import progress
from thunder.thunder_core.animation.commit import line_records

BROW, PUCKER, ROLL = map(path_of, ("browOuterUpLeft", "mouthPucker", "mouthRollLower"))


@pytest.fixture
def committed(speaking, scene, rig):  # noqa: F811
    """A line of frames 11 to 110, committed as poses among keys of the animator's, and edited by
    hand: its strip."""
    own = {-20: 0.1, 50: 0.7, 60: 0.2, 300: 0.3}
    set_keys(rig.keys.key_blocks["browOuterUpLeft"], "value", own)
    commit(scene.thunder.takes[0], "COPY", keys="POSES", error=0.6, regions=frozenset({"Mouth"}))
    set_keys(rig.keys.key_blocks["mouthPucker"], "value", {60: 0.61})
    return speaking


def keys_of(rig):
    """{path and index: [(frame, value)]} of what a head plays."""
    return {
        place: [(round(float(x), 3), round(float(y), 5)) for x, y in fcurves.read(curve)["co"]]
        for place, curve in curves_of(rig).items()
    }


def values(rig, first, last):
    """{path and index: [T]} of what a head plays from one frame to another, but for the brow."""
    return {
        place: np.array([curve.evaluate(frame) for frame in range(first, last + 1)])
        for place, curve in curves_of(rig).items()
        if place != (BROW, 0)
    }


def lines(rig):
    (action,) = {target.animation_data.action for target in rig.targets}
    return line_records.lines_of(action).lines


def follow(scene):
    """Let committed lines follow: their number, and the sentences on those that do not."""
    left = []
    return progress.result(following.follow(scene, left)), left


@pytest.mark.parametrize("frames", [24, -8])
def test_a_moved_strip_takes_its_committed_keys_along_with_those_edited_by_hand(
    blender, committed, scene, rig, frames
):
    before, keys = values(rig, 11, 110), keys_of(rig)
    strip.move(committed, 11 + frames)
    ((*_, change),) = following.stale_lines(scene)
    assert change.sentence == f"“line” was moved by {frames:+d} frames since it was committed"
    assert blender.ops.thunder.resync() == {"FINISHED"}
    after = values(rig, 11 + frames, 110 + frames)
    assert max(np.abs(after[place] - before[place]).max() for place in before) < 1e-5
    assert (60.0 + frames, 0.61) in keys_of(rig)[PUCKER, 0]
    # what lies on its frames goes along, what lies around it stays
    assert [x for x, _ in keys_of(rig)[BROW, 0]] == [-20, 50 + frames, 60 + frames, 300]
    assert sum(map(len, keys_of(rig).values())) == sum(map(len, keys.values()))
    (line,) = lines(rig)
    assert (line.first, line.last) == (11 + frames, 110 + frames)
    assert following.stale_lines(scene) == [] and not blender.ops.thunder.resync.poll()
    # its own keys are still known: a new commit replaces them and names those set by hand
    report = commit(scene.thunder.takes[0], "OWN", keys="POSES", error=0.6)
    assert report.edited and len(lines(rig)) == 1


def offered(blender):
    """The words of the panel's button."""
    layout = draw(THUNDER_PT_main, blender.context)
    return [words for words in layout.texts("operator") if words.startswith("Re-sync")]


def test_a_line_whose_takes_are_gone_follows_too(blender, committed, scene, rig):
    assert offered(blender) == []
    strip.move(committed, 31)
    assert offered(blender) == ["Re-sync 2 Takes and 1 Line"]
    scene.thunder.takes.clear()
    assert offered(blender) == ["Re-sync 1 Line"]
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert (lines(rig)[0].first, keys_of(rig)[BROW, 0][1][0]) == (31, 70)


def test_a_line_of_an_earlier_version_follows_by_its_takes(committed, scene, rig):
    (line,) = lines(rig)
    (action,) = {target.animation_data.action for target in rig.targets}
    old = line_records.CommittedLine(
        *(getattr(line, n) for n in ("name", "first", "last", "start", "end"))
    )
    line_records.remember_lines(action, line_records.CommittedLines("", (old,)))
    assert following.stale_lines(scene) == []
    strip.move(committed, 31)
    assert follow(scene) == (1, []) and lines(rig)[0].first == 31


def test_only_what_follows_is_moved_while_a_take_is_shown(committed, scene, rig, client):
    display.show(rig, scene.thunder.takes[1])
    strip.move(committed, 31)
    assert sorted(resync(scene, client)) == ["LINE", "MOVED", "MOVED"]
    display.restore_animation(rig)
    assert lines(rig)[0].first == 31 and keys_of(rig)[BROW, 0][1][0] == 70


def test_keys_in_the_way_are_not_overwritten(blender, committed, scene, rig, client):
    set_keys(rig.keys.key_blocks["mouthPucker"], "value", {140: 0.9})
    before = keys_of(rig)
    strip.move(committed, 61)
    count, (sentence,) = follow(scene)
    assert count == 0 and keys_of(rig) == before
    assert sentence == (
        "“line” was not moved along: other keys are on its new frames. Move them, then press "
        "Re-sync again"
    )
    assert blender.ops.thunder.resync() == {"FINISHED"} and blender.ops.thunder.resync.poll()
    curves_of(rig)[PUCKER, 0].keyframe_points[-1].co[0] = 260
    assert follow(scene) == (1, []) and lines(rig)[0].first == 61


@pytest.mark.parametrize("by_hand", [True, False], ids=["moved by hand", "another sound"])
def test_keys_that_are_not_where_the_line_is_or_of_another_sound_stay(
    committed, scene, rig, voice, by_hand
):
    wanted = (
        "The sound of “line” was replaced since it was committed: its keys stay, commit one of its "
        "takes again"
    )
    if by_hand:
        (action,) = {target.animation_data.action for target in rig.targets}
        compat.shift(action, 24)
        strip.move(committed, 35)
        wanted = (
            "“line” is no longer where it was committed, so its keys stay: move them by +24 "
            "frames, or commit one of its takes again"
        )
    else:
        noise(voice, 4.0, seed=5)
    before = keys_of(rig)
    assert follow(scene) == (0, [wanted])
    assert keys_of(rig) == before and following.stale_lines(scene) == []


def test_a_trimmed_strip_keeps_its_committed_keys_and_the_frames_that_it_plays(
    committed, scene, rig, client
):
    before = keys_of(rig)
    trim_start(committed, 20)
    trim_end(committed, 10)
    count, (sentence,) = follow(scene)
    assert count == 0 and keys_of(rig) == before
    assert sentence.endswith("its keys are all kept, also those whose sound is gone")
    resync(scene, client)
    take = scene.thunder.takes[0]
    assert (lines(rig)[0].first, lines(rig)[0].last) == (take.first, take.last) == (31, 100)
    scene.thunder.commit.to = "OWN"
    assert committing.is_committed(scene, rig.mesh, take)


@pytest.mark.parametrize("again", [False, True], ids=["as it was", "committed while it was short"])
def test_a_strip_that_is_lengthened_again_plays_the_keys_that_were_kept(
    committed, scene, rig, client, again
):
    keys = keys_of(rig)
    trim_start(committed, 20)
    trim_end(committed, 10)
    resync(scene, client)
    if again:
        line_records.remember_lines(
            rig.targets[0].animation_data.action,
            line_records.CommittedLines("", (replace(lines(rig)[0], start=21, end=113),)),
        )
    trim_start(committed, 0)
    trim_end(committed, 0)
    _, left = follow(scene)
    assert keys_of(rig) == keys
    if again:
        assert (lines(rig)[0].first, lines(rig)[0].last) == (31, 100)
        assert left[0].endswith("what is new of it has no keys yet")
    else:
        assert (lines(rig)[0].first, lines(rig)[0].last, left) == (11, 110, [])


def test_a_piece_that_was_cut_off_and_moved_takes_its_part_along(committed, scene, rig, client):
    strip.keep_speaker(scene, "line", rig.mesh)
    before = values(rig, 11, 110)
    _, right = cut(committed, 61)
    strip.move(right, compat.content_start(right) + 150)
    assert resync(scene, client).count("LINE") == 1
    first, second = sorted(lines(rig), key=lambda line: line.first)
    assert (first.name, first.first, first.last) == ("line", 11, 60)
    assert (second.name, second.first, second.last) == (right.name, 211, 260)
    after = values(rig, 11, 260)
    for place, old in before.items():
        assert np.abs(after[place][:40] - old[:40]).max() < 1e-4
        assert np.abs(after[place][205:250] - old[55:100]).max() < 1e-4
    assert following.stale_lines(scene) == []


def test_another_scene_rate_takes_committed_keys_along(committed, scene, rig):
    scene.render.fps = 50
    before = values(rig, 11, 110)
    assert follow(scene)[0] == 1
    start = following.stale_lines(scene) == [] and lines(rig)[0].first
    after = values(rig, start, start + 198)
    assert all(np.abs(after[place][::2] - before[place]).max() < 1e-4 for place in before)


def test_a_strip_in_the_nla_is_moved(committed, scene, rig):
    head_now = head.find(scene)
    commit(scene.thunder.takes[1], "STRIP")
    strips = [
        s
        for t in head_now.targets
        for track in t.animation_data.nla_tracks
        for s in track.strips
        if line_records.lines_of(s.action) and s.name == "line"
    ]
    starts = [s.frame_start for s in strips]
    assert starts
    strip.move(committed, 35)
    assert follow(scene)[0] >= 1
    assert [s.frame_start for s in strips] == [start + 24 for start in starts]
    assert following.stale_lines(scene) == []


def test_lines_that_change_places_pass_each_other(committed, scene, rig):
    other = second_strip(scene, committed)
    strip.move(other, 211)
    enter(scene, rig, other, 3)
    commit(scene.thunder.takes[-1], "OWN", keys="POSES", error=0.6, regions=frozenset({"Mouth"}))
    one, two = values(rig, 11, 110), values(rig, 211, 310)
    strip.move(committed, 211)
    strip.move(other, 11)
    assert follow(scene) == (2, [])
    for before, after in ((one, values(rig, 211, 310)), (two, values(rig, 11, 110))):
        assert max(np.abs(after[place] - before[place]).max() for place in before) < 1e-5
    assert {(line.name, line.first) for line in lines(rig)} == {("line", 211), (other.name, 11)}
