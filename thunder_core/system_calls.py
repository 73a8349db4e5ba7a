# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls that differ between Linux, macOS and Windows: locks, child processes, owners of
files, live processes, memory, libraries.

Standard library only. No other module of the product makes calls that one of these systems lacks; a
test holds it to that.
"""

import contextlib
import os
import signal
import subprocess
import sys

WINDOWS = os.name == "nt"

# by its path: Windows looks for a name in the current folder first, where anybody's program may lie
TASKKILL = os.path.join(os.environ.get("SystemRoot", "C:\\Windows"), "System32", "taskkill.exe")

_GUARD = f"""
import os, signal, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def watch():
    os.read(0, 1)
    if os.name == "nt":
        subprocess.run([{TASKKILL!r}, "/F", "/T", "/PID", str(child.pid)])
    else:
        os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
os.close(1)
code = child.wait()
os._exit(code if 0 <= code < 256 else 1)
"""


def find_program(name: str) -> str | None:
    """Path of a program in the folders of PATH, never in the current folder, where Windows looks
    first; None if it is in none."""
    endings = [""]
    if WINDOWS:
        endings = os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(";")
        if name.lower().endswith(tuple(each.lower() for each in endings if each)):
            endings = [""]
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for ending in endings if os.path.isabs(folder) else ():
            path = os.path.join(folder, name + ending)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    return None


def lock(handle: int) -> None:
    """Lock an open file (on Windows one byte at the current position) until it is closed. Raises
    OSError while another process holds it."""
    if WINDOWS:
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def find_runtime() -> None:
    """Let a worker's libraries find Microsoft's C++ runtime where Blender has it: in a folder
    beside blender.exe, which Windows searches for blender.exe alone and not for Blender's Python.
    Does nothing elsewhere."""
    folder = os.path.join(os.path.dirname(os.path.dirname(sys.prefix)), "blender.crt")
    if WINDOWS and os.path.isdir(folder):
        os.add_dll_directory(folder)


def path_for_c(path: str) -> bytes:
    """The path of a file that is there, for a library in C. On Windows, where such open no files
    by UTF-8, its short name, which is ASCII on most disks, in the system's code page."""
    if not WINDOWS:
        return os.fsencode(path)
    import ctypes

    short = ctypes.create_unicode_buffer(260)
    length = ctypes.windll.kernel32.GetShortPathNameW(path, short, len(short))  # type: ignore[attr-defined]
    return (short.value if 0 < length < len(short) else path).encode("mbcs", "replace")


def is_mine(status: os.stat_result) -> bool:
    """Whether a file belongs to this user. Always True on Windows, which has no such field."""
    return WINDOWS or status.st_uid == os.getuid()


def new_group() -> dict:
    """Options of subprocess.Popen for a child that `kill_group` can end with all it started, and
    that Ctrl-C does not reach.

    It stays in this process's session: when this process ends, the system wakes a group that is
    stopped, and sends it SIGHUP. So the child notices the end, and does not stay for ever. On
    Windows, where a child has no such group, it gets no console window.
    """
    return {"creationflags": subprocess.CREATE_NO_WINDOW} if WINDOWS else {"process_group": 0}


def kill_group(process: subprocess.Popen) -> None:
    """End a process that was started with `new_group`, and all that it has started, at once."""
    with contextlib.suppress(OSError):  # it ended this moment
        if WINDOWS:
            subprocess.run(
                [TASKKILL, "/F", "/T", "/PID", str(process.pid)], capture_output=True, **new_group()
            )
        else:
            os.killpg(process.pid, signal.SIGKILL)


def start_child(command: list[str], **options) -> subprocess.Popen:
    """Start a command that ends with this process. Its standard input is empty; `options` as for
    subprocess.Popen.

    It ends even if this process is killed: a small Python process starts the command and waits for
    the end of its standard input, which the system closes when this process ends. A command that
    cannot be run ends with code 1.
    """
    options = new_group() | options  # a separate process group, which `end_child` kills as a whole
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, *command], stdin=subprocess.PIPE, **options
    )


def end_child(process: subprocess.Popen) -> None:
    """End a process from `start_child`, and all that it started; returns when it has ended. May be
    called twice."""
    if process.poll() is None:
        kill_group(process)
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def how_it_ended(process: subprocess.Popen) -> str:
    """How a process ended, as the middle of a sentence."""
    code = process.poll()
    return (
        f"was ended by signal {-code}"
        if code is not None and code < 0
        else f"ended with code {code}"
    )


def memory_used() -> int | None:
    """Bytes of main memory that this process uses (on macOS the most it ever used), None if it is
    unknown."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:  # Linux alone has it
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def release_free_memory() -> None:
    """Give the system what the C library's allocator keeps of freed memory, where it has such a
    call (glibc); elsewhere nothing happens.

    What many threads allocate in turn leaves holes that it would keep.
    """
    if sys.platform.startswith("linux"):
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
