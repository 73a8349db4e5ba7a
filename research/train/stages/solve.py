# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `solve`: tracked real faces as sequences of the head."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from research.faces.real_faces import solve_folder
from thunder_core.train.stages import option
from thunder_core.train.workspace import Workspace

HELP = "follow tracked real faces with the head: sequences to measure against (docs/reference/tracked.md)"
OPTIONS = (
    option("lips", type=Path),
    option("out", type=Path),
    option("--clips", nargs="+", help="only these"),
)


def run(workspace: Workspace, args: Namespace) -> object:
    """Solve the faces of a folder; returns the report."""
    return solve_folder(args.lips, args.out, workspace.head, args.clips)
