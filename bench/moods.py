#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether moods are seen: a classifier of movement, trained on the teacher, asked about unseen voices. `python bench/moods.py CACHE`.

CACHE is a folder in which `corpus` and `hear` were run. The teacher performs lines of training voices in every mood, each time
in the style of another speaker; a linear discriminant learns which mood it is from how channels and joints move: their
deviation, speed and skewness, with the mean pose taken away, and with it. It then names the mood of lines of unseen voices:
of the teacher (`--who teacher`) or of takes that were asked for a mood (`--who takes`). Chance is 1 in 12. The table has the
share that is named rightly, by the whole face and by mouth, jaw, cheeks and nose alone. Written to bench/results/moods_WHO.txt.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the client starts the worker
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.tables import report, required, results_file
from thunder_core.channels import Columns, in_group, MOUTH
from thunder_core.direction import Asked, Direction, MOODS, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.encoder import loudness
from thunder_core.train.corpus import Clip, Corpus
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.prosody import semitones
from thunder_core.train.teacher import perform
from thunder_core.types import FPS, pack, RATE, Speech

NAMES = list(MOODS)
LEAST_SECONDS, MOST_SECONDS = 5.0, 10.0
_PULL = 0.15  # towards independent features, of the discriminant
_STILL = 1e-4  # deviation below which a channel is as good as still


def movement(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(features of how a motion [T, C] moves, its mean pose [C])."""
    pose = x.mean(0)
    x = x - pose
    deviation = x.std(0) + _STILL
    speed = np.abs(np.diff(x, axis=0)).mean(0) + _STILL
    return np.concatenate([np.log(deviation), np.log(speed), (x**3).mean(0) / deviation**3]), pose


class Discriminant:
    """Linear discriminant analysis of features [N, d] with labels [N]."""

    def __init__(self, features: np.ndarray, labels: np.ndarray):
        self.mean, self.deviation = features.mean(0), features.std(0) + 1e-6
        z = (features - self.mean) / self.deviation
        means = np.stack([z[labels == label].mean(0) for label in range(len(NAMES))])
        rest = z - means[labels]
        self.weights = np.linalg.solve(rest.T @ rest / len(rest) + _PULL * np.eye(z.shape[1]), means.T)
        self.offset = -0.5 * (means.T * self.weights).sum(0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Labels [N]."""
        return ((features - self.mean) / self.deviation @ self.weights + self.offset).argmax(1)


class Stage:
    """Lines of a corpus, performed as they are asked."""

    def __init__(self, corpus: Corpus, engine: Engine, steps: int, strength: float):
        self.corpus, self.engine, self.steps, self.strength = corpus, engine, steps, strength
        self.channels = list(engine.head.expression_names)

    def lines(self, split: str, count: int) -> list[Clip]:
        """As many clips of a split as there are, one of every voice before another of any."""
        turns: dict[str, int] = {}
        ranked = []
        for clip in self.corpus.of(split):
            if LEAST_SECONDS * RATE <= clip.length:
                turns[clip.speaker] = turns.get(clip.speaker, 0) + 1
                ranked.append((turns[clip.speaker], clip.name, clip))
        return [clip for *_, clip in sorted(ranked, key=lambda entry: entry[:2])[:count]]

    def packed(self, clips: list[Clip], who: str, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
        """(motions [T, C] of every clip in every mood, the moods' numbers)."""
        motions, moods = [], []
        for number, clip in enumerate(clips):
            samples = self.corpus.samples(clip)[: int(MOST_SECONDS * RATE)]
            frames = round(len(samples) / RATE * FPS)
            sound, phones = torch.from_numpy(samples), self.corpus.phones(clip)[: 4 * frames]
            heard, pitch = loudness(sound, frames).numpy(), semitones(samples, frames)
            features = map_features(self.engine.thunder.encoder, sound, frames)
            for mood, name in enumerate(NAMES):
                rng = np.random.default_rng([seed, number, mood])
                direction = Direction(Style.of_speaker(f"{seed} {number} {mood}").reading(rng), name, self.strength)
                if who == "teacher":
                    motion = perform(phones, heard, self.channels, rng, direction, pitch, features=features)
                else:
                    asked = Asked(direction.vector()[None], 0.0)
                    motion = self.engine.generate(Speech(samples), 1, 100 * number + mood, self.steps, asked=asked)[0].motion
                motions.append(pack(motion).astype(float))
                moods.append(mood)
        return motions, np.array(moods)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=Path)
    p.add_argument("--who", choices=("teacher", "takes"), default="takes")
    p.add_argument("--split", choices=("validation", "test"), default="validation")
    p.add_argument("--voices", type=int, default=20, help="unseen ones")
    p.add_argument("--learn", type=int, default=80, help="lines of training voices that the classifier learns from")
    p.add_argument("--strength", type=float, default=1.0)
    p.add_argument("--steps", type=int, default=20, help="of sampling")
    p.add_argument("--weights", type=Path)
    p.add_argument("--results", type=Path)
    args = p.parse_args()
    corpus = Corpus(required(args.cache / "corpus", "run the stage corpus"))
    engine = Engine.load(args.weights)
    stage = Stage(corpus, engine, args.steps, args.strength)
    learned, labels = stage.packed(stage.lines("train", args.learn), "teacher", 1)
    unseen = stage.lines(args.split, args.voices)
    asked, truth = stage.packed(unseen, args.who, 2)

    n = len(stage.channels)
    lower = in_group(stage.channels, (*MOUTH, "cheek", "nose"))
    columns = {"whole face": np.arange(Columns(n).count), "lower face": np.concatenate([np.flatnonzero(lower), [n, n + 1]])}
    lines = [
        f"{args.who}: {len(unseen)} lines of {args.split}, every mood at strength {args.strength:g}; learned from {len(labels)} "
        "performances of the teacher" + (f"; {args.steps} steps, weights {engine.weights}" if args.who == "takes" else ""),
        "",
        f"{'share named rightly':28s}" + f"{'all':>7s}" + "".join(f"{name[:8]:>9s}" for name in NAMES),
    ]
    for title, some in columns.items():
        of_learned, of_asked = ([movement(x[:, some]) for x in motions] for motions in (learned, asked))
        for seen in ("movement", "with pose"):
            both = [
                np.array([m if seen == "movement" else np.concatenate([m, pose]) for m, pose in rows]) for rows in (of_learned, of_asked)
            ]
            right = Discriminant(both[0], labels)(both[1]) == truth
            each = "".join(f"{right[truth == mood].mean():9.2f}" for mood in range(len(NAMES)))
            lines.append(f"{title + ', ' + seen:28s}{right.mean():7.2f}{each}")
    lines += ["", "bars: movement .80, with pose .90"]
    report(results_file(args.results, f"moods_{args.who}.txt", args.split == "test"), lines)


if __name__ == "__main__":
    main()
