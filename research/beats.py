# SPDX-License-Identifier: GPL-3.0-or-later
"""What beat alignment (BA) tells, to research/results/beats.json.

BA of heads with their own sound and with that of every other clip, of stretches of 5 s: the teacher's on the test clips, heads drawn from
statistics, which know nothing of the voice, and real people's. Beats are once where the head moves fastest, as `measures.metrics` has it,
and once where it comes to rest, as of dancers.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from research.faces.real_faces import solved_clips
from research.harness import add_shared, keep_json, required, RESULTS
from research.measures import metrics
from research.measures.evaluate import Clip, clips_of, Compared, stretches
from thunder_core.channels import Columns
from thunder_core.face.head import load_head
from thunder_core.rotation import angular_speed
from thunder_core.train.corpus import Corpus
from thunder_core.train.motions import MotionSet, SAMPLES_PER_FRAME
from thunder_core.train.recording import read_recording
from thunder_core.types import pack

CLIPS = 40
Turn = tuple[np.ndarray, np.ndarray]  # a head [T, 3] rad, and the frames at which its sound sets in


def rests(pose: np.ndarray) -> np.ndarray:
    """Frames at which a head [T, 3] comes to rest: minima of its angular speed."""
    speed = angular_speed(pose)
    return np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] <= speed[2:])) + 1.5


def measured(turns: Sequence[Turn], beats: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
    """Mean BA of heads with their own sound, half of its 95 % interval, and mean BA with the sound of every other."""
    frames = [beats(pose) for pose, _ in turns]
    own = [metrics.aligned(b, onsets, len(pose)) for b, (pose, onsets) in zip(frames, turns)]
    other = [
        metrics.aligned(b, onsets[onsets < len(pose)], len(pose))
        for i, (b, (pose, _)) in enumerate(zip(frames, turns))
        for j, (_, onsets) in enumerate(turns)
        if i != j
    ]
    values = {"own sound": np.mean(own), "±": 1.96 * np.std(own) / np.sqrt(len(own)), "another's": np.mean(other)}
    return {name: round(float(value), 3) for name, value in values.items()}


def of_corpus(cache: Path, columns: slice) -> list[Turn]:
    """Test clips of a training cache."""
    motions = MotionSet(Corpus(cache / "corpus"), cache / "motions")
    return of_clips([Clip.of(motions, number) for number in clips_of(motions, "test", CLIPS)], columns)


def of_clips(clips: Sequence[Compared], columns: slice) -> list[Turn]:
    """The true heads of clips."""
    return [(clip.truth[:, columns], metrics.sound_onsets(clip.samples)) for clip in clips]


def of_people(folder: Path, names: list[str], columns: slice) -> list[Turn]:
    """Stretches of the solved recordings of one split."""
    result = []
    for name, motion, seen in solved_clips(folder, names):
        whole, samples = pack(motion)[:, columns], read_recording(folder / f"{name}.wav")
        count = min(len(whole), len(samples) // SAMPLES_PER_FRAME)
        for first, frames in stretches(seen[:count]):
            sound = samples[SAMPLES_PER_FRAME * first : SAMPLES_PER_FRAME * (first + frames)]
            result.append((whole[first : first + frames], metrics.sound_onsets(sound)))
    return result


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "solved", results=RESULTS / "beats.json")
    p.add_argument("--heads", type=Path, help="of the stage `heads`")


def run(args: Namespace) -> None:
    """Measure and write."""
    required(args.cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    head = load_head()
    columns, names = Columns(head.channels).head, list(head.expression_names)
    groups = {"teacher": of_corpus(args.cache, columns)}
    if args.heads:
        groups["heads of statistics"] = of_corpus(args.heads, columns)
    for split in ("fit", "check"):
        if (args.solved / split).is_dir():
            groups[f"people, {split}"] = of_people(args.solved / split, names, columns)
    made = {}
    for name, turns in groups.items():
        beats = {"at strokes": metrics.kinematic_beats, "at rests": rests}
        made[name] = {"clips": len(turns)} | {what: measured(turns, where) for what, where in beats.items()}
        print(name, made[name], flush=True)
    keep_json(args.results, made)
