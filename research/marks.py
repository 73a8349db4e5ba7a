# SPDX-License-Identifier: GPL-3.0-or-later
"""What marks on words do to takes (`thunder_core/direction.py`).

Voices of DATA's `speech/` that trained nothing; in each, at most four stretches of .4 s with a
vowel stand for words. Takes of the same seeds are sampled without marks and with one kind of mark
on all of these words. Of each kind: the measure that it should change, without and with marks,
means over words and takes; in how many it changed the right way (is as wanted, of closures); and
how much lips change further than .3 s from a word, relative to the difference between two takes. To
stdout and research/results/marks.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from research.harness import add_shared, report, required, results_file, usual_direction
from research.ranking import recordings
from thunder_core.direction import CLOSED, HELD, Mark, MOVED, OPEN, SOUND, STRESSED, THROWN_AWAY
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.voice import held_points
from thunder_core.request import Request
from thunder_core.spoken import BILABIALS, SILENCE, VOWELS
from thunder_core.types import FPS, RATE, Speech, Take
from thunder_core.weight_files import ENCODER_RATE

SECONDS, LENGTH, APART, WORDS = 8.0, 0.4, 1.2, 4
SHUT = 0.6  # millimetres
LATER = 0.12  # seconds by which words are moved
Measure = Callable[[Take, int, int], float]


def words_of(logits: np.ndarray, seconds: float) -> list[tuple[float, float]]:
    """(start, end) of stretches of speech with a vowel and without m, b or p."""
    phones, result = logits.argmax(1), []
    length = round(LENGTH * ENCODER_RATE)
    for start in range(
        round(0.5 * ENCODER_RATE), round((seconds - 0.5) * ENCODER_RATE) - length, 5
    ):
        said, begin = phones[start : start + length], start / ENCODER_RATE
        fits = (
            np.isin(said, VOWELS).mean() >= 0.3 and not np.isin(said, (SILENCE, *BILABIALS)).any()
        )
        if fits and (not result or begin - result[-1][0] >= APART) and len(result) < WORDS:
            result.append((begin, begin + LENGTH))
    return result


def size(take: Take, a: int, b: int) -> float:
    """How far lips open, millimetres, the root of the mean square."""
    return float(np.sqrt((np.maximum(take.opening[a:b], 0) ** 2).mean()))


def shut(take: Take, a: int, b: int) -> float:
    """Share of frames with closed lips."""
    return float((take.opening[a:b] <= SHUT).mean())


def touches(take: Take, a: int, b: int) -> float:
    """Whether lips close at all."""
    return float((take.opening[max(0, a - 1) : b + 1] <= SHUT).any())


def leaves(take: Take, a: int, b: int) -> float:
    """How far lips are on average from where they were at its beginning, millimetres."""
    return float(np.abs(take.opening[a:b] - take.opening[a]).mean())


def narrow(take: Take, a: int, b: int) -> float:
    """Least width between the corners, millimetres."""
    return float(take.width[a:b].min())


# kind → mark of a word's start and end, its measure, and whether it should rise (1) or fall (−1)
KINDS: dict[str, tuple[Callable[[float, float], Mark], Measure, int]] = {
    STRESSED: (lambda a, b: Mark(STRESSED, a, b), size, 1),
    THROWN_AWAY: (lambda a, b: Mark(THROWN_AWAY, a, b), size, -1),
    HELD: (lambda a, b: Mark(HELD, a, b), leaves, -1),
    CLOSED: (lambda a, b: Mark(CLOSED, a, b), shut, 1),
    OPEN: (lambda a, b: Mark(OPEN, a, b), size, 1),
    "sound B": (lambda a, b: Mark(SOUND, (a + b) / 2 - 0.05, (a + b) / 2 + 0.05, "B"), touches, 1),
    "sound UW": (lambda a, b: Mark(SOUND, a + 0.1, b - 0.1, "UW"), narrow, -1),
}


def held_frames(logits: np.ndarray, start: float, end: float) -> tuple[int, int]:
    """First and last frame in which a held word stays in its vowel."""
    _, (middle, _), (until, _), _ = held_points(logits, Mark(HELD, start, end))
    return round(middle / ENCODER_RATE * FPS), round(until / ENCODER_RATE * FPS) + 1


def lag(marked: np.ndarray, plain: np.ndarray, a: int, b: int) -> float:
    """Seconds by which an opening [T] in frames a … b comes later than another."""
    shifts = range(-6, 7)
    fits = [np.corrcoef(marked[a + by : b + by], plain[a:b])[0, 1] for by in shifts]
    return shifts[int(np.nanargmax(fits))] / FPS


def away_from_words(words: list[tuple[float, float]], frames: int) -> np.ndarray:
    """Frames that are more than .3 s from every word, bool [T]."""
    at = np.arange(frames) / FPS
    return np.all([(at < start - 0.3) | (at > end + 0.3) for start, end in words], axis=0)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "seed", "results")
    p.add_argument("--split", choices=("validation", "test"), default="test", help="whose voices")
    p.add_argument("--voices", type=int, default=10, help="how many")
    p.add_argument("--takes", type=int, default=4, help="of each voice")


def run(args: Namespace) -> None:
    required(args.data / "speech", "the folder of recordings")
    engine = Engine.load(args.weights, device="cpu")
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in (*KINDS, MOVED)}
    changed: dict[str, list[float]] = {kind: [] for kind in found}
    for path in recordings(args.data, args.split, args.voices):
        speech = Speech(read_sound(path).samples[: round(SECONDS * RATE)], RATE)
        measure(engine, speech, args, found, changed)
    lines = [f"weights {engine.weights}; {len(found[STRESSED])} words in takes of voices of the "
             f"split {args.split}",
             f"{'':12s} {'without':>8s} {'with':>8s} {'right way':>10s} {'elsewhere':>10s}"]  # fmt: skip
    for kind, pairs in found.items():
        before, after = np.array(pairs).T
        sign = KINDS[kind][2] if kind in KINDS else 1
        right = (
            (sign * (after - before) > 0).mean()
            if kind not in ("sound B", CLOSED)
            else (after >= before)[after > 0].sum() / len(after)
        )
        lines.append(
            f"{kind:12s} {before.mean():8.2f} {after.mean():8.2f} {right:10.2f} "
            f"{np.mean(changed[kind]):10.2f}"
        )
    report(results_file(args.results, "marks.txt", args.voices >= 10), lines)


def measure(engine: Engine, speech: Speech, args: Namespace, found: dict, changed: dict) -> None:
    """Add what each kind of mark does on the words of one voice."""
    asked = replace(usual_direction(0.5), as_asked=True)
    logits = engine.thunder.analyse(speech.samples, speech.frames).logits
    words = [
        word
        for word in words_of(logits, speech.frames / FPS)
        if held_points(logits, Mark(HELD, *word))
    ]
    if not words:
        return

    def takes(marks: tuple[Mark, ...]) -> list[Take]:
        sampled = engine.generate(
            speech, Request(args.takes, args.seed, direction=replace(asked, marks=marks))
        )
        return sorted(sampled, key=lambda take: take.seed)

    plain, calm = takes(()), away_from_words(words, speech.frames)
    apart = np.abs(plain[0].opening - plain[1].opening)[calm].mean()
    marks = {kind: tuple(mark(a, b) for a, b in words) for kind, (mark, _, _) in KINDS.items()}
    marks[MOVED] = tuple(Mark(MOVED, a, b, to=(a + LATER, b + LATER)) for a, b in words)
    for kind, asked_for in marks.items():
        for before, after in zip(plain, takes(asked_for)):
            changed[kind].append(float(np.abs(after.opening - before.opening)[calm].mean() / apart))
            for start, end in words:
                a, b = round(start * FPS), round(end * FPS)
                if kind == HELD:
                    a, b = held_frames(logits, start, end)
                if kind == MOVED:
                    found[kind].append((0.0, lag(after.opening, before.opening, a, b)))
                else:
                    found[kind].append((KINDS[kind][1](before, a, b), KINDS[kind][1](after, a, b)))
