# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `facegood`: FACEGOOD's recordings as tracked sequences."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..tracked import convert_facegood
from .workspace import Workspace

HELP = "convert FACEGOOD's recordings into tracked sequences"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)


def run(workspace: Workspace, args: Namespace) -> str:
    """Convert the recordings; returns how many there are."""
    return f"{len(convert_facegood(args.folder, args.out, workspace.channels))} recordings → {args.out}"
