# SPDX-License-Identifier: GPL-3.0-or-later
"""Converts a folder of tracked real faces into performances of the default head.

Written to OUT, which belongs outside the repository: `fit/` and `check/` (or `all/` without a
split) with tracked sequences and their sounds. The sequences are marked as not to be trained on.
"""

import shutil
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from research.faces.landmarks import read_landmarks
from research.train.corpus import read_tracked, SOUNDS
from research.train.facegood import write_tracked
from thunder_core.engine.tracking.solve import solve
from thunder_core.face.head import Head
from thunder_core.types import Motion


def _split(lips: Path) -> dict[str, str]:
    path = lips / "split.toml"
    return (
        {name: split for split, names in tomllib.loads(path.read_text()).items() for name in names}
        if path.exists()
        else {}
    )


def solve_folder(lips: Path, out: Path, head: Head, names: list[str] | None = None) -> str:
    """Solve every clip of LIPS/landmarks (or `names`) and write it to OUT; returns a line for each:
    how far landmarks are off on average."""
    splits = _split(lips)
    lines = []
    for path in sorted((lips / "landmarks").glob("*.npz")):
        name = path.stem
        if names and name not in names:
            continue
        points = read_landmarks(path)
        solved = solve(head, points)
        lines.append(f"{name:16s} {solved.residual.mean():.2f} mm")
        folder = out / splits.get(name, "all")
        write_tracked(folder / f"{name}.npz", solved.motion, head.expression_names, speaker=name,
            measuring=True,
                      seen=solved.seen, facing=solved.facing.astype(np.float32),
                      residual_mm=solved.residual.astype(np.float32))  # fmt: skip  # noqa: E501
        for sound in (lips / f"{name}{s}" for s in SOUNDS):
            if sound.exists():
                shutil.copyfile(sound, folder / sound.name)
    return "\n".join(lines)


def solve_missing(lips: Path, out: Path, head: Head, names: Iterable[str]) -> None:
    """`solve_folder` those of `names` that are not in OUT yet."""
    missing = [name for name in names if not list(out.glob(f"*/{name}.npz"))]
    if missing:
        print(solve_folder(lips, out, head, missing), flush=True)


def solved_clips(folder: Path, channels: list[str]) -> Iterator[tuple[str, Motion, np.ndarray]]:
    """(name, Motion, seen [T] bool) of every sequence in one split folder of `solve_folder`'s
    output."""
    for path in sorted(Path(folder).glob("*.npz")):
        motion, name, data = read_tracked(path, channels)
        yield name, motion, data["seen"].astype(bool)
