# SPDX-License-Identifier: GPL-3.0-or-later
"""What this repository weighs (`make weight`): statements, modules, imports, numbers and words,
beside those of the last two releases.

For each top folder: statements (docstrings not counted; `a, b = x, y` is two), modules, imports
between modules of this repository (pairs of files), numbers in the code (constants with a name, and
literals; 0, 1, 2 and .5 of either sign not counted), and words of its pages; apart from them, the
files that say what behaviours are, and their numbers, alone and with the product's named ones. The
product's statements have a budget, docs/development/budget.toml, above which a test fails. In the engine's Python also what one take of
the sample passes through, from the request to the take: modules, entries from one into another, and
re-entries, into a module that was entered before; and of the modules that the steps after sampling
enter, the numbers (tables have names; these steps read no file). docs/development/weight.json has
the figures of releases, each measured at the commit that gave the version its name; --keep adds to
it and replaces nothing.
"""

import argparse
import ast
import importlib.util
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from research.harness import ROOT

KEPT = ROOT / "docs" / "development" / "weight.json"
BUDGET = KEPT.with_name("budget.toml")
LABORATORY, TESTS = ("bench", "research", "tools"), "tests"
TRIVIAL = {0, 1, 2, 0.5}  # numbers that are not counted
NUMBERS = ("named numbers", "literals")
FIGURES = ("statements", "modules", "imports", *NUMBERS, "words")
PRODUCT = "product without tests"
TOTALS = (PRODUCT, "laboratory", "tests")

# files that say what behaviours are, and a folder of such
BEHAVIOURS = {"moods", "habits.json", "emotions.json", "people.json"}

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


def is_number(node: ast.AST) -> bool:
    """Whether a node is a number that counts."""
    return (
        isinstance(node, ast.Constant)
        and type(node.value) in (int, float)
        and node.value not in TRIVIAL
    )


def named_values(module: ast.Module) -> Iterator[ast.expr]:
    """The values of a module's constants: what is assigned, outside functions, to a name in
    capitals."""
    for node in module.body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        names = [
            name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
        ]
        if (
            names
            and all(name.isupper() for name in names)
            and (value := getattr(node, "value", None)) is not None
        ):
            yield value


def count_numbers(module: ast.Module) -> Figures:
    """How many numbers a module has: in constants with a name, and others."""
    named = sum(is_number(node) for value in named_values(module) for node in ast.walk(value))
    return {"named numbers": named, "literals": sum(map(is_number, ast.walk(module))) - named}


def is_docstring(node: ast.AST) -> bool:
    """Whether a statement is a text that stands alone."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def count_statements(nodes: list[ast.AST]) -> int:
    """The statements among nodes; one that assigns values side by side is one for each target."""
    return sum(
        count_targets(node) if isinstance(node, ast.Assign) else 1
        for node in nodes
        if isinstance(node, ast.stmt) and not is_docstring(node)
    )


def count_targets(node: ast.Assign) -> int:
    """How many assignments an assignment stands for: one for each `a =` of a chain, and for each
    pair of `a, b = x, y`; one where a value is taken apart."""
    is_written_out = isinstance(node.value, (ast.Tuple, ast.List))
    return sum(map(count_leaves, node.targets)) if is_written_out else len(node.targets)


def count_leaves(target: ast.expr) -> int:
    """How many places a target has."""
    return sum(map(count_leaves, getattr(target, "elts", ()))) or 1


def imported_files(file: Path, nodes: list[ast.AST], files: set[Path], tree: Path) -> set[Path]:
    """The files of the repository that a file imports, given all its nodes. Relative imports are
    followed from its folder, others from the tree's root, where tests and scripts find each other
    also from their folder; `thunder` is the root."""

    def found(folder: Path, parts: list[str]) -> Path | None:
        place = folder.joinpath(*parts)
        return next(
            (
                path
                for path in (place.parent / f"{place.name}.py", place / "__init__.py")
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


def numbers_in(value: object) -> int:
    """How many numbers that count a value of a JSON file has."""
    if isinstance(value, dict):
        return sum(map(numbers_in, value.values()))
    if isinstance(value, list):
        return sum(map(numbers_in, value))
    return is_number(ast.Constant(value))


def behaviour_of(tree: Path) -> Figures:
    """How many files of BEHAVIOURS a work tree has, and numbers in them."""
    core = tree / "thunder_core"
    contents = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in tracked_files(tree)
        if path.suffix == ".json"
        and path.is_relative_to(core)
        and BEHAVIOURS.intersection(path.relative_to(core).parts)
    ]
    return {"files": len(contents), "numbers": sum(map(numbers_in, contents))}


def folder_of(path: Path) -> str:
    """The row of a path that begins at the root: its top folder, "." for a file beside the folders,
    TESTS within any folder."""
    parts = path.parts[:-1]
    return TESTS if TESTS in parts else parts[0] if parts else "."


def figures_of(tree: Path) -> dict[str, Figures]:
    """{folder: FIGURES} of a work tree."""
    paths = tracked_files(tree)
    files = {path for path in paths if path.suffix == ".py"}
    result: dict[str, Figures] = {}
    for path in paths:
        if path.suffix not in (".py", ".md"):
            continue
        counts = result.setdefault(folder_of(path.relative_to(tree)), dict.fromkeys(FIGURES, 0))
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".md":
            counts["words"] += len(text.split())
            continue
        module = ast.parse(text)
        nodes = list(ast.walk(module))
        counts["statements"] += count_statements(nodes)
        counts["modules"] += 1
        counts["imports"] += len(imported_files(path, nodes, files, tree))
        for name, count in count_numbers(module).items():
            counts[name] += count
    return dict(sorted(result.items()))


def totals_of(folders: dict[str, Figures]) -> dict[str, Figures]:
    """The sums over the folders of each of TOTALS."""
    result = {name: dict.fromkeys(FIGURES, 0) for name in TOTALS}
    for folder, counts in folders.items():
        total = result[TOTALS[2 if folder == TESTS else 1 if folder in LABORATORY else 0]]
        for name in FIGURES:
            total[name] += counts.get(name, 0)
    return result


class Trace:
    """Calls from one module of a folder into another while it is the thread's profiler; what
    importing a module calls is left out.

    path: the modules in the order in which control passed into them by a call from another.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = str(folder), []  # type: str, list[str]
        # of each running call: the innermost module of the folder; None while one is imported
        self._stack: list[str | None] = []

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            caller = self._stack[-1] if self._stack else ""
            code = frame.f_code
            module = caller
            if caller is not None and code.co_filename.startswith(self.folder):
                module = None if code.co_name == "<module>" else code.co_filename
            if module and module != caller:
                self.path.append(module)
            self._stack.append(module)
        elif event == "return" and self._stack:
            self._stack.pop()

    def figures(self) -> Figures:
        """The number of modules, of entries from one into another, and of those into a module
        entered before."""
        modules = set(self.path)
        return {
            "modules": len(modules),
            "entries": len(self.path),
            "re-entries": len(self.path) - len(modules),
        }


def trace_take(tree: Path) -> tuple[Figures, Figures]:
    """What one take of the sample, in the usual direction, passes through in thunder_core, and the
    modules of the steps after sampling with their numbers; runs in the engine's Python."""
    sys.path.insert(0, str(tree))
    direction = import_module("thunder_core.direction")
    module = import_module("thunder_core.engine.engine")
    engine = module.Engine.load(device="cpu")
    speech = import_module("thunder_core.engine.speech.audio").read_sound(
        tree / "assets" / "sample.wav"
    )
    # so that all of it runs in this thread
    vars(import_module("thunder_core.engine.generate"))["processors"] = lambda: 1
    usual = direction.DirectionRequest(direction.Direction().vector()[None], 0.0)
    request = import_module("thunder_core.request").Request(1, 1, direction=usual)
    whole, after = Trace(tree / "thunder_core"), Trace(tree / "thunder_core")
    sys.setprofile(whole)
    try:
        engine.generate(speech, request)
    finally:
        sys.setprofile(None)
    pipeline = import_module("thunder_core.engine.pipeline").Pipeline
    finish = pipeline.finish

    def traced(*args, **more):
        sys.setprofile(after)
        try:
            return finish(*args, **more)
        finally:
            sys.setprofile(None)

    pipeline.finish = traced
    engine.generate(speech, request)
    modules = [ast.parse(Path(each).read_text(encoding="utf-8")) for each in set(after.path)]
    numbers = [count_numbers(module) for module in modules]
    sums = {name: sum(each[name] for each in numbers) for name in NUMBERS}
    return whole.figures(), {"modules": len(modules)} | sums


def weigh(tree: Path) -> dict[str, Any]:
    """Commit, day, the figures of each folder and of behaviours, and of one take and the steps
    after sampling where this Python has the engine."""
    head = subprocess.run(
        ["git", "-C", str(tree), "show", "-s", "--format=%h %cs"],
        capture_output=True,
        check=True,
        text=True,
    )
    commit, day = head.stdout.split()
    result: dict[str, Any] = {"commit": commit, "day": day, "folders": figures_of(tree)}
    result["behaviour"] = behaviour_of(tree)
    if importlib.util.find_spec("onnxruntime"):
        result["take"], result["after sampling"] = trace_take(tree)
    return result


def rows_of(weighed: dict[str, Any]) -> dict[str, Figures]:
    """{title: figures} of all that a table shows."""
    others = ("behaviour", "take", "after sampling")
    rest = {name: weighed[name] for name in others if name in weighed}
    totals = totals_of(weighed["folders"])
    numbers = rest.get("behaviour", {}).get("numbers", 0) + totals[PRODUCT]["named numbers"]
    rest["behaviour"] = rest.get("behaviour", {}) | {"with named": numbers}
    return weighed["folders"] | totals | rest


def agreed_statements() -> int:
    """How many statements the product may have."""
    budget = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
    return budget["agreed"] + sum(budget["more"].values())


def growth(new: float, old: float) -> str:
    """How much more a figure is, in per cent; "new" where there was nothing."""
    return f"{100 * (new - old) / old:+.1f} %" if old else "new" if new else ""


def table(now: dict[str, Any], releases: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines that show each figure beside those of releases (newest first), and how much it grew."""
    bases = {name: rows_of(base) for name, base in releases.items()}
    for name, base in releases.items():
        yield f"{name} is commit {base['commit']} of {base['day']}"
    names = "".join(f"{name:>10}" for name in releases)
    yield f"{'':22}{'':15}{'now':>10}{names}" + "".join(f"   since {name}" for name in releases)
    for title, figures in rows_of(now).items():
        for figure, new in figures.items():
            old = [base.get(title, {}).get(figure, 0) for base in bases.values()]
            if not new and not any(old):
                continue
            cells = "".join(f"{value:>10,}" for value in (new, *old))
            since = "".join(
                f"{growth(new, each):>{9 + len(name)}}" for name, each in zip(bases, old)
            )
            yield f"{title:22}{figure:15}{cells}{since}"


def files_grown(tree: Path, commit: str, count: int = 3) -> Iterator[str]:
    """Lines that name, for each folder, the files that gained most lines since a commit; none where
    the repository lacks it."""
    command = ["git", "-C", str(tree), "diff", "--numstat", "-z", "--no-renames", commit, "--"]
    done = subprocess.run([*command, "*.py", "*.md"], capture_output=True, text=True)
    if done.returncode:
        return
    gains: dict[str, list[tuple[int, str]]] = {}
    for line in filter(None, done.stdout.split("\0")):
        added, removed, name = line.split("\t")
        gains.setdefault(folder_of(Path(name)), []).append((int(added) - int(removed), name))
    for folder, files in sorted(gains.items()):
        most = sorted(files, reverse=True)[:count]
        names = ", ".join(f"{name} {gain:+}" for gain, name in most)
        yield f"{folder:22}{sum(gain for gain, _ in files):+7,} lines; most: {names}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the name to store the figures under."""
    parser.add_argument("--keep", metavar="NAME", help="add these figures there, under a new name")


def run(args: argparse.Namespace) -> None:
    """Print the tables; with --keep add the figures to those of releases. Ends with a sentence
    where these have the name."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if args.keep in kept:
        sys.exit(f"{args.keep} is stored already, and figures of releases stay: give another name")
    now = weigh(ROOT)
    releases = {name: kept[name] for name in reversed(list(kept)[-2:])}
    print("\n".join(table(now, releases)))
    weighs = rows_of(now)[PRODUCT]["statements"]
    print(f"\nof {agreed_statements():,} statements agreed for the product: {weighs:,}")
    for name, base in releases.items():
        print("\n".join([f"\nsince {name}:", *files_grown(ROOT, base["commit"])]))
    if args.keep:
        text = json.dumps(kept | {args.keep: now}, indent=1)
        KEPT.write_text(text + "\n", encoding="utf-8")
