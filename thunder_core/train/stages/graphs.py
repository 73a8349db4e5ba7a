# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `graphs`: what ONNX Runtime computes, of every network of a folder of weights."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from ..graphs import write_graphs
from .workspace import Workspace

HELP = "write the networks' graphs, with which the weights perform faster on processors; weights from before there were any get theirs so"


def add_arguments(parser: ArgumentParser) -> None:
    """This stage has no options."""


def run(workspace: Workspace, args: Namespace) -> str:
    """Write the graphs; returns their paths."""
    return "\n".join(map(str, write_graphs(workspace.weights)))
