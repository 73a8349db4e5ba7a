# SPDX-License-Identifier: GPL-3.0-or-later
"""A mood's file, and a copy of this repository that has one more."""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOODS_FOLDER = ROOT / "thunder_core" / "moods"
FREE = 999  # a number of no mood


def of_sad(**changes):
    """The content of a mood's file like that of “sad” but for these keys; None: without one."""
    data = json.loads((MOODS_FOLDER / "sad.json").read_text(encoding="utf-8")) | changes
    return {key: value for key, value in data.items() if value is not None}


def copy_with(folder: Path, name: str, data: dict, *entries: str) -> Path:
    """A copy of this repository, in which a mood has this file: what is not needed writable is a
    link; entries: beside thunder_core and weights."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "thunder_core", folder / "thunder_core", ignore=ignored)
    for entry in ("weights", "assets", *entries):
        (folder / entry).symlink_to(ROOT / entry)
    text = json.dumps(data, ensure_ascii=False)
    (folder / "thunder_core" / "moods" / f"{name}.json").write_text(text, encoding="utf-8")
    return folder
