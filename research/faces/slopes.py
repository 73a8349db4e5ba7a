# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how the tracker shows the channels of a mouth, and writes the table that the product
reads (`thunder_core/engine/tracking/slopes.json`): `python -m research.faces.slopes [FILMS]`.

FILMS (default out/filmed) keeps what was followed; making it takes ten minutes (`faces/filmed.py`).
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.faces.filmed import film_known, Films, MOVED, POSES
from research.harness import ROOT
from thunder_core.engine.tracking import solve
from thunder_core.engine.tracking.mouth import (
    columns_of,
    JAW,
    JAW_UNIT,
    mouth_signals,
    TABLE,
    USUAL,
)
from thunder_core.face.head import load_head
from thunder_core.face.moving.mouth_shape import SIGNALS

HEADS = ("head", "head_man")
_SIDED = ("mouthFrown", "mouthSmile", "mouthStretch")  # whose sides only the corners tell apart
_DIGITS = 4


def used_channels() -> list[str]:
    """The channels that are read, sided ones by side."""
    return [
        side
        for name in USUAL
        if name != JAW
        for side in ([f"{name}Left", f"{name}Right"] if name in _SIDED else [name])
    ]


def fit_slopes(
    mouths: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes [6, k + 1] and missed [6, 6] (`TrackedMouth`) of films: expression [T, n], jaw [T, 3],
    tracked signals [T, 6]. Left and right are made alike; what is not read has its slopes too."""
    names, used = load_head().expression_names, used_channels()
    others = [n for n in MOVED if not any(each.startswith(n) for each in used)]
    moved = np.stack([columns_of(name, names) for name in (*used, *others)], 1).astype(float)
    moved /= moved.sum(0)
    swap = [
        used.index(name.replace("Left", "?").replace("Right", "Left").replace("?", "Right"))
        for name in used
    ]
    places = [*swap, *range(len(used), moved.shape[1] + 1)]
    pairs = []
    for x, jaw, shown in mouths:
        known = np.isfinite(shown).all(1)
        inputs = np.c_[x @ moved, jaw[:, 0] / JAW_UNIT][known]
        for columns, rows in ((slice(None), slice(None)), (places, [0, 1, 2, 3, 5, 4])):
            a, b = inputs[:, columns], shown[known][:, rows]
            pairs.append((a - a.mean(0), b - b.mean(0)))
    a, b = (np.concatenate(each) for each in zip(*pairs))
    slopes = np.linalg.lstsq(a, b, rcond=None)[0]
    return np.r_[slopes[: len(used)], slopes[-1:]].T, np.cov((b - a @ slopes).T)


def signals_of(landmarks: np.ndarray) -> np.ndarray:
    """`mouth_signals` [T, 6] of a film's landmarks [T, 478, 3], NaN where no face is seen."""
    seen = np.isfinite(landmarks).all((1, 2))
    shown = np.full((len(landmarks), len(SIGNALS)), np.nan)
    shown[seen] = mouth_signals(solve.stabilise(landmarks[seen].astype(float), load_head())[0])
    return shown


def measure(folder: Path, heads: Sequence[str] = HEADS) -> dict:
    """The table of slopes, from films in a folder, which are made where they are missing."""
    mouths = []
    with Films(folder) as films:
        for head in heads:
            x, jaw, followed = film_known(films, head)
            mouths += [(x, jaw, signals_of(each)) for each in followed]
    slopes, missed = fit_slopes(mouths)
    return {
        "made_by": "python -m research.faces.slopes", "heads": list(heads), "poses": len(POSES),
        "frames": sum(len(x) for x, _, _ in mouths), "signals": list(SIGNALS),
        "channels": used_channels(), "slopes": _round(slopes), "missed": _round(missed),
    }  # fmt: skip


def _round(values: np.ndarray) -> list:
    return [[float(f"{x:.{_DIGITS}g}") for x in row] for row in values]


if __name__ == "__main__":
    table = measure(Path(*sys.argv[1:2] or [ROOT / "out" / "filmed"]))
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in table.items())
    TABLE.write_text("{\n" + rows + "\n}\n", encoding="utf-8")
