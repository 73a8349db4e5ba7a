# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the Python that runs the engine: the named one, that of an environment made for it, or
Blender's with a package's libraries."""

import json
import os
import sys
from importlib.util import find_spec
from typing import NamedTuple

from .errors import NoEngine
from .installer import python_in
from .shipped import VENDOR
from .system_calls import find_program

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# what to do about a Python that cannot run the engine, as the end of a sentence
ADVICE = (
    "reinstall the engine, or name another Python in the preferences, with --engine or in "
    "THUNDER_PYTHON"
)
MADE_FOR = VENDOR / "made_for.json"  # file that names the Pythons of a package's libraries


class EnginePython(NamedTuple):
    """The Python that runs the engine. libraries: folder that goes on its path, and on no other's;
    "" where it has all it needs."""

    executable: str
    libraries: str = ""


def find_engine_python(python: str | None = None, venvs=()) -> str:
    """Path of the Python that runs the engine (`find_engine`). Raises NoEngine."""
    return find_engine(python, venvs).executable


def find_engine(python: str | None = None, venvs=()) -> EnginePython:
    """The Python that runs the engine, and where its libraries are.

    In this order: `python` (an executable or the folder of a virtual environment; named in the
    preferences or on the command line), the environment variable THUNDER_PYTHON, the virtual
    environments `venvs`, this process's Python with the libraries that came with a package, the
    environment beside this extension. Raises NoEngine when the named one does not exist, or none
    does, or the package has nothing for this Python.
    """
    if given := python or os.environ.get("THUNDER_PYTHON"):
        executable = _python_of(given)
        if executable is None:
            raise NoEngine(f"There is no Python at “{given}”: {ADVICE}")
        return EnginePython(executable)
    pythons = packaged_pythons()
    for venv in (*venvs, *([] if pythons else [os.path.join(ROOT, ".venv", "engine")])):
        if executable := _python_of(venv):
            return EnginePython(executable)
    if pythons:
        return EnginePython(_this_python(pythons), str(VENDOR))
    raise NoEngine(
        "The engine is not installed: install it (make engine in a clone), or name its Python in "
        "the preferences, with --engine or in THUNDER_PYTHON"
    )


def find_recogniser(python: str = "", venvs=()) -> str:
    """Path of the Python that recognises words: `python`, or THUNDER_RECOGNISER (executables or
    virtual environments), the first of `venvs`, or this process's where that has faster-whisper.
    Raises NoEngine."""
    return _find_beside("faster_whisper", "THUNDER_RECOGNISER", "recognizes words", python, venvs)


def find_tracker(venvs=()) -> str:
    """Path of the Python that follows faces in videos: THUNDER_TRACKER, the first of `venvs`, that
    of a clone, or this process's where that has MediaPipe. Raises NoEngine."""
    made = os.path.join(ROOT, ".venv", "tracker")
    found = (*venvs, *([made] if os.path.isdir(made) else []))
    return _find_beside("mediapipe", "THUNDER_TRACKER", "follows faces in videos", "", found)


def _find_beside(package: str, variable: str, what: str, python: str, venvs) -> str:
    """Path of the Python of an environment beside the engine's, which has a package. Raises
    NoEngine."""
    given = next(filter(None, (python or os.environ.get(variable), *venvs)), "")
    executable = _python_of(given) if given else sys.executable
    if executable is None:
        raise NoEngine(f"There is no Python at “{given}”: name one that has {package}")
    if given or find_spec(package):
        return executable
    raise NoEngine(
        f"What {what} is not installed: install it in the preferences, or name a Python that has "
        f"{package} in {variable}"
    )


def packaged_pythons() -> list[str]:
    """The Pythons (["3.11", …]) for which libraries came with this package, none in a clone.
    Quick: for panels."""
    try:
        with open(MADE_FOR, encoding="utf-8") as file:
            return [str(each) for each in json.load(file)["pythons"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def has_fitting_libraries() -> bool:
    """Whether libraries for this process's Python came with this package. Quick: for panels."""
    return _version() in packaged_pythons()


def _version() -> str:
    return "{}.{}".format(*sys.version_info)


def _this_python(pythons: list[str]) -> str:
    """This process's Python as a program, if it is one of `pythons`: in Blender the one that it
    brings, or its system's, never Blender itself. Raises NoEngine."""
    if _version() not in pythons:
        raise NoEngine(
            f"This package of Thunder is for Python {', '.join(pythons)} and this Blender has "
            f"Python {_version()}: use a Blender from blender.org, or install the engine in the "
            f"preferences"
        )
    program = "python" + _version()
    candidates = (
        sys.executable,
        *(
            os.path.join(sys.prefix, *each)
            for each in (("bin", program), ("bin", "python.exe"), ("python.exe",))
        ),
    )
    for path in candidates:
        if path and os.path.basename(path).lower().startswith("python") and os.path.isfile(path):
            return os.path.abspath(path)
    raise NoEngine(
        f"Blender's own Python was not found in “{sys.prefix}”: reinstall Blender, or choose "
        f"another Python in the preferences"
    )


def _python_of(path: str) -> str | None:
    """The Python executable that `path` is, or that the virtual environment `path` holds."""
    path = os.path.expanduser(path)
    if not os.path.dirname(path):  # a name: of a program of PATH first, never of a file here
        if program := find_program(path):
            return program
    elif os.path.isfile(path):
        return os.path.abspath(path)
    for python in (python_in(path), os.path.join(path, "bin", "python3")):
        if os.path.isfile(python):
            return os.path.abspath(python)
    return None
