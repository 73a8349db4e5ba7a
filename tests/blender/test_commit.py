# SPDX-License-Identifier: GPL-3.0-or-later
"""A commit is few keys that say the same, goes where the animator wants it, and costs nothing that
was there."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from characters import add_mesh, make_hero, skin, small_face
from commit_stage import (  # noqa: F401  # noqa: F401
    animate,
    choose,
    commit,
    count_keys,
    curve_of,
    curves_of,
    distances,
    everything,
    key_frames,
    numbers,
    path_of,
    seen,
    show,
    spoken,
    stage,
    values_of,
)  # fmt: skip
from few_points import KEYS
from performances import noise, performance, reopen, show_take
from thunder.operators import shown_take
from thunder.scene.animation import display
from thunder.scene.heads import head as head_module
from thunder.scene.host import compat
from thunder.scene.properties import settings
from thunder.scene.takes import take_list
from thunder.scene.takes.commit import committing
from thunder.scene.voice import strip
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.animation.poses import poses_in
from thunder.thunder_core.types import CLOSED_MM
from timing import keeps_in_steps


def test_without_an_error_every_key_of_the_take_is_kept_also_an_edited_one(
    blender, stage, scene, rig
):
    entry = show(stage)
    curve_of(rig, "mouthFunnel").keyframe_points.insert(30.5, 0.9)

    def keys():
        return [
            (tuple(k.co), tuple(k.handle_left), k.interpolation)
            for k in curve_of(rig, "mouthFunnel").keyframe_points
        ]

    wanted = keys()
    choose(scene, error=0.0)
    blender.ops.thunder.commit_take()
    assert (
        keys() == wanted
        and len(wanted) == entry.lead_in + entry.last - entry.first + 2 + entry.lead_out
    )


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
def test_undo_brings_back_everything_and_what_was_there_stays_in_the_file(
    blender, stage, scene, rig, to, how, tmp_path
):
    animate(rig)
    # with one for each target, before there were slots
    of_take = {action.name for action in display.actions_of(show(stage))}
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
    reopen(blender, tmp_path)
    now = {action[0]: action[4] for action in everything(blender)["actions"]}
    for action, *_, curves in before["actions"]:
        if not action.startswith(display.STILL_TRACK):  # of a take that is shown
            assert (
                curves
                == now[
                    f"{action} · before Commit" if to == "OWN" and action not in of_take else action
                ]
            )


@pytest.mark.parametrize("to", ["COPY", "STRIP"])
@pytest.mark.parametrize("mode", ["XYZ", "QUATERNION"])
def test_a_take_is_added_on_top(blender, stage, scene, rig, to, mode):
    animate(rig, mode)
    inside = range(21, 94)
    own = seen(blender, scene, inside)
    show(stage)
    take = seen(blender, scene, inside)
    choose(scene, to=to, how="ADD", error=0.0)
    blender.ops.thunder.commit_take()
    both = seen(blender, scene, inside)
    wanted = own + take
    wanted[:, -1] = own[:, -1]  # the take does not lift the body
    smile = 1 + [b.name for b in rig.keys.key_blocks][1:].index("mouthSmileLeft")
    assert own[:, smile].max() > 0.3 and take[:, smile].max() > 0.3
    # by two keys at once: they do not add up
    driven = {driver.data_path.split('"')[1] for driver in rig.keys.animation_data.drivers}
    off = np.abs(np.clip(both, None, 1.0) - np.clip(wanted, None, 1.0))
    free = [i for i, block in enumerate(rig.keys.key_blocks) if block.name not in driven]
    assert off[:, [*free, -2, -1]].max() < 1e-3


def test_a_file_of_an_earlier_version_that_commits_as_dense_curves_commits_as_poses(scene):
    chosen = scene.thunder.commit
    getattr(chosen, "bl_system_properties_get", lambda **_: chosen)(do_create=True)["keys"] = 1
    assert chosen.keys == ""
    settings.adopt_settings()
    assert chosen.keys == "POSES"


def test_only_the_preview_range_is_committed_and_one_elsewhere_is_refused(
    blender, stage, scene, rig
):
    animate(rig)
    frames = range(1, 150)
    own = seen(blender, scene, frames)
    show(stage)
    take = seen(blender, scene, frames)
    choose(scene, range="PREVIEW")
    before = everything(blender)
    for used, message in ((False, "no preview range"), (True, "none of the take's frames")):
        scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = used, 500, 600
        with pytest.raises(RuntimeError, match=message):
            blender.ops.thunder.commit_take()
        assert everything(blender) == before
    scene.frame_preview_start, scene.frame_preview_end = 50, 60
    blender.ops.thunder.commit_take()
    now = seen(blender, scene, frames)
    assert np.abs(now - take)[49:60].max() < 0.09  # the brows may be off by twice the error
    assert np.abs(now - own)[[f - 1 for f in frames if not 47 <= f <= 63]].max() < 1e-3
    assert np.abs(own - take)[49:60].max() > 0.3


def test_a_character_by_its_own_names_is_committed_within_the_error(blender):
    """Keys and a property of another scale: tolerance follows from what each moves on the face."""
    hero = make_hero(
        blender,
        "jawOpen",
        "mouthPucker",
        "mouthFunnel",
        "mouthSmileLeft",
        "browInnerUp",
        "eyeBlinkLeft",
    )
    # it opens the lips too, and a commit stays within sliders' ranges
    hero.data.shape_keys.key_blocks["jawOpen"].slider_max = 2.0
    scene = blender.context.scene
    rig = head_module.find(scene)
    entry = show((scene, rig))

    def motion():
        curves = curves_of(rig)
        frames = range(entry.first, entry.last + 1)
        values = np.array(
            [
                [curves[track.path, track.index].evaluate(frame) for track in rig.driver.tracks]
                for frame in frames
            ]
        )
        return rig.driver.read(values, head_module.channel_names())

    before, on_every_frame = motion(), count_keys(rig)
    choose(scene, error=0.3)
    blender.ops.thunder.commit_take()
    lips, *_ = distances(before, motion())
    assert lips.max() <= 0.301 and count_keys(rig) < 0.6 * on_every_frame


def test_an_action_that_an_animator_named_keeps_its_name(blender, stage, scene, rig):
    animate(rig)
    rig.armature.animation_data.action.name = "Scene 12"
    lines = (
        ("one", 21, "OWN", "Scene 12"),
        ("two", 200, "COPY", "Scene 12 · one + two"),
        ("three", 300, "NEW", "three"),
    )
    for voice, start, to, expected in lines:
        show(stage, start=float(start), voice=voice, seconds=1.0)
        choose(scene, to=to)
        blender.ops.thunder.commit_take()
        assert rig.armature.animation_data.action.name == expected


@pytest.mark.parametrize("to", ["COPY", "OWN"])
def test_edited_keys_that_a_commit_replaces_are_counted_and_stay_in_the_file(
    blender, stage, rig, to
):
    """Nothing that the animator moved or added goes without a word; what a commit put itself is not
    counted."""
    animate(rig)
    entry = show(stage)
    first, second = commit(entry, to), commit(entry, to)
    curve = curve_of(rig, "mouthFunnel")
    raised, moved = [p for p in curve.keyframe_points if 40 < p.co[0] < 80][:2]
    raised.co[1] += 0.3
    moved.co[0] += 0.25
    curve.update()
    edited = {tuple(raised.co), tuple(moved.co)}
    third = commit(entry, to)
    assert first.edited == second.edited == 0 and first.warnings == second.warnings == []
    assert third.edited == 2 and third.warnings == [
        f"2 keys that you had set or edited were replaced; your action “{third.earlier}” still "
        f"has them"
    ]
    earlier = blender.data.actions[third.earlier]
    there = next(c for c in compat.all_curves(earlier) if "mouthFunnel" in c.data_path)
    assert edited <= {tuple(p.co) for p in there.keyframe_points} and earlier.use_fake_user


def test_an_edited_line_that_is_committed_again_leaves_the_face_around_it_at_rest(
    blender, stage, rig
):
    """Keys that were edited on a line are no curve of the animator's own, which would go on beyond
    the line."""
    entry = show(stage, start=101.0, voice="line")
    assert commit(entry, "NEW").keys
    around = (1, 60, entry.first - entry.lead_in - 6, entry.last + entry.lead_out + 6, 300)
    before = values_of(rig, around)
    curve = curve_of(rig, "mouthFunnel")
    for point in [p for p in curve.keyframe_points if entry.first < p.co[0] < entry.last][:3]:
        point.co[1] += 0.2
    curve.update()
    assert commit(entry).edited == 3
    after = values_of(rig, around)
    assert (
        max(np.abs(after.get(place, values) - values).max() for place, values in before.items())
        < 1e-3
    )


def test_parts_of_a_line_are_committed_beside_each_other_and_are_no_edits(blender, stage, rig):
    """Their fades put keys within the line."""
    entry = show(stage)
    for first, last in ((21, 50), (60, 93)):
        assert commit(entry, "COPY", first=first, last=last).edited == 0
    times = [p.co[0] for p in curve_of(rig, "mouthFunnel").keyframe_points]
    assert any(25 < time < 49 for time in times) and any(62 < time < 90 for time in times)
    for first, last in ((None, None), (45, 60), (None, None)):
        assert commit(entry, "COPY", first=first, last=last).edited == 0


# ---- parts of a face with keys of the same names stay with it


PARTS = {
    "Lashes": ("eyeBlinkLeft", "eyeBlinkRight"),
    "Teeth": ("jawOpen",),
    "Tongue": ("jawOpen", "mouthClose"),
}


@pytest.fixture
def speaking(blender):
    """A take on a face of four objects under one armature: (scene, rig, entry)."""
    scene = blender.context.scene
    scene.render.fps = 25
    face = small_face(blender, KEYS)
    armature = skin(blender, face)
    for name, keys in PARTS.items():
        part = add_mesh(
            blender, name, [(0, -0.08, 1.6), (0.01, -0.08, 1.6), (0, -0.08, 1.61)], keys
        )
        for block in part.data.shape_keys.key_blocks:
            block.slider_min, block.slider_max = 0.0, 1.0
            block.data[0].co.z -= 0.01 * (block.name != "Basis")
        part.parent = armature
        part.modifiers.new("Armature", "ARMATURE").object = armature
    rig = head_module.resolve(face)
    made = performance()
    t = np.arange(made.motion.frames)
    made.motion.jaw[:, 0] = 0.12 + 0.1 * np.sin(t / 3) + 0.05 * np.sin(t / 1.3)
    for name, values in (
        ("eyeBlinkLeft", np.clip(3 * np.sin(t / 6) - 2, 0, 1)),
        ("eyeBlinkRight", np.clip(3 * np.sin(t / 6) - 2, 0, 1)),
        ("mouthClose", 0.2 + 0.2 * np.sin(t / 2)),
    ):
        made.motion.expression[:, made.channels.index(name)] = values
    made = replace(made, opening=made.motion.jaw[:, 0] / 0.3 * 30)
    return scene, rig, show_take((scene, rig), made)


@pytest.mark.parametrize("step", ["ONES", "TWOS"])
def test_parts_of_a_face_stay_together(blender, speaking, step):
    scene, rig, entry = speaking
    settings = scene.thunder.commit
    settings.step, settings.accuracy = step, "ROUGH"
    steps = committing.commit(rig, entry, "voice", committing.choice_of(scene, entry))
    report = progress.result(steps)
    face = rig.mesh.data.shape_keys.key_blocks
    apart, moved = 0.0, dict.fromkeys(KEYS, 0.0)
    for frame in np.arange(entry.first - 2, entry.last + 2, 0.5):
        scene.frame_set(int(frame), subframe=float(frame % 1))
        for name, names in PARTS.items():
            blocks = blender.data.objects[name].data.shape_keys.key_blocks
            for key in names:
                apart = max(apart, abs(blocks[key].value - face[key].value))
                moved[key] = max(moved[key], face[key].value)
    assert apart < 1e-5
    assert moved["jawOpen"] > 0.4 and moved["eyeBlinkLeft"] > 0.8
    assert step == "TWOS" or (report.error is not None and report.error <= 1.2)


# ---- Blocking


def blocked(stage, seconds=3.5, error=0.6, step=1, **choice):
    """A take committed as Blocking: (report, its values at eighths of frames before and after)."""
    entry = show(stage, seconds=seconds)
    rig = committing.head.resolve(entry.head)
    eighths = entry.first + np.arange((entry.last - entry.first) * 8 + 1) / 8
    before = numbers(rig, eighths)
    report = commit(entry, "NEW", keys="BLOCKING", error=error, step=step, **choice)
    return report, before, numbers(rig, eighths)


@pytest.mark.one_blender
@pytest.mark.parametrize("error, wanted", [(0.0, 13.0), (0.6, 11.0), (1.2, 9.0)])
def test_poses_are_columns_of_held_keys_and_fewer_than_those_of_poses(stage, rig, error, wanted):
    report, (_, motion, gap), (_, after, gap_now) = blocked(stage, error=error)
    columns = {report.first + column.index for column in report.poses}
    points = [point for curve in curves_of(rig).values() for point in curve.keyframe_points]
    last = report.first + report.frames - 1
    on_line = [point for point in points if report.first <= point.co[0] < last]
    assert {round(point.co[0]) for point in on_line} <= columns
    assert {point.interpolation for point in on_line} == {"CONSTANT"}
    assert {column.kind for column in report.poses} == {"CLOSURE", "EXTREME"}
    # this take closes its lips three times, blinks and rests before and after
    assert wanted - 3 <= poses_in(report.poses) <= wanted + 12
    assert len(columns) <= poses_in(report.poses) + 4, "blinks have columns too"
    lips = distances(motion, after)[0][::8]
    assert lips.max() == pytest.approx(report.error, abs=0.3)
    assert f"lips within {report.error:.2f} mm" in report.sentence
    closed = gap[::8] < CLOSED_MM
    assert closed.sum() >= 4 and (gap_now[::8][closed] < CLOSED_MM).all()
    for run in np.split(
        np.flatnonzero(~closed), np.flatnonzero(np.diff(np.flatnonzero(~closed)) > 1) + 1
    ):
        widest = run[gap[::8][run].argmax()]
        assert gap_now[::8][widest] == pytest.approx(gap[::8][widest], abs=1.5), "vowels stay wide"
    keys = report.keys
    assert keys < commit(show(stage, seconds=3.5), "NEW", keys="POSES", error=max(error, 0.3)).keys


@pytest.mark.one_blender
def test_with_breakdowns_all_curves_move_between_poses_on_shared_frames(stage, rig):
    report, (_, motion, gap), (_, after, gap_now) = blocked(stage, breakdowns=True)
    curves = curves_of(rig).values()
    used = set().union(*map(key_frames, curves))
    assert len(used) == report.key_frames < 0.6 * report.frames
    assert report.keys == count_keys(rig) < 0.8 * len(used) * len(curves)
    kinds = {column.kind for column in report.poses}
    assert {"CLOSURE", "EXTREME"} <= kinds <= {"CLOSURE", "EXTREME", "HOLD", "BREAKDOWN"}
    lips = distances(motion, after)[0]
    # what is said is what is there
    assert lips.max() == pytest.approx(report.error, abs=0.3)
    assert lips.max() <= 6.0 * 0.6 * 1.2
    closed = gap[::8] < CLOSED_MM
    assert closed.sum() >= 4 and (gap_now[::8][closed] < CLOSED_MM).all()
    # curves leave the range of two neighbouring keys nowhere
    for curve in curves:
        keys = [(point.co[0], point.co[1]) for point in curve.keyframe_points]
        for (start, a), (end, b) in zip(keys[:-1], keys[1:]):
            there = [curve.evaluate(t) for t in np.linspace(start, end, 9)]
            slack = 0.03 * np.ptp([value for _, value in keys]) + 1e-6
            assert min(a, b) - slack <= min(there) and max(there) <= max(a, b) + slack


@pytest.mark.one_blender
@pytest.mark.parametrize("step", [2, 3])
def test_on_twos_and_threes_poses_are_held_on_the_grid_and_closures_stay(stage, scene, rig, step):
    scene.frame_start = 1
    report, _, _ = blocked(stage, step=step)
    curves, last = curves_of(rig).values(), report.first + report.frames - 1
    frames = [{at for at in key_frames(curve) if report.first <= at <= last} for curve in curves]
    used = set().union(*frames)  # without what leads to the rest before
    assert all((frame - scene.frame_start) % step == 0 for frame in used)
    assert used <= {report.first + column.index for column in report.poses}
    points = [point for curve in curves for point in curve.keyframe_points]
    on_line = [point for point in points if report.first <= point.co[0] < last - step]
    assert {point.interpolation for point in on_line} == {"CONSTANT"}
    assert sum(column.kind == "CLOSURE" for column in report.poses) >= 3
    # this take moves faster than speech does
    assert len(used) < 0.9 * report.frames / step and report.error is not None


@pytest.mark.one_blender
def test_a_minute_is_blocked_in_slices_that_hold_no_window(stage, scene, rig):
    entry = show(stage, seconds=60.0)
    choose(scene, keys="BLOCKING", to="NEW")
    work = committing.commit(rig, entry, "line", committing.choice_of(scene, entry))
    keeps_in_steps(0.05, work, "steps of a minute's blocking")


@pytest.mark.one_blender
def test_what_blocking_costs_is_told_in_points_and_the_line_is_scored_as_it_is(
    needs_sound, blender, stage, scene, rig, client, tmp_path
):
    strip.add(scene, str(noise(tmp_path / "voice.wav", 2.0)), "voice", 21)
    entry = show(stage, seconds=2.0)
    actions = set(blender.data.actions)
    choose(scene, keys="BLOCKING", to="NEW", accuracy="NORMAL")
    client.scored = int(entry.score) - 50 - 7  # its next score is six points below the take's
    entry = take_list.shown_take(scene.thunder)
    operator = shown_take.THUNDER_OT_commit_take

    class Told:  # Blender makes no operator outside of a call
        commit, done = operator.commit, None

    title, steps = operator.begin(told := Told(), blender.context)
    report = progress.result(steps)
    assert title == "Committing" and report.lost == pytest.approx(6.0)
    assert (
        told.done.reports[0].sentence in report.sentence and "Lip-Sync 6 lower" in report.sentence
    )
    (action,) = set(blender.data.actions) - actions
    # so that the score of the line is that of what is left of it
    assert line_records.score_of(action, entry.voice) is None
    # without an engine it is committed all the same
    client.error = errors.NoEngine("There is no engine")
    display.show(rig, entry)
    assert blender.ops.thunder.commit_take() == {"FINISHED"}


@pytest.mark.one_blender
def test_a_warning_and_what_blocking_costs_are_one_message(stage, monkeypatch):
    """The status bar shows only the last one."""
    report = replace(blocked(stage)[0], lost=4.2, edited=3, earlier="Mine")
    told = []
    work = SimpleNamespace(
        done=committing.CommitLog(),
        tell=lambda kinds, sentence: told.append((kinds, sentence)),
        warn=lambda sentences: told.extend(({"WARNING"}, each) for each in sentences),
    )
    monkeypatch.setattr(shown_take, "_score_soon", lambda: None)
    shown_take.THUNDER_OT_commit_take.finish(work, None, report)
    assert len(told) == 1
    kinds, sentence = told[0]
    assert kinds == {"WARNING"} and len(sentence) < 160
    assert f"lips within {report.error:.2f} mm, Lip-Sync 4 lower. 3 keys that you had" in sentence
    told.clear()
    shown_take.THUNDER_OT_commit_take.finish(work, None, replace(report, edited=0))
    assert told == [({"INFO"}, replace(report, edited=0).sentence)]
    assert "Lip-Sync" not in replace(report, lost=None).sentence, "only where it was measured"
    one = replace(report, lost=0.4, poses=report.poses[:1]).sentence
    assert "Lip-Sync" not in one and one.count(", 1 mouth pose, ") == 1
