# SPDX-License-Identifier: GPL-3.0-or-later
"""Stages of training whose results are only measured, or fitted once: the paper's systems, silent
video to speech, tracked faces.

`python -m research train [--cache CACHE …] STAGE`: they read and write what the stages of `python
-m thunder_core.train` do (docs/training.md).
"""

from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add what all stages share, and a subcommand for each."""
    from research.train.stages import STAGES
    from thunder_core.train.__main__ import add_arguments

    add_arguments(parser, STAGES)


def run(args: Namespace) -> None:
    """Run a stage."""
    from research.train.stages import STAGES
    from thunder_core.train.__main__ import run

    run(args, STAGES)
