# SPDX-License-Identifier: GPL-3.0-or-later
"""The films of a study show the head with the voice, and are made once."""

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from thunder_core.animation import motion_file
from thunder_core.face.head import load_head
from thunder_core.types import Motion

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.one_blender, pytest.mark.usefixtures("needs_sound")]


def study(folder, *words, **variables):
    # A process of its own: the command loads the extension and opens empty files.
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(folder / "resources")} | variables
    command = [sys.executable, "-m", "research", "study", *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def test_motions_become_films_in_pairs_that_are_not_drawn_twice(tmp_path):
    channels = load_head().expression_names
    for name in ("lines", "open", "closed"):
        (tmp_path / name).mkdir()
    for number in range(2):
        with wave.open(str(tmp_path / "lines" / f"line{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes((8000 * np.sin(np.arange(4800) * 0.1)).astype("<i2").tobytes())
        for name, jaw in (("open", 0.3), ("closed", 0.0)):
            motion = Motion(
                np.zeros((8, len(channels)), np.float32), np.tile(np.float32([jaw, 0, 0]), (8, 1))
            )
            with open(tmp_path / name / f"line{number}.npz", "wb") as file:
                np.savez(file, **motion_file.arrays(motion, channels))
    sounds = sorted((tmp_path / "lines").iterdir())
    words = [
        "make",
        tmp_path / "study",
        *(w for s in sounds for w in ("--clip", s)),
        "--size",
        64,
        "--seconds",
        0.2,
    ]
    words += ["--system", f"a={tmp_path / 'open'}", "--system", f"b={tmp_path / 'closed'}"]
    done = study(tmp_path, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    key = json.loads((tmp_path / "study" / "key.json").read_text())
    shown = json.loads((tmp_path / "study" / "public" / "pairs.json").read_text())
    films = {path.stem: path for path in (tmp_path / "study" / "public").glob("*.mp4")}
    assert set(films) == set(key["films"]) and len(shown["pairs"]) == 2
    for name, path in films.items():
        data = path.read_bytes()
        assert b"avc1" in data and b"mp4a" in data, "picture and sound"
        assert not any(word in data for word in (b"line0", b"line1", str(tmp_path).encode())), (
            "nothing says what it is"
        )
    of = {
        name: [films[f].read_bytes() for f in films if key["films"][f]["system"] == name]
        for name in "ab"
    }
    assert not set(of["a"]) & set(of["b"])
    before = {name: path.stat().st_mtime_ns for name, path in films.items()}
    again = study(tmp_path, *words)
    assert again.returncode == 0 and "film 1" not in again.stdout
    assert {name: path.stat().st_mtime_ns for name, path in films.items()} == before
