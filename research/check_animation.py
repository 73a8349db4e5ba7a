# SPDX-License-Identifier: GPL-3.0-or-later
"""How well *Check* finds faults that are planted in animation, and how often it finds something in
animation as it is.

DATA is a folder with `lips/` and `lips_more/` (tracked people, with landmarks), `speech/` (read
lines with texts and phones) and `paired/facegood/`. Measured separately: takes; tracked people,
whose faces are solved onto the head once (`--solved`); what a viseme tool keys from aligned phones;
another studio's rig. Lines are cut to ten seconds. Planted, one at a time: the whole line 3, 4 and
6 frames late or early; one to three seconds of it four frames; lips kept 3 mm apart on an m, b or p
on which they met and beside which they open; two words on which the mouth stands still; another
line's mouth. Found: the right kind of finding there, in the right direction. Thresholds were set on
`fit`; the table is of `check`. Table to stdout and research/results/check_animation.txt. Five
minutes on one core.
"""

from __future__ import annotations

import csv
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from research.faces.lip_clips import LipClip, read_clips, spoken_phones
from research.faces.real_faces import solve_missing
from research.harness import add_shared, report, results_file, usual_direction
from research.train.corpus import read_tracked, resample
from research.train.facegood import facegood_motion
from research.viseme_tool import key_visemes, LABELS_PER_SECOND
from thunder_core.engine.engine import Engine
from thunder_core.engine.scorer import Demands, find, MouthCurves, Tolerance
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.transcript import find_text
from thunder_core.engine.voice import VoiceFeatures
from thunder_core.findings import Finding, OPEN, OTHER, SHIFTED, STILL
from thunder_core.request import Request
from thunder_core.spoken import phone_index
from thunder_core.types import FPS, Motion, RATE, Speech

GROUPS = ("takes", "people", "viseme tool", "viseme tool, with text", "another rig")
SHIFTS = (3, -3, 4, -4, 6, -6)  # frames
STRETCH = 4  # frames by which a stretch is off
LINE = 250  # frames
# lips met; how far they are kept apart; how far they open beside it
CLOSED_MM, OPENED_MM, BESIDE_MM = 0.6, 3.0, 2.0
NEAR = 0.12  # seconds
LEAST_WORDS = 0.3  # seconds of two words; shorter ones are "of a"
READ = "librispeech_devclean_mp3"
FOUND = ("3 frames", "4 or 6 frames", "a stretch", "closures", "two words", "another line")

_demands_of = lru_cache(maxsize=1)(Demands.of)  # a line is checked many times


@dataclass(frozen=True)
class Line:
    """A line of animation. bilabials, words: seconds of each m, b and p, and of each word.  seen:
    bool [T], frames with a tracked face."""

    group: str
    name: str
    mouth: MouthCurves
    voice: VoiceFeatures
    bilabials: Sequence[tuple[float, float]] = ()
    words: Sequence[tuple[float, float]] = ()
    seen: np.ndarray | None = None
    text: str = ""

    @property
    def frames(self) -> int:
        return len(self.mouth.gap)

    def part(self, start: int, end: int) -> Line:
        """Frames start … end of it."""

        def inside(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
            return [
                (a - start / FPS, b - start / FPS)
                for a, b in spans
                if a * FPS >= start and b * FPS <= end
            ]

        mouth = MouthCurves(self.mouth.gap[start:end], self.mouth.width[start:end])
        seen = None if self.seen is None else self.seen[start:end]
        return replace(
            self, mouth=mouth, voice=self.voice.part(start, end), seen=seen,
            bilabials=inside(self.bilabials), words=inside(self.words),
        )  # fmt: skip

    def lines(self) -> Iterator[Line]:
        """The line, cut into lines of LINE frames."""
        count = max(1, round(self.frames / LINE)) if not self.text else 1
        edges = np.linspace(0, self.frames, count + 1).astype(int)
        yield from (self.part(start, end) for start, end in zip(edges, edges[1:]))

    def check(self, mouth: MouthCurves, tolerance: Tolerance) -> list[Finding]:
        """The findings on a mouth in this line, without frames that show no face."""
        found = find(mouth, self.voice, tolerance, *_demands_of(self.voice, self.text)[:2])
        if self.seen is None:
            return found
        return [
            each
            for each in found
            if each.whole or self.seen[int(each.start * FPS) : int(each.end * FPS) + 2].all()
        ]


class Reader:
    """Makes lines of motions and sounds with one engine."""

    def __init__(self, args: Namespace):
        self.engine, self.args = Engine.load(args.weights), args
        self.channels = list(self.engine.head.expression_names)
        self.known: dict[str, VoiceFeatures] = {}

    def curves(self, motion: Motion) -> MouthCurves:
        """Gap and width of a motion."""
        return MouthCurves(*self.engine.lips.gap_and_width(motion))

    def line(self, group: str, name: str, speech: Speech, motion: Motion, **about) -> Line:
        """A whole line, as long as the shorter of sound and motion."""
        if name not in self.known:
            self.known[name] = self.engine.analyse(speech)
        voice = self.known[name]
        frames = min(motion.frames, voice.frames)
        return Line(group, name, self.curves(motion), voice, **about).part(0, frames)

    def people_and_takes(self, clips: Sequence[LipClip], part: str) -> Iterator[Line]:
        """Tracked people, takes of their voices, and what a viseme tool keys for them."""
        for clip in clips:
            spoken = read_sound(clip.path)
            words = words_of(clip.folder).get(clip.name, [])
            about = {"bilabials": [tuple(each) for each in clip.bilabials], "words": words}
            path = self.args.solved / clip.folder.name / part / f"{clip.name}.npz"
            motion, _, stored = read_tracked(path, self.channels)
            yield self.line(
                "people", clip.name, spoken, motion, seen=stored["seen"].astype(bool), **about
            )
            for take in self.engine.generate(
                spoken, Request(self.args.takes, self.args.seed, direction=usual_direction(0.5))
            ):
                yield self.line("takes", clip.name, spoken, take.motion, **about)

    def viseme_tool(self, part: str) -> Iterator[Line]:
        """What a viseme tool keys for read lines whose text is known."""
        folder = self.args.data / "speech" / READ
        phones, texts = defaultdict(list), {}
        with (folder / "alignments.tsv").open(newline="") as file:
            for name, phone, start, end in list(csv.reader(file, delimiter="\t"))[1:]:
                phones[name].append((phone, float(start), float(end)))
        with (folder / "transcripts.tsv").open(newline="") as file:
            for name, speaker, text in csv.reader(file, delimiter="\t"):
                if (int(speaker) % 2 == 0) == (part == "fit") and 4 < phones.get(
                    name, [("", 0, 0)]
                )[-1][2] < 10:
                    texts.setdefault(speaker, (name, text))
        for name, text in list(texts.values())[: self.args.read]:
            speech = read_sound(folder / name)
            labels = np.zeros(int(speech.seconds * LABELS_PER_SECOND), np.uint8)
            for phone, start, end in phones[name]:
                labels[round(start * LABELS_PER_SECOND) : round(end * LABELS_PER_SECOND)] = (
                    phone_index(phone)
                )
            bilabials = [
                (start, end) for phone, start, end in phones[name] if phone in ("B", "M", "P")
            ]
            motion = key_visemes(labels, self.channels)
            line = self.line("viseme tool", name, speech, motion, bilabials=bilabials)
            words = [
                (word.start, word.end)
                for word in find_text(softmax(line.voice.logits), text).words
                if word.end > word.start
            ]
            yield replace(line, words=words)
            yield replace(line, words=words, group="viseme tool, with text", text=text)

    def another_rig(self, part: str) -> Iterator[Line]:
        """The recordings of another studio's rig, half of them."""
        folder = self.args.data / "paired" / "facegood"
        for path in sorted(folder.glob("*.npz"))[part == "check" :: 2]:
            speech = read_sound(path.with_suffix(".flac"))
            speech = Speech(speech.samples[: 30 * RATE])
            with np.load(path) as file:
                names = [str(name) for name in file["channels"]]
                weights = resample(file["weights"].astype(float), float(file["fps"]))[
                    : speech.frames
                ]
            yield self.line(
                "another rig",
                path.stem,
                speech,
                facegood_motion(weights, names, self.channels, FPS),
            )


def words_of(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Seconds of the words of every clip of a folder, from its `phones.tsv`."""
    words: dict[str, list[tuple[float, float]]] = {}
    for clip, phones in spoken_phones(folder).items():
        said = [phone for phone in phones if phone.symbol != "SIL" and phone.word]
        words[clip], last = [], None
        for phone in said:
            if last and last.word == phone.word and abs(last.end - phone.start) < 1e-3:
                words[clip][-1] = (words[clip][-1][0], phone.end)
            else:
                words[clip].append((phone.start, phone.end))
            last = phone
    return words


# ---- faults


def delay_stretch(mouth: MouthCurves, start: int, end: int, late: float) -> MouthCurves:
    """A stretch of a mouth played late."""
    time = np.arange(len(mouth.gap))
    by = late * np.clip(np.minimum((time - start + 3) / 3, (end + 3 - time) / 3), 0, 1)
    return MouthCurves(*(np.interp(time - by, time, curve) for curve in (mouth.gap, mouth.width)))


def open_gap(gap: np.ndarray, at: int) -> np.ndarray:
    """A gap kept apart where it is closed around a frame, and easing into it within three
    frames."""
    first = last = at
    while first > 0 and gap[first - 1] < CLOSED_MM:
        first -= 1
    while last < len(gap) - 1 and gap[last + 1] < CLOSED_MM:
        last += 1
    time = np.arange(len(gap))
    away = np.maximum(np.maximum(first - time, time - last), 0)
    return gap + OPENED_MM * np.clip(1 - away / 4, 0, 1)


def bilabial_closures(line: Line) -> Iterator[tuple[float, float, int]]:
    """(start, end, frame) of every m, b and p on which lips meet and beside which they open."""
    gap = line.mouth.gap
    for start, end in line.bilabials:
        first, last = max(0, round(start * FPS) - 1), min(line.frames, round(end * FPS) + 2)
        if (
            last <= first
            or gap[first:last].min() > CLOSED_MM
            or gap[max(0, first - 5) : last + 5].max() < BESIDE_MM
        ):
            continue
        if line.seen is None or line.seen[max(0, first - 5) : last + 5].all():
            yield start, end, first + int(gap[first:last].argmin())


def freeze_stretch(mouth: MouthCurves, start: int, end: int) -> MouthCurves:
    """A mouth that stands still in a stretch and catches up two frames later."""
    time = np.arange(len(mouth.gap))
    there = (time < start) | (time >= end + 2)
    held = [
        np.where((time >= start) & (time < end), curve[start], curve)
        for curve in (mouth.gap, mouth.width)
    ]
    there |= (time >= start) & (time < end)
    return MouthCurves(*(np.interp(time, time[there], curve[there]) for curve in held))


Found = dict[str, list[bool]]


def plant(line: Line, other: Line, tolerance: Tolerance, found: Found) -> None:
    """Plant each fault in a line, and note by its name whether it is found."""

    def note(what: str, mouth: MouthCurves, is_it: Callable[[Finding], bool]) -> None:
        found[what].append(any(is_it(each) for each in line.check(mouth, tolerance)))

    def is_near(each: Finding, start: float, end: float) -> bool:
        return each.start < end + NEAR and each.end > start - NEAR

    for late in SHIFTS:
        name = "3 frames" if abs(late) == 3 else "4 or 6 frames"
        note(
            name,
            line.mouth.shift(late),
            lambda each, late=late: each.kind == SHIFTED and each.whole and each.size * late > 0,
        )
    rng = np.random.default_rng(line.frames)
    for late in (STRETCH, -STRETCH):
        length = min(int(rng.integers(38, 75)), line.frames // 2)
        first = int(rng.integers(5, max(6, line.frames - length - 5)))
        a, b = first / FPS, (first + length) / FPS

        def is_late(each: Finding, late: int = late, a: float = a, b: float = b) -> bool:
            return each.kind == SHIFTED and each.size * late > 0 and is_near(each, a, b)

        note("a stretch", delay_stretch(line.mouth, first, first + length, late), is_late)
    for start, end, at in bilabial_closures(line):
        mouth = MouthCurves(open_gap(line.mouth.gap, at), line.mouth.width)
        note(
            "closures",
            mouth,
            lambda each, a=start, b=end: each.kind == OPEN and is_near(each, a, b),
        )
    for (start, _), (again, end) in list(zip(line.words, line.words[1:]))[::3]:
        if end - start >= LEAST_WORDS and again - start < 1.0 and end * FPS < line.frames - 3:
            mouth = freeze_stretch(line.mouth, round(start * FPS), round(end * FPS))
            note(
                "two words",
                mouth,
                lambda each, a=start, b=end: each.kind == STILL and is_near(each, a, b),
            )
    if other.frames >= line.frames:
        mouth = MouthCurves(other.mouth.gap[: line.frames], other.mouth.width[: line.frames])
        note("another line", mouth, lambda each: each.kind in (OTHER, SHIFTED) and each.whole)


def measure(lines: Sequence[Line], tolerance: Tolerance) -> tuple[dict[str, float], Found]:
    """(findings a minute in lines as they are by kind, what was found of planted faults)."""
    minutes = sum(line.frames for line in lines) / FPS / 60
    alarms = defaultdict(int)
    found = defaultdict(list)
    for number, line in enumerate(lines):
        for each in line.check(line.mouth, tolerance):
            alarms["whole" if each.whole else each.kind] += 1
        other = max(
            lines,
            key=lambda each, this=line: (
                each.name != this.name,
                each.frames >= this.frames,
                -abs(each.frames - this.frames),
            ),
        )
        plant(line, other, tolerance, found)
    return {kind: count / minutes for kind, count in alarms.items()}, found


# ---- the table


def share(found: Found, what: str) -> str:
    """A share of faults that were found, with their number."""
    each = found.get(what, [])
    return f"{100 * np.mean(each):.0f} % of {len(each)}" if each else "–"


def table(lines: dict[str, list[Line]], tolerance: Tolerance) -> list[str]:
    """Lines of the table of one part of the split."""
    rows = [
        f"{'':24s}{'minutes':>8s}{'alarms/min':>11s}"
        + "".join(f"{what:>17s}" for what in FOUND)
        + "  alarms by kind"
    ]
    for group in filter(lines.get, GROUPS):
        alarms, found = measure(lines[group], tolerance)
        minutes = sum(line.frames for line in lines[group]) / FPS / 60
        rows.append(
            f"{group:24s}{minutes:8.1f}{sum(alarms.values()):11.2f}"
            + "".join(f"{share(found, what):>17s}" for what in FOUND)
            + "  " + ", ".join(f"{kind} {rate:.2f}" for kind, rate in sorted(alarms.items()))
        )  # fmt: skip
    return rows


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "solved", "seed", "weights", "results", takes=2)
    p.add_argument(
        "--read", type=int, default=20, help="read lines for the viseme tool, one a speaker"
    )


def run(args: Namespace) -> None:
    """Plant faults, count what is found; write the tables."""
    reader, parts = Reader(args), {}
    for part in ("fit", "check"):
        clips = read_clips(args.data, part)
        for folder in {clip.folder for clip in clips}:
            names = [clip.name for clip in clips if clip.folder == folder]
            solve_missing(folder, args.solved / folder.name, reader.engine.head, names)
        lines = parts[part] = defaultdict(list)
        sources = [reader.people_and_takes(clips, part)]
        sources += [reader.viseme_tool(part)] if (args.data / "speech" / READ).exists() else []
        sources += (
            [reader.another_rig(part)] if (args.data / "paired" / "facegood").exists() else []
        )
        for whole in (each for source in sources for each in source):
            lines[whole.group] += list(whole.lines())
    result = []
    for part in ("check", "fit"):
        result += [f"Split {part}, tolerance Realistic", *table(parts[part], Tolerance()), ""]
    result.append(
        f"weights {reader.engine.weights}, {args.takes} takes a voice, spread 0.5, seed {args.seed}"
    )
    report(
        results_file(args.results, "check_animation.txt", args.takes >= 2 and args.read >= 20),
        result,
    )
