# SPDX-License-Identifier: GPL-3.0-or-later
"""Cues from the panel and from bakes, with the real engine."""

import json
import sys

import numpy as np
import pytest
from running_engine import connection, SAMPLE, scene, speak, stop_engine  # noqa: F401
from thunder.cli import bake as command, script
from thunder.scene.heads import head
from thunder.scene.media import export as export_module
from thunder.scene.takes import take_list, transcript, word_places
from thunder.thunder_core.face.lips import opening_mm

pytestmark = pytest.mark.one_blender

SAID = "My brother moves both big blue boxes from the front room."  # how the sample begins


def export(blender, form, path, **more):
    return blender.ops.thunder.export_performance(filepath=str(path), form=form, **more)


def table_of(path):
    """Rows of a cue file: (start, end, kind, value)."""
    head_row, *lines = path.read_text(encoding="utf-8").splitlines()
    assert head_row == "start\tend\tkind\tvalue"
    split = [line.split("\t") for line in lines]
    return [(float(start), float(end), kind, value) for start, end, kind, value in split]


def test_the_panel_writes_cues_of_a_take_and_says_what_it_needs(
    blender,
    scene,
    tmp_path,  # noqa: F811
):
    line = speak(scene, start=13)
    if line is None:
        pytest.skip("this Blender has no sound")
    scene.render.fps = 24
    with pytest.raises(RuntimeError, match="the sounds of “line” in frames 1 to 250: choose that"):
        export(blender, "CUES", tmp_path / "no.tsv", frames="SCENE")
    transcript.ensure(scene, "line").text = SAID
    assert blender.ops.thunder.generate() == {"FINISHED"}
    entry = take_list.shown_take(scene.thunder)
    assert export(blender, "CUES", tmp_path / "line.tsv", frames="TAKE") == {"FINISHED"}
    rows = table_of(tmp_path / "line.tsv")
    [found] = word_places.lines(scene, scene)
    late = (13 - entry.first) / 24  # the file begins with the take's lead-in
    sounds = [row for row in rows if row[2] == "sound"]
    assert [row[3] for row in sounds] == [each[0] for each in found.spoken.sounds]
    assert sounds[0][0] == pytest.approx(found.spoken.sounds[0][1] + late, abs=2e-3)
    assert [row[3] for row in rows if row[2] == "word"] == SAID.rstrip(".").split()
    # in the scene's own time; words found in another strip of the recording are not looked at
    record, other = transcript.of(scene, "line"), transcript.ensure(scene, "again")
    other.recording, other.spoken, other.version = record.recording, record.spoken, record.version
    assert export(blender, "RHUBARB", tmp_path / "line.json", frames="TAKE", from_zero=False) == {
        "FINISHED"
    }
    mouths = json.loads((tmp_path / "line.json").read_text())["mouthCues"]
    shapes = [row for row in rows if row[2] == "shape"]
    assert [mouth["value"] for mouth in mouths] == [row[3] for row in shapes]
    assert mouths[0]["start"] - shapes[0][0] == pytest.approx(entry.first / 24, abs=6e-3)
    # lips are shut where it says A, and open where it says D
    shot = export_module.Shot(scene, None, head.find(scene), entry.first, entry.last, 25.0)
    seen = opening_mm(export_module.motion_of(shot))
    gap = {
        letter: np.median(
            [seen[round((row[0] + row[1]) / 2 * 25)] for row in shapes if row[3] == letter]
        )
        for letter in ("A", "D")
    }
    assert gap["A"] < 1.0 and gap["D"] > 8.0


def test_a_bake_writes_cues_and_vrm_animation_of_every_take(
    blender,
    connection,
    tmp_path,
    monkeypatch,  # noqa: F811
):
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    arguments = [
        "--audio", SAMPLE, "--takes", "2", "--outputs", "cues,rhubarb,vrma", "--out",
        str(tmp_path / "out"),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["bake.py", *arguments])
    assert script.exit_code("bake.py", command.options, command.bake) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {f"take_0{n}.{end}" for n in (1, 2) for end in ("tsv", "json", "vrma")} <= names
    mouths = json.loads((tmp_path / "out" / "take_01.json").read_text())
    assert mouths["metadata"]["soundFile"] == "sample.wav"
    assert {"A", "B", "D", "X"} <= {mouth["value"] for mouth in mouths["mouthCues"]}
    rows = table_of(tmp_path / "out" / "take_01.tsv")
    assert any(row[2:] == ("sound", "M") for row in rows)
