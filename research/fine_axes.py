# SPDX-License-Identifier: GPL-3.0-or-later
"""What the axes of a direction without a slider of their own do from end to end.

CACHE is a folder in which `corpus` and `hear` were run. Takes of validation voices are sampled at several values of one axis, all others as
usual, without spread. The table has how far the corners of the mouth are apart in the widest and the narrowest tenth of spoken frames,
beyond the average take in the usual direction, how much further the left corner moves than the right one, how far the mouth is drawn to the
left, how much the lips are pressed and how far the brows are lowered. Written to research/results/fine_axes.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import numpy as np

from research.corpus_lines import clips_of, Line, open_corpus
from research.harness import add_shared, report, results_file
from thunder_core.animation.played import Played
from thunder_core.direction import AXES, Direction, Style
from thunder_core.engine.engine import Engine
from thunder_core.types import Motion

TAKES = 2  # of every value on every voice
NAMES = ("widest, mm", "narrowest, mm", "left/right", "aside, mm", "pressed", "brows down")


def styles() -> Iterator[tuple[str, Style]]:
    """(row of the table, style): usual, then every fine axis at its ends and half way to them."""
    yield "usual", Style()
    for axis in AXES:
        if not axis.slider:
            for value in (axis.least, (axis.least + axis.usual) / 2, (axis.most + axis.usual) / 2, axis.most):
                yield f"{axis.name} {value:g}", Style(**{axis.name: value})


def measured(played: Played, motion: Motion, speaking: np.ndarray) -> tuple[float, ...]:
    """NAMES of a motion; speaking: bool [T]."""
    fine, corners = played.measure_fine(motion, speaking), played.skin.part(slice(0, 2))
    aside = 1e3 * (corners.of_motion(motion) - corners.rest)[speaking, :, 0].mean()
    return fine["width"], -fine["rounding"], float(np.exp(fine["asymmetry"])), float(aside), fine["tension"], fine["frown"]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "weights", "results")
    p.add_argument("--voices", type=int, default=6, help="of validation")


def run(args: Namespace) -> None:
    corpus, engine, rows = open_corpus(args.cache), Engine.load(args.weights), {}
    played = Played.of(engine.head)
    asked = [(name, Direction(style).vector()[None], seed) for name, style in styles() for seed in range(TAKES)]
    for clip in clips_of(corpus, "validation", args.voices):
        names, vectors, seeds = zip(*asked)
        motions, speaking = Line.of(corpus, clip, engine).performed(vectors, seeds, [0.0] * len(asked))
        for name, motion in zip(names, motions):
            rows.setdefault(name, []).append(measured(played, motion, speaking))
    means = {name: np.mean(values, axis=0) for name, values in rows.items()}
    start = np.array([*means["usual"][:2], 0, 0, 0, 0])  # widths are beyond the usual ones
    lines = [
        f"takes of {args.voices} validation voices, {TAKES} each, normal quality, weights {engine.weights}; means",
        "", f"{'':16s}" + "".join(f"{name:>15s}" for name in NAMES),
        *(f"{name:16s}" + "".join(f"{x:15.2f}" for x in values - start) for name, values in means.items()),
    ]  # fmt: skip
    report(results_file(args.results, "fine_axes.txt", args.voices >= 6), lines)
