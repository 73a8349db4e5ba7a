#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the lip-sync score can tell: on held-out voices (or the shipped sample), right motions against spoiled ones.

`python bench/ranking.py [--cache FOLDER]`; CACHE is a training cache. Without one the shipped sample is measured and the table
is only printed. For 4 s stretches of unseen speakers the score of the teacher's motion and of a
sampled take is compared with that of the same motion late, early, damped, exaggerated, never closing, smoothed, still, and
of another sentence: AUC, medians per clip. Graded corruptions are ranked against LVE (Spearman). Also: the right tongue
behind frozen lips must rank last. To stdout and, with a cache, bench/results/ranking.txt.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch
from scipy.ndimage import gaussian_filter1d
from scipy.stats import rankdata

from bench.tables import report, results_file
from thunder_core.channels import in_group, SPEECH, TONGUE
from thunder_core.engine.engine import Engine
from thunder_core.engine.m2s.score import shift_frames
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import loudness
from thunder_core.face.lips import opening_mm
from thunder_core.train.corpus import Corpus
from thunder_core.train.evaluate import Measured
from thunder_core.train.judge import without_closures
from thunder_core.train.label import best_path
from thunder_core.train.metrics import lip_vertex_error
from thunder_core.train.motions import MotionSet
from thunder_core.train.teacher import perform
from thunder_core.types import FPS, pack, RATE, Speech, unpack

FRAMES = 100  # 4 s
SHIFTS = (2, 3, 5)  # frames of 40 ms


def spoiled(engine: Engine, x: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    n = engine.head.channels
    names = engine.head.expression_names
    tongue = np.append(in_group(names, TONGUE), [False] * 9)
    mouth = np.append(in_group(names, SPEECH), [True] * 3 + [False] * 6)
    opening = opening_mm(unpack(x, n), engine.head)
    made = {"as it is": x}
    for s in SHIFTS:
        made[f"{40 * s} ms late"], made[f"{40 * s} ms early"] = shift_frames(x, s), shift_frames(x, -s)
    made["damped to 60 %"] = np.where(mouth, 0.6 * x, x)
    made["damped to 30 %"] = np.where(mouth, 0.3 * x, x)
    made["exaggerated by half"] = np.where(mouth, 1.5 * x, x)
    made["never closing"] = np.where(mouth, without_closures(x, opening), x)
    made["smoothed over 80 ms"] = np.where(mouth, gaussian_filter1d(x, 2.0, axis=0), x)
    made["another sentence"] = np.where(mouth, np.resize(other, x.shape), x)
    made["right tongue, still lips"] = np.where(tongue | ~mouth, x, 0.0)
    made["still"] = np.where(mouth, 0.0, x)
    return {k: v.astype(np.float32) for k, v in made.items()}


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    """Share of pairs in which the right one scores higher, ties half."""
    return float(np.mean(right[:, None] > wrong[None]) + 0.5 * np.mean(right[:, None] == wrong[None]))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def stretches(cache: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(samples, the teacher's packed motion [FRAMES, C]) of `count` stretches of the test speakers of a training cache."""
    motions = MotionSet(Corpus(cache / "corpus"), cache / "motions")
    rows = motions.of("test", FRAMES)
    rows = rows[:: max(1, len(rows) // count)][:count]
    starts = [motions.rows[i].start for i in rows]
    return [(motions.samples(i, 0, FRAMES), motions.motions[0, a : a + FRAMES].astype(np.float32)) for i, a in zip(rows, starts)]


def sample_stretches(engine: Engine) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same of the shipped sample, whose phones are what the encoder hears."""
    whole, size = read_sound(ROOT / "assets" / "sample.wav").samples, FRAMES * 640
    result = []
    for start in range(0, len(whole) - size + 1, size // 4):
        samples = whole[start : start + size]
        sound = torch.from_numpy(samples)
        phones = np.repeat(best_path(engine.thunder.encoder.analyse(sound)[1]), 2).astype(np.uint8)
        motion = perform(phones, loudness(sound, FRAMES).numpy(), list(engine.head.expression_names), np.random.default_rng(start))
        result.append((samples, pack(motion)))
    return result


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--cache", type=Path, default=ROOT / "cache")
    p.add_argument("--weights", type=Path)
    p.add_argument("--clips", type=int, default=20)
    p.add_argument("--takes", type=int, default=4, help="of each clip")
    p.add_argument("--results", type=Path, help="file for the table (default: bench/results, if there is a cache)")
    args = p.parse_args()
    engine = Engine.load(args.weights, device="cpu")
    measured = Measured(engine.head)
    cached = (args.cache / "motions" / "rows.json").exists()
    clip_motions = stretches(args.cache, args.clips) if cached else sample_stretches(engine)
    whose = "by speakers nobody was trained on" if cached else "of the shipped sample, a synthetic voice"
    lines = [f"weights {engine.weights}; {len(clip_motions)} stretches of {FRAMES / FPS:.0f} s {whose}"]
    for what in ("the teacher's motion", "sampled takes"):
        points: dict[str, list[list[float]]] = {}  # clip by clip, take by take
        graded: list[float] = []
        before = None
        for number, (samples, truth) in enumerate(clip_motions):
            speech = Speech(samples, RATE)
            motions = [truth]
            if not what.startswith("the"):
                motions = [pack(take.motion) for take in engine.generate(speech, args.takes, number)]
            clip: dict[str, list[float]] = {}
            for x in motions:
                made = spoiled(engine, x, before if before is not None else x[::-1])
                for name, y in made.items():
                    clip.setdefault(name, []).append(engine.score(speech, unpack(y, engine.head.channels)).total)
                right = measured.vertices(x)[:, measured.lips]
                errors = [lip_vertex_error(measured.vertices(y)[:, measured.lips], right) for y in made.values()]
                graded.append(spearman(-np.array([scores[-1] for scores in clip.values()]), np.array(errors)))
            before = motions[0]
            for name, scores in clip.items():
                points.setdefault(name, []).append(scores)
        right = np.array(points["as it is"])
        lines.append(f"\n#### {what}\n{'':26s} {'mean':>6s} {'AUC':>6s} {'paired':>7s}   clips' medians: spread, share within ±5 of theirs")
        for name, values in points.items():
            v = np.array(values)
            clips = np.median(v, 1)
            near = np.mean(np.abs(clips - np.median(clips)) <= 5)
            lines.append(
                f"{name:26s} {v.mean():6.1f} {auc(right.ravel(), v.ravel()):6.3f} {np.mean(right > v):7.3f}   {clips.std():5.1f} {near:.2f}"
            )
        lines.append(
            f"Spearman of 100 − score and LVE over all of a clip's corruptions: {np.mean(graded):.2f} (worst clip {np.min(graded):.2f})"
        )
    report(results_file(args.results, "ranking.txt", cached), lines)


if __name__ == "__main__":
    main()
