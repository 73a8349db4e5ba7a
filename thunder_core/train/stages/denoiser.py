# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `denoiser`: the diffusion model, with or without L_m2s and a trainable encoder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...networks.encoder import SpeechEncoder
from ...networks.m2s import MeshToSpeech
from ...networks.mouth import SPACES, weights_name
from ...networks.weights import load_weights
from ..blinks import match_blinks
from ..denoiser import M2S_WEIGHT, train_denoiser
from ..loop import Schedule
from .workspace import add_optimisation, without_buffers, Workspace

HELP = "train the diffusion model"


def add_arguments(parser: ArgumentParser) -> None:
    """Add this stage's options."""
    add_optimisation(parser, 6000, 1e-3)
    parser.add_argument("--start", type=Path, help="weights folder to start from instead of from nothing")
    parser.add_argument("--m2s", choices=tuple(SPACES), help="with L_m2s of this input space")
    parser.add_argument("--m2s-weight", type=float, default=M2S_WEIGHT, help="of L_m2s beside the reconstruction")
    parser.add_argument("--m2s-everywhere", action="store_true", help="L_m2s counts rows whose sound is hidden, too")
    parser.add_argument("--trainable-encoder", action="store_true", help="THUNDER-T: the speech encoder is trained along")


def run(workspace: Workspace, args: Namespace) -> dict:
    """Train and export the diffusion model; returns its figures on the test voices."""
    weights = workspace.weights
    encoder = SpeechEncoder.load(weights) if args.trainable_encoder else None
    m2s = MeshToSpeech.load(weights, weights_name(args.m2s)) if args.m2s else None
    start = load_weights(args.start / "denoiser")[0] if args.start else None
    schedule = Schedule(steps=args.steps, rate=args.rate, average=0.9995, warmup=min(200, args.steps // 4), seed=workspace.seed)
    folder = workspace.runs / ("denoiser" + ("-t" if encoder else "") + (f"-{args.m2s}" if args.m2s else ""))
    performer, figures = train_denoiser(
        workspace.motions(), workspace.head, folder, schedule, m2s, start, encoder, workspace.device, args.m2s_weight,
        masked=not args.m2s_everywhere,
    )  # fmt: skip
    if performer.denoiser.config.style and performer.encoder is None and workspace.basis is None:  # FLAME has no channel that blinks
        figures |= match_blinks(performer.denoiser, workspace.motions(), workspace.head)
    what = f"diffusion model, THUNDER-{'T' if encoder else 'F'} " + (f"with {args.m2s}2s loss" if args.m2s else "without M2S loss")
    about = (what, "teacher's motions over the corpus", schedule, figures)
    workspace.export("denoiser", performer.denoiser.state_dict(), performer.denoiser.settings(), *about)
    if performer.encoder is not None:
        workspace.export("encoder-t", without_buffers(performer.encoder.state_dict()), performer.encoder.settings(), *about)
    return figures
