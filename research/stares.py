# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a gaze rests on one point, by what *Eyes* asks.

DATA has `lips/` (tracked faces, solved once into --solved) and `speech/` (recordings, of which the longest of each speaker are used). The
gaze is that of the world: eyes that make up for a turn of the head rest. Per value of *Eyes*, without spread, and for batches at Spread
0.5: the longest rest of a take (median and most), the share of takes with a rest of more than 8 s, rests of more than 6 s a minute, gaze
shifts a minute, how much more often they are within .2 s of a phrase's beginning or end than by chance, and how many of those far from them
come with a blink. To stdout and research/results/stares.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import soundfile

from research.corpus_lines import Line
from research.faces.real_faces import solve_folder, solved_clips
from research.harness import add_shared, report, required, results_file
from research.measures.habits import BOUNDARY_REACH, Coherence, coherence
from thunder_core.animation.played import lids, shifts, starts
from thunder_core.direction import Direction, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.readings import reading
from thunder_core.engine.speech.audio import read_sound
from thunder_core.face.head import Head
from thunder_core.types import FPS, Motion, Speech

VALUES = (0.2, 0.35, 0.5, 1.0, 1.5, 2.0, 3.0)
LONG, VERY_LONG = 6.0, 8.0  # seconds
WITH_BLINK = 3  # frames between a shift and the blink that it comes with
LEAST_SECONDS = 15.0
NAMES = ("takes", "longest", "most", "> 8 s, %", "> 6 s/min", "shifts/min", "at phrases", "with blink")


def rests(motion: Motion) -> np.ndarray:
    """Seconds of every rest of the gaze of a motion, those at its ends included."""
    return np.diff(np.concatenate([[0], shifts(motion), [motion.frames]])) / FPS


def row(name: str, head: Head, motions: list[Motion], edges: list[np.ndarray]) -> str:
    """A line of the table. edges: seconds at which phrases of each motion's voice begin and end."""
    each = [rests(motion) for motion in motions]
    longest, minutes = np.array([some.max() for some in each]), sum(motion.frames for motion in motions) / FPS / 60
    at_phrases, blinking, apart = Coherence(), 0, 0
    for motion, marks in zip(motions, edges):
        shifted, shut = shifts(motion), starts(lids(head, motion) > 0.5)
        at_phrases += coherence(shifted, marks, np.ones(motion.frames, bool), BOUNDARY_REACH)
        if len(shut) and len(marks):
            others = shifted[np.abs(shifted[:, None] - marks * FPS).min(1) > BOUNDARY_REACH]
            blinking += int((np.abs(others[:, None] - shut - 1).min(1) <= WITH_BLINK).sum())
            apart += len(others)
    long = sum((some > LONG).sum() for some in each) / minutes
    values = [
        f"{len(motions)}", f"{np.median(longest):.1f} s", f"{longest.max():.1f} s", f"{100 * (longest > VERY_LONG).mean():.0f}",
        f"{long:.2f}", f"{sum(len(shifts(motion)) for motion in motions) / minutes:.1f}", f"{at_phrases.ratio:.2f} ×",
        f"{blinking / apart:.0%}" if apart else "–",
    ]  # fmt: skip
    return f"{name:26s}" + "".join(f"{value:>12s}" for value in values)


def longest_recordings(folder: Path, count: int) -> list[Path]:
    """The longest recordings of a folder, one of each speaker, who is named before the first “-” of a file's name."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac", ".mp3", ".ogg"))
    seconds = {path: soundfile.info(str(path)).duration for path in paths}
    best: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: -seconds[path]):
        if seconds[path] >= LEAST_SECONDS:
            best.setdefault(path.stem.split("-")[0], path)
    return list(best.values())[:count]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "solved", "weights", "results")
    p.add_argument("--voices", type=int, default=20)
    p.add_argument("--takes", type=int, default=2, help="of each voice at each value, and four times as many with a spread")


def run(args: Namespace) -> None:
    """Sample, measure and write the table."""
    engine, lips = Engine.load(args.weights), required(args.data / "lips", "tracked faces")
    names = sorted(path.stem for path in (lips / "landmarks").glob("*.npz"))
    if missing := [name for name in names if not list(args.solved.glob(f"*/{name}.npz"))]:
        print(solve_folder(lips, args.solved, engine.head, missing, pictures=0))
    people = [
        motion for folder in sorted(args.solved.glob("*/")) for _, motion, _ in solved_clips(folder, list(engine.head.expression_names))
    ]
    people = [motion for motion in people if motion.frames / FPS >= 7]  # of a shorter one nothing is known
    plain = Direction().vector()[None]
    made: dict[str, tuple[list[Motion], list[np.ndarray]]] = {}
    for number, path in enumerate(longest_recordings(required(args.data / "speech", "recordings"), args.voices)):
        speech = Speech(read_sound(path).samples)
        line = Line(engine, speech, np.zeros(0, np.uint8))
        seeds = [100 * number + i for i in range(4 * args.takes)]
        asked = [(f"Eyes {v:g}", Direction(Style(eyes=v)).vector()[None], s, 0.0) for v in VALUES for s in seeds[: args.takes]]
        asked += [("Spread 0.5", reading(plain, seed, 0.5), seed, 0.5) for seed in seeds]
        motions, _ = line.performed(*([entry[i] for entry in asked] for i in (1, 2, 3)))
        marks = engine.thunder.analyse(*_sound(speech)).phrasing.phrases.ravel() / FPS
        for (name, *_), motion in zip(asked, motions):
            motions_of, edges = made.setdefault(name, ([], []))
            motions_of.append(motion)
            edges.append(marks)
    lines = [
        f"takes of {args.voices} recordings of {LEAST_SECONDS:.0f} to 35 s, normal quality, weights {engine.weights}", "",
        f"{'':26s}" + "".join(f"{name:>12s}" for name in NAMES),
        row(f"{len(people)} people (noisy)", engine.head, people, [np.zeros(0)] * len(people)),
        *(row(name, engine.head, *entry) for name, entry in made.items()),
    ]  # fmt: skip
    report(results_file(args.results, "stares.txt", args.voices >= 20), lines)


def _sound(speech: Speech):

    return speech.samples, speech.frames
