# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how the tracker shows the channels of a mouth, and writes the table that the product
reads (`thunder_core/engine/tracking/slopes.json`): `python -m research.faces.slopes DATA [FILMS]`.

FILMS (default out/filmed) keeps what was followed; making it takes ten minutes (`faces/filmed.py`).
DATA has the voices (`lips/` and others) whose takes say which channels of a mouth go together.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.faces.filmed import film_known, Films, MOVED, POSES
from research.faces.lip_clips import read_clips
from research.harness import ROOT, usual_direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import sound_of
from thunder_core.engine.tracking import solve
from thunder_core.engine.tracking.mouth import columns_of, JAW, JAW_UNIT, mouth_signals, TABLE
from thunder_core.face.head import load_head
from thunder_core.face.moving.mouth_shape import SIGNALS
from thunder_core.request import Request
from thunder_core.types import RATE

HEADS = ("head", "head_man")
# What is read; no tracker sees shrugs, presses and rolls. Sides of the last three are told apart, by
# the corners.
READ = (
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp",
    "mouthFrown", "mouthSmile", "mouthStretch",
)  # fmt: skip
_SIDED = READ[-3:]
# How far people's mouths may differ from what takes do: deviations of every channel by so much of
# takes', and besides, where takes never move it, of the channel itself; of two channels by more.
# Chosen on filmed takes of voices of `fit`, and by eye on the people: where a tracked chin stays
# behind its lip, as people's do, a lower lip as free as takes' bares the lower teeth in a V.
_OF_TAKES, _BESIDES = 0.8, 0.04
_FREER = {"mouthLowerDown": 0.5, JAW: 1.3}
_DIGITS = 4


def used_channels() -> list[str]:
    """The channels that are read, sided ones by side."""
    return [
        side
        for name in READ
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


def usual_mouths(data: Path) -> np.ndarray:
    """Second moments [k + 1, k + 1] of what is read, and of the jaw by JAW_UNIT, in first takes of
    the voices of `fit`, each voice alike, before _FREER."""
    engine, moments = Engine.load(None, device="cpu"), []
    moved = np.array([columns_of(name, engine.head.expression_names) for name in used_channels()])
    for clip in read_clips(data, "fit"):
        sound = sound_of(clip.samples, RATE, clip.name)
        motion = engine.generate(sound, Request(1, 1, direction=usual_direction()))[0].motion
        x = np.c_[motion.expression @ moved.T / moved.sum(1), motion.jaw[:, 0] / JAW_UNIT]
        moments.append(x.T @ x / len(x))
    return np.mean(moments, 0)


def free(moments: np.ndarray) -> np.ndarray:
    """Second moments of people's mouths, of those of takes' [k + 1, k + 1]."""
    far = np.array([_FREER.get(name, 1.0) for name in (*used_channels(), JAW)])
    return (_OF_TAKES**2 * moments + _BESIDES**2 * np.eye(len(far))) * np.outer(far, far)


def measure(data: Path, folder: Path, heads: Sequence[str] = HEADS) -> dict:
    """The table, from films in a folder, which are made where they are missing."""
    mouths = []
    with Films(folder) as films:
        for head in heads:
            x, jaw, followed = film_known(films, head)
            mouths += [(x, jaw, signals_of(each)) for each in followed]
    slopes, missed = fit_slopes(mouths)
    return {
        "made_by": "python -m research.faces.slopes DATA", "heads": list(heads), "poses": len(POSES),
        "frames": sum(len(x) for x, _, _ in mouths), "signals": list(SIGNALS),
        "channels": used_channels(), "slopes": _round(slopes), "missed": _round(missed),
        "usual": _round(free(usual_mouths(data))),
    }  # fmt: skip


def _round(values: np.ndarray) -> list:
    return [[float(f"{x:.{_DIGITS}g}") for x in row] for row in values]


if __name__ == "__main__":
    table = measure(Path(sys.argv[1]), Path(*sys.argv[2:3] or [ROOT / "out" / "filmed"]))
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in table.items())
    TABLE.write_text("{\n" + rows + "\n}\n", encoding="utf-8")
