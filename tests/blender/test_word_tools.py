# SPDX-License-Identifier: GPL-3.0-or-later
"""The words and sounds of a voice are found by the engine, kept with it, and follow its strip; the
word at the current frame is stepped to, looped, marked, moved, retaken, and said by another
take's mouth."""

import json
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from drawing import Context, draw, Layout
from idle import tick
from performances import clicks, reopen
from thunder.operators import word_tools
from thunder.panels import sidebar
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.review import listening, word_track
from thunder.scene.takes import dialogue, grades, take_list, take_record, transcript, word_places
from thunder.scene.takes.generation import complete
from thunder.scene.voice import changes, strip
from thunder.thunder_core import direction_words, progress, spoken
from thunder.thunder_core.direction import (
    DirectionRequest,
    HELD,
    Mark,
    MOVED,
    SOUND,
    STRESSED,
    THROWN_AWAY,
)
from thunder.thunder_core.request import Request

pytestmark = pytest.mark.one_blender
START = 25
LETTERS = " ".join("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def voiced_scene(scene, client, tmp_path):
    """A head, a strip of four seconds from frame 25 on, and an engine that hears an m and an a in
    it."""
    compat.strips(scene.sequence_editor_create()).new_sound(
        "line", clicks(tmp_path / "voice.wav", (1.0,), 4.0), 1, START
    )
    return scene


@pytest.fixture
def worded(voiced_scene):
    """The same, whose words “a bump” are known."""
    transcript.ensure(voiced_scene, "line").text = "a bump"
    bpy.ops.thunder.find_words()
    voiced_scene.frame_set(START + 5)
    return voiced_scene


def sent(client):
    """The arguments of the last request for takes."""
    return next(args for verb, args in reversed(client.asked) if verb == "generate")


def marks_of(scene):
    return transcript.of_line(scene, strip.find(bpy.context))


def test_the_word_is_the_one_at_the_current_frame_or_before_it(blender, worded):
    assert word_places.current(blender.context).text == "a"
    worded.frame_set(90)
    assert word_places.current(blender.context).text == "bump"
    worded.frame_set(1)
    assert word_places.current(blender.context).text == "a"
    blender.ops.thunder.step_word(step=1)
    assert word_places.current(blender.context).text == "bump" and worded.frame_current == START + 7
    blender.ops.thunder.step_word(step=1)
    assert word_places.current(blender.context).text == "bump"
    assert (
        word_places.line(blender.context).phrase(word_places.current(blender.context)).text
        == "a bump"
    )


def test_looping_sets_the_preview_range_and_gives_it_back(blender, worded):
    blender.ops.thunder.loop_word()
    assert (
        worded.use_preview_range
        and worded.frame_preview_start < word_places.current(blender.context).frames[0]
    )
    for go in (
        lambda: blender.ops.thunder.step_word(step=1),
        lambda: word_tools.go_to(blender.context, word_places.line(blender.context).words[1]),
    ):
        go()
        assert word_places.current(blender.context).text == "bump"
        assert (
            worded.use_preview_range
            and worded.frame_preview_end > word_places.current(blender.context).frames[1]
        )
        worded.frame_set(START + 5)
    blender.ops.thunder.loop_word()
    assert not worded.use_preview_range


def test_what_is_heard_while_a_word_is_looped_is_that_word(blender, worded):
    rig = head.find(worded, blender.context.object)
    before = listening.frame_range(blender.context, rig)
    blender.ops.thunder.loop_word()
    first, last = word_places.current(blender.context).frames
    heard = listening.frame_range(blender.context, rig)
    assert heard == (worded.frame_preview_start, worded.frame_preview_end) != before
    assert heard[0] <= first < last <= heard[1] and not listening.is_of_edits(worded)
    blender.ops.thunder.loop_word()
    assert listening.frame_range(blender.context, rig) == before
    assert listening.is_of_edits(worded)


@pytest.mark.parametrize("used", [True, False])
def test_a_loop_that_is_stopped_or_undone_gives_the_animators_range_back(
    blender, worded, tmp_path, used
):
    def preview():
        scene = blender.context.scene
        return scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end

    worded.frame_preview_start, worded.frame_preview_end = 40, 90
    worded.use_preview_range = used
    before = preview()
    blender.context.preferences.edit.use_global_undo = True

    def loop_both():
        blender.ops.thunder.loop_word()
        blender.ops.thunder.step_word(step=1)
        looped = preview()
        assert looped != before and looped[0]

    loop_both()
    blender.ops.thunder.loop_word()
    assert preview() == before
    loop_both()
    tick()
    assert preview() != before  # it plays
    blender.ops.screen.animation_cancel()  # Esc
    tick()
    assert preview() == before
    assert word_places.current(blender.context).text == "bump"  # though the loop began before it
    loop_both()
    blender.ops.ed.undo_push(message="looped")
    blender.ops.thunder.mark_word(kind=STRESSED)
    blender.ops.ed.undo_push(message="marked")
    blender.ops.screen.animation_cancel()
    blender.ops.ed.undo()
    tick()
    assert preview() == before
    loop_both()
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "looped.blend"))
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "looped.blend"))
    tick()
    assert preview() == before


def test_marks_follow_the_recording_and_are_sampled(blender, worded):
    assert blender.ops.thunder.mark_word(kind=STRESSED) == {"FINISHED"}
    voice = strip.find(blender.context)
    [mark] = transcript.of_line(worded, voice)
    assert (mark.kind, mark.start, mark.end) == (STRESSED, pytest.approx(0.2), pytest.approx(0.3))
    asked = complete(Request(), worded, head.find(worded), voice).direction
    assert asked.marks == (mark,)
    line = strip.by_name(worded, "line")
    line.frame_start += 10
    assert marks_of(worded) == (mark,)
    line.frame_final_start += 3
    [later] = marks_of(worded)
    assert later.start == pytest.approx(0.2 - 3 / 24)


def test_of_marks_on_a_whole_word_one_holds_and_a_second_press_removes_it(blender, worded):
    voice = strip.find(blender.context)
    for kind in (STRESSED, THROWN_AWAY, HELD):
        blender.ops.thunder.mark_word(kind=kind)
        assert [mark.kind for mark in transcript.of_line(worded, voice)] == [kind]
    blender.ops.thunder.mark_word(kind=HELD)
    assert not transcript.of_line(worded, voice)


def test_a_sound_has_one_name_in_its_menu_on_its_button_and_once_it_is_chosen(blender, worded):
    names = {phone: name for phone, name, _ in word_tools.SOUNDS}
    assert {phone: spoken.name_of(phone) for phone in names} == names
    assert {spoken.name_of(phone) for phone in spoken.PHONES[1:]} == set(names.values())
    blender.ops.thunder.correct_sound(number=0, sound="UW")
    line = word_places.line(blender.context)
    (sound, *_), *_ = line.sounds(line.current(worded))
    assert spoken.name_of(word_places.sound_at(blender.context, sound)) == "OO"


def test_a_sound_is_corrected_and_a_word_moved(blender, worded):
    blender.ops.thunder.correct_sound(number=0, sound="F")
    blender.ops.thunder.move_word(start=2, end=2)
    marks = marks_of(worded)
    assert {mark.kind for mark in marks} == {SOUND, MOVED}
    moved = next(mark for mark in marks if mark.kind == MOVED)
    assert moved.to == pytest.approx((0.2 + 2 / 24, 0.3 + 2 / 24))
    assert next(mark.sound for mark in marks if mark.kind == SOUND) == "F"
    with pytest.raises(RuntimeError, match="a frame at least"):
        blender.ops.thunder.move_word(start=20, end=0)
    blender.ops.thunder.clear_word()
    assert not marks_of(worded)


def test_a_short_marked_word_is_written_before_longer_ones(blender, worded, monkeypatch):
    monkeypatch.setattr(word_track.gpu.shader, "from_builtin", lambda name: None)

    def written(scale=1.0):
        """The words of a track in whose one row two do not fit, and how high they stand."""
        picture = word_track._Picture.__new__(word_track._Picture)
        word_track.Picture.__init__(picture, START, START + 100, 200, 20)
        picture.track, picture.scale, picture.texts = track_of(worded), scale, []
        picture.track.words[:, 2] = 1.0  # both were heard
        picture._words(slice(0, 2), 1)
        return [(text, y) for _, y, text, *_ in picture.texts]

    [(text, y)] = written()
    assert text == "bump" and y > word_track.SOUNDS
    assert written(2.0) == [("bump", 2 * y)], "twice as high at twice the interface's scale"
    blender.ops.thunder.mark_word(kind=STRESSED)
    assert written() == [("a ▲", y)]


def test_takes_are_made_with_the_marks_and_remember_them_and_the_file_too(
    blender, worded, client, tmp_path
):
    blender.ops.thunder.mark_word(kind=STRESSED)
    assert word_track.WordTrack.of(tuple(word_places.lines(worded, worded))).texts == (
        "a ▲",
        "bump",
    )
    blender.ops.thunder.generate()
    assert json.loads(sent(client)["marks"]) == [[STRESSED, pytest.approx(0.2), pytest.approx(0.3)]]
    entry = take_list.shown_take(worded.thunder)
    [mark] = take_record.request_of(
        take_record.about_of(entry.action), worded.thunder
    ).direction.marks
    assert isinstance(mark, Mark) and mark.kind == STRESSED
    assert [mark.kind for mark in marks_of(reopen(blender, tmp_path))] == [STRESSED]


def test_a_word_is_retaken_and_all_else_stays(blender, worded, client):
    worded.thunder.count = 1
    blender.ops.thunder.generate()
    lead = take_list.shown_take(worded.thunder)
    before, first_name = take_record.load(lead.action).motion, lead.name
    blender.ops.thunder.retake(what="WORD")
    made = [entry for entry in worded.thunder.takes if entry.kind == "RESAMPLED"]
    assert len(made) == 8 and all(entry.name.startswith(first_name) for entry in made)
    mask = client.arrays[sent(client)["keep_mask"]] > 0.5
    free = np.flatnonzero(~mask.all(axis=1))
    assert 3 <= len(free) <= 6 and free[0] in (4, 5)
    after = take_record.load(made[0].action).motion
    assert np.array_equal(after.head, before.head) and not mask[:, -6:].all(axis=1).sum() < len(
        mask
    )


@pytest.mark.parametrize(
    "what, text, said",
    [
        ("WORD", "a bump", "retake of a"),
        ("PHRASE", "a bump", "retake of a bump"),
        ("WORD", "", "retake of frames 25–34"),
    ],
)
def test_the_list_names_what_a_retake_says_anew(blender, worded, what, text, said):
    worded.thunder.count = 1
    blender.ops.thunder.generate()
    original = take_list.shown_take(worded.thunder).words
    if not text:
        transcript.of(worded, "line").text = ""
    blender.ops.thunder.retake(what=what)
    made = [entry for entry in worded.thunder.takes if entry.kind == "RESAMPLED"]
    assert [entry.words for entry in made] == [said] * word_tools.READINGS
    assert direction_words.words_of_take(take_record.about_of(made[0].action)) == said
    assert [entry.words for entry in worded.thunder.takes if entry not in made] == [original]


def test_the_original_is_among_the_mouths_to_choose_from(blender, worded):
    """Beside eight readings of it, and beside a mix of these."""

    def offered():
        layout = draw(bpy.types.THUNDER_PT_words, blender.context)
        drawn = [how for _, names, how in layout.notes if names[:1] == ("thunder.use_mouth",)]
        return [how["text"] for how in drawn], [how["text"] for how in drawn if how["depress"]]

    worded.thunder.count = 4
    blender.ops.thunder.generate()
    original = take_list.shown_take(worded.thunder)
    name, action = original.name, original.action
    assert len(offered()[0]) == 4 and offered()[1] == [name]
    blender.ops.thunder.retake(what="WORD")
    readings = {f"{name}.{number}" for number in range(1, 9)}
    for is_mix in (False, True):
        texts, pressed = offered()
        assert texts[:2] == [*pressed, "Original"] and readings <= {*texts}
        of_original = word_tools.THUNDER_OT_use_mouth.description(
            blender.context, SimpleNamespace(take=action.name)
        )
        assert f"the mouth of “{name}”" in of_original
        assert pressed == ["Mix"] if is_mix else pressed[0] in readings
        blender.ops.thunder.use_mouth(take=action.name)


def test_another_takes_mouth_is_used_on_the_word_alone(blender, worded):
    worded.thunder.count = 2
    blender.ops.thunder.generate()
    lead = take_list.shown_take(worded.thunder)
    other = next(entry for entry in worded.thunder.takes if entry.action != lead.action)
    lead_action, other_action = lead.action, other.action
    worded.frame_set(START + 8)
    assert blender.ops.thunder.use_mouth(take=other.action.name) == {"FINISHED"}
    mixed = take_list.shown_take(worded.thunder)
    was, there, now = (
        take_record.load(action) for action in (lead_action, other_action, mixed.action)
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


# ---- what is found in a voice


def track_of(scene):
    return word_track.WordTrack.of(tuple(word_places.lines(scene, scene)))


def line(scene):
    return strip.by_name(scene, "line")


def test_progress_after_the_takes_does_not_name_what_came_before_them(
    blender, voiced_scene, client
):
    voice = strip.find(blender.context)
    steps = list(word_places.find_if_unknown(client, voice))
    assert {(step.fraction, step.message) for step in steps} == {(1.0, word_places.FINDING)}
    assert len(track_of(voiced_scene).sounds) == 2


def test_they_follow_a_strip_that_is_moved_trimmed_cut_and_renamed(blender, voiced_scene):
    transcript.ensure(voiced_scene, "line").text = "a bump"
    blender.ops.thunder.find_words()
    speaking = line(voiced_scene)
    speaking.frame_start += 10
    assert track_of(voiced_scene).words[0, 0] == pytest.approx(35 + 0.2 * 24)
    speaking.frame_final_start = round(35 + 0.31 * 24)
    assert (
        track_of(voiced_scene).texts == ("bump",)
        and not (track_of(voiced_scene).sounds[:, 0] < speaking.frame_final_start).any()
    )
    speaking.frame_final_start = 35
    speaking.name = "renamed"
    assert track_of(voiced_scene).texts == ("a", "bump")
    assert speaking.split(60, "SOFT") is not None and track_of(voiced_scene).texts == ("a", "bump")


def test_strips_of_one_recording_each_keep_what_was_found_in_them(blender, worded):
    again, unread = (
        compat.strips(worded.sequence_editor).new_sound(name, line(worded).sound.filepath, 2, start)
        for name, start in (("again", START + 200), ("unread", 1))
    )
    worded.thunder.voice = again.name
    assert blender.ops.thunder.find_words() == {"FINISHED"}
    lines = list(word_places.lines(worded, worded))
    assert [(each.origin, each.voice, len(each.words)) for each in lines[:2]] == [
        (START, "line", 2),
        (START + 200, "again", 0),
    ]
    assert [each.origin for each in lines[2:]] == [1]  # of another strip, after its own


def texts_of(scene):
    """The transcript of each strip, and the words that it plays."""
    return {
        each.voice: (transcript.of(scene, each.voice).text, [word.text for word in each.words])
        for each in word_places.lines(scene, scene)
    }


def test_each_piece_of_a_cut_strip_has_the_words_whose_middle_is_in_it(blender, voiced_scene):
    blender.context.preferences.edit.use_global_undo, scene = True, voiced_scene
    transcript.ensure(scene, "line").text = "A bump, a bump. Bump!"
    blender.ops.thunder.find_words()  # a tenth of a second each, from .2 on
    blender.ops.ed.undo_push(message="Find Words")
    line(scene).split(START + 11, "SOFT").split(START + 14, "SOFT")
    blender.ops.ed.undo_push(message="Cut")
    pieces = {
        "line": ("A bump, a", ["A", "bump,", "a"]),
        "line.001": ("bump.", ["bump."]),
        "line.002": ("Bump!", ["Bump!"]),
    }
    dialogue.follow(scene)
    assert texts_of(scene) == pieces and not dialogue.cut_texts(scene)
    voice = strip.voice_of(scene, line(scene))
    assert word_places.is_known(scene, voice)
    blender.ops.ed.undo_push(message="Anything")
    blender.ops.ed.undo()
    scene = blender.context.scene
    dialogue.follow(scene)
    assert texts_of(scene) == pieces
    blender.ops.ed.undo()
    scene = blender.context.scene
    dialogue.follow(scene)
    assert texts_of(scene) == {
        "line": ("A bump, a bump. Bump!", ["A", "bump,", "a", "bump.", "Bump!"])
    }


def test_a_cut_strip_keeps_its_text_while_its_takes_play_it_or_its_words_are_not_known(
    blender, voiced_scene
):
    scene = voiced_scene
    transcript.ensure(scene, "line").text = "a bump"
    right = line(scene).split(START + 7, "SOFT")
    dialogue.follow(scene)
    assert transcript.of(scene, right.name) is None
    assert transcript.of(scene, "line").text == "a bump"
    compat.strips(scene.sequence_editor).remove(right)
    line(scene).frame_final_end = START + 96
    assert blender.ops.thunder.generate() == {"FINISHED"}  # and its words are found
    score = keying.record_of(scene.thunder.takes[0].action)
    score[grades.SCORED_TEXT] = "a bump"
    right = line(scene).split(START + 7, "SOFT")
    dialogue.follow(scene)
    assert texts_of(scene)["line"][0] == "a bump" and transcript.of(scene, right.name) is None
    strip.move(right, compat.content_start(right) + 50)
    dialogue.follow(scene)
    assert texts_of(scene) == {"line": ("a", ["a"]), right.name: ("bump", ["bump"])}
    assert score[grades.SCORED_TEXT] == "a", "a score of the whole is no older one"
    compat.strips(scene.sequence_editor).remove(line(scene))
    dialogue.follow(scene)
    assert texts_of(scene) == {right.name: ("bump", ["bump"])}


def cut_with_words(blender, scene):
    """Cut the line after its takes were made and its words found, a tenth of a second each, from .2
    on; returns its right piece, which begins with the 19th of them."""
    transcript.ensure(scene, "line").text = LETTERS
    blender.ops.thunder.generate()
    return line(scene).split(START + 48, "SOFT")


def test_takes_of_pieces_that_lie_where_they_were_cut_are_made_with_the_words_of_each(
    blender, voiced_scene, client
):
    scene = voiced_scene
    right = cut_with_words(blender, scene)
    dialogue.follow(scene)
    for name, said in (
        (right.name, "s t u v w x y z"),
        ("line", "a b c d e f g h i j k l m n o p q r"),
    ):
        scene.thunder.voice = name
        assert blender.ops.thunder.generate() == {"FINISHED"} and sent(client)["text"] == said
        assert word_places.current(blender.context).text in said
        assert word_places.is_known(scene, strip.find(blender.context))
    takes = scene.thunder.takes
    assert transcript.text_of(scene, "line") == LETTERS, "the first takes play all of it"
    assert {each.voice for each in takes} == {"line", right.name}
    assert changes.stale_takes(scene) == [] and not any(map(grades.has_old_score, takes))
    strip.move(right, compat.content_start(right) + 50)
    dialogue.follow(scene)
    assert [texts_of(scene)[name][0] for name in ("line", right.name)] == [
        LETTERS[:35],
        LETTERS[36:],
    ]
    assert not any(map(grades.has_old_score, takes))


@pytest.mark.parametrize("how", ["moved", "edited"])
def test_marks_on_words_of_a_piece_are_removed_there(blender, voiced_scene, how):
    scene = voiced_scene
    transcript.ensure(scene, "line").text = LETTERS
    blender.ops.thunder.generate()
    for frame in (START + 20, START + 60):
        scene.frame_set(frame)
        blender.ops.thunder.mark_word(kind=HELD)
    right = line(scene).split(START + 48, "SOFT")
    scene.thunder.voice = right.name
    if how == "moved":
        strip.move(right, compat.content_start(right) + 50)
        dialogue.follow(scene)
        scene.frame_set(START + 110)
    else:
        word_places.share_with_piece(scene, strip.find(blender.context))
    place = word_places.current(blender.context)
    assert [mark.kind for _, mark in word_places.marks(blender.context, place)] == [HELD]
    assert [mark.kind for mark in marks_of(scene)] == [HELD], "once"
    assert blender.ops.thunder.clear_word() == {"FINISHED"} and not marks_of(scene)
    scene.thunder.voice = "line"
    assert [mark.kind for mark in marks_of(scene)] == [HELD], "on the word of the left piece"


def test_the_panel_shows_the_words_of_a_piece_and_its_dialog_begins_with_them(
    blender, voiced_scene, monkeypatch
):
    scene = voiced_scene
    right = cut_with_words(blender, scene)
    scene.thunder.voice = right.name
    edit = word_tools.THUNDER_OT_edit_transcript

    def shown():
        layout = draw(sidebar.THUNDER_PT_main, blender.context)
        words = [how.get("text") for _, name, how in layout.notes if name == (edit.bl_idname,)]
        field = [how for kind, name, how in layout.notes if kind == "prop" and name == ("text",)]
        return words, layout.greyed, [how["placeholder"] for how in field]

    words, greyed, fields = shown()
    assert words == [LETTERS[36:]] and not fields
    assert "Words of “line”" in edit.description(blender.context, None)
    monkeypatch.setattr(transcript, "is_wanted", lambda *_: True)
    assert sidebar.WANTED not in sidebar.notes(blender.context)
    transcript.ensure(scene, right.name)
    assert shown() == ([""], [], [LETTERS[36:]])
    scene.use_preview_range, scene.thunder.only_preview = True, True
    scene.frame_preview_start, scene.frame_preview_end = START + 48, START + 60
    dialogs = SimpleNamespace(invoke_props_dialog=lambda *_, **__: {"RUNNING_MODAL"})
    edit.invoke(SimpleNamespace(), Context(blender.context, window_manager=dialogs), None)
    assert texts_of(scene)[right.name] == (LETTERS[36:], LETTERS[36:].split()), "with their times"
    assert shown() == ([""], [], ["What the voice says"])
    assert edit.description(blender.context, None) == ""
    assert transcript.of(scene, "line").text == LETTERS, "its takes play all of it"


def test_words_are_found_in_a_piece_and_its_empty_transcript_is_filled(
    blender, voiced_scene, client
):
    scene = voiced_scene
    right = cut_with_words(blender, scene)
    transcript.ensure(scene, right.name)  # as the dialog does that shows it
    scene.thunder.voice = right.name
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert sent(client)["text"] == LETTERS[36:] and transcript.of(scene, right.name).is_empty
    assert blender.ops.thunder.find_words() == {"FINISHED"}
    assert transcript.of(scene, right.name).text == LETTERS[36:]


def test_a_text_that_was_typed_since_its_words_were_found_is_heard_whole(blender, worded, client):
    transcript.ensure(worded, "line").text = LETTERS
    blender.ops.thunder.find_words()
    line(worded).frame_final_end = START + 48
    transcript.of(worded, "line").text = "another text than before"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert sent(client)["text"] == "another text than before"


def test_they_survive_saving_and_are_gone_with_another_recording(blender, voiced_scene, tmp_path):
    blender.ops.thunder.find_words()
    assert len(track_of(voiced_scene).sounds) == 2 and not track_of(voiced_scene).texts
    scene = reopen(blender, tmp_path)
    assert len(track_of(scene).sounds) == 2
    line(scene).sound = blender.data.sounds.load(clicks(tmp_path / "other.wav", (2.0,), 4.0))
    assert not len(track_of(scene).sounds)


def test_the_transcript_that_is_edited_is_the_chosen_voices_not_the_shown_takes(
    blender, worded, tmp_path
):
    assert (
        blender.ops.thunder.generate() == {"FINISHED"} and worded.thunder.takes[0].voice == "line"
    )
    answer = clicks(tmp_path / "answer.wav", (1.0,), 2.0)
    compat.strips(worded.sequence_editor).new_sound("answer", answer, 1, START + 120)
    transcript.ensure(worded, "answer").text = "no bump"
    for name, text in (("answer", "no bump"), ("line", "a bump")):
        worded.thunder.voice = name
        assert take_list.on_head(worded, head.find(worded).mesh).voice == "line"
        dialog = SimpleNamespace(layout=Layout())
        word_tools.THUNDER_OT_edit_transcript.draw(dialog, blender.context)
        assert dialog.layout.texts() == [text, "English"]


def test_a_pasted_text_and_subtitles_become_the_transcript(blender, voiced_scene, tmp_path):
    blender.context.window_manager.clipboard = "  a \n bump "
    if blender.context.window_manager.clipboard:  # without a window there may be none
        blender.ops.thunder.paste_transcript()
        assert transcript.of(voiced_scene, "line").text == "a bump"
    file = tmp_path / "line.srt"
    file.write_text(
        "1\n00:00:00,100 --> 00:00:01,000\n<i>a lump</i>\n\n2\n00:01:00,100 --> "
        "00:01:01,000\nelsewhere\n",
        encoding="utf-8",
    )
    assert blender.ops.thunder.read_transcript(filepath=str(file)) == {"FINISHED"}
    assert transcript.of(voiced_scene, "line").text == "a lump"
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(RuntimeError, match="holds no words"):
        blender.ops.thunder.read_transcript(filepath=str(tmp_path / "empty.txt"))
    assert transcript.of(voiced_scene, "line").text == "a lump"


def test_times_of_a_speech_service_are_shown_kept_and_given_to_takes(
    blender, voiced_scene, client, tmp_path
):
    marks = [(60, "word", "a"), (60, "viseme", "a"), (300, "word", "bump"), (300, "viseme", "p"),
             (400, "viseme", "E"), (520, "viseme", "sil")]  # fmt: skip
    lines = [json.dumps({"time": time, "type": kind, "value": said}) for time, kind, said in marks]
    (tmp_path / "line.json").write_text("\n".join(lines))
    assert blender.ops.thunder.read_transcript(filepath=str(tmp_path / "line.json")) == {"FINISHED"}
    record = transcript.of(voiced_scene, "line")
    assert record.text == "a bump"
    content = transcript.read(record)
    begin = strip.find(blender.context).state.seconds[0]
    at = [(word.start - begin, word.end - begin) for word in content.words]
    np.testing.assert_allclose(at, [(0.06, 0.3), (0.3, 0.52)], atol=2e-3)
    assert [row[0] for row in content.sounds] == ["AA", "P", "EH"]
    # found again, and given to takes, in what plays
    voice = strip.find(blender.context)
    progress.result(word_places.find(client, voice))
    assert transcript.read(record).timed == "sounds"
    request = transcript.add_words(DirectionRequest(), voiced_scene, voice)
    np.testing.assert_allclose(request.times.words, [(0.06, 0.3), (0.3, 0.52)], atol=2e-3)
    assert request.times.sounds[1][0] == ("P", "B", "M")
    late = word_places.FoundWords(transcript.read(record), (), is_mistimed=True)
    assert "does not say these words at the file's times" in late.warning
    for unread, said in (("kanji", "Install Kanji Reading"), ("sounds", "letter by letter")):
        found = word_places.FoundWords(transcript.read(record), (), unread=unread)
        assert said in found.warning
    record.text = "a lump"  # of which the file says nothing
    assert transcript.add_words(DirectionRequest(), voiced_scene, voice).times is None
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(RuntimeError, match="holds no words with times as Azure, Amazon Polly"):
        blender.ops.thunder.read_transcript(filepath=str(tmp_path / "bad.json"))
    assert record.text == "a lump"


def test_what_is_not_heard_is_named_word_by_word(blender, voiced_scene, client):
    transcript.ensure(voiced_scene, "line").text = "a bump 1984"
    found = progress.result(word_places.find(client, strip.find(blender.context)))
    assert found.unheard == (("1984", round(25 + 0.4 * 24)),)
    assert found.sentence == "Found 2 of 3 words and 2 sounds"
    assert (
        found.warning
        == "Not heard in the voice: “1984” near frame 35. Check the transcript there, and write "
        "numbers as words"
    )
    other = word_places.FoundWords(spoken.Spoken([], found.spoken.words, "a bump", False), ())
    assert other.warning.startswith("The voice does not seem to say this transcript")
    for text, said in (
        ("שלום", "words are placed by their length, and lips follow the voice alone"),
        ("ままは", ""),
    ):
        transcript.ensure(voiced_scene, "line").text = text
        found = progress.result(word_places.find(client, strip.find(blender.context)))
        assert said in found.warning and bool(said) == bool(found.warning)
