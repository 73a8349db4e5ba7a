# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `speaker`: Resemblyzer's speaker network as our weights."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from research.train.speaker import import_resemblyzer
from thunder_core.train.stages import option
from thunder_core.train.workspace import Workspace

HELP = "import Resemblyzer's speaker network"
OPTIONS = (option("checkpoint", type=Path),)


def run(workspace: Workspace, args: Namespace) -> str:
    """Convert the checkpoint; returns the file written."""
    tensors = import_resemblyzer(args.checkpoint).state_dict()
    workspace.export("speaker", tensors, {}, "GE2E speaker embedding", "Resemblyzer 0.1.4 (Apache-2.0), its own checkpoint, converted")
    return f"{args.checkpoint} → {workspace.weights / 'speaker.safetensors'}"
