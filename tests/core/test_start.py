# SPDX-License-Identifier: GPL-3.0-or-later
"""What starting the engine imports, and what is left for the time after it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOADING = """
import json, sys
from thunder_core.engine.engine import Engine
engine = Engine.load(device="cpu")
before = sorted({name.partition(".")[0] for name in sys.modules})
steps = sum(1 for step in engine.prepare())
after = sorted({name.partition(".")[0] for name in sys.modules})
from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import Request
engine.generate(read_sound("assets/sample.wav"), Request(1, 1, system="teacher"))
print(json.dumps([before, after, sorted({name.partition(".")[0] for name in sys.modules}), steps]))
"""
# by users
NOT_INSTALLED = {
    "torch",
    "torchaudio",
    "transformers",
    "scipy",
    "sklearn",
    "matplotlib",
    "diffusers",
}


def test_starting_imports_only_what_the_networks_need_and_preparing_the_rest():
    run = subprocess.run(
        [sys.executable, "-c", LOADING],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    before, after, taught, steps = json.loads(run.stdout)
    assert "onnxruntime" not in before and "soundfile" not in before
    assert {"onnxruntime", "soundfile"} <= set(after) and steps > 1
    assert not NOT_INSTALLED & set(after)
    assert not NOT_INSTALLED & set(taught), "the teacher performs in what users install"
