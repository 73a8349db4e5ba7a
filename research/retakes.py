# SPDX-License-Identifier: GPL-3.0-or-later
"""How much readings of a doubtful word differ when only the word is sampled again.

Voices of DATA's `speech/` that trained nothing; in each the stretch of .36 s whose phones the
encoder doubts most stands for a word. A take is sampled, and then eight readings of the mouth on
that word, all else kept. Of each: the mean entropy of its phones, nats; least and mean correlation
of the lips' opening over the word between two readings, beside that of whole takes of the same
seeds; and the largest step of the opening in a frame there, beside that of the take itself. To
stdout and research/results/retakes.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.harness import add_shared, report, required, results_file, usual_direction
from research.ranking import recordings
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import softmax
from thunder_core.request import Request
from thunder_core.spoken import SILENCE
from thunder_core.types import Columns, FPS, Keep, pack, RATE, Speech, Take
from thunder_core.weight_files import ENCODER_RATE

SECONDS, LENGTH, EDGE, ROWS = 8.0, 0.36, 0.5, 3
READINGS, FIRST, DIFFERENT = 8, 101, 0.8


def doubtful_word(belief: np.ndarray) -> tuple[float, float, float]:
    """Start and end, seconds, of the most doubtful stretch of phone probabilities [N, 40], and its
    mean entropy."""
    entropy = -(belief * np.log(np.maximum(belief, 1e-9))).sum(1) * (belief[:, SILENCE] < 0.5)
    length, edge = round(LENGTH * ENCODER_RATE), round(EDGE * ENCODER_RATE)
    mean = np.convolve(entropy, np.full(length, 1 / length), "valid")[edge:-edge]
    start = int(mean.argmax()) + edge
    return start / ENCODER_RATE, start / ENCODER_RATE + LENGTH, float(mean.max())


def opening_correlations(takes: list[Take], word: slice) -> np.ndarray:
    """Correlations of the opening over a word between all pairs of takes."""
    openings = np.stack([take.opening[word] for take in takes])
    return np.corrcoef(openings)[np.triu_indices(len(takes), 1)]


def measure(
    engine: Engine, path: Path, seed: int
) -> tuple[float, np.ndarray, np.ndarray, float, float]:
    """Entropy of the word, correlations of readings and of whole takes, largest step at the seams
    of the take and of its readings."""
    speech = Speech(read_sound(path).samples[: round(SECONDS * RATE)], RATE)
    start, end, entropy = doubtful_word(softmax(engine.analyse(speech).logits))
    word = slice(round(start * FPS), round(end * FPS))
    [take] = engine.generate(speech, Request(1, seed, direction=usual_direction(0.5)))
    kept, columns = pack(take.motion), Columns(take.motion.expression.shape[1])
    mask = np.ones(kept.shape, bool)
    free = slice(word.start - ROWS, word.stop + ROWS)
    mask[free, columns.expression] = mask[free, columns.jaw] = False
    readings = engine.generate(
        speech,
        Request(READINGS, FIRST, direction=usual_direction(0.5), keep=Keep(take.motion, mask)),
    )
    whole = engine.generate(speech, Request(READINGS, FIRST, direction=usual_direction(0.5)))

    def step(of: Take) -> float:
        return float(np.abs(np.diff(of.opening[free.start - 2 : free.stop + 2])).max())

    return (
        entropy,
        opening_correlations(readings, word),
        opening_correlations(whole, word),
        step(take),
        float(np.median([step(each) for each in readings])),
    )


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "seed", "results")
    p.add_argument("--split", choices=("validation", "test"), default="test", help="whose voices")
    p.add_argument("--voices", type=int, default=10, help="how many")


def run(args: Namespace) -> None:
    required(args.data / "speech", "the folder of recordings")
    engine = Engine.load(args.weights, device="cpu")
    lines = [f"weights {engine.weights}; the most doubtful word of {args.voices} voices of "
             f"{args.split}, {READINGS} readings",
             f"{'voice':24s} doubt  least r  mean r  whole takes  step, take  readings"]  # fmt: skip
    least = []
    for path in recordings(args.data, args.split, args.voices):
        entropy, readings, whole, before, after = measure(engine, path, args.seed)
        least.append(readings.min())
        row = (
            f"{entropy:5.2f} {readings.min():8.2f} {readings.mean():7.2f} {whole.mean():12.2f} "
            f"{before:11.1f} {after:9.1f}"
        )
        lines.append(f"{path.name[:24]:24s} {row}")
    lines.append(
        f"two readings differ by r {DIFFERENT} or less in {(np.array(least) <= DIFFERENT).sum()} "
        f"of {len(least)} words"
    )
    report(results_file(args.results, "retakes.txt", args.voices >= 10), lines)
