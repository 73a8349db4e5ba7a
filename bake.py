# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts cli/batch.py, which bakes takes without a window: `blender -b file.blend --python bake.py
-- --audio a.wav --out dir`."""

import importlib
import importlib.util
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
STANDALONE = "thunder"  # package name under which this file loads the add-on


def load_package():
    """The extension's package: the enabled add-on if Blender has it, else this folder, not
    registered yet."""
    import bpy

    for name in bpy.context.preferences.addons.keys():
        if name.rpartition(".")[2] == "thunder" and name in sys.modules:
            return sys.modules[name]
    if STANDALONE not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            STANDALONE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        sys.modules[STANDALONE] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[STANDALONE])
    return sys.modules[STANDALONE]


def load_extension():
    """The same, registered, for scripts that work with it in a Blender without a window."""
    package = load_package()
    if package.__name__ == STANDALONE:
        package.register()
    return package


def start() -> None:
    """Run the command of cli/batch.py; exits with its code."""
    open_streams()
    stop_at_once()
    try:
        importlib.import_module("bpy")
        package = load_package()
    except ImportError as error:
        if error.name != "bpy":
            raise
        print(
            "bake.py: this Python has no bpy: run it with `blender -b --python bake.py -- …`",
            file=sys.stderr,
        )
        sys.exit(1)
    importlib.import_module(f"{package.__name__}.cli.batch").main()


def stop_at_once() -> None:
    """Let Ctrl-C and SIGTERM end this process with a sentence until the command's work begins
    (cli/script.py): nothing is written yet.

    An exception in the middle of an import would be a traceback, and one in a function that Blender
    calls would be dropped.
    """

    def stop(number, _frame):
        os.write(2, b"bake.py: stopped\n")
        os._exit(128 + number)

    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # closing the terminal does not stop a bake
    for number in (signal.SIGINT, signal.SIGTERM):
        # as in a job that a shell runs in the background
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)


def open_streams() -> None:
    """Open the standard streams that are closed, on nothing: the next file would get their number,
    and what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


if __name__ == "__main__":
    start()
