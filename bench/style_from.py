#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a style can be read off a motion alone (*Style From*): `python bench/style_from.py CACHE`.

CACHE is a folder in which `corpus`, `hear` and `animate` were run. Performances of the teacher whose style is known, by the
speakers of the test split, are read as any motion is, without their sound; the table has Pearson's r of what is read with
what was asked, over all voices. `--fit` first fits the regression to the training split (its strength chosen on the validation split) and
writes `thunder_core/animation/style_of_motion.json`. Written to bench/results/style_from.txt.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.tables import report, required, results_file
from thunder_core.animation.style_of_motion import bundled, CONSTANTS, fitted, READABLE, readable
from thunder_core.direction import AXES
from thunder_core.files import write_file
from thunder_core.train.style_reader import agreement, fit, performed


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=Path)
    p.add_argument("--fit", action="store_true", help="fit the regression and write its constants")
    p.add_argument("--clips", type=int, default=600, help="of the training split that are fitted to, three performances each")
    p.add_argument("--results", type=Path)
    args = p.parse_args()
    required(args.cache / "motions" / "motions.f16", "run the stages hear and animate")
    played = bundled()
    if args.fit:
        data, validation = (performed(args.cache, split, args.clips, played) for split in ("train", "validation"))
        write_file(CONSTANTS, fit(data, validation).to_json() + "\n")
        fitted.cache_clear()
        print(f"fitted to {len(data.asked)} performances, chosen on {len(validation.asked)}")
    reader, test = fitted(), performed(args.cache, "test", args.clips, played)
    r, plain, moody = (agreement(reader, test, some) for some in (slice(None), ~test.moody, test.moody))
    error = np.sqrt(((reader.read(test.measured) - test.asked) ** 2).mean(0))
    lines = [
        f"teacher, {len(set(test.speakers.tolist()))} voices of test, {len(test.asked)} performances ({test.moody.sum()} in a mood), "
        "read without their sound",
        "",
        f"{'':>14} | {'all':>8} {'neutral':>8} {'moods':>8} {'error':>8}   (r, and its error in deviations between speakers)",
        *(
            f"{axis.name:>14} | {a:8.2f} {b:8.2f} {c:8.2f} {e:8.2f}   {'' if ok else 'cannot be read: stays usual'}".rstrip()
            for axis, a, b, c, e, ok in zip(AXES, r, plain, moody, error, readable(reader))
        ),
        "",
        f"{int(readable(reader).sum())} of {len(AXES)} axes are read (r at least {READABLE:g} on validation voices)",
    ]
    report(results_file(args.results, "style_from.txt", True), lines)


if __name__ == "__main__":
    main()
