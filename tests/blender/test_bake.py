# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking without a window: into the file that is named, with an exit code and one sentence when it
fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mathutils
import numpy as np
import played_engine
import pytest
from performances import read_wav, write_wav
from running_engine import connection, find_or_skip, ROOT, SAMPLE, stop_engine  # noqa: F401
from thunder.cli import bake as command, script
from thunder.cli.options import read_options
from thunder.scene.animation import display
from thunder.scene.heads import head as head_module
from thunder.scene.host import jobs
from thunder.scene.media import export
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import errors
from thunder.thunder_core.direction_presets import Preset

pytestmark = pytest.mark.one_blender


@pytest.fixture(scope="module")
def short_voice(tmp_path_factory):
    samples, rate = read_wav(SAMPLE)
    return write_wav(
        tmp_path_factory.mktemp("voice") / "short.wav", samples[: int(2.5 * rate)], rate
    )


@pytest.fixture(scope="module")
def engine():
    find_or_skip()


def run_bake(*arguments, timeout=150, **environment):
    return subprocess.run(
        [sys.executable, str(ROOT / "bake.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | environment,
    )


def test_a_path_that_was_pasted_with_spaces_is_found_unless_a_file_has_them(tmp_path):
    plain, spaced = tmp_path / "A.WAV", tmp_path / "B.WAV "
    for path in (plain, spaced):
        path.touch()
    assert script.file_path(f" {plain} ") == str(plain)
    assert script.file_path(str(spaced)) == str(spaced)
    gone = f"{tmp_path / 'gone.wav'} "
    assert script.file_path(gone) == gone, "the error names what was given"


@pytest.mark.usefixtures("engine")
def test_a_bake_goes_into_the_file_that_is_named(short_voice, tmp_path, blender, scene):
    scene.render.fps, scene.frame_start = 60, 21
    scene.thunder.head.name = "Heroine"
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    done = run_bake(
        "--blend",
        tmp_path / "shot.blend",
        "--audio",
        short_voice,
        "--takes",
        1,
        "--steps",
        5,
        "--guidance",
        1.5,
        "--out",
        tmp_path / "o",
    )
    assert done.returncode == 0, done.stderr
    assert f"shot.blend and 1 take in {tmp_path / 'o'};" in done.stdout.splitlines()[-1]
    assert ".thunder_" not in done.stdout and "Saved copy" not in done.stdout
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert (report["steps"], report["guidance"]) == (5, 1.5)
    assert sorted(os.listdir(tmp_path / "o")) == ["report.json", "shot.blend", "thunder-files.json"]
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "o" / "shot.blend"))
    scene = blender.context.scene
    assert [obj.name for obj in scene.objects if obj.type == "MESH" and obj.data.shape_keys] == [
        "Heroine"
    ]
    assert scene.thunder.takes[0].first == 21 and scene.thunder.takes[0].last > 21 + 2.3 * 60
    strips = strip_module.sound_strips(scene)
    assert len(strips) == (1 if strip_module.has_audio() else 0)
    for strip in strips:  # found from where the file lies now
        assert os.path.samefile(blender.path.abspath(strip.sound.filepath), short_voice)


def test_a_take_of_another_recording_moves_to_this_one(short_voice, tmp_path, blender, connection):
    def baked(audio, out, *more):
        given = ("--audio", audio, "--quality", "draft", "--npz", "--out", tmp_path / out, *more)
        return command.bake(read_options([*map(str, given)]))

    samples, rate = read_wav(short_voice)
    other = write_wav(tmp_path / "other.wav", samples[: 2 * rate], rate)
    baked(short_voice, "old", "--takes", 1)
    take = tmp_path / "old" / "take_01.npz"
    new = ("--takes", 2, "--perform-as", take)
    for voice, said in (
        ((), "go together: give a take and the recording"),
        (("--performed-voice", other), "give the recording that it was made of"),
    ):
        with pytest.raises(errors.BadRequest, match=said):
            baked(other, "wrong", *new, *voice)
    report = baked(other, "new", *new, "--performed-voice", short_voice)
    told = report["performed"]
    assert "accents of “take_01” are on the same words of “other”" in " ".join(told["said"])
    assert told["take"] == str(take) and told["accents"]
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "new" / report["blend"]))
    kinds = {entry.kind for entry in blender.context.scene.thunder.takes}
    assert kinds == {"RESAMPLED"}, "its seed alone does not make it again"
    first, second = (np.load(tmp_path / "new" / f"take_0{i}.npz") for i in (1, 2))
    assert np.array_equal(first["head"], second["head"])
    assert not np.array_equal(first["opening"], second["opening"])


@pytest.mark.skipif(os.name == "nt", reason="a shell closes the streams")
@pytest.mark.parametrize("closed", ["0<&- 1>&- 2>&-", "1>/dev/full"])
def test_a_stream_that_is_closed_or_full_does_not_change_how_a_bake_ends(tmp_path, closed):
    command = f'"$0" "$1" --audio "{tmp_path}/none.wav" --out "{tmp_path}/o" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, str(ROOT / "bake.py")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "2>&-" in closed or done.stderr.startswith("bake.py: There is no file")


def test_the_temporary_folder_stays_where_blender_can_make_none_of_its_own(small_disk):
    """Blender names the temporary folder itself then."""
    tiny = small_disk(1024, inodes=3)
    for name in ("notes.txt", "shot.blend"):
        (tiny / name).write_text("mine")
    assert run_bake("--out", "", TMPDIR=str(tiny)).returncode == 2
    assert sorted(os.listdir(tiny)) == ["notes.txt", "shot.blend"]


def children_of(parent):
    """Ids of the processes whose parent is this process."""
    threads = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for each in threads for child in each.read_text().split()]


def hears_ctrl_c():
    """For a child: signals as in a terminal, even where these tests run in the background, where
    shells ignore them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.usefixtures("engine")
@pytest.mark.skipif(os.name == "nt", reason="signals are sent as POSIX does it")
@pytest.mark.parametrize(
    "after, how, code", [(0.3, signal.SIGINT, 130), (1.3, signal.SIGTERM, 143)]
)
def test_a_bake_that_is_stopped_while_it_starts_says_so(tmp_path, after, how, code):
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "bake.py"),
            "--audio",
            str(SAMPLE),
            "--steps",
            "1000",
            "--out",
            str(tmp_path / "out"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears_ctrl_c,
    )
    time.sleep(after)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code and said == "bake.py: stopped\n"


@pytest.fixture
def own_signals():
    """What the test does with signals ends with it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows closes no terminals so")
def test_a_closed_terminal_does_not_stop_a_bake(blender, own_signals):
    with script.interruptible():
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_stop_in_a_function_that_blender_calls_is_not_dropped(blender, capfd, own_signals):
    """Blender prints what such a function raises, and goes on."""
    hears_ctrl_c()
    called = []

    def stopped(*_):
        if not called:
            called.append(True)
            signal.raise_signal(signal.SIGINT)

    blender.app.handlers.frame_change_pre.append(stopped)
    try:
        with pytest.raises(KeyboardInterrupt) as caught, script.interruptible():
            blender.context.scene.frame_set(7)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                time.sleep(0.01)
    finally:
        blender.app.handlers.frame_change_pre.remove(stopped)
    assert (
        called
        and caught.value.args == (signal.SIGINT,)
        and "Traceback" not in capfd.readouterr().err
    )


@pytest.mark.usefixtures("engine")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up as Linux lists them")
@pytest.mark.parametrize(
    "how, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_bake_that_is_stopped_leaves_neither_process_nor_file(tmp_path, how, code):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / "bake.py"),
            "--audio",
            str(SAMPLE),
            "--takes",
            "32",
            "--steps",
            "1000",
            "--out",
            str(tmp_path / "out"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
        preexec_fn=hears_ctrl_c,
    )
    for line in process.stdout:
        if "Sampling" in line:
            break
    workers = children_of(process.pid)
    assert len(workers) == 1
    process.send_signal(signal.SIGHUP)  # the terminal is closed: that alone ends nothing
    assert process.stdout.readline() and process.poll() is None
    process.send_signal(how)
    if how != signal.SIGKILL:  # again and again, as people do: it must not end the cleaning up
        time.sleep(0.05)
        process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in said
    assert how == signal.SIGKILL or said.splitlines()[-1] == "bake.py: stopped"
    end = time.monotonic() + 20
    while (
        Path(f"/proc/{workers[0]}").exists() or os.listdir(temporary)
    ) and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{workers[0]}").exists()
    assert not (tmp_path / "out").exists()
    assert [name for name in os.listdir(temporary) if name.startswith("thunder")] == []


# ---- no file of the animator is lost


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


def test_a_report_says_the_manner_that_takes_were_made_in(bake, tmp_path):
    manner = {"thunder_manner": 1, "lines": 3, "changes": [{"what": "jaw", "size": 0.6}]}
    (tmp_path / "anna.json").write_text(json.dumps(manner))
    assert bake("--out", tmp_path / "out", "--manner", tmp_path / "anna.json")[0] == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["direction"]["manner"] == manner


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


def test_a_head_that_was_baked_as_a_listener_stays_one(baked, blender, voice, tmp_path):
    report = baked("--listen-to", voice)
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / report["blend"]))
    settings = blender.context.scene.thunder
    assert (settings.head_role, settings.takes[0].role) == ("LISTENS", "LISTENS")


def test_the_file_of_a_new_head_opens_on_its_face_and_ends_with_the_line(
    baked, blender, voice, tmp_path
):
    report = baked("--audio", voice)
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / report["blend"]))
    scene = blender.context.scene
    take, mesh = scene.thunder.takes[0], scene.thunder.head
    assert scene.frame_end == take.last + take.lead_out < 250
    corners = [mesh.matrix_world @ mathutils.Vector(corner) for corner in mesh.bound_box]
    views = [
        area.spaces.active.region_3d
        for screen in blender.data.screens
        for area in screen.areas
        if area.type == "VIEW_3D"
    ]
    assert views
    for view in views:
        ahead = view.view_rotation @ mathutils.Vector((0, 0, -1))
        assert ahead.y > 0.99, "from the front"
        assert all((corner - view.view_location).length < view.view_distance for corner in corners)


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
