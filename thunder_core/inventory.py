# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks which packages of a locked list are installed, undamaged, in the Python that runs this
script; needs pip, which reads the list.

    python inventory.py requirements/engine.txt

Prints JSON: {"needed": [name…], "wanting": [name…], "lines": {name: its lines of the list}}; or
{"broken": reason} when pip is missing or damaged; or {"failed": reason} when the list cannot be
read or something else went wrong.
"""

import csv
import json
import os
import re
import sys


def requirements(lock: str) -> dict[str, tuple[str, str]]:
    """name → (version, its lines) of a lock's packages that this Python on this system needs."""
    from pip._vendor.packaging.requirements import Requirement

    packages = {}
    with open(lock, encoding="utf-8") as file:
        text = file.read()
    for lines in re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.M | re.S):
        named = Requirement(lines.partition("\\")[0].partition(" #")[0].strip())
        if named.marker is None or named.marker.evaluate():
            (pinned,) = named.specifier
            packages[named.name] = (pinned.version, lines)
    return packages


def check(lock: str) -> dict:
    """A lock's packages, and those that are missing here, of another version, or damaged:
    {"needed": [...], "wanting": [...]}."""
    from importlib import metadata

    needed = requirements(lock)
    wanting = [
        name for name, (version, _) in needed.items() if not _is_whole(metadata, name, version)
    ]
    return {
        "needed": sorted(needed),
        "wanting": sorted(wanting),
        "lines": {name: needed[name][1] for name in wanting},
    }


def _is_whole(metadata, name: str, version: str) -> bool:
    """Whether a package is installed in this version and all its files have their size."""
    try:
        installed = metadata.distribution(name)
        if installed.version != version:
            return False
        record = installed.read_text("RECORD")  # importlib's list leaves out missing files
        if record is None:
            return False
        for path, _, size in csv.reader(record.splitlines()):
            if path.endswith(".pyc"):
                continue
            bytes_there = os.path.getsize(installed.locate_file(path))
            if size and bytes_there != int(size):
                return False
        return True
    except MemoryError:
        raise
    except Exception:  # missing, or damaged in one of the many ways that importlib does not expect
        return False


def answer(lock: str) -> dict:
    """The output of this script for a list of packages."""
    try:
        import pip._internal.cli.main  # noqa: F401
        import pip._vendor.packaging.requirements  # noqa: F401
    except MemoryError:
        return {"failed": "too little memory"}
    except Exception as error:
        return {"broken": f"{type(error).__name__}: {error}"}
    try:
        return check(lock)
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:200]}


if __name__ == "__main__":
    print(json.dumps(answer(sys.argv[1])))
