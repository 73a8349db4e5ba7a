# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes are keyed where the sound is, shown at once, and never cost the animator anything; those of a
long voice get few keys, so that an hour fits into memory, and move the face as others do."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
from commit_stage import animate, distances, everything
from memory import grows_at_most
from performances import (
    jaws,
    key,
    list_take,
    listed_seeds,
    noise,
    performance,
    set_keys,
    speak,
    walks,
)
from played_engine import Asked, listed, seeds
from thunder.cli import products
from thunder.operators import base
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import browsing, take_list, take_record
from thunder.scene.takes.generation import How, perform
from thunder.scene.voice import strip
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face.moving.lips import bundled_lips, opening_mm
from thunder.thunder_core.request import Request
from timing import keeps_in_steps

RATES = [(24, 1.0), (30, 1.001), (60, 1.0)]


def enter(stage, start=1.0, **how):
    """Key a performance and list it; the entry."""
    # a rig is looked up again for every action
    return list_take((stage[0], head.find(stage[0])), performance(**how), start)


def read(scene, rig, start, seconds):
    return progress.result(
        keying.read(rig, head.channel_names(), timing.Clock.of(scene, start), seconds)
    )


@pytest.mark.parametrize("fps, base", RATES)
@pytest.mark.parametrize("start", [-12.0, 101.37])
def test_a_closure_lands_on_the_frame_of_its_sound(blender, stage, scene, rig, fps, base, start):
    scene.render.fps, scene.render.fps_base = fps, base
    display.show(rig, enter(stage, start=start, closed_at=(1.0, 2.2)))
    for seconds in (1.0, 2.2):
        exact = start + seconds * fps / base
        angle = jaws(scene, rig, range(int(exact) - 2, int(exact) + 4))
        closed = min(angle, key=angle.get)
        assert abs(closed - exact) <= 0.5 + 1e-6
        assert angle[closed] == pytest.approx(0.0, abs=1e-5) and max(
            angle.values()
        ) == pytest.approx(0.2, abs=1e-4)


@pytest.mark.parametrize("fps, base", RATES)
def test_keys_are_on_whole_frames_and_cover_the_motion(blender, stage, scene, rig, fps, base):
    scene.render.fps, scene.render.fps_base = fps, base
    entry = enter(stage, start=10.4)
    curves = {
        (c.data_path, c.array_index): c
        for a in display.actions_of(entry)
        for c in compat.all_curves(a)
    }
    brow = [key.co[0] for key in curves['key_blocks["browInnerUp"].value', 0].keyframe_points]
    last = int(np.ceil(10.4 + 74 / 25 * fps / base))
    lead_in, lead_out = int(np.ceil(0.4 * fps / base)), int(np.ceil(0.5 * fps / base))
    assert brow == list(range(10 - lead_in, last + lead_out + 1))
    assert (entry.first, entry.last, entry.lead_in, entry.lead_out) == (10, last, lead_in, lead_out)
    assert len(curves) == len(rig.channels) + 4 * 3  # the same channels in every take


@pytest.mark.parametrize("fps, base", RATES)
def test_a_take_cut_in_mid_word_comes_from_rest_and_returns_to_it(
    blender, stage, scene, rig, fps, base
):
    scene.render.fps, scene.render.fps_base = fps, base
    # its jaw is at 0.2 from the first sample to the last
    entry = enter(stage, start=172.0, closed_at=())
    display.show(rig, entry)
    first, last = entry.first, entry.last
    begin, end = first - entry.lead_in, last + entry.lead_out
    assert first == 172 and begin < first and last < end
    track = next(
        place
        for place, track in enumerate(rig.driver.tracks)
        if '"jaw"' in track.path and track.index == 0
    )
    frames = np.arange(1, end + 100)
    values = keying.values_at(rig, keying.curves_of_tracks(rig, entry), frames)
    # rest, from the scene's first frame on
    assert np.abs(values[(frames <= begin) | (frames >= end)]).max() < 1e-6
    jaw = values[:, track]
    assert jaw[(frames >= first) & (frames < last)] == pytest.approx(0.2, abs=2e-5)
    assert (np.diff(jaw[frames <= first]) >= 0).all() and (np.diff(jaw[frames >= last]) <= 0).all()
    neck = [place for place, track in enumerate(rig.driver.tracks) if '"neck"' in track.path]
    steps = np.abs(np.diff(values[:, neck], axis=0))[(frames[1:] <= first) | (frames[:-1] >= last)]
    # from 5.7° to the side: the head does not jerk
    assert np.degrees(steps.max()) * fps / base < 30


@pytest.mark.parametrize("fps, base", RATES)
def test_what_is_keyed_is_read_back_from_curves_and_from_the_evaluated_scene(
    blender, stage, scene, rig, fps, base
):
    scene.render.fps, scene.render.fps_base = fps, base
    display.show(rig, enter(stage, start=5.0, closed_at=()))
    made = performance(closed_at=()).motion
    motion = read(scene, rig, 5.0, 3.0)
    inside = slice(2, -2)
    assert motion.frames == made.frames
    assert np.abs(motion.expression - made.expression)[inside].max() < 5e-3
    for part in ("jaw", "head", "eyes"):
        assert np.abs(getattr(motion, part) - getattr(made, part))[inside].max() < 1e-3
    scene.frame_set(17)
    rig.armature.pose.bones["neck"].constraints.new("LIMIT_SCALE")  # which no curve tells
    with walks() as walked:
        evaluated = read(scene, rig, 5.0, 3.0)
    assert (
        scene.frame_current == 17
        and walked
        and scene.name not in walked
        and len(blender.data.scenes) == 1
    )
    for part in ("expression", "jaw", "head", "eyes"):
        assert np.abs(getattr(motion, part) - getattr(evaluated, part)).max() < 1e-5
    for bone in rig.armature.pose.bones:
        bone.scale = (0.0, 0.0, 0.0)  # a character that pops in
    assert np.abs(read(scene, rig, 5.0, 0.2).jaw).max() == 0.0


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
def test_the_animators_rotation_mode_is_kept(blender, stage, scene, rig, mode):
    scene.render.fps = 25
    for bone in rig.armature.pose.bones:
        bone.rotation_mode = mode
    entry, rig = enter(stage), head.find(scene)
    kind = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
        mode, "rotation_euler"
    )
    curves = [c for a in display.actions_of(entry) for c in compat.all_curves(a)]
    assert {c.data_path.rpartition(".")[2] for c in curves if c.data_path.startswith("pose.")} == {
        kind
    }
    display.show(rig, entry)
    assert {bone.rotation_mode for bone in rig.armature.pose.bones} == {mode}
    motion = read(scene, rig, 1.0, 3.0)
    assert np.abs(motion.head - performance().motion.head).max() < 1e-4
    assert np.abs(motion.jaw - performance().motion.jaw).max() < 1e-4


def test_an_nla_strip_and_an_edited_key_are_heard(blender, stage, scene, rig):
    scene.render.fps = 25
    entry = enter(stage, start=1.0, closed_at=())
    display.show(rig, entry)
    curve = next(
        c for c in compat.all_curves(entry.action) if "jaw" in c.data_path and c.array_index == 0
    )
    whole = [key.co[1] for key in curve.keyframe_points]
    curve.keyframe_points.insert(26, 0.05)
    assert read(scene, rig, 1.0, 2.0).jaw[25, 0] == pytest.approx(0.05, abs=1e-5)
    assert [key.co[1] for key in curve.keyframe_points] == pytest.approx(
        [*whole[:35], 0.05, *whole[36:]], abs=1e-6
    )
    track = rig.keys.animation_data.nla_tracks.new()
    funnel = head.channel_names().index("mouthFunnel")
    _, (curves,) = compat.new_action("over", [rig.keys])
    compat.new_curve(curves, 'key_blocks["mouthFunnel"].value', 0, "").keyframe_points.insert(
        1, 0.6
    )
    strip = track.strips.new("over", 1, blender.data.actions["over"])
    if compat.HAS_SLOTS and strip.action_slot is None:
        strip.action_slot = strip.action.slots[0]
    layered = read(scene, rig, 1.0, 2.0)
    assert layered.jaw[25, 0] == pytest.approx(0.05, abs=1e-4)
    # The take keys this channel too and lies over the track: what is seen is what is heard.
    assert layered.expression[10, funnel] == pytest.approx(0.0, abs=1e-5)
    display.restore_animation(rig)
    assert read(scene, rig, 1.0, 2.0).expression[10, funnel] == pytest.approx(0.6, abs=1e-5)


def test_a_curve_that_is_muted_moves_nothing(stage, rig):
    """As mixing, keeping a part and performing as another line read a take."""
    display.show(rig, enter(stage, closed_at=()))
    curves = fcurves.of_tracks(rig, [compat.curves_for(target) for target in rig.targets])
    moving = keying.values_at(rig, curves, np.arange(1.0, 40.0))
    place = int(np.ptp(moving, axis=0).argmax())
    curves[place].mute = True
    still = keying.values_at(rig, curves, np.arange(1.0, 40.0))
    assert (still[:, place] == rig.driver.tracks[place].rest).all()
    assert np.array_equal(np.delete(still, place, 1), np.delete(moving, place, 1))


def test_showing_takes_leaves_the_animators_own_animation_untouched(blender, stage, scene, rig):
    animate(rig)
    rig.keys.animation_data.action_influence = 0.75
    pose, before = pose_at(scene, rig, 20), everything(blender)
    enter(stage, seed=1)
    enter(stage, seed=2)
    for index in (0, 1):
        display.show(rig, scene.thunder.takes[index])
        assert (
            display.is_shown(rig, scene.thunder.takes[index]) and scene.thunder.active_take == index
        )
    assert rig.keys.key_blocks["browInnerUp"].value != pytest.approx(0.7)
    display.restore_animation(rig)
    assert scene.thunder.active_take == -1
    now = everything(blender)
    own = {action[0] for action in before["actions"]}
    assert [(a[0], a[4]) for a in now["actions"] if a[0] in own] == [
        (a[0], a[4]) for a in before["actions"]
    ]
    assert now["objects"] == before["objects"]
    assert pose_at(scene, rig, 20) == pytest.approx(pose)
    # no pose of a take leaks to the head
    still = [name for name in rig.channels if rig.keys.key_blocks[name].value != 0]
    assert set(still) == {"mouthSmileLeft", "browInnerUp"}


def test_a_long_take_is_keyed_and_read_in_small_slices(blender, scene, rig):
    """A minute at 60 fps: no step may hold the window for more than 50 ms."""
    scene.render.fps = 60
    made, clock = performance(seconds=60), timing.Clock.of(scene, 1)
    actions = keeps_in_steps(0.05, keying.write_take(rig, made, clock, "long"), "keying a minute")
    display.show(rig, take_list.add_to_list(scene, rig, actions, made, "voice", clock))
    read = keying.read(rig, head.channel_names(), clock, 60)
    assert keeps_in_steps(0.05, read, "reading a minute").frames == 1500


def test_an_action_assigned_by_hand_over_a_take_counts_as_the_animators(blender, stage, scene, rig):
    display.show(rig, enter(stage, seed=1))
    enter(stage, seed=2)
    by_hand = blender.data.actions.new("By hand")
    for block in rig.targets:
        block.animation_data.action = by_hand if block is not rig.keys else None
    assert scene.thunder.active_take == -1
    display.show(rig, scene.thunder.takes[1])
    display.restore_animation(rig)
    assert rig.armature.animation_data.action == by_hand


def test_a_deleted_action_is_said(blender, stage):
    for action in display.actions_of(enter(stage, seed=4)):
        blender.data.actions.remove(action)
    with pytest.raises(RuntimeError, match="was deleted"):
        blender.ops.thunder.select_take(index=0)


def pose_at(scene, rig, frame):
    scene.frame_set(frame)
    keys = rig.keys.key_blocks
    jaw = rig.armature.pose.bones["jaw"].rotation_euler[0]
    return jaw, keys["mouthSmileLeft"].value, rig.armature.location[2], keys["browInnerUp"].value


def test_the_animators_animation_goes_on_around_a_take(blender, stage, scene, rig):
    scene.render.fps = 25
    animate(rig)
    # the body's work on the same action: the head rises for ever
    height = next(c for c in compat.curves_for(rig.armature) if c.data_path == "location")
    height.keyframe_points.clear()
    set_keys(rig.armature, "location", {1: 0.0, 25: 1.0}, 2)
    height.modifiers.new("CYCLES").mode_after = "REPEAT_OFFSET"
    height.update()
    frames = [-20, 5, 13, 39, 40, 500]
    before = {frame: pose_at(scene, rig, frame) for frame in frames}
    display.show(rig, enter(stage, start=101.0, closed_at=()))
    for frame in frames:  # before and after the take: as it was
        assert pose_at(scene, rig, frame) == pytest.approx(before[frame], abs=1e-4)
    jaw, smile, risen, brow = pose_at(scene, rig, 130)
    assert (
        jaw == pytest.approx(0.2, abs=1e-4)
        and smile == pytest.approx(0.0, abs=1e-5)
        and brow != pytest.approx(0.7, abs=0.05)
    )
    assert risen == pytest.approx(129 / 24, abs=1e-3)  # the take does not move the body
    display.restore_animation(rig)
    assert not any(len(block.animation_data.nla_tracks) for block in rig.targets)
    for frame in frames:
        assert pose_at(scene, rig, frame) == pytest.approx(before[frame], abs=1e-6)


def test_keys_are_rounded_far_below_what_is_seen_and_stay_so_in_a_file(
    blender, scene, rig, tmp_path
):
    made, clock, steps = performance(), timing.Clock.of(scene, 1.0), keying.rounding_units(rig)
    (action, *_) = key(rig, made, clock, "rounded")
    motion = keying.on_scene_frames(made, clock, clock.take_frames(made.motion.frames))
    exact = rig.driver.drive(motion, made.channels)
    curves = {
        (curve.data_path, curve.array_index): fcurves.read(curve)
        for curve in compat.all_curves(action)
    }
    now, moving = exact.copy(), 0
    for place, track in enumerate(rig.driver.tracks):
        keys = curves.get((track.path, track.index))
        if keys is None or len(keys["co"]) < 3:
            continue
        moving += 1
        now[:, place] = keys["co"][:, 1]
        assert np.abs(now[:, place] - exact[:, place]).max() <= steps[place] / 2 + 1e-7, track
        for part in ("co", "handle_left", "handle_right"):
            units = (keys[part][:, 1] - track.rest) / steps[place]
            assert np.abs(units - np.rint(units)).max() < 1e-3, (track, part)
    assert moving > 3
    seen, wanted = (rig.driver.read(values, made.channels) for values in (now, exact))
    assert np.abs(bundled_lips().gap(seen) - bundled_lips().gap(wanted)).max() < 0.01, "millimetres"
    path, name = str(tmp_path / "takes.blend"), action.name
    blender.ops.wm.save_as_mainfile(filepath=path, compress=True)
    blender.ops.wm.open_mainfile(filepath=path)
    for curve in compat.all_curves(blender.data.actions[name]):
        kept = curves[curve.data_path, curve.array_index]
        assert all(
            np.array_equal(values, kept[part]) for part, values in fcurves.read(curve).items()
        ), "Blender leaves handles alone"


def test_handles_that_blender_places_again_are_no_edit_and_those_moved_by_hand_are(stage):
    entry = enter(stage)
    action = entry.action
    curve = max(compat.all_curves(action), key=lambda curve: len(curve.keyframe_points))
    rounded = fcurves.read(curve)
    curve.update()
    assert np.abs(fcurves.read(curve)["handle_left"] - rounded["handle_left"]).max() > 0, (
        "exact now"
    )
    assert not take_record.is_edited(entry)
    action[keying.PROPERTY]["checksum"] = keying.checksum_of(
        action, "as earlier versions wrote them"
    )
    assert not take_record.is_edited(entry)
    curve.keyframe_points[5].handle_left[1] += 0.01
    assert take_record.is_edited(entry)
    action[keying.PROPERTY]["checksum"] = keying.checksum_of(action)
    assert not take_record.is_edited(entry)
    curve.keyframe_points[5].handle_left_type = "FREE"
    assert take_record.is_edited(entry)
    action[keying.PROPERTY]["checksum"] = keying.checksum_of(action)
    curve.keyframe_points[5].handle_left[1] += 0.01
    assert take_record.is_edited(entry)


@pytest.fixture
def long(monkeypatch):
    """What is long enough for few keys is a few seconds here."""
    monkeypatch.setattr(keying, "LONG_SECONDS", 4.0)
    monkeypatch.setattr(keying, "_LONG_PIECE", 50)
    return keying


def said(rig, action, frames):
    """The motion and number of keys of an action."""
    found = []
    for index in range(len(rig.targets)):
        part, slot = display.part_of(action, rig, index)
        found.append({(c.data_path, c.array_index): c for c in compat.curves_of(part, slot)})
    curves = [found[track.block][track.path, track.index] for track in rig.driver.tracks]
    values = keying.values_at(rig, curves, frames)
    return progress.result(keying.shown_motion(rig, values, 24.0)), sum(
        len(curve.keyframe_points) for curve in curves
    )


@pytest.mark.parametrize("fps", [24, 60])
def test_few_keys_move_the_lips_as_many_do(rig, long, monkeypatch, fps):
    made = speak(9.0, closed=(1.0, 2.04, 5.0, 7.32))
    clock = timing.Clock(1.0, float(fps))
    frames = clock.scene_frames(made.motion.frames)
    few, few_keys = said(rig, key(rig, made, clock), frames)
    monkeypatch.setattr(long, "LONG_SECONDS", 600.0)
    many, many_keys = said(rig, key(rig, made, clock), frames)
    assert few_keys < many_keys / 2
    off = distances(few, many)
    assert off[0].max() <= long.LONG_ERROR + 1e-3, "at the lips"
    assert off[1].max() <= 2 * long.LONG_ERROR + 1e-3 and off[2].max() <= 3 * long.LONG_ERROR + 1e-3
    shut = opening_mm(many) < 0.1
    assert shut.any() and (opening_mm(few)[shut] < 0.15).all()


def test_pieces_join_on_one_key_without_a_jump(rig, long):
    for action in key(rig, performance(seconds=9.0), timing.Clock(1.0, 24.0)):
        for curve in compat.all_curves(action):
            frames = np.array([point.co[0] for point in curve.keyframe_points])
            assert (np.diff(frames) > 0.5).all(), f"{curve.data_path} has two keys on a frame"
            # the first seam is on frame 51
            step = np.abs(np.diff(np.array([curve.evaluate(f) for f in np.arange(45, 57, 0.1)])))
            assert step.max() <= 10 * np.median(step) + 0.02


def test_the_animator_can_work_while_long_takes_are_reduced(
    blender, scene, rig, long, client, voice
):
    voice = strip.of_file(scene, noise(voice, 6.0))
    steps = perform(client, scene, rig, voice, How(Request(2, 11), None))
    free, busy = 0, 0
    for step in steps:
        if step.message.startswith("Writing keys") and not len(blender.data.actions):
            assert not step.busy
            free += 1
        busy += step.busy
    assert free > 50 and busy > 0
    assert len(scene.thunder.takes) == 2
    for entry in scene.thunder.takes:
        assert not take_record.is_edited(entry)
        assert progress.result(take_record.read(rig, entry)).motion.frames == 150


def test_a_take_is_worked_out_again_when_the_frame_rate_changed_meanwhile(
    blender, scene, rig, long, client, voice
):
    voice = strip.of_file(scene, noise(voice, 6.0))
    for step in perform(client, scene, rig, voice, How(Request(1, 11), None)):
        if step.message.startswith("Writing keys"):
            scene.render.fps = 30
    (entry,) = scene.thunder.takes
    assert entry.last - entry.first == pytest.approx(6 * 30, abs=2)
    curves = compat.all_curves(entry.action)
    assert max(curve.keyframe_points[-1].co[0] for curve in curves) == entry.last + entry.lead_out


# ---- takes that arrive one by one


DIED = errors.WorkerDied(
    "The engine was ended by signal 9 in the middle of its work: try again", "log"
)


def finish(steps):
    """Go on to the end."""
    return [step.fraction for step in steps]


def start(blender, scene, client, count=4, on_take=None):
    voice = strip.find(blender.context)
    how = How(Request(count, 11), None, on_take=on_take, finds_words=False)
    return perform(client, scene, head.find(scene), voice, how)


def test_each_take_is_listed_as_it_comes_and_all_are_ranked_at_the_end(blender, voiced, client):
    steps = start(blender, voiced, client)
    fractions, seen = [], []
    for step in steps:
        fractions.append(step.fraction)
        if seeds(voiced) and (not seen or seen[-1] != seeds(voiced)):
            seen.append(seeds(voiced))
    seen.append(seeds(voiced))
    assert seen == [[11], [11, 12], [11, 12, 13], [11, 12, 13, 14], [12, 14, 11, 13]]
    assert fractions == sorted(fractions)
    assert voiced.thunder.active_take == 0


def test_takes_that_arrive_together_are_told_as_far_as_the_engine_is(
    blender, voiced, client, monkeypatch
):
    """Keying them then takes half of the bar, or the time left would be told twice as long."""

    def poll(asked):
        count = max(1, len(asked.events) - 1)
        some, asked.events = asked.events[:count], asked.events[count:]
        asked.done = some[-1]["event"] == "done"
        asked.result = some[-1].get("result")
        return some

    monkeypatch.setattr(Asked, "poll", poll)
    keyed = [step for step in start(blender, voiced, client) if step.message.startswith("Keyed")]
    assert [step.message for step in keyed] == [f"Keyed {number} of 4" for number in range(1, 5)]
    assert keyed[0].fraction > 0.35 and keyed[-1].fraction > 0.7


def test_takes_are_listed_before_their_scores_and_rows_move_once_all_are_scored(
    blender, voiced, client
):
    client.scores_late = True
    steps = start(blender, voiced, client)
    listed(voiced, 4, steps)
    entries = voiced.thunder.takes
    assert seeds(voiced) == [11, 12, 13, 14]
    assert browsing.order(blender.context) == [0, 1, 2, 3]
    assert {take_list.verdict(each) for each in entries} == {"…"}
    while not math.isfinite(entries[2].score):
        next(steps)
    assert browsing.order(blender.context) == [0, 1, 2, 3], "with some scored, all stay"
    assert [take_list.verdict(each) for each in entries] == ["good", "good", "good", "…"]
    finish(steps)
    assert seeds(voiced) == [12, 14, 11, 13]
    assert listed_seeds(blender) == [12, 14, 11, 13]
    assert {take_list.verdict(each) for each in entries} == {"good"}


def test_rows_stay_in_place_at_the_end_where_the_animator_chose_one_meanwhile(
    blender, voiced, client
):
    client.scores_late = True
    steps = start(blender, voiced, client)
    listed(voiced, 4, steps)
    assert listed_seeds(blender) == [11, 12, 13, 14]
    voiced.thunder.active_take = 2
    finish(steps)
    assert listed_seeds(blender) == [11, 12, 13, 14]
    assert voiced.thunder.takes[voiced.thunder.active_take].seed == 13
    voiced.thunder.sort = "TIME"
    assert listed_seeds(blender)
    voiced.thunder.sort = "SCORE"
    assert listed_seeds(blender) == [12, 14, 11, 13], "sorted on demand"


def test_a_take_that_an_edit_spoils_stays_in_its_row_and_new_ones_find_theirs(
    blender, voiced, client
):
    finish(start(blender, voiced, client))
    assert listed_seeds(blender) == [12, 14, 11, 13]
    entry = voiced.thunder.takes[browsing.order(blender.context)[0]]
    entry.score = 3.0
    assert listed_seeds(blender) == [12, 14, 11, 13]
    copy = voiced.thunder.takes[take_list.duplicate(voiced, browsing.order(blender.context)[1])]
    copy.seed, copy.score = 99, 1.0
    assert listed_seeds(blender) == [12, 14, 11, 13, 99]


def test_takes_of_a_head_that_is_deleted_meanwhile_are_no_undo_step_beside_that_of_its_deletion(
    blender, voiced, client
):
    class Operator(base.PartialResults, base.SlicedWork):
        bl_label, takes, requested = "Generate Takes", [], 4

        def report(self, kind, text):
            pass

    operator, mesh = Operator(), head.find(voiced).mesh
    steps = start(blender, voiced, client, on_take=operator.takes.append)
    listed(voiced, 2, steps)
    assert operator.fail(errors.BadHead("A fault")) == {"FINISHED"}  # which is an undo step
    voiced.collection.objects.unlink(mesh)
    with pytest.raises(errors.BadHead, match="was removed, renamed or changed") as removed:
        finish(steps)
    assert operator.fail(removed.value) == {"CANCELLED"}


@pytest.mark.parametrize("chosen", [2, -1], ids=["a take", "the own animation"])
def test_the_first_is_shown_when_it_comes_and_what_the_animator_chooses_stays(
    blender, voiced, client, chosen
):
    steps = start(blender, voiced, client)
    listed(voiced, 2, steps)
    assert voiced.thunder.active_take == 0 and voiced.thunder.takes[0].seed == 11
    voiced.frame_set(10)
    assert voiced.thunder.head.parent.pose.bones["jaw"].rotation_euler[0] > 0.1
    listed(voiced, 3, steps)
    blender.ops.thunder.select_take(index=chosen)
    finish(steps)
    shown = voiced.thunder.active_take
    assert shown == -1 if chosen < 0 else voiced.thunder.takes[shown].seed == 13


def test_a_cancellation_keeps_what_has_arrived_and_earlier_takes(blender, voiced, client):
    finish(start(blender, voiced, client, count=2))
    earlier, kept = {entry.action.name for entry in voiced.thunder.takes}, []
    steps = start(blender, voiced, client, on_take=kept.append)
    listed(voiced, 5, steps)
    steps.close()
    assert client.requests[-1].cancelled and len(kept) >= 2
    assert all(entry.action is not None for entry in voiced.thunder.takes)
    assert earlier < {entry.action.name for entry in voiced.thunder.takes}
    # in order of their scores
    assert [entry.seed for entry in voiced.thunder.takes if entry.action.name not in earlier] == [
        12,
        11,
        13,
    ]


def test_a_worker_that_dies_costs_only_the_takes_that_had_not_come(blender, voiced, client):
    client.error, client.fails_after, voiced.thunder.count = DIED, 2, 4
    with pytest.raises(RuntimeError, match="signal 9"):
        blender.ops.thunder.generate()
    assert [entry.score for entry in voiced.thunder.takes] == [90.0, 80.0]


@pytest.mark.parametrize("how", ["done", "cancelled", "failed", "unwritable"])
def test_the_folder_of_a_request_goes_however_it_ends(blender, voiced, client, how):
    if how == "failed":
        client.error, client.fails_after = DIED, 2
    steps = start(blender, voiced, client)
    listed(voiced, 2, steps)
    assert client.folders and not client.forgotten
    if how == "cancelled":
        steps.close()
    elif how == "unwritable":
        blender.data.objects.remove(voiced.thunder.head)
    said = {"failed": "signal 9", "unwritable": "renamed or changed"}.get(how)
    with pytest.raises(errors.ThunderError, match=said) if said else nullcontext():
        finish(steps)
    assert client.forgotten == client.folders


def test_a_deleted_take_does_not_come_back(blender, voiced, client):
    steps = start(blender, voiced, client)
    listed(voiced, 3, steps)
    action = voiced.thunder.takes[1].action
    voiced.thunder.takes.remove(1)
    blender.data.actions.remove(action)
    finish(steps)
    assert sorted(seeds(voiced)) == [11, 13, 14]


def test_saving_a_bake_does_not_hold_its_keys_twice(blender, stage, scene, tmp_path, monkeypatch):
    """Blender copies what a list points to where it evaluates the scene; 5.3 compresses beside its
    writing, and holds what is still to be compressed."""
    monkeypatch.setattr(blender.context.preferences.filepaths, "use_file_compression", True)
    (action,), (curves, *_) = compat.new_action("An hour", stage[1].targets[:1])
    points = compat.new_curve(curves, "location", 0, "").keyframe_points
    points.add(1_000_000)  # 72 MB
    keys = np.random.default_rng(0).random(2_000_000, np.float32)
    points.foreach_set("co", keys)
    scene.thunder.takes.add().action = action
    path, name = str(tmp_path / "hour.blend"), action.name
    with grows_at_most(40):
        products.save_blend(path)
    with open(path, "rb") as file:
        assert file.read(4) == b"\x28\xb5\x2f\xfd", "compressed by Zstandard"
    scenes = blender.data.scenes.keys()
    blender.ops.wm.open_mainfile(filepath=path)
    assert blender.data.scenes.keys() == scenes
    (curve,) = compat.all_curves(blender.data.actions[name])
    assert np.array_equal(fcurves.read_part(curve, "co").ravel(), keys)
