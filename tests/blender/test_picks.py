# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lead picks on the page of many bakes is committed: by keys in a real browser, as a file,
into scenes beside those that were baked."""

import json
import os
import wave

import numpy as np
import pytest
from browser import browser, DOWN, ENTER, needs_browser, RIGHT
from performances import noise
from thunder.cli import bake as command, batch, collect
from thunder.scene.takes import take_record
from thunder.scene.takes.commit import committing
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import errors
from timing import until

pytestmark = pytest.mark.one_blender


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
    return batch.bake_all(command.options(["--jobs", str(folder / "jobs.toml")]))


def commit(*arguments):
    return batch.start(command.options([str(each) for each in arguments]))


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
        command.options(["--picks", str(path)])  # without the folder of the page
