# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `hear`: features, units and voices of the corpus."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...engine.speech.encoder import SpeechEncoder
from ...engine.speech.features import Units
from ...engine.vocoder import SpeakerEncoder
from ..motions import extract_features, LISTENED, QUIET_CLIPS
from .workspace import Workspace

HELP = "features, units and voices of the corpus; exports the units"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    parser.add_argument("--quiet-clips", type=int, default=QUIET_CLIPS, help="clips of silence and noise added, over a resting mouth")
    parser.add_argument(
        "--listened", type=int, default=LISTENED, help="training clips that are another's voice once more, to which a face listens"
    )  # noqa: E501
    parser.add_argument("--share", type=float, default=1.0, help="share of the training clips to use")
    parser.add_argument("--same-units", action="store_true", help="keep the exported units, which mesh-to-speech knows, instead of fitting")


def run(workspace: Workspace, args: Namespace) -> str:
    """Write features, units and voices, and export units that are new; returns where."""
    weights = workspace.weights
    units = Units.load(weights) if args.same_units else None
    encoder, speaker = SpeechEncoder.load(weights), SpeakerEncoder.load(weights)
    counts = args.quiet_clips, args.share, units, args.listened
    made = extract_features(workspace.corpus(), encoder, speaker, workspace.motions_folder, workspace.seed, *counts)
    if units is None:
        config = {"count": made.count, "width": made.centroids.shape[1]}
        workspace.export("units", made.state_dict(), config, "speech units, k-means of encoder features", "corpus, training voices")
    return f"features and units → {workspace.motions_folder}"
