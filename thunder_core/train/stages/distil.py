# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `distil`: the diffusion model in four steps."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...files import hash_of
from ...networks.denoiser import load_denoiser
from ..distil import distil
from ..loop import Schedule
from .workspace import add_optimisation, Workspace

HELP = "distil the diffusion model: four steps that come to what twenty of it come to"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    add_optimisation(parser, 1200, 3e-4)
    parser.add_argument("--lines", type=int, default=960, help="that the diffusion model samples for it first")


def run(workspace: Workspace, args: Namespace) -> dict:
    """Train and export the distilled model; returns its figures on the watched voices."""
    schedule = Schedule(
        steps=args.steps, rate=args.rate, average=0.995, warmup=min(50, args.steps // 4), checkpoint_every=50, seed=workspace.seed
    )
    whole = load_denoiser(workspace.weights)
    model, figures = distil(workspace.motions(), workspace.head, whole, workspace.runs / "distil", schedule, args.lines, workspace.device)
    about = ("diffusion model distilled to a few steps", "takes of the diffusion model, sounds of the corpus", schedule, figures)
    config = model.settings() | {"whole": hash_of(workspace.weights / "denoiser.safetensors")}
    workspace.export("distilled", model.state_dict(), config, *about)
    return figures
