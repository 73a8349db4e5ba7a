# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files: what they say arrives, and everything wrong with them, with scenes and with sounds is said
before jobs are baked."""

import gzip
import io
import json
import os
import sys
import types

import numpy as np
import pytest
import soundfile

from thunder_core.batch import inputs, job_file, settings
from thunder_core.batch.inputs import Header
from thunder_core.batch.job_file import Job
from thunder_core.engine.speech import audio
from thunder_core.engine.speech.audio import read_sound
from thunder_core.errors import BadRequest, BadSound

GOOD = """
out = "baked"
[defaults]
takes = 4
outputs = ["csv", "npz"]
fps = 25
[jobs.intro]
audio = "voices/intro.wav"
mood = "warm=.6"
head-movement = 0.5
[jobs."scene 2"]
blend = "shot.blend"
strip = "Line 1"
takes = 2
as-asked = false
"""


@pytest.fixture
def read(tmp_path):
    """Read a job file of that text, in a folder of its own."""

    def run(text, **defaults):
        path = tmp_path / "jobs.toml"
        path.write_text(text, encoding="utf-8")
        return job_file.read_file(str(path), {**settings.DEFAULTS, **defaults})

    return run


@pytest.fixture
def complaints(read):
    def run(text):
        with pytest.raises(BadRequest) as error:
            read(text)
        return str(error.value).splitlines()

    return run


def test_a_job_has_its_own_settings_then_those_of_the_file_then_those_of_the_command(
    read, tmp_path
):
    listed = read(GOOD, seed=7, takes=6)
    assert listed.out == str(tmp_path / "baked") and [job.name for job in listed.jobs] == [
        "intro",
        "scene 2",
    ]
    intro, scene = (job.settings for job in listed.jobs)
    assert (intro["takes"], intro["seed"], intro["quality"], intro["fps"]) == (4, 7, "normal", 25.0)
    assert intro["audio"] == str(tmp_path / "voices" / "intro.wav") and intro["outputs"] == [
        "npz",
        "csv",
    ]
    assert (scene["takes"], scene["blend"], scene["strip"]) == (
        2,
        str(tmp_path / "shot.blend"),
        "Line 1",
    )
    assert "fps" not in scene  # its scene has a rate of its own


def test_a_job_may_listen_or_be_idle_and_its_arguments_are_options(read):
    text = "[jobs.a]\nlisten-to = 'his.wav'\n[jobs.b]\nseconds = 5\n[defaults]\naudio = 'a.wav'\n"
    heard, idle = (job.arguments("o") for job in read(text).jobs)
    assert (
        any(each.startswith("--listen-to=") and each.endswith("his.wav") for each in heard)
        and "--seconds=5.0" in idle
    )
    assert not any(each.startswith("--audio") for each in heard + idle)
    intro, scene = (job.arguments("there") for job in read(GOOD).jobs)
    assert intro[0] == "--out=there" and {
        "--takes=4",
        "--outputs=npz,csv",
        "--mood=warm=.6",
        "--head-movement=0.5",
        "--as-asked",
    } <= set(intro)
    assert "--no-as-asked" in scene and "--strip=Line 1" in scene


def test_several_heads_may_speak_a_strip_and_the_best_take_be_committed(read, complaints):
    text = "[jobs.a]\nblend = 's.blend'\nstrip = 'talk'\nspeakers = {}\ncommit = 'twos'\n"
    for listed in ("['Anna 1-120', 'Ben B 121-200']", "'Anna 1-120, Ben B 121-200'"):
        (job,) = read(text.format(listed)).jobs
        assert {"--speakers=Anna 1-120,Ben B 121-200", "--commit=twos"} <= set(job.arguments("o"))
    assert (
        "is not a list of heads with the frames that they speak"
        in complaints(text.format("['Anna']"))[0]
    )
    assert (
        "has “speakers” but no “strip”"
        in complaints("[jobs.a]\naudio = 'a.wav'\nspeakers = ['Anna 1-2']\n")[0]
    )
    assert (
        "is none of ones, twos, threes"
        in complaints("[jobs.a]\naudio = 'a.wav'\ncommit = 'fours'\n")[0]
    )


def test_everything_wrong_is_said_at_once(complaints):
    lines = complaints(
        'outt = "x"\n[jobs.a]\naudio = "a.wav"\ntake = 3\nseed = -1\n'
        '[jobs.b]\nmood = "hungry"\noutputs = ["npz", "gif"]\n[jobs.c]\nstrip = '
        '"x"\nspeech_guidance = 1\nas-asked = "no"\n'
    )
    assert lines == [
        "“jobs.toml” has an unknown key “outt”: did you mean “out”?",
        "Job “a” has an unknown key “take”: did you mean “takes”?",
        "Job “a”: “seed” = -1 is not a whole number from 0 to 2147483647",
        "Job “b”: “mood” = \"hungry\" is no mood that is known: did you mean “angry”?",
        f"Job “b”: “outputs” = [\"npz\", \"gif\"] holds “gif”, which is none of "
        f"{', '.join(settings.OUTPUTS)}",
        "Job “b” has no voice: name a sound file as “audio”, or a scene as “blend” and one of its "
        "strips as “strip”",
        "Job “c” has an unknown key “speech_guidance”: did you mean “speech-guidance”?",
        "Job “c”: “as-asked” = \"no\" is neither true nor false",
        "Job “c” has a “strip” but no scene that it lies in: name it as “blend”",
    ]  # fmt: skip


def test_of_many_mistakes_of_a_kind_the_first_ten_are_said_and_how_many_more(complaints):
    jobs = "".join(f"[jobs.j{number}]\naudio = 'a.wav'\nseed = -1\n" for number in range(2000))
    *seeds, more, take = complaints(jobs + "take = 3\n")
    assert seeds == [
        f"Job “j{number}”: “seed” = -1 is not a whole number from 0 to 2147483647"
        for number in range(10)
    ]
    assert more == "… and 1990 more like this" and take.startswith(
        "Job “j1999” has an unknown key “take”"
    )


def test_what_else_is_wrong_is_looked_for_in_what_can_be_read(tmp_path):
    path, seen = tmp_path / "jobs.toml", []
    path.write_text(
        "[defaults]\nfps = 0\ntakes = 3\n[jobs.a]\naudio = 'a.wav'\ntakes = 0\nstyle = "
        "'Whisper'\nsed = 1\n"
    )

    def look(jobs):
        seen.extend(jobs)
        return [job_file.Mistake("audio", "it is missing")]

    with pytest.raises(BadRequest) as error:
        job_file.read_file(str(path), settings.DEFAULTS, look)
    lines = str(error.value).splitlines()
    assert (
        len(lines) == 4
        and "“fps” = 0" in lines[0]
        and "“takes” = 0" in lines[1]
        and "“sed”" in lines[2]
        and lines[3] == "It is missing"
    )
    (job,) = seen
    assert job.unread == {"fps", "takes"} and not job.unread & job.settings.keys()
    assert job.settings["style"] == "Whisper" and job.settings["audio"] == str(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "line, words",
    [
        ("takes = 65", "“takes” = 65 is not a whole number from 1 to 64"),
        ("takes = 2.0", "“takes” = 2.0 is not a whole number from 1 to 64"),
        ("takes = true", "“takes” = true is not a whole number from 1 to 64"),
        ("energy = nan", "“energy” = NaN is not a number from 0.35 to 2"),
        ("mood = 'warm=9'", "has the strength “9”, which is not a number from 0 to 1"),
        ("style = ''", '“style” = "" is not a text in quotes'),
        ("outputs = []", "“outputs” = [] is not a list of some of blend, actions, npz"),
        ("system = {a = 1}", '“system” = {"a": 1} is none of'),
        ("fps = " + "9" * 4000, "9… is not a number from 1 to 240"),
        ("style = '" + "a" * 5000 + "'", "has 5000 letters, more than the 4096"),
        ("fps = 0", "“fps” = 0 is not a number from 1 to 240"),
        ("blend = 'a.blend'\nfps = 25", "has both “fps” and “blend”, which has one of its own"),
        ("strip = 'x'\nblend = 'a.blend'", "has both “audio” and “strip”: keep one of them"),
    ],
)
def test_a_wrong_value_is_said_with_what_is_allowed(complaints, line, words):
    (sentence,) = complaints(f"[jobs.a]\naudio = 'a.wav'\n{line}\n")
    assert sentence.startswith("Job “a”") and words in sentence


@pytest.mark.parametrize(
    "text, words",
    [
        ("\n# x\njobs = [1\n", "“jobs.toml”, line 3, “jobs = [1”: a list must end"),
        (
            "[jobs.x]\naudio = voices/a.wav\n",
            "line 2, “audio = voices/a.wav”: after “=” write a text in quotes",
        ),
        ('[jobs.x]\naudio = "C:\\voices\\a.wav"\n', "in double quotes “\\” must be doubled"),
        ('[jobs.x]\naudio = "C:\\users\\a.wav"\n', "in double quotes “\\” must be doubled"),
        (
            '[jobs.x]\naudio = "a.wav\ntakes = 2\n',
            'line 2, “audio = "a.wav”: a text must end on its line',
        ),
        ("[jobs.x]\naudio = 'a.wav", "line 2, “audio = 'a.wav”: a text must end"),
        (
            "[jobs.shot 12]\n",
            "line 1, “[jobs.shot 12]”: write a job as [jobs.NAME], and a name of several words in "
            "quotes",
        ),
        ("[jobs.x]\n[jobs.x]\n", "line 2, “[jobs.x]”: this heading is there twice"),
        ("[jobs.x]\ntakes = 1\ntakes = 2\n", "line 3, “takes = 2”: this key has a value already"),
        ("a = {x = 1\n", "line 1, “a = {x = 1”: TOML does not allow this (Unclosed inline table)"),
        (
            "[defaults]\noutput = 1\n[jobs.x]\naudio = 'a'",
            "“jobs.toml”: [defaults] has an unknown key “output”: did you mean “outputs”?",
        ),
        ("", "is empty: name another with --jobs"),
        ("jobs = 3", "“jobs” is no table: write [jobs.NAME]"),
        ("[jobs]\na = 3", "job “a” is no table: write [jobs.a]"),
        ("out = 3\n[jobs.a]\naudio = 'a'", "“out” = 3 is not a text in quotes"),
        ('out = "a\\u0000"\n[jobs.a]\naudio = "a"', '“out” = "a\\u0000" has the letter U+0000'),
        ("[jobs.a]\naudio = 'a'\ntakes = " + "9" * 5000, "a number in it has too many digits"),
        ('[jobs."a/b"]\naudio = "a"', "which cannot have this name: “a_b” can be one"),
        ('[jobs.".."]\naudio = "a"', "which cannot have this name"),
        (
            "[jobs.Intro]\naudio = 'a'\n[jobs.intro]\naudio = 'a'",
            "“Intro” and “intro”: some disks take their folders for one",
        ),
    ],
)
def test_a_wrong_file_is_said(complaints, text, words):
    assert any(words in line for line in complaints(text))


def test_a_file_with_a_byte_order_mark_is_read_and_one_that_is_no_text_or_missing_said(tmp_path):
    with pytest.raises(BadRequest, match="There is no file .*: name another with --jobs"):
        job_file.read_file(str(tmp_path / "none.toml"))
    (tmp_path / "jobs.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadRequest, match="is not text in UTF-8: save it in this encoding"):
        job_file.read_file(str(tmp_path / "jobs.toml"))
    (tmp_path / "jobs.toml").write_bytes(b"\xef\xbb\xbf[jobs.a]\r\naudio = 'a.wav'\r\n")
    assert [job.name for job in job_file.read_file(str(tmp_path / "jobs.toml")).jobs] == ["a"]


def test_a_folder_gives_a_job_for_each_sound(tmp_path):
    for name in ("b.wav", "a.WAV", "a.flac", "notes.txt", ".hidden.wav"):
        (tmp_path / name).write_bytes(b"")
    jobs = job_file.read_folder(str(tmp_path), {"takes": 3}).jobs
    assert [job.name for job in jobs] == ["a.WAV", "a.flac", "b"]
    assert all(
        job.settings["takes"] == 3 and os.path.dirname(job.settings["audio"]) == str(tmp_path)
        for job in jobs
    )
    (tmp_path / "empty").mkdir()
    for place, words in (("empty", "holds no sound files"), ("none", "cannot be read")):
        with pytest.raises(BadRequest, match=words):
            job_file.read_folder(str(tmp_path / place))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are not text")
def test_a_file_of_a_folder_that_cannot_be_baked_is_refused_alone(tmp_path):
    for name in ("good.wav", "é.wav".encode("latin-1"), "😀" * 60 + ".wav"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"sound")
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    read = job_file.read_folder(str(tmp_path))
    assert {name: reason.partition(":")[0].partition(" “")[0] for name,
        reason in read.refused.items()} == {
        "_xe9": "The name", "gone": "There is no file", "loop": "There is no file",
        "pipe": f"“{tmp_path}/pipe.wav” is a pipe or a device, not a file",
    }  # fmt: skip
    assert {job.name for job in read.jobs} - {*read.refused} == {"good", "😀" * 50}


def test_jobs_are_chosen_by_name_and_names_become_names_of_folders():
    jobs = job_file.name_jobs(
        [("Line: 1", {}, "Line: 1"), ("Line? 1", {}, "Line? 1"), ("..", {}, "..")], {}
    )
    assert [job.name for job in jobs] == ["Line_ 1", "Line_ 1 2", "job"]
    assert [job_file.folder_name(name) for name in ("Con.wav", "batch.html", "a.failed.json",
        "concert")] == [
        "Con.wav_", "batch.html_", "a.failed.json_", "concert",
    ]  # fmt: skip
    jobs = (Job("intro"), Job("outro"))
    assert job_file.choose_jobs(jobs, ["outro", "outro"]) == jobs[1:]
    with pytest.raises(BadRequest, match="There is no job “intr”: did you mean “intro”?"):
        job_file.choose_jobs(jobs, ["intr"])


def test_what_an_option_is_called_in_a_job_file():
    names = ("head", "head-movement", "strip", "fps")
    said = settings.keys_for_options(
        "There is none: name another with --head, or leave --fps and --head-movement out, or use "
        "--force",
        names,
    )
    assert (
        said
        == "There is none: name another as “head”, or leave “fps” and “head-movement” out, or use "
        "--force"
    )


OLD, LONG = b"BLENDER-v402RENDH" + bytes(99), b"BLENDER17-01v0501REND" + bytes(99)


@pytest.mark.parametrize(
    "data, header",
    [
        (OLD, Header((4, 2))),
        (b"BLENDER_V279" + bytes(9), Header((2, 79))),
        (LONG, Header((5, 1), True)),
    ],
)
@pytest.mark.parametrize("pack", (bytes, gzip.compress))
def test_the_version_is_read(tmp_path, data, header, pack):
    (tmp_path / "a.blend").write_bytes(pack(data))
    assert inputs.read_header(str(tmp_path / "a.blend")) == header


def test_python_s_own_module_is_used_where_blender_s_is_missing(tmp_path, monkeypatch):
    """Linux distributions build Blender with their Python, which has `compression.zstd` since 3.14;
    it is played here."""
    played = types.SimpleNamespace(ZstdFile=lambda file: io.BytesIO(LONG), ZstdError=OSError)
    (tmp_path / "a.blend").write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setitem(sys.modules, "zstandard", None)  # an import of it fails
    monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    for own, header in ((None, None), (played, Header((5, 1), True))):
        monkeypatch.setitem(sys.modules, "compression.zstd", own)
        assert inputs.read_header(str(tmp_path / "a.blend")) == header


@pytest.mark.parametrize(
    "data",
    [b"", b"BLENDER", b"BLENDER-vxyz", b"RIFF", gzip.compress(OLD)[:8], b"\x28\xb5\x2f\xfdno"],
)
def test_what_is_no_header_is_none(tmp_path, data):
    (tmp_path / "a.blend").write_bytes(data)
    assert (
        inputs.read_header(str(tmp_path / "a.blend")) is None
        and inputs.read_header(str(tmp_path / "none")) is None
    )


def test_a_newer_file_is_refused_and_only_one_that_can_be_opened_is_allowed():
    newer = Header((5, 0), True)
    assert (
        newer.refusal("a.blend", (5, 0))
        == newer.refusal("a.blend", (5, 1))
        == newer.refusal("a.blend", (4, 5), allow_newer=True)
        == ""
    )
    words = newer.refusal("a.blend", (4, 2), allow_newer=True)
    assert (
        words
        == "“a.blend” was saved by a newer Blender (5.0, this is 4.2): bake with Blender 5.0 or "
        "newer"
    )
    assert (
        Header((4, 5))
        .refusal("a.blend", (4, 2))
        .endswith("Blender 4.5 or newer, or use --allow-newer")
    )
    assert Header((4, 5)).refusal("a.blend", (4, 2), opens=False).endswith("Blender 4.5 or newer")


@pytest.fixture
def files(tmp_path):
    """Paths of a few sounds and others."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((48000 * 2, 2))
    soundfile.write(tmp_path / "stereo.wav", noise, 48000)
    soundfile.write(tmp_path / "fine.flac", noise[:, 0], 16000)
    soundfile.write(tmp_path / "half a second.wav", noise[:8000, 0], 16000)
    soundfile.write(tmp_path / "short.wav", noise[:1600, 0], 16000)
    soundfile.write(tmp_path / "silent.wav", 0 * noise, 48000)
    soundfile.write(
        tmp_path / "nan.wav", np.where(np.arange(48000) == 700, np.nan, 0.1), 16000, subtype="FLOAT"
    )
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "header.wav").write_bytes((tmp_path / "stereo.wav").read_bytes()[:44])
    (tmp_path / "end is missing.wav").write_bytes((tmp_path / "stereo.wav").read_bytes()[:-100000])
    return {path.name: str(path) for path in sorted(tmp_path.iterdir())}


def test_the_check_says_what_the_engine_says(files):
    refused = {}
    for name, path in files.items():
        try:
            read_sound(path, may_be_silent=True)
        except BadSound as error:
            refused[name] = str(error)
    assert set(refused) == {"short.wav", "nan.wav", "text.wav", "empty.wav", "header.wav"}
    assert {
        name: reason for name, path in files.items() if (reason := audio.problem(path))
    } == refused
    assert inputs.sound_problems(sys.executable, files.values()) == {
        files[name]: reason for name, reason in refused.items()
    }


def test_usual_sounds_are_judged_without_reading_them_to_the_end(files, monkeypatch):
    monkeypatch.delattr(audio, "read_sound")  # a call of it fails
    assert [audio.problem(files[name]) for name in ("stereo.wav", "fine.flac", "silent.wav")] == [
        "",
        "",
        "",
    ]
    with pytest.raises(NameError):
        audio.problem(files["text.wav"])


def test_a_check_that_fails_or_takes_too_long_refuses_nothing(files, tmp_path, monkeypatch):
    assert (
        inputs.sound_problems(str(tmp_path / "no python"), files.values())
        == {}
        == inputs.sound_problems(sys.executable, [])
    )
    slow = tmp_path / "slow.py"
    slow.write_text(
        f"import time\nprint('noise')\nprint({json.dumps([files['text.wav'], 'no'])!r}, "
        f"flush=True)\ntime.sleep(60)\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{slow}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(inputs, "LONGEST", 1.0)
    if sys.platform != "win32":
        assert inputs.sound_problems(str(python), files.values()) == {files["text.wav"]: "no"}
