# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves of takes beside those of people, as a picture.

The opening of eight takes of three clips beside the measured mouth. Grey: every take; black: the
top of the list; red: the person; m, b and p are shaded. Written to docs/pictures/real_mouths.png.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import matplotlib
import numpy as np

from research.faces.lip_clips import fit_length, follows, LANGUAGES, LipClip, read_clips
from research.harness import add_shared, ROOT

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.face.lips import Lips
from thunder_core.request import Request
from thunder_core.types import FPS

PICTURES = ROOT / "docs" / "pictures"
# clips to which nothing was fitted: of them the takes follow one well, one as usual, one badly
REAL = ("en_syncdemo13", "en_pres20", "de_anchor20")


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "weights", "data")
    p.add_argument("--clips", nargs="+", default=REAL, help="of DATA, from `check`")
    p.add_argument("--seconds", type=float, default=7.0, help="of each clip")
    p.add_argument("--out", type=Path, default=PICTURES / "real_mouths.png")


def run(args: Namespace) -> None:
    """Draw the picture."""
    clips = {clip.name: clip for clip in read_clips(args.data, "check")}
    engine = Engine.load(args.weights, device="cpu")
    draw(engine, [clips[name] for name in args.clips], args.seconds, args.out)


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
