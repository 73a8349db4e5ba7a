# SPDX-License-Identifier: GPL-3.0-or-later
"""Real people: the paper's lip measures of takes against real faces followed by the default head.

DATA is a folder with `lips/` (tracked faces, sounds, split, phones). The `check` clips' faces are solved into the head's
channels once (`--solved`, kept between runs) and each clip is performed by: THUNDER (its best take by score, each of its
takes, and the mean of all), the teacher on aligned phones, a face that keeps still, and the real face itself half a second
late, which moves like the person but says nothing. Per clip and over all (frames weighted): LVE, L-CCC, L-PCC, DTW, FDD of
lips and upper face, in centimetres; frames without a tracked face are left out. Table to stdout and research/results/real.txt.
"""

from __future__ import annotations

import platform
import tomllib
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.faces.calibrate import aligned_phones
from research.faces.real_faces import solve_folder, solved_clips
from research.harness import add_shared, report, required, results_file
from research.measures import metrics
from research.measures.evaluate import Measured
from thunder_core.direction import Asked, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import loudness, SpeechEncoder
from thunder_core.face.head import Head, load_head
from thunder_core.request import Request
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.teacher import perform
from thunder_core.types import Motion, pack

COLUMNS = ("LVE", "L-CCC", "L-PCC", "DTW", "FDD-U", "FDD-L")
LATE = 12  # frames, half a second


def measure(face: Measured, motion: np.ndarray, real: np.ndarray, keep: np.ndarray) -> dict[str, float]:
    """COLUMNS of one packed motion [T, C] against the real one [T, C] over the frames `keep` [T]."""
    guess, truth = face.vertices(motion)[keep], face.vertices(real)[keep]
    gap = [np.linalg.norm(v[:, -2] - v[:, -1], axis=1) for v in (guess, truth)]
    lips, upper = face.lips, face.upper
    return {
        "LVE": metrics.lip_vertex_error(guess[:, lips], truth[:, lips]),
        "L-CCC": metrics.lip_concordance(guess[:, lips], truth[:, lips]),
        "L-PCC": metrics.lip_pearson(guess[:, lips], truth[:, lips]),
        "DTW": metrics.lip_warp(*gap),
        "FDD-U": metrics.dynamics_deviation(guess[:, upper], truth[:, upper], face.rest[upper]),
        "FDD-L": metrics.dynamics_deviation(guess[:, lips], truth[:, lips], face.rest[lips]),
    }


def performances(
    args: Namespace, engine: Engine | None, head: Head, wav: Path, labels: np.ndarray, real: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Every system's packed motions [T, C] of one clip, cut or held to the real one's T frames."""
    speech, frames = read_sound(wav), len(real)
    loud = loudness(speech.samples, speech.frames)
    features = map_features(SpeechEncoder.load(args.weights), speech.samples, speech.frames)
    teacher = perform(labels, loud, list(head.expression_names), np.random.default_rng(args.seed), Direction(), features=features)
    still = Motion(np.zeros((1, head.channels)), np.zeros((1, 3)))
    candidates = {"teacher": [teacher], "still": [still]}
    if engine:
        asked = Asked(Direction().vector()[None]) if engine.thunder.knows_styles else None
        takes = [t.motion for t in engine.generate(speech, Request(args.takes, args.seed, steps=args.steps, direction=asked))]
        candidates = {"take_01": takes[:1], "each take": takes} | candidates
    packed = {name: [pack(m) for m in motions] for name, motions in candidates.items()}
    if engine:
        packed["mean of takes"] = [np.mean(packed["each take"], 0)]
    packed = {name: [x[np.minimum(np.arange(frames), len(x) - 1)] for x in motions] for name, motions in packed.items()}
    packed["real, late"] = [np.roll(real, LATE, 0)]
    return packed


def table(title: str, rows: dict[str, dict[str, float]]) -> list[str]:
    """Lines of a table: `title` over the systems, one line for each of `rows`."""
    lines = [f"\n{title:24s}" + "".join(f"{c:>8s}" for c in COLUMNS)]
    return lines + [f"{n:24s}" + "".join(f"{r[c]:8.3f}" for c in COLUMNS) for n, r in rows.items()]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "solved", "seed", "weights", "results", steps=20)
    p.add_argument("--clips", nargs="+", help="only these (default: all of `check`)")
    p.add_argument("--takes", type=int, default=8, help="0: without THUNDER")


def run(args: Namespace) -> None:
    """Measure every system on the clips; write the tables."""
    lips, head = required(args.data / "lips", "the folder of clips with measured lips"), load_head(args.weights / "head.npz")
    names = args.clips or tomllib.loads((lips / "split.toml").read_text())["check"]
    missing = [n for n in names if not (args.solved / "check" / f"{n}.npz").exists()]
    if missing:
        print(solve_folder(lips, args.solved, head, missing))
    engine = Engine.load(args.weights) if args.takes else None
    phones, face = aligned_phones(lips), Measured(head)
    clips: dict[str, dict[str, dict[str, float]]] = {}
    weight: dict[str, int] = {}
    for name, motion, with_face in solved_clips(args.solved / "check", list(head.expression_names)):
        if name not in names:
            continue
        real = pack(motion)
        candidates = performances(args, engine, head, lips / f"{name}.wav", phones[name], real)
        weight[name] = int(with_face.sum())
        each = {system: [measure(face, x, real, with_face) for x in motions] for system, motions in candidates.items()}
        clips[name] = {system: {c: float(np.mean([r[c] for r in rows])) for c in COLUMNS} for system, rows in each.items()}
        print("\n".join(table(name, clips[name])), flush=True)
    total = sum(weight.values())
    mean = {s: {c: sum(weight[n] * clips[n][s][c] for n in clips) / total for c in COLUMNS} for s in next(iter(clips.values()))}
    lines = [
        "The paper's measures (cm) against real people, solved from 478 landmarks onto the default head; not the paper's data.",
        f"machine: {platform.processor() or platform.machine()}; weights {engine.weights if engine else 'none'}; {args.takes} takes, "
        f"{args.steps} steps, seed {args.seed}; {len(clips)} clips, {total} frames, weighted by frames",
        *table("all", mean),
        *(line for name in clips for line in table(f"{name} ({weight[name]})", clips[name])),
    ]
    report(results_file(args.results, "real.txt", not args.clips and args.takes > 0), lines)
