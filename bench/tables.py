# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses where the benches write their tables, and when they write none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thunder_core.direction import Asked

RESULTS = Path(__file__).resolve().parent / "results"


def effort(steps: int) -> str:
    """Description of how takes were sampled."""
    return f"{steps} steps" if steps else "normal quality"


def usual(spread: float = 0.0) -> Asked:
    """A request for takes in the usual direction, so far apart: takes of the add-on always have a direction."""
    from thunder_core.direction import Asked, Direction

    return Asked(Direction().vector()[None], spread)


def keep(path: Path, lines: list[str]) -> str:
    """Write lines to a file whose folder need not be there; the text."""
    text = "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return text


def results_file(asked: Path | None, name: str, measured: bool) -> Path | None:
    """The file for a table: the requested one, else results/NAME if real data were `measured`, else none.

    A table of the shipped sample, or of no data, must not replace one of recordings.
    """
    return asked or (RESULTS / name if measured else None)


def report(path: Path | None, lines: list[str]) -> None:
    """Print a table, and write it to a file if there is one to write it to."""
    print("\n".join(lines))
    if path is None:
        print("\nNot written to bench/results: this is not the data of the table there. Name a file with --results to keep it.")
    else:
        keep(path, lines)


def required(path: Path, what: str) -> Path:
    """A path that must exist. Raises SystemExit with a sentence on what is missing, before any result is replaced."""
    if not path.exists():
        raise SystemExit(f"{path} is missing: {what}. Nothing was measured, and bench/results is as it was.")
    return path
