# SPDX-License-Identifier: GPL-3.0-or-later
"""A film of one line by the takes of an earlier commit, left, and by today's, right, with sound.

`python -m research before_after` in a Python that has bpy. The earlier commit is checked out beside
this tree for as long as it samples. Each samples the first take of the sample voice, as a user gets
it without choosing anything and without its text; today's head plays both, so that motion alone
differs. Written to docs/pictures/before_after.mp4.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import tempfile
import wave
from argparse import ArgumentParser, Namespace
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

# read once, when bpy is imported
os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="thunder_film_"))

import bpy
import numpy as np

import bake
from research.harness import add_shared, ROOT, SAMPLE
from thunder_core.engine_python import find_engine_python
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.types import Motion

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE = "56be8af1"  # of 21 November 2026, the last before plans and planned lips


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "seed")
    p.add_argument("--before", default=BEFORE, help="commit whose take is on the left")
    p.add_argument(
        "--names", nargs=2, default=["21 November", "26 November"], help="under the heads"
    )
    p.add_argument("--sound", type=Path, default=SAMPLE, help="WAV, 16 kHz, 16 bit, mono")
    p.add_argument("--seconds", type=float, default=5.0)
    p.add_argument("--height", type=int, default=720, help="of the film, pixels")
    p.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "before_after.mp4")


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """A checkout of a commit, removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def sample(tree: Path, sound: Path, seed: int) -> tuple[Motion, tuple[str, ...]]:
    """The first take of a sound by the engine of a tree, and the names of its channels."""
    python = find_engine_python()
    with tempfile.TemporaryDirectory() as folder:
        samples, take = Path(folder) / "sound.npy", Path(folder) / "take.npz"
        with wave.open(str(sound)) as file:  # soundfile is not at hand beside bpy
            values = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        np.save(samples, values.astype(np.float32) / 2**15)
        subprocess.run(
            [python, str(ROOT / "research" / "takes_of_tree.py"), str(tree), str(samples), "1"],
            input=json.dumps({"takes": 1, "seed": seed, "save": str(take)}),
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with np.load(take) as parts:
            motion = Motion(*(parts[name] for name in ("expression", "jaw", "head", "eyes")))
            return motion, tuple(map(str, parts["channels"]))


def run(args: Namespace) -> None:
    """Sample both takes and film them."""
    with tree_of(args.before) as tree:
        before = sample(tree, args.sound, args.seed)
    film([before, sample(ROOT, args.sound, args.seed)], args)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


def film(takes: list[tuple[Motion, tuple[str, ...]]], args: Namespace) -> None:
    """Film motions side by side, in their order."""
    bake.load_extension()
    from thunder.cli import demo
    from thunder.cli.script import quiet
    from thunder.scene.animation import keying
    from thunder.scene.host import jobs
    from thunder.scene.media import studio
    from thunder.scene.takes import generation

    stage = argparse.Namespace(takes=len(takes), seed=args.seed)
    voice, _, rig = demo.set_stage(stage, str(args.sound))
    scene = bpy.context.scene
    collector = generation.TakeCollector(scene, rig, voice)
    try:
        for number, (motion, channels) in enumerate(takes):
            curves = opening_mm(motion), width_mm(motion)
            take = keying.Performance(motion, channels, *curves, number, math.nan, {})
            jobs.run_through("Keying", collector.add(take, 0.0), lambda step: None)
    finally:
        collector.close()
    entries = sorted(scene.thunder.takes, key=lambda entry: entry.seed)
    for entry, name in zip(entries, args.names):
        entry.name = name
    scene.frame_end = scene.frame_start + max(1, round(args.seconds * demo.SCENE_FPS)) - 1
    with quiet():
        studio.render_grid(scene, rig, entries, str(args.out.resolve()), args.height, small=True)
