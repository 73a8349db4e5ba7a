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
    "thunder_core/networks/speech.py",
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
    "words": ("thunder_core/animation/traits.py", *_TAKES),
}


def git(tree: Path, *words: str) -> list[str]:
    """Lines that git prints about a tree; none where it fails."""
    done = subprocess.run(["git", "-C", str(tree), *words], capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else []


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


def older(tree: Path, results: Path) -> Iterator[str]:
    """A line for each result of a folder of the tree that is older than the code it measures."""
    for result in sorted(path for path in results.iterdir() if path.suffix in (".txt", ".json")):
        form = ["log", "--format=%as %h", "--abbrev=10"]
        named = [*form, "-1", named_commit(result) or "none"]
        written = [*form, "-1", "--", str(result.relative_to(tree))]
        of = git(tree, *named) or git(tree, *written)
        if not of:
            continue  # not committed yet
        day, commit = of[0].split()
        since = git(tree, *form, f"{commit}..", "--", *measured_files(result.stem))
        if since:
            yield (
                f"{result.name:30s} {day} {commit}   {len(since):4d} commits since changed what it "
                f"measures, the last {since[0]}"
            )


def run(args: Namespace) -> None:
    """Print the list."""
    old = list(older(ROOT, RESULTS))
    count = sum(path.suffix in (".txt", ".json") for path in RESULTS.iterdir())
    print("\n".join([f"{len(old)} of {count} results are older than the code they measure", *old]))
