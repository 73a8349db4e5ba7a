# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests whether a direction is followed: every requested slider against its measured effect on the
head.

CACHE is a folder in which `corpus` and `hear` were run. Voices of the validation speakers (`--split
test` for the final figures) are performed in readings drawn for each of them;
`thunder_core/animation/traits.py` measures each slider on the head's vertices. The table has
requests in rows and measurements in columns, as Pearson's r within voices. Written to
research/results/direction_takes.txt.
"""

from argparse import ArgumentParser, Namespace

import numpy as np

from research.corpus_lines import clips_of, Line, LINE_OPTIONS, open_corpus, UNSEEN
from research.harness import add_shared, describe_sampling, report, results_file
from research.train.teacher import presence
from thunder_core.animation.traits import PerformanceMeter
from thunder_core.direction import AXES, Direction, DIRECTION_NAMES, SLIDERS
from thunder_core.engine.engine import Engine
from thunder_core.engine.performance import draw_style

SPREAD = 0.5  # of readings
COLUMNS = [DIRECTION_NAMES.index(name) for name in SLIDERS]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, *LINE_OPTIONS, **UNSEEN)
    p.add_argument("--readings", type=int, default=8, help="of every voice")
    p.add_argument(
        "--repeats",
        type=int,
        default=8,
        help="performances of every reading: a rate is noise over ten seconds",
    )


def run(args: Namespace) -> None:
    corpus = open_corpus(args.cache)
    engine = Engine.load(args.weights)
    meter = PerformanceMeter.of(engine.head)

    requested, measured, voices = [], [], []
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        line = Line.of(corpus, clip, engine)
        speaking = presence(line.phones, line.frames) > 0.5
        wanted = [
            draw_style(Direction().vector()[None], 100 * number + i, SPREAD)
            for i in range(args.readings)
        ]
        for x in wanted:
            x[:, len(AXES) :] = (
                0  # moods move the same parts of a face: they are measured separately
            )
        seeds = [1000 * number + args.repeats * i for i in range(args.readings)]
        motions = [line.sample(x, args.repeats, seed, args.steps) for seed, x in zip(seeds, wanted)]
        for x, repeats in zip(wanted, motions):
            requested.append(x[0, COLUMNS])
            measured.append(
                np.mean([list(meter.measure(motion, speaking).values()) for motion in repeats], 0)
            )
            voices.append(number)
    r = agreement(np.array(requested), np.array(measured), np.array(voices))
    lines = [
        f"takes, {args.voices} voices of {args.split}, {args.readings} readings each at spread "
        f"{SPREAD:g}, {args.repeats} performances a reading, {describe_sampling(args.steps)}, weights "
        f"{engine.weights}",
        "",
        f"{'requested':>14} | " + " ".join(f"{name:>12}" for name in SLIDERS),
        *(f"{name:>14} | " + " ".join(f"{x:12.2f}" for x in row) for name, row in zip(SLIDERS, r)),
        "",
        f"own slider r: least {np.diag(r).min():.2f} (bar .90)",
    ]
    report(results_file(args.results, "direction_takes.txt", args.split == "test"), lines)


def agreement(requested: np.ndarray, measured: np.ndarray, voices: np.ndarray) -> np.ndarray:
    """Pearson's r [sliders, sliders] of requested [N, sliders] (rows) with measured sliders [N,
    sliders] (columns), within voices.

    voices [N]: whose line each performance is; the voice's effect on a measure is removed.
    """
    requested, measured = (np.array(x, float) for x in (requested, measured))
    for voice in np.unique(voices):
        same = voices == voice
        requested[same] -= requested[same].mean(0)
        measured[same] -= measured[same].mean(0)
    requested, measured = (
        x / np.maximum(1e-9, np.linalg.norm(x, axis=0)) for x in (requested, measured)
    )
    return requested.T @ measured
