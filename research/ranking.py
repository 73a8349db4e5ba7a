# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how well the lip-sync score orders usable takes, and separates spoiled takes from them.

`python -m research ranking --cache CACHE [--data DATA] [--split test]`; CACHE is a training cache,
DATA a folder with `lips/`.

Order: 16 takes of every line at *Spread* .5, whose lips are compared with the teacher's performance
of the same sound in the take's direction, as large as the take is (`train.judge.lip_error`),
without the take's stresses and with them; Spearman of score and error within a line, and what the
best by score gains against the average take and the best possible choice. Real lips: the same
takes' r with the measured mouths of DATA's split `check`, at the best lag, of five sets of seeds.
The yardstick is the correlation of a take's opening with a linear map's prediction from the speech
features; mesh2speech is the evidence that mesh-to-speech reads off a take for the sound's units.
Spoiled takes: AUC of the score against that of the same takes late, early, damped … To stdout and,
with a cache, research/results/ranking.txt. Without a cache the shipped sample's takes are spoiled
and the table is only printed.

Grades: `--grades` alone, with DATA's `speech/`, how takes of recordings of the split are graded
(`thunder_core.grades`) as they are and with faults planted in them. To stdout and
research/results/grades.txt.
"""

from __future__ import annotations

import csv
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.stats import spearmanr

from research.corpus_lines import clips_of, LEAST_SECONDS, Line, MOST_SECONDS
from research.faces.lip_clips import fit_length, r_at_best_lag, read_clips
from research.harness import (
    add_shared,
    bootstrap,
    DATA,
    effort,
    in_turns,
    report,
    required,
    results_file,
    SAMPLE,
)
from thunder_core.direction import Brief, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.m2s import trained_mouth
from thunder_core.engine.readings import add_stresses, reading
from thunder_core.engine.scorer import DAMPED, shift_frames, voiced_weight
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS, speech_features
from thunder_core.face.lips import opening_mm
from thunder_core.grades import CHECK, GOOD, grade_take, POOR
from thunder_core.networks.judge import Judge
from thunder_core.networks.speech import Mouth
from thunder_core.request import Request
from thunder_core.train.corpus import Corpus, split_of
from thunder_core.train.judge import allowed_scale, energy_of, lip_error, size_of, without_closures
from thunder_core.train.sampled import teacher_mean
from thunder_core.types import FPS, in_group, pack, RATE, SPEECH, Speech, Take, TONGUE, unpack

TAKES, SPREAD, SETS = 16, 0.5, 5
GRADED = 4  # takes of a line whose grades are counted
WITHOUT, WITH = "without its stresses", "with its stresses"
SHIFTS = (2, 3, 5)  # frames of 40 ms
GRADES = (GOOD, CHECK, POOR)
FAULTS = (
    "120 ms late", "120 ms early", "200 ms late", "200 ms early", "never closing", "stops for 1 s",
    "stops for 2 s",
    "stops after a half", "stops after a quarter", "still",
)  # fmt: skip
# changes that *Energy* can request, so not faults
ALLOWED = ("damped to 60 %", "exaggerated by half")


def generate_takes(
    engine: Engine, speech: Speech, takes: int, seed: int, spread: float, steps: int,
    as_asked: bool = False,
) -> list[Take]:  # fmt: skip
    """Takes around the usual direction, in the order of their seeds. as_asked: the first is played
    just as requested, as in a user's batch."""
    asked = Brief(Direction().vector()[None], spread, as_asked=as_asked)
    return sorted(
        engine.generate(speech, Request(takes, seed, steps=steps, direction=asked)),
        key=lambda take: take.seed,
    )


def yardstick(engine: Engine, speech: Speech, takes: list[Take]) -> np.ndarray:
    """Correlation [K] of each take's opening with a linear map's prediction from the sound, where
    there is sound."""
    features = speech_features(
        *engine.thunder.encoder.analyse(speech.samples), speech.samples, speech.frames
    )
    with torch.no_grad():
        expected = Judge.load(engine.folder).predict(torch.from_numpy(features)[None])[0, 0].numpy()
    loud = voiced_weight(features[:, -LOUDNESS:]) > 0
    return np.array([np.corrcoef(take.opening[loud], expected[loud])[0, 1] for take in takes])


def evidence_of(engine: Engine, speech: Speech, takes: list[Take]) -> np.ndarray:
    """Mean evidence [K] that mesh-to-speech reads off each take's mouth for the units of the sound,
    nats, where there is sound."""
    voice = engine.thunder.analyse(speech.samples, speech.frames)
    loud = voiced_weight(voice.features[:, -LOUDNESS:]) > 0
    return np.array([engine.scorer.read([take.motion], voice)[0][loud].mean() for take in takes])


@dataclass(frozen=True)
class Ordered:
    """Takes of one line, [K] each. score; yard: of `yardstick`; read: of `evidence_of`.  good: more
    is better, minus the lip error or the r with a real mouth.  weight: of the line."""

    score: np.ndarray
    yard: np.ndarray
    read: np.ndarray
    good: np.ndarray
    weight: float = 1.0


def order_table(lines: list[Ordered], what: str) -> list[str]:
    """Table of how well scores and the yardstick order the takes of each line."""
    weights = np.array([line.weight for line in lines])

    def mean(values: Iterable[float]) -> float:
        return float(np.average(list(values), weights=weights))

    def row(name: str, which) -> str:
        ranks = [spearmanr(which(line), line.good).statistic for line in lines]
        average = mean(line.good.mean() for line in lines)
        best = mean(line.good[which(line).argmax()] for line in lines)
        possible = mean(line.good.max() for line in lines)
        share = (best - average) / max(1e-9, possible - average)
        return (
            f"{name:12s} {mean(ranks):9.2f} {np.min(ranks):7.2f} {average:9.3f} {best:9.3f} "
            f"{possible:9.3f} {share:9.2f}"
        )

    return [
        f"\n#### {what}: {len(lines)} lines, {len(lines[0].score)} takes of each",
        f"{'':12s} {'Spearman':>9s} {'worst':>7s} {'average':>9s} {'its best':>9s} "
        f"{'possible':>9s} {'of gain':>9s}",
        row("score", lambda line: line.score),
        row("yardstick", lambda line: line.yard),
        row("mesh2speech", lambda line: line.read),
    ]


def order_by_teacher(
    engine: Engine, corpus: Corpus, split: str, voices: int, steps: int
) -> dict[str, list[Ordered]]:
    """Takes of lines of unseen voices, and how far their lips are from the teacher's in each take's
    direction, without the take's stresses and with them."""
    lip = ~mouth_of(engine).inner
    result = {WITHOUT: [], WITH: []}
    channels = list(engine.head.expression_names)
    before = None
    for number, clip in enumerate(clips_of(corpus, split, voices)):
        line = Line.of(corpus, clip, engine)
        takes = generate_takes(engine, line.speech, TAKES, number * TAKES, SPREAD, steps)
        voice = engine.thunder.analyse(line.speech.samples, line.speech.frames)
        vectors = [reading(Direction().vector()[None], take.seed, SPREAD)[0] for take in takes]
        directions = {
            WITHOUT: [v[None] for v in vectors],
            WITH: [
                add_stresses(v[None], take.seed, SPREAD, voice.accents)
                for v, take in zip(vectors, takes)
            ],
        }
        by = (
            np.array([take.score.total for take in takes]),
            yardstick(engine, line.speech, takes),
            evidence_of(engine, line.speech, takes),
        )
        taken = mouth_vertices(engine, np.stack([pack(take.motion) for take in takes]))
        loud, other = voiced_weight(voice.features[:, -LOUDNESS:]) > 0, None
        for name, played in directions.items():
            truth = np.stack(
                [
                    teacher_mean(line.phones, line.speech.samples, voice, channels, each)
                    for each in played
                ]
            )
            if other is None:  # of the first line: the same backwards
                other = truth[:1, ::-1] if before is None else np.resize(before, truth[:1].shape)
                before = truth[:1]
            true, wrong = mouth_vertices(engine, truth), mouth_vertices(engine, other)
            size = allowed_sizes(engine, taken, true, loud, vectors)
            error = lip_error(taken[:, :, lip], true[:, :, lip], wrong[:, :, lip], size)
            result[name].append(Ordered(*by, -error[:, loud].mean(1).numpy()))
    return result


def allowed_sizes(
    engine: Engine,
    taken: torch.Tensor,
    true: torch.Tensor,
    loud: torch.Tensor,
    vectors: Sequence[np.ndarray],
) -> torch.Tensor:
    """Sizes [K, 1] of the teacher's lips with which takes in their directions are compared.
    taken, true: mouths [K, T, n, 3]."""
    sizes = size_of(
        taken[:, :, mouth_of(engine).lips], true[:, :, mouth_of(engine).lips], loud
    ).numpy()
    return torch.from_numpy(
        np.array([allowed_scale(size, energy_of(v)) for size, v in zip(sizes, vectors)], np.float32)
    )[:, None]


@lru_cache(maxsize=1)
def mouth_of(engine: Engine) -> Mouth:
    """The mouth that the engine's mesh-to-speech reads, in torch."""
    return Mouth(trained_mouth(engine.folder) or engine.head)


def mouth_vertices(engine: Engine, motions: np.ndarray) -> torch.Tensor:
    """Vertices of the mouth in packed motions [K, T, C]."""
    return mouth_of(engine).of_packed(torch.from_numpy(np.ascontiguousarray(motions, np.float32)))


def order_by_people(
    engine: Engine, data: Path, split: str, steps: int, as_asked: bool
) -> list[Ordered]:
    """Takes of clips of real speakers, and the r of their opening with the measured one: SETS of
    each clip. as_asked: of `generate_takes`."""
    result = []
    for clip in read_clips(data, split):
        speech = read_sound(clip.path)
        for first in range(1, 1 + SETS * TAKES, TAKES):
            takes = generate_takes(engine, speech, TAKES, first, SPREAD, steps, as_asked)
            r = np.array(
                [
                    r_at_best_lag(fit_length(take.opening, clip.frames), clip.opening)
                    for take in takes
                ]
            )
            by = (
                np.array([take.score.total for take in takes]),
                yardstick(engine, speech, takes),
                evidence_of(engine, speech, takes),
            )
            result.append(Ordered(*by, r, speech.seconds))
    return result


def mean_over_clips(lines: list[Ordered]) -> str:
    """A line: Spearman of score and r, mean over clips of the mean of their sets of seeds, and its
    interval over clips."""
    ranks = (
        np.array([spearmanr(line.score, line.good).statistic for line in lines])
        .reshape(-1, SETS)
        .mean(1)
    )
    low, high = bootstrap(lambda drawn: float(ranks[drawn].mean()), len(ranks), 0.9)
    return (
        f"Spearman of the score, mean over {len(ranks)} clips: {ranks.mean():.2f} [90 %: "
        f"{low:.2f}, {high:.2f}]"
    )


def spoil_motion(engine: Engine, x: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """Versions of a packed motion [T, C] that are spoiled, and two that are not."""
    n, names = engine.head.channels, engine.head.expression_names
    tongue = np.append(in_group(names, TONGUE), [False] * 9)
    mouth = np.append(in_group(names, SPEECH), [True] * 3 + [False] * 6)
    opening = opening_mm(unpack(x, n), engine.head)
    made = {"as it is": x}
    for s in SHIFTS:
        made[f"{40 * s} ms late"], made[f"{40 * s} ms early"] = (
            shift_frames(x, s),
            shift_frames(x, -s),
        )
    made[f"damped to {DAMPED:.0%}"] = np.where(mouth, DAMPED * x, x)
    made["two and a half times as large"] = np.where(mouth, 2.5 * x, x)
    made["never closing"] = np.where(mouth, without_closures(x, opening), x)
    made["smoothed over 80 ms"] = np.where(mouth, gaussian_filter1d(x, 2.0, axis=0), x)
    made["another sentence"] = np.where(mouth, np.resize(other, x.shape), x)
    made["right tongue, still lips"] = np.where(tongue | ~mouth, x, 0.0)
    made["still"] = np.where(mouth, 0.0, x)
    made[ALLOWED[0]], made[ALLOWED[1]] = np.where(mouth, 0.6 * x, x), np.where(mouth, 1.5 * x, x)
    return {k: v.astype(np.float32) for k, v in made.items()}


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    """Share of pairs in which the right one scores higher, ties half."""
    return float(
        np.mean(right[:, None] > wrong[None]) + 0.5 * np.mean(right[:, None] == wrong[None])
    )


def fault_table(engine: Engine, sounds: list[Speech], takes: int, steps: int) -> list[str]:
    """Scores of takes just as the usual direction asks, as they are and spoiled."""
    points: dict[str, list[list[float]]] = {}  # line by line, take by take
    before = None
    for number, speech in enumerate(sounds):
        line: dict[str, list[float]] = {}
        for take in generate_takes(engine, speech, takes, number * takes, 0.0, steps):
            x = pack(take.motion)
            for name, y in spoil_motion(engine, x, x[::-1] if before is None else before).items():
                line.setdefault(name, []).append(
                    engine.score(speech, unpack(y, engine.head.channels)).total
                )
        before = x
        for name, scores in line.items():
            points.setdefault(name, []).append(scores)
    right = np.array(points["as it is"])
    lines = [
        f"\n#### Spoiled takes: {len(sounds)} lines, {takes} takes of each",
        f"{'':30s} {'mean':>6s} {'AUC':>6s} {'paired':>7s}",
    ]
    for name, values in points.items():
        v = np.array(values)
        note = "   (not a fault)" if name in ALLOWED else ""
        lines.append(
            f"{name:30s} {v.mean():6.1f} {auc(right.ravel(), v.ravel()):6.3f} "
            f"{np.mean(right > v):7.3f}{note}"
        )
    return lines


def recordings(data: Path, split: str, count: int) -> list[Path]:
    """As many recordings of at least 5 s of a split's voices as there are, one of every voice
    before another of any."""
    found = []
    for table in sorted((data / "speech").glob("*/transcripts.tsv")):
        for name, speaker, _ in csv.reader(
            table.read_text(encoding="utf-8").splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE
        ):
            path = table.parent / name
            if split_of(speaker) == split and soundfile.info(path).duration >= LEAST_SECONDS:
                found.append((speaker, name, path))
    return [
        path for *_, path in in_turns(found, lambda each: each[0], lambda each: each[1])[:count]
    ]


def stop_mouth(x: np.ndarray, mouth: np.ndarray, loud: np.ndarray) -> dict[str, np.ndarray]:
    """Versions of a packed motion [T, C] whose mouth stops while somebody speaks (loud [T])."""

    def hold(start: int, end: int) -> np.ndarray:
        y = x.copy()
        y[start:end, mouth] = x[start, mouth]
        return y

    made = {
        f"stops after {share}": hold(len(x) // by, len(x))
        for share, by in (("a half", 2), ("a quarter", 4))
    }
    for seconds in (1, 2):
        spoken = np.convolve(loud, np.ones(round(seconds * FPS)), "valid")
        made[f"stops for {seconds} s"] = hold(
            int(spoken.argmax()), int(spoken.argmax()) + round(seconds * FPS)
        )
    return made


def grade_table(engine: Engine, sounds: list[Speech]) -> list[str]:
    """Grades of takes as they are (the first of each line as asked, the others in other readings)
    and with planted faults."""
    n, names = engine.head.channels, engine.head.expression_names
    mouth = np.append(in_group(names, SPEECH), [True] * 3 + [False] * 6)
    found: dict[str, list[tuple[str, float]]] = {}
    for number, speech in enumerate(sounds):
        voice, seed = engine.analyse(speech), 5000 + TAKES * number
        loud = voiced_weight(voice.features[:, -LOUDNESS:])
        asked = Brief(Direction().vector()[None], SPREAD)
        for take in engine.generate(speech, Request(GRADED, seed, direction=asked)):
            x, is_first = pack(take.motion), take.seed == seed
            versions = {
                name: unpack(y, n)
                for name, y in (
                    spoil_motion(engine, x, x[::-1]) | stop_mouth(x, mouth, loud)
                ).items()
            }
            of_take = replace(asked, as_asked=is_first)
            for name, motion in versions.items():
                score = engine.score(speech, motion, of_take, take.seed)
                title = (
                    name
                    if name != "as it is"
                    else "as asked"
                    if is_first
                    else "in readings of their own"
                )
                found.setdefault(title, []).append(
                    (grade_take(score.total, score.per_frame)[0], score.total)
                )
    rows = [
        f"\n#### Grades: {len(sounds)} lines, {GRADED} takes of each",
        f"{'':44s} {'takes':>6s}" + "".join(f"{g:>7s}" for g in GRADES) + "  score",
    ]
    for name, of in found.items():
        shares = "".join(f"{np.mean([grade == g for grade, _ in of]):7.3f}" for g in GRADES)
        rows.append(f"{name:44s} {len(of):6d}{shares} {np.mean([total for _, total in of]):6.1f}")
    faults = [grade for name in FAULTS for grade, _ in found[name]]
    rows.append(
        f"planted faults ({', '.join(FAULTS)}): {len(faults)}, poor "
        f"{np.mean([g == POOR for g in faults]):.3f}, "
        f"good {sum(g == GOOD for g in faults)}"
    )
    return rows


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "weights", "steps", "results", data=DATA)
    p.add_argument(
        "--split",
        choices=("validation", "test"),
        default="validation",
        help="whose voices; test for final figures",
    )
    p.add_argument("--voices", type=int, default=20, help="lines by unseen voices")
    p.add_argument("--takes", type=int, default=2, help="of each line that are spoiled")
    p.add_argument(
        "--grades", action="store_true", help="only the grades of takes of DATA's recordings"
    )


def run(args: Namespace) -> None:
    if args.grades:
        required((args.data or Path("DATA")) / "speech", "the folder of recordings")
    engine = Engine.load(args.weights, device="cpu")
    if args.grades:
        paths = recordings(args.data, args.split, args.voices)
        sounds = [Speech(read_sound(path).samples[: int(MOST_SECONDS * RATE)]) for path in paths]
        lines = [
            f"weights {engine.weights}; recordings of the split {args.split}; {effort(args.steps)}",
            *grade_table(engine, sounds),
        ]
        report(results_file(args.results, "grades.txt", args.split == "test"), lines)
        return
    cached = (args.cache / "corpus" / "clips.json").exists()
    whose = (
        f"voices of the split {args.split}" if cached else "the shipped sample, a synthetic voice"
    )
    lines = [f"weights {engine.weights}; {whose}; {effort(args.steps)}"]
    if cached:
        corpus = Corpus(args.cache / "corpus")
        taken = order_by_teacher(engine, corpus, args.split, args.voices, args.steps)
        for name, items in taken.items():
            lines += order_table(
                items,
                f"Order: minus the lip error against the teacher in the take's direction, {name}",
            )
        sounds = [
            Line.of(corpus, clip, engine).speech
            for clip in clips_of(corpus, args.split, args.voices)
        ]
    else:
        sounds = [read_sound(SAMPLE)]
    if args.data is not None:
        what = f"Order: r of the opening with real mouths, by seconds, {SETS} sets of seeds"
        for batch, as_asked in (
            ("the first as requested, as in a user's batch", True),
            ("all in readings of their own", False),
        ):
            people = order_by_people(engine, args.data, "check", args.steps, as_asked)
            lines += [*order_table(people, f"{what}, {batch}"), mean_over_clips(people)]
    lines += fault_table(engine, sounds, args.takes, args.steps)
    report(results_file(args.results, "ranking.txt", cached), lines)
