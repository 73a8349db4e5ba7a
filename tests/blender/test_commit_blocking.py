# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocking: a committed line has few poses a sentence on frames that all curves share, held or with
breakdowns; lips that meet still meet; what it costs is told in millimetres and points."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from commit_stage import (  # noqa: F401
    choose,
    commit,
    count_keys,
    curve_of,
    curves_of,
    distances,
    key_frames,
    numbers,
    show,
    spoken,
    stage,
)
from performances import noise
from thunder.operators import shown_take
from thunder.scene.animation import display
from thunder.scene.takes import take_list
from thunder.scene.takes.commit import committing
from thunder.scene.voice import strip
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.animation.poses import poses_in
from thunder.thunder_core.face.lips import CLOSED_MM
from timing import keeps_in_steps

pytestmark = pytest.mark.one_blender


def blocked(stage, seconds=3.5, error=0.6, step=1, **choice):
    """A take committed as Blocking: (report, its values at eighths of frames before and after)."""
    entry = show(stage, seconds=seconds)
    rig = committing.head.resolve(entry.head)
    eighths = entry.first + np.arange((entry.last - entry.first) * 8 + 1) / 8
    before = numbers(rig, eighths)
    report = commit(entry, "NEW", keys="BLOCKING", error=error, step=step, **choice)
    return report, before, numbers(rig, eighths)


def closes(rig, frames):
    """Whether the lips of a rig are shut on frames [T]."""
    return numbers(rig, frames)[2] < CLOSED_MM


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


def test_a_minute_is_blocked_in_slices_that_hold_no_window(stage, scene, rig):
    entry = show(stage, seconds=60.0)
    choose(scene, keys="BLOCKING", to="NEW")
    work = committing.commit(rig, entry, "line", committing.choice_of(scene, entry))
    keeps_in_steps(0.05, work, "steps of a minute's blocking")


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
