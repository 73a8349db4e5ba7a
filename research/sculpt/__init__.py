# SPDX-License-Identifier: GPL-3.0-or-later
"""Sculpts the bundled head and the other people into weights/, bit for bit as they were (in the
engine's environment)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path


def add_arguments(parser: ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where the files go (default: weights)"
    )


def run(args: Namespace) -> None:
    """Write the heads."""
    from .head import main

    main(args.folder)
