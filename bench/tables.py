# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses where the benches write their tables, and when they write none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from thunder_core.files import write_file

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


def put(page: str, mark: str, lines: list[str]) -> str:
    """A page with new lines between `<!-- mark -->` and `<!-- end mark -->`; added at its end where it has no such marks."""
    begin, end = f"<!-- {mark} -->", f"<!-- end {mark} -->"
    part = "\n".join([begin, *lines, end])
    if begin not in page or end not in page:
        return page.rstrip("\n") + "\n\n" + part + "\n"
    return page[: page.index(begin)] + part + page[page.index(end) + len(end) :]


def put_into(page: Path, mark: str, lines: list[str]) -> None:
    """`put` into a file, which need not be there."""
    write_file(page, put(page.read_text(encoding="utf-8") if page.is_file() else "", mark, lines))


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
