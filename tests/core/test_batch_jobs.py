# SPDX-License-Identifier: GPL-3.0-or-later
"""Job files: what they say arrives, and everything wrong with them, with scenes and with sounds is said
before jobs are baked."""

import os
import sys
import time

import pytest

from thunder_core.batch import job_file, settings
from thunder_core.batch.job_file import BakeJob
from thunder_core.errors import BadRequest

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
        listed = job_file.read_file(str(path), {**settings.DEFAULTS, **defaults})
        job_file.refuse(listed.mistakes)
        return listed

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


def test_a_language_and_a_model_may_be_named_by_a_job(read, complaints, tmp_path):
    (tmp_path / "models" / "base").mkdir(parents=True)
    job = '[jobs.a]\naudio = "a.wav"\nrecognise = true\n'
    for given, arguments in (
        ('language = "German"', ["--language=de"]),
        ('language = "yue"', ["--language=yue"]),
        ('language = "auto"', ["--language=auto"]),
        ('whisper = "models/base"', [f"--whisper={tmp_path / 'models' / 'base'}"]),
        ('whisper = "../elsewhere"', [f"--whisper={tmp_path.parent / 'elsewhere'}"]),
        ('whisper = "base"', ["--whisper=base"]),
        ('whisper = "openai/whisper-base"', ["--whisper=openai/whisper-base"]),
    ):
        [listed] = read(job + given).jobs
        assert set(arguments) <= set(listed.arguments("o")), given
    assert "no language that is known" in complaints(job + 'language = "Klingon"')[0]


def test_a_model_is_refused_where_no_words_are_recognised_and_a_language_is_of_any_text(
    read, complaints
):
    silent, both = '[jobs.a]\naudio = "a.wav"\n', '[defaults]\nlanguage = "de"\nwhisper = "base"\n'
    [line] = complaints(silent + 'whisper = "base"')
    assert "“whisper” but does not recognize words: add recognise = true" in line
    assert read(silent + 'language = "de"\n').jobs[0].settings["language"] == "de"
    # what holds for all jobs is for those that recognise
    first, second = read(both + silent + '[jobs.b]\naudio = "b.wav"\nrecognise = true\n').jobs
    assert "whisper" not in first.settings
    assert (second.settings["language"], second.settings["whisper"]) == ("de", "base")


def test_everything_wrong_is_said_at_once(complaints):
    lines = complaints(
        'outt = "x"\n[jobs.a]\naudio = "a.wav"\ntake = 3\nseed = -1\n'
        '[jobs.b]\nmood = "hungry"\noutputs = ["npz", "gif"]\n[jobs.c]\nstrip = '
        '"x"\nperform_line = "y"\nas-asked = "no"\n'
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
        "Job “c” has an unknown key “perform_line”: did you mean “perform-line”?",
        "Job “c”: “as-asked” = \"no\" is neither true nor false",
        "Job “c” has a “strip” but no scene that it lies in: name it as “blend”",
    ]  # fmt: skip


def test_of_many_mistakes_the_first_are_said_and_how_many_more(complaints):
    jobs = "".join(f"[jobs.j{number}]\naudio = 'a.wav'\nseed = -1\n" for number in range(2000))
    *seeds, more = complaints(jobs)
    assert seeds == [
        f"Job “j{number}”: “seed” = -1 is not a whole number from 0 to 2147483647"
        for number in range(30)
    ]
    assert more == "… and 1970 more"


@pytest.mark.parametrize(
    "more, kept, mistakes",
    [
        ("takes = 0\nstyle = 'Whisper'\n", {"style": "Whisper"}, ["“takes” = 0"]),
        ("system = 'thunder'\n", {}, ["unknown key “system”"]),  # as 0.2.0 had it
    ],
)
def test_a_job_keeps_what_is_right_of_it_so_that_all_mistakes_are_found_at_once(
    tmp_path, more, kept, mistakes
):
    path = tmp_path / "jobs.toml"
    path.write_text(f"[jobs.a]\naudio = 'a.wav'\n{more}")
    read = job_file.read_file(str(path), {})
    assert len(read.mistakes) == len(mistakes)
    assert all(words in said for words, said in zip(mistakes, read.mistakes))
    assert read.jobs[0].settings == {"audio": str(tmp_path / "a.wav")} | kept


@pytest.mark.parametrize(
    "line, words",
    [
        ("takes = 257", "“takes” = 257 is not a whole number from 1 to 256"),
        ("takes = 2.0", "“takes” = 2.0 is not a whole number from 1 to 256"),
        ("takes = true", "“takes” = true is not a whole number from 1 to 256"),
        ("energy = nan", "“energy” = NaN is not a number from 0.35 to 2"),
        ("mood = 'warm=9'", "has the strength “9”, which is not a number from 0 to 1"),
        ("style = ''", '“style” = "" is not a text in quotes'),
        ("outputs = []", "“outputs” = [] is not a list of some of blend, npz"),
        ("quality = {a = 1}", '“quality” = {"a": 1} is none of'),
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
        ("\n# x\njobs = [1\n", "“jobs.toml” cannot be read as TOML (Unclosed array (at end"),
        ("[jobs.x]\naudio = voices/a.wav\n", "(Invalid value (at line 2, column 9)): correct it"),
        (
            "[defaults]\noutput = 1\n[jobs.x]\naudio = 'a'",
            "“jobs.toml”: [defaults] has an unknown key “output”: did you mean “outputs”?",
        ),
        ("", "is empty: name another with --jobs"),
        ("jobs = 3", "“jobs” is no table: write [jobs.NAME]"),
        ("[jobs]\na = 3", "job “a” is no table: write [jobs.a]"),
        ("out = 3\n[jobs.a]\naudio = 'a'", "“out” = 3 is not a text in quotes"),
        ('out = "a\\u0000"\n[jobs.a]\naudio = "a"', '“out” = "a\\u0000" has the letter U+0000'),
        ("[jobs.a]\naudio = 'a'\ntakes = " + "9" * 5000, "cannot be read as TOML"),
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
    with pytest.raises(BadRequest, match="is not text in UTF-8: save it"):
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


@pytest.mark.parametrize("one, other", [("\u00e9t\u00e9", "e\u0301te\u0301"), ("Zoë", "ZOË")])
def test_jobs_whose_names_a_disk_takes_for_one_get_folders_of_their_own(complaints, one, other):
    """As a Mac decomposes its letters, or in capitals."""
    listed = [(name, {}, name + ending) for name, ending in ((one, ".wav"), (other, ".flac"))]
    names = [job.name for job in job_file.name_jobs(listed, {})]
    assert names == [one + ".wav", other + ".flac"]
    [problem] = complaints(f"[jobs.'{one}']\naudio = 'a.wav'\n[jobs.'{other}']\naudio = 'a.wav'\n")
    assert "some disks take their folders for one" in problem


def test_jobs_are_chosen_by_name_and_names_become_names_of_folders():
    jobs = job_file.name_jobs(
        [("Line: 1", {}, "Line: 1"), ("Line? 1", {}, "Line? 1"), ("..", {}, "..")], {}
    )
    assert [job.name for job in jobs] == ["Line_ 1", "Line_ 1 2", "job"]
    assert [job_file.folder_name(name) for name in ("Con.wav", "batch.html", "a.failed.json",
        "concert")] == [
        "Con.wav_", "batch.html_", "a.failed.json_", "concert",
    ]  # fmt: skip
    jobs = (BakeJob("intro"), BakeJob("outro"))
    assert job_file.choose_jobs(jobs, ["outro", "outro"]) == jobs[1:]
    with pytest.raises(BadRequest, match="There is no job “intr”: did you mean “intro”?"):
        job_file.choose_jobs(jobs, ["intr"])


JOB = "[jobs.a]\naudio = 'a.wav'\n"
SLOW = {  # what took minutes or ended in a traceback
    "parts of a key": "a." * 50_000 + "a = 1",
    "parts of a key in quotes": '"a".' * 50_000 + "a = 1",
    "parts of a table": f"[{'a.' * 50_000}a]",
    "parts in a value": "a = {" + "a." * 50_000 + "a = 1}",
    "slashes in a transcript": JOB + f'transcript = "{"/" * 100_000} "',
    "digits of a number": JOB + f"takes = 0x{'f' * 100_000}",
}


@pytest.mark.parametrize("name", SLOW)
def test_a_long_value_is_refused_in_little_time(complaints, name):
    began = time.process_time()
    assert all(": " in sentence and len(sentence) < 400 for sentence in complaints(SLOW[name]))
    assert time.process_time() - began < 4


def test_a_file_of_too_many_jobs_is_refused_and_never_read_in_part(complaints, monkeypatch):
    monkeypatch.setattr(job_file, "LONGEST", len(JOB))
    (sentence,) = complaints(JOB + JOB.replace("jobs.a", "jobs.b"))
    assert "it is larger than" in sentence and "several files" in sentence


def test_dots_in_texts_are_no_parts_of_a_key(read):
    words = "No. " * 60
    for text in (
        f'transcript = "{words}\\" {words}"',
        f'transcript = """{words}\n{words}"""',
        f"transcript = '{words}' # {words}",
    ):
        assert read(JOB + text).jobs[0].settings["transcript"].startswith(words.strip())
