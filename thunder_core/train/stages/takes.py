# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `takes`: the model samples the corpus, for the judge to learn from."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...engine.systems.thunder import Thunder
from ..sampled import folder_of, MOODS_SPLIT, sample_takes, watched_split
from .workspace import Workspace

HELP = "sample takes of the corpus with the diffusion model, for the judge"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--clips", type=int, default=240, help="of training voices")
    parser.add_argument("--watched", type=int, default=20, help="of voices that the judge is watched on")
    parser.add_argument("--moods", type=int, default=20, help="of these, in every mood")


def run(workspace: Workspace, args: Namespace) -> str:
    folder = folder_of(workspace.cache, workspace.weights, workspace.seed)
    thunder = Thunder(workspace.weights, workspace.device, workspace.head)
    corpus = workspace.corpus()
    clips = {watched_split(corpus): args.watched, MOODS_SPLIT: args.moods, "train": args.clips}
    sample_takes(corpus, thunder, workspace.channels, folder, clips, workspace.seed)
    return f"takes → {folder}"
