# SPDX-License-Identifier: GPL-3.0-or-later
"""How lips part before a phrase, in takes and in the teacher's performances.

CACHE is a folder in which `corpus` and `hear` were run. Phrases that follow a silence of half a second or more are taken of voices
of the validation speakers (`--split test` for the final figures): in takes as they are, in takes whose jaw the model alone moves before
phrases, and in performances of the teacher. Frames in which lips go from .25 mm to 1 mm before the sound begins to open them; the largest
opening there, mm, as deciles; its deviation between performances of one phrase; and the mean score. Written to
research/results/breaths.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from unittest import mock

import numpy as np

from research.corpus_lines import add_line_arguments, clips_of, Line, open_corpus
from research.harness import effort, report, results_file
from thunder_core.direction import Asked, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.pipeline import Pipeline
from thunder_core.face.lips import opening_mm
from thunder_core.request import Request
from thunder_core.types import FPS, Motion

SILENCE = round(0.5 * FPS)  # frames of silence before a phrase
SHUT, PARTED = 0.25, 1.0  # mm
OPENS = 4  # frames before a phrase's mark in which lips open for its first sound
NAMES = ("parted", "frames to 1 mm", "least tenth, mm", "median, mm", "most tenth, mm", "deviation, mm", "score")


def measured(openings: np.ndarray) -> list[tuple[float, float]]:
    """(largest opening, mm; frames from SHUT to PARTED, NaN if it is not reached) of openings [performances, SILENCE] before a phrase."""
    result = []
    for opening in openings:
        top = int(np.argmax(opening))
        reached = np.flatnonzero(opening[: top + 1] >= PARTED)
        shut = np.flatnonzero(opening[: reached[0]] <= SHUT) if len(reached) else []
        result.append((float(opening[top]), float(reached[0] - shut[-1]) if len(shut) else np.nan))
    return result


def row(phrases: list[np.ndarray], scores: list[float]) -> list[float]:
    """NAMES of openings before phrases, each [performances, SILENCE]."""
    values = np.array([measured(openings) for openings in phrases])  # [phrases, performances, 2]
    largest = values[..., 0]
    return [
        float((largest > SHUT).mean()), float(np.nanmean(values[..., 1])), *np.quantile(largest, [0.1, 0.5, 0.9]),
        float(largest.std(axis=1).mean()), float(np.mean(scores)) if scores else np.nan,
    ]  # fmt: skip


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_line_arguments(p)
    p.add_argument("--takes", type=int, default=6)


def run(args: Namespace) -> None:
    """Sample, measure, and write the table."""
    corpus, engine = open_corpus(args.cache), Engine.load(args.weights)
    asked = Asked(Direction().vector()[None], 0.5, as_asked=False)
    found: dict[str, tuple[list[np.ndarray], list[float]]] = {name: ([], []) for name in ("takes", "the model alone", "teacher")}
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        line = Line.of(corpus, clip, engine)
        marks = engine.analyse(line.speech).phrasing
        starts = [int(start) for before, start in marks.silences[:-1] if start - before >= SILENCE]

        def add(name: str, motions: list[Motion], scores: list[float], starts=starts) -> None:
            openings = np.array([opening_mm(motion) for motion in motions])
            found[name][0].extend(openings[:, start - SILENCE : start - OPENS] for start in starts)
            found[name][1].extend(scores)

        for name in ("takes", "the model alone"):
            own = mock.patch.object(Pipeline, "breathe", lambda pipeline, jaw, breath: jaw)
            with own if name == "the model alone" else mock.patch.object(Pipeline, "breathe", Pipeline.breathe):
                takes = engine.generate(line.speech, Request(args.takes, 100 * number + 1, steps=args.steps, direction=asked))
            add(name, [take.motion for take in takes], [take.score.total for take in takes])
        performances = [(Direction(), np.random.default_rng(100 * number + i)) for i in range(args.takes)]
        add("teacher", line.taught(performances), [])
    count = len(found["takes"][0])
    lines = [
        f"{count} phrases of {args.voices} voices of {args.split}, {args.takes} takes each at spread 0.5, {effort(args.steps)}, "
        f"weights {engine.weights}",
        "",
        f"{'':18s}" + "".join(f"{name:>18s}" for name in NAMES),
        *(f"{name:18s}" + "".join(f"{x:18.2f}" for x in row(*values)) for name, values in found.items()),
    ]
    report(results_file(args.results, "breaths.txt", args.split == "test"), lines)
