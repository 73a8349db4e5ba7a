# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether tests notice when one operator, number or argument of thunder_core or of training is
changed: mutations, drawn by seed.

`python -m research mutations [--seed 1] [--count 150] [--jobs 2]` in the engine's environment with
what tests need (`make mutations`). Draws mutations of lines inside functions that a test of the
engine runs (`research/lines_run.py`), equally many of each group of files (`GROUPS`); tries each in
a copy of the repository against the tests that run its line, the fastest first, until one fails;
writes research/results/mutations_SEED.txt.
Can be stopped and goes on: what is known lies in out/mutations/. A survivor is tried again when one
of its tests changed.

The draw is by a hash of each mutation, so other code that changes does not change it. Slow tests,
tests of timings, of Blender and of other processes are left out, and no mutation gets more than
SECONDS of tests. mutations_equivalent.json names those that change nothing.
"""

import ast
import bisect
import copy
import hashlib
import heapq
import itertools
import json
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from research.harness import add_shared, RESULTS, ROOT, write_table
from research.weight import tracked_files

KNOWN = ROOT / "out" / "mutations"
PACKAGES = {"research", "thunder_core"}
TESTS = ["tests/core", "tests/animation", "tests/face", "tests/faults", "tests/research"]
SECONDS = 60  # of tests that a mutation is tried against, as their lines were listed
FILES = 6  # of tests whose lines are listed together; what is listed stays where this is stopped
SHORT = 40  # characters of a change that is named with its line
SERVER = multiprocessing.get_context("forkserver")  # has loaded once what every run of tests needs
SERVER.set_forkserver_preload(
    [
        "pytest",
        "torch",
        "torchaudio",
        "scipy.signal",
        "scipy.stats",
        "hypothesis",
        "safetensors.torch",
        "soundfile",
    ]
)
GROUPS = {  # whose code is drawn from; what fits none of them is "other"
    "sampler": r"engine/(diffusion|engine|loaded|performance)\.py",
    "losses": r"research/train/(denoiser|distil|loop|m2s)\.py",
    "train": r"research/train/",
    "scoring": r"engine/(m2s|scorer)\.py",
    "commit": r"animation/",
    "files": r"(files|named_files|private_folder|records|wav)\.py",
    "other": "",
}
# what decides which takes there are: a fault in it shows in no error
OF_TAKES = ("sampler", "losses", "train")
LEVEL = 0.9  # of intervals
# what notices a mutation with which tests cannot be imported, do not end or crash
NO_TEST = "no test"
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
PAIRS = [
    "min max",
    "minimum maximum",
    "amin amax",
    "argmin argmax",
    "clamp_min clamp_max",
    "cummin cummax",
    "floor ceil",
    "any all",
]
NAMES = {a: b for pair in PAIRS for a, b in (pair.split(), pair.split()[::-1])}

# parts of a function that its tests do not run
NOT_RUN = ("annotation", "returns", "decorator_list")


def changes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """(what is replaced, replacement) of every change of a node, one at a time."""
    new = copy.deepcopy(node)
    match new:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                new.ops = [*ops[:i], SWAPS[type(op)](), *ops[i + 1 :]]
                yield node, new
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPS:
            new.op = SWAPS[type(op)]()
            yield node, new
        case ast.UnaryOp():
            yield node, new.operand
        case ast.Constant(value=bool(value)):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield node, ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield node, ast.Constant(2 * value or 1.0)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test) if not isinstance(
            test, (ast.Compare, ast.UnaryOp)
        ):
            yield node.test, ast.UnaryOp(ast.Not(), test)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), keywords=keywords):
            for i, keyword in enumerate(keywords):
                if keyword.arg:
                    new.keywords = [*keywords[:i], *keywords[i + 1 :]]
                    yield node, new
            if name in NAMES:
                new.keywords = keywords
                setattr(new.func, "id" if isinstance(new.func, ast.Name) else "attr", NAMES[name])
                yield node, new


def inner_nodes(
    node: ast.AST, where: str = "", inside: bool = False
) -> Iterator[tuple[str, ast.AST]]:
    """(name of the function, node) of everything in the bodies of functions but annotations,
    defaults and formatted texts."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if (
                not isinstance(child, ast.AST)
                or isinstance(child, (ast.JoinedStr, ast.arguments, ast.pattern))
                or field in NOT_RUN
            ):
                continue
            named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            name = f"{where}.{child.name}".strip(".") if named else where
            if inside and not named:
                yield name, child
            yield from inner_nodes(
                child, name, not isinstance(child, ast.ClassDef) if named else inside
            )


def mutations(path: Path) -> Iterator[tuple[str, range, tuple[int, int, bytes]]]:
    """(name, its lines, first and last byte of what is replaced and the replacement) of every
    mutation of a file."""
    source, file, count = path.read_bytes(), path.relative_to(ROOT).as_posix(), Counter()
    starts = [0, *itertools.accumulate(len(line) for line in source.splitlines(keepends=True))]
    for where, node in inner_nodes(ast.parse(source)):
        for old, new in changes(node):
            a = starts[old.lineno - 1] + old.col_offset
            b = starts[old.end_lineno - 1] + old.end_col_offset
            line = source[starts[old.lineno - 1] : starts[old.lineno]].decode().strip()
            was = " ".join(source[a:b].decode().split())
            name = f"{file} {where}: {was} → {ast.unparse(new)}" + (
                f" in “{line}”" if len(was) < SHORT else ""
            )
            count[name] += 1
            text = f"({ast.unparse(new)})" if isinstance(new, ast.expr) else ast.unparse(new)
            yield (
                name + (f" #{count[name]}" if count[name] > 1 else ""),
                range(old.lineno, old.end_lineno + 1),
                (a, b, text.encode()),
            )


def hash_of(text: object) -> str:
    return hashlib.sha256(text if isinstance(text, bytes) else str(text).encode()).hexdigest()


def copy_tree(name: str) -> Path:
    """A copy of the repository's files as they are now."""
    folder = KNOWN / name
    shutil.rmtree(folder, ignore_errors=True)
    for file in tracked_files(ROOT):
        (folder / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, folder / file.relative_to(ROOT))
    return folder


def run_pytest(tree: Path, home: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Run tests in a copy of the repository, away from this user's files, and end this process with
    their exit code; home/said has their output."""
    for name in ("THUNDER_DATA", "BLENDER", "BPY_PYTHON"):
        os.environ.pop(name, None)
    os.environ.update(
        environment,
        HOME=home,
        TMPDIR=home,
        THUNDER_PYTHON=sys.executable,
        PYTHONDONTWRITEBYTECODE="1",
    )
    os.environ["CI"] = "1"  # hypothesis draws alike every time
    tempfile.tempdir, sys.dont_write_bytecode, sys.path[0] = home, True, str(tree / "research")
    # tests import the copy
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    os.chdir(tree)
    said = os.open(home + "/said", os.O_CREAT | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    code = pytest.main(["-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow", *arguments])
    sys.stdout.flush()
    os._exit(int(code))


def test_in(tree: Path, arguments: list[str], **environment: str) -> tuple[int | None, list[str]]:
    """Run tests in a copy of the repository; (exit code, those of `arguments` that failed)."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = SERVER.Process(target=run_pytest, args=(tree, home, arguments, environment))
        process.start()
        process.join()
        said = Path(home, "said").read_text(errors="replace").splitlines()
    failures = [line.partition(" ")[2] for line in said if line.startswith(("FAILED ", "ERROR "))]
    found = [
        max((test for test in arguments if line.startswith(test)), key=len, default="")
        for line in failures
    ]
    return process.exitcode, [test for test in found if test]


def listed_tests(jobs: int) -> dict[str, dict]:
    """Test → its entry by `lines_run`, for all tests that pass; files that changed are listed
    again, in `jobs` processes."""
    (KNOWN / "lines").mkdir(parents=True, exist_ok=True)
    made = {path: KNOWN / "lines" / f"{path.replace('/', '_')}.json" for path in sorted(
        file.relative_to(ROOT).as_posix() for folder in TESTS for file in (ROOT
        / folder).glob("test_*.py"))}  # fmt: skip

    def is_stale(path: str) -> bool:
        of = json.loads(made[path].read_text())["of"] if made[path].exists() else {path: ""}
        return any(
            not (ROOT / name).exists() or hash_of((ROOT / name).read_bytes()) != known
            for name, known in of.items()
        )

    stale = [path for path in made if is_stale(path)]
    if stale:
        print(f"listing the lines that the tests of {len(stale)} files run", flush=True)

        trees = [copy_tree(f"tree_{number}") for number in range(jobs)]

        def list_lines(start: int) -> None:
            tree, files = trees.pop(), stale[start : start + FILES]
            test_in(tree, ["-p", "lines_run", *files], LINES_RUN=str(KNOWN / "lines"))
            trees.append(tree)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(list_lines, range(0, len(stale), FILES)))
        # all of its tests are slow
        for path in filter(lambda path: not made[path].exists(), stale):
            made[path].write_text(
                json.dumps({"of": {path: hash_of((ROOT / path).read_bytes())}, "tests": {}})
            )
    tests = {}
    for path, file in made.items():
        known = json.loads(file.read_text())
        tests |= {
            name: test | {"hash": known["of"][path]}
            for name, test in known["tests"].items()
            if test["passed"]
        }
    if not any(test["lines"] for test in tests.values()):
        sys.exit(f"No test runs a line of the copy's thunder_core: remove {KNOWN} and try again")
    return tests


def mutable_files() -> list[Path]:
    """The files whose code is changed."""
    folders = ROOT / "thunder_core", ROOT / "research" / "train"
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def group_of(file: str) -> str:
    """The group of a file of thunder_core, or of a file of training from the root."""
    within = file.removeprefix("thunder_core/")
    return next(group for group, pattern in GROUPS.items() if re.match(pattern, within))


def seconds_until(tests: list[dict]) -> list[float]:
    """Seconds until each of these tests has ended, with the costliest fixtures until then: fixtures
    are shared."""
    own = itertools.accumulate(test["seconds"] for test in tests)
    made = itertools.accumulate((test["alone"] - test["seconds"] for test in tests), max)
    return [a + b for a, b in zip(own, made)]


def draw_mutations(
    seed: int, count: int, tests: dict[str, dict]
) -> Iterator[tuple[str, str, bytes, list[str]]]:
    """(group, name, text of the file with it, its tests, the fastest first) of mutations that tests
    run."""
    of_line: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name, test in tests.items():
        for file, lines in test["lines"].items():
            for line in lines:
                of_line[file, line].add(name)
    groups: dict[str, list] = {group: [] for group in GROUPS}
    for path in mutable_files():
        file = path.relative_to(ROOT).as_posix()
        group = group_of(file)
        for name, lines, change in mutations(path):
            reach = set().union(*(of_line[file, line] for line in lines))
            groups[group] += [(hash_of(f"{seed} {name}"), name, change, reach)] if reach else []
    for place, (group, all_of_it) in enumerate(groups.items()):
        drawn = (count + place) // len(GROUPS)  # what does not divide goes to the last groups
        for _, name, (a, b, text), reach in heapq.nsmallest(drawn, all_of_it):
            fastest_first = sorted(reach, key=lambda test: (tests[test]["alone"], test))
            so_far = seconds_until([tests[test] for test in fastest_first])
            source = (ROOT / name.split()[0]).read_bytes()
            yield (
                group,
                name,
                source[:a] + text + source[b:],
                fastest_first[: max(1, bisect.bisect(so_far, SECONDS))],
            )


def try_mutation(tree: Path, name: str, text: bytes, reach: list[str], slowest: float) -> str:
    """The test that notices a mutation, NO_TEST if Python itself does, "" if nothing does."""
    path = tree / name.split()[0]
    unchanged = path.read_bytes()
    path.write_bytes(text)
    try:
        # a loop without end is noticed
        limit = ["--timeout", str(60 + 20 * slowest), "--timeout-method", "thread"]
        code, failed = test_in(tree, ["-x", *limit, *reach])
    finally:
        path.write_bytes(unchanged)
    if code in (
        pytest.ExitCode.INTERNAL_ERROR,
        pytest.ExitCode.USAGE_ERROR,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        if test_in(tree, ["--collect-only", *reach])[0] != 0:  # unchanged it can be imported
            raise RuntimeError(f"pytest ended with {code}: {name}")
        return NO_TEST
    return "" if code == 0 else failed[0] if failed else NO_TEST


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, "seed")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=2, help="mutations tried at once")


def run(options: Namespace) -> None:
    tests = listed_tests(options.jobs)
    known_file = KNOWN / "known.json"
    known = json.loads(known_file.read_text()) if known_file.exists() else {}
    equivalent = json.loads(
        (ROOT / "research" / "mutations_equivalent.json").read_text(encoding="utf-8")
    )
    chosen = {
        name: (group, text, reach)
        for group, name, text, reach in draw_mutations(options.seed, options.count, tests)
    }
    trees = [copy_tree(f"tree_{number}") for number in range(options.jobs)]

    def check(name: str) -> None:
        _, text, reach = chosen[name]
        of = hash_of([text, *sorted({tests[test]["hash"] for test in reach})])
        was = known.get(name, {})
        if was.get("by") in {*tests, NO_TEST} or was.get("of") == of or name in equivalent:
            return
        tree = trees.pop()
        by = try_mutation(tree, name, text, reach, max(tests[test]["alone"] for test in reach))
        trees.append(tree)
        known[name] = {"by": by, "of": of, "tests": len(reach)}
        known_file.write_text(json.dumps(known, ensure_ascii=False, indent=1))
        print(f"{'noticed ' if by else 'SURVIVED'} {name}  ({by or len(reach)})", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(check, chosen))
    noticing = sorted(
        {known[name]["by"] for name in chosen if name not in equivalent} - {"", NO_TEST}
    )
    _, failed = test_in(trees[0], noticing)
    for name in [name for name in chosen if known.get(name, {}).get("by") in failed]:
        del known[name]
    known_file.write_text(json.dumps(known, ensure_ascii=False, indent=1))
    if failed:
        sys.exit(
            f"These tests fail where nothing is changed; mend them and run this again: "
            f"{', '.join(failed)}"
        )
    write_report(options, {name: group for name, (group, *_) in chosen.items()}, known, equivalent)


def interval(noticed: int, total: int) -> tuple[float, float]:
    """The 90 % interval of a share by Wilson (1927)."""
    if not total:
        return 0.0, 1.0
    from scipy.stats import binomtest

    bounds = binomtest(noticed, total).proportion_ci(LEVEL, "wilson")
    return bounds.low, bounds.high


def write_report(
    options: Namespace, groups: dict[str, str], known: dict[str, dict], equivalent: dict[str, str]
) -> None:
    """research/results/mutations_SEED.txt: how many were noticed, of each group, and which were
    not."""
    by = {
        name: "equivalent" if name in equivalent else "noticed" if known[name]["by"] else "survived"
        for name in groups
    }
    lines = [f"python -m research mutations --seed {options.seed} --count {options.count}", ""]
    rows = {
        group: Counter(by[name] for name in groups if groups[name] == group) for group in GROUPS
    }
    rows["all"] = sum(rows.values(), Counter())
    rows["of takes"] = sum((rows[group] for group in OF_TAKES), Counter())
    lines += [
        f"{'':10}{'drawn':>8}{'noticed':>10}{'survived':>10}{'equivalent':>12}"
        f"{'noticed of all':>16}{'of changes':>12}{'90 % interval':>15}"
    ]
    for group, row in rows.items():
        noticed, total = row["noticed"], row.total()
        changed = noticed + row["survived"]
        low, high = interval(noticed, changed)
        counts = f"{total:8}{noticed:10}{row['survived']:10}{row['equivalent']:12}"
        shares = f"{noticed / max(total, 1):16.0%}{noticed / max(changed, 1):12.0%}"
        lines += [f"{group:10}{counts}{shares}{f'{low:.2f} … {high:.2f}':>15}"]
    lines += [
        "",
        "Equally many are drawn of each group. “of changes”: without those that change nothing.",
        f"“of takes”: {', '.join(OF_TAKES)}. Intervals by Wilson.",
    ]
    lines += ["", "No test noticed:", *sorted(name for name in groups if by[name] == "survived")]
    lines += [
        "",
        "Changes nothing:",
        *sorted(f"{name} ({equivalent[name]})" for name in groups if name in equivalent),
    ]
    print(write_table(RESULTS / f"mutations_{options.seed}.txt", lines))
