# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a baked voice: its takes are sampled with them, and they are asked for where they
help."""

import json

import pytest
from thunder.cli.options import read_options
from thunder.scene.takes import take_record, transcript
from thunder.scene.voice import changes, fingerprint, strip
from thunder.thunder_core.batch import job_file, settings
from thunder.thunder_core.errors import BadRequest
from thunder.thunder_core.protocol import NOTES, OTHER_TEXT


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("more", [(), ("--mood", "warm=0.5")])
def test_a_bake_samples_takes_with_the_words_of_a_transcript(
    blender, client, baked, tmp_path, from_file, more
):
    given = "a bump"
    if from_file:
        given = str(tmp_path / "line.txt")
        (tmp_path / "line.txt").write_text("\ufeffa\n  bump\n", encoding="utf-8")
    report = baked("--transcript", given, *more)
    assert [args["text"] for verb, args in client.asked if verb == "generate"] == ["a bump"]
    assert report["transcript"] == "a bump" and report["warnings"] == []
    scene = blender.context.scene
    assert transcript.of(scene, "line").text == "a bump"
    about = take_record.about_of(scene.thunder.takes[0].action)
    assert take_record.request_of(about, scene.thunder).direction.text == "a bump", (
        "so that the take can be made again"
    )


@pytest.mark.one_blender  # the oldest as a module plays no sound, so that a bake adds no strip
def test_a_mood_leaves_the_transcript_of_the_scene(client, baked, tmp_path):
    baked("--transcript", "a bump")
    (tmp_path / "out").rename(tmp_path / "shot")
    shot = str(tmp_path / "shot" / "line.blend")
    baked("--mood", "warm=0.5", "--blend", shot, "--strip", "line")
    assert [args["text"] for verb, args in client.asked if verb == "generate"] == ["a bump"] * 2


def test_a_text_that_the_voice_does_not_say_is_warned_of(client, baked):
    client.says_text = False
    assert baked("--transcript", "mama")["warnings"] == [NOTES[OTHER_TEXT].format("line")]
    assert baked()["warnings"] == []


def test_transcripts_that_cannot_be_used_are_refused_in_a_sentence(client, baked, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "empty.txt").write_text(" \n")
    for name, sentence in (
        ("latin.txt", "not text in UTF-8"),
        ("empty.txt", "holds no words"),
        ("gone.txt", "name another with --trans"),
    ):
        with pytest.raises(BadRequest, match=sentence):
            baked("--transcript", str(tmp_path / name))
    with pytest.raises(SystemExit):
        baked("--transcript", "hello", "--seconds", "2")
    for wrong in (" ", "line.docx", "lines/"):
        with pytest.raises(SystemExit):
            baked("--transcript", wrong)
    assert not client.asked


def test_a_job_names_the_words_of_its_voice_or_their_file(tmp_path):
    read = {
        "a": {"audio": "a.wav", "transcript": "Baby, may be."},
        "b": {"audio": "b.wav", "transcript": "b.TXT"},
    }
    a, b = job_file.read({"jobs": read}, "jobs.toml", str(tmp_path)).jobs
    assert a.settings["transcript"] == "Baby, may be." and b.settings["transcript"] == str(
        tmp_path / "b.TXT"
    )
    chosen = read_options(b.arguments("out"))
    assert (
        chosen.transcript == str(tmp_path / "b.TXT")
        and read_options(a.arguments("out")).transcript == "Baby, may be."
    )
    for wrong, sentence in (
        (5, "is not a text"),
        ("a" * 5000, "write more than 4096 into a .txt file"),
    ):
        (mistake,) = job_file.read(
            {"jobs": {"a": {"audio": "a.wav", "transcript": wrong}}}, "jobs.toml", str(tmp_path)
        ).mistakes
        assert sentence in mistake


@pytest.mark.one_blender
def test_a_bake_takes_the_channel_that_is_named(blender, client, baked, tmp_path):
    """It stays with the strip that is placed, and takes notice another."""
    assert baked("--channel", "left")["channel"] == 1
    assert [args["sound"][1] for verb, args in client.asked if verb == "generate"] == [1]
    scene = blender.context.scene
    (line,) = strip.sound_strips(scene)
    assert strip.of_strip(scene, line).channel == 1
    with pytest.raises(SystemExit):
        baked("--channel", "middle")
    with pytest.raises(settings.BadSetting, match="is none of auto, mix, left, right and 1 to 64"):
        settings.SETTINGS["channel"].read("middle")
    (entry, *_), scene.thunder.source = scene.thunder.takes, "STRIP"
    voice = strip.of_strip(scene, line)
    fingerprint.remember(entry.action, voice.state)
    entry.voice = line.name
    assert changes.change(scene, entry) is None
    scene.thunder.voice, scene.thunder.channel = line.name, "MIX"
    assert line[fingerprint.CHANNEL] == 0 and scene.thunder.channel == "MIX"
    assert "was given another channel" in changes.change(scene, entry).sentence


def test_a_bake_gives_takes_the_times_of_a_speech_service(blender, client, baked, tmp_path):
    words = [{"Text": "a", "AudioOffset": 100, "Duration": 90},
             {"Text": "bump", "AudioOffset": 200, "Duration": 300}]  # fmt: skip
    (tmp_path / "a.word.json").write_text(json.dumps(words))
    report = baked("--transcript", str(tmp_path / "a.word.json"))
    assert report["transcript"] == "a bump"
    (direction,) = [args for verb, args in client.asked if verb == "generate"]
    times = json.loads(direction["times"])
    assert times == {"words": [[0.1, 0.19], [0.2, 0.5]], "sounds": []}


@pytest.mark.one_blender  # the oldest as a module plays no sound, so that a bake adds no strip
def test_subtitles_of_an_edit_are_read_where_the_strip_lies(
    needs_sound, blender, client, baked, voice, tmp_path
):
    scene = blender.context.scene
    strip.add(scene, voice, "line", 1 + 10 * 24)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "edit.blend"))
    cues = [f"01:00:{at:02d}.000 --> 01:00:{at + 2:02d}.000\n{said}\n" for at, said in (
        (0, "elsewhere"), (10, "a&nbsp;bump"), (20, "later"))]  # fmt: skip
    (tmp_path / "edit.vtt").write_text("WEBVTT\n\n" + "\n".join(cues))
    shot = ("--blend", str(tmp_path / "edit.blend"), "--strip", "line")
    report = baked("--transcript", str(tmp_path / "edit.vtt"), *shot)
    assert report["transcript"] == "a bump"
    assert report["warnings"][0] == (
        "Read 1 of 3 subtitles, by where the strip lies in the scene, which begins at 1 h"
    )
    assert [args["text"] for verb, args in client.asked if verb == "generate"] == ["a bump"]
