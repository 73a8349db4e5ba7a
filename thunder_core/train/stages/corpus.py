# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `corpus`: recordings and synthetic voices with phone times in one memory-mapped file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...face.head import load_head
from ..corpus import build
from ..label import Labeller
from .workspace import Workspace

HELP = "gather recordings with phone times, add synthetic voices (needs flite and espeak-ng)"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--synthetic-minutes", type=float, default=60.0)


def run(workspace: Workspace, args: Namespace) -> str:
    """Write the corpus; returns how many clips it has."""
    label = Labeller(workspace.weights)
    channels = list(load_head(workspace.weights / "head.npz").expression_names)
    corpus = build(workspace.corpus_folder, args.folders, args.synthetic_minutes, label=label, channels=channels, basis=workspace.basis)
    return f"{len(corpus.clips)} clips → {workspace.corpus_folder}"
