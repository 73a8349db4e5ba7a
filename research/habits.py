# SPDX-License-Identifier: GPL-3.0-or-later
"""Non-verbal behaviour: real people, the teacher and takes of the same voices.

DATA is a folder with `lips/` (tracked faces, sounds, phones). The faces are solved into the head's
channels once (`--solved`, kept between runs). Per system: habits with their spread between clips,
and between performances of one clip; how coherent movements are with the speech (1: no more than
shuffled); what happens in pauses of 0.4 to 2 s. The teacher is measured in its usual style. Table to
stdout and research/results/habits.txt.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.faces.lip_clips import aligned_phones
from research.faces.real_faces import solve_missing, solved_clips
from research.harness import (
    add_shared,
    columns_of,
    describe_sampling,
    report,
    required,
    results_file,
)
from research.measures import habits as measures
from research.measures.habits import Coherence, Pause
from research.measures.map_features import map_features
from research.train.teacher import perform, prosody, semitones
from thunder_core.acoustics import loudness
from thunder_core.direction import Direction, DIRECTION_NAMES, DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.cues import Prosody
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.face.head import Head, load_head
from thunder_core.request import Request
from thunder_core.types import Motion, Speech

SPREAD = 0.5  # of takes
HABITS = {
    "blinks a minute": "blinks_per_minute", "head, °/s": "head_degrees_per_second",
    "brow raise height": "brow_raise_height", "brow deviation": "brow_deviation",
    "gaze shifts a minute": "gaze_shifts_per_minute", "opening, mm/s": "opening_mm_per_second",
}  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """One voice: its sound, 10 ms phones, loudness [T, 2], pitch [T], features [T, d], prosody, and
    the real person's motion."""

    name: str
    speech: Speech
    phones: np.ndarray
    loud: np.ndarray
    pitch: np.ndarray
    features: np.ndarray | None
    voice: Prosody
    real: Motion


def read_clips(
    lips: Path, solved: Path, head: Head, names: list[str] | None, weights: Path
) -> list[Clip]:
    """Every clip of a folder of tracked faces with its person, solved now where that was not done
    before."""
    encoder = SpeechEncoder.load(weights)
    wanted = names or sorted(path.stem for path in (lips / "landmarks").glob("*.npz"))
    solve_missing(lips, solved, head, wanted)
    people = {
        n: m
        for folder in sorted(solved.glob("*/"))
        for n, m, _ in solved_clips(folder, list(head.expression_names))
    }
    phones, clips = aligned_phones(lips), []
    for name in wanted:
        speech = read_sound(lips / f"{name}.wav")
        frames = min(speech.frames, people[name].frames)
        loud, pitch = loudness(speech.samples, frames), semitones(speech.samples, frames)
        voice = prosody(phones[name], loud, pitch)
        features = map_features(encoder, speech.samples, frames)
        clips.append(
            Clip(
                name,
                speech,
                phones[name],
                loud,
                pitch,
                features,
                voice,
                people[name].part(slice(0, frames)),
            )
        )
    return clips


def teacher_motions(clip: Clip, channels: list[str], seeds: range) -> list[Motion]:
    """The teacher's performances in its usual style."""
    return [
        perform(
            clip.phones, clip.loud, channels, np.random.default_rng([seed, len(clip.loud)]),
            Direction(), clip.pitch, features=clip.features,
        )
        for seed in seeds
    ]  # fmt: skip


def sampled_motions(clip: Clip, engine: Engine, args: Namespace) -> list[Motion]:
    """Takes of a clip, as they are generated without a direction."""
    direction = DirectionRequest(np.zeros((1, len(DIRECTION_NAMES)), np.float32), SPREAD)
    request = Request(args.takes, args.seed, steps=args.steps, direction=direction)
    return [take.motion for take in engine.generate(clip.speech, request)]


def measure(head: Head, performed: dict[str, list[Motion]], clips: list[Clip]) -> dict[str, str]:
    """Every figure of a performer's motions of each clip as text, by its name."""
    timing: dict[str, Coherence] = {}
    pauses: list[Pause] = []
    rows, breaths, open_mm = [], np.zeros(2), []
    for clip in clips:
        motions = [m.part(slice(0, clip.voice.frames)) for m in performed[clip.name]]
        rows.append([measures.habits(head, m) for m in motions])
        for motion in motions:
            for name, value in measures.timing(head, motion, clip.voice).items():
                timing[name] = timing.get(name, Coherence()) + value
            pauses += measures.pauses(head, motion, clip.voice)
            breaths += measures.breaths(head, motion, clip.voice)
            open_mm.append(measures.silent_opening(head, motion, clip.voice))
    figures = {}
    for habit in HABITS:
        values = np.array([[each[HABITS[habit]] for each in of_clip] for of_clip in rows])
        inside = f" · {np.sqrt(values.var(1, ddof=1).mean()):.3g}" if values.shape[1] > 1 else ""
        figures[habit] = f"{values.mean():.3g} ± {values.mean(1).std(ddof=1):.3g}{inside}"
    for name, value in timing.items():
        figures[name] = f"{value.ratio:.2f} × shuffled ({value.hits:.0f} of {value.expected:.0f})"
    if pauses:
        turned, fastest = (np.array([getattr(p, n) for p in pauses]) for n in ("turned", "fastest"))
        figures["pauses: head within 1.5°"] = (
            f"{(turned <= measures.REST_DEGREES).mean():.0%} of {len(pauses)}, median "
            f"{np.median(turned):.2f}°"
        )
        figures["pauses: slower than 40 °/s"] = (
            f"{(fastest <= measures.FASTEST).mean():.0%}, 95 % below "
            f"{np.quantile(fastest, 0.95):.0f}"
        )
        figures["pauses: blinks, looks each"] = (
            f"{np.mean([p.blinks for p in pauses]):.2f}, {np.mean([p.looks for p in pauses]):.2f}"
        )
        figures["pauses: path of the head"] = f"{np.median([p.moved for p in pauses]):.2f}°"
    figures["lips part before a phrase"] = f"{breaths[0]:.0f} of {breaths[1]:.0f}"
    silent = np.concatenate(open_mm)
    figures["lips in silence, mm"] = (
        f"{silent.mean():.2f}, at most {silent.max():.2f}" if len(silent) else "–"
    )
    return figures


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "solved", "steps", "seed", "weights", "results", "takes")
    p.add_argument("--clips", nargs="+", help="only these (default: all)")
    p.add_argument("--readings", type=int, default=8, help="by the teacher, of each clip")


def run(args: Namespace) -> None:
    """Print the table and write it to research/results."""
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    head = load_head(args.weights / "head.npz")
    clips = read_clips(lips, args.solved, head, args.clips, args.weights)
    channels = list(head.expression_names)
    seeds = range(args.seed, args.seed + args.readings)
    systems = {
        "people": {c.name: [c.real] for c in clips},
        "teacher": {c.name: teacher_motions(c, channels, seeds) for c in clips},
    }
    engine = Engine.load(args.weights, device="cpu")
    systems["takes"] = {c.name: sampled_motions(c, engine, args) for c in clips}
    columns = {name: measure(head, motions, clips) for name, motions in systems.items()}
    voices = [c.voice for c in clips]
    minutes = sum(v.seconds for v in voices) / 60
    lines = [
        "Habits of faces: mean ± deviation between clips · deviation between performances of one "
        "clip.",
        f"{len(clips)} clips, {minutes:.1f} minutes, "
        f"{sum(len(v.accents) for v in voices) / minutes:.0f} accents a minute, "
        f"{sum(len(measures.spans(v)) for v in voices)} pauses of 0.4–2 s; weights {engine.weights}, "
        f"{args.takes} takes, {describe_sampling(args.steps)}, "
        f"{args.readings} readings, seed {args.seed}",
        "The teacher's sizes and rates were fitted to people, these among them: it is compared with "
        "them, not tested on them.",
        "", *columns_of(columns),
    ]  # fmt: skip
    report(results_file(args.results, "habits.txt", not args.clips), lines)
