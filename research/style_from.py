# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests whether a style can be read from a motion alone (*Style From*).

CACHE is a folder in which `corpus`, `hear` and `animate` were run. Performances of the teacher
whose style is known, by the speakers of the test split, are read as any motion is, without their
sound; the table has Pearson's r of the read with the requested style, over all voices. `--fit`
first fits the regression to the training split (its strength chosen on the validation split) and
writes `thunder_core/animation/style_of_motion.json`. Written to research/results/style_from.txt.
"""

import json
from argparse import ArgumentParser, Namespace

import numpy as np

from research.harness import add_shared, report, required, results_file
from research.measures.style_reader import agreement, fit, read_performances
from thunder_core.animation.traits import (
    bundled_meter,
    CONSTANTS,
    READABLE,
    readable_axes,
    shipped_reader,
)
from thunder_core.direction import AXES
from thunder_core.files import write_file


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "results")
    p.add_argument("--fit", action="store_true", help="fit the regression and write its constants")
    p.add_argument(
        "--clips",
        type=int,
        default=600,
        help="of the training split that are fitted to, three performances each",
    )


def run(args: Namespace) -> None:
    """Measure how well the style of a motion is read; write the table."""
    required(args.cache / "motions" / "motions.f16", "run the stages hear and animate")
    meter = bundled_meter()
    if args.fit:
        data, validation = (
            read_performances(args.cache, split, args.clips, meter)
            for split in ("train", "validation")
        )
        fields = vars(fit(data, validation)).items()
        rounded = {name: np.round(value, 5).tolist() for name, value in fields}
        write_file(CONSTANTS, json.dumps(rounded) + "\n")
        shipped_reader.cache_clear()
        print(
            f"fitted to {len(data.requested)} performances, chosen on {len(validation.requested)}"
        )
    reader, test = shipped_reader(), read_performances(args.cache, "test", args.clips, meter)
    r, plain, moody = (
        agreement(reader, test, some) for some in (slice(None), ~test.moody, test.moody)
    )
    error = np.sqrt(((reader.read(test.measured) - test.requested) ** 2).mean(0))
    lines = [
        f"teacher, {len(set(test.speakers.tolist()))} voices of test, {len(test.requested)} "
        f"performances ({test.moody.sum()} in a mood), "
        "read without their sound",
        "",
        f"{'':>14} | {'all':>8} {'neutral':>8} {'moods':>8} {'error':>8}   (r, and its error in "
        f"deviations between speakers)",
        *(
            f"{axis.name:>14} | {a:8.2f} {b:8.2f} {c:8.2f} {e:8.2f}   "
            f"{'' if ok else 'cannot be read: stays usual'}".rstrip()
            for axis, a, b, c, e, ok in zip(AXES, r, plain, moody, error, readable_axes(reader))
        ),
        "",
        f"{int(readable_axes(reader).sum())} of {len(AXES)} axes are read (r at least "
        f"{READABLE:g} on validation voices)",
    ]
    report(results_file(args.results, "style_from.txt", True), lines)
