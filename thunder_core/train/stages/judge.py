# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `judge`: the lip-sync score."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...engine.m2s.model import MeshToSpeech
from ...engine.m2s.mouth import Mouth
from ..judge import train_judge
from ..loop import Schedule
from .workspace import add_optimisation, Workspace

HELP = "train the judge of lip-sync, which scores takes"


def add_arguments(parser: ArgumentParser) -> None:
    add_optimisation(parser, 800)


def run(workspace: Workspace, args: Namespace) -> dict:
    schedule = Schedule(steps=args.steps, rate=1e-3, average=0.995, seed=workspace.seed)
    m2s = MeshToSpeech.load(workspace.weights)
    mouth = Mouth(m2s.mouth or workspace.head)
    folder = workspace.runs / "judge"
    network, figures = train_judge(workspace.motions(), m2s, mouth, workspace.channels, folder, schedule, workspace.device)
    data = "teacher's motions over the corpus, spoiled"
    workspace.export("judge", network.state_dict(), network.settings(), "judge of lip-sync", data, schedule, figures)
    return figures
