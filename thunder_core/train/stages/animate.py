# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `animate`: the teacher performs the corpus."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..motions import animate
from .workspace import Workspace

HELP = "the teacher performs the corpus"


def add_arguments(parser: ArgumentParser) -> None:
    pass


def run(workspace: Workspace, args: Namespace) -> str:
    animate(workspace.corpus(), workspace.channels, workspace.motions_folder, workspace.seed)
    return f"performances → {workspace.motions_folder}"
