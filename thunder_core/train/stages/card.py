# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `card`: the weights' README and their checksums."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ...engine.weights import write_sums
from ..card import write_card
from .workspace import Workspace

HELP = "write the weights' card from what made them, and their SHA256SUMS"


def add_arguments(parser: ArgumentParser) -> None:
    """This stage has no options."""


def run(workspace: Workspace, args: Namespace) -> str:
    """Write the card and the checksums; returns their paths."""
    return f"{write_card(workspace.weights)}\n{write_sums(workspace.weights)}"
