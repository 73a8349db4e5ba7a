# SPDX-License-Identifier: GPL-3.0-or-later
"""Real voices: every format is read, and the lips of a take follow real lips better than loudness
does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import Request

pytestmark = pytest.mark.data

SOUNDS = {".wav", ".flac", ".mp3", ".ogg"}


@pytest.fixture(scope="module")
def data():
    folder = os.environ.get("THUNDER_DATA")
    if not folder:
        pytest.skip("THUNDER_DATA names no folder of recordings")
    return Path(folder)


def test_real_recordings_of_every_format_are_read(data):
    by_format = {}
    for path in sorted((data / "speech").rglob("*")):
        if path.suffix.lower() in SOUNDS and len(by_format.setdefault(path.suffix.lower(), [])) < 3:
            by_format[path.suffix.lower()].append(path)
    assert len(by_format) >= 2, "the folder of recordings holds fewer than two kinds of file"
    for path in sum(by_format.values(), []):
        speech = read_sound(path)
        assert speech.rate == 16000 and 0.3 < speech.seconds < 3600
        assert 0.005 < np.abs(speech.samples).max() <= 1.0


@pytest.mark.slow
def test_lips_follow_real_lips_better_than_loudness_does(data, tmp_path):
    """score.py's row “weighted by s”, column r, on the clips that nothing was fitted to."""
    from thunder_core.engine.engine import Engine

    lips = data / "lips"
    if not (lips / "score.py").is_file():
        pytest.skip("THUNDER_DATA holds no measured lips")
    import tomllib

    engine = Engine.load()
    for clip in tomllib.loads((lips / "split.toml").read_text())["check"]:
        best = engine.generate(read_sound(lips / f"{clip}.wav"), Request(takes=2, seed=1))[0]
        np.savez(tmp_path / f"{clip}.npz", opening=best.opening, width=best.width)
    table = tmp_path / "table.json"
    subprocess.run(
        [sys.executable, lips / "score.py", tmp_path, "--split", "check", "--json", table],
        check=True,
        timeout=120,
        capture_output=True,
    )
    scores = json.loads(table.read_text())
    seconds = {clip: len(np.load(lips / f"{clip}.npz")["opening"]) for clip in scores["system"]}

    def weighted(system):
        return sum(seconds[clip] * scores[system][clip]["r"] for clip in seconds) / sum(
            seconds.values()
        )

    assert len(seconds) == 7
    assert weighted("system") > weighted("rms"), (
        f"take {weighted('system'):.2f}, loudness {weighted('rms'):.2f}"
    )
