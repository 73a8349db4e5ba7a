# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of scenes and sounds before jobs are baked: which Blender saved a file, and which sounds
the engine would refuse."""

import gzip
import io
import json
import sys
import types

import numpy as np
import pytest
import soundfile

from thunder_core.batch import inputs
from thunder_core.batch.inputs import Header
from thunder_core.engine.speech import audio
from thunder_core.engine.speech.audio import read_sound
from thunder_core.errors import BadSound

OLD, LONG = b"BLENDER-v402RENDH" + bytes(99), b"BLENDER17-01v0501REND" + bytes(99)


@pytest.mark.parametrize(
    "data, header",
    [
        (OLD, Header((4, 2))),
        (b"BLENDER_V279" + bytes(9), Header((2, 79))),
        (LONG, Header((5, 1), True)),
    ],
)
def test_the_version_is_read(tmp_path, data, header):
    for pack in (bytes, gzip.compress):
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
