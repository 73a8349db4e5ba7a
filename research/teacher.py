# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher against people: how well its lips follow real ones, and how far its channels move.

DATA is a folder with `lips/` (clips, measured curves and `score.py`) and `channel_spread.tsv` (deviation over time of ARKit's
channels, solved from 4D scans of people who speak). The usual style performs every clip's aligned phones, with the encoder's
features and without; both are scored on the clips that did not calibrate it (`check`) and on those that did (`fit`). SPEAKERS
readings of different speakers, in no mood, give the spread of channels over time. Tables to stdout and
research/results/teacher.txt.
"""

from __future__ import annotations

import csv
import json
import platform
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.faces.calibrate import aligned_phones
from research.harness import add_shared, report, required, RESULTS, ROOT
from thunder_core.channels import JAW_OPEN_RADIANS, JAW_SIDE_RADIANS
from thunder_core.direction import Direction, Style
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import loudness, speech_features, SpeechEncoder
from thunder_core.engine.weights import SHIPPED
from thunder_core.face.head import Head, load_head
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.train.lip_kernels import KERNELS
from thunder_core.train.prosody import semitones
from thunder_core.train.teacher import perform
from thunder_core.train.teacher_timing import presence
from thunder_core.types import FPS, Motion

LEAST, LOW, HIGH = 0.3, 0.5, 2.0  # ratios to people's spread: all channels must exceed the first, 75 % lie between the others
BREATH_FRAMES = 13  # frames before a phrase in which the lips part for breath
PEOPLE_MM_PER_SECOND = 42.0  # mean speed of lip opening in the 13 clips solved onto the head


def scored(lips: Path, folder: Path, split: str) -> str:
    """Output of the data's own score.py for the curves in a folder, with paths removed."""
    command = [sys.executable, str(lips / "score.py"), str(folder), "--split", split, "--no-baselines"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return table.replace(str(folder), folder.name).replace(str(lips), "lips").strip()


def channel_values(head: Head, motion: Motion) -> dict[str, np.ndarray]:
    """{ARKit's channel: [T]}, the jaw's from its rotation."""
    jaw = motion.jaw
    derived = {"jawOpen": jaw[:, 0] / JAW_OPEN_RADIANS, "jawLeft": np.maximum(jaw[:, 1], 0) / JAW_SIDE_RADIANS,
               "jawRight": np.maximum(-jaw[:, 1], 0) / JAW_SIDE_RADIANS}  # fmt: skip
    return derived | {name: motion.expression[:, i] for i, name in enumerate(head.expression_names)}


def near_speech(labels: np.ndarray, frames: int) -> np.ndarray:
    """bool [T]: frames in which a mouth may be open: it speaks, or draws breath before it does."""
    near = presence(labels, frames) >= 0.01
    return np.convolve(near, np.ones(BREATH_FRAMES + 1))[BREATH_FRAMES:][:frames] > 0


def spread_table(path: Path, head: Head, motions: list[Motion]) -> list[str]:
    """Lines: each channel's deviation over time, root mean square over the motions, beside people's."""
    values = [channel_values(head, motion) for motion in motions]
    with path.open(newline="") as f:
        people = {row["channel"]: float(row["people"]) for row in csv.DictReader(f, delimiter="\t")}
    lines, ratios = [f"{'channel':20s}{'people':>8s}{'teacher':>9s}{'ratio':>7s}"], []
    for name, spread in people.items():
        ours = float(np.sqrt(np.mean([v[name].var() for v in values])))
        ratios.append(ours / spread)
        lines.append(f"{name:20s}{spread:8.3f}{ours:9.3f}{ratios[-1]:7.2f}" + ("  below .3" if ratios[-1] < LEAST else ""))
    within = np.mean([LOW <= ratio <= HIGH for ratio in ratios])
    below = sum(ratio < LEAST for ratio in ratios)
    return [*lines, f"within .5–2 of people's spread: {within:.0%} of channels (bar 75 %); below .3: {below} (bar 0)"]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", results=RESULTS / "teacher.txt")
    p.add_argument("--out", type=Path, default=ROOT / "out" / "teacher")
    p.add_argument("--speakers", type=int, default=6)


def run(args: Namespace) -> None:
    """Perform the clips, measure lips and channels; write the tables."""
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    head, encoder, phones = load_head(), SpeechEncoder.load(SHIPPED), aligned_phones(lips)
    channels = list(head.expression_names)
    kinds = ("teacher", "phones_alone")
    for kind in kinds:
        (args.out / kind).mkdir(parents=True, exist_ok=True)
    readings, silent, speeds, seconds = [], [], [], 0.0
    for wav in sorted(lips.glob("*.wav")):
        speech, labels = read_sound(wav), phones[wav.stem]
        loud = loudness(speech.samples, speech.frames)
        features = speech_features(*encoder.analyse(speech.samples), speech.samples, speech.frames)
        pitch = semitones(speech.samples, speech.frames)
        seconds += speech.seconds
        for kind in kinds:
            given = features if kind == "teacher" else None
            motion = perform(labels, loud, channels, np.random.default_rng(1), Direction(), pitch, features=given)
            gap = opening_mm(motion, head)
            np.savez(args.out / kind / f"{wav.stem}.npz", opening=gap, width=width_mm(motion, head))
        for number in range(args.speakers):
            rng = np.random.default_rng([number, 7])
            direction = Direction(Style.of_speaker(f"{wav.stem} {number}").reading(rng))
            motion = perform(labels, loud, channels, rng, direction, pitch, features=features)
            gap = opening_mm(motion, head).astype(float)
            readings.append(motion)
            silent.append(gap[~near_speech(labels, len(gap))])
            speeds.append(np.abs(np.diff(gap)).mean() * FPS)
    calibrated = json.loads(KERNELS.read_text())
    shut = np.concatenate(silent)
    lines = [
        f"machine: {platform.processor() or platform.machine()}; {seconds:.0f} s of speech; calibrated on {calibrated['fitted_on']}: "
        + ", ".join(f"{k} {v}" for k, v in calibrated["figures"].items()),
        f"opening, {args.speakers} readings a clip: {np.mean(speeds):.1f} mm/s, {np.std(speeds):.1f} between readings and clips "
        f"(people {PEOPLE_MM_PER_SECOND:.0f}, bar within 15 %); in silence but for breaths at most {shut.max(initial=0.0):.2f} mm",
    ]
    for split in ("check", "fit"):
        for kind in kinds:
            lines += [f"\n#### {kind}, split {split}", scored(lips, args.out / kind, split)]
    lines += ["", *spread_table(required(args.data / "channel_spread.tsv", "a table of people's channels"), head, readings)]
    report(args.results, lines)
