# SPDX-License-Identifier: GPL-3.0-or-later
"""Key reduction beside Blender's decimate operator at the same error, in a window: it needs an
open graph editor.

`BLENDER=/path/to/blender python -m research reduction` acts out tests/gui/speed_scenarios.py and
writes research/results/reduction.txt.
"""

import os
import shutil
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from research.harness import add_shared, RESULTS, use_tests, write_table


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, results=RESULTS / "reduction.txt")


def run(args: Namespace) -> None:
    """Measure in the Blender that BLENDER names; print and write the table."""
    path = shutil.which(os.environ.get("BLENDER", ""))
    if path is None:
        raise SystemExit(
            "BLENDER is missing or leads nowhere: name a real Blender with a window. "
            "research/results is as it was."
        )
    use_tests("gui")
    from conftest import RealBlender

    with tempfile.TemporaryDirectory() as scratch:
        result = RealBlender(path, Path(scratch)).act("speed_scenarios.reduces")
    lines = [
        f"{result['curves']} curves of a minute, {result['dense_keys']} keys, both in turn, "
        f"medians of three",
        f"{'':24s}{'seconds':>10s}{'keys':>8s}{'off at most':>14s}",
        *(
            f"{name:24s}{result[f'{side}_seconds']:10.3f}{result[f'{side}_keys']:8d}{result[f'{side}_off']:14.4f}"
            for name, side in (("Blender's decimate", "blender"), ("this", "our"))
        ),
        f"{result['times_faster']:.1f} times faster (wanted: 10)",
    ]
    print(write_table(args.results, lines))
