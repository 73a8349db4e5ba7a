# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits what reads a style off a motion (`animation/traits.py`) to the teacher's
performances of a cache; numpy only."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from research.harness import in_turns
from thunder_core.animation.traits import (
    find_speech,
    gap_of,
    LEAST_SECONDS,
    measures,
    PerformanceMeter,
    pieces,
    Reader,
)
from thunder_core.direction import AXES, Direction
from thunder_core.types import Columns, FPS, Motion, unpack

_PULLS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # ridge penalties tried
_REACH = 4.0  # largest deviation of a measure that is used


@dataclass(frozen=True)
class Performances:
    """Performances whose style is known.

    measured [N, k]; requested [N, axes], the style as the mood changes it, in deviations; speakers [N],
    by number; moody [N], whether it has a mood.  pieces: of each performance that has several,
    measures [n, k].
    """

    measured: np.ndarray
    requested: np.ndarray
    speakers: np.ndarray
    moody: np.ndarray
    pieces: list[np.ndarray]


def read_performances(cache: Path, split: str, most: int, meter: PerformanceMeter) -> Performances:
    """The teacher's performances of at most `most` clips of a split, from a cache of `hear` and
    `animate`.

    Clips of all speakers in turn; those with little speech are left out.
    """
    folder = cache / "motions"
    rows = json.loads((folder / "rows.json").read_text())["rows"]
    directions = np.load(folder / "directions.npy")
    columns = Columns(meter.head.channels).count
    motions = np.memmap(folder / "motions.f16", np.float16, "r").reshape(
        len(directions), -1, columns
    )
    chosen = [
        i
        for i, row in enumerate(rows)
        if row["split"] == split and row["clip"] >= 0 and not row["listens"]
    ]
    order = in_turns(chosen, lambda i: rows[i]["speaker"], lambda i: i)
    measured, requested, speakers, moody, parts, names = [], [], [], [], [], {}
    for i in order[:most]:
        row = rows[i]
        for variant in range(len(directions)):
            if not np.isfinite(directions[variant, i]).all():
                continue
            motion: Motion = unpack(
                motions[variant, row["start"] : row["start"] + row["frames"]], meter.head.channels
            )
            frames = find_speech(gap_of(meter, motion))
            if frames.sum() < LEAST_SECONDS * FPS:
                continue
            direction = Direction.of_vector(directions[variant, i])
            measured.append(measures(meter, motion, frames))
            requested.append(direction.style_in_mood.vector())
            speakers.append(names.setdefault(row["speaker"], len(names)))
            moody.append(bool(directions[variant, i, len(AXES) :].any()))
            of_parts = [measures(meter, part, said) for part, said in pieces(motion, frames)]
            if len(of_parts) > 1:
                parts.append(np.array(of_parts))
    return Performances(
        np.array(measured), np.array(requested), np.array(speakers), np.array(moody), parts
    )


def fit(data: Performances, unseen: Performances) -> Reader:
    """The ridge regression of `data` whose strength reads `unseen` voices best, with its r and
    noise on those."""
    mean, deviation = data.measured.mean(0), np.maximum(1e-6, data.measured.std(0))
    x, usual = np.clip((data.measured - mean) / deviation, -_REACH, _REACH), data.requested.mean(0)

    def reader(pull: float) -> Reader:
        weights = np.linalg.solve(
            x.T @ x + pull * np.eye(x.shape[1]), x.T @ (data.requested - usual)
        )
        return Reader(
            mean,
            deviation,
            weights,
            usual - x.mean(0) @ weights,
            np.zeros(len(AXES)),
            np.zeros(len(AXES)),
        )

    best = max(map(reader, _PULLS), key=lambda each: agreement(each, unseen).mean())
    apart = [np.var(best.read(part), axis=0, ddof=1) for part in (*data.pieces, *unseen.pieces)]
    return replace(
        best,
        r=agreement(best, unseen),
        noise=np.sqrt(np.mean(apart, axis=0)) if apart else np.zeros(len(AXES)),
    )


def agreement(
    reader: Reader, data: Performances, some: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Pearson's r [axes] between read and requested style over all voices; some: the performances
    used."""
    read, requested = reader.read(data.measured)[some], data.requested[some]
    read, requested = read - read.mean(0), requested - requested.mean(0)
    return (read * requested).sum(0) / np.maximum(
        1e-9, np.linalg.norm(read, axis=0) * np.linalg.norm(requested, axis=0)
    )
