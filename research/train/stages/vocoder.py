# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `vocoder`: sound from mel and units."""

from __future__ import annotations

from argparse import Namespace

from research.train.vocoder import train_vocoder
from thunder_core.networks.m2s import MeshToSpeech
from thunder_core.networks.weights import load_weights
from thunder_core.train.loop import Schedule
from thunder_core.train.stages import optimisation, option
from thunder_core.train.workspace import Workspace

HELP = "train the vocoder, on mels of the exported mesh-to-speech too, if there is one"
OPTIONS = (
    *optimisation(4000, 1e-3),
    option("--adversarial", action="store_true", help="against discriminators, from the exported vocoder (wants a GPU)"),
)


def run(workspace: Workspace, args: Namespace) -> dict:
    """Train and export the vocoder; returns its figures on the test voices."""
    weights, head = workspace.weights, workspace.head
    schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, seed=workspace.seed)
    m2s = MeshToSpeech.load(weights) if (weights / "m2s.safetensors").exists() else None
    start = load_weights(weights / "vocoder")[0] if args.adversarial else None
    folder = workspace.runs / ("vocoder-adversarial" if args.adversarial else "vocoder")
    network, figures = train_vocoder(workspace.motions(), head, folder, schedule, workspace.device, m2s, args.adversarial, start)
    what = "vocoder, pulses and noise through an inverse STFT" + (", adversarial" if args.adversarial else "")
    workspace.export("vocoder", network.state_dict(), network.settings(), what, "corpus, training voices", schedule, figures)
    return figures
