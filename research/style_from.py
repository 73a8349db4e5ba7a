# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests whether a style can be read from a motion alone (*Style From*).

CACHE is a folder in which `corpus`, `hear` and `animate` were run. Performances of the teacher whose style is known, by the
speakers of the test split, are read as any motion is, without their sound; the table has Pearson's r of the read with the requested style,
over all voices. `--fit` first fits the regression to the training split (its strength chosen on the validation split) and writes
`thunder_core/animation/style_of_motion.json`. The second table is of the spread that is read off several lines, the third of takes of the
weights. Written to research/results/style_from.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.corpus_lines import clips_of, Line, open_corpus
from research.harness import add_shared, report, required, results_file
from research.measures.style_reader import agreement, fit, performed
from thunder_core.animation.style_of_motion import bundled_meter, CONSTANTS, READABLE, readable_axes, shipped_reader, style_of
from thunder_core.direction import AXES, Brief, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.readings import reading
from thunder_core.errors import BadRequest
from thunder_core.files import write_file
from thunder_core.request import Request
from thunder_core.types import Motion

SPREADS, LINES, READINGS = (0.0, 0.25, 0.5, 1.0), 3, 4


def spreads(cache: Path, split: str, voices: int) -> list[str]:
    """Table of *Spread*: lines of one voice in succession, each in its own reading at the requested spread."""
    corpus, engine = open_corpus(cache), Engine.load()
    channels = engine.head.expression_names
    by_voice: dict[str, list] = {}
    for clip in clips_of(corpus, split, 10**6):
        by_voice.setdefault(clip.speaker, []).append(clip)
    chosen = [clips[:LINES] for _, clips in sorted(by_voice.items()) if len(clips) >= LINES][:voices]
    read: dict[float, list[float]] = {spread: [] for spread in SPREADS}
    for number, clips in enumerate(chosen):
        lines = [Line.of(corpus, clip, engine) for clip in clips]
        for spread in SPREADS:
            parts = []
            for place, line in enumerate(lines):
                seed = 100 * number + place
                wanted = reading(Direction().vector()[None], seed, spread)[0]
                wanted[len(AXES) :] = 0  # moods move the same parts of a face
                parts += line.taught([(Direction.of_vector(wanted), np.random.default_rng(seed))])
            spread_read = style_of(Motion.joined(parts), channels).spread
            if spread_read is not None:
                read[spread].append(spread_read)
    return [
        f"spread of {LINES} lines of one voice, teacher, {len(chosen)} voices of {split} (asked: read, and its deviation between voices)",
        "   ".join(f"{spread:g}: {np.mean(values):.2f} ± {np.std(values):.2f}" for spread, values in read.items() if values),
    ]


def takes(cache: Path, voices: int) -> list[str]:
    """Table of takes of the weights that are here: the style that is read off a take against the reading it was sampled in."""
    corpus, engine = open_corpus(cache), Engine.load()
    asked, read = [], []
    for number, clip in enumerate(clips_of(corpus, "test", voices)):
        line = Line.of(corpus, clip, engine)
        wanted = Brief(Direction().vector()[None], 0.5, as_asked=False)
        for take in engine.generate(line.speech, Request(READINGS, READINGS * number, direction=wanted)):
            try:
                read.append(style_of(take.motion, engine.head.expression_names).style.vector())
            except BadRequest:  # it hardly speaks
                continue
            asked.append(Direction.of_vector(np.array(take.provenance["reading"])).style_in_mood.vector())
    x, y = (np.array(values) - np.mean(values, 0) for values in (asked, read))
    r = (x * y).sum(0) / np.maximum(1e-9, np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0))
    return [
        f"takes of {voices} voices of test at spread 0.5, {len(asked)} in all, weights {engine.weights} "
        "(r of what is read with what was asked)",
        "   ".join(f"{axis.name} {value:.2f}" for axis, value, ok in zip(AXES, r, readable_axes(shipped_reader())) if ok),
    ]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "results")
    p.add_argument("--fit", action="store_true", help="fit the regression and write its constants")
    p.add_argument("--clips", type=int, default=600, help="of the training split that are fitted to, three performances each")
    p.add_argument("--spread", type=int, default=10, help="voices whose spread is measured too; 0: none")
    p.add_argument("--takes", type=int, default=10, help="voices whose takes are read too; 0: none")


def run(args: Namespace) -> None:
    """Measure how well the style of a motion is read; write the table."""
    required(args.cache / "motions" / "motions.f16", "run the stages hear and animate")
    played = bundled_meter()
    if args.fit:
        data, validation = (performed(args.cache, split, args.clips, played) for split in ("train", "validation"))
        write_file(CONSTANTS, fit(data, validation).to_json() + "\n")
        shipped_reader.cache_clear()
        print(f"fitted to {len(data.asked)} performances, chosen on {len(validation.asked)}")
    reader, test = shipped_reader(), performed(args.cache, "test", args.clips, played)
    r, plain, moody = (agreement(reader, test, some) for some in (slice(None), ~test.moody, test.moody))
    error = np.sqrt(((reader.read(test.measured) - test.asked) ** 2).mean(0))
    lines = [
        f"teacher, {len(set(test.speakers.tolist()))} voices of test, {len(test.asked)} performances ({test.moody.sum()} in a mood), "
        "read without their sound",
        "",
        f"{'':>14} | {'all':>8} {'neutral':>8} {'moods':>8} {'error':>8}   (r, and its error in deviations between speakers)",
        *(
            f"{axis.name:>14} | {a:8.2f} {b:8.2f} {c:8.2f} {e:8.2f}   {'' if ok else 'cannot be read: stays usual'}".rstrip()
            for axis, a, b, c, e, ok in zip(AXES, r, plain, moody, error, readable_axes(reader))
        ),
        "",
        f"{int(readable_axes(reader).sum())} of {len(AXES)} axes are read (r at least {READABLE:g} on validation voices)",
    ]
    if args.spread:
        lines += ["", *spreads(args.cache, "test", args.spread)]
    if args.takes:
        lines += ["", *takes(args.cache, args.takes)]
    report(results_file(args.results, "style_from.txt", True), lines)
