# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: how many keys a line becomes as Poses and as Blocking, how far off lips and closures
are, and how much score is lost.

`python -m research commit --data DATA [--takes FOLDER]` in the engine's environment; DATA is a
folder with `lips/`. A take of every voice is generated (seed 1; kept in FOLDER, never to be
committed to a repository) and committed at 24 fps in a Blender of .venv/bpy-*. Errors are measured
at eighths of frames on the bundled head. Tables go to stdout and research/results/commit.txt.
"""

import json
import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.faces.lip_clips import SILENT, spoken_phones
from research.harness import (
    add_shared,
    blenders,
    discard_old_takes,
    required,
    RESULTS,
    ROOT,
    usual_direction,
    write_table,
)
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import Request
from thunder_core.types import Motion, SampledTake

SCENE_FPS = 24
KINDS = {"POSES": "Poses", "BLOCKING": "Blocking"}
ERRORS = (0.3, 0.6, 2.0)  # mm
BAR_ERROR = 0.6
COUNTED = (
    "keys",
    "seconds",
    "key_frames",
    "frames",
    "mouth_poses",
    "mouth_key_frames",
    "speech_s",
    "closed_frames",
    "closed_met",
)


def save_take(path: Path, take: SampledTake, channels: Sequence[str]) -> None:
    """Write a take as takes_in_blender.py reads it."""
    parts = {name: getattr(take.motion, name) for name in ("expression", "jaw", "head", "eyes")}
    np.savez(path, **parts, opening=take.opening, width=take.width, channels=np.array(channels))


def generate_missing(lips: Path, folder: Path) -> None:
    """A take of every voice, as NPZ; those of this code and these weights are kept."""
    discard_old_takes(folder)
    missing = [
        wav for wav in sorted(lips.glob("*.wav")) if not (folder / f"{wav.stem}.npz").exists()
    ]
    if not missing:
        return
    engine = Engine.load(None)
    for wav in missing:
        (take,) = engine.generate(read_sound(wav), Request(1, 1, direction=usual_direction()))
        save_take(folder / f"{wav.stem}.npz", take, engine.head.expression_names)
        print(f"generated {wav.stem}", flush=True)


def run_in_blender(*words: object, **environment: str) -> list[dict]:
    """What takes_in_blender.py prints in the newest Blender that is installed as a module."""
    *_, (version, python) = blenders().items()
    command = [python, "-m", "research.takes_in_blender", *map(str, words)]
    environment = os.environ | {"THUNDER_PYTHON": sys.executable} | environment
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"Blender {version}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]


def with_speech(row: dict, spoken: list[tuple[float, float]]) -> dict:
    """A row with its seconds of speech, and the mouth's poses and key frames during speech."""

    def lies_in(frame: int) -> bool:
        return any(
            start - 0.5 / SCENE_FPS <= frame / SCENE_FPS <= end + 0.5 / SCENE_FPS
            for start, end in spoken
        )

    return row | {
        "speech_s": sum(end - start for start, end in spoken),
        "mouth_poses": len({number for frame, number in row["poses"] if lies_in(frame)}),
        "mouth_key_frames": sum(map(lies_in, row["mouth_frames"])),
    }


def lost_points(lips: Path, takes: Path, motions: Path) -> list[str]:
    """Lines: by how many points keys at BAR_ERROR score lower than their takes."""
    engine, lost = Engine.load(None), {kind: [] for kind in KINDS}

    def score(voice: str, path: Path) -> float:
        with np.load(path) as motion:
            return engine.score(
                read_sound(lips / f"{voice}.wav"), Motion(motion["expression"], motion["jaw"])
            ).total

    for take in sorted(takes.glob("*.npz")):
        for kind in KINDS:
            lost[kind].append(
                score(take.stem, take)
                - score(take.stem, motions / f"{take.stem} {kind} {BAR_ERROR:g}.npz")
            )
    return [
        f"{KINDS[kind]} lose {np.mean(by):.1f} points of score on average, {max(by):.1f} at most"
        for kind, by in lost.items()
    ]


def table(rows: list[dict]) -> list[str]:
    """A line for each kind of keys and error."""
    lines = [
        "| way | max lip error | keys | keys a second | frames with a key | mouth poses a second "
        "of speech "
        "| mouth key frames a second of speech | lips off, most | closed frames met | gap off "
        "there, most "
        "| leaves keys' range by |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, name in KINDS.items():
        for error in ERRORS:
            some = [row for row in rows if row["way"] == kind and row["error"] == error]
            total = {name: sum(row[name] for row in some) for name in COUNTED}
            most = {
                name: max(row[name] for row in some)
                for name in ("lips_mm", "gap_off_mm", "overshoot")
            }
            poses = f"{total['mouth_poses'] / total['speech_s']:.1f}"
            lines.append(
                f"| {name} | {error:g} mm | {total['keys']} | "
                f"{total['keys'] / total['seconds']:.0f} "
                f"| {total['key_frames'] / total['frames']:.0%} | {poses} | "
                f"{total['mouth_key_frames'] / total['speech_s']:.1f} "
                f"| {most['lips_mm']:.2f} mm | {total['closed_met']} of {total['closed_frames']} "
                f"| {most['gap_off_mm']:.2f} mm | {most['overshoot']:.1%} |"
            )
    return lines


def bars(rows: list[dict]) -> list[str]:
    """The targets for Poses, and whether they are met."""
    poses, blocked = (
        [row for row in rows if row["way"] == kind and row["error"] == BAR_ERROR] for kind in KINDS
    )
    total = {name: sum(row[name] for row in poses) for name in COUNTED}
    carried, rate = total["key_frames"] / total["frames"], total["mouth_poses"] / total["speech_s"]
    lips, beyond = max(row["lips_mm"] for row in poses), max(row["overshoot"] for row in rows)
    columns = [row["key_frames"] / row["seconds"] * 7 for row in blocked]
    claims = [
        (carried <= 0.40, f"frames with a key {carried:.1%}, at most 40 %"),
        (
            rate <= 7.0,
            f"mouth poses a second of speech {rate:.2f}, at most 7 (breakdowns between poses are "
            f"not counted)",
        ),
        (
            total["closed_met"] == total["closed_frames"],
            f"closed frames that are met: {total['closed_met']} of {total['closed_frames']}",
        ),
        (
            max(columns) <= 45,
            f"Blocking has {min(columns):.0f} to {max(columns):.0f} columns in 7 s, for every "
            f"voice at most 45",
        ),
        (
            all(row["keys"] < other["keys"] for row, other in zip(blocked, poses)),
            "Blocking has fewer keys than Poses, for every voice",
        ),
        (
            all(row["closed_met"] == row["closed_frames"] for row in rows),
            "every way and error keeps all closed frames",
        ),
        (lips <= BAR_ERROR * 1.001, f"lips off by {lips:.3f} mm at most"),
        (
            beyond <= 0.0205,
            f"at every error curves leave the range of two keys by {beyond:.1%} of their own at "
            f"most, at most 2 %",
        ),
        (
            all(row["keys"] == row["keys_in_message"] for row in rows),
            "the number of keys in the message is that in the file",
        ),
    ]
    return [
        f"at {BAR_ERROR} mm:",
        *(f"{'kept  ' if is_met else 'MISSED'}  {claim}" for is_met, claim in claims),
    ]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", results=RESULTS / "commit.txt")
    p.add_argument(
        "--takes", type=Path, default=ROOT / "out" / "commit", help="folder in which takes are kept"
    )


def run(args: Namespace) -> None:
    """Print the tables and write them to research/results."""
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    generate_missing(lips, args.takes)
    spoken = {
        clip: [(p.start, p.end) for p in phones if p.symbol not in SILENT]
        for clip, phones in spoken_phones(lips).items()
    }
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            with_speech(row, spoken[row["voice"]])
            for row in run_in_blender("commit", args.takes, *ERRORS, MOTIONS=folder)
        ]
        lost = lost_points(lips, args.takes, Path(folder))
    seconds = sum(
        row["seconds"] for row in rows if row["way"] == "POSES" and row["error"] == BAR_ERROR
    )
    voices = len({row["voice"] for row in rows})
    head = (
        f"{voices} voices, {seconds:.0f} s at {SCENE_FPS} fps, one take each, errors measured "
        f"at eighths of frames"
    )
    print(write_table(args.results, [head, "", *table(rows), "", *bars(rows), *lost]))
