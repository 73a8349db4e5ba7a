#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a take's words agree with what it shows, and the scale that they are compared by. `python bench/words.py CACHE`.

CACHE is a folder in which `corpus` was run. Eight takes of every voice are sampled without a request at Spread 0.5; for each word on
smile, brows, head and eyes the finished take is measured (`thunder_core/animation/shown.py`). The table counts words whose take is on
the other side of usual takes, and on the other side of the mean of its own batch, as they would be without the measurement and as they
are listed. Below it is the scale that these takes would lay, for USUAL of that file: take it from `validation`. Written to
bench/results/words.txt.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the client starts the worker

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.corpus_lines import clips_of, Line, open_corpus, parser
from bench.tables import effort, report, results_file
from thunder_core.animation.shown import measured, USUAL
from thunder_core.direction import Asked, Direction, DIRECTION_NAMES
from thunder_core.direction_words import _WORDS, MEASURES, words
from thunder_core.engine.engine import Engine

COUNTS = ("words", "other side of usual", "other side of the batch")


def scale(asked: np.ndarray, values: np.ndarray, batch: np.ndarray) -> dict[str, tuple[float, float]]:
    """USUAL as takes lay it: median and slope within batches, of values [n, USUAL] against what was asked [n, DIRECTION_NAMES]."""
    axis_of = {measure: axis for axis, measures in MEASURES.items() for measure in measures}
    result = {}
    for name, own in zip(USUAL, values.T):
        by = asked[:, DIRECTION_NAMES.index(axis_of[name])]
        within = [x - np.array([x[batch == b].mean() for b in batch]) for x in (by, own)]
        result[name] = (round(float(np.median(own)), 3), round(float(within[0] @ within[1] / (within[0] @ within[0])), 3))
    return result


def counted(listed: list[str], values: np.ndarray, batch: np.ndarray) -> dict[str, tuple[int, int, int]]:
    """{axis: COUNTS} of the words of takes whose measures are values [n, USUAL]."""
    names = list(USUAL)
    usual = np.array([USUAL[name][0] for name in names])
    mean = np.array([values[batch == b].mean(0) for b in batch])
    result = {}
    for axis, measures in MEASURES.items():
        columns, counts = [names.index(name) for name in measures], np.zeros(3, int)
        for said, own, others in zip(listed, values, mean):
            for side, word in zip((-1, 1), _WORDS[axis]):
                if word in said.split(", "):
                    counts += [1, *(bool((side * (own - level)[columns] < 0).any()) for level in (usual, others))]
        result[axis] = tuple(int(x) for x in counts)
    return result


def main() -> None:
    """Sample, measure and count; write the table."""
    p = parser(__doc__)
    p.add_argument("--takes", type=int, default=8)
    args = p.parse_args()
    corpus, engine = open_corpus(args.cache), Engine.load(args.weights)
    usual = Direction().vector()[None]
    asked, values, batch, plain, listed = [], [], [], [], []
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        speech = Line.of(corpus, clip, engine).speech
        takes = engine.generate(speech, args.takes, 100 * number + 1, args.steps, asked=Asked(usual, 0.5, as_asked=False))
        speaking = engine._analyse(speech).presence.cpu().numpy() > 0.5
        for take in takes:
            reading = np.array(take.provenance["reading"])
            asked.append(reading)
            values.append(list(measured(engine._played, take.motion, speaking).values()))
            batch.append(number)
            plain.append(words(reading, usual))
            listed.append(words(reading, usual, shown=take.provenance["shown"]))
    asked, values, batch = np.array(asked), np.array(values), np.array(batch)
    lines = [
        f"{len(values)} takes of {args.voices} voices of {args.split} at spread 0.5, {effort(args.steps)}, weights {engine.weights}",
        "",
        f"{'':28s}" + "".join(f"{name:>26s}" for name in COUNTS),
    ]
    for title, said in (("as asked", plain), ("as listed", listed)):
        rows = counted(said, values, batch)
        rows["together"] = tuple(int(x) for x in np.sum(list(rows.values()), 0))
        lines += [f"{title + ', ' + axis:28s}" + "".join(f"{x:26d}" for x in row) for axis, row in rows.items()]
    lines += ["", f"scale of these takes: {scale(asked, values, batch)}"]
    report(results_file(args.results, "words.txt", args.split == "test"), lines)


if __name__ == "__main__":
    main()
