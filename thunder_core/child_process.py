# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes that never outlive this one, however it ends, and that can be ended at once, with their own children.

Standard library only; works on Linux, macOS and Windows. A small intermediate Python process starts the command and waits for the end of
its own standard input, which the system closes when this process ends, even by SIGKILL.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys

from . import system_calls

PATIENCE = 2.0  # seconds an ended child may take to leave before it is killed

_GUARD = """
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def watch():
    os.read(0, 1)
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)])
    else:
        os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
os.close(1)
code = child.wait()
os._exit(code if 0 <= code < 256 else 1)
"""


def start(command: list[str], python: str | None = None, **options) -> subprocess.Popen:
    """Start a command that ends with this process. Its standard input is empty; `options` as for subprocess.Popen.

    python: the interpreter of the intermediate process; None for this process's own.
    Raises OSError when that cannot be started; a command that cannot be run ends with code 1.
    """
    options = system_calls.new_group() | options  # a separate process group, which `end` kills as a whole
    return subprocess.Popen([python or sys.executable, "-I", "-S", "-c", _GUARD, *command], stdin=subprocess.PIPE, **options)


def end(process: subprocess.Popen) -> None:
    """End a process from `start`, and all that it started; returns when it has ended. May be called twice."""
    if process.poll() is None:
        system_calls.kill_group(process)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
