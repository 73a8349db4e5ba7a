# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs the engine's packages into a separate virtual environment; a script for any Python,
standard library only.

    python installer.py --folder DIR --lock requirements/engine.txt [--extra] [--wheels DIR]
    [--online]

Reports its progress as JSON lines on stdout: {"event": "progress", "fraction": 0…1, "message":
str}, and last {"event": "done"} or {"event": "error", "message": str}. It ends when its stdin does,
because its parent may die. Its child processes (pip) end with it, however it ends. Existing files
are kept, so that the same call resumes after an interruption and repairs damage. The folder must be
new, empty, or one that this script made: in any other it writes and removes nothing. With --extra
the lock lists a few packages to add to a complete engine. Exit codes: 0 done, 1 failed, 2 wrong
arguments, 3 stdin ended, 130 interrupted.
"""

import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import stat
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

OLDEST, NEWEST = (3, 11), (3, 13)  # Pythons that every locked package has wheels for
# file in a complete environment: its lock and the time of installation
STAMP = "thunder-engine.json"
# folder of downloads in an unfinished environment, kept for the next attempt
DOWNLOADS = "thunder-downloads"
# file in the environment that its installer keeps locked; it marks the folder as ours
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
OURS = (*ENVIRONMENT, DOWNLOADS, LOCK)
LINUX = sys.platform.startswith("linux")
STOPPED = "The installation was stopped: install again, downloads are kept"
# approximate size of each package of an extra, as a share of the engine for graphics cards
EXTRA_SHARE = 0.001
_TICK = 0.25  # seconds between two updates of pip's progress
INVENTORY = os.path.join(_HERE, "inventory.py")
_WINDOWS = os.name == "nt"
# format of the package list
_PINNED, _HASH = (r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[^\]]*\])?==[^\s;]+", r"sha256:[0-9a-f]{64}")


class Size(NamedTuple):
    """Approximate size of an engine, bytes to download and on the disk, and minutes to install it
    at 100 Mbit/s, on two cores."""

    download: float
    disk: float
    minutes: int

    @property
    def peak(self) -> float:
        """Disk space while pip unpacks, when both exist."""
        return self.download + self.disk


# Wheels and what pip unpacks, measured on 24 November 2026. Only Linux's torch includes libraries
# for graphics cards.
PROCESSOR = Size(0.05e9, 0.17e9, 1)
CARD = Size(2.4e9, 4.0e9, 8) if LINUX else Size(0.2e9, 0.6e9, 2)


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
    if not _is_file(path):
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


def _is_file(path: str) -> bool:
    """Whether the path is a regular file, not a link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


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


def install(folder: str, lock: str, wheels: str | None, online: bool, extra: bool = False) -> None:
    """Make or complete the environment at `folder`; with `extra` add the lock's few packages to it.
    Raises Failed, OSError."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise Failed(
            f"The engine needs Python {_version_text(OLDEST)} to {_version_text(NEWEST)}, and "
            f"“{sys.executable}” is "
            f"{_version_text(sys.version_info[:2])}: choose another Python in the preferences"
        )
    if wheels and not os.path.isdir(wheels):
        raise Failed(f"There is no folder of wheels at “{wheels}”: choose another")
    _check_lock(lock)
    folder = claim(folder)
    if extra and not _is_file(os.path.join(folder, STAMP)):
        raise Failed("The engine is not installed completely: install it first, then the extra")
    progress(0.0, "Looking at what is there")
    os.makedirs(folder, exist_ok=True)
    with _locked(os.path.join(folder, LOCK)):
        stamp = os.path.join(folder, STAMP)
        packages = _check(folder, lock)
        if (packages is None or packages["wanting"]) and not (wheels or online):
            raise Failed(
                "Packages are needed, the network may not be used, and no folder of wheels was "
                "named: allow online "
                "access, or choose a folder of wheels"
            )
        if packages is None and extra:
            raise Failed(
                "The engine's Python does not run: repair the engine first, then install the extra"
            )
        if packages is None:
            progress(0.01, "Making the engine's own Python")
            _make(folder)
            packages = _check(folder, lock)
            if packages is None:
                raise Failed(
                    f"The Python at “{sys.executable}” makes no virtual environment that has pip: "
                    f"choose another Python"
                )
        if packages["wanting"]:
            if os.path.lexists(stamp) and not extra:
                os.remove(stamp)  # not complete any more
            share = (
                EXTRA_SHARE * len(packages["wanting"])
                if extra
                else len(packages["wanting"]) / len(packages["needed"])
            )
            size = CARD if extra or "torch" in packages["needed"] else PROCESSOR
            _check_space(folder, share * size.peak)
            _pip(folder, packages, wheels, online, share * size.download)
            packages = _check(folder, lock)
            if packages is None or packages["wanting"]:
                missing = ", ".join(packages["wanting"][:4]) if packages else "pip"
                raise Failed(
                    f"Some packages are still missing ({missing}): install again, what is there "
                    f"is kept"
                )
        if not extra:
            complete = {
                "lock": files.hash_of(lock),
                "made": int(time.time()),
                "python": _version_text(sys.version_info[:3]),
            }
            files.write_file(stamp, json.dumps(complete))
        remove_from(folder, (DOWNLOADS,))
    progress(1.0, "The extra is installed" if extra else "The engine is installed")


def _check_lock(lock: str) -> None:
    """Refuse a damaged list of packages before anything is done by it. Raises Failed."""
    try:
        with open(lock, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        raise Failed(
            f"The list of the engine's packages, “{lock}”, cannot be read ({_brief(error)}): "
            f"reinstall the extension"
        ) from error
    lines = [line.partition("#")[0].strip() for line in text.replace("\\\n", " ").splitlines()]
    entries = [line.split("--hash=") for line in lines if line]
    if not entries or not all(
        hashes
        and re.match(_PINNED, package)
        and all(re.fullmatch(_HASH, each.strip()) for each in hashes)
        for package, *hashes in entries
    ):
        raise Failed(
            f"The list of the engine's packages, “{lock}”, is damaged: reinstall the extension, "
            f"what is installed is kept"
        )


def _version_text(version) -> str:
    """A version tuple as text."""
    return ".".join(map(str, version))


def _check(folder: str, lock: str) -> dict | None:
    """The output of inventory.py in the environment, None if it has no working Python or no pip.
    Raises Failed."""
    python = python_in(folder)
    if not os.path.exists(python):
        return None
    with _start([python, "-I", INVENTORY, lock], stdout=subprocess.PIPE) as child:
        answer = child.stdout.read()
    try:
        packages = json.loads(answer)
    except ValueError:
        return None
    if "failed" in packages:  # the environment may be intact: nothing is removed from it
        raise Failed(
            f"The engine's packages cannot be looked through ({packages['failed']}): try again, "
            f"or reinstall the "
            "extension; what is installed is kept"
        )
    return None if "broken" in packages else packages


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
            f"No virtual environment can be made in “{folder}” ({_brief(error)}): free some space "
            f"or choose "
            "another Python in the preferences"
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


def _brief(error) -> str:
    """The first line of an error."""
    text = str(getattr(error, "strerror", None) or error).strip()
    return text.splitlines()[0][:160] if text else type(error).__name__


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


def _pip(folder: str, packages: dict, wheels: str | None, online: bool, download: float) -> None:
    """Let pip install the missing packages, about `download` bytes, and report progress by the
    bytes on the disk. Raises Failed."""
    downloads, variables = os.path.join(folder, DOWNLOADS), _temporary(folder)
    temporary = variables["TMPDIR"]
    for known in _dists(folder):
        if not os.path.isfile(os.path.join(known, "RECORD")) and not os.path.islink(known):
            # pip would refuse to replace the package; without this it writes over its files
            shutil.rmtree(known)
    listed = os.path.join(downloads, "wanting.txt")
    with open(listed, "w", encoding="utf-8") as file:
        file.writelines(packages["lines"][name].rstrip() + "\n" for name in packages["wanting"])
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
        "--force-reinstall",
        "--only-binary",
        ":all:",
        "--cache-dir",
        os.path.join(downloads, "cache"),
        "-r",
        listed,
    ]
    if wheels:
        command += ["--find-links", wheels]
    if not online:
        command += ["--no-index"]
    environment = {**os.environ, **variables, "PYTHONUTF8": "1"}
    if not online:  # no user configuration may make it access the network either
        environment = {
            name: value for name, value in environment.items() if not name.startswith("PIP_")
        }
        environment["PIP_CONFIG_FILE"] = os.devnull
    with _start(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
    ) as pip:
        lines = _follow(pip, folder, temporary, packages, download)
    shutil.rmtree(temporary, ignore_errors=True)
    for line in lines:
        print(line, file=sys.stderr)
    if pip.returncode:
        raise Failed(why_failed(lines, wheels, online))


def _follow(pip, folder: str, temporary: str, packages: dict, download: float) -> list[str]:
    """Report pip's progress by the bytes on the disk until it ends; returns its last lines of
    output."""
    lines: list[str] = []
    doing = ["Asking for packages"]
    reading = threading.Thread(target=_read, args=(pip.stdout, lines, doing), daemon=True)
    reading.start()
    count = len(packages["needed"])
    total = max(1.0, download * _scale())
    farthest = 0.02
    while pip.poll() is None:
        time.sleep(_TICK)
        if doing[0].startswith("Installing"):
            installed = len(_dists(folder))
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
        line = line.rstrip()
        lines.append(line)
        del lines[:-300]
        if match := re.match(r"\s*(Collecting|Downloading|Processing|Using cached) (\S+)", line):
            name = re.split(r"[=<>-]", os.path.basename(match.group(2)))[0]
            doing[0] = (
                f"Downloading {name}" if match.group(1) != "Processing" else f"Reading {name}"
            )
        elif line.startswith("Installing collected"):
            doing[0] = "Installing"


def why_failed(lines: list, wheels: str | None, online: bool) -> str:
    """pip's last words as a sentence for an animator."""
    text = "\n".join(lines)
    errors = [line for line in lines if line.startswith("ERROR")]
    last = (errors or lines or ["pip said nothing"])[-1].removeprefix("ERROR:").strip()
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in text:
        return (
            "A downloaded package is not the one that was locked: try again, and if it stays "
            "so, do not trust it or its server"
        )
    if "No space left" in text or "not enough space" in text:
        return "The disk is full: free some space and install again, downloads are kept"
    unreachable = re.search(
        r"Connection|Temporary failure|timed? ?out|Max retries|SSLError|ProxyError|resolve", text
    )
    if ("No matching distribution" in text or "Could not find a version" in text) and not (
        online and unreachable
    ):
        name = re.search(r"(?:for|requirement) ([A-Za-z0-9._-]+)", last)
        what = f"“{name.group(1)}”" if name else "a package"
        if wheels:
            return (
                f"The folder “{wheels}” has no wheel of {what} for this system: add it to the "
                f"folder and install again"
            )
        return (
            f"There is no wheel of {what} for this system where pip looks: try again later, "
            f"or choose a folder of wheels that has it"
        )
    if unreachable:
        return (
            "The packages cannot be reached: check the connection and install again, "
            "downloads are kept"
        )
    return f"The packages could not be installed ({last[:200]}): install again, see the log"


def _dists(folder: str) -> list[str]:
    """The metadata folders of the installed packages."""
    pattern = ("Lib", "site-packages") if _WINDOWS else ("lib", "python*", "site-packages")
    return glob.glob(os.path.join(glob.escape(folder), *pattern, "*.dist-info"))


def _bytes_in(folder: str) -> int:
    """Bytes of the wheels that pip has downloaded to be unpacked."""
    size = 0
    for root, _, names in os.walk(folder):
        if "pip-unpack" in root:
            for name in names:
                with contextlib.suppress(OSError):
                    size += os.path.getsize(os.path.join(root, name))
    return size


_children: list = []  # processes that must not outlive this one


@contextlib.contextmanager
def _start(command: list[str], **options):
    """A process that ends with this one, however that ends, and with all that it started itself;
    waited for at the end."""
    child = system_calls.start_child(command, **options)
    _children.append(child)
    try:
        yield child
        child.wait()
    finally:
        system_calls.end_child(child)
        _children.remove(child)


def _end_with_stdin() -> None:
    """End pip and this process when the parent closes our stdin, or dies."""
    with contextlib.suppress(OSError):
        # not by sys.stdin: the interpreter aborts at its end while a thread holds its buffer in a
        # read
        while os.read(0, 4096):
            pass
    _kill_children()
    report_event("error", message=STOPPED)
    os._exit(3)


def _kill_children() -> None:
    for child in list(_children):
        system_calls.kill_group(child)


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


_interrupted: list = []  # signals received: an exception raised in a destructor, say, would be lost


def _interrupt(number, frame) -> None:
    """End the running processes and stop; `main` also checks _interrupted."""
    _interrupted.append(number)
    _kill_children()
    raise KeyboardInterrupt


def main() -> int:
    """Run the script; returns its exit code."""
    parser = argparse.ArgumentParser(prog="installer.py", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--folder", required=True, help="of the environment: new, empty, or made by this script"
    )
    parser.add_argument("--lock", required=True, help="the pinned and hashed list of packages")
    parser.add_argument(
        "--extra",
        action="store_true",
        help="the list's packages are added to a complete environment",
    )
    parser.add_argument("--wheels", help="folder to take packages from")
    parser.add_argument("--online", action="store_true", help="the network may be asked")
    options = parser.parse_args()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    why = ""
    try:
        install(options.folder, options.lock, options.wheels, options.online, options.extra)
    except Failed as failed:
        why = str(failed)
    except OSError as error:
        why = (
            f"The engine's folder “{options.folder}” cannot be written ({_brief(error)}): free "
            f"some space or choose another"
        )
    except KeyboardInterrupt:
        pass
    except Exception as error:
        traceback.print_exc()
        why = (
            f"Installation failed ({type(error).__name__}: {_brief(error)}): install again, "
            f"see the log"
        )
    if _interrupted:  # also where it failed because its process was ended
        report_event("error", message=STOPPED)
        return 130
    if why:
        report_event("error", message=why)
        return 1
    report_event("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
