# SPDX-License-Identifier: GPL-3.0-or-later
"""Converts a folder of tracked real faces into performances of the default head, with figures of
quality.

Written to OUT, which belongs outside the repository: `fit/` and `check/` (or `all/` without a
split) with tracked sequences and their sounds, and `report.txt`. The sequences are marked as not to
be trained on.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from research.faces.landmarks import contours, INNER_LIPS
from research.faces.solve import read_landmarks, solve, Solved
from research.measures.habits import correlation
from research.train.facegood import write_tracked
from thunder_core.face.head import Head
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.train.tracked import read_tracked, resample, SOUNDS
from thunder_core.types import FPS, Motion

_GROUPS = ("lips_outer", "lips_inner", "lids", "brows", "chin", "cheeks", "nose")


def fit_figures(head: Head, solved: Solved, measured: dict[str, np.ndarray]) -> dict[str, float]:
    """Figures of how well a solved face follows the tracked one.

    Residuals (root mean square in the picture plane, mm) per group of spots, the frames' 95th
    percentile; r of opening and width with the measured curves; kept: share of the measured lowest
    15 % of frames that lie in the solved lowest 25 % (+ 0.1 mm);
    shut_mm: 95th percentile of the solved gap over frames whose tracked gap is within 0.3 mm of its
    5th percentile.
    """
    figures = {
        g: float(np.sqrt((solved.residual[:, solved.spots.where(g)] ** 2).mean())) for g in _GROUPS
    }
    figures["worst_frames"] = float(np.quantile(solved.residual.mean(1), 0.95))
    gap = opening_mm(solved.motion, head).astype(float)
    width = width_mm(solved.motion, head).astype(float)
    gap[~solved.seen] = width[~solved.seen] = np.nan
    if "opening" in measured:
        n = min(len(gap), len(measured["opening"]))
        real, ours = measured["opening"][:n].astype(float), gap[:n]
        ok = np.isfinite(real) & np.isfinite(ours)
        low = ok & (real < np.percentile(real[ok], 15))
        figures["opening_r"], figures["kept"] = (
            correlation(ours, real),
            float((ours[low] <= np.percentile(ours[ok], 25) + 0.1).mean()),
        )
        figures["width_r"] = correlation(width[:n], measured["width"][:n].astype(float))
    a, b = (solved.spots.landmarks.index((i,)) for i in INNER_LIPS)
    tracked = np.linalg.norm(solved.target[:, a] - solved.target[:, b], axis=1)
    shut = tracked < np.quantile(tracked, 0.05) + 0.3
    figures["shut_mm"] = (
        float(np.quantile(gap[solved.seen][shut], 0.95)) if shut.any() else float("nan")
    )
    return figures


def _split(lips: Path) -> dict[str, str]:
    path = lips / "split.toml"
    return (
        {name: split for split, names in tomllib.loads(path.read_text()).items() for name in names}
        if path.exists()
        else {}
    )


def solve_folder(lips: Path, out: Path, head: Head, names: list[str] | None = None) -> str:
    """Solve every clip of LIPS/landmarks (or `names`), write all there is to OUT, and return the
    report."""
    known, splits = contours(head), _split(lips)
    rows = {}
    for path in sorted((lips / "landmarks").glob("*.npz")):
        name = path.stem
        if names and name not in names:
            continue
        points, fps = read_landmarks(path)
        if abs(fps - FPS) > 0.01:
            seen = np.isfinite(points).all((1, 2))
            points = resample(points.reshape(len(points), -1), fps).reshape(-1, *points.shape[1:])
            points[
                np.interp(np.arange(len(points)) / FPS * fps, np.arange(len(seen)), seen) < 0.99
            ] = np.nan
        solved = solve(head, points, known)
        curves = lips / f"{name}.npz"
        measured = dict(np.load(curves, allow_pickle=False)) if curves.exists() else {}
        rows[name] = fit_figures(head, solved, measured)
        folder = out / splits.get(name, "all")
        write_tracked(folder / f"{name}.npz", solved.motion, head.expression_names, speaker=name,
            measuring=True,
                      seen=solved.seen, facing=solved.facing.astype(np.float32),
                      residual_mm=solved.residual.astype(np.float32))  # fmt: skip  # noqa: E501
        for sound in (lips / f"{name}{s}" for s in SOUNDS):
            if sound.exists():
                shutil.copyfile(sound, folder / sound.name)
    report = _table(rows, splits)
    (out / "report.txt").write_text(report)
    return report


def _table(rows: dict[str, dict[str, float]], splits: dict[str, str]) -> str:
    columns = list(next(iter(rows.values())))
    columns += [c for row in rows.values() for c in row if c not in columns]
    lines = ["Residuals in mm (root mean square, picture plane, outer eye corners as far apart as "
             "the head's); see fit_figures.",
             f"{'clip':16s} {'split':6s} " + " ".join(f"{c[:10]:>10s}" for c in columns)]  # fmt: skip
    for name, row in rows.items():
        lines.append(
            f"{name:16s} {splits.get(name, 'all'):6s} "
            + " ".join(f"{row.get(c, float('nan')):10.2f}" for c in columns)
        )
    lines.append(
        f"{'mean':23s} "
        + " ".join(
            f"{np.nanmean([r.get(c, np.nan) for r in rows.values()]):10.2f}" for c in columns
        )
    )
    return "\n".join(lines) + "\n"


def solved_clips(folder: Path, channels: list[str]) -> Iterator[tuple[str, Motion, np.ndarray]]:
    """(name, Motion, seen [T] bool) of every sequence in one split folder of `solve_folder`'s
    output."""
    for path in sorted(Path(folder).glob("*.npz")):
        motion, name, data = read_tracked(path, channels)
        yield name, motion, data["seen"].astype(bool)
