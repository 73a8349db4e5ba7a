# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists results that are older than the code they measure.

`make check-results` (`python -m research check_results`); nothing is measured, and it fails for
nothing. A result is as old as the commit that it names, or, if it names none or was made with
uncommitted changes, as the commit that wrote it. Moved files count as unchanged.
"""

from __future__ import annotations

import json
import re
import subprocess
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from research.harness import RESULTS, ROOT

_WEIGHTS = ("weights/*.safetensors",)
_VOICE = ("thunder_core/engine/speech/", "weights/encoder.safetensors")
_TAKES = (
    "thunder_core/engine/",
    "thunder_core/face/",
    "thunder_core/types.py",
    "thunder_core/direction.py",
    *_WEIGHTS,
)
_TEACHER = ("thunder_core/train/teacher*.py", "thunder_core/engine/planning/", "thunder_core/face/")
_HEAD = ("weights/head.npz", "thunder_core/face/", "scene/heads/")
_COMMIT = ("thunder_core/animation/", "scene/takes/commit/", "scene/animation/")
_SPEECH = (
    "thunder_core/engine/m2s.py",
    "thunder_core/engine/vocoder.py",
    "thunder_core/networks/m2s.py",
    "weights/m2s.safetensors",
    "weights/vocoder.safetensors",
    *_TEACHER,
)
_PAPER = (
    "research/train/", "research/measures/", "thunder_core/networks/",
    "thunder_core/engine/diffusion.py",
    "thunder_core/train/denoiser.py", "thunder_core/train/loop.py", *_TEACHER,
)  # fmt: skip
_SCORE = (
    "thunder_core/engine/scorer.py",
    "thunder_core/networks/judge.py",
    "thunder_core/grades.py",
    *_TAKES,
)
_FAULTS = ("thunder_core/", "scene/", "operators/", "cli/", "bake.py", "tests/faults/")

# result without its ending → files and folders (with /) that it measures
MEASURES: dict[str, tuple[str, ...]] = {
    "articulation": _TAKES,
    "check_animation": ("thunder_core/findings.py", *_TAKES),
    "commit": (*_COMMIT, *_TAKES),
    "direction_takes": _TAKES,
    "direction_teacher": _TEACHER,
    "events": _TAKES,
    "marks": _TAKES,
    "unclear": _TAKES,
    "retakes": _TAKES,
    "faults": _FAULTS,
    "grades": _SCORE,
    "habits": (*_TAKES, *_TEACHER),
    "head_keys": _HEAD,
    "heard_arousal": _VOICE,
    "words_aligned": (*_VOICE, "thunder_core/spoken.py"),
    "kills": _FAULTS,
    "lips": (*_TAKES, *_TEACHER),
    "listeners": _TAKES,
    "long": ("bake.py", "cli/", "scene/", *_TAKES),
    "moods_takes": (*_TAKES, *_TEACHER),
    "moods_teacher": _TEACHER,
    "mutations_*": ("thunder_core/", "tests/"),
    "paper_clips*": _PAPER,
    "paper_tables": _PAPER,
    "ranking": _SCORE,
    "reduction": ("thunder_core/animation/",),
    "speed": ("scene/animation/", *_TAKES),
    "style_from": ("thunder_core/animation/", *_TEACHER),
    "table1": _SPEECH,
    "table[23]*": _PAPER,
    "transcripts": _TAKES,
    "words*": ("thunder_core/animation/traits.py", *_TAKES),
}


@dataclass(frozen=True)
class Commit:
    """One of the repository's commits: its hash, day, parents, and the changed files by their names
    of today, also those `written` where they are, not moved there."""

    sha: str
    day: str
    parents: tuple[str, ...]
    changed: frozenset[str]
    written: frozenset[str]


def history(tree: Path) -> dict[str, Commit]:
    """{hash: commit} of all commits up to the tree's, newest first. Raises SystemExit outside a
    clone."""
    command = [
        "git",
        "-C",
        str(tree),
        "-c",
        "core.quotePath=false",
        "log",
        "--topo-order",
        "--name-status",
        "-M",
        "--format=%x01%H %as %P",
    ]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode:
        raise SystemExit(
            "This is no clone of the repository: nobody knows how old results and code are."
        )
    today: dict[str, str] = {}  # earlier name of a moved file → that of today
    commits = {}
    for block in listed.stdout.split("\1")[1:]:
        first, *rows = block.splitlines()
        sha, day, *parents = first.split()
        changed, written = set(), set()
        for kind, *names in (row.split("\t") for row in rows if row):
            name = today.get(names[-1], names[-1])
            if kind[0] == "R":
                today[names[0]] = name
            else:
                written.add(name)
            if kind != "R100":
                changed.add(name)
        commits[sha] = Commit(sha, day, tuple(parents), frozenset(changed), frozenset(written))
    return commits


def formatting_commits(tree: Path) -> set[str]:
    """The hashes of commits that changed how code is laid out and nothing else, as git blame
    ignores them."""
    listed = tree / ".git-blame-ignore-revs"
    lines = listed.read_text().splitlines() if listed.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def before(commits: dict[str, Commit], sha: str) -> set[str]:
    """The hashes of a commit and of all before it."""
    seen, left = set(), [sha]
    while left:
        if (one := left.pop()) not in seen and one in commits:
            seen.add(one)
            left += commits[one].parents
    return seen


def named_commit(result: Path) -> str:
    """The hash that a result was made from; "" if it names none or other files were changed."""
    text = result.read_text(encoding="utf-8")
    if result.suffix != ".json":
        found = re.findall(r"^commit (\S+?),?(?:\s|$)", text, re.M)
        named = found[-1] if found else ""
    else:
        record = json.loads(text)
        record = record[0] if isinstance(record, list) and record else record
        named = str(record.get("commit", "")) if isinstance(record, dict) else ""
    return named if re.fullmatch(r"[0-9a-f]{7,40}", named) else ""


def measured_files(name: str) -> tuple[str, ...]:
    """Files and folders that a result (its name without ending) measures. Raises SystemExit for one
    without a row in MEASURES."""
    for pattern, places in MEASURES.items():
        if fnmatch(name, pattern):
            return places
    raise SystemExit(
        f"{name} has no row in MEASURES of research/check_results.py: say there which code it "
        f"measures"
    )


def is_in(path: str, places: tuple[str, ...]) -> bool:
    """Whether a file is one of these or in one of these folders."""
    return any(
        path.startswith(place) if place.endswith("/") else fnmatch(path, place) for place in places
    )


def older(tree: Path, results: Path) -> Iterator[str]:
    """A line for each result of a folder of the tree that is older than the code it measures."""
    commits, formatting = history(tree), formatting_commits(tree)
    for result in sorted(path for path in results.iterdir() if path.suffix in (".txt", ".json")):
        path = result.relative_to(tree).as_posix()
        named, places = named_commit(result), measured_files(result.stem)
        origin = next((sha for sha in commits if named and sha.startswith(named)), None)
        origin = origin or next(
            (sha for sha, commit in commits.items() if path in commit.written), None
        )
        if origin is None:
            continue  # not committed yet
        known = before(commits, origin)
        since = [
            one
            for one in commits.values()
            if one.sha not in known | formatting
            and any(is_in(path, places) for path in one.changed)
        ]
        if since:
            last = since[0]
            yield (
                f"{result.name:30s} {commits[origin].day} {origin[:10]}   {len(since):4d} commits "
                f"since changed what it measures, "
                f"the last {last.day} {last.sha[:10]}"
            )


def run(args: Namespace) -> None:
    """Print the list."""
    old = list(older(ROOT, RESULTS))
    count = sum(path.suffix in (".txt", ".json") for path in RESULTS.iterdir())
    print("\n".join([f"{len(old)} of {count} results are older than the code they measure", *old]))
