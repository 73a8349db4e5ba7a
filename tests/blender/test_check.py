# SPDX-License-Identifier: GPL-3.0-or-later
"""Check on a head's own animation and on takes, and as `bake.py check`: what it lists, and that Go, Fix,
Show Take and Ignore do what they say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from commit_stage import curves_of
from drawing import Shown
from measuring import Measured, Sidebar
from performances import reopen
from running_engine import committed, connection, speak, stop_engine  # noqa: F401
from thunder.cli import check
from thunder.panels import listen
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import head, head_state
from thunder.scene.review import checking, live_score
from thunder.scene.takes import grades, take_list, transcript
from thunder.scene.voice import strip
from thunder.thunder_core import findings, progress
from thunder.thunder_core.animation import keyframes
from thunder.thunder_core.errors import BadRequest
from thunder.thunder_core.face.moving import displacement
from thunder.thunder_core.face.moving.lips import opening_mm
from thunder.thunder_core.findings import Finding, OPEN, SHIFTED, STILL
from thunder.thunder_core.types import CLOSED_MM


@pytest.fixture
def own(blender, committed):  # noqa: F811
    """The head's own animation, as Commit writes it from a take; the scene."""
    blender.ops.wm.open_mainfile(filepath=committed)
    own = blender.context.scene
    assert take_list.on_head(own, head.find(own).mesh) is None
    return own


def own_curves(scene):
    return curves_of(head.find(scene))


def curve_of(scene, name, index=0):
    return next(
        curve
        for (path, place), curve in own_curves(scene).items()
        if name in path and place == index
    )


def spoil(curve, first, last, by=0.15):
    """Open the jaw by its curve on frames first … last."""
    for point in curve.keyframe_points:
        if first <= point.co[0] <= last:
            point.co[1] += by
    curve.update()


def sentences(scene):
    return [row.sentence for row in scene.thunder_check.findings]


def test_animation_that_fits_its_voice_has_no_problem(blender, own):
    for name in ("go_to_finding", "fix_finding", "show_better_take", "ignore_finding"):
        assert not getattr(blender.ops.thunder, name).poll(), (
            "without a check there is nothing to do"
        )
    assert blender.ops.thunder.check() == {"FINISHED"}
    assert sentences(own) == [] and checking.of_head(own, head.find(own)) is not None


@pytest.mark.parametrize(
    "late, words", [(5, "late by 5 frames"), (1, "late by 1 frame"), (2.4, "late by 2 frames")]
)
def test_a_late_line_is_found_and_its_keys_are_moved_back(blender, own, late, words):
    jaw, brow = (fcurves.read(curve_of(own, name))["co"] for name in ("jaw", "browInnerUp"))
    for curve in own_curves(own).values():
        fcurves.write(curve, keyframes.move(fcurves.read(curve), late))
    blender.ops.thunder.check()
    assert sentences(own)[0] == f"The whole line is {words}"
    own.thunder_check.index = 0
    assert blender.ops.thunder.fix_finding() == {"FINISHED"}
    # a key more or less beside the line counts them anew
    middle = jaw[len(jaw) // 3 : len(jaw) // 2]
    now = fcurves.read(curve_of(own, "jaw"))["co"]
    now = now[(now[:, 0] > middle[0, 0] - 0.5) & (now[:, 0] < middle[-1, 0] + 0.5)]
    assert np.allclose(now, middle, atol=0.11 if late == 2.4 else 1e-3)
    # the brows are not what is late for the voice
    assert np.allclose(fcurves.read(curve_of(own, "browInnerUp"))["co"][:, 0], brow[:, 0] + late)
    blender.ops.thunder.check()
    assert not any("late" in sentence or "early" in sentence for sentence in sentences(own))


def test_a_moved_line_has_no_key_between_frames_is_one_undo_step_and_leaves_other_actions(
    blender, own
):
    """Keys on each frame, as baked, from before the line to behind it; an earlier action is kept."""
    for curve in own_curves(own).values():
        frames = np.arange(*np.round(curve.range())) + 1
        fcurves.write(curve, keyframes.on_every_frame(frames + 3, fcurves.evaluate(curve, frames)))
    earlier = live_score.animator_action(head.find(own)).copy().name
    blender.ops.thunder.check()
    assert sentences(own)[0] == "The whole line is late by 3 frames"
    before = {each.name: keying.checksum_of(each) for each in blender.data.actions}
    blender.ops.ed.undo_push(message="late")
    assert blender.ops.thunder.fix_finding("EXEC_DEFAULT", True) == {"FINISHED"}
    for curve in own_curves(own).values():
        times = fcurves.read(curve)["co"][:, 0]
        assert np.array_equal(times, np.round(times)) and (np.diff(times) > 0).all()
    after = {each.name: keying.checksum_of(each) for each in blender.data.actions}
    assert after.keys() == before.keys() and after != before
    assert after[earlier] == before[earlier]
    blender.ops.ed.undo()
    assert {each.name: keying.checksum_of(each) for each in blender.data.actions} == before


def test_an_open_closure_is_found_gone_to_and_closed_with_few_keys(blender, own):
    blender.ops.thunder.check()
    closure = closures_in(own_curves(own).values())[0]
    spoil(curve_of(own, "jaw"), closure - 4, closure + 5)
    blender.ops.thunder.check()
    (row,) = own.thunder_check.findings
    assert row.sentence.startswith("Lips do not meet on") and abs(row.first - closure) <= 3
    own.frame_set(1)
    blender.ops.thunder.go_to_finding()
    assert own.frame_current == row.first and own.use_preview_range
    assert own.frame_preview_start < row.first <= row.last < own.frame_preview_end
    before = {key: len(curve.keyframe_points) for key, curve in own_curves(own).items()}
    assert blender.ops.thunder.fix_finding() == {"FINISHED"}
    said = drawn(listen.THUNDER_PT_listen)
    assert "No lip-sync problems found" not in said and "mm apart" not in said, "not known yet"
    assert all(
        len(curve.keyframe_points) <= before.get(key, 0) + 5
        for key, curve in own_curves(own).items()
    )
    assert sentences(own) == []
    blender.ops.thunder.check()
    assert sentences(own) == []
    assert "No lip-sync problems found" in drawn(listen.THUNDER_PT_listen)


def drawn(panel):
    """What a panel says, as one text."""
    shown = Shown(panel, Measured())
    shown.draw(Sidebar(bpy.context, 909))
    return " ".join(words_in(shown.layout))


def words_in(layout):
    if not isinstance(layout, Measured):
        return [layout.words]
    return [words for each in layout.inside for words in words_in(each)]


def opening_of(scene):
    """Millimetres between the lips of what the head plays, at 25 frames a second."""
    rig, voice = head.find(scene), strip.find(bpy.context)
    steps = keying.read(rig, head.channel_names(), voice.clock, 7.0)
    return opening_mm(progress.result(steps))


def test_lips_that_were_closed_part_when_the_next_sound_begins_as_those_of_the_take(blender, own):
    was, closure = opening_of(own), closures_in(own_curves(own).values())[1]
    spoil(curve_of(own, "jaw"), closure - 4, closure + 5)
    spoilt = opening_of(own)
    blender.ops.thunder.check()
    assert blender.ops.thunder.fix_finding() == {"FINISHED"}
    shut = [
        set(np.flatnonzero((gap < CLOSED_MM) & (spoilt > 3.0))) for gap in (was, opening_of(own))
    ]
    assert shut[1] and shut[1] <= shut[0], "on frames on which those of the take are, and no others"


def closures_in(curves):
    """Frames on which these curves press the lips together, those far from others first."""
    press = next(curve for curve in curves if "mouthPressLeft" in curve.data_path)
    values = fcurves.read(press)["co"]
    peaks = [
        n
        for n in range(1, len(values) - 1)
        if values[n, 1] >= max(0.15, values[n - 1, 1], values[n + 1, 1])
    ]
    frames = [round(values[n, 0]) for n in peaks]
    inside = [frame for frame in frames if 12 < frame < values[-1, 0] - 20]
    return sorted(inside, key=lambda at: -min(abs(at - each) for each in frames if each != at))


def test_what_is_ignored_stays_out_of_the_list_in_the_file_too(blender, own, tmp_path):
    closure = closures_in(own_curves(own).values())[0]
    spoil(curve_of(own, "jaw"), closure - 4, closure + 5)
    blender.ops.thunder.check()
    assert len(sentences(own)) == 1
    blender.ops.thunder.ignore_finding()
    assert sentences(own) == []
    opened = reopen(blender, tmp_path)
    blender.ops.thunder.check()
    assert sentences(opened) == []
    blender.ops.thunder.list_ignored()
    blender.ops.thunder.check()
    assert len(sentences(opened)) == 1
    blender.ops.thunder.show_better_take()  # one that does it right
    assert take_list.on_head(opened, head.find(opened).mesh) is not None


def test_a_head_without_an_action_says_what_to_do(scene, rig):
    with pytest.raises(BadRequest, match="no action of its own that can be edited: commit a take"):
        progress.result(checking.mend(scene, rig, Finding(OPEN, 1.0, 1.1, 5.0, 1.0, "m"), 1.0))


@pytest.mark.parametrize("kind, whole", [(STILL, False), (OPEN, True)])
def test_what_has_no_fix_says_what_to_do(kind, whole):
    assert ":" in checking.why_not(Finding(kind, 0, 1, 1.0, 1.0, whole=whole))
    assert checking.why_not(Finding(SHIFTED, 0, 1, 0.2, 1.0)) == ""


# ---- a take's verdict in the list


def verdict(entry):
    grade = grades.of_take(entry)
    return grade.name, grade.reason.split(",")[0], grade.spans


def listed():
    """The same of what Check lists."""
    assert bpy.ops.thunder.check() == {"FINISHED"}
    rows = bpy.context.scene.thunder_check.findings
    name = findings.grade([Finding(**json.loads(row.values)) for row in rows])
    reason = rows[0].sentence.split(",")[0] if rows else ""
    return name, reason, tuple((row.first, row.last) for row in rows)


@pytest.mark.parametrize("text", ["", "My brother moves both big blue boxes from the front room"])
def test_a_takes_verdict_is_that_of_what_check_lists_for_its_keys(
    blender,
    stage,
    connection,
    monkeypatch,
    text,  # noqa: F811
):
    """As sampled, with lips that stay apart, and late as a whole; at 24 frames a second, with a
    voice that begins elsewhere, in a direction, on a head half as large again."""
    scene, rig = stage
    monkeypatch.setattr(displacement.RigMeter, "scale", 1.5)
    scene.thunder.count, scene.thunder.seed = 8, 15
    head_state.ensure(rig.owner).direction.energy = 0.7
    speak(scene, start=31)
    transcript.ensure(scene, strip.find(blender.context).name).text = text
    assert blender.ops.thunder.generate() == {"FINISHED"}
    client = connection.client()
    for entry in scene.thunder.takes:
        display.show(rig, entry)
        assert verdict(entry) == listed()
    first, second = [entry for entry in scene.thunder.takes if verdict(entry)[0] == "good"][:2]
    display.show(rig, second)
    closures = closures_in(keying.curves_of_tracks(rig, second))
    jaw = next(
        curve for curve in keying.curves_of_tracks(rig, second) if '"jaw"' in curve.data_path
    )
    spoil(jaw, closures[0] - 4, closures[0] + 5)
    progress.result(live_score.score_steps(client, scene, rig))
    assert verdict(second) == listed() and verdict(second)[0] != "good"
    assert verdict(second)[1].startswith("Lips do not meet on ")
    display.show(rig, first)
    first.action.thunder_shape.offset = 5
    progress.result(live_score.score_steps(client, scene, rig))
    assert verdict(first) == listed()
    assert verdict(first)[:2] == ("poor", "The whole line is late by 5 frames")
    first.action.thunder_shape.offset = 2.4
    progress.result(live_score.score_steps(client, scene, rig))
    assert verdict(first) == listed() and verdict(first)[1] == "The whole line is late by 2 frames"
    assert blender.ops.thunder.fix_finding() == {"FINISHED"}
    assert abs(first.action.thunder_shape.offset) < 0.3, "by the time, not by whole frames"


def test_a_take_is_checked_where_its_voice_plays_now(
    needs_sound,
    blender,
    stage,
    connection,  # noqa: F811
):
    """Until Re-sync: its strip was moved, or has another sound; its score stays that of its line."""
    scene, rig = stage
    scene.thunder.count = 1
    speak(scene)
    assert blender.ops.thunder.generate() == {"FINISHED"}
    entry, member = scene.thunder.takes[0], strip.by_name(scene, "line")
    display.show(rig, entry)
    before, score = listed(), entry.score
    for frames, sentence in (
        (6, "The whole line is early by 6 frames"),
        (-6, "The whole line is late by 6 frames"),
    ):
        member.frame_start += frames
        assert blender.ops.thunder.check() == {"FINISHED"}
        assert sentences(scene)[0] == sentence and entry.score == score
        member.frame_start -= frames
    assert listed() == before
    member.frame_start += 40
    assert blender.ops.thunder.check() == {"FINISHED"} and sentences(scene)
    member.frame_start -= 40
    assert listed() == before and entry.score == score


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files(needs_sound, blender, committed, tmp_path):  # noqa: F811
    """A file whose lips fit the voice, and one with an open jaw: (path, path)."""
    paths = str(tmp_path / "good.blend"), str(tmp_path / "bad.blend")
    shutil.copy(committed, paths[0])
    blender.ops.wm.open_mainfile(filepath=paths[0])
    spoil(curve_of(blender.context.scene, "jaw"), 30, 60, 0.12)
    blender.ops.wm.save_as_mainfile(filepath=paths[1])
    return paths


def run(capfd, *arguments):
    """(exit code, what a check prints)."""
    return check.check(check.options([*arguments])), capfd.readouterr().out


def test_files_are_checked_as_text_and_json_and_stay_as_they_are(files, capfd):
    (good, bad), before = files, [Path(path).read_bytes() for path in files]
    code, said = run(capfd, good)
    assert (code, said.splitlines()[-1]) == (0, f"{good}: line: no problems")
    code, said = run(capfd, bad)
    assert code == check.FOUND and f"{bad}: line: " in said and "mm apart" in said
    code, said = run(capfd, good, bad, "--format", "json")
    lines = json.loads(said[said.index("{") :])["lines"]
    assert [bool(line["problems"]) for line in lines] == [False, True]
    assert lines[1]["problems"][0]["kind"] == "open" and lines[1]["problems"][0]["frames"][0] > 1
    code, said = run(capfd, good, "missing.blend")
    assert code == check.FAILED and "missing.blend: not checked. " in said
    assert [Path(path).read_bytes() for path in files] == before


def test_a_head_that_listens_is_passed_by(files, blender, capfd):
    bad, scene = files[1], blender.context.scene
    scene.thunder.cast.clear()
    scene.thunder.head_role = "LISTENS"
    blender.ops.wm.save_as_mainfile(filepath=bad)
    code, said = run(capfd, bad)
    (line,) = [each for each in said.splitlines() if each.startswith(bad)]
    assert code == 0 and line.endswith("listens to “line”: a head that listens has no Lip-Sync")


def test_a_file_without_a_line_says_so(blender, connection, tmp_path, capfd):  # noqa: F811
    path = str(tmp_path / "empty.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    code, said = run(capfd, path)
    assert (
        code == check.FAILED
        and "has no sound strip that somebody speaks: add the voice to its sequencer" in said
    )


def test_bake_knows_the_command():
    done = subprocess.run(
        [sys.executable, str(ROOT / "bake.py"), "check", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "--tolerance {realistic,cartoony,snappy}" in done.stdout
