# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of bake.py: one bake, many bakes, or a process that bakes for either of these."""

from __future__ import annotations

from . import bake, baker, batch
from .script import own_arguments, run

BAKER = "--baker"  # only option: bake the request read from stdin


def main() -> None:
    """Run the command line's bake; exits with its code."""
    if own_arguments() == [BAKER]:
        run("bake.py", lambda _: None, baker.serve)
    else:
        run("bake.py", bake.options, lambda chosen: batch.bake_all(chosen) if chosen.jobs else bake.bake(chosen))
