# SPDX-License-Identifier: GPL-3.0-or-later
"""A microphone for tests: a Python for the engine in which miniaudio plays a file as the device, in
real time, or has a fault."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def engine_with(folder, sound, fault="", speed=1.0, real="") -> str:
    """A Python for the engine with that microphone. fault: as in device/miniaudio.py.  real: the
    Python itself."""
    script = Path(folder) / f"python_{fault.replace(':', '_') or 'plays'}"
    python = real or os.environ.get("THUNDER_PYTHON") or sys.executable
    script.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{HERE / "device"}:$PYTHONPATH" PLAYED_SOUND="{sound}" '
        f'PLAYED_FAULT="{fault}" PLAYED_SPEED={speed}\n'
        f'exec "{python}" "$@"\n'
    )
    script.chmod(0o755)
    return str(script)
