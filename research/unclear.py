# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures when a voice counts as hard to understand: `UNCLEAR` of thunder_core/engine/scorer.py,
to be measured again with every encoder.

`python -m research unclear --data DATA [--voices 40] [--split test]`; DATA has `speech/`. One
recording of each unseen voice, as it is and with noise or four other voices beneath it. Of each:
the doubt about its phones (`doubt`), median and the range of four fifths; the share of recordings
over the threshold; and in how many of the frames with speech the encoder still finds the phone that
it finds in the clean recording. Last the threshold that tells best the recordings with four voices
5 dB below from clean ones. To stdout and, with --results, a file.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import numpy as np

from research.harness import add_shared, report, required
from research.ranking import recordings
from thunder_core.engine.engine import Engine
from thunder_core.engine.scorer import doubt, SAID, silence, SILENT, UNCLEAR, voiced_weight
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.train.motions import noise
from thunder_core.types import RATE, Speech

LEVELS = (10.0, 5.0)  # dB by which a voice is above what is beneath it
OTHERS, SECONDS = 4, 10.0  # voices beneath it, and how much of each recording is used


def mix_beneath(samples: np.ndarray, other: np.ndarray, decibels: float) -> np.ndarray:
    """A voice [n] with another sound [n] so far below its mean level."""
    by = np.sqrt((samples**2).mean() / (other**2).mean()) * 10 ** (-decibels / 20)
    return np.clip(samples + by * other, -1, 1).astype(np.float32)


def versions(sounds: list[np.ndarray], number: int) -> dict[str, np.ndarray]:
    """A recording as it is, and with noise or other voices beneath it."""
    voice, rng = sounds[number], np.random.default_rng(number)
    others = [
        np.resize(sounds[(number + step) % len(sounds)], len(voice))
        for step in range(1, OTHERS + 1)
    ]
    babble = np.sum([other / other.std() for other in others], 0)
    result = {"as it is": voice}
    for name, other in (("noise", noise(len(voice), rng)), (f"{OTHERS} voices", babble)):
        result |= {f"{name}, -{level:.0f} dB": mix_beneath(voice, other, level) for level in LEVELS}
    return result


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "results")
    p.add_argument(
        "--split", choices=("validation", "test"), default="validation", help="whose voices"
    )
    p.add_argument("--voices", type=int, default=40, help="how many")


def run(args: Namespace) -> None:
    required(args.data / "speech", "the folder of recordings")
    engine = Engine.load(args.weights, device="cpu")
    sounds = [
        read_sound(path).samples[: round(SECONDS * RATE)]
        for path in recordings(args.data, args.split, args.voices)
    ]
    doubts: dict[str, list[float]] = {}
    alike: dict[str, list[float]] = {}
    for number in range(len(sounds)):
        clean = None
        for name, samples in versions(sounds, number).items():
            features = engine.thunder.analyse(samples, Speech(samples).frames).features
            phones = features[:, -SAID:-LOUDNESS].argmax(-1)
            if clean is None:
                clean, said = phones, silence(features) < SILENT
            doubts.setdefault(name, []).append(
                doubt(features, voiced_weight(features[:, -LOUDNESS:]))
            )
            alike.setdefault(name, []).append((phones == clean)[said].mean())
    lines = [
        f"weights {engine.weights}; {len(sounds)} voices of the split {args.split}; threshold "
        f"{UNCLEAR}",
        f"{'':20s} {'doubt':>6s} {'10 %':>6s} {'90 %':>6s} {'unclear':>8s} {'same phones':>12s}",
    ]
    for name, values in doubts.items():
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
        unclear = np.mean(np.array(values) > UNCLEAR)
        lines.append(
            f"{name:20s} {middle:6.2f} {low:6.2f} {high:6.2f} {unclear:8.2f} "
            f"{np.mean(alike[name]):12.2f}"
        )
    clean, worst = np.array(doubts["as it is"]), np.array(doubts[f"{OTHERS} voices, -5 dB"])
    tried = np.unique(np.concatenate([clean, worst]))
    wrong = [(clean > each).mean() + (worst <= each).mean() for each in tried]
    best = tried[int(np.argmin(wrong))]
    lines.append(
        f"told apart best at {best:.2f}: clean ones above it {(clean > best).mean():.2f}, the "
        f"worst below {(worst <= best).mean():.2f}"
    )
    report(args.results, lines)
