#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a direction is followed: every slider as it was asked against what it does to the head. `python bench/direction.py CACHE`.

CACHE is a folder in which `corpus` and `hear` were run. Voices of the validation speakers (`--split test` for the final
figures) are performed in readings drawn for each of them, by the teacher (`--who teacher`) or as takes of the weights (`--who takes`);
`thunder_core/train/played.py` measures each slider on the head's vertices. The table has what was asked in rows, what came of
it in columns, as Pearson's r within voices. Written to bench/results/direction_WHO.txt.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the client starts the worker
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.tables import report, required, results_file
from thunder_core.direction import Asked, AXES, Direction, DIRECTION_NAMES, SLIDERS
from thunder_core.engine.engine import Engine
from thunder_core.engine.readings import reading
from thunder_core.engine.speech.encoder import loudness
from thunder_core.train.corpus import Corpus
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.played import agreement, Played
from thunder_core.train.prosody import semitones
from thunder_core.train.teacher import perform
from thunder_core.train.teacher_timing import presence
from thunder_core.types import FPS, RATE, Speech

COLUMNS = [DIRECTION_NAMES.index(name) for name in SLIDERS]
LEAST_SECONDS, MOST_SECONDS = 5.0, 10.0


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=Path)
    p.add_argument("--who", choices=("teacher", "takes"), default="takes")
    p.add_argument("--split", choices=("validation", "test"), default="validation")
    p.add_argument("--voices", type=int, default=20)
    p.add_argument("--readings", type=int, default=8, help="of every voice")
    p.add_argument("--repeats", type=int, default=8, help="performances of every reading: a rate is noise over ten seconds")
    p.add_argument("--spread", type=float, default=0.5)
    p.add_argument("--steps", type=int, default=20, help="of sampling")
    p.add_argument("--weights", type=Path)
    p.add_argument("--results", type=Path)
    args = p.parse_args()
    corpus = Corpus(required(args.cache / "corpus", "run the stage corpus"))
    engine = Engine.load(args.weights)
    measures, channels = Played.of(engine.head), list(engine.head.expression_names)

    asked, got, voices = [], [], []
    for number, clip in enumerate(_clips(corpus, args.split, args.voices)):
        samples = corpus.samples(clip)[: int(MOST_SECONDS * RATE)]
        frames = round(len(samples) / RATE * FPS)
        phones = corpus.phones(clip)[: 4 * frames]
        speaking = presence(phones, frames) > 0.5
        wanted = [reading(Direction().vector()[None], 100 * number + i, args.spread) for i in range(args.readings)]
        for x in wanted:
            x[:, len(AXES) :] = 0  # moods move the same parts of a face: they are measured for themselves
        speech, seeds = Speech(samples), [1000 * number + args.repeats * i for i in range(args.readings)]
        if args.who == "takes":
            played = [engine.generate(speech, args.repeats, seed, args.steps, asked=Asked(x, 0.0)) for seed, x in zip(seeds, wanted)]
            motions = [[take.motion for take in takes] for takes in played]
        else:
            sound = torch.from_numpy(samples)
            heard, pitch = loudness(sound, frames).numpy(), semitones(samples, frames)
            features = map_features(engine.thunder.encoder, sound, frames)
            motions = [
                [
                    perform(phones, heard, channels, np.random.default_rng(seed + i), Direction.of_vector(x[0]), pitch, features=features)
                    for i in range(args.repeats)
                ]
                for seed, x in zip(seeds, wanted)
            ]
        for x, repeats in zip(wanted, motions):
            asked.append(x[0, COLUMNS])
            got.append(np.mean([list(measures.measure(motion, speaking).values()) for motion in repeats], 0))
            voices.append(number)
    r = agreement(np.array(asked), np.array(got), np.array(voices))
    own, other = np.diag(r), np.abs(r - np.diag(np.diag(r))).max(0)
    lines = [
        f"{args.who}, {args.voices} voices of {args.split}, {args.readings} readings each at spread {args.spread:g}, "
        f"{args.repeats} performances a reading" + (f", {args.steps} steps, weights {engine.weights}" if args.who == "takes" else ""),
        "",
        f"{'asked':>14} | " + " ".join(f"{name:>12}" for name in SLIDERS),
        *(f"{name:>14} | " + " ".join(f"{x:12.2f}" for x in row) for name, row in zip(SLIDERS, r)),
        "",
        f"own slider r: least {own.min():.2f} (bar .90); other sliders' |r|: most {other.max():.2f} (bar .30)",
        f"amplitude (energy's measure, not its logarithm): deviation over mean {_varies(got):.2f}",
    ]
    report(results_file(args.results, f"direction_{args.who}.txt", args.split == "test"), lines)


def _clips(corpus: Corpus, split: str, count: int) -> list:
    """One clip of every voice of a split, then second ones, as far as they are long enough."""
    seen: dict[str, int] = {}
    ranked = []
    for clip in corpus.of(split):
        if clip.length >= LEAST_SECONDS * RATE:
            seen[clip.speaker] = seen.get(clip.speaker, 0) + 1
            ranked.append((seen[clip.speaker], clip))
    return [clip for _, clip in sorted(ranked, key=lambda pair: (pair[0], pair[1].name))[:count]]


def _varies(got: list) -> float:
    speed = np.exp(np.array(got)[:, SLIDERS.index("energy")])
    return float(speed.std() / speed.mean())


if __name__ == "__main__":
    main()
