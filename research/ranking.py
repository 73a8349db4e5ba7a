# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how well the lip-sync score orders usable takes, tells spoiled takes from them, and
grades both.

`python -m research ranking --data DATA [--split test]`; DATA is a folder with `lips/`, `grid/` and
`speech/`. A quarter of an hour of one core; of the test voices, who only read, five minutes.

Order: 16 takes of every line at *Spread* .5 in readings of their own, r of their opening with the
measured mouth at the best lag; five sets of seeds of the clips of `check`. Spoiled takes: AUC of
the score against that of the same takes late, early, damped … of recordings of the split's voices,
the first of each line as asked, and of takes that were asked to be smaller or larger. Grades: of
the same, and both of ten seconds of the clips of `check`. To stdout and
research/results/ranking.txt.

`--fit` prints the weights of the parts (`engine.scorer.WEIGHTS`) that fit best: the order of takes
by real mouths of `fit` and of GRID, and faults planted in takes of validation voices.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize
from scipy.stats import spearmanr

from research.corpus_lines import LEAST_SECONDS, MOST_SECONDS
from research.faces.lip_clips import fit_length, LipClip, r_at_best_lag, read_clips, read_grid
from research.harness import (
    add_shared,
    bootstrap,
    DATA,
    describe_sampling,
    in_turns,
    report,
    required,
    results_file,
)
from research.words_aligned import texts_of
from thunder_core.direction import Direction, DIRECTION_NAMES, DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.engine.scorer import face_at, WEIGHTS
from thunder_core.engine.speech.audio import read_sound, sound_of
from thunder_core.face.moving.lips import opening_mm
from thunder_core.filters import highest
from thunder_core.findings import CHECK, GOOD, LipSyncScore, POOR
from thunder_core.request import Request
from thunder_core.types import (
    CLOSED_MM,
    FPS,
    in_group,
    Motion,
    pack,
    RATE,
    SampledTake,
    SPEECH,
    Speech,
    unpack,
)

TAKES, SPREAD, SETS = 16, 0.5, 5
SPOILED = 4  # takes of a line that are spoiled
SHIFTS = (2, 3, 5)  # frames of 40 ms
GRADES = (GOOD, CHECK, POOR)
AS_ASKED, READING = "as asked", "in readings of their own"
DAMPED = "damped to 15 %"
# what counts as a fault whose grade should be poor
FAULTS = (
    "120 ms late", "120 ms early", "200 ms late", "200 ms early", "never closing", "stops for 1 s",
    "stops for 2 s", "stops after a half", "stops after a quarter", "still",
)  # fmt: skip
# how it is told where the direction is not known, as of animation by hand
UNDIRECTED = (DAMPED, "half size", "mumbled", "smoothed over 80 ms")
NO_DIRECTION = ", no direction"
REQUESTED = {"asked for ×.7": -1.5, "asked for ×1.4": 1.5}  # deviations of *Energy*
# faults whose AUC weights are fitted to
FITTED = (
    "80 ms late", "80 ms early", "never closing", "smoothed over 80 ms", DAMPED, "half size",
    "2.5 times as large", "mumbled", "stops for 1 s", "another sentence",
)  # fmt: skip


# ---- takes and how they are spoiled


def direction(exact_first: bool = False, energy: float = 0.0) -> DirectionRequest:
    """The usual direction, or one of another *Energy* in deviations, at SPREAD."""
    vector = Direction().vector()
    vector[DIRECTION_NAMES.index("energy")] = energy
    return DirectionRequest(vector[None], SPREAD, exact_first=exact_first)


def generate_takes(
    engine: Engine,
    speech: Speech,
    in_direction: DirectionRequest,
    takes: int,
    seed: int,
    steps: int,
) -> list[SampledTake]:
    """Takes in a direction, in the order of their seeds."""
    request = Request(takes, seed, steps=steps, direction=in_direction)
    return sorted(engine.generate(speech, request), key=lambda take: take.seed)


def without_closures(x: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """A packed motion [T, C] that glides over closures: where lips meet between open frames."""
    shut = (opening < CLOSED_MM) & (highest(opening, 9) > 2.0)
    keep = np.flatnonzero(~np.convolve(shut, np.ones(5), "same").astype(bool))
    if not shut.any() or len(keep) < 2:
        return x
    at = np.arange(len(x))
    return np.stack([np.interp(at, keep, column[keep]) for column in x.T], 1)


def shift(motion: Motion, frames: float) -> Motion:
    """The face of a motion so many frames later, its ends held."""
    return face_at(motion, np.arange(motion.frames) - frames)


def hold_poses(motion: Motion, frames: int, fps: float = 24.0) -> Motion:
    """The face of a motion whose poses are held for so many frames of a scene."""
    scene = np.arange(motion.frames) / FPS * fps
    return face_at(motion, np.floor(scene + 1e-6) // frames * frames / fps * FPS)


def spoil_motion(
    engine: Engine, motion: Motion, other: np.ndarray, speaking: np.ndarray
) -> dict[str, Motion]:
    """Versions of a motion whose mouth is spoiled. other: a packed motion of another line.
    speaking: bool [T]."""
    x, n = pack(motion), engine.head.channels
    mouth = np.append(in_group(engine.head.expression_names, SPEECH), [True] * 3 + [False] * 6)
    at = np.arange(len(x))

    def hold(start: int, end: int) -> np.ndarray:
        return np.where(((at >= start) & (at < end))[:, None], x[start], x)

    made = {}
    for frames in SHIFTS:
        for name, by in (("late", frames), ("early", -frames)):
            made[f"{40 * frames} ms {name}"] = x[np.clip(at - by, 0, len(x) - 1)]
    made |= {
        DAMPED: 0.15 * x,
        "half size": 0.5 * x,
        "2.5 times as large": 2.5 * x,
        "never closing": without_closures(x, opening_mm(motion, engine.head)),
        "smoothed over 80 ms": gaussian_filter1d(x, 2.0, axis=0),
        "mumbled": gaussian_filter1d(0.5 * x, 1.5, axis=0),
        "another sentence": np.resize(other, x.shape),
        "still": 0.0 * x,
        "stops after a half": hold(len(x) // 2, len(x)),
        "stops after a quarter": hold(len(x) // 4, len(x)),
    }
    for seconds in (1, 2):
        first = int(np.convolve(speaking, np.ones(round(seconds * FPS)), "valid").argmax())
        made[f"stops for {seconds} s"] = hold(first, first + round(seconds * FPS))
    return {name: unpack(np.where(mouth, y, x).astype(np.float32), n) for name, y in made.items()}


def recordings(data: Path, split: str, count: int) -> list[Path]:
    """As many recordings of at least 5 s of a split's voices as there are, one of every voice
    before another of any."""
    found = [
        (speaker, path)
        for path, speaker, _ in texts_of(data / "speech", split)
        if soundfile.info(path).duration >= LEAST_SECONDS
    ]
    ranked = in_turns(found, lambda each: each[0], lambda each: each[1].name)
    return [path for _, path in ranked[:count]]


# ---- scores


def parts_of(scores: Iterable[LipSyncScore]) -> np.ndarray:
    """The parts [K, WEIGHTS] of scores."""
    return np.array([[score.parts[name] for name in WEIGHTS] for score in scores])


@dataclass(frozen=True)
class Ordered:
    """Takes of one line: parts [K, WEIGHTS] of their scores, and r [K] of the opening with the real
    mouth."""

    name: str
    seconds: float
    parts: np.ndarray
    r: np.ndarray


def order_by_people(
    engine: Engine, clips: Sequence[LipClip], sets: int, steps: int
) -> list[Ordered]:
    """Takes of clips of real speakers, so many sets of seeds of each."""
    result = []
    for clip in clips:
        speech = sound_of(clip.samples, RATE, clip.name)
        for first in range(1, 1 + sets * TAKES, TAKES):
            takes = generate_takes(engine, speech, direction(), TAKES, first, steps)
            curves = (fit_length(take.opening, clip.frames) for take in takes)
            r = np.array([r_at_best_lag(curve, clip.opening) for curve in curves])
            scores = [take.score for take in takes if take.score is not None]
            result.append(Ordered(clip.name, speech.seconds, parts_of(scores), r))
    return result


Spoiled = dict[str, list[LipSyncScore]]


def score_spoiled(engine: Engine, sounds: Sequence[Speech], steps: int) -> Spoiled:
    """Scores by how takes were spoiled, of some also without their direction; and of takes as they
    are, by AS_ASKED, READING and REQUESTED."""
    result: Spoiled = {}
    other = None
    for number, speech in enumerate(sounds):
        seed, speaking = 5000 + TAKES * number, engine.analyse(speech).speaking
        for take in generate_takes(engine, speech, direction(True), SPOILED, seed, steps):
            first = take.seed == seed
            of_take = replace(direction(True), exact_first=first)
            made = {AS_ASKED if first else READING: take.motion}
            backwards = pack(take.motion)[::-1]
            made |= spoil_motion(
                engine, take.motion, backwards if other is None else other, speaking
            )
            for name, motion in made.items():
                score = engine.score(speech, motion, of_take, take.seed)
                result.setdefault(name, []).append(score)
                if name in (AS_ASKED, READING, *UNDIRECTED):
                    score = engine.score(speech, motion)
                    result.setdefault(name + NO_DIRECTION, []).append(score)
        other = backwards
        for name, energy in REQUESTED.items():
            takes = generate_takes(engine, speech, direction(True, energy), SPOILED, seed, steps)
            result.setdefault(name, []).extend(take.score for take in takes)
    return result


def auc(right: np.ndarray, wrong: np.ndarray) -> float:
    """Share of pairs in which the right one scores higher, ties half."""
    return float(
        np.mean(right[:, None] > wrong[None]) + 0.5 * np.mean(right[:, None] == wrong[None])
    )


POINTS = np.array([*WEIGHTS.values()])


# ---- tables


def order_table(lines: Sequence[Ordered], what: str) -> list[str]:
    """How well the score orders the takes of each line."""
    seconds = np.array([line.seconds for line in lines])
    names = np.array([line.name for line in lines])
    rows = [
        f"\n#### {what}: {len(set(names))} clips, {len(lines)} lists of {TAKES} takes",
        f"{'':24s} {'Spearman':>9s} {'clips':>22s} {'worst':>6s} {'average':>8s} {'its best':>9s} "
        f"{'possible':>9s} {'of gain':>18s}",
    ]
    totals = [line.parts @ POINTS for line in lines]
    ranks = np.nan_to_num(
        [spearmanr(total, line.r).statistic for total, line in zip(totals, lines)]
    )
    average, best, possible = (
        np.array([choose(total, line.r) for total, line in zip(totals, lines)])
        for choose in (
            lambda total, r: r.mean(),
            lambda total, r: r[total.argmax()],
            lambda total, r: r.max(),
        )
    )
    clips = list(dict.fromkeys(names))
    of_clip = np.array([ranks[names == name].mean() for name in clips])

    def gain(chosen: np.ndarray) -> float:
        rows = np.concatenate([np.flatnonzero(names == clips[number]) for number in chosen])
        means = [
            np.average(each[rows], weights=seconds[rows]) for each in (average, best, possible)
        ]
        return float((means[1] - means[0]) / (means[2] - means[0]))

    low, high = bootstrap(lambda drawn: float(of_clip[drawn].mean()), len(clips), 0.9)
    gain_low, gain_high = bootstrap(gain, len(clips), 0.9)
    mean = [np.average(each, weights=seconds) for each in (ranks, average, best, possible)]
    rows.append(
        f"{'score':24s} {mean[0]:9.2f} {of_clip.mean():8.2f} [{low:5.2f}, {high:5.2f}] "
        f"{of_clip.min():6.2f} {mean[1]:8.3f} {mean[2]:9.3f} {mean[3]:9.3f} "
        f"{gain(np.arange(len(clips))):6.2f} [{gain_low:.2f}, {gain_high:.2f}]"
    )
    return rows


def fault_table(spoiled: Spoiled, whose: str, lines: int) -> list[str]:
    """Points of takes as they are and spoiled, and AUC of those as they are against the others."""
    rows = [
        f"\n#### Spoiled takes of {whose}: {lines} lines, {SPOILED} takes of each",
        f"{'':36s} {'mean':>6s} {'AUC':>6s}",
    ]
    right_of = {
        more: parts_of(spoiled[AS_ASKED + more] + spoiled[READING + more])
        for more in ("", NO_DIRECTION)
    }
    for name, scores in spoiled.items():
        parts, right = parts_of(scores), right_of[NO_DIRECTION * name.endswith(NO_DIRECTION)]
        of_takes = auc(right @ POINTS, parts @ POINTS)
        rows.append(f"{name:36s} {(parts @ POINTS).mean():6.1f} {of_takes:6.3f}")
    return rows


def grade_table(spoiled: Spoiled, whose: str, lines: int) -> list[str]:
    """Grades of takes as they are and spoiled."""
    rows = [
        f"\n#### Grades of {whose}: {lines} lines, {SPOILED} takes of each",
        f"{'':36s} {'takes':>6s}" + "".join(f"{grade:>7s}" for grade in GRADES),
    ]
    for name, scores in spoiled.items():
        shares = "".join(
            f"{np.mean([score.grade == grade for score in scores]):7.3f}" for grade in GRADES
        )
        rows.append(f"{name:36s} {len(scores):6d}{shares}")
    grades = [score.grade for name in FAULTS for score in spoiled[name]]
    rows.append(
        f"planted faults ({', '.join(FAULTS)}): {len(grades)}, poor "
        f"{np.mean([grade == POOR for grade in grades]):.3f}, "
        f"good {np.mean([grade == GOOD for grade in grades]):.3f}"
    )
    return rows


# ---- weights

_SOFT = 4.0  # points: differences that are no more hardly count as right or wrong
_LEAST = np.log(1.0)  # logarithm of the least points of a part


def fit_weights(people: Sequence[Sequence[Ordered]], spoiled: Spoiled) -> np.ndarray:
    """Points of each part [WEIGHTS], 100 together, that order takes best: logistic loss of pairs of
    takes of a line, by how much their r differ, and of takes as they are against FITTED faults."""
    right = parts_of(spoiled[AS_ASKED] + spoiled[READING])
    faults = [parts_of(spoiled[name]) for name in FITTED]

    def wrong(better: np.ndarray, worse: np.ndarray) -> np.ndarray:
        return np.logaddexp(0, -(better[:, None] - worse[None]) / _SOFT)

    def loss(logarithms: np.ndarray) -> float:
        weights = np.exp(logarithms)
        weights *= 100 / weights.sum()
        lost = float(np.mean([wrong(right @ weights, each @ weights).mean() for each in faults]))
        for group in people:
            each_line = []
            for line in group:
                total = line.parts @ weights
                by = np.maximum(line.r[:, None] - line.r[None], 0)
                each_line.append((wrong(total, total) * by).sum() / by.sum())
            lost += float(np.mean(each_line))
        return lost

    found = minimize(
        loss, np.log(POINTS), method="L-BFGS-B", bounds=[(_LEAST, np.log(100))] * len(POINTS)
    )
    weights = np.exp(found.x)
    return 100 * weights / weights.sum()


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "weights", "steps", "results", data=DATA, split="validation", voices=40)
    p.add_argument("--sets", type=int, default=SETS, help="lists of takes of a clip of check")
    p.add_argument("--clips", type=int, help="of people, of check and of GRID each (default: all)")
    p.add_argument("--fit", action="store_true", help="fit the weights of the parts")


def run(args: Namespace) -> None:
    data = required(args.data or Path("DATA"), "the folder of recordings and measured lips")
    engine = Engine.load(args.weights, device="cpu")
    sounds = [
        Speech(read_sound(path).samples[: int(MOST_SECONDS * RATE)])
        for path in recordings(data, args.split, args.voices)
    ]
    if args.fit:
        if args.split == "test":
            raise SystemExit("Weights are fitted to validation voices: leave out --split")
        people = [
            order_by_people(engine, clips, 1, args.steps)
            for clips in (read_clips(data, "fit"), read_grid(data))
        ]
        weights = fit_weights(people, score_spoiled(engine, sounds, args.steps))
        for name, points in zip(WEIGHTS, weights):
            print(f"{name:10s} {points:5.1f}")
        return
    lines = [
        f"weights {engine.weights}; voices of the split {args.split}; {describe_sampling(args.steps)}"
    ]
    groups = [("read lines", sounds)]
    if args.split == "validation":  # people are of neither split
        for what, clips, sets in (
            ("check", read_clips(data, "check")[: args.clips], args.sets),
            ("GRID", read_grid(data)[: args.clips], 1),
        ):
            lines += order_table(
                order_by_people(engine, clips, sets, args.steps),
                f"Order: r of the opening with real mouths, {what}, takes in readings of their own",
            )
        people = [
            Speech(sound_of(clip.samples, RATE, clip.name).samples[: int(MOST_SECONDS * RATE)])
            for clip in read_clips(data, "check")[: args.clips]
        ]
        groups.append(("real voices of check", people))
    for whose, voices in groups:
        spoiled = score_spoiled(engine, voices, args.steps)
        lines += fault_table(spoiled, whose, len(voices)) + grade_table(spoiled, whose, len(voices))
    name = "ranking.txt" if args.split == "validation" else "ranking_test.txt"
    report(results_file(args.results, name, True), lines)
