# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of faults: the installer's folder, list of packages, and the
environment a process finds itself in."""

import os
import sys
import tempfile
from unittest import mock

from harness import Case, Fault, ROOT, run_installer

HASH = "0" * 64
LOCK = f"alpha==1.0 \\\n    --hash=sha256:{HASH}\n"


def setting(lock=LOCK, folder="engine", files=(), lock_name="engine.txt"):
    """Makes what the installer is given: a list of packages, and files that are there already."""

    def make(place):
        if lock is not None:
            (place / "engine.txt").write_bytes(lock if isinstance(lock, bytes) else lock.encode())
        for name in files:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text("work of months")
        where = (
            folder
            if folder is None or os.path.isabs(folder) or not folder.strip()
            else str(place / folder)
        )
        return ["--folder", where, "--lock", str(place / lock_name)]

    return make


def install(case: Case):
    """Run the installer to its end with stdin open; (exit code, what it said)."""
    program = ROOT / "thunder_core" / "installer.py"
    done, events = run_installer(
        ["-I", program, *case.given], case.folder, THUNDER_INSTALL_SCALE="1"
    )
    said = [event["message"] + "\n" for event in events if event["event"] == "error"]
    return done.returncode, done.stderr + "".join(said)


def _link(place):
    (place / "project").mkdir()
    (place / "project" / "shot.blend").write_text("work of months")
    (place / "engine").symlink_to(place / "project")
    return setting()(place)


def _damaged_mark(place):
    given = setting()(place)
    (place / "engine").mkdir()
    (place / "diary.txt").write_text("mine")
    (place / "engine" / "thunder-installing").symlink_to(place / "diary.txt")
    return given


_INSTALLATIONS = [
    ("no list of packages", setting(lock=None), "."),
    ("a list of no packages", setting(lock=""), "."),
    ("a list cut in half", setting(lock=LOCK[:20]), "."),
    ("a list without hashes", setting(lock="alpha==1.0\n"), "."),
    ("a list of random bytes", setting(lock=b"\xff\xfe\x00alpha"), "."),
    ("a list that is a folder", setting(lock_name="."), "."),
    ("a folder without a name", setting(folder=""), "No folder was named"),
    ("a folder of blanks", setting(folder="   "), "No folder was named"),
    ("a file in place of the folder", setting(files=["engine"]), "not a folder"),
    ("a folder below a file", setting(folder="a/engine", files=["a"]), "."),
    (
        "a folder that holds somebody's work",
        setting(files=["engine/shots/sq010.blend"]),
        "holds files that are not the engine's",
    ),
    (
        "somebody's own virtual environment",
        setting(files=["engine/pyvenv.cfg", "engine/bin/tool"]),
        "holds files that are not the engine's",
    ),
    (
        "a stamp of ours beside somebody's work",
        setting(files=["engine/thunder-engine.json", "engine/shot.blend"]),
        "not the engine's",
    ),
    ("a link to somebody's work", _link, "not the engine's"),
    ("a link in place of our mark", _damaged_mark, "not the engine's|cannot be written"),
    ("a folder on no disk", setting(folder="/proc/engine"), "."),
    ("a name too long for any disk", setting(folder="e" * 300), "."),
]

# ---- what a process finds around it


def start(case: Case):
    """Start the engine's process in the case's environment and ask it something; the answer."""
    changed = {name: value for name, value in case.given.items() if value is not None}
    with mock.patch.dict(os.environ, changed):
        for name in (name for name, value in case.given.items() if value is None):
            os.environ.pop(name, None)
        return hello(case, sys.executable, "release")


def _poisoned(place):
    (place / "json.py").write_text(
        "open('canary', 'w'); raise SystemExit('a module of somebody else was imported')\n"
    )
    return {"PYTHONPATH": str(place)}


def _startup(place):
    (place / "startup.py").write_text("open('canary', 'w')\n")
    return {"PYTHONSTARTUP": str(place / "startup.py"), "PYTHONINSPECT": "1"}


_ENVIRONMENTS = [
    ("a PYTHONPATH with a module called json", _poisoned),
    ("a PYTHONSTARTUP", _startup),
    ("a PYTHONHOME of another Python", lambda place: {"PYTHONHOME": str(place)}),
    ("a virtual environment that is somebody else's", lambda place: {"VIRTUAL_ENV": str(place)}),
    ("an ASCII terminal", lambda place: {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"}),
    ("a language that is not installed", lambda place: {"LC_ALL": "xx_XX.UTF-8"}),
    ("no PATH", lambda place: {"PATH": ""}),
    ("no home folder", lambda place: {"HOME": None}),
    ("a home folder that is gone", lambda place: {"HOME": str(place / "gone")}),
    ("a number of threads that is a word", lambda place: {"OMP_NUM_THREADS": "many"}),
    ("warnings that are errors", lambda place: {"PYTHONWARNINGS": "error"}),
    ("assertions left out", lambda place: {"PYTHONOPTIMIZE": "2"}),
    ("a graphics card that does not exist", lambda place: {"CUDA_VISIBLE_DEVICES": "99"}),
    ("a variable of 100 KB", lambda place: {"THUNDER_NOISE": "x" * 100_000}),
    ("a variable that is not UTF-8", lambda place: {"THUNDER_NOISE": "\udcff\udcfe"}),
    (
        "a cache folder that cannot be written",
        lambda place: {"HF_HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"},
    ),
]


def temporary(change):
    """Start the engine's process where temporary files cannot be made as usual."""

    def act(case: Case):
        with mock.patch.object(tempfile, "tempdir", str(change(case.folder))):
            return hello(case, sys.executable, "release")

    return act


def _file(place):
    (place / "tmp").write_text("a file")
    return place / "tmp"


_TEMPORARY = [
    ("a temporary folder that is gone", lambda place: place / "gone"),
    ("a temporary folder that is a file", _file),
    ("a temporary folder that cannot be written", lambda place: "/proc"),
]


# ---- too little memory


def limited(kilobytes: int):
    """Makes a program that runs the engine's Python with so much memory and no more."""

    def make(place):
        path = place / "python"
        path.write_text(f'#!/bin/sh\nulimit -v {kilobytes}\nexec {sys.executable} "$@"\n')
        path.chmod(0o755)
        return path

    return make


def hello(case: Case, python="", verb="hello"):
    """What the engine's process of a Python, else the case's, answers first."""
    from thunder_core.client import Client

    with Client(python or str(case.given)) as client:
        return client.request(verb).wait(timeout=120)


ROWS = [
    *(
        Fault(
            "installer",
            broken,
            make,
            install,
            code=1,
            says=says,
            leaves=("engine", "engine/thunder-installing"),
        )
        for broken, make, says in _INSTALLATIONS
    ),
    *(Fault("environment", broken, make, start) for broken, make in _ENVIRONMENTS),
    *(
        Fault(
            "environment",
            broken,
            lambda place: place,
            temporary(change),
            "NoSpace",
            "temporary folder",
            leaves=("tmp",),
        )
        for broken, change in _TEMPORARY
    ),
    *(
        Fault(
            "memory",
            f"the engine's process may have {megabytes} MB",
            limited(1024 * megabytes),
            hello,
            "OutOfMemory",
            "memory",
            slow=megabytes
            == 150,  # where Python itself may fail with an error that names no memory
        )
        for megabytes in (20, 150, 250, 300)
    ),
]
