# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of the laboratory share: options, where results go, and when none are written.

A bench is a module of `research` with a docstring and `run(args)`, and, where it has options,
`add_arguments(parser)`, as a stage of training has them; `python -m research NAME` runs it. Options
that several have are added by `add_shared`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from thunder_core.direction import DirectionRequest

Item = TypeVar("Item")
ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).resolve().parent / "results"
WEIGHTS = ROOT / "weights"
DATA = Path(os.environ["THUNDER_DATA"]) if os.environ.get("THUNDER_DATA") else None
SAMPLE = ROOT / "assets" / "sample.wav"
SHARED = {  # option → its default and what it is
    "data": (DATA, "folder of recordings (default: THUNDER_DATA)"),
    "cache": (ROOT / "cache", "of the training"),
    "runs": (ROOT / "runs", "where the training of the paper's systems left them"),
    "weights": (WEIGHTS, "folder of weights (default: those that ship)"),
    "solved": (ROOT / "out" / "real", "where solved faces are, or go"),
    "seed": (1, "of the first take; others follow"),
    "steps": (0, "of the whole diffusion model (default: normal quality)"),
    "takes": (8, "of each voice"),
    "voices": (10, "how many"),
    "lines": (40, "how many"),
    "split": ("test", "whose voices: test for figures, validation to choose by"),
    "results": (
        None,
        "where results go (default: research/results, if all of its data was measured)",
    ),
}


def blenders() -> dict[str, Path]:
    """Version → Python of the Blenders that are installed as modules, oldest first."""
    from thunder_core import installer

    pythons = {
        folder.name.removeprefix("bpy-"): Path(installer.python_in(str(folder)))
        for folder in (ROOT / ".venv").glob("bpy-*")
    }
    return dict(
        sorted((version, python) for version, python in pythons.items() if python.is_file())
    )


def add_shared(parser: ArgumentParser, *names: str, **defaults: Path | int | str | None) -> None:
    """Add options that several benches have, by name, with other defaults where `defaults` has one.

    --data must be given where THUNDER_DATA is not set, unless there is a default.
    """
    for name in (*names, *defaults):
        default, about = SHARED[name]
        default = defaults.get(name, default)
        needed = name == "data" and default is None and name not in defaults
        kind = Path if default is None else type(default)
        choices = ("validation", "test") if name == "split" else None
        parser.add_argument(
            f"--{name}", type=kind, default=default, required=needed, choices=choices, help=about
        )


def use_tests(folder: str = "") -> None:
    """Make the modules of tests/ and of one of its folders importable by their names."""
    sys.path[:0] = [str(ROOT / "tests" / folder), str(ROOT / "tests")]


def describe_sampling(steps: int) -> str:
    """Description of how takes were sampled."""
    return f"{steps} steps" if steps else "normal quality"


def usual_direction(spread: float = 0.0) -> DirectionRequest:
    """A request for takes in the usual direction with this spread: takes of the add-on always have
    a direction."""
    from thunder_core.direction import Direction, DirectionRequest

    return DirectionRequest(Direction().vector()[None], spread)


def origin() -> dict[str, str]:
    """The commit of this tree and today's date (UTC), which every result carries.

    The commit ends in -dirty where other files than results and pages were changed since, and is
    "unknown" outside a clone.
    """

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)

    commit = git("rev-parse", "--short=10", "HEAD").stdout.strip()
    changed = git("diff", "--quiet", "HEAD", "--", ".", ":!research/results", ":!docs").returncode
    return {
        "commit": (commit + "-dirty" * bool(changed)) or "unknown",
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
    }


def discard_old_takes(folder: Path) -> None:
    """Remove from a folder takes (NPZ) that other code or other weights made."""
    files = [*sorted((ROOT / "thunder_core").rglob("*.py")), ROOT / "weights" / "SHA256SUMS"]
    maker = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    note = folder / "made_by"
    if note.exists() and note.read_text(encoding="utf-8") == maker:
        return
    for old in folder.glob("*.npz"):
        old.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(maker, encoding="utf-8")


def write_table(path: Path, lines: list[str]) -> str:
    """Write lines to a file, made with its folder; a table ends with its `origin`. Returns the
    text."""
    if path.suffix == ".txt":
        lines = [*lines, "commit {commit}, {date}".format_map(origin())]
    text = "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return text


def write_json(path: Path, figures: dict | list, indent: int | None = 1) -> None:
    """`write_table` of figures as JSON, with their `origin`; a list becomes "rows"."""
    made = origin()
    of = figures if isinstance(figures, dict) else {"rows": figures}
    write_table(path, [json.dumps(made | of | made, indent=indent, ensure_ascii=False)])


def replace_part(page: str, mark: str, lines: list[str]) -> str:
    """A page with new lines between `<!-- mark -->` and `<!-- end mark -->`; added at its end where
    it has no such marks."""
    begin, end = f"<!-- {mark} -->", f"<!-- end {mark} -->"
    part = "\n".join([begin, *lines, end])
    if begin not in page or end not in page:
        return page.rstrip("\n") + "\n\n" + part + "\n"
    return page[: page.index(begin)] + part + page[page.index(end) + len(end) :]


def replace_part_of_file(page: Path, mark: str, lines: list[str]) -> None:
    """`replace_part` in a file, made if missing, with the `origin` below the lines."""
    from thunder_core.files import write_file

    lines = [*lines, "", "Commit {commit}, {date}.".format_map(origin())]
    write_file(
        page, replace_part(page.read_text(encoding="utf-8") if page.is_file() else "", mark, lines)
    )


def columns_of(columns: dict[str, dict[str, str]]) -> list[str]:
    """Lines of a table in Markdown: figures, which all but one may lack, by system."""
    rows = max(columns.values(), key=len)
    return [
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---|" * len(columns),
        *(
            f"| {row} | " + " | ".join(column.get(row, "–") for column in columns.values()) + " |"
            for row in rows
        ),
    ]


def results_file(asked: Path | None, name: str, measured: bool) -> Path | None:
    """The file for a table: the requested one, else results/NAME if real data were `measured`, else
    none.

    A table of the shipped sample, or of no data, must not replace one of recordings.
    """
    return asked or (RESULTS / name if measured else None)


def report(path: Path | None, lines: list[str]) -> None:
    """Print a table, and write it to a file if there is one to write it to."""
    print("\n".join(lines))
    if path is None:
        print(
            "\nNot written to research/results: this is not the data of the table there. Name a "
            "file with --results to keep it."
        )
    else:
        write_table(path, lines)


def bootstrap(
    of: Callable[[np.ndarray], float], count: int, level: float = 0.95, draws: int = 2000
) -> tuple[float, float]:
    """The interval of a figure over `count` clips that are drawn with replacement, NaN if unknown.
    of: numbers [count] → the figure."""
    import numpy as np

    rng = np.random.default_rng(1)
    values = [of(rng.integers(0, count, count)) for _ in range(draws)]
    if not np.isfinite(values).any():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def in_turns(
    items: Iterable[Item], voice: Callable[[Item], str], name: Callable[[Item], str]
) -> list[Item]:
    """Items, one of every voice before a second of any, each turn by name."""
    turns: Counter[str] = Counter()
    ranked = []
    for item in items:
        turns[voice(item)] += 1
        ranked.append((turns[voice(item)], name(item), item))
    return [item for *_, item in sorted(ranked, key=lambda entry: entry[:2])]


def required(path: Path, what: str) -> Path:
    """A path that must exist. Raises SystemExit with a sentence on what is missing, before any
    result is replaced."""
    if not path.exists():
        raise SystemExit(
            f"{path} is missing: {what}. Nothing was measured, and research/results is as it was."
        )
    return path
