#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's Table 2 for systems trained here: `python bench/paper.py "w/o m2s=FOLDER,FOLDER…" "w/ mouth2s=FOLDER…" …`.

Each system is named with the weights folders of its seeds; S = 32 samples of every held-out clip against the teacher's
performance of it. Means and, with several seeds, the spread between them; then every system against the first. Never to
be compared with the paper's own numbers, which are on its own data. To stdout and bench/results/paper.txt.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.tables import keep, required
from thunder_core.face.head import load_head
from thunder_core.train.corpus import Corpus
from thunder_core.train.evaluate import COLUMNS, load_performer, SAMPLES, table_row
from thunder_core.train.motions import MotionSet

LOWER_IS_BETTER = ("LVE", "DTW", "S-DIV-L", "T-DIV-L", "FDD-U", "FDD-L")


def main() -> None:
    """Measure the paper's figures on the test clips; write the table."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("systems", nargs="+", help="NAME=FOLDER,FOLDER: one weights folder per seed")
    p.add_argument("--cache", type=Path, default=ROOT / "cache")
    p.add_argument("--clips", type=int, default=12)
    p.add_argument("--samples", type=int, default=SAMPLES)
    p.add_argument("--results", type=Path, default=ROOT / "bench" / "results" / "paper.txt")
    args = p.parse_args()
    required(args.cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    head = load_head()
    motions = MotionSet(Corpus(args.cache / "corpus"), args.cache / "motions")
    numbers = motions.of("test", 75)
    numbers = numbers[:: max(1, len(numbers) // args.clips)][: args.clips]
    results: dict[str, np.ndarray] = {}
    for system in args.systems:
        name, _, folders = system.partition("=")
        rows = [table_row(load_performer(Path(f)), motions, head, numbers, args.samples) for f in folders.split(",")]
        results[name] = np.array([[row[c] for c in COLUMNS] for row in rows])
        print(name, np.round(results[name].mean(0), 4).tolist(), flush=True)
    first = next(iter(results))
    lines = [
        f"{len(numbers)} clips of unseen speakers, up to 5 s each, {args.samples} samples; cm, DIV in degrees; ± is the spread between seeds",  # noqa: E501
        f"{'':22s}" + "".join(f"{c:>16s}" for c in COLUMNS),
    ]
    for name, values in results.items():
        spread = values.std(0, ddof=1) if len(values) > 1 else np.full(len(COLUMNS), np.nan)
        cells = [f"{m:.4f}" + (f" ±{s:.4f}" if np.isfinite(s) else "") for m, s in zip(values.mean(0), spread)]
        lines.append(f"{name:22s}" + "".join(f"{c:>16s}" for c in cells))
    lines.append(f"\nchange against “{first}”, % (lower is better for {', '.join(LOWER_IS_BETTER)})")
    for name, values in results.items():
        if name != first:
            change = 100 * (values.mean(0) / results[first].mean(0) - 1)
            lines.append(f"{name:22s}" + "".join(f"{c:>+15.1f} " for c in change))
    print(keep(args.results, lines))


if __name__ == "__main__":
    main()
