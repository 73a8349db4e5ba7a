# SPDX-License-Identifier: GPL-3.0-or-later
"""A bake loses no file of the animator: what it replaces, what it refuses, and how it says so. The
engine is a played one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import played_engine
import pytest
from thunder.scene.animation import display
from thunder.scene.heads import head as head_module
from thunder.scene.host import jobs
from thunder.scene.media import export
from thunder.thunder_core.direction_presets import Preset

pytestmark = pytest.mark.one_blender

ROOT = Path(__file__).resolve().parents[2]
BAKED = ["line.blend", "report.json", "take_01.npz", "take_02.npz", "thunder-files.json"]


@pytest.fixture
def shot(blender, tmp_path):
    """A saved scene with a head."""
    blender.ops.thunder.add_head()
    path = tmp_path / "own" / "shot.blend"
    path.parent.mkdir()
    blender.ops.wm.save_as_mainfile(filepath=str(path), compress=False)
    return path


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_bake_replaces_the_first_and_nothing_else(bake, tmp_path):
    out = tmp_path / "out"
    assert bake("--out", out, "--npz", "--takes", 3)[0] == 0
    mine = ["take_05.npz", "notes.txt"]
    mine += [os.fsdecode(b"caf\xe9")] * (sys.platform == "linux")  # which alone has such names
    for name in mine:
        (out / name).write_bytes(b"mine")
    assert bake("--out", out, "--npz")[0] == 0
    assert sorted(os.listdir(out)) == sorted([*BAKED, *mine])
    assert {(out / name).read_bytes() for name in mine} == {b"mine"}
    assert len(json.loads((out / "report.json").read_text())["takes"]) == 2
    listed = json.loads((out / "thunder-files.json").read_text())["written by THUNDER"]
    assert sorted(listed) == [name for name in BAKED if name != "thunder-files.json"]
    # without --npz: the takes of the bake before would be beside a report of others
    assert bake("--out", out)[0] == 0
    assert sorted(os.listdir(out)) == sorted(
        ["line.blend", "report.json", "thunder-files.json", *mine]
    )


def test_a_scene_of_other_takes_does_not_stay_beside_a_report(bake, tmp_path, voice):
    """It goes where this bake writes none, unless it was changed, and is named where it is another
    voice's."""
    out, other = tmp_path / "out", tmp_path / "other.wav"
    shutil.copy(voice, other)
    assert bake("--out", out)[0] == 0
    assert bake("--out", out, "--outputs", "npz")[0] == 0
    assert "line.blend" not in os.listdir(out)
    assert bake("--out", out)[0] == 0 and "line.blend" in os.listdir(out)
    assert bake("--out", out, "--audio", other, warns=1)[0] == 0
    assert {"line.blend", "other.blend"} <= {*os.listdir(out)}
    report = json.loads((out / "report.json").read_text())
    assert any("“line.blend” in the folder is of an earlier bake" in x for x in report["warnings"])
    (out / "other.blend").write_bytes(b"mine")
    assert bake("--out", out, "--audio", other, "--outputs", "npz")[0] == 0
    assert (out / "other.blend").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["report.json", "line.blend"])
def test_a_file_that_no_bake_wrote_is_refused_before_sampling(bake, client, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(b"mine")
    code, sentence = bake("--out", out, "--npz")
    assert code == 1 and "--force" in sentence and f"“{name}1”" in sentence
    assert content_of(out) == {name: b"mine"} and client.asked == []
    code, output = bake("--out", out, "--npz", "--force")
    assert code == 0 and f"“{name}” was there and is kept as “{name}1”" in output
    assert (
        sorted(os.listdir(out)) == sorted([*BAKED, f"{name}1"])
        and (out / f"{name}1").read_bytes() == b"mine"
    )


@pytest.mark.parametrize("name", ["line.wav", "shot.blend", "hers.json"])
def test_a_file_that_is_replaced_while_it_is_baked_does_not_pass_for_the_source(
    bake, client, shot, voice, tmp_path, monkeypatch, name
):
    preset = tmp_path / "hers.json"
    preset.write_text(Preset("Hers").to_json())
    replaced = next(path for path in (Path(voice), shot, preset) if path.name == name)
    request = client.request

    def replace_meanwhile(verb, **args):
        (tmp_path / "new").write_bytes(b"new")
        os.replace(tmp_path / "new", replaced)
        return request(verb, **args)

    monkeypatch.setattr(client, "request", replace_meanwhile)
    monkeypatch.setattr(played_engine, "seconds_of", lambda path: 2.0)
    code, sentence = bake(
        "--out", tmp_path / "out", "--blend", shot, "--style", preset, "--takes", 1
    )
    assert (
        code == 1
        and f"{name}” was changed, replaced or removed while it was baked: bake again" in sentence
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def library(blender, shot, tmp_path):
    """A library of the same file name as the shot, which links an object from it."""
    library = tmp_path / "library" / "shot.blend"
    library.parent.mkdir()
    shutil.copy(shot, library)
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with blender.data.libraries.load(str(library), link=True) as (there, here):
        here.objects = [name for name in there.objects if "Rig" not in name][:1]
    blender.context.scene.collection.objects.link(blender.data.objects[0])
    blender.ops.wm.save_as_mainfile(filepath=str(shot))
    return library


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_linked_library_is_not_replaced(bake, shot, library, force):
    before = library.read_bytes()
    code, sentence = bake("--blend", shot, "--out", library.parent, *force)
    assert code == 1 and "is read for this" in sentence
    assert os.listdir(library.parent) == ["shot.blend"] and library.read_bytes() == before


def test_a_file_that_the_scene_uses_is_not_replaced(bake, blender, shot, tmp_path):
    blender.ops.wm.open_mainfile(filepath=str(shot))
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text("a caption")
    text = blender.data.images.new("caption", 1, 1)
    text.source, text.filepath, text.use_fake_user = "FILE", str(out / "report.json"), True
    blender.ops.wm.save_mainfile()
    code, sentence = bake("--blend", shot, "--out", out, "--force")
    assert (
        code == 1
        and "report.json” is read for this" in sentence
        and content_of(out) == {"report.json": b"a caption"}
    )


@pytest.mark.parametrize("missing", ["file", "object"])
def test_what_a_library_no_longer_has_is_refused_before_sampling(
    bake, blender, client, shot, library, tmp_path, missing
):
    if missing == "file":
        library.unlink()
        said = f"There is no file “{library}”, which the scene links"
    else:
        name = next(obj.name for obj in blender.data.objects if obj.library)
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        blender.ops.wm.save_as_mainfile(filepath=str(library))
        said = f"“{name}” is missing in “{library}”"
    code, sentence = bake("--blend", shot, "--out", tmp_path / "out")
    assert code == 1 and said in sentence
    assert client.asked == [] and not (tmp_path / "out").exists()


def test_a_scene_that_blender_saves_incompletely_without_a_word_does_not_replace_the_earlier_one(
    bake, blender, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    monkeypatch.setattr(blender.context.preferences.filepaths, "use_file_compression", True)
    assert bake("--out", out)[0] == 0
    before = content_of(out)

    @blender.app.handlers.persistent
    def lose_the_end(path, *_):
        os.truncate(path, os.path.getsize(path) - 100_000)

    with jobs.handled("save_post", lose_the_end):
        code, sentence = bake("--out", out)
    assert code == 1 and "cannot be written (the scene could not be saved completely)" in sentence
    assert content_of(out) == before


@pytest.mark.parametrize("start", [-1048574, 1048574])
def test_the_farthest_frames_of_a_scene_can_be_baked(bake, tmp_path, start):
    assert bake("--out", tmp_path / "out", f"--start={start}")[0] == 0


def newer(data):
    """A .blend file as a Blender of two years later would have saved it."""
    old = b"v0" if data[7:8].isdigit() else b"v"
    at = data.index(old, 7) + len(old)
    return data[:at] + b"799" + data[at + 3 :]


def test_a_file_of_a_newer_blender_is_not_baked_in_without_a_word(bake, shot, tmp_path):
    shot.write_bytes(newer(shot.read_bytes()))
    code, sentence = bake("--blend", shot, "--out", tmp_path / "out")
    assert (
        code == 1
        and "“shot.blend” was saved by a newer Blender (7.99" in sentence
        and "--allow-newer" in sentence
    )
    assert not (tmp_path / "out").exists()
    assert bake("--blend", shot, "--out", tmp_path / "out", "--allow-newer")[0] == 0


def test_a_terminal_of_another_encoding_is_no_reason_to_fail(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "bake.py"),
            "--audio",
            str(tmp_path / "häßlich.wav"),
            "--out",
            str(tmp_path / "out"),
        ],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        timeout=100,
    )
    assert (
        done.returncode == 1
        and b"There is no file" in done.stderr
        and b"Traceback" not in done.stderr
    )


@pytest.mark.parametrize("on", ["ones", "twos"])
def test_exports_of_a_committed_take_hold_what_was_committed(bake, blender, tmp_path, on):
    out, rows = tmp_path / "out", {}
    outputs = ("--outputs", "blend,csv,vrma", "--export-takes", 2, "--force")
    for committed in (("--commit", on), ()):
        assert bake("--out", out, *outputs, *committed)[0] == 0
        rows[committed] = content_of(out)
    first, plain = rows.values()
    for ending, form in (("csv", "ARKIT"), ("vrma", "VRMA")):
        assert first[f"take_02.{ending}"] == plain[f"take_02.{ending}"]
        assert first[f"take_01.{ending}"] != plain[f"take_01.{ending}"]
    saved = tmp_path / "committed.blend"
    saved.write_bytes(first["line.blend"])
    blender.ops.wm.open_mainfile(filepath=str(saved))
    scene, layer = blender.context.scene, blender.context.view_layer
    rig, entry = head_module.find(scene), scene.thunder.takes[0]
    assert display.shown_action(rig) is None, "what was committed plays"
    shot = export.Shot(scene, layer, rig, entry.first, entry.last, from_zero=True)
    for ending, form in (("csv", "ARKIT"), ("vrma", "VRMA")):
        again = tmp_path / f"again.{ending}"
        export.export(shot, export.FORMATS[form], str(again))
        assert again.read_bytes() == first[f"take_01.{ending}"]
