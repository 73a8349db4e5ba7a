# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sound files are refused before jobs are baked: those that the engine would refuse when it
bakes them, and no others."""

import json
import sys

import numpy as np
import pytest
import soundfile

from thunder_core.batch import inputs
from thunder_core.engine.speech import audio
from thunder_core.engine.speech.audio import read_sound
from thunder_core.errors import BadSound


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
