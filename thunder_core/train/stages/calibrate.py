# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `calibrate`: the teacher's lip constants, fitted to measured lips."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from ...engine.speech.encoder import SpeechEncoder
from ..calibrate import calibrate, KERNELS
from .workspace import Workspace

HELP = "fit the teacher's lip kernels to measured lips"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("lips", type=Path)


def run(workspace: Workspace, args: Namespace) -> str:
    return f"{calibrate(args.lips, SpeechEncoder.load(workspace.weights))} → {KERNELS}"
