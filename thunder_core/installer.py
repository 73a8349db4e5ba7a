# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the engine's packages into a separate virtual environment; a script for any Python,
standard library only.

    python installer.py --folder DIR --lock requirements/engine.txt

Reports its progress as JSON lines on stdout: {"event": "progress", "fraction": 0…1, "message":
str}, and last {"event": "done"} or {"event": "error", "message": str}. It ends when its stdin does,
because its parent may die. Its child processes (pip) end with it, however it ends. Another lock
updates a complete environment; the same one, or an interruption, makes it again from the downloads
that were kept. pip looks for packages where it is configured to. The folder must be new, empty, or
one that this script made: in any other it writes and removes nothing. Exit codes: 0 done, 1
failed, 2 wrong arguments, 3 stdin ended.
"""

import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import traceback
from typing import NamedTuple

_HERE = os.path.dirname(os.path.abspath(__file__))
if not __package__:  # run as a script, by a Python that does not know the package this file is in
    __package__ = os.path.basename(_HERE)
    sys.path.append(os.path.dirname(_HERE))

from . import files, system_calls  # noqa: E402
from .whisper import MODELS  # noqa: E402

OLDEST, NEWEST = (3, 11), (3, 13)  # Pythons that every locked package has wheels for
NEWEST_OF = {"mediapipe": (3, 12)}  # the newest that a package has wheels for, where it is older
# file in a complete environment: its lock and the time of installation
STAMP = "thunder-engine.json"
# folder of downloads in an unfinished environment, kept for the next attempt
DOWNLOADS = "thunder-downloads"
# file in the environment that its installer keeps locked; it marks the folder as ours
_LONGEST_STAMP = 2**20  # bytes of it that are read
LOCK = "thunder-installing"
# content of LOCK
MARK = (
    b"The engine of THUNDER for Blender was installed into this folder, which was empty before.\n"
)
ENVIRONMENT = (
    "bin",
    "etc",
    "include",
    "lib",
    "lib64",
    "share",
    "Include",
    "Lib",
    "Scripts",
    "pyvenv.cfg",
    ".gitignore",
    STAMP,
)
# everything that is ever removed from the folder; the rest is not touched
OURS = (*ENVIRONMENT, DOWNLOADS, LOCK, MODELS)
LINUX = sys.platform.startswith("linux")
STOPPED = "The installation was stopped: install again, downloads are kept"
_TICK = 0.25  # seconds between two updates of pip's progress
_WINDOWS = os.name == "nt"
# a line of the package list; further lines hold its hashes
_PINNED, _HASH = (
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==\S+",
    r"--hash=sha256:[0-9a-f]{64}\b",
)


class Size(NamedTuple):
    """Approximate size of an engine, bytes to download and on the disk, and minutes to install it
    at 100 Mbit/s, on two cores."""

    download: float
    disk: float
    minutes: int


# Wheels and what pip unpacks, measured on 24 November 2026. Only Linux's torch includes libraries
# for graphics cards.
PROCESSOR = Size(0.05e9, 0.17e9, 1)
WORDS = Size(0.1e9, 0.38e9, 1)
KANJI = Size(0.003e9, 0.024e9, 1)
FACES = Size(0.17e9, 0.56e9, 1)
CARD = Size(2.4e9, 4.0e9, 8) if LINUX else Size(0.2e9, 0.6e9, 2)
OF_PACKAGE = {  # that a list has
    "faster-whisper": WORDS, "mediapipe": FACES, "pykakasi": KANJI, "torch": CARD,
}  # fmt: skip


def packages_in(folder: str) -> list[str]:
    """The folders of packages in a virtual environment."""
    patterns = ("lib/python*/site-packages", "Lib/site-packages")
    return [
        path for each in patterns for path in glob.glob(os.path.join(glob.escape(folder), each))
    ]


class Failed(Exception):
    """An error for the user: what happened and what to do, one sentence."""


def report_event(event: str, **more) -> None:
    """Print an event as a JSON line."""
    try:
        print(json.dumps({"event": event, **more}), flush=True)
    except OSError:  # the reader is gone; the buffer must not fail again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def progress(fraction: float, message: str) -> None:
    """Report the installation's progress, 0 … 1, and its current step."""
    report_event("progress", fraction=round(min(1.0, max(0.0, fraction)), 4), message=message)


def python_in(folder: str) -> str:
    """Path of the Python in a virtual environment."""
    return (
        os.path.join(folder, "Scripts", "python.exe")
        if _WINDOWS
        else os.path.join(folder, "bin", "python")
    )


# ---- whose folder it is


def is_ours(folder: str) -> bool:
    """Whether a folder was made by this script: it holds our mark. Raises OSError."""
    path = os.path.join(folder, LOCK)
    if not files.is_plain_file(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(MARK)) == MARK


def remove_from(folder: str, names: tuple[str, ...]) -> None:
    """Remove files and folders of these names from a folder; of links only the links. Raises
    OSError."""
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)


def claim(folder: str) -> str:
    """The absolute path of a folder that is ours, or new or empty and therefore may become ours.
    Raises Failed, OSError."""
    if not folder.strip():
        raise Failed("No folder was named for the engine: name a new or an empty one")
    path = os.path.abspath(os.path.expanduser(folder))
    if os.path.lexists(path) and not os.path.isdir(path):
        raise Failed(f"“{path}” is not a folder: name a new or an empty one for the engine")
    if os.path.isdir(path) and not set(os.listdir(path)) <= {LOCK} and not is_ours(path):
        raise Failed(
            f"The folder “{path}” holds files that are not the engine's, and they stay as they "
            f"are: choose a new or an empty folder"
        )
    return path


# ---- in whichever Python makes it


def install(folder: str, lock: str) -> None:
    """Make or complete the environment at `folder`. Raises Failed, OSError."""
    names = _read_lock(lock)
    newest = min(NEWEST_OF.get(name, NEWEST) for name in names)
    if not OLDEST <= sys.version_info[:2] <= newest:
        raise Failed(
            f"The engine needs Python {_version_text(OLDEST)} to {_version_text(newest)}, and "
            f"“{sys.executable}” is "
            f"{_version_text(sys.version_info[:2])}: choose another Python in the preferences"
        )
    folder = claim(folder)
    stamp = os.path.join(folder, STAMP)
    is_complete = files.is_plain_file(stamp)
    progress(0.0, "Looking at what is there")
    os.makedirs(folder, exist_ok=True)
    with _locked(os.path.join(folder, LOCK)):
        size = next((OF_PACKAGE[name] for name in names if name in OF_PACKAGE), PROCESSOR)
        _check_space(folder, size.download + size.disk)  # both while pip unpacks
        if not (is_complete and _lock_in(stamp) != files.hash_of(lock) and _has_pip(folder)):
            progress(0.01, "Making a Python of its own")
            _make(folder)
        with contextlib.suppress(FileNotFoundError):
            os.remove(stamp)  # not complete any more
        _pip(folder, lock, len(names), size.download)
        complete = {
            "lock": files.hash_of(lock),
            "made": int(time.time()),
            "python": _version_text(sys.version_info[:3]),
        }
        files.write_file(stamp, json.dumps(complete))
        remove_from(folder, (DOWNLOADS,))
    progress(1.0, "Installed")


def _read_lock(lock: str) -> list[str]:
    """The names of the packages that a lock lists. Raises Failed for a damaged one."""
    try:
        with open(lock, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        raise Failed(
            f"The list of the engine's packages, “{lock}”, cannot be read "
            f"({files.reason_of(error)}): reinstall the extension"
        ) from error
    names = re.findall(_PINNED, text, re.M)
    if not names or len(re.findall(_HASH, text)) < len(names):
        raise Failed(
            f"The list of the engine's packages, “{lock}”, is damaged: reinstall the extension, "
            f"what is installed is kept"
        )
    return names


def _lock_in(stamp: str) -> str:
    """The hash of the lock from which a complete environment was made."""
    with files.open_input(stamp) as file:
        return json.loads(file.read(_LONGEST_STAMP))["lock"]


def _has_pip(folder: str) -> bool:
    """Whether the environment's Python runs and has pip."""
    command = [python_in(folder), "-I", "-m", "pip", "--version"]
    with _start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        return child.wait() == 0


def _version_text(version) -> str:
    """A version tuple as text."""
    return ".".join(map(str, version))


def _make(folder: str) -> None:
    """Make the virtual environment again, in place of a broken one. Raises Failed."""
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError as error:
        raise Failed(
            f"The Python at “{sys.executable}” lacks “{error.name}”, which makes virtual "
            f"environments: install it "
            "(Debian calls it python3-venv) or choose another Python in the preferences"
        ) from error
    try:
        remove_from(folder, ENVIRONMENT)  # downloads and the lock file stay
        venv.EnvBuilder(symlinks=not _WINDOWS).create(folder)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise Failed(
            f"No virtual environment can be made in “{folder}” ({files.reason_of(error)}): free "
            "some space or choose another Python in the preferences"
        ) from error
    # Not by EnvBuilder, whose ensurepip would outlive this process.
    with _start(
        [python_in(folder), "-I", "-m", "ensurepip", "--upgrade", "--default-pip"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **_temporary(folder)},
    ) as child:
        output = child.stdout.read().decode("utf-8", "replace").strip()
    if child.returncode:
        print(output, file=sys.stderr)
        raise Failed(
            f"No virtual environment can be made in “{folder}” "
            f"({output.splitlines()[-1][:160] if output else 'no pip'}): "
            "free some space or choose another Python in the preferences"
        )


def _temporary(folder: str) -> dict[str, str]:
    """Variables that let a process keep its temporary files in the environment's folder, so that a
    kill leaves no files elsewhere; those of an earlier process are removed. Raises OSError."""
    downloads = os.path.join(folder, DOWNLOADS)
    if os.path.islink(downloads):
        os.remove(downloads)  # its target is not ours
    path = os.path.join(downloads, "tmp")
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return {"TMPDIR": path, "TEMP": path, "TMP": path}


def _check_space(folder: str, needed: float) -> None:
    """Raise Failed if the disk has fewer bytes of space."""
    free = shutil.disk_usage(folder).free
    if free < needed * _scale():
        raise Failed(
            f"The engine needs {needed / 1e9:.1f} GB for a while and the disk of “{folder}” has "
            f"{free / 1e9:.1f} GB left: free some and install again"
        )


def _scale() -> float:
    """Factor of all expected sizes; a test with small packages sets another."""
    return float(os.environ.get("THUNDER_INSTALL_SCALE", "1"))


def _pip(folder: str, lock: str, count: int, download: float) -> None:
    """Let pip install the lock's packages, about so many and as many bytes, and report progress by
    the bytes on the disk. Raises Failed."""
    downloads, variables = os.path.join(folder, DOWNLOADS), _temporary(folder)
    temporary = variables["TMPDIR"]
    command = [
        python_in(folder),
        "-I",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--no-color",
        "--progress-bar",
        "off",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--cache-dir",
        os.path.join(downloads, "cache"),
        "-r",
        lock,
    ]
    with _start(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **variables, "PYTHONUTF8": "1"},
    ) as pip:
        lines = _follow(pip, folder, temporary, count, download)
    shutil.rmtree(temporary, ignore_errors=True)
    for line in lines:
        print(line, file=sys.stderr)
    if pip.returncode:
        raise Failed(why_failed(lines))


def _follow(pip, folder: str, temporary: str, count: int, download: float) -> list[str]:
    """Report pip's progress by the bytes on the disk until it ends; returns its last lines of
    output."""
    lines: list[str] = []
    doing = ["Asking for packages"]
    reading = threading.Thread(target=_read, args=(pip.stdout, lines, doing), daemon=True)
    reading.start()
    total = max(1.0, download * _scale())
    farthest = 0.02
    while pip.poll() is None:
        time.sleep(_TICK)
        if doing[0].startswith("Installing"):
            names = [name for each in packages_in(folder) for name in os.listdir(each)]
            installed = sum(name.endswith(".dist-info") for name in names)
            farthest = max(farthest, 0.75 + 0.23 * min(1.0, installed / count))
            message = f"Unpacking package {min(installed, count)} of {count}"
        else:
            downloaded = _bytes_in(temporary)
            farthest = max(farthest, 0.02 + 0.73 * min(1.0, downloaded / total))
            message = (
                f"{doing[0]} · {downloaded / 1e9:.2f} of about {total / 1e9:.1f} GB"
                if downloaded > 1e6
                else doing[0]
            )
        progress(farthest, message)
    reading.join(5.0)
    return lines


def _read(stream, lines: list, doing: list) -> None:
    """Collect pip's last lines of output, and its current step in `doing`."""
    for line in stream:
        lines.append(line.rstrip())
        del lines[:-300]
        if match := re.match(r"\s*(?:Collecting|Downloading|Using cached) ([A-Za-z0-9._]+)", line):
            doing[0] = f"Downloading {match[1]}"
        elif line.startswith("Installing collected"):
            doing[0] = "Installing"


def why_failed(lines: list) -> str:
    """pip's last words as a sentence for an animator."""
    text = "\n".join(lines)
    errors = [line for line in lines if line.startswith("ERROR")]
    last = (errors or lines or ["pip said nothing"])[-1].removeprefix("ERROR:").strip()[:200]
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in text:
        return (
            "A downloaded package is not the one that was locked: try again, and if it stays "
            "so, do not trust it or its server"
        )
    if "No space left" in text or "not enough space" in text:
        return "The disk is full: free some space and install again, downloads are kept"
    return (
        f"The packages could not be installed ({last}): check the connection and install again, "
        f"downloads are kept"
    )


def _bytes_in(folder: str) -> int:
    """Bytes of the wheels that pip has downloaded to be unpacked."""
    size = 0
    for root, _, names in os.walk(folder):
        if "pip-unpack" in root:
            for name in names:
                with contextlib.suppress(OSError):
                    size += os.path.getsize(os.path.join(root, name))
    return size


@contextlib.contextmanager
def _start(command: list[str], **options):
    """A process that ends with this one, however that ends, and with all that it started itself;
    waited for at the end."""
    child = system_calls.start_child(command, **options)
    try:
        yield child
        child.wait()
    finally:
        system_calls.end_child(child)


def _end_with_stdin() -> None:
    """End this process, and pip with it (`_start`), when the parent closes our stdin, or dies."""
    with contextlib.suppress(OSError):
        # not by sys.stdin: the interpreter aborts at its end while a thread holds its buffer in a
        # read
        while os.read(0, 4096):
            pass
    report_event("error", message=STOPPED)
    os._exit(3)


@contextlib.contextmanager
def _locked(path: str):
    """Mark the folder as ours by a file that is locked as long as the block runs; the system drops
    the lock with the process.

    Raises Failed while another process holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "r+b") as file:
        try:
            system_calls.lock(file.fileno())
        except OSError as error:
            raise Failed(
                "Another Blender is installing the engine: wait for it to finish"
            ) from error
        file.write(MARK)
        file.flush()
        yield


def main() -> int:
    """Run the script; returns its exit code."""
    parser = argparse.ArgumentParser(prog="installer.py", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--folder", required=True, help="of the environment: new, empty, or made by this script"
    )
    parser.add_argument("--lock", required=True, help="the pinned and hashed list of packages")
    options = parser.parse_args()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        install(options.folder, options.lock)
        report_event("done")
        return 0
    except Failed as failed:
        why = str(failed)
    except OSError as error:
        why = (
            f"The engine's folder “{options.folder}” cannot be written ({files.reason_of(error)}): "
            f"free some space or choose another"
        )
    except Exception as error:
        traceback.print_exc()
        why = (
            f"Installation failed ({type(error).__name__}: {files.reason_of(error)}): install "
            f"again, see the log"
        )
    report_event("error", message=why)
    return 1


if __name__ == "__main__":
    sys.exit(main())
