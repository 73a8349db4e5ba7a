# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures whether the lip-sync score is fair to moods.

`python -m research ranking_moods --cache CACHE [--split validation] [--voices 20]`; CACHE is a training cache. Every line is played in
every mood at full strength: 8 takes at *Spread* .5, of which the first is as requested. Printed of each mood: the score of that take, of
the average of the others and of the teacher's performance, all in the requested direction; the takes' lip error against the teacher in the
direction of each, as in research/ranking.py, and without a pose that a mouth holds all the time; Spearman of score and lip error within a
line; where among the 8 the score and the error put the take as requested; and the AUC of the scores of takes as requested against those of
the same takes spoiled. To stdout and research/results/ranking_moods.txt.
"""

from __future__ import annotations

from argparse import Namespace

import numpy as np
from scipy.stats import spearmanr

from research.corpus_lines import add_line_arguments, clips_of, Line, open_corpus
from research.harness import effort, report, RESULTS
from research.ranking import allowed_sizes, auc, mouth_of, seen, spoiled, SPREAD
from thunder_core.direction import Asked, Direction, MOODS, NEUTRAL
from thunder_core.engine.engine import Engine
from thunder_core.engine.readings import reading
from thunder_core.engine.scorer import DAMPED, voiced
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.request import Request
from thunder_core.train.judge import lip_error, unposed
from thunder_core.train.lip_kernels import fitted_to, identity
from thunder_core.train.sampled import taught
from thunder_core.types import pack, unpack

TAKES = 8
SPOILS = ("80 ms late", f"damped to {DAMPED:.0%}", "never closing", "smoothed over 80 ms", "another sentence", "still")
_COLUMNS = ("as asked", "others", "teacher", "error", "no pose", "Spearman", "its place", "by error")
_DIGITS = (1, 1, 1, 2, 2, 2, 1, 1)


class _OfMood:
    """What is gathered of a mood: rows of _COLUMNS, and points of spoiled takes by fault."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.right: list[float] = []
        self.wrong: dict[str, list[float]] = {name: [] for name in SPOILS}


def play(engine: Engine, line: Line, before: np.ndarray, mood: str, seed: int, steps: int, into: _OfMood) -> None:
    """Add what one line shows in a mood. before: packed motion [T, C] of another line."""
    names, aligned = list(engine.head.expression_names), identity(engine.thunder.encoder) == fitted_to()
    vector = Direction(mood=mood).vector()
    asked, exact = Asked(vector[None], SPREAD), Asked(vector[None], 0.0)
    takes = sorted(engine.generate(line.speech, Request(TAKES, seed, steps=steps, direction=asked)), key=lambda take: take.seed)
    voice = engine.thunder.analyse(line.speech.samples, line.frames)
    loud = voiced(voice.features[:, -LOUDNESS:]) > 0
    played = [vector, *(reading(vector[None], take.seed, SPREAD)[0] for take in takes[1:])]
    truth = np.stack([taught(line.phones, line.speech.samples, voice, names, each[None], aligned) for each in played])
    motions, lip = np.stack([pack(take.motion) for take in takes]), ~mouth_of(engine).inner
    taken, true, wrong = (seen(engine, x) for x in (motions, truth, np.resize(before, truth[:1].shape)))
    size = allowed_sizes(engine, taken, true, loud, played)
    mouths = [x[:, :, lip] for x in (taken, true, wrong)]
    error, free = (lip_error(*each, size)[:, loud].mean(1).numpy() for each in (mouths, [unposed(x, loud) for x in mouths]))
    score = np.array([take.score.total for take in takes])

    def points(motion: np.ndarray) -> float:
        return engine.score(line.speech, unpack(motion.astype(np.float32), engine.head.channels), exact, takes[0].seed).total

    order = spearmanr(score, -error).statistic
    places = [1 + (score > score[0]).sum(), 1 + (error < error[0]).sum()]
    into.rows.append([score[0], score[1:].mean(), points(truth[0]), error.mean(), free.mean(), order, *places])
    made = spoiled(engine, motions[0], before)
    into.right.append(score[0])
    for name in SPOILS:
        into.wrong[name].append(points(made[name]))


add_arguments = add_line_arguments


def run(args: Namespace) -> None:
    engine, corpus = Engine.load(args.weights, device="cpu"), open_corpus(args.cache)
    moods, before = {mood: _OfMood() for mood in MOODS}, None
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        line = Line.of(corpus, clip, engine)
        usual = pack(
            engine.generate(line.speech, Request(1, 0, steps=args.steps, direction=Asked(Direction().vector()[None], 0.0)))[0].motion
        )
        for mood, gathered in moods.items():
            play(engine, line, usual[::-1] if before is None else before, mood, number * TAKES, args.steps, gathered)
        before = usual
    lines = [f"weights {engine.weights}; voices of the split {args.split}; {effort(args.steps)}"]
    lines += [
        f"\n#### Moods at full strength: {args.voices} lines, {TAKES} takes of each at Spread {SPREAD}, the first as asked",
        f"{'':16s}" + "".join(f"{name:>10s}" for name in _COLUMNS),
    ]

    def row(name: str, values: np.ndarray) -> str:
        return f"{name:16s}" + "".join(f"{v:10.{d}f}" for v, d in zip(values, _DIGITS))

    means = {mood: np.mean(gathered.rows, 0) for mood, gathered in moods.items()}
    lines += [row(mood, values) for mood, values in means.items()]
    lines.append(row("all but neutral", np.mean([v for mood, v in means.items() if mood != NEUTRAL], 0)))
    lines += [
        "\n#### AUC of takes as asked against the same spoiled, in the same direction",
        f"{'':14s}" + "".join(f"{name:>22s}" for name in SPOILS),
    ]
    for mood, gathered in moods.items():
        values = (auc(np.array(gathered.right), np.array(gathered.wrong[name])) for name in SPOILS)
        lines.append(f"{mood:14s}" + "".join(f"{value:22.3f}" for value in values))
    report(args.results or RESULTS / "ranking_moods.txt", lines)
