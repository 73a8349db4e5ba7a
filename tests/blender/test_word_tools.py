# SPDX-License-Identifier: GPL-3.0-or-later
"""The word at the current frame: found, stepped through, looped, marked, moved, retaken, and said
by another take's mouth."""

import bpy
import numpy as np
import pytest
from performances import clicks, reopen
from thunder.operators import word_tools
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.review import word_track
from thunder.scene.takes import provenance, take_list, transcript, word_places
from thunder.scene.takes.direction import asking
from thunder.scene.takes.provenance import Sampling
from thunder.scene.voice import strip
from thunder.thunder_core.direction import HELD, Mark, MOVED, SOUND, STRESSED, THROWN_AWAY

pytestmark = pytest.mark.one_blender
START = 25


@pytest.fixture
def stage(stage, client, tmp_path):
    """A head, a strip of four seconds from frame 25 on, whose words “a bump” are known."""
    scene = stage[0]
    compat.strips(scene.sequence_editor_create()).new_sound(
        "line", clicks(tmp_path / "voice.wav", (1.0,), 4.0), 1, START
    )
    transcript.ensure(scene, "line").text = "a bump"
    bpy.ops.thunder.find_words()
    scene.frame_set(START + 5)
    return scene


def sent(client):
    """The arguments of the last request for takes."""
    return next(args for verb, args in reversed(client.asked) if verb == "generate")


def marks_of(scene):
    return transcript.of_line(scene, strip.find(bpy.context))


def test_the_word_is_the_one_at_the_current_frame_or_before_it(blender, stage):
    assert word_places.current(blender.context).text == "a"
    stage.frame_set(90)
    assert word_places.current(blender.context).text == "bump"
    stage.frame_set(1)
    assert word_places.current(blender.context).text == "a"
    blender.ops.thunder.step_word(step=1)
    assert word_places.current(blender.context).text == "bump" and stage.frame_current == START + 7
    blender.ops.thunder.step_word(step=1)
    assert word_places.current(blender.context).text == "bump"
    assert (
        word_places.line(blender.context).phrase(word_places.current(blender.context)).text
        == "a bump"
    )


def test_looping_sets_the_preview_range_and_gives_it_back(blender, stage):
    blender.ops.thunder.loop_word()
    assert (
        stage.use_preview_range
        and stage.frame_preview_start < word_places.current(blender.context).frames[0]
    )
    for go in (
        lambda: blender.ops.thunder.step_word(step=1),
        lambda: word_tools.go_to(blender.context, word_places.line(blender.context).words[1]),
    ):
        go()
        assert word_places.current(blender.context).text == "bump"
        assert (
            stage.use_preview_range
            and stage.frame_preview_end > word_places.current(blender.context).frames[1]
        )
        stage.frame_set(START + 5)
    blender.ops.thunder.loop_word()
    assert not stage.use_preview_range


def test_marks_follow_the_recording_and_are_sampled(blender, stage):
    assert blender.ops.thunder.mark_word(kind=STRESSED) == {"FINISHED"}
    voice = strip.find(blender.context)
    [mark] = transcript.of_line(stage, voice)
    assert (mark.kind, mark.start, mark.end) == (STRESSED, pytest.approx(0.2), pytest.approx(0.3))
    asked = asking.add_direction(Sampling.of(stage.thunder), head.find(stage).owner, voice).asked
    assert asked.marks == (mark,)
    line = strip.by_name(stage, "line")
    line.frame_start += 10
    assert marks_of(stage) == (mark,)
    line.frame_final_start += 3
    [later] = marks_of(stage)
    assert later.start == pytest.approx(0.2 - 3 / 24)


def test_of_marks_on_a_whole_word_one_holds_and_a_second_press_removes_it(blender, stage):
    voice = strip.find(blender.context)
    for kind in (STRESSED, THROWN_AWAY, HELD):
        blender.ops.thunder.mark_word(kind=kind)
        assert [mark.kind for mark in transcript.of_line(stage, voice)] == [kind]
    blender.ops.thunder.mark_word(kind=HELD)
    assert not transcript.of_line(stage, voice)


def test_a_sound_is_corrected_and_a_word_moved(blender, stage):
    blender.ops.thunder.correct_sound(number=0, sound="F")
    blender.ops.thunder.move_word(start=2, end=2)
    marks = marks_of(stage)
    assert {mark.kind for mark in marks} == {SOUND, MOVED}
    moved = next(mark for mark in marks if mark.kind == MOVED)
    assert moved.to == pytest.approx((0.2 + 2 / 24, 0.3 + 2 / 24))
    assert next(mark.sound for mark in marks if mark.kind == SOUND) == "F"
    with pytest.raises(RuntimeError, match="a frame at least"):
        blender.ops.thunder.move_word(start=20, end=0)
    blender.ops.thunder.clear_word()
    assert not marks_of(stage)


def test_takes_are_made_with_the_marks_and_remember_them_and_the_file_too(
    blender, stage, client, tmp_path
):
    blender.ops.thunder.mark_word(kind=STRESSED)
    assert word_track.Track.of(tuple(word_places.spans(stage, stage))).texts == ("a ▲", "bump")
    blender.ops.thunder.generate()
    assert sent(client)["marks"] == [[STRESSED, pytest.approx(0.2), pytest.approx(0.3)]]
    entry = take_list.shown_take(stage.thunder)
    [mark] = Sampling.of_take(provenance.about_of(entry.action), stage.thunder).asked.marks
    assert isinstance(mark, Mark) and mark.kind == STRESSED
    assert [mark.kind for mark in marks_of(reopen(blender, tmp_path))] == [STRESSED]


def test_a_word_is_retaken_and_all_else_stays(blender, stage, client):
    stage.thunder.count = 1
    blender.ops.thunder.generate()
    lead = take_list.shown_take(stage.thunder)
    before, first_name = provenance.load(lead.action).motion, lead.name
    blender.ops.thunder.retake(what="WORD")
    made = [entry for entry in stage.thunder.takes if entry.kind == "RESAMPLED"]
    assert len(made) == 8 and all(entry.name.startswith(first_name) for entry in made)
    mask = client.arrays[sent(client)["keep_mask"]] > 0.5
    free = np.flatnonzero(~mask.all(axis=1))
    assert 3 <= len(free) <= 6 and free[0] in (4, 5)
    after = provenance.load(made[0].action).motion
    assert np.array_equal(after.head, before.head) and not mask[:, -6:].all(axis=1).sum() < len(
        mask
    )


def test_another_takes_mouth_is_used_on_the_word_alone(blender, stage):
    stage.thunder.count = 2
    blender.ops.thunder.generate()
    lead = take_list.shown_take(stage.thunder)
    other = next(entry for entry in stage.thunder.takes if entry.action != lead.action)
    lead_action, other_action = lead.action, other.action
    stage.frame_set(START + 8)
    assert blender.ops.thunder.use_mouth(take=other.action.name) == {"FINISHED"}
    mixed = take_list.shown_take(stage.thunder)
    was, there, now = (
        provenance.load(action) for action in (lead_action, other_action, mixed.action)
    )
    place = word_places.current(blender.context)
    middle = round((place.start + place.end) / 2 * 25)
    mouths = [each.motion.jaw for each in (was, there, now)]
    assert np.allclose(mouths[2][middle], mouths[1][middle], atol=1e-3) and not np.allclose(
        mouths[0][middle], mouths[1][middle], atol=0.05
    )
    assert np.allclose(mouths[2][30:], mouths[0][30:], atol=1e-3)
    with pytest.raises(RuntimeError, match="was deleted"):
        blender.ops.thunder.use_mouth(take="nothing")
