# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that makes the weights: corpus, teacher, losses, loops. Never needed to use them.

`python -m research train [--cache CACHE …] STAGE` runs a stage, resumable and seeded. A complete run
has them in this order: corpus → hear → animate → m2s → denoiser → distil → graphs;
each exports what the next one needs. Others train encoder and vocoder, which ship too, fit people's
numbers, write the weights' card, and train what is only measured (docs/training.md).
"""

import os
from argparse import ArgumentParser, Namespace

# Threads wait for each other without spinning: on a machine with other work, training is several
# times faster.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")


def add_arguments(parser: ArgumentParser) -> None:
    """Add what all stages share, and a subcommand for each."""
    from research.train import command

    command.add_arguments(parser)


def run(args: Namespace) -> None:
    """Run a stage."""
    from research.train import command

    command.run(args)
