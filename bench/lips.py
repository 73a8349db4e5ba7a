#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real lips: how well takes follow the measured mouths of real talking faces. `python bench/lips.py DATA [--out FOLDER]`.

DATA is a folder with `lips/` (clips, measured curves and `score.py`). For every clip 8 takes are generated. Compared with the
measured mouth are every take in the order of its lip-sync score (`take_01` is the best), the mean curve of all takes, and the
teacher's performance of the clip's aligned phones, which bounds what a model trained on it can reach. The row *average take*
is the mean of the takes' rows: what a take is worth that nobody chose. Curves go to FOLDER, tables to stdout and bench/results/lips.txt.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the client starts the worker
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.tables import keep, required
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import loudness
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.train.calibrate import aligned_phones
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.teacher import perform


def scored(lips: Path, folder: Path, split: str, baselines: bool) -> str:
    """What the data's own score.py prints of the curves in a folder, paths taken out."""
    command = [sys.executable, str(lips / "score.py"), str(folder), "--split", split, *([] if baselines else ["--no-baselines"])]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return table.replace(str(folder), folder.name).replace(str(lips), "lips").strip()


def takes_compared(tables: list[str], split: str) -> list[str]:
    """Lines: the figures weighted by seconds of the best take by score, of the average take, and of each take's own r."""
    names = next(line for line in tables[0].splitlines() if line.startswith("clip ")).split()[1:]
    rows = [
        [float(x) for x in line.split()[-len(names) :]]
        for table in tables
        for line in table.splitlines()
        if line.startswith("weighted by s")
    ]
    lines = [f"#### best take and average take, weighted by seconds, split {split}", f"{'':22s}" + "".join(f"{n:>8s}" for n in names)]
    for name, row in (("best take by score", rows[0]), ("average take", np.mean(rows, 0))):
        lines.append(f"{name:22s}" + "".join(f"{x:8.2f}" for x in row))
    return [*lines, "r of the takes, best score first: " + " ".join(f"{row[0]:.2f}" for row in rows)]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", type=Path)
    p.add_argument("--out", type=Path, default=ROOT / "out" / "lips")
    p.add_argument("--takes", type=int, default=8)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--guidance", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--weights", type=Path, help="folder of weights (default: the embedded ones)")
    p.add_argument("--results", type=Path, default=ROOT / "bench" / "results" / "lips.txt")
    args = p.parse_args()
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    engine = Engine.load(args.weights)
    phones = aligned_phones(lips)
    ranked = [f"take_{number:02d}" for number in range(1, args.takes + 1)]
    folders = {name: args.out / name for name in (*ranked, "mean_of_takes", "teacher")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    seconds = 0.0
    for wav in sorted(lips.glob("*.wav")):
        speech = read_sound(wav)
        takes = engine.generate(speech, args.takes, args.seed, args.steps, args.guidance)
        seconds += speech.seconds
        for name, take in zip(ranked, takes):
            np.savez(folders[name] / f"{wav.stem}.npz", opening=take.opening, width=take.width)
        mean = {k: np.mean([getattr(t, k) for t in takes], 0) for k in ("opening", "width")}
        np.savez(folders["mean_of_takes"] / f"{wav.stem}.npz", **mean)
        sound, channels = torch.from_numpy(speech.samples), list(engine.head.expression_names)
        loud, features = loudness(sound, speech.frames).numpy(), map_features(engine.thunder.encoder, sound, speech.frames)
        motion = perform(phones[wav.stem], loud, channels, np.random.default_rng(1), Direction(), features=features)
        np.savez(folders["teacher"] / f"{wav.stem}.npz", opening=opening_mm(motion, engine.head), width=width_mm(motion, engine.head))
    lines = [
        f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, device {engine.device}; "
        f"weights {engine.weights}; {args.takes} takes, {args.steps} steps, guidance {args.guidance}, seed {args.seed}",
        f"{seconds:.0f} s of speech",
    ]
    for split in ("check", "fit"):
        tables = {name: scored(lips, folder, split, baselines=name == "teacher") for name, folder in folders.items()}
        lines += ["", *takes_compared([tables[name] for name in ranked], split)]
        for name in (ranked[0], "mean_of_takes", "teacher"):
            lines += [f"\n#### {name}, split {split}", tables[name]]
    print(keep(args.results, lines))


if __name__ == "__main__":
    main()
