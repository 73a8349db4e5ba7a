# SPDX-License-Identifier: GPL-3.0-or-later
"""What *Frown*, *Eyes* and *Brows* do from end to end.

CACHE is a folder in which `corpus` and `hear` were run. Takes of validation voices are sampled at several values of one slider, all others
as usual, without spread; the table has how far brows are lowered and raised, how often eyes blink and shift and how long they are shut, how
fast brows move, and the largest change of a brow channel from one frame to the next. The last rows are of moods at full strength, and of
batches at *Spread* .5. Written to research/results/slider_ends.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import numpy as np

from research.corpus_lines import clips_of, Line, open_corpus
from research.harness import add_shared, report, results_file
from thunder_core.animation.played import lids, Played, shifts, starts
from thunder_core.channels import BROWS, in_group
from thunder_core.direction import Direction, MOODS, NEUTRAL, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.readings import reading
from thunder_core.types import FPS, Motion

VALUES = {"frown": (-1, -0.67, -0.33, 0, 0.33, 0.67, 1), "eyes": (0.2, 0.5, 1, 1.5, 2, 2.5, 3), "brows": (0.1, 0.5, 1, 1.5, 2, 2.5)}
TAKES = 2  # of every value on every voice
BATCH = 8  # takes of a batch at the default spread
NAMES = ("down", "raised", "blinks/min", "shut, %", "shifts/min", "brows, mm/s", "largest step")
SHUT = 0.7  # eyeBlink from which an eye counts as shut


def directions() -> Iterator[tuple[str, np.ndarray, int, float]]:
    """(row of the table, direction [1, DIRECTION_NAMES], seed, spread) of every take of a voice."""
    for slider, values in VALUES.items():
        for value in values:
            for seed in range(TAKES):
                yield f"{slider} {value:g}", Direction(Style(**{slider: float(value)})).vector()[None], seed, 0.0
    for mood in MOODS:
        if mood != NEUTRAL:
            yield mood, Direction(Style(), mood, 1.0).vector()[None], 7, 0.0
    for seed in range(BATCH):
        spread = 0.5 if seed else 0.0  # the first is as asked
        yield "batch", reading(Direction().vector()[None], seed, spread), seed, spread


def measured(played: Played, motion: Motion, speaking: np.ndarray) -> tuple[float, ...]:
    """NAMES of a motion; speaking: bool [T]."""
    names = played.head.expression_names
    brows, seconds = motion.expression[:, in_group(names, BROWS)], motion.frames / FPS
    down = np.array([name.startswith("browDown") for name, brow in zip(names, in_group(names, BROWS)) if brow])
    shut = lids(played.head, motion)
    return (
        brows[:, down].mean(), brows[:, ~down].mean(), 60 * len(starts(shut > 0.5)) / seconds, 100 * (shut > SHUT).mean(),
        60 * len(shifts(motion)) / seconds, played.measure(motion, speaking)["brows"], np.abs(np.diff(brows, axis=0)).max(),
    )  # fmt: skip


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "weights", "results")
    p.add_argument("--voices", type=int, default=10, help="of validation")


def run(args: Namespace) -> None:
    corpus, engine = open_corpus(args.cache), Engine.load(args.weights)
    played, rows = Played.of(engine.head), {}
    for clip in clips_of(corpus, "validation", args.voices):
        names, vectors, seeds, spreads = zip(*directions())
        motions, speaking = Line.of(corpus, clip, engine).performed(vectors, seeds, spreads)
        for name, motion in zip(names, motions):
            rows.setdefault(name, []).append(measured(played, motion, speaking))
    lines = [
        f"takes of {args.voices} validation voices, normal quality, weights {engine.weights}; means, of the largest step the largest",
        "", f"{'':14s}" + "".join(f"{name:>14s}" for name in NAMES),
    ]  # fmt: skip
    for name, values in rows.items():
        figures = np.array(values)
        lines.append(f"{name:14s}" + "".join(f"{x:14.2f}" for x in (*figures[:, :-1].mean(0), figures[:, -1].max())))
    report(results_file(args.results, "slider_ends.txt", args.voices >= 10), lines)
