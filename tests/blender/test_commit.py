# SPDX-License-Identifier: GPL-3.0-or-later
"""A commit is few keys that say the same, goes where the animator wants it, and costs nothing that was there."""

import time

import numpy as np
import pytest
from commit_stage import animate, choose, CLOSED, distances, everything, finished, numbers, seen, show, stage  # noqa: F401
from performances import key, performance
from thunder.scene.animation import display
from thunder.scene.heads import head as head_module
from thunder.scene.host import compat
from thunder.scene.takes import take_list, track_values
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import Choice, REGION_SETTINGS
from thunder.thunder_core import progress
from thunder.thunder_core.animation import reduction, timing
from thunder.thunder_core.animation.commit import line_records
from timing import keeps


@pytest.mark.parametrize("fps", [24, 60])
@pytest.mark.parametrize("error", [0.1, 0.3, 1.0])
def test_a_commit_has_few_keys_and_the_lips_are_where_they_were(blender, stage, fps, error):
    scene, rig, _ = stage
    scene.render.fps = fps
    entry = show(stage)
    frames = range(entry.first, entry.last + 1)
    _, before, gap = numbers(rig, frames)
    dense = sum(len(c.keyframe_points) for target in rig.targets for c in compat.curves_for(target))
    choose(scene, error=error)
    blender.ops.thunder.commit_take()
    _, after, gap_now = numbers(rig, frames)
    lips, face, head, eyes = distances(before, after)
    assert lips.max() <= error * 1.001 and face.max() <= 2 * error * 1.001
    closed = gap < 0.6
    assert closed.sum() >= 2 * len(CLOSED)
    assert np.abs(gap_now - gap)[closed].max() < 0.15 and (gap_now[closed] < 0.6).all()
    curves = [c for target in rig.targets for c in compat.curves_for(target)]
    assert sum(len(c.keyframe_points) for c in curves) < dense * (0.5 if fps == 24 else 0.3)
    exact = reduction.closures(gap) + entry.first
    for curve in curves:
        if curve.data_path == 'key_blocks["mouthFunnel"].value':
            assert set(exact) <= {round(k.co[0]) for k in curve.keyframe_points}  # where lips meet there are keys


def test_handles_are_aligned_and_the_curve_is_smooth(blender, stage):
    scene, rig, _ = stage
    show(stage)
    blender.ops.thunder.commit_take()
    curve = next(c for c in compat.curves_for(rig.keys) if "mouthFunnel" in c.data_path)
    points = curve.keyframe_points
    assert len(points) > 4 and {k.interpolation for k in points} == {"BEZIER"}
    assert {k.handle_left_type for k in points} | {k.handle_right_type for k in points} == {"ALIGNED"}
    curve.update()
    for k in points:
        left = (k.co[1] - k.handle_left[1]) / (k.co[0] - k.handle_left[0])
        right = (k.handle_right[1] - k.co[1]) / (k.handle_right[0] - k.co[0])
        assert left == pytest.approx(right, abs=1e-4)


def test_without_an_error_every_key_of_the_take_is_kept(blender, stage):
    scene, rig, _ = stage
    entry = show(stage)
    edited = next(c for c in compat.curves_for(rig.keys) if "mouthFunnel" in c.data_path)
    edited.keyframe_points.insert(30.5, 0.9)
    wanted = [(tuple(k.co), tuple(k.handle_left), k.interpolation) for k in edited.keyframe_points]
    choose(scene, error=0.0)
    blender.ops.thunder.commit_take()
    curve = next(c for c in compat.curves_for(rig.keys) if "mouthFunnel" in c.data_path)
    assert [(tuple(k.co), tuple(k.handle_left), k.interpolation) for k in curve.keyframe_points] == wanted
    assert len(wanted) == entry.lead_in + entry.last - entry.first + 2 + entry.lead_out


def test_an_edited_key_is_committed(blender, stage):
    scene, rig, _ = stage
    show(stage)
    curve = next(c for c in compat.curves_for(rig.keys) if "mouthSmileLeft" in c.data_path)
    point = min(curve.keyframe_points, key=lambda k: abs(k.co[0] - 50))
    point.co[1] = 0.95
    curve.update()
    blender.ops.thunder.commit_take()
    curve = next(c for c in compat.curves_for(rig.keys) if "mouthSmileLeft" in c.data_path)
    assert curve.evaluate(50) == pytest.approx(0.95, abs=0.05)


WAYS = [
    ("COPY", "REPLACE"),
    ("COPY", "ADD"),
    ("COPY", "INSERT"),
    ("OWN", "REPLACE"),
    ("OWN", "ADD"),
    ("OWN", "INSERT"),
    ("NEW", "REPLACE"),
    ("STRIP", "REPLACE"),
    ("STRIP", "ADD"),
]


@pytest.mark.parametrize("to, how", WAYS)
def test_undo_brings_back_everything_that_was_there(blender, stage, to, how):
    scene, rig, _ = stage
    animate(rig)
    show(stage)
    choose(scene, to=to, how=how)
    blender.ops.ed.undo_push(message="before")
    before = everything(blender)
    blender.ops.thunder.commit_take()
    blender.ops.ed.undo_push(message="commit")  # what a window does after an operator
    committed = everything(blender)
    assert committed != before
    blender.ops.ed.undo()
    assert everything(blender) == before
    blender.ops.ed.redo()
    assert everything(blender) == committed


@pytest.mark.parametrize("to, how", WAYS)
def test_what_was_there_stays_in_the_file(blender, stage, to, how, tmp_path):
    scene, rig, _ = stage
    animate(rig)
    kept = {a[0]: a[4] for a in everything(blender)["actions"]}
    entry = show(stage)
    take = {a[0]: a[4] for a in everything(blender)["actions"]}[entry.action.name]
    name = entry.action.name
    choose(scene, to=to, how=how)
    blender.ops.thunder.commit_take()
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    now = {a[0]: a[4] for a in everything(blender)["actions"]}
    for action, curves in kept.items():
        assert curves == now[f"{action} · before Commit" if to == "OWN" else action]
    assert now[name] == take


@pytest.mark.parametrize("to", ["COPY", "OWN", "STRIP"])
def test_frames_around_the_take_are_as_they_were(blender, stage, to):
    scene, rig, _ = stage
    animate(rig)
    scene.thunder.commit.to = to
    around = [*range(-5, 19), *range(97, 160)]  # the take runs from 21 to 93, and passes over in 3 frames
    own = seen(blender, scene, around)
    entry = show(stage)
    assert (entry.first, entry.last) == (21, 93)
    inside = range(entry.first, entry.last + 1)
    take = seen(blender, scene, inside)
    blender.ops.thunder.commit_take()
    off = np.abs(seen(blender, scene, around) - own)
    keyed = [1 + [b.name for b in rig.keys.key_blocks][1:].index("mouthSmileLeft"), -2, -1]  # with the jaw and the height
    assert off[:, keyed].max() < 1e-3
    leads = range(entry.first - entry.lead_in - 3, entry.last + entry.lead_out + 4)
    assert off[[to == "STRIP" or frame not in leads for frame in around]].max() < 1e-3  # what has no keys there takes its leads
    assert np.abs(seen(blender, scene, inside) - take).max() < 0.09  # the brows may be off by twice the error
    if to == "STRIP":
        assert [t.name for t in rig.keys.animation_data.nla_tracks][-1] == "voice"


@pytest.mark.parametrize("to", ["COPY", "STRIP"])
@pytest.mark.parametrize("mode", ["XYZ", "QUATERNION"])
def test_a_take_is_added_on_top(blender, stage, to, mode):
    scene, rig, takes = stage
    animate(rig, mode)
    stage = scene, head_module.find(scene), takes  # a rig is looked up again for every action
    inside = range(21, 94)
    own = seen(blender, scene, inside)
    show(stage)
    take = seen(blender, scene, inside)
    choose(scene, to=to, how="ADD")
    blender.ops.thunder.commit_take()
    both = seen(blender, scene, inside)
    wanted = own + take
    wanted[:, -1] = own[:, -1]  # the take does not lift the body
    smile = 1 + [b.name for b in rig.keys.key_blocks][1:].index("mouthSmileLeft")
    assert own[:, smile].max() > 0.3 and take[:, smile].max() > 0.3
    driven = {driver.data_path.split('"')[1] for driver in rig.keys.animation_data.drivers}  # by two keys at once: they do not add up
    off = np.abs(np.clip(both, None, 1.0) - np.clip(wanted, None, 1.0))
    free = [i for i, block in enumerate(rig.keys.key_blocks) if block.name not in driven]
    assert off[:, [*free, -2, -1]].max() < 0.09  # what reducing leaves out of two together


def test_an_insert_moves_what_is_there_behind_the_take(blender, stage):
    scene, rig, _ = stage
    animate(rig)
    before, later = list(range(-5, 19)), list(range(21, 150))
    own, own_later = seen(blender, scene, before), seen(blender, scene, later)
    entry = show(stage)
    inside = range(entry.first, entry.last + 1)
    take = seen(blender, scene, inside)
    choose(scene, how="INSERT")
    blender.ops.thunder.commit_take()
    shift = entry.last + 3 - entry.first
    brow = 1 + [b.name for b in rig.keys.key_blocks][1:].index("browInnerUp")  # had no keys: holds what stood there
    assert np.abs(seen(blender, scene, before) - own).max() < 1e-3
    assert np.abs(seen(blender, scene, [f + shift for f in later]) - own_later).max() < 1e-3
    inside_now = seen(blender, scene, inside)
    assert np.abs(inside_now[:, :-1] - take[:, :-1]).max() < 0.09 and brow
    assert np.ptp(inside_now[3:-3, -1]) < 1e-4  # the body waits


def test_only_the_preview_range_is_committed(blender, stage):
    scene, rig, _ = stage
    animate(rig)
    frames = range(1, 150)
    own = seen(blender, scene, frames)
    show(stage)
    take = seen(blender, scene, frames)
    choose(scene, range="PREVIEW")
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 50, 60
    blender.ops.thunder.commit_take()
    now = seen(blender, scene, frames)
    assert np.abs(now - take)[49:60].max() < 0.09  # the brows may be off by twice the error
    outside = [f - 1 for f in frames if not 47 <= f <= 63]
    assert np.abs(now - own)[outside].max() < 1e-3
    assert np.abs(own - take)[49:60].max() > 0.3


def test_a_preview_range_elsewhere_is_said_and_changes_nothing(blender, stage):
    scene, rig, _ = stage
    show(stage)
    choose(scene, range="PREVIEW")
    for used, message in ((False, "no preview range"), (True, "none of the take's frames")):
        scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = used, 500, 600
        scene.frame_set(30)
        before = everything(blender)
        with pytest.raises(RuntimeError, match=message):
            blender.ops.thunder.commit_take()
        assert everything(blender) == before


@pytest.mark.parametrize("to", ["COPY", "OWN", "NEW", "STRIP"])
def test_a_commit_that_is_broken_off_changes_nothing(blender, stage, to):
    scene, rig, _ = stage
    animate(rig)
    entry = show(stage)
    before = everything(blender)
    for stage in ("Reading the take", "Reducing keys", "Drawing handles", "Writing keys"):
        work = committing.commit(rig, entry, "broken", Choice(entry.first, entry.last, to, error=0.3, keys="DENSE"))
        while next(work).message != stage:
            pass
        next(work)
        work.close()
        assert everything(blender) == before


@pytest.mark.slow
def test_a_minute_is_committed_in_small_slices(blender, stage):
    """60 s at 60 fps onto an action of the same length: no step may hold the window for more than 50 ms."""
    scene, rig, _ = stage
    scene.render.fps = 60
    for turn in range(2):
        entry = show(stage, start=1.0, seconds=60, seed=turn)
        work = committing.commit(rig, entry, "long", Choice(entry.first, entry.last, error=0.3, keys="DENSE"))
        spent, over = [], False
        while not over:
            start = time.thread_time()  # not the clock: on a busy machine that counts what others do
            try:
                next(work)
            except StopIteration as stop:
                over, report = True, stop.value
            spent.append(time.thread_time() - start)
        keeps(0.05, spent, "steps of a minute's commit")
    assert report.keys < 10 * 60 * len(rig.driver.tracks)  # ten a second on each curve


def test_a_line_of_eight_seconds_is_committed_in_a_moment(blender, stage):
    scene, rig, _ = stage
    spent = []
    for seed in range(3):
        show(stage, seconds=8, seed=seed)
        start = time.process_time()
        blender.ops.thunder.commit_take()
        spent.append(time.process_time() - start)
    keeps(0.3, min(spent), "committing eight seconds")


def test_a_character_by_its_own_names_is_committed_within_the_error(blender):
    """Keys and a property of another scale: tolerance follows from what each moves on the face."""
    mesh = blender.data.meshes.new("Hero")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    hero = blender.data.objects.new("Hero", mesh)
    blender.context.collection.objects.link(hero)
    for name in ("Basis", "jawOpen", "mouthPucker", "mouthFunnel", "mouthSmileLeft", "browInnerUp", "eyeBlinkLeft"):
        hero.shape_key_add(name=name, from_mix=False)
    hero.data.shape_keys.key_blocks["jawOpen"].slider_max = 2.0  # it opens the lips too, and a commit stays within sliders' ranges
    scene = blender.context.scene
    stage = scene, head_module.find(scene), take_list
    rig = stage[1]
    entry = show(stage)
    frames = range(entry.first, entry.last + 1)

    def values():
        curves = {c.data_path: c for c in compat.curves_for(rig.keys)}
        return np.array([[curves[track.path].evaluate(frame) for track in rig.driver.tracks] for frame in frames])

    before, names = values(), head_module.channel_names()
    dense = sum(len(c.keyframe_points) for c in compat.curves_for(rig.keys))
    choose(scene, keys="DENSE", error=0.3)
    blender.ops.thunder.commit_take()
    lips, *_ = distances(rig.driver.read(before, names), rig.driver.read(values(), names))
    assert lips.max() <= 0.301
    assert sum(len(c.keyframe_points) for c in compat.curves_for(rig.keys)) < 0.6 * dense
    per_unit = progress.result(rig.meter.pulls())[1]
    by_name = {track.path: mm for track, mm in zip(rig.driver.tracks, per_unit)}
    assert by_name['key_blocks["jawOpen"].value'][0] > 15  # mm at the lips
    assert by_name['key_blocks["browInnerUp"].value'][0] < 0.5 < by_name['key_blocks["browInnerUp"].value'][1]


@pytest.mark.slow
def test_a_flame_head_is_committed_within_the_error(blender, tmp_path):
    from made_flame import made_flame

    with np.load(head_module.ASSET) as asset:
        made_flame({name: asset[name] for name in asset.files}, seed=11, own=0.0004).write(tmp_path / "flame.npz")
    blender.ops.thunder.add_flame_head(filepath=str(tmp_path / "flame.npz"))
    scene = blender.context.scene
    scene.render.fps = 24
    stage = scene, head_module.find(scene), take_list
    rig = stage[1]
    entry = show(stage, seconds=1.6)
    frames = range(entry.first, entry.last + 1)
    _, before, gap = numbers(rig, frames)
    dense = sum(len(c.keyframe_points) for target in rig.targets for c in compat.curves_for(target))
    choose(scene, keys="DENSE", error=0.3)
    blender.ops.thunder.commit_take()
    _, after, gap_now = numbers(rig, frames)
    lips, *_ = distances(before, after)
    assert lips.max() < 0.45  # errors are added up here as if all moved in lines
    assert np.abs(gap_now - gap)[gap < 0.6].max() < 0.15
    assert sum(len(c.keyframe_points) for target in rig.targets for c in compat.curves_for(target)) < 0.7 * dense


def names(*lines):
    return " + ".join(lines)


def test_a_committed_action_is_named_after_all_its_lines(blender, stage):
    scene, rig, takes = stage

    def commit(voice, start, **how):
        entry = show(stage, start=float(start), seconds=1.0)
        entry.voice = voice
        choose(scene, **how)
        blender.ops.thunder.commit_take()
        return rig.armature.animation_data.action.name, rig.keys.animation_data.action.name

    assert commit("two", 100)[0] == names("two")
    assert commit("one", 1)[0] == names("one", "two")  # in order of time
    assert commit("one again", 1)[0] == names("one again", "two")  # that one was replaced
    assert commit("over it", 1, how="ADD")[0] == names("one again", "over it", "two")
    own = commit("three", 200, to="OWN", how="REPLACE")
    assert own[0] == names("one again", "over it", "two", "three") and own[1].startswith(names("one again", "over it", "two", "three"))
    assert commit("first", 1, to="COPY", how="INSERT")[0].startswith(names("first", "one again", "over it", "two"))
    for number in range(8):
        name, _ = commit(f"a line with a long name, {number}", 300 + 40 * number, to="COPY", how="REPLACE")
    assert len(name.encode()) <= 60 and "more" in name and name.startswith("first + ")


def test_a_line_that_is_committed_several_times_has_ordinary_numbers(blender, stage):
    scene, rig, takes = stage
    said = []
    for voice, to in (
        ("line 1", "NEW"),
        ("line 1", "COPY"),
        ("line 1", "COPY"),
        ("line two", "COPY"),
        ("line 1", "NEW"),
        ("line 1", "OWN"),
    ):
        entry = show(stage, start=100.0 if voice == "line two" else 1.0, seconds=1.0)
        entry.voice = voice
        choose(scene, to=to)
        blender.ops.thunder.commit_take()
        said.append(rig.armature.animation_data.action.name)
    assert said == ["line 1", "line 1 2", "line 1 3", "line 1 + line two", "line 1 4", "line 1 4"]
    named = [action.name for action in blender.data.actions if line_records.lines_of(action) is not None or "before Commit" in action.name]
    each = 1 if compat.HAS_SLOTS else len(rig.targets)  # actions of a commit
    assert len(named) == 5 * each and not any(".0" in name for name in named)  # nobody edited “line 1 4”: no copy of it


def test_an_action_that_an_animator_named_keeps_its_name(blender, stage):
    scene, rig, takes = stage
    animate(rig)
    rig.armature.animation_data.action.name = "Scene 12"
    stage = scene, head_module.find(scene), takes
    for voice, start, to, expected in (
        ("one", 21, "OWN", "Scene 12"),
        ("two", 200, "COPY", "Scene 12 · one + two"),
        ("three", 300, "NEW", "three"),
    ):
        entry = show(stage, start=float(start), seconds=1.0)
        entry.voice = voice
        choose(scene, to=to)
        blender.ops.thunder.commit_take()
        assert rig.armature.animation_data.action.name == expected


@pytest.mark.parametrize("to, how", [way for way in WAYS if way[0] != "STRIP"])
def test_the_number_of_keys_in_the_message_is_that_in_the_file(blender, stage, to, how):
    scene, rig, takes = stage
    animate(rig)
    stage = scene, head_module.find(scene), takes

    def keys():
        actions = {target.animation_data.action for target in rig.targets if target.animation_data}
        return {
            (action.name, c.data_path, c.array_index, round(k.co[0], 2))
            for action in actions
            if action
            for c in compat.all_curves(action)
            for k in c.keyframe_points
        }

    before = keys()
    entry = show(stage, start=160.0 if how == "INSERT" else 21.0, seconds=1.0)  # behind all keys none moves
    choice = Choice(entry.first, entry.last, to, how, error=0.3, keys="DENSE")
    report = finished(committing.commit(rig, entry, "voice", choice))
    after = keys()
    assert report.total == len(after) and f"{report.keys} " in report.sentence and f"{report.total} " in report.sentence
    stayed = {key[1:] for key in before if key[1] == "location" or not entry.first <= key[3] <= entry.last}
    assert report.keys == len(after) - (0 if to == "NEW" else len(stayed))


def test_keys_of_a_first_commit_are_those_of_the_message(blender, stage):
    scene, rig, _ = stage
    entry = show(stage)
    report = finished(committing.commit(rig, entry, "voice", Choice(entry.first, entry.last, error=0.3, keys="DENSE")))
    written = sum(len(c.keyframe_points) for target in rig.targets for c in compat.curves_for(target))
    assert report.keys == report.total == written and f": {written} keys" in report.sentence


@pytest.mark.parametrize("to", ["COPY", "NEW", "OWN"])
def test_lines_cut_in_mid_word_are_committed_with_their_leads(blender, stage, to):
    """Two lines whose jaw is open from the first sample to the last: rest before, between and after them."""
    scene, rig, takes = stage
    choose(scene, to=to)
    for start in (101.0, 301.0)[: 1 if to == "NEW" else 2]:
        made = performance(closed_at=())
        clock = timing.Clock.of(scene, start)
        entry = takes.add_to_list(scene, rig, key(rig, made, clock, f"take {start}"), made, f"line {start}", clock)
        display.show(rig, entry)
        blender.ops.thunder.commit_take()
    lines = [(entry.first, entry.last, entry.lead_in, entry.lead_out) for entry in scene.thunder.takes]
    frames = range(1, 400)
    values = seen(blender, scene, frames)
    assert values[0, -2] == pytest.approx(0.0, abs=1e-5)  # the jaw rests at the scene's first frame
    moved = np.abs(values - values[0]).max(axis=1) > 1e-3
    speaking = np.zeros(len(frames), bool)
    for first, last, lead_in, lead_out in lines:
        speaking |= (np.array(frames) > first - lead_in - 4) & (np.array(frames) < last + lead_out + 4)
        assert moved[first - lead_in + 2] and moved[last + lead_out - 4]  # the leads are there
    assert moved[speaking].any() and not moved[~speaking].any()


@pytest.mark.parametrize("regions", [None, ("mouth", "jaw")], ids=["another take", "the other regions"])
def test_a_line_that_is_committed_again_brings_its_own_leads(blender, stage, regions):
    """The leads of the first commit are not the animator's keys: the second replaces them."""
    scene, rig, takes = stage
    commit = scene.thunder.commit
    switches = [name for name in REGION_SETTINGS.values()]
    for number, seed in enumerate((7, 8)):
        entry = show(stage, start=101.0, seed=seed)
        entry.voice = "line"
        for name in switches:
            setattr(commit, name, regions is None or (name in regions) == (number == 0))
        blender.ops.thunder.commit_take()
    begin, end = entry.first - entry.lead_in, entry.last + entry.lead_out
    curves = track_values.curves(rig, entry)
    neck = next(place for place, track in enumerate(rig.driver.tracks) if '"neck"' in track.path and track.index == 1)
    for frame in (begin, begin + 5, entry.first, entry.last, end - 6, end):
        turned = next(
            c for target in rig.targets for c in compat.curves_for(target) if '"neck"' in c.data_path and c.array_index == 1
        ).evaluate(frame)
        assert turned == pytest.approx(curves[neck].evaluate(frame), abs=0.012), frame
    assert abs(curves[neck].evaluate(entry.last)) > 0.03  # the head is turned where the lead out begins


@pytest.mark.parametrize("to", ["COPY", "OWN"])
def test_a_line_that_got_shorter_and_is_committed_again_leaves_nothing_behind(blender, stage, to):
    """The keys that its first commit put behind its new end go, but for one that the animator edited, and the rest it returned to
    after that one; the line is listed once."""
    scene, rig, _ = stage
    for how in ("first", "again"):
        entry = show(stage, seconds=4.0 if how == "first" else 2.0)
        choose(scene, to=to)
        blender.ops.thunder.commit_take()
        curves = {c.data_path: c for target in rig.targets for c in compat.curves_for(target)}
        end = entry.last + entry.lead_out
        if how == "first":
            edited = curves['key_blocks["mouthPucker"].value']
            point = next(p for p in edited.keyframe_points if p.co[0] > 90)
            point.co[1] += 0.5
            edited.update()
            kept, stays = point.co[0], point.co[1]
            rest = max(tuple(p.co) for p in edited.keyframe_points)
    assert end < kept
    for path, curve in curves.items():
        if path != edited.data_path:
            assert max(p.co[0] for p in curve.keyframe_points) <= end + 0.5, path
    late = [tuple(p.co) for p in curves['key_blocks["mouthPucker"].value'].keyframe_points if p.co[0] > end + 4]
    assert late == [(kept, pytest.approx(stays)), rest] and rest[1] == 0.0
    action = rig.keys.animation_data.action
    assert [(line.name, line.first, line.last) for line in line_records.lines_of(action).lines] == [("voice", entry.first, entry.last)]


@pytest.mark.parametrize("to", ["COPY", "OWN"])
def test_edited_keys_that_a_commit_replaces_are_counted_and_stay_in_the_file(blender, stage, to):
    """Nothing that the animator moved or added goes without a word; what a commit put itself is not counted."""
    scene, rig, takes = stage
    animate(rig)
    entry = show(stage)
    choice = Choice(entry.first, entry.last, to, error=0.3, keys="DENSE")
    others = 0
    for number in range(3):
        rig = head_module.find(scene)
        display.show(rig, entry)
        report = finished(committing.commit(rig, entry, "voice", choice))
        others = others or report.total - report.keys
        assert report.total - report.keys == others  # the fades' keys are the commit's, however often
        if number < 2:
            assert report.edited == 0 and report.warnings == []
        if number == 1:
            curve = next(c for c in compat.curves_for(rig.keys) if "mouthFunnel" in c.data_path)
            raised, moved = [p for p in curve.keyframe_points if 40 < p.co[0] < 80][:2]
            raised.co[1] += 0.3
            moved.co[0] += 0.25
            curve.update()
            edited = [tuple(raised.co), tuple(moved.co)]
    assert report.edited == 2
    assert report.warnings == [f"2 keys that you had set or edited were replaced; your action “{report.earlier}” still has them"]
    earlier = blender.data.actions[report.earlier]
    there = next(c for c in compat.all_curves(earlier) if "mouthFunnel" in c.data_path)
    assert set(edited) <= {tuple(p.co) for p in there.keyframe_points}
    assert earlier.use_fake_user


@pytest.mark.parametrize("keys", ["POSES", "DENSE"])
def test_an_edited_line_that_is_committed_again_leaves_the_face_around_it_at_rest(blender, stage, keys):
    """Keys that were edited on a line are no curve of the animator's own, which would go on beyond the line."""
    scene, rig, takes = stage
    entry = show(stage, start=101.0)
    entry.voice = "line"
    error = 0.6 if keys == "POSES" else 0.3
    assert finished(committing.commit(rig, entry, "line", Choice(entry.first, entry.last, "NEW", error=error, keys=keys))).keys

    def values():
        return {
            (curve.data_path, curve.array_index, frame): curve.evaluate(frame)
            for target in rig.targets
            for curve in compat.curves_for(target)
            for frame in (1, 60, entry.first - entry.lead_in - 6, entry.last + entry.lead_out + 6, 300)
        }

    rig = head_module.find(scene)
    before = values()
    curve = next(c for c in compat.curves_for(rig.keys) if "mouthFunnel" in c.data_path)
    for point in [p for p in curve.keyframe_points if entry.first < p.co[0] < entry.last][:3]:
        point.co[1] += 0.2
    curve.update()
    display.show(rig, entry)
    report = finished(committing.commit(rig, entry, "line", Choice(entry.first, entry.last, "OWN", error=error, keys=keys)))
    rig = head_module.find(scene)
    after = values()
    assert report.edited == 3
    assert max(abs(after.get(place, value) - value) for place, value in before.items()) < 1e-3


def test_a_part_that_is_committed_again_is_not_taken_for_an_edit(blender, stage):
    """Its fades put keys within the line."""
    scene, rig, _ = stage
    entry = show(stage)
    for first, last in ((entry.first, entry.last), (45, 60), (entry.first, entry.last)):
        display.show(rig, entry)
        assert finished(committing.commit(rig, entry, "voice", Choice(first, last, error=0.3, keys="DENSE"))).edited == 0


def test_a_part_of_a_line_leaves_its_other_parts(blender, stage):
    scene, rig, _ = stage
    show(stage)
    scene.use_preview_range, scene.thunder.commit.range = True, "PREVIEW"
    entry = scene.thunder.takes[0]
    for first, last in ((21, 50), (60, 93)):
        scene.frame_preview_start, scene.frame_preview_end = first, last
        display.show(rig, entry)
        blender.ops.thunder.commit_take()
    curve = next(c for c in compat.curves_for(rig.keys) if "mouthFunnel" in c.data_path)
    times = [p.co[0] for p in curve.keyframe_points]
    assert any(25 < time < 49 for time in times) and any(62 < time < 90 for time in times)


def test_only_the_curve_that_has_keys_beside_a_line_goes_without_its_leads(blender, stage):
    scene, rig, _ = stage
    brow = rig.keys.key_blocks["browInnerUp"]
    for frame, value in ((18, 0.6), (96, 0.3)):
        brow.value = value
        brow.keyframe_insert("value", frame=frame)
    entry = show(stage)
    begin, end = entry.first - entry.lead_in, entry.last + entry.lead_out
    blender.ops.thunder.commit_take()
    curves = {c.data_path: c for target in rig.targets for c in compat.curves_for(target)}
    times = [p.co[0] for p in curves['key_blocks["mouthFunnel"].value'].keyframe_points]
    assert begin in times and end in times  # the lips take their leads
    own = curves[brow.path_from_id("value")]
    assert own.evaluate(18) == pytest.approx(0.6) and own.evaluate(96) == pytest.approx(0.3)
    assert not [p.co[0] for p in own.keyframe_points if p.co[0] < entry.first - 0.5 and p.co[0] != 18]
