# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `calibrate`: the teacher's lip constants, fitted to measured lips."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from research.faces.calibrate import calibrate
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.train.lip_kernels import KERNELS
from thunder_core.train.stages import option
from thunder_core.train.workspace import Workspace

HELP = "fit the teacher's lip kernels to measured lips"
OPTIONS = (
    option("data", type=Path, help="folder with lips/ and lips_more/"),
    option("--everybody", action="store_true", help="fit to all clips, those of the split `check` too"),
)


def run(workspace: Workspace, args: Namespace) -> str:
    """Fit and write the lip kernels; returns their figures."""
    return f"{calibrate(args.data, SpeechEncoder.load(workspace.weights), args.everybody)} → {KERNELS}"
