# SPDX-License-Identifier: GPL-3.0-or-later
"""What mouths do on single sounds: rounded lips, high and low vowels, tongue, f and v, a line's end.

CACHE is a folder in which `corpus` was run, DATA has `lips/` (tracked mouths and aligned phones). Lines of unseen voices (--split) are
performed by the teacher and as takes at Spread 0.5, without a request but for Energy. Sounds are the aligned phones; those that the encoder
gives more than .4 are “heard”. Rounding: on each sound heard the largest mouthPucker, the narrowest mouth, beyond its width at rest, and
how wide the part of the lips is that is then at least half as far apart as their middle; the same of people of the split `fit`.
Vowels: the widest opening of every high one over the mean of that of the low ones of the same line; of people in pieces of ten seconds,
of all clips, beyond the twentieth part of their frames with the least opening. Tongue: changes of channels from frame to frame. End: the
largest opening after the last sound beyond that at it. Written to research/results/sounds.txt.
"""

from __future__ import annotations

import csv
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from research.corpus_lines import add_line_arguments, clips_of, Line, open_corpus
from research.faces.landmarks import LIP_ACROSS, OUTER_EYES
from research.harness import add_shared, report, required, results_file
from thunder_core.direction import Asked, Direction, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.phones import PHONES
from thunder_core.face.articulators import Articulators
from thunder_core.face.lips import Lips
from thunder_core.request import Request
from thunder_core.types import FPS, Motion

ROUNDED = "W UW OW AO UH R ER SH".split()
HIGH, LOW = "IY IH UW UH".split(), "AA AE AO AY AW".split()
ENERGIES = (1.0, 1.6, 2.0)
HEARD = 0.4
RAISED = ("tongueTipUp", "tongueBladeUp", "tongueBack")
STEP = 0.35  # change of a channel from frame to frame that is counted
TEETH_MM = 0.5  # lower lip to upper teeth on f and v
PIECE = 10.0  # seconds of people's clips that are a line
APART_MM = 0.5  # least gap in the middle of lips that have a shape
LEAST_OPEN = 5.0  # percentile of a tracked opening that counts as shut

# Landmarks: inner lips from corner to corner, corners of the mouth, chin and forehead.
UPPER, LOWER = (list(LIP_ACROSS[name][0]) for name in ("inner_upper", "inner_lower"))
OUTER = LIP_ACROSS["outer_upper"][0]
CORNERS, UPRIGHT = (OUTER[0], OUTER[-1]), (152, 10)
EYES_MM = 90.0  # between the outer corners of the default head's eyes

Sound = tuple[str, int, int, float]  # phone, first frame, first behind it, probability by the encoder


def sounds_of(phones: np.ndarray, belief: np.ndarray, frames: int) -> list[Sound]:
    """The sounds of 10 ms labels [M], with phone probabilities [N, 40] at 50 Hz."""
    edges = np.flatnonzero(np.diff(np.concatenate([[-1], phones.astype(int), [-1]])))
    result = []
    for start, end in zip(edges[:-1], edges[1:]):
        first, behind = round(start / 4), max(round(end / 4), round(start / 4) + 1)
        heard = belief[start // 2 : max(end // 2, start // 2 + 1), phones[start]]
        if behind <= frames and len(heard):
            result.append((PHONES[phones[start]], first, behind, float(heard.max())))
    return result


def half_open(across: np.ndarray, gap: np.ndarray) -> float:
    """Width of the part of the lips that is at least half as far apart as their middle; positions and gaps of pairs [P] in mm."""
    order = np.argsort(across)
    fine = np.linspace(across.min(), across.max(), 400)
    wide = fine[np.interp(fine, across[order], gap[order]) >= gap[len(gap) // 2] / 2]
    return float(np.ptp(wide))


def rounded_people(lips: Path) -> dict[str, np.ndarray]:
    """{sound of ROUNDED: [n, 2] mm}: the narrowest mouth beyond rest, and `half_open` there, of people of the split `fit`."""
    found: dict[str, list[tuple[float, float]]] = {phone: [] for phone in ROUNDED}
    fit = tomllib.loads((lips / "split.toml").read_text())["fit"]
    with open(lips / "phones.tsv", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["clip"] in fit and row["phone"] in found]
    for clip in sorted({row["clip"] for row in rows}):
        marks = np.load(lips / "landmarks" / f"{clip}.npz")["landmarks"].astype(float)
        across, up = (marks[:, b] - marks[:, a] for a, b in (OUTER_EYES, UPRIGHT))
        scale = EYES_MM / np.linalg.norm(across, axis=1, keepdims=True)
        across *= scale / EYES_MM
        up -= (up * across).sum(1, keepdims=True) * across
        up /= np.linalg.norm(up, axis=1, keepdims=True)
        x, y = (np.einsum("tkc,tc->tk", marks, axis) * scale for axis in (across, up))
        gap, width = y[:, UPPER] - y[:, LOWER], x[:, CORNERS[1]] - x[:, CORNERS[0]]
        shut = gap[:, len(UPPER) // 2] <= np.nanpercentile(gap[:, len(UPPER) // 2], 3 * LEAST_OPEN)
        for row in (row for row in rows if row["clip"] == clip):
            first, end = round(float(row["start_s"]) * FPS), round(float(row["end_s"]) * FPS)
            near = width[max(first - 1, 0) : max(end, first + 1) + 1]
            if len(near) and np.isfinite(near).all():
                t = max(first - 1, 0) + int(near.argmin())
                if gap[t, len(UPPER) // 2] > APART_MM:
                    half = half_open((x[t, UPPER] + x[t, LOWER]) / 2, gap[t])
                    found[row["phone"]].append((width[t] - np.nanmedian(width[shut]), half))
    return {phone: np.array(values).reshape(-1, 2) for phone, values in found.items()}


def shares(opening: np.ndarray, sounds: list[Sound]) -> np.ndarray:
    """Widest opening of each high vowel over the mean of that of the low ones of a line; empty if there are not two of each."""
    low, high = (
        [np.nanmax(opening[first:behind]) for phone, first, behind, heard in sounds if phone in kind and heard > least]
        for kind, least in ((LOW, -1.0), (HIGH, HEARD))
    )
    return np.array(high) / np.mean(low) if min(len(low), len(high)) > 1 else np.zeros(0)


def people(lips: Path) -> Iterator[np.ndarray]:
    """`shares` of people in pieces of their clips."""
    with open(lips / "phones.tsv", newline="") as file:
        rows = [(row["clip"], row["phone"], float(row["start_s"]), float(row["end_s"])) for row in csv.DictReader(file, delimiter="\t")]
    for path in sorted(lips.glob("*.npz")):
        opening = np.load(path)["opening"].astype(float)
        opening -= np.nanpercentile(opening, LEAST_OPEN)
        of_clip = [(phone, start, end) for clip, phone, start, end in rows if clip == path.stem]
        for begin in np.arange(0.0, len(opening) / FPS, PIECE):
            sounds = [
                (phone, round(start * FPS), max(round(end * FPS), round(start * FPS) + 1), 1.0)
                for phone, start, end in of_clip
                if begin <= start < begin + PIECE and round(start * FPS) < len(opening)
            ]
            yield shares(opening, [s for s in sounds if np.isfinite(opening[s[1] : s[2]]).any()])


def vowel_row(name: str, lines: list[np.ndarray]) -> str:
    """A line of the table of vowels."""
    lines = [line for line in lines if len(line)]
    every = np.concatenate(lines)
    widest = np.array([line.max() for line in lines])
    return f"{name:26s}{len(every):7d}{every.mean():8.2f}{(every > 1).mean():12.2f}{widest.mean():10.2f}{np.percentile(widest, 90):8.2f}"


class Performances:
    """Counts over the performances of one kind: the teacher's, or takes."""

    def __init__(self, head):
        self.lips, self.articulators, self.names = Lips.of(head), Articulators.of(head), list(head.expression_names)
        still = Motion(np.zeros((1, len(self.names))), np.zeros((1, 3)))
        self.rest = self.lips.width(still)[0]
        self.rounded: dict[str, list[tuple[float, float, float]]] = {phone: [] for phone in ROUNDED}
        self.steps: dict[str, list[np.ndarray]] = {name: [] for name in RAISED}
        self.bites: list[float] = []
        self.ends: list[float] = []
        self.frames = 0

    def half_open(self, motion: Motion, frame: int) -> float:
        """`half_open` of a frame; nan where the lips are shut."""
        one = Motion(motion.expression[[frame]], motion.jaw[[frame]])
        gap = self.lips.gap(one)[0]
        if gap[self.lips.middle] <= APART_MM:
            return np.nan
        points = 1e3 * self.lips.points.of_motion(one)[0, : 2 * len(gap), 0]
        return half_open(points.reshape(2, -1).mean(0), gap)

    def add(self, motion: Motion, sounds: list[Sound], silent: np.ndarray) -> None:
        """A performance [T]; silent: probability of silence [T]."""
        x, width = motion.expression, self.lips.width(motion) - self.rest
        pucker, teeth = x[:, self.names.index("mouthPucker")], self.articulators.apart(self.articulators.lip_surface(x, motion.jaw))
        for phone, first, behind, heard in sounds:
            near = slice(max(first - 1, 0), behind + 1)
            if phone in self.rounded and heard > HEARD:
                narrowest = near.start + int(width[near].argmin())
                self.rounded[phone].append((pucker[near].max(), width[near].min(), self.half_open(motion, narrowest)))
            if phone in ("F", "V") and heard > HEARD:
                self.bites.append(teeth[near].min())
        for name, steps in self.steps.items():
            steps.append(np.abs(np.diff(x[:, self.names.index(name)])))
        last = int(np.flatnonzero(silent < 0.25)[-1])
        opening = self.lips.opening(motion)
        if last < len(opening) - 1:
            self.ends.append(opening[last + 1 :].max() - opening[last])
        self.frames += len(x)


def tables(kinds: dict[str, Performances], vowels: list[str], seen: dict[str, np.ndarray]) -> list[str]:
    """The lines of the tables; seen: `rounded_people`."""
    lines = [
        "rounded sounds that are heard",
        f"{'':8s}{'n':>6s}"
        + "".join(f"{f'{name}: pucker':>18s}{'below .1':>10s}{'width, mm':>11s}{'half open':>11s}" for name in kinds)
        + f"{'people: n':>14s}{'width, mm':>11s}{'half open':>11s}",
    ]
    for phone in ROUNDED:
        each = [np.array(kind.rounded[phone]) for kind in kinds.values()]
        if len(each[0]):
            cells = "".join(
                f"{x[:, 0].mean():18.2f}{(x[:, 0] < 0.1).mean():10.2f}{x[:, 1].mean():11.1f}{np.nanmean(x[:, 2]):11.1f}" for x in each
            )
            if len(seen[phone]):
                cells += f"{len(seen[phone]):14d}" + "".join(f"{mean:11.1f}" for mean in seen[phone].mean(0))
            lines.append(f"{phone:8s}{len(each[0]):6d}{cells}")
    lines += ["", "high vowels, opening over that of low ones of the same line"]
    lines += [f"{'':26s}{'n':>7s}{'mean':>8s}{'above 1':>12s}{'widest':>10s}{'p90':>8s}", *vowels, ""]
    lines.append(f"tongue, changes of more than {STEP:g} within a frame, per minute, and the largest")
    for name in RAISED:
        cells = []
        for who, kind in kinds.items():
            steps = np.concatenate(kind.steps[name])
            cells.append(f"{who} {(steps > STEP + 1e-3).sum() / kind.frames * FPS * 60:.1f}, {steps.max():.2f}")
        lines.append(f"{name:16s}" + "; ".join(cells))
    for who, kind in kinds.items():
        bites, ends = np.array(kind.bites), np.array(kind.ends)
        lines += [
            "",
            f"{who}: lower lip within {TEETH_MM:g} mm of the teeth on {(bites <= TEETH_MM).mean():.1%} of {len(bites)} f and v heard",
            f"{who}: more than 1 mm open after the last sound, beyond it: {(ends > 1).mean():.1%} of {len(ends)}, "
            f"most {max(ends, default=np.nan):.1f} mm",
        ]
    return lines


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_line_arguments(p)
    add_shared(p, "data")
    p.set_defaults(voices=60)
    p.add_argument("--takes", type=int, default=2, help="of each line and Energy")


def run(args: Namespace) -> None:
    lips, corpus, engine = required(args.data / "lips", "tracked mouths"), open_corpus(args.cache), Engine.load(args.weights)
    kinds = {name: Performances(engine.head) for name in ("teacher", "takes")}
    vowels: dict[tuple[str, float], list[np.ndarray]] = {(name, energy): [] for energy in ENERGIES for name in kinds}
    margins = Lips.of(engine.head)
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        line = Line.of(corpus, clip, engine)
        belief = softmax(engine.thunder.encoder.analyse(line.speech.samples)[1])
        frames = np.minimum(2 * np.arange(line.frames), len(belief) - 1)
        sounds = sounds_of(line.phones, belief, line.frames)
        for energy in ENERGIES:
            direction = Direction(Style(energy=energy))
            asked = Asked(direction.vector()[None], 0.5)
            takes = engine.generate(line.speech, Request(args.takes, 100 * number, steps=args.steps, direction=asked))
            performed = {"teacher": line.taught([(direction, np.random.default_rng(number))]), "takes": [take.motion for take in takes]}
            for who, motions in performed.items():
                for motion in motions:
                    vowels[who, energy].append(shares(margins.opening(motion), sounds))
                    if energy == 1.0:
                        kinds[who].add(motion, sounds, belief[frames, 0])
    rows = [vowel_row("people", list(people(lips)))]
    rows += [vowel_row(f"{who}, Energy {energy:g}", lines) for (who, energy), lines in vowels.items()]
    minutes = kinds["takes"].frames / FPS / 60
    lines = [
        f"{args.voices} voices of {args.split}, {minutes:.1f} minutes of takes at Energy 1, normal quality, weights {engine.weights}",
        "",
        *tables(kinds, rows, rounded_people(lips)),
    ]
    report(results_file(args.results, "sounds.txt", args.split == "test"), lines)
