# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: how many keys a line becomes as Poses and as Dense Curves, and how far off lips and closures are.

`python -m research commit --data DATA [--takes FOLDER]` in the engine's environment; DATA is a folder with `lips/`. A take of every
voice is generated (seed 1; kept in FOLDER, never to be committed to a repository) and committed at 24 fps in a Blender of
.venv/bpy-*. Errors are measured at eighths of frames on the bundled head. Tables go to stdout and research/results/commit.txt,
figures of every voice to commit.json beside it.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.harness import add_shared, keep, keep_json, required, RESULTS, ROOT, usual
from research.heads import blenders

SCENE_FPS = 24
ERRORS = (0.3, 0.6, 2.0)  # mm
BAR_ERROR = 0.6
SILENT = ("SIL", "+SPN+", "+NSN+")
SOUNDS = {"M B P": "M B P", "F V": "F V", "OO W": "UW UH OW W OY AO", "EE S": "IY IH EY S Z Y", "AH": "AA AE AH AY AW EH"}
NEAR_SECONDS = 0.06  # largest distance of a label from its sound: a mouth is in shape a little before and after it
CHANCE_SECONDS = (0.5, 0.7, 0.9, 1.1)  # shifts of the labels that give the rate of matches by chance


def generated(lips: Path, folder: Path) -> None:
    """A take of every voice, as NPZ; existing ones are kept."""
    missing = [wav for wav in sorted(lips.glob("*.wav")) if not (folder / f"{wav.stem}.npz").exists()]
    if not missing:
        return
    from thunder_core.engine.engine import Engine
    from thunder_core.engine.speech.audio import read_sound
    from thunder_core.request import Request

    engine = Engine.load(None)
    folder.mkdir(parents=True, exist_ok=True)
    for wav in missing:
        (take,) = engine.generate(read_sound(wav), Request(1, 1, direction=usual()))
        np.savez(
            folder / f"{wav.stem}.npz",
            expression=take.motion.expression,
            jaw=take.motion.jaw,
            head=take.motion.head,
            eyes=take.motion.eyes,
            opening=take.opening,
            width=take.width,
            channels=np.array(engine.head.expression_names),
        )
        print(f"generated {wav.stem}", flush=True)


def phones_of(lips: Path) -> dict[str, list[tuple[float, float, str]]]:
    """The aligned phones of each voice: (start, end, phone), seconds."""
    result: dict[str, list[tuple[float, float, str]]] = {}
    with open(lips / "phones.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            result.setdefault(row["clip"], []).append((float(row["start_s"]), float(row["end_s"]), row["phone"]))
    return result


def speaking(phones: dict) -> dict[str, list[tuple[float, float]]]:
    """Stretches in which each voice speaks, seconds."""
    return {voice: [(start, end) for start, end, phone in of_voice if phone not in SILENT] for voice, of_voice in phones.items()}


def sound_at(phones: list[tuple[float, float, str]], second: float, label: str) -> str:
    """`label` if one of its phones is near `second`, else the label of the nearest phone, “other” or “silence”."""
    near = sorted(
        (max(start - second, second - end, 0.0), phone)
        for start, end, phone in phones
        if start - NEAR_SECONDS <= second <= end + NEAR_SECONDS
    )
    labels = [
        "silence" if phone in SILENT else next((name for name, some in SOUNDS.items() if phone in some.split()), "other")
        for _, phone in near
    ]
    return label if label in labels else labels[0] if labels else "silence"


def confusion(rows: list[dict], phones: dict, late: float = 0.0) -> dict[str, dict[str, int]]:
    """How often each label of poses coincides with each spoken sound; late: seconds by which labels are moved."""
    result: dict[str, dict[str, int]] = {name: {} for name in SOUNDS}
    for row in rows:
        for frame, label in row["labels"]:
            sound = sound_at(phones[row["voice"]], row["first_s"] + frame / SCENE_FPS + late, label)
            result[label][sound] = result[label].get(sound, 0) + 1
    return result


def label_table(rows: list[dict], phones: dict, fitted: set[str]) -> list[str]:
    """Labels of poses against the sounds that are spoken there, on voices that set the thresholds and on the others."""
    poses = [row for row in rows if row["way"] == "POSES" and row["error"] == BAR_ERROR]
    parts = {"set on": [row for row in poses if row["voice"] in fitted], "others": [row for row in poses if row["voice"] not in fitted]}
    columns = [*SOUNDS, "other", "silence"]
    lines = [
        f"Label Poses: what is said within {1e3 * NEAR_SECONDS:.0f} ms of a label. The thresholds were set on the voices “set on”.",
        "",
        f"| voices | label | {' | '.join(columns)} | agree | by chance |",
        "|" + "---|" * (len(columns) + 4),
    ]
    for name, some in parts.items():
        now, by_chance = confusion(some, phones), [confusion(some, phones, late) for late in CHANCE_SECONDS]
        for label in SOUNDS:
            count = max(sum(now[label].values()), 1)
            chance = sum(each[label].get(label, 0) for each in by_chance) / count / len(by_chance)
            lines.append(
                f"| {name} | {label} | {' | '.join(str(now[label].get(sound, 0)) for sound in columns)} "
                f"| {now[label].get(label, 0) / count:.0%} | {chance:.0%} |"
            )
    return lines


def measured(folder: Path) -> list[dict]:
    """Results of commit_in_blender.py in the newest Blender installed."""
    *_, (version, python) = blenders().items()
    environment = {**os.environ, "THUNDER_PYTHON": sys.executable}
    done = subprocess.run(
        [python, "-m", "research.commit_in_blender", folder, str(SCENE_FPS), *map(str, ERRORS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise SystemExit(f"Blender {version}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"voice"')]


def with_speech(row: dict, spoken: list[tuple[float, float]]) -> dict:
    """A row with its seconds of speech, and the mouth's poses and key frames during speech."""

    def lies_in(frame: int) -> bool:
        return any(start - 0.5 / SCENE_FPS <= frame / SCENE_FPS <= end + 0.5 / SCENE_FPS for start, end in spoken)

    poses = {number for frame, number in row.pop("poses") if lies_in(frame)}
    frames = row.pop("mouth_frames")
    return row | {
        "speech_s": sum(end - start for start, end in spoken),
        "mouth_poses": len(poses),
        "mouth_key_frames": sum(map(lies_in, frames)),
    }


def table(rows: list[dict]) -> list[str]:
    """A line for each kind of keys and error."""
    lines = [
        "| way | max lip error | keys | keys a second | frames with a key | mouth poses a second of speech "
        "| mouth key frames a second of speech | lips off, most | closed frames met | gap off there, most "
        "| leaves keys' range by |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind in ("DENSE", "POSES"):
        for error in ERRORS:
            some = [row for row in rows if row["way"] == kind and row["error"] == error]
            total = {
                name: sum(row[name] for row in some)
                for name in (
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
            }
            most = {name: max(row[name] for row in some) for name in ("lips_mm", "gap_off_mm", "overshoot")}
            poses = f"{total['mouth_poses'] / total['speech_s']:.1f}" if kind == "POSES" else "–"
            lines.append(
                f"| {'Poses' if kind == 'POSES' else 'Dense Curves'} | {error:g} mm | {total['keys']} "
                f"| {total['keys'] / total['seconds']:.0f} | {total['key_frames'] / total['frames']:.0%} | {poses} "
                f"| {total['mouth_key_frames'] / total['speech_s']:.1f} | {most['lips_mm']:.2f} mm "
                f"| {total['closed_met']} of {total['closed_frames']} | {most['gap_off_mm']:.2f} mm | {most['overshoot']:.1%} |"
            )
    return lines


def bars(rows: list[dict]) -> list[str]:
    """The targets for Poses, and whether they are met."""
    poses = [row for row in rows if row["way"] == "POSES" and row["error"] == BAR_ERROR]
    dense = [row for row in rows if row["way"] == "DENSE" and row["error"] == BAR_ERROR]
    carried = sum(row["key_frames"] for row in poses) / sum(row["frames"] for row in poses)
    rate = sum(row["mouth_poses"] for row in poses) / sum(row["speech_s"] for row in poses)
    keys = [sum(row["keys"] for row in some) for some in (poses, dense)]
    met, closed = (sum(row[name] for row in poses) for name in ("closed_met", "closed_frames"))
    beyond = max(row["overshoot"] for row in rows)
    same = all(row["keys"] == row["keys_in_message"] for row in rows)
    claims = [
        (carried <= 0.40, f"frames with a key {carried:.1%}, at most 40 %"),
        (rate <= 7.0, f"mouth poses a second of speech {rate:.2f}, at most 7 (breakdowns between poses are not counted)"),
        (keys[0] < keys[1], f"keys {keys[0]}, fewer than Dense Curves' {keys[1]}"),
        (all(row["keys"] < other["keys"] for row, other in zip(poses, dense)), "and so for every voice"),
        (met == closed, f"frames on which lips meet that are met: {met} of {closed}"),
        (max(row["lips_mm"] for row in poses) <= BAR_ERROR * 1.001, f"lips off by {max(row['lips_mm'] for row in poses):.3f} mm at most"),
        (beyond <= 0.0205, f"at every error curves leave the range of two keys by {beyond:.1%} of their own at most, at most 2 %"),
        (same, "the number of keys in the message is that in the file"),
    ]
    return [f"at {BAR_ERROR} mm:", *(f"{'kept  ' if is_met else 'MISSED'}  {claim}" for is_met, claim in claims)]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", results=RESULTS / "commit.txt")
    p.add_argument("--takes", type=Path, default=ROOT / "out" / "commit", help="folder in which takes are kept")


def run(args: Namespace) -> None:
    """Print the tables and write them to research/results."""
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    generated(lips, args.takes)
    phones = phones_of(lips)
    spoken, fitted = speaking(phones), set(tomllib.loads((lips / "split.toml").read_text())["fit"])
    rows = [with_speech(row, spoken[row["voice"]]) for row in measured(args.takes)]
    voices = sorted({row["voice"] for row in rows})
    seconds = sum(row["seconds"] for row in rows if row["way"] == "POSES" and row["error"] == BAR_ERROR)
    lines = [
        f"{len(voices)} voices, {seconds:.0f} s at {SCENE_FPS} fps, one take each, errors measured at eighths of frames",
        "",
        *table(rows),
        "",
        *bars(rows),
        "",
        *label_table(rows, phones, fitted),
    ]
    print(keep(args.results, lines))
    figures = [{name: value for name, value in row.items() if name not in ("labels", "first_s")} for row in rows]
    keep_json(args.results.with_suffix(".json"), figures)
