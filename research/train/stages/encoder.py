# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `encoder`: the speech encoder, on phones per frame and CTC."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from research.train.encoder import SMALL_WAVE, train_encoder
from thunder_core.engine.speech.encoder import EncoderConfig
from thunder_core.networks.weights import load_weights
from thunder_core.train.loop import Schedule
from thunder_core.train.stages import optimisation, option
from thunder_core.train.workspace import Workspace

HELP = "train the speech encoder"
OPTIONS = (
    *optimisation(3600, 1.2e-3),
    option("--start", type=Path, help="weights folder to start from instead of from nothing"),
    option("--wave", action="store_true", help="a Wav2Vec2Model of the waveform instead of filter banks and a conformer"),
    option("--adopt", type=Path, help="local folder of a pretrained Wav2Vec2, HuBERT or WavLM network to take its place"),
)


def run(workspace: Workspace, args: Namespace) -> dict:
    """Train and export the speech encoder; returns its figures on the test voices."""
    schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, seed=workspace.seed)
    config = EncoderConfig(body=SMALL_WAVE) if args.wave else EncoderConfig()
    start = load_weights(args.start / "encoder")[0] if args.start else None
    folder = workspace.runs / "encoder"
    network, figures = train_encoder(workspace.corpus(), folder, schedule, config, args.adopt, workspace.device, start)
    workspace.export(
        "encoder", network.state_dict(), network.settings(),
        "speech encoder, frame-wise phones", "corpus, training voices", schedule, figures,
    )  # fmt: skip
    return figures
