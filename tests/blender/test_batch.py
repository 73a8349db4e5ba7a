# SPDX-License-Identifier: GPL-3.0-or-later
"""Many bakes in one run: what is written for each job, which jobs are baked, how one goes on after
it was killed."""

import argparse
import itertools
import json
import os
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from browser import browser, DOWN, ENTER, needs_browser, RIGHT
from performances import noise
from thunder.cli import bake as command, batch, collect, products, script
from thunder.cli.line import choose_head
from thunder.cli.options import direction_of, read_options
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.takes import dialogue, take_record
from thunder.scene.takes.commit import committing
from thunder.scene.voice import changes, strip as strip_module
from thunder.thunder_core import errors, files
from thunder.thunder_core.batch import settings
from timing import until

pytestmark = pytest.mark.one_blender


@pytest.fixture
def voice(voice):
    return noise(voice, 1.0)


@pytest.fixture
def bake(blender, client):
    def run(*arguments):
        return command.bake(read_options([str(each) for each in arguments]))

    return run


# ---- what a job says is what the command knows


def test_the_settings_of_a_job_are_options_of_the_command():
    texts = {
        "style": "Whisper",
        "mood": "warm=.5",
        "manner": "a.json",
        "outputs": "npz,csv",
        "head": "Head",
        "blend": "a.blend",
        "quality": "draft",
        "perform-as": "a.npz",
        "performed-voice": "b.wav",
        "perform-line": "old",
        "transcript": "hello",
        "whisper": "model",
        "language": "de",
        "commit": "twos",
    }
    for name, setting in settings.SETTINGS.items():
        if name in settings.VOICES:
            continue
        value = False if setting.is_flag else texts.get(name, 1)
        of = ["--audio=a.wav"]
        if name in settings.RECOGNISER:
            of.append("--recognise")
        if name == "performed-rate":
            of.append("--perform-as=a.csv")
        chosen = read_options(
            [*of, "--blend=a.blend", "--out=o", *setting.arguments(setting.read(value))]
        )
        assert isinstance(chosen, argparse.Namespace)


@pytest.mark.parametrize(
    "option",
    ["--style=Whisper", "--mood=warm", "--spread=.2", "--head-movement=.5", "--no-as-asked"],
)
def test_each_option_of_a_performance_alone_directs_it(option):
    usual = ["--audio=a.wav", "--out=o"]
    assert direction_of(read_options(usual)) is None
    assert direction_of(read_options([*usual, option])) is not None


def test_jobs_are_baked_in_the_open_file_where_none_is_named(blender, tmp_path):
    """As in “blender -b shot.blend --python bake.py -- --jobs lines.toml”."""
    usual = ["--jobs", "x", "--out", "o"]
    assert batch.defaults_of(read_options(usual)).get("blend") is None
    path = tmp_path / "shot.blend"
    blender.ops.wm.save_as_mainfile(filepath=str(path))
    assert batch.defaults_of(read_options(usual))["blend"] == str(path)
    named = batch.defaults_of(read_options([*usual, f"--blend={tmp_path / 'other.blend'}"]))
    assert named["blend"] == str(tmp_path / "other.blend")


def test_the_options_of_the_command_hold_for_all_jobs(blender, tmp_path):
    chosen = read_options(
        [
            "--jobs",
            "x",
            "--takes=3",
            "--mood=warm=.25",
            "--head-movement=.5",
            "--npz",
            "--fps=30",
            "--style=Whisper",
            "--no-as-asked",
            "--pack",
        ]
    )
    got = batch.defaults_of(chosen)
    assert got == {
        **settings.DEFAULTS, "takes": 3, "mood": "warm=.25", "head-movement": 0.5,
        "outputs": ["blend", "npz"], "fps": 30.0,
        "style": "Whisper", "as-asked": False, "pack": True,
    }  # fmt: skip
    for option in ("--only=x", "--again", "--list"):
        with pytest.raises(SystemExit):
            read_options(["--audio", "a.wav", "--out", "o", option])


# ---- what a bake writes


def test_progress_counts_a_film_as_what_it_takes():
    """With eight takes of eight seconds they are sampled in 1.5 s and one is filmed in 45."""
    assert products.Outputs("a", ("blend", "npz"), 8, 1).share_of_takes > 0.8
    assert products.Outputs("a", ("blend", "video"), 8, 1).share_of_takes < 0.1


def test_a_bake_writes_what_is_asked_of_all_takes_and_says_all_the_time_what_it_does(
    bake, blender, client, tmp_path, monkeypatch
):
    monkeypatch.setattr(products, "FILM_PIXELS", 64)
    client.origin, client.note = "changed", "These weights are yours"
    steps, out, voice = [], tmp_path / "out", noise(tmp_path / "line.wav", 0.6)
    options = ("--takes", "2", "--fps", "25", "--outputs", "blend,npz,csv,sheet,video")
    given = read_options(["--audio", voice, *options, "--out", str(out)])
    report = command.bake(given, steps.append)
    assert report["warnings"] == [client.note]
    assert blender.context.scene.render.fps == 25
    made = [f"take_0{rank}.{end}" for rank in (1, 2) for end in ("csv", "npz")]
    rest = ["line.blend", "report.json", "take_01.mp4", "takes.png", "thunder-files.json"]
    assert sorted(os.listdir(out)) == sorted([*made, *rest])
    for rank, entry in enumerate(report["takes"], start=1):
        rows = (out / f"take_{rank:02d}.csv").read_text().splitlines()
        assert len(rows) > 30 and rows[0].startswith("Timecode,BlendShapeCount")
        assert entry["csv_sha256"] == files.hash_of(out / f"take_{rank:02d}.csv")
    assert len({entry["curves_sha256"] for entry in report["takes"]}) == 2
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions) and 0.0 <= fractions[0] < 0.1
    assert fractions[-1] <= 1.0 + 1e-9
    # not from 0 to 99 at once
    assert max(after - before for before, after in itertools.pairwise(fractions)) < 0.5
    messages = list(dict.fromkeys(step.message for step in steps))
    assert messages[-5:] == [
        "Writing the scene", "Writing take_01.csv (1 of 4)", "Writing take_02.csv (2 of 4)",
        "Drawing the contact sheet (3 of 4)", "Filming take_01.mp4 (4 of 4)",
    ]  # fmt: skip
    assert any("take" in words.lower() for words in messages[:-5])
    assert sum(step.message.startswith("Filming") for step in steps) > 10  # of the film's frames
    again = bake("--audio", voice, "--takes", 1, "--out", out)
    assert sorted(os.listdir(out)) == ["line.blend", "report.json", "thunder-files.json"]
    assert "csv" not in again["takes"][0]


@pytest.fixture
def scene_file(needs_sound, blender, scene, voice, tmp_path):
    """A saved scene with a head and two strips that it speaks."""
    strip_module.add(scene, str(voice), "First: line", 11)
    strip_module.add(scene, str(voice), "Second", 60)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    return tmp_path / "shot.blend"


def test_each_dialogue_strip_of_a_scene_is_a_job(bake, blender, scene_file, tmp_path):
    listed = batch.read_jobs(read_options(["--jobs", str(scene_file), "--takes=1", "--fps=25"]))
    assert [job.name for job in listed.jobs] == ["First_ line", "Second"]
    job = listed.jobs[1]
    assert (
        job.settings["blend"] == str(scene_file)
        and job.settings["strip"] == "Second"
        and "fps" not in job.settings
    )
    bake(*job.arguments(str(tmp_path / "out")), "--outputs=blend", "--pack")
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "shot.blend"))
    scene = blender.context.scene
    assert [(entry.voice, entry.first) for entry in scene.thunder.takes] == [("Second", 60)]
    assert strip_module.by_name(scene, "Second").sound.packed_file is not None
    assert not changes.stale_takes(scene)
    with pytest.raises(errors.BadSound, match="no sound strip “Third”"):
        bake("--blend", scene_file, "--strip", "Third", "--out", tmp_path / "other")
    with pytest.raises(errors.BadRequest, match="frame rate of its own"):
        bake("--blend", scene_file, "--strip", "Second", "--fps", 25, "--out", tmp_path / "other")


def test_the_takes_of_all_strips_of_a_scene_are_collected_in_one(
    bake, blender, scene_file, tmp_path, capsys
):
    out = tmp_path / "out"
    chosen = read_options(
        ["--jobs", str(scene_file), "--out", str(out), "--takes=11", "--outputs=blend"]
    )
    jobs = batch.read_jobs(chosen).jobs
    for job in jobs:
        bake(*job.arguments(str(out / job.name)))

    def collected(again=()):
        run = batch.Run(chosen, str(out), jobs)
        run.states = {job.name: "baked" if job.name in again else "up to date" for job in jobs}
        run.collect()
        run.write_report()
        return run, capsys.readouterr()

    run, said = collected()
    assert (
        "“shot_takes.blend” is “shot.blend” with all takes: 22 takes of 2 jobs\n" in said.out
        and run.end() == 0
    )
    before = (out / "shot_takes.blend").stat().st_mtime_ns
    listed = json.loads((out / "shot_takes.json").read_text())["takes"]
    assert [(row["strip"], row["name"]) for row in listed] == [
        (voice, f"Take {number}") for voice in ("First: line", "Second") for number in range(1, 12)
    ]
    _, said = collected()
    # nothing has changed
    assert "shot_takes" not in said.out and (out / "shot_takes.blend").stat().st_mtime_ns == before
    blender.ops.wm.open_mainfile(filepath=str(out / "shot_takes.blend"))
    scene = blender.context.scene
    report = json.loads((out / "Second" / "report.json").read_text())["takes"]
    takes = [entry for entry in scene.thunder.takes if entry.voice == "Second"]
    assert [(entry.name, entry.seed, entry.words, entry.action.name) for entry in takes] == [
        (row["name"], row["seed"], row["words"], row["action"]) for row in report
    ]
    curves = products.hash_of_curves
    assert [curves(entry) for entry in takes] == [row["curves_sha256"] for row in report]
    assert {(entry.head.name, entry.first) for entry in takes} == {
        (scene.objects["Thunder Head"].name, 60)
    }
    assert [part.strip for part in scene.thunder.cast if part.head] == ["First: line", "Second"]
    shown = display.shown_action
    rig = head.resolve(takes[0].head)
    assert shown(rig).name == "First: line · Take 1" and scene.frame_end >= takes[0].last
    bake(*jobs[1].arguments(str(out / "Second")), "--seed=500", "--takes=2")
    _, said = collected(["Second"])
    assert "13 takes of 2 jobs" in said.out
    (out / "shot_takes.blend").write_bytes(b"my work")
    bake(*jobs[1].arguments(str(out / "Second")), "--seed=600", "--takes=1")
    run, said = collected(["Second"])
    assert (
        "“shot_takes.blend” was not written: " in said.err
        and "is a file of yours" in said.err
        and run.end() == 3
    )
    assert (out / "shot_takes.blend").read_bytes() == b"my work"
    assert "was not written" in (out / "batch.html").read_text()


def test_strips_that_nobody_speaks_yet_fail_before_the_first_job(
    needs_sound, blender, scene_file, tmp_path, capsys
):
    dialogue.cast(
        blender.context.scene, "First: line", blender.context.scene.objects["Thunder Head"]
    )
    head.build(blender.context.scene.collection, blender.context.view_layer)
    blender.ops.wm.save_as_mainfile(filepath=str(scene_file))
    chosen = read_options(["--jobs", str(scene_file), "--out", str(tmp_path / "out")])
    listed = batch.read_jobs(chosen)
    assert listed.refused == {"Second": "Choose who speaks “Second”"}
    run = batch.Run(chosen, str(tmp_path / "out"), listed.jobs)
    tasks = run.without_refused(run.tasks(listed.jobs), listed.refused)
    scene = blender.context.scene
    with pytest.raises(errors.BadHead, match="“Second” has no speaker and .* --head"):
        # a job file may name it: not on whichever head was chosen last
        choose_head(scene, None, "Second")
    assert (
        choose_head(scene, "Thunder Head", "Second").mesh.name
        == choose_head(scene, None, "First: line").mesh.name
    )
    assert [task.job for task in tasks] == [
        "First_ line"
    ] and "[1/2] Second: failed: Choose who speaks “Second”" in capsys.readouterr().err


def test_files_in_the_way_of_a_job_are_noticed_before_the_first_job(
    blender, tmp_path, capsys, voice
):
    jobs = (
        "".join(f"[jobs.{name}]\naudio = 'line.wav'\n" for name in "abc")
        + "[jobs.d]\nseconds = 2\n"
    )
    (tmp_path / "jobs.toml").write_text(
        "out = 'out'\n[defaults]\ntakes = 2\noutputs = ['blend', 'csv']\n" + jobs
    )
    for name, file in (
        ("a", "line.blend"),
        ("b", "take_03.csv"),
        ("c", "take_02.csv"),
        ("d", "idle.blend"),
    ):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / file).write_bytes(b"my work")

    def left(*arguments):
        chosen = read_options(["--jobs", str(tmp_path / "jobs.toml"), *arguments])
        listed = batch.read_jobs(chosen)
        run = batch.Run(chosen, listed.out, listed.jobs)
        return [task.job for task in run.without_refused(run.tasks(listed.jobs), {})]

    assert left() == ["b"]  # writes take_01 and take_02 alone
    said = capsys.readouterr().err
    assert (
        all(name in said for name in ("line.blend1", "take_02.csv1", "idle.blend1"))
        and "take_03" not in said
    )
    assert left("--force") == ["a", "b", "c", "d"]


def test_a_run_into_the_folder_of_other_jobs_says_so_before_it_bakes(
    blender, tmp_path, jobs_here, capsys, voice
):
    for name in ("english", "german"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "line.wav").write_bytes(Path(voice).read_bytes())

    def warnings(name, *more):
        given = ["--jobs", str(tmp_path / name), "--out", str(tmp_path / "out"), *more]
        batch.bake_all(read_options([*given, "--takes", "1", "--outputs", "npz"]))
        said = capsys.readouterr()
        return [line for line in said.err.splitlines() if "holds the takes of" in line]

    assert warnings("english") == warnings("english") == []
    said = (
        f"“{tmp_path / 'out'}” holds the takes of “{tmp_path / 'english'}”: jobs of the same name "
        f"replace them"
    )
    more, other = ", and batch.html will list only this run", ". Choose another --out to keep both"
    assert warnings("german", "--only", "line") == [said + other]
    assert warnings("german") == [said + more + other]
    assert warnings("german") == []


@pytest.mark.parametrize("named", ["", "elsewhere"], ids=["the file's", "the command's"])
def test_a_run_that_is_stopped_says_what_is_left(
    blender, tmp_path, monkeypatch, capsys, voice, named
):
    """In the folder of the job file, or of the command, which goes before it."""

    def events(*_):
        yield {"event": "done", "job": "a", "report": {"takes": [{"score": None}]}}
        raise KeyboardInterrupt(15)

    (tmp_path / "jobs.toml").write_text(
        "out = 'out'\n[jobs.a]\naudio = 'line.wav'\n[jobs.b]\naudio = 'line.wav'\n"
    )
    monkeypatch.setattr(batch, "events_of", events)
    with pytest.raises(KeyboardInterrupt):
        out = ["--out", str(tmp_path / named)] if named else []
        batch.bake_all(read_options(["--jobs", str(tmp_path / "jobs.toml"), *out]))
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "2 jobs to bake",
        "[1/2] a: 1 take in 0 s",
        "1 baked, 1 not baked: the same command goes on from here",
    ]
    rows = json.loads((tmp_path / (named or "out") / "batch.json").read_text())["jobs"]
    assert [row["state"] for row in rows] == ["baked", "not baked"]


@pytest.mark.parametrize("has_baked", [True, False])
def test_no_blender_any_more_is_no_run_in_which_nothing_was_started(
    blender, tmp_path, monkeypatch, capsys, voice, has_baked
):
    def events(*_):
        if has_baked:
            yield {"event": "failed", "job": "a", "sentence": "It died"}
        raise errors.NoEngine("No Blender could be started: try again")

    (tmp_path / "jobs.toml").write_text(
        "out = 'out'\n[jobs.a]\naudio = 'line.wav'\n[jobs.b]\naudio = 'line.wav'\n"
    )
    monkeypatch.setattr(batch, "events_of", events)
    options = read_options(["--jobs", str(tmp_path / "jobs.toml")])
    if not has_baked:
        with pytest.raises(errors.NoEngine):
            batch.bake_all(options)
        return
    assert batch.bake_all(options) == script.SOME_FAILED
    said = capsys.readouterr()
    assert "bake.py: No Blender could be started: try again" in said.err
    assert said.out.splitlines()[-1].startswith("1 failed, 1 not baked; see ")


# ---- runs


def test_a_wrong_job_file_is_said_before_anything_is_started(blender, tmp_path, monkeypatch, capfd):

    def start(*arguments):
        monkeypatch.setattr(
            sys, "argv", ["bake.py", "--jobs", str(tmp_path / "jobs.toml"), *arguments]
        )
        return script.exit_code("bake.py", read_options, batch.bake_all), *capfd.readouterr()

    (tmp_path / "jobs.toml").write_text("[jobs.a]\naudio = 'a.wav'\ntake = 3\n[jobs.b]\nsed = 1\n")
    code, _, complaints = start("--out", str(tmp_path / "out"))
    assert (
        code == 1
        and "Job “a” has an unknown key “take”: did you mean “takes”?" in complaints
        and "Job “b”" in complaints
    )
    (tmp_path / "jobs.toml").write_text(
        "[defaults]\naudio = 'shott.blend'\n"
        "[jobs.a]\naudio = 'nothere.wav'\n[jobs.b]\nstyle = 'Storytellr'\n[jobs.c]\nblend = "
        "'no.blend'\n"
        "[jobs.e]\nhead = 'x'\n"
    )
    code, _, complaints = start("--out", str(tmp_path / "out"))
    assert code == 1 and not (tmp_path / "out").exists()
    lines = complaints.removeprefix("bake.py: ").splitlines()
    assert (
        lines[0] == f"Job “a”: “audio”: there is no file “{tmp_path / 'nothere.wav'}”: name another"
    )
    assert lines[1].startswith("Jobs “b”, “c”, “e”: “audio”: there")
    assert lines[2] == 'Job “b”: “style” = "Storytellr" is no preset: did you mean “Storyteller”?'
    assert lines[3].startswith(f"Job “c”: “blend”: there is no file “{tmp_path / 'no.blend'}”")
    assert lines[4] == "Job “e”: “head” needs a scene that it is in: name it as “blend”"
    assert len(lines) == 5


# ---- what was picked on the page is committed


@pytest.fixture
def night(needs_sound, client, blender, scene, tmp_path, jobs_here):
    """The folder of a baked night: two strips that a head of one scene speaks, and a recording."""
    voice = noise(tmp_path / "line.wav", 1.0)
    strip_module.add(scene, str(voice), "First", 11)
    strip_module.add(scene, str(voice), "Second", 60)
    scene.animation_data_create().nla_tracks.new()  # such a scene only Blender can mix down
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    (tmp_path / "jobs.toml").write_text(
        "out = 'out'\n[defaults]\ntakes = 2\noutputs = ['blend']\n"
        "[jobs.one]\nblend = 'shot.blend'\nstrip = 'First'\n"
        "[jobs.two]\nblend = 'shot.blend'\nstrip = 'Second'\n"
        "[jobs.alone]\naudio = 'line.wav'\n[jobs.idle]\nseconds = 1.5\n"
    )

    assert bake_all(blender, tmp_path) == 0
    return tmp_path / "out"


def bake_all(blender, folder):
    # an open file is what jobs are baked in that name none
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return batch.bake_all(read_options(["--jobs", str(folder / "jobs.toml")]))


def commit(*arguments):
    return batch.start(read_options([str(each) for each in arguments]))


def write_picks(night, **ranks):
    """A file of picks as the page writes it; ranks: of the picked takes, by their jobs."""
    rows = []
    for job, rank in ranks.items():
        takes = json.loads((night / job / "report.json").read_text())["takes"]
        rows.append({"job": job, "curves_sha256": takes[rank - 1]["curves_sha256"]})
    path = night.parent / "picks.json"
    path.write_text(json.dumps({"picks": rows}))
    return path


def test_a_bake_of_many_leaves_its_sound_curves_and_grades_for_the_page(night):
    report = json.loads((night / "one" / "report.json").read_text())
    named = {report["weights"], report["made_from"]["weights"]}
    assert {json.loads((night / "batch.json").read_text())["weights"]} == named
    for job in ("one", "two", "alone"):
        shown = json.loads((night / job / "dailies.json").read_text())
        with wave.open(str(night / job / "voice.wav")) as file:
            assert abs(file.getnframes() / file.getframerate() - 1.0) < 0.02
            samples = np.frombuffer(file.readframes(1 << 20), "<i2")
            assert np.abs(samples).max() > 1000 and file.getnchannels() == 1
        assert len(shown["takes"]) == 2 and abs(shown["seconds"] - 1.0) < 0.1
        for take in shown["takes"]:
            assert take["opening"] and take["width"] and {"reason", "drifts", "grade"} <= set(take)
        assert len(set(take["opening"] for take in shown["takes"])) == 2
    idle = json.loads((night / "idle" / "dailies.json").read_text())
    assert len(idle["takes"]) == 2 and not (night / "idle" / "voice.wav").exists()


@needs_browser
def test_what_was_picked_by_keys_is_committed(night, blender, tmp_path, capsys):
    with browser(tmp_path) as chrome:
        chrome.open(night / "batch.html")
        assert chrome.text("#line h2") == "one"
        chrome.press(RIGHT, ENTER, ENTER, DOWN, "p", "s")
        (saved,) = until(lambda: list(chrome.downloads.glob("*.json")))
    baked = {path: path.stat().st_mtime_ns for path in night.glob("*/*.blend")}
    capsys.readouterr()
    assert commit("--picks", saved, "--out", night) == 0
    said = capsys.readouterr().out
    assert "picked/jobs_takes.blend" not in said
    assert "picked/shot_takes.blend: 2 lines committed on 1 head" in said
    assert "picked/idle.blend: 1 line committed" in said and "3 of 3 picks committed" in said
    assert {path: path.stat().st_mtime_ns for path in baked} == baked
    blender.ops.wm.open_mainfile(filepath=str(night / "picked" / "shot_takes.blend"))
    scene = blender.context.scene
    head = scene.objects["Thunder Head"]
    assert committing.committed_lines(head) == {"First", "Second"}
    starred = [(entry.voice, entry.name) for entry in scene.thunder.takes if entry.star]
    assert starred == [("First", "Take 2"), ("Second", "Take 1")]
    # one action holds both lines, and the second take's mouth is what it plays
    (action,) = {each.action for each in (head.data.shape_keys.animation_data,)}
    entry = next(each for each in scene.thunder.takes if each.star)
    scene.frame_set(entry.first + 12)
    performance = take_record.load(entry.action)
    assert action is not entry.action and len(performance.opening) > 20


def test_a_pick_that_cannot_be_committed_is_said_and_the_others_are(night, blender, capsys):
    saved = write_picks(night, one=2)
    saved.write_text(saved.read_text().replace('"one"', '"gone"'))
    assert commit("--picks", saved, "--out", night) == batch.SOME_FAILED
    assert capsys.readouterr().out.splitlines()[-1] == "0 of 1 picks committed"
    assert not (night / "picked").exists()
    saved = write_picks(night, one=2, alone=1)
    listed = json.loads(saved.read_text())
    listed["picks"] += [
        {"job": "two", "curves_sha256": "of an earlier bake"},
        {"job": "gone", "curves_sha256": "x"},
        {"job": "../out/one", "curves_sha256": "x"},
    ]
    saved.write_text(json.dumps(listed))
    assert commit("--picks", saved, "--out", night, "--commit", "twos") == batch.SOME_FAILED
    said = capsys.readouterr()
    assert "“two”: It was baked again since it was picked: pick it anew" in said.err
    for name in ("gone", "../out/one"):
        assert f"“{name}”: There is no bake of it in “{night}”" in said.err
    assert "2 of 5 picks committed" in said.out
    assert sorted(os.listdir(night / "picked")) == [
        "alone.blend", "shot_takes.blend", "thunder-files.json",
    ]  # fmt: skip
    # what somebody has changed since is not replaced
    (night / "picked" / "alone.blend").write_bytes(b"my work")
    assert commit("--picks", saved, "--out", night) == batch.SOME_FAILED
    assert "“alone”: " in (said := capsys.readouterr().err) and "is a file of yours" in said
    assert (night / "picked" / "alone.blend").read_bytes() == b"my work"
    # and neither picks nor what is picked make a bake be baked again
    assert bake_all(blender, night.parent) == 0
    assert "4 up to date" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "There is no file"),
        ("", "is empty: name the file that the page saved"),
        ("{", "holds no picks: save them on the page again"),
        ('{"picks": []}', "holds no picks"),
        ('{"picks": [{"job": 3, "curves_sha256": "a"}]}', "holds no picks"),
        ('{"picks": {"job": "a"}}', "holds no picks"),
        ('["picks"]', "holds no picks"),
    ],
)
def test_a_file_without_picks_is_refused(blender, tmp_path, content, words):
    path = tmp_path / "picks.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.BadRequest, match=words):
        collect.read_picks(str(path))
    with pytest.raises(SystemExit):
        read_options(["--picks", str(path)])  # without the folder of the page
