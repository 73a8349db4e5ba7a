# SPDX-License-Identifier: GPL-3.0-or-later
"""Emotion from pictures with and without L_m2s (§7.2.2 of the paper): Media2Face is shown a face in
a mood, and performs a line in it.

CACHE and RUNS are of `train paper --only media2face 'media2face+mouth2s*'`. Lines of unseen voices,
each in every mood; the picture is our head's, of the middle of the teacher's performance of another
line in that mood. Figures are Table 2's, against the teacher's performance of this line in this
mood. *Like it*: r of how far channels' means over a line depart from those of all moods, with the
teacher's; *named*: how often that r is the largest for the mood that was shown, 1 in 11 by chance.
Without a picture: the same networks, told nothing; another teacher: its performance by another seed.
Written to research/results/emotion.txt.
"""

import json
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from research.corpus_lines import clips_of, Line, open_corpus
from research.harness import add_shared, report, results_file
from research.measures.evaluate import figures, Measured, MOST_FRAMES, Trained
from research.moods import NAMES, packed_motions
from research.paper import claims, digest_of, Rows, SOLVER_STEPS, table
from research.systems.denoisers import LABELS
from research.train.denoiser import FRAMES
from research.train.paper import folder_of, NETWORK, ROWS
from research.train.pictures import pictures_for
from thunder_core.engine.engine import Engine

BASE, TEACHER, UNTOLD = "media2face", "another teacher", ", without a picture"
COLUMNS = ("lve", "l_ccc", "l_pcc", "dtw", "sdiv_u", "sdiv_l", "fdd_u", "fdd_l")
_STILL = 1e-3  # deviation between moods that is added to each channel's
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


def depart(means: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The directions [moods, n] in which channels' means [moods, n] of a line depart from their mean
    over moods, each over its spread [n]."""
    apart = (means - means.mean(0)) / spread
    return apart / (np.linalg.norm(apart, axis=1, keepdims=True) + 1e-9)


def likeness(means: np.ndarray, true: np.ndarray, spread: np.ndarray) -> tuple[float, float]:
    """(mean r with the teacher's in the right mood, share of moods that are named rightly) of
    channels' means [moods, n] of a line, and the teacher's."""
    alike, right = depart(means, spread) @ depart(true, spread).T, np.arange(len(means))
    return float(alike[right, right].mean()), float((alike.argmax(1) == right).mean())


def describe(name: str, seed: int, folder: Path) -> str:
    """A network: row, seed, checksum, and how long it learned."""
    card = json.loads((folder / f"{NETWORK}.json").read_text(encoding="utf-8"))["card"]
    length = f"{card['base_steps']} + {card['steps']} steps of {card['batch']} × {FRAMES} frames"
    return f"{name} {seed} {digest_of(folder)} ({length})"


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "runs", "weights", "split", "results", voices=10)
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="chains to measure")
    p.add_argument("--samples", type=int, default=8, help="of each line in each mood")


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
    clips = clips_of(corpus, args.split, args.voices)
    unseen = [Line.of(corpus, clip, engine) for clip in clips]
    acted, again = act(unseen, 2), act(unseen, 3)
    n, measured = engine.head.channels, Measured(engine.head)
    rows: Rows = {}
    means: dict[tuple[str, int], list[np.ndarray]] = {}

    def measure(row: str, seed: int, number: int, performed: np.ndarray) -> None:
        means.setdefault((row, seed), []).append(performed.mean((0, 1))[: n + 3])
        of = rows.setdefault(row, {}).setdefault(seed, {})
        of[str(number)] = figures(measured, performed, acted[number])

    for number, line in enumerate(again):
        measure(TEACHER, 1, number, line.truth[None])
    for (name, seed), folder in folders.items():
        trained = Trained(BASE, folder, engine.head, SOLVER_STEPS)
        for number, line in enumerate(acted):
            measure(name, seed, number, perform(trained, line, args.samples, True))
            if name == BASE:
                untold = perform(trained, line, args.samples, False)
                measure(f"{name}{UNTOLD}", seed, number, untold)
        print(f"{name}, seed {seed}: measured", flush=True)
    true = np.stack([line.truth.mean(0)[: n + 3] for line in acted])
    spread, lines_at = true.std(0) + _STILL, range(0, len(true), len(LABELS))
    named = {}
    for row in rows:
        each = [
            likeness(np.stack(of[at : at + len(LABELS)]), true[at : at + len(LABELS)], spread)
            for (name, _), of in means.items()
            if name == row
            for at in lines_at
        ]
        named[row] = np.mean(each, 0)
    lines = [
        f"{len(unseen)} lines of {args.split} in {len(LABELS)} moods, {args.samples} samples; networks "
        + ", ".join(describe(name, seed, folder) for (name, seed), folder in folders.items()),
        "",
        f"{'':36s}{'seeds':>6s}"
        + "".join(f"{column:>9s}" for column in COLUMNS)
        + f"{'like it':>9s}{'named':>7s}",
    ]
    for row in table(rows, COLUMNS, tuple(rows)):
        values = "".join(f"{row[column]:9.3g}" for column in COLUMNS)
        lines.append(
            f"{row['system']:36s}{row['seeds']:6d}{values}"
            + "{:9.2f}{:7.2f}".format(*named[row["system"]])
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
