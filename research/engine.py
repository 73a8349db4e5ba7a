# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine on the shipped sample: speed, rest in silence, how the score separates right from wrong, steps against spread.

`python -m research engine` prints the tables and writes research/results/engine.txt. Times are ratios to the sound's length.
"""

from __future__ import annotations

import platform
import statistics
import time
from argparse import ArgumentParser, Namespace

import numpy as np
import torch

from research.harness import add_shared, keep, RESULTS, SAMPLE, usual
from thunder_core.engine.engine import Engine
from thunder_core.engine.scorer import DAMPED
from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import DRAFT, FINAL, QUALITIES, Request
from thunder_core.types import Motion, RATE, Speech

SPREAD = 0.5  # of the takes, as the add-on asks for by default


def timed(action, runs: int = 3) -> float:
    """Median seconds of `runs` calls after one that warms up."""
    action()
    spent = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def speed(engine: Engine, speech: Speech, take: Motion):
    """Lines of a table: seconds of sound per second of work."""
    asked = usual(SPREAD) if engine.thunder.knows_styles else None
    yield "real-time factor (seconds of sound per second of work, median of 3)"
    for name, action in (
        ("generate 1 take", lambda: engine.generate(speech, Request(1, 1, direction=asked))),
        ("draft of 1 take", lambda: engine.generate(speech, Request(1, 1, quality=DRAFT, direction=asked))),
        ("generate 8 takes", lambda: engine.generate(speech, Request(8, 1, direction=asked))),
        ("8 takes, final quality", lambda: engine.generate(speech, Request(8, 1, quality=FINAL, direction=asked))),
        ("score a take", lambda: engine.score(speech, take)),
        ("listen to a take", lambda: engine.listen(take, speech)),
        ("hear (encoder)", lambda: engine.thunder.analyse(speech.samples, speech.frames)),
    ):
        seconds = timed(action)
        yield f"  {name:24s} {speech.seconds / seconds:7.1f} ×   ({seconds:.2f} s for {speech.seconds:.1f} s)"


def rest(engine: Engine):
    """Lines of a table: the mouth's opening over sounds without a voice."""
    yield "mouth opening where nobody speaks, 8 takes of 6 s (mm: deviation, mean)"
    rng, n = np.random.default_rng(0), 6 * RATE
    t = np.arange(n) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) / k for f in (220, 277, 330) for k in (1, 2, 3, 4))
    for name, samples in (
        ("near silence", 1e-5 * rng.standard_normal(n)),
        ("room noise", 3e-3 * rng.standard_normal(n)),
        ("loud hiss", 5e-2 * rng.standard_normal(n)),
        ("mains hum", 5e-2 * np.sin(2 * np.pi * 50 * t)),
        ("held chord", 2e-2 * chord),
    ):
        takes = engine.generate(Speech(samples.astype(np.float32)), Request(8, 1, direction=usual(SPREAD)))
        yield f"  {name:20s} {np.mean([k.opening.std() for k in takes]):5.2f} {np.mean([k.opening.mean() for k in takes]):6.2f}"


def separation(engine: Engine, speech: Speech, takes):
    """Lines of a table: scores of takes, and of the same takes made wrong."""
    yield "score of takes, and of the same takes made wrong (mean of 8; share in which the take itself scores higher)"
    right = [k.score.total for k in takes]
    yield f"  {'as sampled':20s} {np.mean(right):6.1f}"

    def shifted(frames):
        return lambda m: Motion(np.roll(m.expression, frames, 0), np.roll(m.jaw, frames, 0))

    def damped(m):
        return Motion(DAMPED * m.expression, DAMPED * m.jaw)

    def backwards(m):
        return Motion(m.expression[::-1].copy(), m.jaw[::-1].copy())

    for name, wrong in (
        ("80 ms late", shifted(2)), ("120 ms late", shifted(3)), ("200 ms late", shifted(5)), ("120 ms early", shifted(-3)),
        ("damped to 15 %", damped), ("backwards", backwards),
    ):  # fmt: skip
        scores = [engine.score(speech, wrong(k.motion)).total for k in takes]
        yield f"  {name:20s} {np.mean(scores):6.1f}   {np.mean([a > b for a, b in zip(right, scores)]):.2f}"


def spread(engine: Engine, speech: Speech):
    """Lines of a table: spread and jitter of takes by quality and by steps of the whole model."""
    yield "quality, or steps of the whole model, against spread and jitter, 8 takes (mm: deviation of openings; mean |frame-to-frame|)"
    efforts = {q: {"quality": q} for q in QUALITIES} | {f"{steps} steps": {"steps": steps} for steps in (5, 10, 50, 200)}
    for name, how in efforts.items():
        opening = np.stack([k.opening for k in engine.generate(speech, Request(8, 1, direction=usual(SPREAD), **how))])
        yield f"  {name:20s} {opening.std(0).mean():6.3f} {np.abs(np.diff(opening, axis=1)).mean():6.3f}"


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, results=RESULTS / "engine.txt")


def run(args: Namespace) -> None:
    """Print the tables and write them to research/results."""
    engine = Engine.load()
    speech = read_sound(SAMPLE)
    takes = engine.generate(speech, Request(8, 1, direction=usual(SPREAD)))
    lines = [f"machine: {platform.machine()}, {torch.get_num_threads()} threads, device {engine.device}; weights {engine.weights}"]
    for table in (speed(engine, speech, takes[0].motion), rest(engine), separation(engine, speech, takes), spread(engine, speech)):
        for line in table:
            print(line, flush=True)
            lines.append(line)
    keep(args.results, lines)
