# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `m2s`: mesh-to-speech of one of its input spaces."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
from torch import Tensor

from ...engine.m2s import save_trained_mouth
from ...engine.speech.features import Units
from ...networks.mouth import SPACES, weights_name
from ...networks.weights import load_weights
from ..loop import Schedule
from ..m2s import train_m2s
from .workspace import add_optimisation, Workspace

HELP = "train mesh-to-speech"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    add_optimisation(parser, 4000, 1e-3)
    parser.add_argument("--start", type=Path, help="weights folder to start from instead of from nothing")
    parser.add_argument("--space", choices=tuple(SPACES), default="mouth", help="what it sees; lips: the mouth without teeth and tongue")


def run(workspace: Workspace, args: Namespace) -> dict:
    """Train and export mesh-to-speech; returns its figures on the test voices."""
    name, head = weights_name(args.space), workspace.head
    warmup = min(200, max(1, args.steps // 5))  # a short run, from another network's weights, must not end before it began
    schedule = Schedule(steps=args.steps, rate=args.rate, warmup=warmup, seed=workspace.seed, checkpoint_every=50)
    start = start_weights(args.start, workspace.weights) if args.start else None
    network, figures = train_m2s(workspace.motions(), head, workspace.runs / name, schedule, args.space, workspace.device, start)
    what, data = f"{args.space}2s mesh-to-speech", "teacher's motions over the corpus"
    tensors, config = network.state_dict(), network.settings()
    workspace.export(name, tensors, config, what, data, schedule, figures, start=start_file(args.start))
    if args.space == "mouth":
        save_trained_mouth(workspace.weights, head)
    return figures


def start_file(folder: Path | None) -> Path | None:
    """The file of mesh-to-speech's weights in a folder."""
    return folder / "m2s.safetensors" if folder else None


def start_weights(folder: Path, weights: Path) -> dict[str, Tensor]:
    """Mesh-to-speech's weights in a folder, without the layer that names units where those of `weights` are others."""
    state = load_weights(folder / "m2s")[0]
    if np.array_equal(Units.load(folder).centroids, Units.load(weights).centroids):
        return state
    return {name: value for name, value in state.items() if not name.startswith("unit_head.")}
