# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures that pages quote, and whether a result that is named beside them has them."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from research.harness import RESULTS, ROOT

PAGES = ("results", "paper", "speed")
GUIDES = sorted(path.stem for path in (ROOT / "docs" / "guide").glob("*.md"))
FIGURE = re.compile(r"(?<![\w.#-])(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?!\w|-[a-z]|\.\w)")
# what is in code, a link, a heading or a date, and how wide an interval is, is no measured figure
NO_FIGURE = re.compile(
    r"`[^`]*`|\]\([^)]*\)|^#.*$|^\|[-| ]*\|$|\d+ (?:and \d+ )?November|20\d\d(-\d\d-\d\d)?|\d+ % interval"
    r"|\b(?=[a-f]*\d)[0-9a-f]{7,10}\b",
    re.M,
)
# nobody kept these: measured once, or the file as it was at a commit
NO_FILE = re.compile(r"\b[Bb]y hand\b|\.txt\) at [0-9a-f]{8}")


def files_named(text: str) -> set[Path]:
    """The results that a text names, and the log; those of a section of the page of results where
    a guide links to that: the page's other figures are of something else."""
    names = re.findall(r"research/(?:results/[\w.]+|LOG\.md)|`\w+\.(?:txt|json|md)`", text)
    paths = {ROOT / n if "/" in n else RESULTS / n.strip("`") for n in names}
    sections = (section_of_results(each) for each in re.findall(r"\.\./results\.md#([\w-]+)", text))
    paths |= {path for section in sections for path in files_named(section)}
    return {path for path in paths if path.is_file()}


def section_of_results(anchor: str) -> str:
    """The section of the page of results that a link's anchor means."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for section in re.split(r"^(?=## )", page, flags=re.M):
        heading = section.partition("\n")[0].removeprefix("## ")
        if re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") == anchor:
            return section
    raise AssertionError(f"results.md has no section {anchor}")


def lines_of(files: set[Path]) -> list[set[float]]:
    """The values in each line of files."""
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    numbers = (re.findall(r"\d*\.?\d+", re.sub(r"(?<=\d),(?=\d{3})", "", line)) for line in lines)
    return [{float(number) for number in found} for found in numbers if found]


def figures_in(text: str) -> list[tuple[str, bool]]:
    """(digits, whether it is a share in per cent) of each figure of a text."""
    return [(each.replace(",", ""), "%" in text) for each in FIGURE.findall(text)]


def is_among(figure: tuple[str, bool], values: set[float]) -> bool:
    """Whether a figure is one of the values, rounded as it is."""
    digits, percent = figure
    off = 0.5 * 10 ** -len(digits.partition(".")[2]) + 1e-9
    return any(
        abs(float(digits) - scale * value) <= off
        for value in values
        for scale in ((1, 100) if percent else (1,))
    )


def lies_apart(figures: list[tuple[str, bool]], lines: list[set[float]]) -> bool:
    """Whether a row's figures are on more lines than one for every two of them."""
    found = {frozenset(each for each in figures if is_among(each, line)) for line in lines}
    largest = [one for one in found if not any(one < other for other in found)]
    most = max(1, len(figures) // 2)
    unions = (frozenset().union(*some) for some in combinations(largest, min(most, len(largest))))
    return all(union < set(figures) for union in unions)


def wrong_figures(text: str) -> Iterator[str]:
    """Figures of a page that no file has which is named beside them: in their paragraph or list
    item, else in their section. A row of a table, or a column, must come from one line of a file, or
    from one for every two of its figures.
    """
    for section in re.split(r"^(?=#{2,3} )", text, flags=re.M):
        for block in re.split(r"\n\n|\n(?=- )", section):
            plain = NO_FIGURE.sub(" ", block)
            if NO_FILE.search(block) or not FIGURE.search(plain):
                continue
            files = files_named(block) or files_named(section)
            lines = lines_of(files)
            everything = set().union(*lines)
            rows = [row.split("|")[1:] for row in plain.split("\n") if row.startswith("|")]
            clauses = ["|".join(row) for row in rows] or re.split(r"(?<=[.;:])\s", plain)
            for clause in clauses:
                for figure in figures_in(clause):
                    if not is_among(figure, everything):
                        yield f"{figure[0]} of: {clause.strip()}"
            if not rows or any(file.suffix == ".json" for file in files):
                continue
            by_row = [figures_in("|".join(row[1:])) for row in rows]
            by_column = [
                [figure for row in rows for figure in figures_in(row[number])]
                for number in range(1, len(rows[0]) - 1)
            ]
            apart = [
                [group for group in groups if group and lies_apart(group, lines)]
                for groups in (by_row, by_column)
            ]
            if all(apart):
                yield f"a table whose figures lie apart: {min(apart, key=len)}"


def quotes_of(page: str) -> str:
    """What a page of PAGES, or a guide, quotes from results."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    if page in PAGES:
        return text.partition("## Differences")[0]  # what follows are sizes and settings
    # guides measure nothing, but some sentences quote a file
    return "\n\n".join(each for each in re.split(r"(?<=\.)\s", text) if files_named(each))
