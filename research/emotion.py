# SPDX-License-Identifier: GPL-3.0-or-later
"""Emotion from pictures with and without L_m2s (§7.2.2 of the paper): Media2Face is shown a face in
a mood, and performs a line in it.

CACHE and RUNS are of `train paper --only media2face 'media2face+mouth2s*'`. Lines of unseen voices,
each in every mood; the picture is our head's, of the middle of the teacher's performance of another
line in that mood. Figures are Table 2's, against the teacher's performance of this line in this
mood; *named*: how often a discriminant that learned from the teacher (`moods`) finds the mood, by
the whole face with its pose, 1 in 12 by chance. Without a picture: the same networks, told nothing;
another teacher: a performance in the same mood by another seed. Written to
research/results/emotion.txt.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

import numpy as np
import torch

from research.corpus_lines import clips_of, Line, open_corpus
from research.harness import add_shared, report, results_file
from research.measures.evaluate import figures, Measured, MOST_FRAMES, Trained
from research.moods import Discriminant, movement, NAMES, packed_motions
from research.paper import claims, digest_of, Rows, SOLVER_STEPS, table
from research.systems.denoisers import LABELS
from research.train.paper import folder_of, NETWORK, ROWS
from research.train.pictures import pictures_for
from thunder_core.engine.engine import Engine

BASE, TEACHER, UNTOLD = "media2face", "another teacher", ", without a picture"
COLUMNS = ("lve", "l_ccc", "l_pcc", "dtw", "sdiv_u", "sdiv_l", "fdd_u", "fdd_l")
_CHANGED = ("lve", "l_ccc", "dtw", "sdiv_l")  # whose change by the loss is told


@dataclass(frozen=True)
class Acted:
    """A line in a mood: the teacher's performance [T, C], its frame [C] of another line that the
    picture shows, the line's sound and features [T, d]."""

    mood: str
    truth: np.ndarray
    shown: np.ndarray
    samples: np.ndarray
    features: np.ndarray


def act(lines: list[Line], seed: int) -> list[Acted]:
    """Every line in every mood but neutral, by the teacher."""
    packed, moods = packed_motions(lines, True, seed, 0)
    of = {}
    for place, (motion, mood) in enumerate(zip(packed, moods)):
        of[place // len(NAMES), NAMES[mood]] = motion[:MOST_FRAMES].astype(np.float32)
    acted = []
    for number, line in enumerate(lines):
        features = line.engine.analyse(line.speech).features[:MOST_FRAMES]
        for mood in LABELS:
            other = of[(number + 1) % len(lines), mood]
            truth = of[number, mood][: len(features)]
            samples = line.speech.samples[: len(truth) * 640]
            acted.append(
                Acted(mood, truth, other[len(other) // 2], samples, features[: len(truth)])
            )
    return acted


def perform(trained: Trained, line: Acted, samples: int, is_told: bool) -> np.ndarray:
    """Packed motions [S, T, C] of a line by a Media2Face that sees the picture, or is told nothing."""
    network, condition = trained.network, None
    if is_told:
        draw = pictures_for(network.config, trained.head)
        condition = network.condition_of(draw(torch.from_numpy(line.shown[None])))
    sound = torch.from_numpy(trained.features_of(line.features, line.samples))[None]
    return network.sample(sound, range(samples), condition, trained.steps).numpy()


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "runs", "weights", "split", "results", voices=10)
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="chains to measure")
    p.add_argument("--samples", type=int, default=8, help="of each line in each mood")
    p.add_argument("--learn", type=int, default=40, help="lines that the discriminant learns from")


def run(args: Namespace) -> None:
    """Measure the rows that are there; write the table."""
    names = [name for name in ROWS if name.startswith(BASE)]
    folders = {
        (name, seed): folder
        for name in names
        for seed in args.seeds
        if ((folder := folder_of(args.runs, seed, name)) / f"{NETWORK}.json").is_file()
    }
    if not any(name == BASE for name, _ in folders):
        raise SystemExit(f"{args.runs} has no {BASE}: python -m research train paper --only {BASE}")
    corpus, engine = open_corpus(args.cache), Engine.load(args.weights, "cpu")
    known, unseen = (
        [Line.of(corpus, clip, engine) for clip in clips_of(corpus, split, count)]
        for split, count in (("train", args.learn), (args.split, args.voices))
    )
    learned, labels = packed_motions(known, True, 1, 0)
    naming = Discriminant(np.stack([np.concatenate(movement(x)) for x in learned]), labels)
    acted, again = act(unseen, 2), act(unseen, 3)
    measured = Measured(engine.head)
    rows: Rows = {}
    named: dict[str, list[float]] = {}

    def measure(row: str, seed: int, number: int, performed: np.ndarray) -> None:
        line = acted[number]
        features = np.stack([np.concatenate(movement(x.astype(float))) for x in performed])
        right = naming(features) == NAMES.index(line.mood)
        named.setdefault(row, []).append(right.mean())
        of = rows.setdefault(row, {}).setdefault(seed, {})
        of[str(number)] = figures(measured, performed, line)

    for (name, seed), folder in folders.items():
        trained = Trained(BASE, folder, engine.head, SOLVER_STEPS)
        for number, line in enumerate(acted):
            measure(name, seed, number, perform(trained, line, args.samples, True))
            if name == BASE:
                measure(
                    f"{name}{UNTOLD}", seed, number, perform(trained, line, args.samples, False)
                )
        print(f"{name}, seed {seed}: named {np.mean(named[name]):.2f}", flush=True)
    for number, line in enumerate(again):
        measure(TEACHER, 1, number, line.truth[None])
    lines = [
        f"{len(unseen)} lines of {args.split} in {len(LABELS)} moods, {args.samples} samples; networks "
        + ", ".join(
            f"{name} {seed} {digest_of(folder)}" for (name, seed), folder in folders.items()
        ),
        "",
        f"{'':36s}{'seeds':>6s}"
        + "".join(f"{column:>9s}" for column in COLUMNS)
        + f"{'named':>8s}",
    ]
    for row in table(rows, COLUMNS, tuple(rows)):
        values = "".join(f"{row[column]:9.3g}" for column in COLUMNS)
        lines.append(
            f"{row['system']:36s}{row['seeds']:6d}{values}{np.mean(named[row['system']]):8.2f}"
        )
    lines += ["", "changes by the loss, per cent, 95 % over lines and seeds"]
    for claim in claims(rows):
        told = (
            f"{column} {claim[column]:+.1f} [{claim[f'{column}_ci'][0]:+.1f}, "
            f"{claim[f'{column}_ci'][1]:+.1f}]"
            for column in _CHANGED
        )
        lines.append(f"{claim['system']} against {claim['against']}: {', '.join(told)}")
    report(results_file(args.results, "emotion.txt", args.split == "test"), lines)
