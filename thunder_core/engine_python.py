# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the Python that runs the engine: the named one, or that of an environment made for it."""

from __future__ import annotations

import os
import shutil

from .errors import NoEngine
from .installer import python_in

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def find_engine_python(python: str | None = None, venvs=(), option: str = "") -> str:
    """Path of the Python that runs the engine.

    In this order: `python` (an executable or the folder of a virtual environment; named in the preferences, or by the command
    line's `option`), the environment variable THUNDER_PYTHON, the virtual environments `venvs`, the one beside this
    extension. Raises NoEngine when the named one does not exist, or none does.
    """
    for given, source in ((python, "in the preferences"), (os.environ.get("THUNDER_PYTHON"), "in THUNDER_PYTHON")):
        if given:
            executable = _python_of(given)
            if executable is None:
                if python and option:
                    raise NoEngine(f"There is no Python at “{given}”: {another_python(python, option)}")
                raise NoEngine(f"There is no Python at “{given}”, named {source}: correct it or install the engine")
            return executable
    for venv in (*venvs, os.path.join(ROOT, ".venv", "engine")):
        executable = _python_of(venv)
        if executable is not None:
            return executable
    raise NoEngine("The engine is not installed: install it, or name its Python in the preferences or in THUNDER_PYTHON")


def another_python(python: str | None, option: str) -> str:
    """Advice about an engine's Python that cannot run it, as the end of a sentence; it depends on where it was set."""
    if python:
        return f"name another with {option}" if option else "choose another Python in the preferences"
    return "correct THUNDER_PYTHON" if os.environ.get("THUNDER_PYTHON") else "reinstall the engine"


def _python_of(path: str) -> str | None:
    """The Python executable that `path` is, or that the virtual environment `path` holds."""
    path = os.path.expanduser(path)
    if os.path.isfile(path):
        return os.path.abspath(path)
    for python in (python_in(path), os.path.join(path, "bin", "python3")):
        if os.path.isfile(python):
            return os.path.abspath(python)
    return None if os.sep in path or os.path.isdir(path) else shutil.which(path)
