# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `sv2s`: silent video to speech, on films of the teacher's lips; a reference for the bench, which nothing else needs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from research.train.lip_video import chosen, film
from research.train.sv2s import NAME, train_sv2s
from thunder_core.train.loop import Schedule
from thunder_core.train.m2s import FRAMES
from thunder_core.train.stages import optimisation, option, start_weights
from thunder_core.train.workspace import Workspace

HELP = "train silent video to speech, mesh-to-speech's reference"
OPTIONS = (
    *optimisation(4000, 1e-3),
    option("--start", type=Path, help="weights folder whose mesh-to-speech gives conformer and heads, instead of nothing"),
    option("--minutes", type=float, default=60, help="of training clips that are filmed"),
)


def run(workspace: Workspace, args: Namespace) -> dict:
    """Film lips, train and export; returns the figures on the test voices."""
    motions = workspace.motions()
    films = film(motions, workspace.head, chosen(motions, FRAMES, args.minutes, workspace.seed), workspace.cache / "lip_films")
    warmup = min(200, max(1, args.steps // 5))
    schedule = Schedule(steps=args.steps, rate=args.rate, warmup=warmup, seed=workspace.seed, checkpoint_every=50)
    start = start_weights(args.start, workspace.weights) if args.start else None
    network, figures = train_sv2s(motions, films, workspace.runs / NAME, schedule, workspace.device, start)
    data = f"films of the teacher's lips, {args.minutes:g} minutes of the corpus"
    workspace.export(NAME, network.state_dict(), network.settings(), "silent video to speech", data, schedule, figures, start=args.start)
    return figures
