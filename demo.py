# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts cli/demo.py, which `make demo` runs: `python demo.py -- --audio a.wav` or `blender -b
--python demo.py -- …`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bake import start  # noqa: E402

if __name__ == "__main__":
    start("demo", "demo")
