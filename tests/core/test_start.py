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
print(json.dumps([before, sorted({name.partition(".")[0] for name in sys.modules}), steps]))
"""


def test_starting_imports_only_what_the_networks_need_and_preparing_the_rest():
    run = subprocess.run([sys.executable, "-c", LOADING], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    before, after, steps = json.loads(run.stdout)
    assert "torch" in before and "soundfile" not in before
    assert "soundfile" in after and steps > 1
    assert not {"transformers", "scipy", "sklearn", "matplotlib", "diffusers"} & set(after), "what users do not install"
