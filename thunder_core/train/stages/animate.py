# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `animate`: the teacher performs the corpus."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from ...face.head import load_head
from ..performances import animate
from .workspace import Workspace

HELP = "the teacher performs the corpus"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that perform, each on one core")


def run(workspace: Workspace, args: Namespace) -> str:
    """Write the teacher's performances; returns where."""
    channels = list(load_head(workspace.weights / "head.npz").expression_names)
    corpus = workspace.corpus()
    workspace.require(workspace.motions_folder / "rows.json", "hear")
    animate(corpus, channels, workspace.motions_folder, workspace.seed, args.workers, workspace.basis)
    return f"performances → {workspace.motions_folder}"
