# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads: how fast they are built, evaluated and played, and how exactly exports are read back, in
every installed Blender.

`python -m research heads` in the engine's environment prints the tables and writes
research/results/heads.txt. Blenders are the environments .venv/bpy-*; with BLENDER naming a real
one its window plays the head too.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch

from research.harness import add_shared, keep, RESULTS, ROOT, use_tests
from thunder_core import installer
from thunder_core.face.head import HEAD_FILE, load_head
from thunder_core.networks.flame import FlameLayer

WINDOW = ROOT / "out" / "window" / "plays"
TAKES, FRAMES = 8, 250


def mouths() -> str:
    """Processor milliseconds on one core for the mouth vertices of eight takes, 30 times."""
    head = load_head()
    layer = FlameLayer(head, head.mouth_vertices)
    expression, jaw = torch.rand(TAKES * FRAMES, head.channels), 0.2 * torch.rand(TAKES * FRAMES, 3)
    threads, spent = torch.get_num_threads(), []
    torch.set_num_threads(1)
    with torch.no_grad():
        for _ in range(30):
            began = time.thread_time()
            layer(expression, jaw)
            spent.append(1e3 * (time.thread_time() - began))
    torch.set_num_threads(threads)
    return (
        f"mouth vertices of {TAKES} takes × {FRAMES} frames ({len(head.mouth_vertices)} vertices, "
        f"{head.channels} channels), "
        f"one core: {np.median(spent):.1f} ms median, {min(spent):.1f} least"
    )


def blenders() -> dict[str, Path]:
    """Version → Python of the Blenders that are installed as modules, oldest first."""
    pythons = {
        folder.name.removeprefix("bpy-"): Path(installer.python_in(str(folder)))
        for folder in (ROOT / ".venv").glob("bpy-*")
    }
    return dict(
        sorted((version, python) for version, python in pythons.items() if python.is_file())
    )


def measure_in_blender(python: Path, flame_file: str) -> dict:
    """The figures that heads_in_blender.py prints."""
    done = subprocess.run(
        [python, "-m", "research.heads_in_blender", flame_file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise SystemExit(f"{python}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def make_flame_file(folder: str) -> str:
    """A file in FLAME's format, made from the bundled head on another topology, as the tests
    use."""
    use_tests()
    from made_flame import made_flame

    with np.load(HEAD_FILE) as asset:
        return str(
            made_flame({name: asset[name] for name in asset.files}).write(
                Path(folder) / "flame.npz"
            )
        )


def table(title: str, measured: dict[str, dict], number) -> list[str]:
    """A line per row, a column per Blender; `number(row of one Blender)` is the text of a cell."""
    versions = list(measured)
    rows = list(dict.fromkeys(name for version in versions for name in measured[version]))
    lines = [title, f"  {'':34s}" + "".join(f"{version:>14s}" for version in versions)]
    for name in rows:
        cells = (
            number(measured[version][name]) if name in measured[version] else "–"
            for version in versions
        )
        lines.append(f"  {name:34s}" + "".join(f"{cell:>14s}" for cell in cells))
    return lines


def window() -> str:
    """The frame rate of a real window that plays the head, beside one that plays an empty scene."""
    if not os.environ.get("BLENDER"):
        return "a real window's frame rate: not measured, BLENDER names no Blender"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            str(ROOT / "tests" / "gui" / "test_heads.py"),
            "-k",
            "plays",
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    run = json.loads((WINDOW / "result.json").read_text())["seen"]
    lines = [
        f"a real window of {run['size'][0]} × {run['size'][1]}, playing as fast as it can, "
        f"Blender {run['version']}, {run['renderer']}:"
    ]
    for what, name in (
        ("empty", "an empty scene"),
        ("head_solid", "the head, one colour"),
        ("head", "the head, its materials' colours"),
    ):
        lines.append(
            f"  {name:34s} {run[what]['fps']:6.1f} frames a second, "
            f"{run[what]['processor_ms']:6.1f} ms of processor a frame"
        )
    return "\n".join(lines)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, results=RESULTS / "heads.txt")


def run(args: Namespace) -> None:
    """Print the tables and write them to research/results."""
    lines = [
        f"machine: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} "
        f"when begun",
        mouths(),
    ]
    print("\n".join(lines), flush=True)
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        flame_file = make_flame_file(folder)
        for version, python in blenders().items():
            print(f"… Blender {version}", flush=True)
            runs[version] = measure_in_blender(python, flame_file)
    any_played = next(iter(runs.values()))["playing"]
    more = table(
        "seconds to build a head: processor (clock), medians of 5",
        {v: t["building"] for v, t in runs.items()},
        lambda s: f"{s[1]:.2f} ({s[0]:.2f})",
    )
    more += table(
        f"frame_set with all {any_played['keys']} keys and 4 bones of the default head "
        f"({any_played['vertices']} vertices), ms",
        {
            v: {
                k: t["playing"][k]
                for k in ("clock, median", "clock, 19 of 20 frames below", "processor, median")
            }
            for v, t in runs.items()
        },
        lambda ms: f"{ms:.1f}",
    )
    exported = {v: t["exporting"] for v, t in runs.items()}
    more += table(
        "largest error of a vertex after export and import, mm",
        exported,
        lambda row: f"{row['error_mm']:.5f}",
    )
    more += table("megabytes of 16 frames", exported, lambda row: f"{row['bytes'] / 1e6:.1f}")
    more += table("seconds to export 16 frames", exported, lambda row: f"{row['seconds']:.1f}")
    more.append(window())
    print("\n".join(more), flush=True)
    keep(args.results, lines + more)
