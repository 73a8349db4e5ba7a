# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions say which types they take, in the extension as in the core (`make lint` checks them)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEAST, MOST_ANY = 0.98, 0.03  # shares of parameters that are annotated, and that are by Any


def parameters(folder):
    """The parameters of every function in a folder's files, but for self and cls."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        methods = {
            each for one in ast.walk(tree) if isinstance(one, ast.ClassDef) for each in one.body
        }
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            given, is_static = (
                function.args,
                "staticmethod" in map(ast.unparse, function.decorator_list),
            )
            named = [*given.posonlyargs, *given.args]
            yield from named[function in methods and not is_static :] + given.kwonlyargs
            yield from filter(None, (given.vararg, given.kwarg))


@pytest.mark.parametrize("folder", ["cli", "operators", "panels", "scene"])
def test_parameters_are_annotated(folder):
    every = list(parameters(folder))
    annotated = [each.annotation for each in every if each.annotation is not None]
    by_any = [each for each in annotated if ast.unparse(each) == "Any"]
    assert len(annotated) >= LEAST * len(every) and len(by_any) <= MOST_ANY * len(every)
