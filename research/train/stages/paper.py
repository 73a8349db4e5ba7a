# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `paper`: every system of the paper's Table 2, with and without L_m2s, resumable stage by stage."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from research.train.paper import Budget, Chain, chosen, folder_of, train_chain
from thunder_core.networks.systems.denoisers import ClipImages
from thunder_core.train.denoiser import M2S_WEIGHT
from thunder_core.train.stages import option
from thunder_core.train.workspace import version, Workspace

HELP = "train every system of the paper's comparison (docs/training.md)"
OPTIONS = (
    option("--steps", type=int, default=Budget.steps, help="of every system's base, without the mesh-to-speech loss"),
    option("--together-steps", type=int, default=Budget.together, help="of each row after it, with or without the loss"),
    option("--batch", type=int, default=Budget.batch, help="crops of 70 frames in a step"),
    option("--m2s-weight", type=float, default=M2S_WEIGHT, help="of L_m2s beside the reconstruction"),
    option("--clip", type=Path, help="folder of a CLIP network of transformers: Media2Face sees pictures through it"),
    option("--seeds", type=int, nargs="+", help="one chain each (three for the table: 1 2 3); default: --seed"),
    option("--only", nargs="+", default=[], metavar="ROW", help="rows of the table, e.g. flameformer 'thunder-t*'"),
)


def run(workspace: Workspace, args: Namespace) -> str:
    """Train all stages that are not trained yet; returns a line for every stage."""
    budget = Budget(args.steps, args.together_steps, args.batch, m2s_weight=args.m2s_weight)
    stages, motions, lines = chosen(args.only), workspace.motions(), []
    clip = ClipImages(args.clip) if args.clip else None
    for seed in args.seeds or [workspace.seed]:
        chain = Chain(motions, workspace.head, workspace.weights, workspace.runs, budget, seed, version(), workspace.device, clip)
        lines += train_chain(chain, stages, args.only)
        lines.append(f"seed {seed} → {folder_of(workspace.runs, seed, '')}")
    return "\n".join(lines)
