#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this repository weighs (`make weight`): statements, modules, imports and words, beside those
of the last release.

For each top folder: statements (docstrings not counted), modules, imports between modules of this
repository (pairs of files), and words of its pages. docs/development/weight.json has the figures
compared with.
"""

import argparse
import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs" / "development" / "weight.json"
LABORATORY, TESTS = ("bench", "research", "tools"), "tests"
FIGURES = ("statements", "modules", "imports", "words")
TOTALS = ("product without tests", "laboratory", "tests")

Figures = dict[str, int]


def tracked_files(tree: Path) -> list[Path]:
    """The files of a work tree that git knows, and new ones that it does not ignore."""
    command = [
        "git",
        "-C",
        str(tree),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [tree / name for name in names if name and (tree / name).is_file()]


def is_docstring(node: ast.AST) -> bool:
    """Whether a statement is a text that stands alone."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def imported_files(file: Path, nodes: list[ast.AST], files: set[Path], tree: Path) -> set[Path]:
    """The files of the repository that a file imports, given all its nodes. Relative imports are
    followed from its folder, others from the tree's root, where tests and scripts find each other
    also from their folder; `thunder` is the root."""

    def found(folder: Path, parts: list[str]) -> Path | None:
        place = folder.joinpath(*parts)
        return next(
            (
                path
                for path in (place.with_suffix(".py"), place / "__init__.py")
                if parts and path in files
            ),
            None,
        )

    result = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            wanted = [(0, alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            wanted = [(node.level, node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for level, name, member in wanted:
            parts = [part for part in name.split(".") if part]
            folders = [file.parents[level - 1]] if level else [tree, file.parent, tree / TESTS]
            if not level and parts[0] == "thunder":
                folders, parts = [tree], parts[1:]
            for folder in folders:
                target = found(folder, [*parts, member]) or found(folder, parts)
                if target and target != file:
                    result.add(target)
                    break
    return result


def figures_of(tree: Path) -> dict[str, Figures]:
    """{top folder: FIGURES} of a work tree; files beside the folders are under "."; tests within
    another folder are under TESTS."""
    paths = tracked_files(tree)
    files = {path for path in paths if path.suffix == ".py"}
    result: dict[str, Figures] = {}
    for path in paths:
        if path.suffix not in (".py", ".md"):
            continue
        parts = path.relative_to(tree).parts[:-1]
        counts = result.setdefault(
            TESTS if TESTS in parts else parts[0] if parts else ".", dict.fromkeys(FIGURES, 0)
        )
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            counts["words"] += len(text.split())
            continue
        module = ast.parse(text)
        nodes = list(ast.walk(module))
        counts["statements"] += sum(
            isinstance(node, ast.stmt) and not is_docstring(node) for node in nodes
        )
        counts["modules"] += 1
        counts["imports"] += len(imported_files(path, nodes, files, tree))
    return dict(sorted(result.items()))


def totals_of(folders: dict[str, Figures]) -> dict[str, Figures]:
    """The sums over the folders of each of TOTALS."""
    result = {name: dict.fromkeys(FIGURES, 0) for name in TOTALS}
    for folder, counts in folders.items():
        total = result[TOTALS[2 if folder == TESTS else 1 if folder in LABORATORY else 0]]
        for name in FIGURES:
            total[name] += counts.get(name, 0)
    return result


def weigh(tree: Path) -> dict[str, Any]:
    """Commit, day, and the figures of each folder."""
    head = subprocess.run(
        ["git", "-C", str(tree), "show", "-s", "--format=%h %cs"],
        capture_output=True,
        check=True,
        text=True,
    )
    commit, day = head.stdout.split()
    return {"commit": commit, "day": day, "folders": figures_of(tree)}


def table(now: dict[str, Any], base: dict[str, Any], name: str) -> Iterator[str]:
    """Lines that show figures beside those of a base, as their difference."""

    def row(title: str, new: Figures, old: Figures) -> str:
        cells = [f"{new.get(f, 0):>9,} {new.get(f, 0) - old.get(f, 0):>+7}" for f in FIGURES]
        return f"{title:22s}" + "".join(cells)

    since = f"{name} ({base['commit']}, {base['day']})"
    yield f"what the repository weighs, and how much more than {since}"
    yield f"{'':22s}" + "".join(f"{figure:>17s}" for figure in FIGURES)
    for folder in sorted({*now["folders"], *base["folders"]}):
        yield row(folder, now["folders"].get(folder, {}), base["folders"].get(folder, {}))
    new, old = totals_of(now["folders"]), totals_of(base["folders"])
    for title in TOTALS:
        yield row(title, new[title], old[title])


def main() -> None:
    """Print the table; with --keep store the figures too."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--keep", metavar="NAME", help="store these figures there, under this name")
    args = p.parse_args()
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    now = weigh(ROOT)
    base = next(reversed(kept), args.keep or "nothing")
    print("\n".join(table(now, kept.get(base, now), base)))
    if args.keep:
        kept[args.keep] = now
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
