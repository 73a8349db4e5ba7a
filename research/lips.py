# SPDX-License-Identifier: GPL-3.0-or-later
"""Real lips: how well takes follow the measured mouths of real talking faces.

DATA is a folder with `lips/` (clips, measured curves and `score.py`). For every clip 8 takes are generated. These are compared with the
measured mouth: every take in order of its lip-sync score (`take_01` is the best), the mean curve of all takes, and the teacher's
performance of the clip's aligned phones, an upper bound for a model trained on it. The row *average take* is the mean of the takes' rows,
the expectation for a random take. Weights that know styles are measured as they are used, at Spread 0.5, and beside it at Spread 0:
what takes that differ cost, and how much they differ. Curves go to FOLDER, tables to stdout and research/results/lips.txt.

Openings are below zero where lips are pressed together. The rows *not below rest* have them end at zero, as takes store them: in a clip
whose mouth is at rest for a quarter of the time no P, B or M is then below the 25th percentile, which is where score.py looks for it.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch

from research.faces.calibrate import aligned_phones
from research.harness import add_shared, effort, keep, required, RESULTS, ROOT
from research.measures.evaluate import Measured
from research.measures.metrics import distances, sample_diversity
from thunder_core.direction import Asked, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import loudness
from thunder_core.face.head import Head
from thunder_core.face.lips import Lips
from thunder_core.request import Request
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.teacher import perform
from thunder_core.types import Motion, pack, Speech, Take


def scored(lips: Path, folder: Path, split: str, baselines: bool) -> str:
    """Output of the data's own score.py for the curves in a folder, with paths removed."""
    command = [sys.executable, str(lips / "score.py"), str(folder), "--split", split, *([] if baselines else ["--no-baselines"])]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return table.replace(str(folder), folder.name).replace(str(lips), "lips").strip()


def figures(tables: list[str]) -> tuple[list[str], np.ndarray]:
    """The names of the columns, and every table's row that is weighted by seconds [tables, columns]."""
    names = next(line for line in tables[0].splitlines() if line.startswith("clip ")).split()[1:]
    rows = [
        [float(x) for x in line.split()[-len(names) :]]
        for table in tables
        for line in table.splitlines()
        if line.startswith("weighted by s")
    ]
    return names, np.array(rows)


def takes_compared(tables: list[str], bounded: list[str], split: str) -> list[str]:
    """Lines: the figures weighted by seconds of the best take by score, of the average take, and of each take's own r.

    bounded: tables of the same takes' openings that end at zero.
    """
    names, rows = figures(tables)
    _, shut = figures(bounded)
    compared = {"best take by score": rows[0], "average take": rows.mean(0)}
    compared |= {"best, not below rest": shut[0], "average, not below rest": shut.mean(0)}
    lines = [f"#### best take and average take, weighted by seconds, split {split}", f"{'':26s}" + "".join(f"{n:>8s}" for n in names)]
    for name, row in compared.items():
        lines.append(f"{name:26s}" + "".join(f"{x:8.2f}" for x in row))
    return [*lines, "r of the takes, best score first: " + " ".join(f"{row[0]:.2f}" for row in rows)]


class Differences:
    """Differences between the takes of each clip, by NAMES."""

    NAMES = ("mouths' r", "amplitude", "S-DIV-L", "S-DIV-U")

    def __init__(self, head: Head):
        self.measured, self.rows = Measured(head), []

    def add(self, takes: list[Take], usual: Motion) -> None:
        """The takes of one clip; `usual`: the teacher's performance, from which their distances are measured."""
        openings = np.array([take.opening for take in takes])
        speeds = np.abs(np.diff(openings)).mean(1)
        positions = np.stack([self.measured.vertices(pack(take.motion)) for take in takes])
        apart = distances(positions, self.measured.vertices(pack(usual)))
        others = ~np.eye(len(takes), dtype=bool)
        self.rows.append(
            (
                np.corrcoef(openings)[others].mean(), speeds.std() / speeds.mean(),
                sample_diversity([apart[..., self.measured.lips]]), sample_diversity([apart[..., self.measured.upper]]),
            )
        )  # fmt: skip

    def mean(self) -> np.ndarray:
        """[NAMES], the mean over the clips."""
        return np.mean(self.rows, 0)


def taught(engine: Engine, speech: Speech, phones: np.ndarray) -> Motion:
    """The teacher's usual performance of a clip's aligned phones."""
    channels, loud = list(engine.head.expression_names), loudness(speech.samples, speech.frames)
    features = map_features(engine.thunder.encoder, speech.samples, speech.frames)
    return perform(phones, loud, channels, np.random.default_rng(1), Direction(), features=features)


def spreads_compared(summary: dict[float, tuple[np.ndarray, np.ndarray]], names: list[str]) -> list[str]:
    """Lines: by Spread the figures of best and average take on `check`, and how much takes differ.

    summary: by spread, the rows of all takes [takes, columns] and Differences.mean().
    """
    wanted = ("r", "lag", "r.wid", "spd/", "PBM")
    at = [names.index(name) for name in wanted]
    lines = [
        "#### what Spread does, split check, weighted by seconds; how much takes differ, mean over all clips",
        f"{'Spread':22s}" + "".join(f"{n:>10s}" for n in (*wanted, *Differences.NAMES)),
    ]
    for spread, (rows, different) in summary.items():
        lines.append(f"{f'{spread:g}, best by score':22s}" + "".join(f"{x:10.2f}" for x in rows[0][at]))
        averages = "".join(f"{x:10.2f}" for x in rows.mean(0)[at]) + "".join(f"{x:10.3f}" for x in different)
        lines.append(f"{f'{spread:g}, average take':22s}" + averages)
    notes = "mouths' r: between the openings of two takes; amplitude: deviation over mean of the takes' mean speed of opening;"
    lines.append(f"{notes} S-DIV: of the distances from the teacher's performance, cm")
    if len(summary) > 1:
        upper = [different[Differences.NAMES.index("S-DIV-U")] for _, different in summary.values()]
        lines.append(f"S-DIV of the upper face, over that at Spread {min(summary):g}: {upper[0] / upper[-1]:.2f}")
    return lines


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "steps", "seed", "weights", results=RESULTS / "lips.txt")
    p.add_argument("--out", type=Path, default=ROOT / "out" / "lips")
    p.add_argument("--takes", type=int, default=8)
    p.add_argument("--guidance", type=float, default=1.0)


def run(args: Namespace) -> None:
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    engine = Engine.load(args.weights)
    margins = Lips.of(engine.head)
    phones = aligned_phones(lips)
    voices = {wav.stem: read_sound(wav) for wav in sorted(lips.glob("*.wav"))}
    usual = {name: taught(engine, speech, phones[name]) for name, speech in voices.items()}
    teacher = _folder(args.out / "teacher")
    for name, motion in usual.items():
        np.savez(teacher / f"{name}.npz", opening=margins.beyond_rest(motion), width=margins.width(motion))
    ranked = [f"take_{number:02d}" for number in range(1, args.takes + 1)]
    spreads = (0.5, 0.0) if engine.thunder.knows_styles else (0.0,)
    summary, names = {}, []
    for spread in spreads:
        folders = {name: _folder(args.out / f"spread_{spread:g}" / name) for name in (*ranked, "mean_of_takes")}
        bounded = {name: _folder(args.out / f"spread_{spread:g}_bounded" / name) for name in ranked}
        different = Differences(engine.head)
        asked = Asked(Direction().vector()[None], spread) if engine.thunder.knows_styles else None
        for clip, speech in voices.items():
            takes = engine.generate(speech, Request(args.takes, args.seed, steps=args.steps, guidance=args.guidance, direction=asked))
            openings = [margins.beyond_rest(take.motion) for take in takes]
            for name, take, opening in zip(ranked, takes, openings):
                np.savez(folders[name] / f"{clip}.npz", opening=opening, width=take.width)
                np.savez(bounded[name] / f"{clip}.npz", opening=take.opening, width=take.width)
            means = np.mean(openings, 0), np.mean([take.width for take in takes], 0)
            np.savez(folders["mean_of_takes"] / f"{clip}.npz", opening=means[0], width=means[1])
            different.add(takes, usual[clip])
        names, rows = figures([scored(lips, folders[name], "check", baselines=False) for name in ranked])
        summary[spread] = rows, different.mean()
    lines = [
        f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, device {engine.device}; "
        f"weights {engine.weights}; {args.takes} takes, {effort(args.steps)}, guidance {args.guidance}, seed {args.seed}",
        f"{sum(speech.seconds for speech in voices.values()):.0f} s of speech",
        "",
        *spreads_compared(summary, names),
    ]
    used, used_bounded = (args.out / f"spread_{spreads[0]:g}{ending}" for ending in ("", "_bounded"))
    for split in ("check", "fit"):
        tables = {name: scored(lips, used / name, split, baselines=False) for name in (*ranked, "mean_of_takes")}
        tables["teacher"] = scored(lips, teacher, split, baselines=True)
        shut = [scored(lips, used_bounded / name, split, baselines=False) for name in ranked]
        lines += ["", *takes_compared([tables[name] for name in ranked], shut, split)]
        for name in (ranked[0], "mean_of_takes", "teacher"):
            lines += [f"\n#### {name}, split {split}", tables[name]]
    print(keep(args.results, lines))


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
