# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes against the teacher, as a picture: mouth opening and width over the shipped sample.

Grey: every take; black: the best by score; red: the teacher, performing the phones that the encoder
recognises (named above the waveform); below, the best take's lip-sync score along the line. Written
to docs/pictures/takes_and_teacher.png.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import matplotlib
import numpy as np

from research.harness import add_shared, ROOT, SAMPLE

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from research.measures.map_features import map_features
from thunder_core.direction import Brief, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import loudness
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.request import Request
from thunder_core.train.label import best_path, segments
from thunder_core.train.teacher import perform


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "weights")
    p.add_argument("--seconds", type=float, default=4.4)
    p.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "takes_and_teacher.png")


def run(args: Namespace) -> None:
    """Draw the picture."""
    engine, speech = Engine.load(args.weights, device="cpu"), read_sound(SAMPLE)
    path = best_path(engine.thunder.encoder.analyse(speech.samples)[1])
    loud = loudness(speech.samples, speech.frames)
    phones = np.repeat(path, 2).astype(np.uint8)
    features = map_features(engine.thunder.encoder, speech.samples, speech.frames)
    teacher = perform(
        phones,
        loud,
        list(engine.head.expression_names),
        np.random.default_rng(1),
        Direction(),
        features=features,
    )
    takes = engine.generate(speech, Request(8, 1, direction=Brief(Direction().vector()[None])))
    at = np.arange(speech.frames) / 25
    figure, axes = plt.subplots(
        4, 1, figsize=(11, 6), sharex=True, height_ratios=(1, 2, 2, 1), layout="constrained"
    )
    t = np.arange(len(speech.samples)) / speech.rate
    axes[0].plot(t[::16], speech.samples[::16], color="0.6", linewidth=0.6)
    for name, start, end in segments(path):
        if name != "SIL" and end < args.seconds:
            axes[0].text(
                (start + end) / 2,
                0.75,
                name,
                ha="center",
                fontsize=7,
                color="tab:red" if name in "PBM" else "0.2",
            )
            if name in "PBM":
                for axis in axes[1:3]:
                    axis.axvspan(start, end, color="tab:red", alpha=0.10, linewidth=0)
    axes[0].set_ylim(-1, 1)
    axes[0].set_yticks([])
    for axis, curve, measure, label in (
        (axes[1], "opening", opening_mm, "opening, mm"), (axes[2], "width", width_mm, "width, mm"),
    ):  # fmt: skip
        for take in takes[1:]:
            axis.plot(at, getattr(take, curve), color="0.75", linewidth=0.8)
        axis.plot(
            at,
            measure(teacher, engine.head)[: len(at)],
            color="tab:red",
            linewidth=1.2,
            label="teacher",
        )
        axis.plot(
            at, getattr(takes[0], curve), color="black", linewidth=1.4, label="best of 8 takes"
        )
        axis.set_ylabel(label)
    axes[1].legend(loc="upper right", fontsize=8, frameon=False)
    axes[3].fill_between(at, takes[0].score.per_frame, color="tab:green", alpha=0.4, linewidth=0)
    axes[3].set_ylim(0, 100)
    axes[3].set_ylabel("lip-sync")
    axes[3].set_xlabel("s")
    axes[3].set_xlim(0, args.seconds)
    figure.savefig(args.out, dpi=110)
