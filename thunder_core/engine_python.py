# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Python runs the engine: the one that was named, or that of an environment made for it."""

from __future__ import annotations

import os
import shutil

from .errors import (
    NoEngine,
)
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
            found = _python_of(given)
            if found is None:
                if python and option:
                    raise NoEngine(f"There is no Python at “{given}”: {another_python(python, option)}")
                raise NoEngine(f"There is no Python at “{given}”, named {source}: correct it or install the engine")
            return found
    for venv in (*venvs, os.path.join(ROOT, ".venv", "engine")):
        found = _python_of(venv)
        if found is not None:
            return found
    raise NoEngine("The engine is not installed: install it, or name its Python in the preferences or in THUNDER_PYTHON")


def another_python(python: str | None, option: str) -> str:
    """What to do about an engine's Python that cannot run it, as the end of a sentence; it depends on who named it."""
    if python:
        return f"name another with {option}" if option else "choose another Python in the preferences"
    return "correct THUNDER_PYTHON" if os.environ.get("THUNDER_PYTHON") else "reinstall the engine"


def _python_of(place: str) -> str | None:
    """The Python executable that `place` is, or that the virtual environment `place` holds."""
    place = os.path.expanduser(place)
    if os.path.isfile(place):
        return os.path.abspath(place)
    for python in (python_in(place), os.path.join(place, "bin", "python3")):
        if os.path.isfile(python):
            return os.path.abspath(python)
    return None if os.sep in place or os.path.isdir(place) else shutil.which(place)
