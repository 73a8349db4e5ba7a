# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher against people: how well its lips follow real ones, what each of its steps costs, and how far its channels move.

DATA is a folder with `lips/`, `lips_more/` (clips and measured curves) and `channel_spread.tsv` (deviation over time of ARKit's
channels, solved from 4D scans of people who speak). The usual style performs the phones that the encoder hears in every clip that nothing
was fitted to (`check`), with its features and without; beside it is a linear map from these features that is fitted to the other clips
(`fit`) just before, which the teacher may stay below by .01, in German and Mandarin by .03. SPEAKERS readings of different speakers, of
aligned phones and in no mood, give the spread of channels over time. Tables to stdout and research/results/teacher.txt.
"""

from __future__ import annotations

import csv
import json
import platform
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.faces.calibrate import aligned_phones
from research.faces.lip_clips import as_long, by_clip, compared, figures, fit_bar, follows, hear, LipClip, mean_of, read_clips, Rows, shuts
from research.harness import add_shared, report, required, RESULTS
from research.lips import shut_wrongly
from thunder_core.channels import JAW_OPEN_RADIANS, JAW_SIDE_RADIANS
from thunder_core.direction import Direction, Style
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS, loudness, speech_features, SpeechEncoder
from thunder_core.engine.weights import SHIPPED
from thunder_core.face.head import Head, load_head
from thunder_core.face.lips import Lips, opening_mm
from thunder_core.train.lip_kernels import around, believed, KERNELS, kernels, MAP_REACH, occupancy
from thunder_core.train.teacher import perform
from thunder_core.train.teacher_mouth import contacts, opening_steps
from thunder_core.train.teacher_timing import presence, semitones
from thunder_core.types import FPS, Motion

LEAST, LOW, HIGH = 0.3, 0.5, 2.0  # ratios to people's spread: all channels must exceed the first, 75 % lie between the others
BREATH_FRAMES = 13  # frames before a phrase in which the lips part for breath
PEOPLE_MM_PER_SECOND = 42.0  # mean speed of lip opening in the 13 clips solved onto the head


def steps_of(features: np.ndarray, phones: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """{"opening", "width": {step: curve [T]}}, from what the encoder hears to what is asked of the head.

    features [T, d], phones: 10 ms labels.
    """
    heard, belief, alive = features[:, -LOUDNESS:], believed(features), presence(phones, len(features))
    shut, bite, sounds = contacts(phones, alive, belief)
    steps: dict[str, dict[str, np.ndarray]] = {}
    for what, one in kernels().items():
        shares = occupancy(phones, len(features))
        steps[what] = {"phone kernels": one.of_phones([shares, belief], heard)}
        if one.map is not None:
            steps[what]["map"] = around(features, MAP_REACH) @ one.map.ravel()
        steps[what]["both, at one level"] = one.curve(shares, heard, alive > 0.5, features)
    steps["opening"] |= opening_steps(steps["opening"]["both, at one level"], alive, shut, bite, sounds, Style())
    steps["width"]["at rest in silence"] = steps["width"]["both, at one level"] * alive
    return steps


def steps_table(what: str, clips: Sequence[LipClip], steps: dict[str, dict[str, np.ndarray]]) -> list[str]:
    """Lines: r after each step, by language, and what it cost; of openings, where they shut. steps: of each clip by name."""
    lines = [f"{what:24s}{'r':>7s}{'cost':>7s}" + "".join(f"{name:>9s}" for name in ("English", "German", "Mandarin")) + "   closures"]
    before = float("nan")
    for name in next(iter(steps.values())):
        r = {clip.name: follows(steps[clip.name][name], clip.curve(what)) if clip.curve(what) is not None else np.nan for clip in clips}

        def mean(some: Sequence[LipClip], r: dict[str, float] = r) -> float:
            return mean_of([r[clip.name] for clip in some], [clip.frames for clip in some])

        now = mean(clips)
        of_languages = "".join(f"{mean([clip for clip in clips if clip.language == code]):9.3f}" for code in ("en", "de", "zh"))
        cost = f"{before - now:7.3f}" if np.isfinite(before) and name != "map" else " " * 7
        lines.append(
            f"{name:24s}{now:7.3f}{cost}{of_languages}" + (closures(clips, steps, name) if "softplus" in steps[clips[0].name] else "")
        )
        before = now
    return lines


def closures(clips: Sequence[LipClip], steps: dict[str, dict[str, np.ndarray]], name: str) -> str:
    """Text: of m, b and p on which real lips shut how many a step's openings shut, and how often they shut where real lips are open."""
    if name in ("phone kernels", "map", "both, at one level"):
        return ""
    met = np.concatenate([shuts(steps[clip.name][name], clip)[shuts(clip.opening, clip)] for clip in clips if len(clip.bilabials)])
    minutes = sum(clip.frames for clip in clips) / FPS / 60
    wrong = sum(shut_wrongly(steps[clip.name][name], clip.opening) for clip in clips) / minutes
    return f"   {met.mean():.2f} of {len(met)} met, {wrong:.1f} a minute where real lips are open"


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
    p.add_argument("--speakers", type=int, default=6)


def follow(args: Namespace, head: Head, encoder: SpeechEncoder) -> list[str]:
    """Lines: how well the usual style follows the lips of `check`, and what each step costs."""
    fit, check = (read_clips(args.data, part) for part in ("fit", "check"))
    heard = {clip.name: hear(encoder, clip) for clip in fit + check}
    bar, lips = fit_bar(fit, {clip.name: heard[clip.name][0] for clip in fit}), Lips.of(head)
    rows: Rows = {"linear map": {}, "teacher": {}, "teacher, phones alone": {}}
    steps: dict[str, dict[str, dict[str, np.ndarray]]] = {"opening": {}, "width": {}}
    for clip in check:
        features, phones = heard[clip.name]
        rows["linear map"][clip.name] = figures(clip, bar(features, "opening")[None], bar(features, "width")[None])
        of_clip = steps_of(features, phones)
        for name, given in (("teacher", features), ("teacher, phones alone", None)):
            rng = np.random.default_rng(1)
            motion = perform(phones, features[:, -LOUDNESS:], list(head.expression_names), rng, Direction(), features=given)
            opening, width = lips.beyond_rest(motion), lips.width(motion)
            rows[name][clip.name] = figures(clip, opening[None], width[None])
            if given is not None:
                of_clip["opening"]["performed by the head"], of_clip["width"]["performed by the head"] = opening, width
        for what, curves in of_clip.items():
            steps[what][clip.name] = {name: as_long(curve, clip.frames) for name, curve in curves.items()}
    lines = compared(rows, check)
    for what in steps:
        lines += ["", *steps_table(what, check, steps[what])]
    return [*lines, "", *by_clip(rows, check)]


def run(args: Namespace) -> None:
    """Perform the clips, measure lips and channels; write the tables."""
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    head, encoder, phones = load_head(), SpeechEncoder.load(SHIPPED), aligned_phones(lips)
    channels, calibrated = list(head.expression_names), json.loads(KERNELS.read_text())
    readings, silent, speeds, seconds = [], [], [], 0.0
    for wav in sorted(lips.glob("*.wav")):
        speech, labels = read_sound(wav), phones[wav.stem]
        loud = loudness(speech.samples, speech.frames)
        features = speech_features(*encoder.analyse(speech.samples), speech.samples, speech.frames)
        pitch = semitones(speech.samples, speech.frames)
        seconds += speech.seconds
        for number in range(args.speakers):
            rng = np.random.default_rng([number, 7])
            direction = Direction(Style.of_speaker(f"{wav.stem} {number}").reading(rng))
            motion = perform(labels, loud, channels, rng, direction, pitch, features=features)
            gap = opening_mm(motion, head).astype(float)
            readings.append(motion)
            silent.append(gap[~near_speech(labels, len(gap))])
            speeds.append(np.abs(np.diff(gap)).mean() * FPS)
    shut = np.concatenate(silent)
    lines = [
        f"machine: {platform.processor() or platform.machine()}; calibrated on {calibrated['fitted_on']}: "
        + ", ".join(f"{k} {v}" for k, v in calibrated["figures"].items()),
        "",
        *follow(args, head, encoder),
        "",
        f"opening, {args.speakers} readings a clip, {seconds:.0f} s: {np.mean(speeds):.1f} mm/s, {np.std(speeds):.1f} between readings and "
        f"clips (people {PEOPLE_MM_PER_SECOND:.0f}, bar within 15 %); in silence but for breaths at most {shut.max(initial=0.0):.2f} mm",
        "",
        *spread_table(required(args.data / "channel_spread.tsv", "a table of people's channels"), head, readings),
    ]
    report(args.results, lines)
