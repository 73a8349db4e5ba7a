# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `opening`: the map from the encoder's inner layers to the opening of real lips, which helps to rank takes."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from research.train.opening import fit_opening
from thunder_core.engine.speech.encoder import OPENING as NAME, SpeechEncoder
from thunder_core.files import hash_of
from thunder_core.train.stages import option
from thunder_core.train.workspace import Workspace
from thunder_core.types import RATE

HELP = "fit what the encoder's inner layers tell of measured lips, for the score"
_MOST_SECONDS = 12  # of each recording of the corpus
OPTIONS = (
    option("lips", type=Path),
    option("--clips", type=int, default=200, help="of the corpus, over which the layers vary"),
)


def run(workspace: Workspace, args: Namespace) -> dict:
    """Fit and export the map; returns its figures."""
    corpus, encoder = workspace.corpus(), SpeechEncoder.load(workspace.weights)
    clips = corpus.of("train")
    chosen = np.random.default_rng(workspace.seed).permutation(len(clips))[: args.clips]
    sounds = (corpus.samples(clips[number])[: _MOST_SECONDS * RATE] for number in chosen)
    made, figures = fit_opening(args.lips, encoder, sounds, hash_of(workspace.weights / "encoder.safetensors"))
    what = "opening of lips, read off the encoder's inner layers"
    tensors = {"kernel": torch.from_numpy(made.kernel)}
    workspace.export(NAME, tensors, asdict(made.config), what, "clips of measured lips, split fit", figures=figures)
    return figures
