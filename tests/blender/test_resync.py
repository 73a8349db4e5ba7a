# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice that moves, is trimmed, replaced or retimed marks its takes, and Re-sync makes them fit
it again."""

import json

import numpy as np
import pytest
from idle import tick
from performances import list_take, noise, performance, trim_end, trim_start
from thunder.scene.animation import display, keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.review import live_score
from thunder.scene.takes import browsing, dialogue, grades, take_list, take_record, voice_fit
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import CommitChoice
from thunder.scene.voice import changes, fingerprint, strip
from thunder.thunder_core import progress
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.direction import Direction, Style
from thunder.thunder_core.direction_words import choice_of_take, words_of_take

SECONDS = 4.0
LEAD_IN, LEAD_OUT = 10, 13  # frames of a take before and after its sound, at 25 fps


@pytest.fixture
def speaking(needs_sound, scene, rig, client, voice, tmp_path):
    """A scene at 25 fps with our head, a strip of four seconds at frame 11 and two takes of it: the
    strip."""
    scene.render.fps = 25
    result = strip.add(scene, noise(voice, SECONDS), "line", 11)
    for seed in (1, 2):
        enter(scene, rig, result, seed)
    return result


def enter(scene, rig, speaking, seed, seconds=SECONDS, closed_at=(1.0, 2.0)):
    voice = strip.of_strip(scene, speaking)
    entry = list_take(
        (scene, rig),
        performance(seconds=seconds, closed_at=closed_at, seed=seed),
        voice.clock.start,
        speaking.name,
    )
    fingerprint.remember(entry.action, voice.state)
    return entry


def second_strip(scene, voice):
    """The same recording a second time, at the same place."""
    result = compat.strips(scene.sequence_editor).new_sound(
        "line.001", voice.sound.filepath, voice.channel + 1, 11
    )
    if result.sound != voice.sound:
        result.sound = voice.sound
    return result


def jaw_curve(entry):
    return next(
        c for c in compat.all_curves(entry.action) if "jaw" in c.data_path and c.array_index == 0
    )


def edit_jaw(entry, value=0.33):
    """Put a key of a take's jaw elsewhere, by hand."""
    curve = jaw_curve(entry)
    curve.keyframe_points[40].co[1] = value
    curve.update()


def kinds(scene):
    return [changed.kind for _, changed in changes.stale_takes(scene)]


def resync(scene, client):
    return progress.result(voice_fit.resync(client, scene))


def jaw(entry):
    """(frames, radians) of the jaw's keys of a take."""
    return np.array([tuple(key.co) for key in jaw_curve(entry).keyframe_points]).T


def test_a_take_that_is_longer_than_its_trimmed_strip_is_not_committed_without_a_word(
    speaking, scene, rig, client
):
    entry = scene.thunder.takes[0]

    def warnings():
        display.show(rig, entry)
        return progress.result(
            committing.commit(rig, entry, entry.voice, CommitChoice(entry.first, entry.last, "NEW"))
        ).warnings

    assert warnings() == []
    trim_end(speaking, 40)
    assert warnings() == [
        "“line” was trimmed since its takes were made; the take was committed as it was made: undo "
        "and press Re-sync to fit it"
    ]
    assert resync(scene, client) and warnings() == []


@pytest.mark.parametrize("frames", [12, -20])
def test_a_moved_strip_takes_its_keys_along_to_the_bit_edits_too(
    blender, speaking, scene, client, frames
):
    # how loud it is and in which channel does not move a lip
    speaking.volume, speaking.channel = 0.5, 3
    assert kinds(scene) == [] and not blender.ops.thunder.resync.poll()
    untouched, edited = scene.thunder.takes
    edit_jaw(edited)
    before, first = [jaw(entry) for entry in (untouched, edited)], untouched.first
    strip.move(speaking, 11 + frames)
    assert kinds(scene) == ["MOVED", "MOVED"]
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert kinds(scene) == [] and client.asked == []
    for was, entry in zip(before, scene.thunder.takes):
        assert np.array_equal(jaw(entry), was + [[frames], [0]])
    assert untouched.first == first + frames and len(scene.thunder.takes) == 2
    assert [take_record.is_edited(entry) for entry in (untouched, edited)] == [False, True]
    assert take_record.clock_of(untouched.action).start == 11 + frames


def test_a_verdict_moves_with_its_take_unless_it_is_of_earlier_keys(
    blender, speaking, scene, client
):
    """What is scored later than made, a mix or an edited take, has another checksum of its own."""
    scored, since = scene.thunder.takes
    for entry in (scored, since):
        edit_jaw(entry)
        grades.keep_score(entry)
    edit_jaw(since, 0.2)
    assert [take_record.is_outdated(entry) for entry in (scored, since)] == [False, True]
    strip.move(speaking, 40)
    scene.thunder_check.findings.add().sentence = "The whole line is early by 29 frames"
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert not scene.thunder_check.findings, "a fix would move a take that is in time"
    scored, since = scene.thunder.takes
    assert [take_record.is_outdated(entry) for entry in (scored, since)] == [False, True]
    assert all(take_record.is_edited(entry) for entry in (scored, since))


def test_a_trimmed_strip_cuts_its_takes(speaking, scene, rig, client):
    display.show(rig, scene.thunder.takes[1])
    whole = jaw(scene.thunder.takes[0])
    trim_start(speaking, 20)
    trim_end(speaking, 10)
    assert compat.strip_span(speaking) == (31, 101)
    assert kinds(scene) == ["CUT", "CUT"]
    assert resync(scene, client) == ["CUT", "CUT"] and client.asked == []
    entry = scene.thunder.takes[0]
    cut = jaw(entry)
    assert (entry.first, entry.last) == (31, 100)
    assert cut[0][0] == 31 - LEAD_IN and cut[0][-1] == 100 + LEAD_OUT
    assert (
        np.abs(whole[1][np.isin(whole[0], np.arange(31, 101))] - cut[1][LEAD_IN:-LEAD_OUT]).max()
        < 1e-6
    )
    # it was cut in the middle of a word: the mouth comes from rest and returns
    assert cut[1][0] == cut[1][-1] == 0.0
    assert kinds(scene) == [] and scene.thunder.active_take == 1 and len(scene.thunder.takes) == 2
    assert not live_score._keeps_score(scene, entry), "its score is still the whole line's"
    answer = {"total": 60.0, "parts": {}, "findings": "[]", "weights": "w"}
    live_score._store(entry.action.session_uid, answer, np.full(70, 60.0))
    assert take_list.score_text(entry) == "good" and entry.tooltip.count("of the whole") == 0
    assert [entry.name for entry in scene.thunder.takes] == ["Take 1", "Take 2"]
    assert len([a for a in compat.bpy.data.actions if a.name.startswith("line · ")]) == 2


def test_what_is_heard_in_addition_alone_is_sampled(speaking, scene, rig, client):
    scene.thunder.takes.clear()
    trim_end(speaking, 50)
    before = jaw(enter(scene, rig, speaking, 3, seconds=2.0, closed_at=(1.0,)))
    first = scene.thunder.takes[0].action
    hits = {"hits": [[0.2, 0.5, "boxes"]], "aside": [], "pauses": [], "ideas": []}
    first[keying.PROPERTY]["choice"] = json.dumps(hits)
    trim_end(speaking, 0)
    assert kinds(scene) == ["CHANGED"] and voice_fit.needs_engine(scene)
    assert resync(scene, client) == ["CHANGED"]
    assert json.loads(take_record.about_of(scene.thunder.takes[0].action)["choice"]) == hits
    ((verb, asked),) = client.asked
    assert verb == "generate" and asked["seed"] == 3 and asked["takes"] == 1
    mask = client.arrays[asked["keep_mask"]]
    assert mask.shape == (100, 53) and mask[:50].all() and not mask[50:].any()
    entry = scene.thunder.takes[0]
    after = jaw(entry)
    assert after[0][0] == before[0][0] and after[0][-1] == 110 + LEAD_OUT
    kept = len(before[0]) - LEAD_OUT
    assert np.array_equal(after[1][:kept], before[1][:kept])  # bit for bit
    brow = next(c for c in compat.all_curves(entry.action) if "browInnerUp" in c.data_path)
    values = np.array([k.co[1] for k in brow.keyframe_points])
    # no jump where the new part begins
    assert np.abs(np.diff(values))[LEAD_IN + 45 : LEAD_IN + 60].max() < 0.15
    assert kinds(scene) == []


@pytest.mark.parametrize("resynced", [False, True])
def test_a_take_of_a_trimmed_strip_says_the_words_that_are_left(
    speaking, scene, rig, client, resynced
):
    usual, smiling = (Direction(Style(smile=smile)).vector().tolist() for smile in (0.0, 0.1))
    choice = {
        "hits": [[0.3, 0.5, "fox"], [1.6, 2.0, "boxes"], [3.0, 3.4, "dogs"]],
        "aside": [],
        "pauses": [[3.6, "looks away"]],
        "ideas": [],
    }
    about = {"direction": usual, "reading": smiling, "as_asked": False}
    action = scene.thunder.takes[0].action
    action[keying.PROPERTY].update(about | {"choice": json.dumps(choice)})
    whole = "hits fox and boxes and dogs, looks away in the pause"
    scene.thunder.takes[0].words = whole

    def said():
        made = resync(scene, client) if resynced else []
        entry = scene.thunder.takes[0]
        if "CHANGED" in made:  # what was sampled in addition tells how the take is directed
            entry.action[keying.PROPERTY].update(about)
            entry.words = words_of_take(take_record.about_of(entry.action))
        assert grades.words_of(entry) in entry.tooltip.split("\n")
        return grades.words_of(entry)

    def seconds():
        hits = choice_of_take(take_record.about_of(scene.thunder.takes[0].action)).hits
        return {word: pytest.approx(at, abs=0.02) for at, word in hits}

    trim_end(speaking, 50)
    assert said() == "hits fox and boxes"
    trim_start(speaking, 25)
    assert said() == "hits boxes"
    assert seconds()["boxes"] == (0.8 if resynced else 1.8)
    trim_end(speaking, 75)
    trim_start(speaking, 0)
    assert said() == "hits fox"
    trim_end(speaking, 0)
    assert said() == whole and seconds() == {"fox": 0.4, "boxes": 1.8, "dogs": 3.2}


def test_another_recording_is_sampled_anew_with_the_same_seed_and_a_mixed_take_is_kept(
    speaking, scene, client, voice
):
    scene.thunder.takes[0].kind = "MIXED"
    mixed, left = scene.thunder.takes[0].action, []
    noise(voice, SECONDS, seed=5)
    assert kinds(scene) == ["CHANGED", "CHANGED"]
    made = progress.result(voice_fit.resync(client, scene, left=left))
    assert made == ["CHANGED", "CHANGED"]
    assert left == ["“Take 1” was mixed and stays as it was; “Take 3” fits the voice"]
    assert [args["seed"] for _, args in client.asked] == [1, 2]
    assert all("keep_mask" not in args for _, args in client.asked)
    assert kinds(scene) == [] and [entry.kind for entry in scene.thunder.takes] == [
        "SAMPLED",
        "MIXED",
        "SAMPLED",
    ]
    assert scene.thunder.takes[1].action == mixed


def test_what_another_recording_says_is_found_for_own_mouths_and_noted(
    speaking, scene, client, voice
):
    scene.thunder.takes.remove(1)
    scene.thunder.takes[0].action["thunder"]["said"] = '[["OW", 0.0, 1.0]]'
    noise(voice, SECONDS, seed=5)
    client.unclear = True
    notes = [step.note for step in voice_fit.resync(client, scene) if step.note]
    assert len(notes) == 1 and notes[0].startswith("“line” is hard to understand")
    said = take_record.about_of(scene.thunder.takes[0].action)["said"]
    assert [phone for phone, *_ in json.loads(said)] == ["M", "AA"]


@pytest.mark.parametrize("fps", [24, 25, 30])  # takes are at 25
@pytest.mark.parametrize("how", ["trim", "piece"])
def test_edited_keys_go_along_to_the_bit(blender, speaking, scene, rig, how, fps):
    scene.render.fps = fps
    scene.thunder.takes.clear()
    entry = enter(scene, rig, speaking, 1)
    name, action = entry.name, entry.action
    strip.keep_speaker(scene, "line", rig.mesh)
    # lips closed for a frame; and few keys with handles of the animator's own
    key = next(each for each in jaw_curve(entry).keyframe_points if each.co[0] == 75)
    key.co[1] = 0.0
    by_path = {curve.data_path: curve for curve in compat.all_curves(action)}
    few = next(curve for path, curve in by_path.items() if "mouthPucker" in path)
    for number in reversed(range(len(few.keyframe_points))):
        if number % 9:
            few.keyframe_points.remove(few.keyframe_points[number])
    few.keyframe_points[5].handle_right_type = "FREE"
    few.keyframe_points[5].handle_right[1] += 0.4
    for curve in (few, jaw_curve(entry)):
        curve.update()
    grades.keep_score(entry)
    display.show(rig, entry)
    entry.star, checksum, left = True, keying.checksum_of(action), []

    def played(entry, first, last):
        return np.array(
            [
                [curve.evaluate(frame) for frame in range(first, last)]
                for curve in keying.curves_of_tracks(rig, entry)
            ]
        )

    first, last = compat.strip_span(speaking)
    before = played(entry, first, last)
    if how == "trim":
        trim_start(speaking, 20)
        trim_end(speaking, 5)
    else:
        _, right = cut(speaking, 61)
        strip.move(right, compat.content_start(right) + 50)
        dialogue.follow(scene)
    progress.result(voice_fit.resync(None, scene, left=left))
    assert left[:1] == [
        f"“{name}” fits the voice with its edits; as it was it is “{name} before Re-sync”"
    ]
    begins, ends = (first + 20, last - 5) if how == "trim" else (first, 61)
    for take in scene.thunder.takes:
        late = 50 if take.voice != "line" else 0
        if take.action == action:
            assert keying.checksum_of(action) == checksum and take.name == f"{name} before Re-sync"
            continue
        a, b = (61, last) if late else (begins, ends)
        assert (take.first, take.name) == (a + late, name) and abs(take.last - b - late + 1) <= 1
        assert np.abs(played(take, a + late, b + late) - before[:, a - first : b - first]).max() < (
            1e-5
        )
        assert take_record.is_edited(take) and not take_record.is_outdated(take) and take.star
        # and returns to rest where its sound is gone
        assert np.abs(played(take, take.last + LEAD_OUT + 1, take.last + LEAD_OUT + 2)).max() < 0.01
    assert take_list.on_head(scene, rig.mesh).name == name
    assert len(scene.thunder.takes) == (2 if how == "trim" else 3) and kinds(scene) == []


def test_a_cancel_while_edited_keys_go_along_leaves_nothing_behind(blender, speaking, scene, rig):
    scene.render.fps = 24
    scene.thunder.takes.clear()
    edit_jaw(enter(scene, rig, speaking, 1))
    before = set(blender.data.actions)
    trim_start(speaking, 10)

    def jaws():
        """Heights of the jaw's keys in what was added."""
        added = (
            curve for each in {*blender.data.actions} - before for curve in compat.all_curves(each)
        )
        curves = [
            curve for curve in added if ("jaw" in curve.data_path, curve.array_index) == (1, 0)
        ]
        return [key.co[1] for curve in curves for key in curve.keyframe_points]

    steps = voice_fit.resync(None, scene)
    while not np.isclose(jaws(), 0.33, atol=1e-6).any():
        next(steps)
    steps.close()
    assert set(blender.data.actions) == before and kinds(scene) == ["CUT"]


@pytest.mark.parametrize("fps, base", [(24, 1.0), (30, 1.001), (60, 1.0)])
def test_another_scene_rate_keys_the_same_performance_again(speaking, scene, client, fps, base):
    scene.render.fps, scene.render.fps_base = fps, base
    assert set(kinds(scene)) <= {"RATE", "CUT", "CHANGED"} and len(kinds(scene)) == 2
    resync(scene, client)
    assert kinds(scene) == []
    frames, angles = jaw(scene.thunder.takes[0])
    first = compat.strip_span(speaking)[0]
    for seconds in (1.0, 2.0):  # the closures are where the sound has them
        assert angles[(np.abs(frames - (first + seconds * fps / base)) <= 0.5 + 1e-6)].min() < 1e-5


def test_takes_speaker_and_voice_follow_a_strip_that_is_renamed(blender, speaking, scene, rig):
    strip.keep_speaker(scene, "line", rig.mesh)
    scene.thunder.strip, scene.thunder.takes[0].star = "line", True
    assert dialogue.follow(scene) == {}
    committed = blender.data.actions.new("Scene 12 · line")
    lines = line_records.CommittedLines("Scene 12", (line_records.CommittedLine("line", 1, 9),))
    line_records.remember_lines(committed, lines)
    line_records.remember_keys(committed, {"line": line_records.LineKeys(3)})
    line_records.remember_score(committed, "line", line_records.LineScore(70.0, 66.0))
    speaking.name = "Anna 1"
    dialogue.follow_soon(scene)
    while tick() is not None and scene.thunder.takes[0].voice == "line":
        pass
    assert [entry.voice for entry in scene.thunder.takes] == [
        "Anna 1"
    ] * 2 and scene.thunder.strip == "Anna 1"
    assert [(part.strip, part.head) for part in scene.thunder.cast] == [("Anna 1", rig.mesh)]
    assert [line.name for line in line_records.lines_of(committed).lines] == ["Anna 1"]
    assert committed.name == "Scene 12 · Anna 1" and "Anna 1" in line_records.keys_of(committed)
    assert line_records.score_of(committed, "Anna 1").made == 66.0
    assert line_records.score_of(committed, "line") is None
    assert kinds(scene) == []
    trim_start(speaking, 10)  # what happens to the strip under its new name is seen
    assert kinds(scene) == ["CUT", "CUT"]
    speaking.name = "line"  # renamed back: by undo, with the list
    for entry in scene.thunder.takes:
        entry.voice = "line"
    assert kinds(scene) == ["CUT", "CUT"]
    speaking.name = "Anna 2"  # renamed and trimmed at once
    assert dialogue.follow(scene) == {"line": "Anna 2"} and kinds(scene) == ["CUT", "CUT"]
    speaking.frame_start += 5
    speaking.name = "Anna 3"  # renamed and moved: nobody knows whether it is the same
    assert dialogue.follow(scene) == {}


def cut(speaking, frame):
    """A strip's two pieces."""
    return speaking, speaking.split(frame, "SOFT")


def test_takes_stay_with_what_is_left_of_a_strip_that_was_cut(speaking, scene, rig, client):
    strip.keep_speaker(scene, "line", rig.mesh)
    scene.thunder.takes[0].star = True
    left, right = cut(speaking, 15)
    assert dialogue.follow(scene) == {} and kinds(scene) == [], "cut in place it sounds the same"
    assert [(part.strip, part.head) for part in scene.thunder.cast] == [
        ("line", rig.mesh),
        (right.name, rig.mesh),
    ]
    left.name = "Anna 1"
    assert dialogue.follow(scene) == {"line": "Anna 1"} and kinds(scene) == []
    compat.strips(scene.sequence_editor).remove(left)
    assert dialogue.follow(scene) == {"Anna 1": right.name} and kinds(scene) == ["CUT", "CUT"]
    assert [entry.star for entry in scene.thunder.takes] == [True, False]
    resync(scene, client)
    assert kinds(scene) == [] and any(entry.star for entry in scene.thunder.takes)
    assert {(entry.first, entry.last) for entry in scene.thunder.takes} != {(1, 25)}


def test_a_piece_of_a_cut_strip_is_not_sampled_again(blender, speaking, scene, rig, client):
    strip.keep_speaker(scene, "line", rig.mesh)
    assert dialogue.lines_to_generate(scene) == [] == dialogue.say_pieces(scene)
    left, right = cut(speaking, 60)
    last = right.split(90, "SOFT")
    dialogue.follow(scene)
    assert dialogue.lines_to_generate(scene) == [] and not blender.ops.thunder.generate_all.poll()
    assert [take_list.piece_of(scene, each.name, rig.mesh) for each in (right, last)] == [
        "line"
    ] * 2
    for each in (left, right, last):
        strip.move(each, compat.content_start(each) + 200)
    assert kinds(scene) == ["MOVED", "MOVED"], "moved together"
    resync(scene, client)
    assert len(scene.thunder.takes) == 2 == len(dialogue.say_pieces(scene))


def test_a_piece_is_a_line_of_its_own_once_the_newest_takes_do_not_include_it(
    blender, speaking, scene, rig, client
):
    context, scene.thunder.count = blender.context, 2
    strip.keep_speaker(scene, "line", rig.mesh)
    _, right = cut(speaking, 60)
    dialogue.follow(scene)
    dialogue.select(context, right.name)
    assert take_list.of_voice(context) == [0, 1], "those of the whole line play it"
    assert blender.ops.thunder.generate(strip="line") == {"FINISHED"}
    assert take_list.shown_take(scene.thunder).voice == "line"
    dialogue.select(context, right.name)
    assert browsing.order(context) == [] == dialogue.say_pieces(scene)
    said = f"This head has no takes of “{right.name}” yet: press Generate Takes"
    assert browsing.why_empty(context) == said
    with pytest.raises(RuntimeError, match="of “line”, which is not in the list"):
        blender.ops.thunder.commit_take()
    assert [line.strip for line in dialogue.lines_to_generate(scene)] == [right.name]
    assert blender.ops.thunder.generate_all() == {"FINISHED"}
    listed = [scene.thunder.takes[place].voice for place in browsing.order(context)]
    assert listed == [right.name] * 2 and dialogue.lines_to_generate(scene) == []


def test_a_new_strip_does_not_list_the_takes_of_another_line(
    blender, speaking, scene, rig, client, tmp_path
):
    strip.keep_speaker(scene, "line", rig.mesh)
    display.show(rig, scene.thunder.takes[0])
    new = strip.add(scene, noise(tmp_path / "new.wav", seed=1), "new", 200)
    scene.sequence_editor.active_strip = new
    assert strip.find(blender.context).name == "new" and take_list.of_voice(blender.context) == []
    assert "of “new” yet" in browsing.why_empty(blender.context)
    compat.strips(scene.sequence_editor).remove(speaking)
    assert take_list.of_voice(blender.context) == [0, 1], "whose strip is gone are nowhere else"


def test_resync_gives_a_piece_that_was_moved_its_part_of_the_takes(speaking, scene, rig):
    strip.keep_speaker(scene, "line", rig.mesh)
    first, second = scene.thunder.takes
    first.star, second.note = True, "calm"
    first.name, second.name = "Take 3", "Fav brows"
    _, right = cut(speaking, 60)
    strip.move(right, compat.content_start(right) + 50)
    dialogue.follow(scene)
    assert dialogue.lines_to_generate(scene) == [] and kinds(scene) == ["CUT", "CUT"]
    (sentence,) = dialogue.say_pieces(scene)
    assert sentence.startswith(f"“{right.name}” was cut off “line”") and "Re-sync" in sentence
    assert sorted(resync(scene, None)) == ["CUT", "CUT", "PIECE", "PIECE"]  # without the engine
    assert kinds(scene) == [] and dialogue.lines_to_generate(scene) == []
    of_piece = [entry for entry in scene.thunder.takes if entry.voice == right.name]
    assert [(entry.seed, entry.star, entry.first) for entry in of_piece] == [
        (1, True, 110),
        (2, False, 110),
    ]
    assert [entry.voice for entry in scene.thunder.takes].count("line") == 2 and dialogue.has_takes(
        scene, right.name, rig.mesh
    )
    assert of_piece[0].action.name.startswith(f"{right.name} · Take 3")
    named = [(entry.name, entry.note) for entry in of_piece]
    assert named == [("Take 3", ""), ("Fav brows", "calm")], (
        "the same take has the same name in both pieces"
    )
    assert all(
        entry.of_whole and take_list.score_text(entry) == take_list.WAITS
        for entry in scene.thunder.takes
    )
    assert "of the whole line" in of_piece[0].tooltip and live_score.score_of_take(
        of_piece[0]
    ).text.endswith("Whole Line")
    assert [(entry.name, entry.note) for entry in scene.thunder.takes if entry.voice == "line"] == [
        ("Take 3", ""),
        ("Fav brows", "calm"),
    ]


def test_a_piece_with_takes_of_its_own_is_another_voice(speaking, scene):
    left, right = cut(speaking, 15)
    scene.thunder.takes[1].voice = right.name
    compat.strips(scene.sequence_editor).remove(left)
    assert (
        dialogue.follow(scene) == {}
        and changes.change(scene, scene.thunder.takes[0]).kind == "GONE"
    )


def test_takes_whose_strip_is_gone_are_not_said_to_match(blender, speaking, scene):
    compat.strips(scene.sequence_editor).remove(speaking)
    assert changes.stale_takes(scene) == []
    with pytest.raises(RuntimeError, match="No voice of a take has changed"):
        blender.ops.thunder.resync()


def test_work_on_a_renamed_strip_follows_it_before_the_panel_is_drawn(blender, speaking, scene):
    scene.thunder.takes[0].star = True
    speaking.name = "Anna 1"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert {entry.voice for entry in scene.thunder.takes} == {"Anna 1"} and any(
        entry.star for entry in scene.thunder.takes
    )


def test_a_sound_that_begins_between_two_frames_is_known_by_where_it_begins(speaking, scene):
    """Blender keeps strips on whole frames; what a camera recorded beside its picture begins a
    fraction of one off."""
    if getattr(speaking.bl_rna.properties.get("sound_offset"), "is_readonly", True):
        pytest.skip("this Blender's strips have no offset of their sound")
    speaking.sound_offset = 0.0137
    voice = strip.of_strip(scene, speaking)
    assert voice.state.origin == pytest.approx(11 + 0.0137 * 25, abs=1e-4)


def test_a_file_that_is_the_voice_is_watched_as_well(voiced, client, voice):
    scene, rig = voiced, head.find(voiced)
    scene.render.fps = 24
    speaking = strip.of_file(scene, voice)
    entry = list_take((scene, rig), performance(seconds=2.0), speaking.clock.start, "line")
    fingerprint.remember(entry.action, speaking.state)
    assert kinds(scene) == []
    noise(voice, 3.0, seed=2)
    assert kinds(scene) == ["CHANGED"]
    assert resync(scene, client) == ["CHANGED"] and kinds(scene) == []
    assert scene.thunder.takes[0].last == scene.frame_start + int(np.ceil((75 - 1) / 25 * 24))
