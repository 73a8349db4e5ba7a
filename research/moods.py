# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests whether moods are recognisable: a classifier of movement, trained on the teacher, applied
to held-out voices.

CACHE is a folder in which `corpus` and `hear` were run. The teacher performs lines of training
voices in every mood, each time in the style of another speaker; a linear discriminant learns the
mood from the movement of channels and joints: their deviation, speed and skewness, without and with
the mean pose. It then classifies takes of held-out voices with a requested mood. Chance is 1 in 12.
The table has the share of correct answers, by the whole face and by mouth, jaw, cheeks and nose
alone. Written to research/results/moods_takes.txt.
"""

from argparse import ArgumentParser, Namespace

import numpy as np

from research.corpus_lines import clips_of, Line, LINE_OPTIONS, open_corpus, UNSEEN
from research.harness import add_shared, describe_sampling, report, results_file
from research.train.readings import draw_reading, style_of_speaker
from thunder_core.direction import Direction, MOODS
from thunder_core.engine.engine import Engine
from thunder_core.types import Columns, in_group, MOUTH, pack

NAMES = list(MOODS)
_PULL = 0.15  # shrinkage of the discriminant towards independent features
_STILL = 1e-4  # standard deviation below which a channel is constant


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
        self.weights = np.linalg.solve(
            rest.T @ rest / len(rest) + _PULL * np.eye(z.shape[1]), means.T
        )
        self.offset = -0.5 * (means.T * self.weights).sum(0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Labels [N]."""
        return ((features - self.mean) / self.deviation @ self.weights + self.offset).argmax(1)


def packed_motions(
    lines: list[Line], by_teacher: bool, seed: int, steps: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """(motions [T, C] of every line in every mood, the moods' numbers)."""
    motions, moods = [], []
    for number, line in enumerate(lines):
        performances = []
        for mood, name in enumerate(NAMES):
            rng = np.random.default_rng([seed, number, mood])
            style = draw_reading(style_of_speaker(f"{seed} {number} {mood}"), rng)
            performances.append((Direction(style, name), rng))
        if by_teacher:
            performed = line.perform(performances)
        else:
            performed = [
                line.sample(direction.vector()[None], 1, 100 * number + mood, steps)[0]
                for mood, (direction, _) in enumerate(performances)
            ]
        motions += [pack(motion).astype(float) for motion in performed]
        moods += range(len(NAMES))
    return motions, np.array(moods)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, *LINE_OPTIONS, **UNSEEN)
    p.add_argument("--learn", type=int, default=80, help="lines that the classifier learns from")


def run(args: Namespace) -> None:
    """Train the classifier on the known voices, ask it about the unseen ones; write the table."""
    corpus = open_corpus(args.cache)
    engine = Engine.load(args.weights)
    known, unseen = (
        [Line.of(corpus, clip, engine) for clip in clips_of(corpus, split, count)]
        for split, count in (("train", args.learn), (args.split, args.voices))
    )
    learned, labels = packed_motions(known, True, 1, args.steps)
    sampled, truth = packed_motions(unseen, False, 2, args.steps)

    n = engine.head.channels
    lower = in_group(engine.head.expression_names, (*MOUTH, "cheek", "nose"))
    columns = {
        "whole face": np.arange(Columns(n).count),
        "lower face": np.concatenate([np.flatnonzero(lower), [n, n + 1]]),
    }
    lines = [
        f"takes: {len(unseen)} lines of {args.split}, every mood; "
        f"learned from {len(labels)} performances of the teacher; {describe_sampling(args.steps)}, weights "
        f"{engine.weights}",
        "",
        f"{'share named rightly':28s}"
        + f"{'all':>7s}"
        + "".join(f"{name[:8]:>9s}" for name in NAMES),
    ]
    for title, some in columns.items():
        of_learned, of_sampled = (
            [movement(x[:, some]) for x in motions] for motions in (learned, sampled)
        )
        for basis in ("movement", "with pose"):
            both = [
                np.array(
                    [m if basis == "movement" else np.concatenate([m, pose]) for m, pose in rows]
                )
                for rows in (of_learned, of_sampled)
            ]
            right = Discriminant(both[0], labels)(both[1]) == truth
            each = "".join(f"{right[truth == mood].mean():9.2f}" for mood in range(len(NAMES)))
            lines.append(f"{title + ', ' + basis:28s}{right.mean():7.2f}{each}")
    lines += ["", "bars: movement .80, with pose .90"]
    report(results_file(args.results, "moods_takes.txt", args.split == "test"), lines)
