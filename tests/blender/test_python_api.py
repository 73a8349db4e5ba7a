# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python API makes what the panel makes, bit for bit: the same sound, seed and settings give
the same files."""

import importlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from performances import read_wav, write_wav
from running_engine import connection, scene, stop_engine  # noqa: F401
from thunder.cli import products
from thunder.scene.heads import head
from thunder.scene.takes import take_record
from thunder.scene.takes.direction import sliders

pytestmark = pytest.mark.one_blender

ROOT = Path(__file__).resolve().parents[2]
PERFORM = """
import json, sys
import thunder_core as thunder
sound, out, settings = sys.argv[1:]
takes = thunder.perform(thunder.load(sound), **json.loads(settings))
for rank, take in enumerate(takes, start=1):
    take.save(f"{out}/api_{rank:02d}.npz")
    take.save(f"{out}/api_{rank:02d}.csv")
print([take.seed for take in takes])
"""


@pytest.fixture
def voice(tmp_path):
    """The path of two seconds of the sample voice."""
    samples, rate = read_wav(ROOT / "assets" / "sample.wav")
    return write_wav(tmp_path / "Anna.wav", samples[8000 : 8000 + 2 * rate], rate)


def performed(voice, folder, **settings):
    """Save takes of the Python API, made by the engine's Python, as api_01.npz …; their seeds, best
    take first."""
    python = importlib.import_module("thunder.thunder_core.engine_python").find_engine_python()
    done = subprocess.run(
        [python, "-c", PERFORM, str(voice), str(folder), json.dumps(settings)],
        capture_output=True,
        text=True,
        timeout=150,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_api_makes_the_takes_of_the_panel_bit_for_bit(blender, scene, voice, tmp_path):
    scene.thunder.property_unset("seed")
    scene.thunder.source, scene.thunder.sound_file = "FILE", str(voice)
    sliders.ensure(head.find(scene).owner).mood = "warm"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    entries = list(scene.thunder.takes)
    assert performed(voice, tmp_path, takes=2, mood="warm") == [entry.seed for entry in entries]
    for rank, entry in enumerate(entries, start=1):
        products.write_npz(str(tmp_path / "panel.npz"), take_record.load(entry.action))
        assert (tmp_path / "panel.npz").read_bytes() == (
            tmp_path / f"api_{rank:02d}.npz"
        ).read_bytes()
    with np.load(tmp_path / "panel.npz") as take:
        assert np.ptp(take["jaw"][:, 0]) > 0.02
