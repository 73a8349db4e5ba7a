# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes computed in bfloat16 against the same takes in float32: how far lips move, and whether a measure changes.

`python -m research precision --cache CACHE`; CACHE is a folder in which `corpus` and `hear` were run. Voices of the validation speakers are
performed with the same seeds by an engine of each precision. Lips are compared frame by frame in millimetres; mean opening, speed,
jerk, closures, silence, diversity and scores as ratios or differences. Written to research/results/precision.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import numpy as np

from research.corpus_lines import add_line_arguments, clips_of, Line, open_corpus
from research.harness import report, results_file
from thunder_core.direction import Asked, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.precision import BFLOAT16, FLOAT32, multiplies_bfloat16
from thunder_core.engine.systems.thunder import VoiceFeatures
from thunder_core.face.lips import CLOSED_MM
from thunder_core.request import Request
from thunder_core.types import FPS, Motion, Take

_SHUT = 0.9  # demanded closure, 0 … 1, from which on a frame counts as m, b or p
_SILENT = 0.02  # presence, 0 … 1, below which nobody speaks


def lips_mm(engine: Engine, motion: Motion) -> np.ndarray:
    """Positions of four lip points from rest [T, 4, 3], mm."""
    return 1e3 * engine.scorer.lips(motion)[0].numpy()


def jerk(lips: np.ndarray) -> float:
    """Mean third difference of lip points [T, 4, 3], mm/s³."""
    return float(np.linalg.norm(np.diff(lips, 3, 0), axis=-1).mean() * FPS**3)


def figures(engine: Engine, voice: VoiceFeatures, takes: list[Take]) -> dict[str, float]:
    """Measures of the takes of a sound. voice: its features in float32."""
    lips = [lips_mm(engine, take.motion) for take in takes]
    openings = np.stack([take.opening for take in takes])
    shut, silent = voice.shut > _SHUT, voice.presence.numpy() < _SILENT
    every = np.stack(lips)
    return {
        "opening, mm": float(openings.mean()),
        "lip speed, mm/s": float(np.linalg.norm(np.diff(every, axis=1), axis=-1).mean() * FPS),
        "jerk, mm/s³": float(np.mean([jerk(x) for x in lips])),
        "closed on m, b and p": float((openings[:, shut] < CLOSED_MM).mean()) if shut.any() else np.nan,
        "opening in silence, mm": float(openings[:, silent].mean()) if silent.any() else np.nan,
        "lips between takes, mm": float(np.linalg.norm(every - every.mean(0), axis=-1).mean()),
        "score": float(np.mean([take.score.total for take in takes if take.score is not None])),
    }


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_line_arguments(p)
    p.add_argument("--takes", type=int, default=4, help="of every voice")


def run(args: Namespace) -> None:
    """Print the table and write it to research/results."""
    corpus = open_corpus(args.cache)
    engines = {name: Engine.load(args.weights, "cpu", name) for name in (FLOAT32, BFLOAT16)}
    rows, apart, points = {name: [] for name in engines}, [], []
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        made = {}
        for name, engine in engines.items():
            speech = Line.of(corpus, clip, engine).speech
            takes = engine.generate(speech, Request(args.takes, 100 * number, direction=Asked(Direction().vector()[None])))
            made[name] = sorted(takes, key=lambda take: take.seed)
        voice = engines[FLOAT32].analyse(speech)
        for name, takes in made.items():
            rows[name].append(figures(engines[FLOAT32], voice, takes))
        for one, other in zip(*made.values()):
            apart.append(np.linalg.norm(lips_mm(engines[FLOAT32], one.motion) - lips_mm(engines[FLOAT32], other.motion), axis=-1))
            points.append(other.score.total - one.score.total if one.score and other.score else np.nan)
    far, takes = np.concatenate([x.ravel() for x in apart]), len(apart)
    means = {name: {m: np.nanmean([row[m] for row in of]) for m in of[0]} for name, of in rows.items()}
    lines = [
        f"{takes} takes of {args.voices} voices of {args.split}, weights {engines[FLOAT32].weights}; this processor "
        f"{'multiplies' if multiplies_bfloat16() else 'emulates'} bfloat16",
        f"lips apart: mean {far.mean():.4f} mm, 95 % below {np.quantile(far, 0.95):.4f}, 99.9 % below {np.quantile(far, 0.999):.3f}, "
        f"most {far.max():.3f}; frames by more than .2 mm: {(np.concatenate([x.max(1) for x in apart]) > 0.2).mean():.2%}",
        f"score: mean difference {np.nanmean(points):+.3f} points, of one take {np.nanstd(points):.3f} (deviation), at most "
        f"{np.nanmax(np.abs(points)):.2f}",
        "",
        f"{'':26s}{FLOAT32:>12s}{BFLOAT16:>12s}{'ratio':>10s}",
        *(f"{m:26s}{a:12.4g}{means[BFLOAT16][m]:12.4g}{means[BFLOAT16][m] / a:10.4f}" for m, a in means[FLOAT32].items()),
    ]
    report(results_file(args.results, "precision.txt", True), lines)
