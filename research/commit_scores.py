# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: scores by mesh-to-speech of takes, and of the keys that they are committed to.

`python -m research commit_scores --data DATA [--takes FOLDER]` in the engine's environment; DATA is a folder with `lips/`. A take of every
voice (seed 1, as research/commit.py makes and keeps it) is committed at 24 fps with Max Lip Error 0.6 mm in a Blender of
.venv/bpy-*. The table goes to stdout and research/results/commit_scores.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.commit import BAR_ERROR, generated, SCENE_FPS
from research.harness import add_shared, keep, required, RESULTS, ROOT
from research.heads import blenders

KINDS = {"DENSE": "Dense Curves", "POSES": "Poses"}


def scores(lips: Path, takes: Path, motions: Path) -> list[dict[str, float]]:
    """Of each voice the score of its take and of its commits."""
    from thunder_core.engine.engine import Engine
    from thunder_core.engine.speech.audio import read_sound
    from thunder_core.types import Motion

    engine, rows = Engine.load(None), []
    for take in sorted(takes.glob("*.npz")):
        sound = read_sound(lips / f"{take.stem}.wav")
        row = {}
        for name, file in {"take": take, **{kind: motions / f"{take.stem} {kind} {BAR_ERROR:g}.npz" for kind in KINDS}}.items():
            with np.load(file) as motion:
                row[name] = engine.score(sound, Motion(motion["expression"], motion["jaw"])).total
        rows.append({"voice": take.stem, **row})
    return rows


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", results=RESULTS / "commit_scores.txt")
    p.add_argument("--takes", type=Path, default=ROOT / "out" / "commit", help="folder in which takes are kept")


def run(args: Namespace) -> None:
    """Print the table and write it to research/results."""
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    generated(lips, args.takes)
    *_, (version, python) = blenders().items()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, "-m", "research.commit_in_blender", args.takes, str(SCENE_FPS), str(BAR_ERROR)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "THUNDER_PYTHON": sys.executable, "MOTIONS": folder},
        )
        if done.returncode:
            raise SystemExit(f"Blender {version}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        rows = scores(lips, args.takes, Path(folder))
    lines = [
        f"{len(rows)} voices, one take each, committed at {SCENE_FPS} fps, Max Lip Error {BAR_ERROR:g} mm: Lip-Sync as measured",
        "",
        "| voice | take | " + " | ".join(KINDS.values()) + " |",
        "|---|---|" + "---|" * len(KINDS),
        *(f"| {row['voice']} | {row['take']:.1f} | " + " | ".join(f"{row[kind]:.1f}" for kind in KINDS) + " |" for row in rows),
        "",
    ]
    for kind, name in KINDS.items():
        lost = np.array([row["take"] - row[kind] for row in rows])
        lines.append(f"{name} lose {lost.mean():.1f} points on average, {lost.max():.1f} at most")
    lines.append("What is shown of a commit that nobody edited is its take's score: thunder_core/animation/commit/line_records.py")
    print(keep(args.results, lines))
