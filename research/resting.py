# SPDX-License-Identifier: GPL-3.0-or-later
"""How the lower face moves where nobody speaks.

CACHE has the corpus. Takes of an idle face of 20 s, neutral and warm; takes that listen to lines of unseen voices; and takes that speak
these lines with 6 s of quiet inserted between words, measured inside that quiet, 1 s after it begins to 1.2 s before it ends. Per kind:
the channels of mouth, jaw, cheeks and nose that move by .04 and by .08 or more in a take (medians, least), how far a corner of the mouth
moves (median, least), the largest gap between the inner lips beyond that at rest, the largest turn of the jaw, presses of the lips and
swallows a minute, and the lip-sync score. To stdout and research/results/resting.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.corpus_lines import add_line_arguments, clips_of, Line, open_corpus
from research.harness import report, results_file
from thunder_core.animation.played import starts
from thunder_core.direction import Asked, Direction, NEUTRAL
from thunder_core.engine.engine import Engine
from thunder_core.face.head import Head
from thunder_core.face.lips import Lips
from thunder_core.face.skinning import SkinnedPoints
from thunder_core.request import Request
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import FPS, Motion, RATE, Speech, Take

SECONDS, QUIET, INSIDE = 20.0, 6.0, (1.0, 1.2)
LOWER = ("mouth", "jaw", "cheek", "nose")
PRESSED, CHIN = 0.12, 0.1  # mouthPress and mouthShrugLower of a press and of a swallow
NAMES = ("takes", "> .04", "least", "> .08", "least", "corner, mm", "least", "gap, mm", "jaw, °", "press/min", "swallow/min", "score")


def with_quiet(samples: np.ndarray) -> tuple[np.ndarray, slice]:
    """A sound with QUIET seconds inserted at the quietest tenth of a second of its middle, and the frames of what is inserted."""
    power = np.convolve(samples**2, np.ones(RATE // 10), "same")
    third = len(samples) // 3
    at = third + int(np.argmin(power[third : 2 * third]))
    noise = 1e-5 * np.random.default_rng(1).standard_normal(round(QUIET * RATE))
    return np.concatenate([samples[:at], noise, samples[at:]]).astype(np.float32), slice(
        int((at / RATE + INSIDE[0]) * FPS), int((at / RATE + QUIET - INSIDE[1]) * FPS)
    )


def corners_of(head: Head) -> SkinnedPoints:
    """The corners of a head's mouth."""
    vertices = np.array([head.mouth_corner_left, head.mouth_corner_right])
    return SkinnedPoints.of(head, lambda values: values[vertices])


def row(name: str, lips: Lips, edges: SkinnedPoints, takes: list[tuple[Take, Motion]]) -> str:
    """A line of the table. edges: the corners of the mouth.  takes: each with the part of its motion that is measured."""
    names = np.array(lips.names)
    lower = np.array([each.startswith(LOWER) for each in names])
    some, more, corners, gaps, jaws, presses, swallows, minutes = [], [], [], [], [], 0, 0, 0.0
    for _, motion in takes:
        moved = np.ptp(motion.expression[:, lower], axis=0)
        some.append((moved > 0.04).sum())
        more.append((moved > 0.08).sum())
        placed = edges.place(lips.coefficients(motion), rotvec_to_matrix(motion.jaw.astype(float)))
        points = np.moveaxis(np.asarray(placed), 1, 0) * 1e3
        corners.append(max(np.linalg.norm(np.ptp(each, axis=0)) for each in points))
        gaps.append(lips.opening(motion).max())
        jaws.append(np.degrees(np.abs(motion.jaw).max()))
        pressed = motion.expression[:, names == "mouthPressLeft"][:, 0]
        chin = motion.expression[:, names == "mouthShrugLower"][:, 0]
        presses += len(starts(pressed > PRESSED))
        swallows += len(starts(chin > CHIN))
        minutes += motion.frames / FPS / 60
    scores = [take.score.total for take, _ in takes if take.score is not None]
    values = [
        f"{len(takes)}", f"{np.median(some):.0f}", f"{min(some)}", f"{np.median(more):.0f}", f"{min(more)}", f"{np.median(corners):.2f}",
        f"{min(corners):.2f}", f"{max(gaps):.2f}", f"{max(jaws):.2f}", f"{presses / minutes:.1f}", f"{swallows / minutes:.1f}",
        f"{np.mean(scores):.1f}" if scores else "–",
    ]  # fmt: skip
    return f"{name:22s}" + "".join(f"{value:>12s}" for value in values)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_line_arguments(p)
    p.set_defaults(voices=3)
    p.add_argument("--takes", type=int, default=16, help="of an idle face; half as many of each line")
    p.add_argument("--keep", type=Path, help="folder for the motions, as arrays")


def run(args: Namespace) -> None:
    """Sample, measure and write the table."""
    engine, corpus = Engine.load(args.weights), open_corpus(args.cache)
    lips, edges = Lips.of(engine.head), corners_of(engine.head)
    made: dict[str, list[tuple[Take, Motion]]] = {}

    def perform(name: str, speech: Speech, count: int, inside: slice, mood: str = NEUTRAL, listening: bool = False) -> None:
        asked = Asked(Direction(mood=mood, strength=0.6).vector()[None], 0.5)
        takes = engine.generate(speech, Request(count, 1, direction=asked, listening=listening))
        already = len(made.get(name, []))
        made.setdefault(name, []).extend((take, take.motion.part(inside)) for take in takes)
        if args.keep is not None:
            args.keep.mkdir(parents=True, exist_ok=True)
            for i, take in enumerate(takes, already):
                m = take.motion
                np.savez(
                    args.keep / f"{name} {i}.npz", expression=m.expression, jaw=m.jaw, head=m.head, eyes=m.eyes,
                    seed=take.seed, inside=[inside.start or 0, inside.stop or m.frames],
                )  # fmt: skip

    silence = Speech(np.zeros(round(SECONDS * RATE), np.float32))
    perform("idle", silence, args.takes, slice(None))
    perform("idle, warm .6", silence, args.takes, slice(None), "warm")
    for clip in clips_of(corpus, args.split, args.voices):
        samples = Line.of(corpus, clip, engine).speech.samples
        sound, inside = with_quiet(samples)
        perform("6 s of quiet", Speech(sound), args.takes // 2, inside)
        perform("listens", Speech(samples), args.takes // 2, slice(None), listening=True)
        perform("without quiet", Speech(samples), args.takes // 4, slice(None))
    lines = [
        f"takes of {args.voices} voices and of silence, normal quality, spread 0.5, weights {engine.weights}", "",
        f"{'':22s}" + "".join(f"{name:>12s}" for name in NAMES), *(row(name, lips, edges, takes) for name, takes in made.items()),
    ]  # fmt: skip
    report(results_file(args.results, "resting.txt", args.voices >= 3 and args.takes >= 16), lines)
