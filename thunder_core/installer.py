# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the engine's packages into a virtual environment of its own; a script that any Python runs, standard library only.

    python installer.py --folder DIR --lock requirements/engine.txt [--wheels DIR] [--online]

Tells what it does as JSON lines on stdout: {"event": "progress", "fraction": 0…1, "message": str}, and last
{"event": "done"} or {"event": "error", "message": str}. Ends, and pip with it, when its stdin does: whoever started it
may die. What is there already is kept, so that the same call resumes after an interruption and repairs what is damaged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

OLDEST, NEWEST = (3, 11), (3, 13)  # Pythons that every locked package has wheels for
STAMP = "thunder-engine.json"  # in the environment, once it is complete: of which lock, made when
DOWNLOADS = "thunder-downloads"  # in the environment while it is made: what was downloaded, for the next try
LOCK = "thunder-installing"  # file in the environment that the one who makes it holds locked
LINUX = sys.platform.startswith("linux")
DOWNLOAD_BYTES = 2.9e9 if LINUX else 0.35e9  # about; with the graphics card's libraries on Linux alone
DISK_BYTES = 6.0e9 if LINUX else 1.6e9
ROOM_BYTES = DISK_BYTES + DOWNLOAD_BYTES  # while pip unpacks, both are there
_TICK = 0.25  # seconds between two looks at how far pip is
INVENTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inventory.py")
_WINDOWS = os.name == "nt"


class Failed(Exception):
    """What a person must know: what happened and what to do, one sentence."""


def tell(event: str, **more) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


def progress(fraction: float, message: str) -> None:
    tell("progress", fraction=round(min(1.0, max(0.0, fraction)), 4), message=message)


def python_in(folder: str) -> str:
    """Path of the Python in a virtual environment."""
    return os.path.join(folder, "Scripts", "python.exe") if _WINDOWS else os.path.join(folder, "bin", "python")


def hash_of(lock: str) -> str:
    with open(lock, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


# ---- in whichever Python makes it


def install(folder: str, lock: str, wheels: str | None, online: bool) -> None:
    """Make or complete the environment at `folder`. Raises Failed."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise Failed(f"The engine needs Python {_said(OLDEST)} to {_said(NEWEST)}, and “{sys.executable}” is "
                     f"{_said(sys.version_info[:2])}: choose another Python in the preferences")
    progress(0.0, "Looking at what is there")
    os.makedirs(folder, exist_ok=True)
    with _Held(os.path.join(folder, LOCK)):
        stamp = os.path.join(folder, STAMP)
        found = _check(folder, lock)
        if found is None:
            progress(0.01, "Making the engine's own Python")
            _make(folder)
            found = _check(folder, lock)
            if found is None:
                raise Failed(f"The Python at “{sys.executable}” makes no virtual environment that has pip: choose another Python")
        if found["wanting"]:
            if os.path.exists(stamp):
                os.remove(stamp)  # not complete any more
            _check_room(folder, len(found["wanting"]) / len(found["needed"]))
            _pip(folder, found, wheels, online)
            found = _check(folder, lock)
            if found is None or found["wanting"]:
                missing = ", ".join(found["wanting"][:4]) if found else "pip"
                raise Failed(f"Some packages are still missing ({missing}): install again, what is there is kept")
        with open(stamp + ".part", "w", encoding="utf-8") as file:
            json.dump({"lock": hash_of(lock), "made": int(time.time()), "python": _said(sys.version_info[:3])}, file)
        os.replace(stamp + ".part", stamp)
        shutil.rmtree(os.path.join(folder, DOWNLOADS), ignore_errors=True)
    progress(1.0, "The engine is installed")


def _said(version) -> str:
    return ".".join(map(str, version))


def _check(folder: str, lock: str) -> dict | None:
    """What inventory.py says in the environment, None when it has no Python that answers."""
    python = python_in(folder)
    if not os.path.exists(python):
        return None
    done = subprocess.run([python, "-I", INVENTORY, lock], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **_quiet())
    try:
        return json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        return None


def _make(folder: str) -> None:
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError as error:
        raise Failed(f"The Python at “{sys.executable}” lacks “{error.name}”, which makes virtual environments: install it "
                     "(Debian calls it python3-venv) or choose another Python in the preferences") from error
    for name in os.listdir(folder):  # a broken one; what was downloaded and the lock stay
        if name not in (DOWNLOADS, LOCK):
            path = os.path.join(folder, name)
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
    try:
        venv.EnvBuilder(symlinks=not _WINDOWS, with_pip=True).create(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"No virtual environment can be made in “{folder}” ({_brief(error)}): free some space or choose "
                     "another Python in the preferences") from error


def _brief(error) -> str:
    return str(getattr(error, "strerror", None) or error).strip().splitlines()[0][:160]


def _check_room(folder: str, share: float) -> None:
    free = shutil.disk_usage(folder).free
    if free < share * ROOM_BYTES * _scale():
        raise Failed(f"The engine needs {share * ROOM_BYTES / 1e9:.0f} GB for a while and the disk of “{folder}” has "
                     f"{free / 1e9:.1f} GB left: free some and install again")


def _scale() -> float:
    """Of the sizes that are reckoned with: another for the small packages of a test."""
    return float(os.environ.get("THUNDER_INSTALL_SCALE", "1"))


def _pip(folder: str, found: dict, wheels: str | None, online: bool) -> None:
    """Let pip install what is wanting, telling how far it is by what lies on the disk."""
    downloads = os.path.join(folder, DOWNLOADS)
    temporary = os.path.join(downloads, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary)
    listed = os.path.join(downloads, "wanting.txt")
    with open(listed, "w", encoding="utf-8") as file:
        file.writelines(found["lines"][name].rstrip() + "\n" for name in found["wanting"])
    command = [python_in(folder), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-color",
               "--progress-bar", "off", "--require-hashes", "--no-deps", "--force-reinstall", "--only-binary", ":all:",
               "--cache-dir", os.path.join(downloads, "cache"), "-r", listed]
    if wheels:
        command += ["--find-links", wheels]
    if not online:
        command += ["--no-index"]
    environment = {**os.environ, "TMPDIR": temporary, "TEMP": temporary, "TMP": temporary, "PYTHONUTF8": "1"}
    if not online:  # nobody's configuration may lead it into the network either
        environment = {name: value for name, value in environment.items() if not name.startswith("PIP_")}
        environment["PIP_CONFIG_FILE"] = os.devnull
    # A session of its own on POSIX, so that the whole of pip can be ended at once.
    pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           encoding="utf-8", errors="replace", env=environment, **_quiet(alone=True))
    _children.append(pip)
    lines, doing = [], ["Asking for packages"]
    reading = threading.Thread(target=_read, args=(pip.stdout, lines, doing), daemon=True)
    reading.start()
    share, count = len(found["wanting"]) / len(found["needed"]), len(found["needed"])
    total = max(1.0, DOWNLOAD_BYTES * share * _scale())
    farthest = 0.02
    while pip.poll() is None:
        time.sleep(_TICK)
        if doing[0].startswith("Installing"):
            there = _dists(folder)
            farthest = max(farthest, 0.75 + 0.23 * min(1.0, there / count))
            message = f"Unpacking package {min(there, count)} of {count}"
        else:
            have = _bytes_in(temporary)
            farthest = max(farthest, 0.02 + 0.73 * min(1.0, have / total))
            message = f"{doing[0]} · {have / 1e9:.2f} of about {total / 1e9:.1f} GB" if have > 1e6 else doing[0]
        progress(farthest, message)
    reading.join(5.0)
    shutil.rmtree(temporary, ignore_errors=True)
    for line in lines:
        print(line, file=sys.stderr)
    if pip.returncode:
        raise Failed(_why(lines, wheels, online))


def _read(stream, lines: list, doing: list) -> None:
    for line in stream:
        line = line.rstrip()
        lines.append(line)
        del lines[:-300]
        if found := re.match(r"\s*(Collecting|Downloading|Processing|Using cached) (\S+)", line):
            name = re.split(r"[=<>-]", os.path.basename(found.group(2)))[0]
            doing[0] = f"Downloading {name}" if found.group(1) != "Processing" else f"Reading {name}"
        elif line.startswith("Installing collected"):
            doing[0] = "Installing"


def _why(lines: list, wheels: str | None, online: bool) -> str:
    """pip's last words as a sentence for an animator."""
    text = "\n".join(lines)
    errors = [line for line in lines if line.startswith("ERROR")]
    last = (errors or lines or ["pip said nothing"])[-1].removeprefix("ERROR:").strip()
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in text:
        return ("A downloaded package is not the one that was locked: try again, and if it stays so, trust neither it nor "
                "its server")
    if "No space left" in text or "not enough space" in text:
        return "The disk is full: free some space and install again, what was downloaded is kept"
    if "No matching distribution" in text or "Could not find a version" in text:
        name = re.search(r"(?:for|requirement) ([A-Za-z0-9._-]+)", last)
        what = f"“{name.group(1)}”" if name else "a package"
        where = f"There is no wheel of {what}"
        if wheels and not online:
            where = f"The folder “{wheels}” has no wheel of {what} for this system"
        return f"{where}: {'add it to the folder' if wheels else 'check the connection'} and install again"
    if re.search(r"Connection|Temporary failure|timed? ?out|Max retries|SSLError|ProxyError|resolve", text):
        return "The packages cannot be reached: check the connection and install again, what was downloaded is kept"
    return f"The packages could not be installed ({last[:200]}): install again, the log tells more"


def _dists(folder: str) -> int:
    import glob

    pattern = ("Lib", "site-packages") if _WINDOWS else ("lib", "python*", "site-packages")
    return len(glob.glob(os.path.join(folder, *pattern, "*.dist-info")))


def _bytes_in(folder: str) -> int:
    """Bytes of the wheels that pip has put aside to be unpacked."""
    size = 0
    for root, _, names in os.walk(folder):
        if "pip-unpack" in root:
            for name in names:
                try:
                    size += os.path.getsize(os.path.join(root, name))
                except OSError:
                    pass
    return size


def _quiet(alone: bool = False) -> dict:
    if _WINDOWS:
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True} if alone else {}


_children: list = []  # what was started and must not outlive us


def _end_with_stdin() -> None:
    """When whoever started this closes our stdin, or dies, pip ends and we with it."""
    try:
        while sys.stdin.buffer.read(4096):
            pass
    except (OSError, ValueError):
        pass
    for child in _children:
        end(child)
    os._exit(3)


def end(process) -> None:
    """End a process and what it has started."""
    try:
        if _WINDOWS:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, **_quiet())
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except (OSError, ProcessLookupError):
        pass


class _Held:
    """A file locked as long as the block runs; Failed when another process holds it. The system drops it with the process."""

    def __init__(self, path: str):
        self.path = path

    def __enter__(self):
        self.file = open(self.path, "a+b")
        try:
            if _WINDOWS:
                import msvcrt

                self.file.seek(0)
                msvcrt.locking(self.file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self.file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.file.close()
            raise Failed("Another Blender is installing the engine: wait for it to finish") from error

    def __exit__(self, *_):
        self.file.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="installer.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", required=True, help="of the environment")
    parser.add_argument("--lock", required=True, help="the pinned and hashed list of packages")
    parser.add_argument("--wheels", help="folder to take packages from")
    parser.add_argument("--online", action="store_true", help="the network may be asked")
    options = parser.parse_args()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        install(options.folder, options.lock, options.wheels, options.online)
    except Failed as failed:
        tell("error", message=str(failed))
        return 1
    except OSError as error:
        tell("error", message=f"The engine's folder “{options.folder}” cannot be written ({_brief(error)}): free some space")
        return 1
    tell("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
