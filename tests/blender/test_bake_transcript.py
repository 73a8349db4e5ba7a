# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of a voice that is hard to understand: a bake closes lips on them, and the panel asks for
them where they help."""

import numpy as np
import pytest
from speaking import opening_of
from thunder.cli import bake
from thunder.scene.heads import head
from thunder.scene.takes import generation, transcript
from thunder.thunder_core.batch import job_file
from thunder.thunder_core.errors import BadRequest

A_B = ["b", 1.32, 0.9, "a"]  # what the engine finds of a text


@pytest.fixture
def client(client):
    client.closures = [A_B]
    return client


@pytest.fixture
def baked(blender, client, voice, tmp_path):
    """Bakes two takes of a voice of two seconds with these options; its report."""

    def run(*more, voice=("--audio", voice)):
        words = [
            *voice,
            "--takes",
            "2",
            "--seed",
            "1",
            "--npz",
            "--out",
            str(tmp_path / "out"),
            "--force",
            *more,
        ]
        return bake.bake(bake.options(words))

    return run


@pytest.mark.parametrize("from_file", [False, True])
def test_a_bake_closes_lips_on_the_words_of_a_transcript_and_ranks_its_takes_again(
    blender, client, baked, tmp_path, from_file
):
    given = "a bump"
    if from_file:
        given = str(tmp_path / "line.txt")
        (tmp_path / "line.txt").write_text("\ufeffa\n  bump\n", encoding="utf-8")
    report = baked("--transcript", given)
    assert [args["text"] for verb, args in client.asked if verb == "closures"] == [
        "a bump",
        "a bump",
    ]
    assert report["transcript"] == "a bump" and report["warnings"] == []
    scene = blender.context.scene
    rig = head.find(scene)
    assert transcript.of(scene, "line").text == "a bump"
    # the take with the higher score came first and was scored first, with a point less
    assert [
        (take["rank"], take["seed"], take["score"], take["heard"]) for take in report["takes"]
    ] == [(1, 1, 52, 42), (2, 2, 51, 41)]
    assert [(round(entry.score), entry.seed, entry.name) for entry in scene.thunder.takes] == [
        (52, 1, "Take 1"),
        (51, 2, "Take 2"),
    ]
    for take, entry in zip(report["takes"], scene.thunder.takes):
        assert [word for word, _ in take["closures"]["added"]] == ["a"] and len(
            take["closures"]["removed"]
        ) == 1
        frame = 1 + round(1.32 * scene.render.fps)
        assert opening_of(rig, entry, np.arange(1, frame + 1))[-1] <= 0.3
        with np.load(tmp_path / "out" / take["npz"]) as arrays:
            assert (
                arrays["opening"][33] <= 0.6 < arrays["opening"][28]
                and float(arrays["score"]) == take["score"]
            )


def test_a_text_that_does_not_match_the_voice_is_warned_of_and_changes_nothing(
    blender, client, baked
):
    client.closures = [["m", 0.8, 0.1, "mama"], ["m", 1.2, 0.05, "mama"]]
    report = baked("--transcript", "mama")
    assert (
        len(report["warnings"]) == 1 and "does not seem to match the voice" in report["warnings"][0]
    )
    assert not client.scored and [take["score"] for take in report["takes"]] == [90, 80]
    assert all("closures" not in take for take in report["takes"])


def test_a_bake_with_a_transcript_does_not_ask_for_one(client, baked):
    client.unclear = True
    assert baked()["warnings"] == [
        generation.say_unclear("line")
    ] and "--transcript" in generation.say_unclear("line")
    assert baked("--transcript", "a bump")["warnings"] == []


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
    with pytest.raises(BadRequest, match="of a voice that the face speaks"):
        baked("--transcript", "hello", voice=("--seconds", "2"))
    with pytest.raises(SystemExit):
        baked("--transcript", " ")
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
    chosen = bake.options(b.arguments("out"))
    assert (
        chosen.transcript == str(tmp_path / "b.TXT")
        and bake.options(a.arguments("out")).transcript == "Baby, may be."
    )
    for wrong, sentence in (
        (5, "is not a text"),
        ("a" * 5000, "write more than 4096 into a .txt file"),
    ):
        with pytest.raises(BadRequest, match=sentence):
            job_file.read(
                {"jobs": {"a": {"audio": "a.wav", "transcript": wrong}}}, "jobs.toml", str(tmp_path)
            )
