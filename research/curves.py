# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves of takes beside those of people, as pictures.

The opening of eight takes of three clips beside the measured mouth. Grey: every take; black: the
top of the list; red: the person; m, b and p are shaded. Written to docs/pictures/real_mouths.png.

And ten takes of each in the order of the list, with points, verdict and r; red: the person; above
them the phones that the encoder recognises. Written to docs/pictures/list.png.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import matplotlib
import numpy as np

from research.faces.lip_clips import fit_length, follows, LANGUAGES, LipClip, read_clips
from research.faces.puppet import measure_person
from research.harness import add_shared, ROOT
from research.measures.movement import HEAD

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from research.train.teacher import best_path, segments
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.face.moving.lips import Lips
from thunder_core.request import Request
from thunder_core.types import FPS

PICTURES = ROOT / "docs" / "pictures"
# clips to which nothing was fitted: of them the takes follow one well, one as usual, one badly
REAL = ("en_syncdemo13", "en_pres20", "de_anchor20")
TURNS = ("nod", "turn", "tilt")


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "weights", "data")
    p.add_argument("--clips", nargs="+", default=REAL, help="of DATA, from `check`")
    p.add_argument("--seconds", type=float, default=7.0, help="of each clip")
    p.add_argument("--out", type=Path, default=PICTURES / "real_mouths.png")
    p.add_argument("--list-seconds", type=float, default=3.0, help="of each clip in the list")
    p.add_argument("--list-out", type=Path, default=PICTURES / "list.png")
    p.add_argument("--heads-out", type=Path, default=PICTURES / "heads.png")


def run(args: Namespace) -> None:
    """Draw the pictures."""
    clips = {clip.name: clip for clip in read_clips(args.data, "check")}
    engine = Engine.load(args.weights, device="cpu")
    chosen = [clips[name] for name in args.clips]
    draw(engine, chosen, args.seconds, args.out)
    draw_list(engine, chosen, args.list_seconds, args.list_out)
    tracked = [clip for clip in clips.values() if clip.is_tracked and clip.frames > 7 * FPS]
    draw_heads(engine, chosen[0], tracked[:8], args.heads_out)


def draw_list(engine: Engine, clips: list[LipClip], seconds: float, path: Path) -> None:
    """Ten takes of each clip in the order of the list beside the person, a column for each clip."""
    lips = Lips.of(engine.head)
    figure, axes = plt.subplots(
        10, len(clips), figsize=(4 * len(clips), 9), sharex=True, sharey="col", layout="constrained"
    )
    for column, clip in zip(axes.T, clips):
        speech = read_sound(clip.path)
        path_of_phones = best_path(engine.thunder.encoder.analyse(speech.samples)[1])
        sounds = [
            each for each in segments(path_of_phones) if each[0] != "SIL" and each[2] < seconds
        ]
        for number, (name, start, end) in enumerate(sounds):
            column[0].text(
                (start + end) / 2, 1.04 + 0.16 * (number % 2), name, ha="center", fontsize=6,
                transform=column[0].get_xaxis_transform(),
            )  # fmt: skip
        at = np.arange(clip.frames) / FPS
        for axis, take in zip(column, engine.generate(speech, Request(10, 1))):
            gap = fit_length(lips.opening(take.motion)[None], clip.frames)[0]
            for start, end in clip.bilabials:
                axis.axvspan(start, end, color="tab:red", alpha=0.12, linewidth=0)
            axis.plot(at, clip.opening, color="tab:red", linewidth=0.8)
            axis.plot(at, gap, color="black", linewidth=1.1)
            says = "" if take.score is None else f"{take.score.total:.0f} {take.score.grade}"
            axis.set_ylabel(f"{says}\nr {follows(gap, clip.opening):.2f}", fontsize=7)
            axis.set_xlim(0, seconds)
            axis.tick_params(labelsize=6)
        column[0].set_title(LANGUAGES[clip.language], fontsize=9, pad=18)
        column[-1].set_xlabel("s", fontsize=7)
    figure.savefig(path, dpi=85)


def draw_heads(engine: Engine, line: LipClip, people: list[LipClip], path: Path) -> None:
    """How eight takes of a line turn the head beside how people do, degrees about the usual."""
    takes = engine.generate(read_sound(line.path), Request(len(people), 1))
    moved = [np.degrees(take.motion.head).T for take in sorted(takes, key=lambda x: x.seed)]
    seen = [[curves[name] for name in HEAD] for curves in map(measure_person, people)]
    figure, axes = plt.subplots(
        len(people), 2, figsize=(11, 1.1 * len(people)), sharex=True, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for column, title, rows in zip(axes.T, ("takes of a line", "people"), (moved, seen)):
        column[0].set_title(title, fontsize=9)
        for axis, row in zip(column, rows):
            for name, turned in zip(TURNS, row):
                at = np.arange(len(turned)) / FPS
                axis.plot(at, turned - np.nanmedian(turned), linewidth=0.9, label=name)
    axes[0, 0].set(xlim=(0, 7), ylim=(-20, 20))
    axes[0, 0].legend(loc="upper right", ncol=3, fontsize=7, frameon=False)
    figure.savefig(path, dpi=80)


def draw(engine: Engine, clips: list[LipClip], seconds: float, path: Path) -> None:
    """The opening of eight takes of each clip beside that of the person, in millimetres."""
    lips = Lips.of(engine.head)
    figure, axes = plt.subplots(len(clips), 1, figsize=(11, 2.2 * len(clips)), layout="constrained")
    for axis, clip in zip(axes, clips):
        takes = engine.generate(read_sound(clip.path), Request(8, 1))
        gaps = np.array([lips.opening(take.motion) for take in takes])
        gaps = fit_length(gaps, clip.frames)
        at = np.arange(clip.frames) / FPS
        for start, end in clip.bilabials:
            axis.axvspan(start, end, color="tab:red", alpha=0.10, linewidth=0)
        for gap in gaps[1:]:
            axis.plot(at, gap, color="0.75", linewidth=0.8)
        axis.plot(at, gaps[0], color="black", linewidth=1.4, label="top of the list")
        axis.plot(at, clip.opening, color="tab:red", linewidth=1.4, label="the person")
        each = np.mean([follows(gap, clip.opening) for gap in gaps])
        best, mean = (follows(curve, clip.opening) for curve in (gaps[0], gaps.mean(0)))
        axis.set_title(
            f"{LANGUAGES[clip.language]}: over all {clip.frames / FPS:.0f} s a take has r "
            f"{each:.2f}, the top of the list {best:.2f}, the mean of eight {mean:.2f}",
            loc="left",
            fontsize=9,
        )
        axis.set_xlim(0, seconds)
        axis.set_ylim(bottom=0)
        axis.set_ylabel("opening, mm")
    axes[0].legend(loc="upper right", fontsize=8, frameon=False)
    axes[-1].set_xlabel("s")
    figure.savefig(path, dpi=110)
