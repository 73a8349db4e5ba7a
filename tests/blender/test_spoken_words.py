# SPDX-License-Identifier: GPL-3.0-or-later
"""The words and sounds of a voice are found by the engine, kept with it, and follow its strip; a
text that does not fit is told of."""

import pytest
from performances import clicks, reopen
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.review import word_track
from thunder.scene.takes import transcript, word_places
from thunder.scene.voice import strip
from thunder.thunder_core import progress, spoken

pytestmark = pytest.mark.one_blender


@pytest.fixture
def stage(blender, client, tmp_path):
    """A scene with a strip of four seconds from frame 25 on, and an engine that hears an m and an a
    in it."""
    scene = blender.context.scene
    compat.strips(scene.sequence_editor_create()).new_sound(
        "line", clicks(tmp_path / "voice.wav", (1.0,), 4.0), 1, 25
    )
    return scene


def track_of(scene):
    return word_track.Track.of(tuple(word_places.spans(scene, scene)))


def line(scene):
    return strip.by_name(scene, "line")


def test_words_and_sounds_lie_where_the_strip_plays_them(blender, stage):
    transcript.ensure(stage, "line").text = "a bump"
    assert blender.ops.thunder.find_words() == {"FINISHED"}
    track = track_of(stage)
    assert track.texts == ("a", "bump")
    assert track.words[:, 0] == pytest.approx([25 + 0.2 * 24, 25 + 0.3 * 24]) and track.sounds[
        0, 0
    ] == pytest.approx(25 + 0.2 * 24)
    assert track.at(25 + 0.25 * 24) == ("a", [("M B P", 0.9)])
    assert track.at(25 + 0.35 * 24) == ("bump", [("AH", 0.6), ("OO", 0.3)])  # a and o are one mouth
    assert track.at(90) == ("", [])


def test_they_follow_a_strip_that_is_moved_trimmed_cut_and_renamed(blender, stage):
    transcript.ensure(stage, "line").text = "a bump"
    blender.ops.thunder.find_words()
    speaking = line(stage)
    speaking.frame_start += 10
    assert track_of(stage).words[0, 0] == pytest.approx(35 + 0.2 * 24)
    speaking.frame_final_start = round(35 + 0.31 * 24)
    assert (
        track_of(stage).texts == ("bump",)
        and not (track_of(stage).sounds[:, 0] < speaking.frame_final_start).any()
    )
    speaking.frame_final_start = 35
    speaking.name = "renamed"
    assert track_of(stage).texts == ("a", "bump")
    assert speaking.split(60, "SOFT") is not None and track_of(stage).texts == ("a", "bump")


def test_they_survive_saving_and_are_gone_with_another_recording(blender, stage, tmp_path):
    blender.ops.thunder.find_words()
    assert len(track_of(stage).sounds) == 2 and not track_of(stage).texts
    scene = reopen(blender, tmp_path)
    assert len(track_of(scene).sounds) == 2
    line(scene).sound = blender.data.sounds.load(clicks(tmp_path / "other.wav", (2.0,), 4.0))
    assert not len(track_of(scene).sounds)


def test_a_pasted_text_and_subtitles_become_the_transcript(blender, stage, tmp_path):
    blender.context.window_manager.clipboard = "  a \n bump "
    if blender.context.window_manager.clipboard:  # without a window there may be none
        blender.ops.thunder.paste_transcript()
        assert transcript.of(stage, "line").text == "a bump"
    file = tmp_path / "line.srt"
    file.write_text(
        "1\n00:00:00,100 --> 00:00:01,000\n<i>a lump</i>\n\n2\n00:01:00,100 --> "
        "00:01:01,000\nelsewhere\n",
        encoding="utf-8",
    )
    assert blender.ops.thunder.read_transcript(filepath=str(file)) == {"FINISHED"}
    assert transcript.of(stage, "line").text == "a lump"
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(RuntimeError, match="holds no words"):
        blender.ops.thunder.read_transcript(filepath=str(tmp_path / "empty.txt"))
    assert transcript.of(stage, "line").text == "a lump"


def test_what_is_not_heard_is_named_word_by_word(blender, stage, client):
    transcript.ensure(stage, "line").text = "a bump 1984"
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


def test_after_takes_they_are_found_once_blender_is_idle_and_again_after_an_undo(
    blender, stage, client
):
    word_places.find_soon(stage, strip.find(blender.context))
    assert idle_step() is not None
    session.release("a step was undone", may_go_on=True)
    while idle_step() is not None:
        pass
    assert len(track_of(stage).sounds) == 2 and [verb for verb, _ in client.asked][-1] == "spoken"
    word_places.find_soon(stage, strip.find(blender.context))  # they are known
    assert not word_places._waiting.voices


def idle_step():
    return word_places._waiting.step() if word_places._waiting.voices else None
