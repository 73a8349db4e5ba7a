# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `adapt`: continues training the diffusion model on a user's recordings or captures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..adapt import adapt
from ..loop import Schedule
from .workspace import add_optimisation, Workspace

HELP = "go on training the diffusion model on your own recordings or captures (docs/reference/tracked.md)"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    parser.add_argument("folders", type=Path, nargs="+", help="sounds, with transcripts.tsv if there are texts; or tracked performances")
    parser.add_argument("--out", type=Path, required=True, help="weights folder to write; choose it in the extension's preferences")
    add_optimisation(parser, 1500, 2e-4)


def run(workspace: Workspace, args: Namespace) -> str:
    """Adapt and export the diffusion model; returns its figures before and after, a line each."""
    schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, warmup=min(200, args.steps // 4), seed=workspace.seed)
    performer, before, after = adapt(
        args.folders, workspace.cache / "adapt", workspace.runs / "adapt", workspace.weights, args.out, workspace.head, schedule,
        workspace.device,
    )  # fmt: skip
    workspace.export(
        "denoiser", performer.denoiser.state_dict(), performer.denoiser.settings(), "diffusion model, adapted",
        ", ".join(folder.name for folder in args.folders), schedule, {"before": before, "after": after}, args.out,
    )  # fmt: skip
    return "\n".join(f"{name}: {before[name]} → {after[name]} on pieces that were held out" for name in before)
