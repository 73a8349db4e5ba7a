# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures listeners: takes of listeners to recorded voices, the teacher's listeners, and takes
that listen to silence.

DATA is a folder with `lips/` (sounds and phones). Per system: movements a minute, and how many of
them follow the other voice's accents and phrase ends within the time that answers take, against as
many at any time (1: no more than those). Silence is as long as each voice. Table to stdout and
research/results/listeners.txt.
"""

from argparse import ArgumentParser, Namespace

import numpy as np

from research.faces.lip_clips import aligned_phones
from research.harness import (
    add_shared,
    columns_of,
    describe_sampling,
    report,
    required,
    results_file,
)
from research.measures import habits as measures
from research.measures.habits import Coherence, coherence
from research.train.teacher import perform, prosody, semitones
from thunder_core.acoustics import loudness
from thunder_core.animation.traits import gaze_shifts, lid_closure, run_starts
from thunder_core.direction import DIRECTION_NAMES, DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.cues import Prosody
from thunder_core.face.head import Head
from thunder_core.request import Request
from thunder_core.types import Motion, Speech

SPREAD = 0.5  # of takes
# Answers are delayed: mean delay in seconds, and tolerance in frames.
AFTER_ACCENT, AFTER_END = (0.30, 5), (0.45, 8)


def events(head: Head, motion: Motion) -> dict[str, np.ndarray]:
    """The movements of a listener by their names: frames at which each begins."""
    return {
        "nods": measures.nods(motion),
        "brow raises": measures.raises(head, motion),
        "blinks": run_starts(lid_closure(head, motion) > 0.5),
        "gaze shifts": gaze_shifts(motion),
    }


def measure(head: Head, performances: list[tuple[Motion, Prosody]]) -> dict[str, str]:
    """Every figure of a system as text, by its name. performances: each with the voice it listens
    to."""
    counts: dict[str, int] = {}
    answers: dict[str, Coherence] = {}
    speeds, heights, minutes = [], [], 0.0
    for motion, voice in performances:
        motion = motion.part(slice(0, voice.frames))
        minutes += motion.frames / 25 / 60
        habits = measures.habits(head, motion)
        speeds.append(habits["head_degrees_per_second"])
        heights.append(habits["brow_raise_height"])
        everywhere = np.ones(motion.frames, bool)
        ends = np.array([end for _, end in voice.phrases])
        for name, frames in events(head, motion).items():
            counts[name] = counts.get(name, 0) + len(frames)
            for what, marks, (late, reach) in (
                ("accents", voice.accents, AFTER_ACCENT),
                ("phrase ends", ends, AFTER_END),
            ):
                key = f"{name} after {what}"
                answers[key] = answers.get(key, Coherence()) + coherence(
                    frames, np.asarray(marks) + late, everywhere, reach
                )
    figures = {f"{name} a minute": f"{count / minutes:.1f}" for name, count in counts.items()}
    figures |= {
        "head, °/s": f"{np.mean(speeds):.1f}",
        "brow raise height": f"{np.mean(heights):.2f}",
    }
    for key, value in answers.items():
        figures[key] = f"{value.ratio:.2f} × shuffled ({value.hits:.0f} of {value.expected:.0f})"
    return figures


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "steps", "seed", "weights", "results", "takes")


def run(args: Namespace) -> None:
    """Print the table and write it to research/results."""
    lips = required(args.data / "lips", "the folder of recorded voices with phones")
    engine = Engine.load(args.weights, device="cpu")
    channels, phones = list(engine.head.expression_names), aligned_phones(lips)
    direction = DirectionRequest(np.zeros((1, len(DIRECTION_NAMES)), np.float32), SPREAD)
    systems: dict[str, list[tuple[Motion, Prosody]]] = {
        "teacher listens": [],
        "takes listen": [],
        "takes listen to silence": [],
    }
    for name in sorted(phones):
        speech = read_sound(lips / f"{name}.wav")
        loud = loudness(speech.samples, speech.frames)
        pitch = semitones(speech.samples, speech.frames)
        voice = prosody(phones[name], loud, pitch)
        for seed in range(args.seed, args.seed + args.takes):
            taught = perform(
                phones[name],
                loud,
                channels,
                np.random.default_rng([seed, len(loud)]),
                None,
                pitch,
                listens=True,
            )
            systems["teacher listens"].append((taught, voice))
        for system, sound in (
            ("takes listen", speech),
            ("takes listen to silence", Speech(np.zeros_like(speech.samples))),
        ):
            takes = engine.generate(
                sound,
                Request(
                    args.takes, args.seed, steps=args.steps, direction=direction, listening=True
                ),
            )
            systems[system] += [(take.motion, voice) for take in takes]
    columns = {name: measure(engine.head, performances) for name, performances in systems.items()}
    lines = [
        f"Faces that listen to {len(phones)} recorded voices; weights {engine.weights}, "
        f"{args.takes} takes of each, {describe_sampling(args.steps)}, "
        f"spread {SPREAD:g}, seed {args.seed}",
        f"An answer lies {AFTER_ACCENT[0]:g} s ± {AFTER_ACCENT[1] / 25:.2g} s after an accent, "
        f"{AFTER_END[0]:g} s ± {AFTER_END[1] / 25:.2g} s after the end of a phrase.",
        "",
        *columns_of(columns),
    ]
    report(results_file(args.results, "listeners.txt", True), lines)
