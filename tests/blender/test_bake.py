# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking without a window: into the file that is named, with an exit code and one sentence when it
fails."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from performances import read_wav, write_wav
from running_engine import connection, find_or_skip, ROOT, SAMPLE, stop_engine  # noqa: F401
from thunder.cli import bake as command, script
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import errors

pytestmark = pytest.mark.one_blender


@pytest.fixture(scope="module")
def short_voice(tmp_path_factory):
    samples, rate = read_wav(SAMPLE)
    return write_wav(
        tmp_path_factory.mktemp("voice") / "short.wav", samples[: int(2.5 * rate)], rate
    )


@pytest.fixture(scope="module", autouse=True)
def engine():
    find_or_skip()


def bake(*arguments, timeout=150, **environment):
    return subprocess.run(
        [sys.executable, str(ROOT / "bake.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | environment,
    )


def test_a_bake_goes_into_the_file_that_is_named(short_voice, tmp_path, blender, scene):
    scene.render.fps, scene.frame_start = 60, 21
    scene.thunder.head.name = "Heroine"
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    done = bake(
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
        return command.bake(command.options([*map(str, given)]))

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
    assert bake("--out", "", TMPDIR=str(tiny)).returncode == 2
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


def test_a_stop_in_a_function_that_blender_calls_is_not_dropped(blender, capfd):
    """Blender prints what such a function raises, and goes on."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
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
        for number, handler in zip((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), before):
            signal.signal(number, handler)
    assert (
        called
        and caught.value.args == (signal.SIGINT,)
        and "Traceback" not in capfd.readouterr().err
    )


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
