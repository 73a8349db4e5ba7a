#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key reduction beside Blender's own decimate operator at the same error, in a window: it needs an open graph editor.

`BLENDER=/path/to/blender python bench/reduction.py` acts out tests/gui/speed_scenarios.py and writes bench/results/reduction.txt.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "gui")]

from bench.tables import keep, RESULTS


def main() -> None:
    """Measure in the Blender that BLENDER names; print and write the table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--results", type=Path, default=RESULTS / "reduction.txt")
    args = p.parse_args()
    path = shutil.which(os.environ.get("BLENDER", ""))
    if path is None:
        raise SystemExit("BLENDER is missing or leads nowhere: name a real Blender with a window. bench/results is as it was.")
    from conftest import RealBlender

    with tempfile.TemporaryDirectory() as scratch:
        result = RealBlender(path, Path(scratch)).act("speed_scenarios.reduces")
    lines = [
        f"{result['curves']} curves of a minute, {result['dense_keys']} keys, both in turn, medians of three",
        f"{'':24s}{'seconds':>10s}{'keys':>8s}{'off at most':>14s}",
        *(
            f"{name:24s}{result[f'{side}_seconds']:10.3f}{result[f'{side}_keys']:8d}{result[f'{side}_off']:14.4f}"
            for name, side in (("Blender's decimate", "blender"), ("this", "our"))
        ),
        f"{result['times_faster']:.1f} times faster (wanted: 10)",
    ]
    print(keep(args.results, lines))


if __name__ == "__main__":
    main()
