# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the operating system that a test can tell from doing nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from thunder_core import system_calls

ROOT = Path(__file__).resolve().parents[2]
_HOLES = """
from thunder_core.system_calls import memory_used, release_free_memory
blocks = [bytearray(60_000) for _ in range(4000)]  # below the size that goes back to the system by itself
kept = blocks[::40]
del blocks
before = memory_used()
release_free_memory()
print(before - memory_used(), len(kept))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only the C library of Linux has the call"
)
def test_freed_memory_between_what_is_in_use_goes_back_to_the_system():
    done = subprocess.run(
        [sys.executable, "-c", _HOLES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    released, kept = map(int, done.stdout.split())
    assert kept == 100 and released > 150e6, f"{released} of 240 MB"


def test_the_runtime_beside_blender_is_found_from_its_python(monkeypatch, tmp_path):
    searched = []
    monkeypatch.setattr(system_calls, "WINDOWS", True)
    monkeypatch.setattr(system_calls.os, "add_dll_directory", searched.append, raising=False)
    # as in Blender's folder
    monkeypatch.setattr(system_calls.sys, "prefix", str(tmp_path / "5.0" / "python"))
    system_calls.find_runtime()
    assert searched == []
    (tmp_path / "blender.crt").mkdir()
    system_calls.find_runtime()
    assert searched == [str(tmp_path / "blender.crt")]
