# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository weighs is counted as `make weight` says."""

import ast
import subprocess
import sys

import pytest

from research import weight

FILES = {
    "README.md": "five words of a page",
    "thunder_core/__init__.py": '"""A package."""\n',
    "thunder_core/a.py": '''"""What a module is for: 17 is no number of it."""
from __future__ import annotations
import os
from . import b
from .b import f
LIMITS = {"low": 0.25, "high": -3}  # two numbers
STEP: float = 7.5
lower = 4

class A:
    """Not counted."""
    width = 2

    def g(self):
        """Not counted."""
        from .inner import c
        return c.h(9) + f(0) - 1 + 0.5 + True
''',
    "thunder_core/b.py": "def f(x):\n    return x\n",
    "thunder_core/inner/__init__.py": "",
    "thunder_core/inner/c.py": "from ..b import f\n\ndef h(x):\n    return f(x)\n",
    "tests/test_a.py": "from thunder.thunder_core import a\nimport made\n",
    "tests/made.py": "x = 12\n",
    "tools/t.py": "from thunder_core import b\nfrom thunder_core.inner.c import h\n",
    "tools/tests/test_t.py": "assert 3\n",
    "out/ignored.py": "1 / 0\n",
    ".gitignore": "out/\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q", tmp_path / "tree"], check=True)
    return tmp_path / "tree"


def test_statements_modules_imports_numbers_and_words_of_each_folder(tree):
    counted = weight.figures_of(tree)
    assert set(counted) == {".", "thunder_core", "tests", "tools"}
    assert counted["."] == dict.fromkeys(weight.FIGURES, 0) | {"words": 5}
    # a: 4 imports, 3 assignments, a class with one, a function with an import and a return; b and
    # c: 2 and 3.
    assert counted["thunder_core"] == {
        "statements": 12 + 2 + 3, "modules": 5, "imports": 3, "named numbers": 3, "literals": 2,
        "words": 0,
    }  # fmt: skip
    assert counted["tests"] == {
        "statements": 4,
        "modules": 3,
        "imports": 2,
        "named numbers": 0,
        "literals": 2,
        "words": 0,
    }
    assert (counted["tools"]["modules"], counted["tools"]["imports"]) == (1, 2)
    totals = weight.totals_of(counted)
    assert [totals[name]["modules"] for name in weight.TOTALS] == [5, 1, 3] and totals[
        "product without tests"
    ]["words"] == 5


def test_one_take_changes_module_no_more_often_than_was_agreed():
    walk = "from research import weight; print(weight.trace_take(weight.ROOT)[0])"
    said = subprocess.run(
        [sys.executable, "-c", walk], cwd=weight.ROOT, check=True, capture_output=True, text=True
    )
    figures = ast.literal_eval(said.stdout)
    assert 50 < figures["entries"] <= 120 and 10 < figures["modules"] <= 29
