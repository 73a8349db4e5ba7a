# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures whether the lip-sync score can be compared between lines, and between clean and noisy recordings of one.

`python -m research ranking_noise --cache CACHE [--split validation] [--voices 40]`; CACHE is a training cache. Every line is played as it
is and with noise below the voice: 8 takes at *Spread* .5, of which the first is as requested. Their lip error is against the teacher, who
performs the clean recording in the direction of each take without its stresses, as in research/ranking.py. Printed at each level, of takes
as asked and of the others: the mean score and error, Spearman of the lines' mean scores and errors, and the share of lines whose score, and
whose error, is higher than without noise; and Spearman over all lines at all levels. To stdout and research/results/ranking_noise.txt.
"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from research.corpus_lines import add_line_arguments, clips_of, Line, open_corpus
from research.harness import effort, report, RESULTS
from research.ranking import allowed_sizes, mouth_of, seen, SPREAD
from thunder_core.direction import Asked, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.readings import reading
from thunder_core.engine.scorer import voiced
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.request import Request
from thunder_core.train.augment import noise
from thunder_core.train.judge import lip_error
from thunder_core.train.lip_kernels import fitted_to, identity
from thunder_core.train.sampled import taught
from thunder_core.types import pack, Speech

TAKES = 8
LEVELS = (np.inf, 20.0, 10.0, 3.0)  # dB by which the voice is above the noise
GROUPS = {"takes as asked": slice(0, 1), "takes in readings of their own": slice(1, None)}


def with_noise(speech: Speech, decibels: float, seed: int) -> Speech:
    """A sound with noise of a random colour, as far below its mean level."""
    samples = speech.samples
    by = np.sqrt(np.mean(samples**2)) * 10 ** (-decibels / 20)
    added = by * noise(len(samples), np.random.default_rng(seed)).numpy()
    return replace(speech, samples=np.clip(samples + added, -1, 1).astype(np.float32))


def play(engine: Engine, line: Line, before: np.ndarray | None, seed: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(scores and errors [LEVELS, 2, TAKES] of a line, the teacher's performance in the usual direction, packed [1, T, C]).

    before: that of another line; None: its own backwards."""
    names, aligned = list(engine.head.expression_names), identity(engine.thunder.encoder) == fitted_to()
    usual, lip = Direction().vector(), ~mouth_of(engine).inner
    voice = engine.thunder.analyse(line.speech.samples, line.frames)
    loud = voiced(voice.features[:, -LOUDNESS:]) > 0
    played = [usual, *(reading(usual[None], seed + i, SPREAD)[0] for i in range(1, TAKES))]
    truth = np.stack([taught(line.phones, line.speech.samples, voice, names, each[None], aligned) for each in played])
    other = truth[:1, ::-1] if before is None else np.resize(before, truth[:1].shape)
    true, wrong = seen(engine, truth), seen(engine, other)
    rows = []
    for level in LEVELS:
        sound = with_noise(line.speech, level, seed)
        takes = sorted(
            engine.generate(sound, Request(TAKES, seed, steps=steps, direction=Asked(usual[None], SPREAD))), key=lambda take: take.seed
        )
        taken = seen(engine, np.stack([pack(take.motion) for take in takes]))
        size = allowed_sizes(engine, taken, true, loud, played)
        error = lip_error(taken[:, :, lip], true[:, :, lip], wrong[:, :, lip], size)[:, loud].mean(1).numpy()
        rows.append(([take.score.total for take in takes], error))
    return np.array(rows), truth[:1]


def table(values: np.ndarray, group: str) -> list[str]:
    """Rows by level. values: mean score and error [lines, LEVELS, 2] of a group of takes."""
    lines = [
        f"\n#### {len(values)} lines, {group}",
        f"{'noise':>10s} {'score':>7s} {'error':>7s} {'Spearman of lines':>18s} {'scores that rise':>17s} {'errors that rise':>17s}",
    ]
    for i, level in enumerate(LEVELS):
        score, error = values[:, i].T
        rise = (f"{np.mean(score > values[:, 0, 0]):17.0%} {np.mean(error > values[:, 0, 1]):17.0%}") if i else ""
        name = "none" if np.isinf(level) else f"−{level:.0f} dB"
        lines.append(f"{name:>10s} {score.mean():7.1f} {error.mean():7.3f} {spearmanr(score, -error).statistic:18.2f} {rise}".rstrip())
    score, error = values.reshape(-1, 2).T
    return [*lines, f"Spearman over all levels {spearmanr(score, -error).statistic:.2f}"]


add_arguments = add_line_arguments


def run(args: Namespace) -> None:
    engine, corpus = Engine.load(args.weights, device="cpu"), open_corpus(args.cache)
    played, before = [], None
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        rows, before = play(engine, Line.of(corpus, clip, engine), before, number * TAKES, args.steps)
        played.append(rows)
    lines = [f"weights {engine.weights}; voices of the split {args.split}; {effort(args.steps)}"]
    for group, which in GROUPS.items():
        lines += table(np.array(played)[..., which].mean(-1), group)
    report(args.results or RESULTS / "ranking_noise.txt", lines)
