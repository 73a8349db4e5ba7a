# SPDX-License-Identifier: GPL-3.0-or-later
"""Proportions of the bundled people, in standard deviations of adults of their sex and age.

`python -m research anthropometry [FOLDER]` in the engine's environment measures the heads in a
folder (default: weights) between vertices at the landmarks of anthropometry.json, which has the
means, deviations and sources.
"""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.harness import WEIGHTS
from research.sculpt.ears import OUTLINE
from research.sculpt.head import bare_clay
from research.sculpt.muzzle import CONTACT
from research.sculpt.skin import MARGIN

NORMS = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
GROUPS = {"head": "men", "head_woman": "women", "head_man": "men", "head_older_man": "older_men"}
# Landmark → the sculptor's key of its vertex, on the left where there are two.
LANDMARKS = {
    "g": ("g", 9, 0), "n": ("g", 11, 0), "bridge": ("g", 14, 0), "prn": ("g", 19, 0),
    "columella": ("g", 22, 0), "sn": ("g", 23, 0),
    "al": ("g", 20, 4), "ls": ("m", 4, 10), "sto": ("m", CONTACT, 10), "gn": ("g", 37, 0),
    "en": ("e", 1, MARGIN, 16), "ex": ("e", 1, MARGIN, 0), "ps": ("e", 1, MARGIN, 8),
    "pi": ("e", 1, MARGIN, 24),
    "zy": ("g", 18, 14), "go": ("g", 31, 15), "eu": ("g", 7, 17), "op": ("g", 8, 32),
    "t": ("ear", 1, OUTLINE, 18), "sa": ("ear", 1, OUTLINE, 9), "sba": ("ear", 1, OUTLINE, 30),
    "pra": ("ear", 1, OUTLINE + 2, 17), "pa": ("ear", 1, OUTLINE, 3),
}  # fmt: skip


def measure(points: np.ndarray, of: str) -> float:
    """A measure of points [V, 3] mm: the width at one landmark, the distance of two, the angle at
    the middle one of three [°], or, with a tilde, the angle at which a line leans backwards."""
    sign, *names = of.split() if of.startswith("~") else ("", *of.split())
    at = [points[bare_clay().index[LANDMARKS[name]]] for name in names]
    if sign:
        lean = at[1] - at[0]
        return float(np.degrees(np.arctan2(-lean[2], lean[1])))
    if len(at) == 1:
        return float(2 * abs(at[0][0]))
    if len(at) == 2:
        return float(np.linalg.norm(at[0] - at[1]))
    a, b = (end - at[1] for end in (at[0], at[2]))
    return float(np.degrees(np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))))


def measured(file: Path) -> dict[str, tuple[float, float]]:
    """Measure → (its value, its deviation from the mean in standard deviations) of a person's
    file."""
    with np.load(file) as asset:
        points = 1e3 * asset["v_template"].astype(float)
    found = {}
    for name, row in NORMS["measures"].items():
        value = measure(points, row["of"])
        mean, deviation = row.get(GROUPS[file.stem], row["men"])
        found[name] = value, (value - mean) / deviation
    return found


def add_arguments(parser: ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=WEIGHTS, help="of the heads (default: weights)"
    )


def run(args: Namespace) -> None:
    """Print the table."""
    people = {name: measured(args.folder / f"{name}.npz") for name in GROUPS}
    print(
        f"{'mm or degrees (deviations)':24s}"
        + "".join(f"{name.removeprefix('head_'):>17s}" for name in people)
    )
    for name in NORMS["measures"]:
        print(
            f"{name:24s}"
            + "".join(
                "{:9.1f} ({:+.1f})".format(*found[name]).rjust(17) for found in people.values()
            )
        )
