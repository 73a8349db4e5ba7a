# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `corpus`: recordings and synthetic voices with phone times in one memory-mapped file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...face.head import load_head
from ..corpus import BadCorpus, build, can_synthesise, SYNTHETIC_MINUTES, voices_in_words
from ..label import Labeller
from .workspace import Workspace

HELP = "gather recordings with phone times, add synthetic voices (needs flite and espeak-ng)"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument(
        "--synthetic-minutes", type=float, help=f"(default: {SYNTHETIC_MINUTES:g}, 0 where flite or espeak-ng is not installed)"
    )


def run(workspace: Workspace, args: Namespace) -> str:
    """Write the corpus; returns how many clips it has, and who is in which split."""
    minutes = args.synthetic_minutes
    if minutes is None:
        minutes = SYNTHETIC_MINUTES if can_synthesise() else 0.0
        if not minutes:
            print("without synthetic voices: flite and espeak-ng are not both installed", flush=True)
    elif minutes and not can_synthesise():
        raise BadCorpus("flite and espeak-ng are not both installed. Install them, or leave out --synthetic-minutes.")
    label = Labeller(workspace.weights)
    channels = list(load_head(workspace.weights / "head.npz").expression_names)
    corpus = build(workspace.corpus_folder, args.folders, minutes, label=label, channels=channels, basis=workspace.basis)
    return f"{len(corpus.clips)} clips → {workspace.corpus_folder}\n{voices_in_words(corpus.voices())}"
