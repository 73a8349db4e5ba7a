# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's environment in the extension's user folder: its state, and installing it beside
Blender."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import bpy

from ...thunder_core import files, installer, system_calls
from ...thunder_core.errors import ThunderError
from ...thunder_core.text_files import read_text
from ...thunder_core.worker_process import environment, LineProcess, STOP_PATIENCE
from ..host import compat, jobs

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "engine.txt"
CARD_LOCK, RECOGNISE_LOCK, KANJI_LOCK, TRACKER_LOCK = (
    LOCK.with_name(f"{name}.txt") for name in ("card", "recognise", "kanji", "tracker")
)
_LONGEST_STAMP = 2**20  # bytes of what an installation notes of itself
LOOK_SECONDS = 0.25  # interval of updating the installation's progress
# Pythons tried if Blender's is not compatible
_POSSIBLE = ("python3.13", "python3.12", "python3.11", "python3", "python")


@dataclass(frozen=True)
class EnvironmentState:
    """Of the engine's environment.

    kind: ABSENT, UNFINISHED (an installation was interrupted), BROKEN (its Python is gone),
    OUTDATED (of an earlier version of this extension) or READY.  text: the same for an animator.
    versions: of Python and the packages that matter.
    """

    kind: str
    text: str
    versions: dict


def folder() -> str | None:
    """The environment's folder, which may not exist yet; None if this code is not an installed
    extension."""
    try:
        return os.path.join(bpy.utils.extension_path_user(compat.PACKAGE), "engine")
    except ValueError:
        return None


@dataclass(frozen=True)
class Component:
    """An environment that is installed by choice, beside the engine's.

    name: of its folder.  lock: list of its packages.  needs: its size.  newest: Python that these
    have wheels for.
    """

    name: str
    lock: Path
    needs: installer.Size
    newest: tuple[int, int] = installer.NEWEST

    def folder(self) -> str | None:
        """Its folder, which may not exist yet; None if this code is not an installed extension."""
        engine = folder()
        return None if engine is None else os.path.join(os.path.dirname(engine), self.name)

    def state(self) -> EnvironmentState:
        """Its state. Reads only the disk: fast enough for drawing."""
        return state(self.folder(), (self.lock,))

    def venvs(self) -> tuple[str, ...]:
        """Its folder if it is installed, for what looks for a Python."""
        return (self.folder() or "",) if self.state().kind in ("READY", "OUTDATED") else ()


RECOGNISER = Component("recogniser", RECOGNISE_LOCK, installer.WORDS)
KANJI = Component("kanji", KANJI_LOCK, installer.KANJI)
TRACKER = Component("tracker", TRACKER_LOCK, installer.FACES, installer.NEWEST_OF["mediapipe"])


def state(place: str | None = None, locks: tuple[Path, ...] = ()) -> EnvironmentState:
    """State of the environment at `place` (default: this extension's engine), made from one of
    these lists of packages (default: the engine's). Reads only the disk: fast enough for
    drawing."""
    place = place or folder()
    if place is None or not os.path.isdir(place) or not os.listdir(place):
        return EnvironmentState("ABSENT", "The engine is not installed", {})
    try:
        stamp = dict(json.loads(read_text(os.path.join(place, installer.STAMP), _LONGEST_STAMP)))
    except (OSError, ValueError, TypeError, RecursionError):
        return EnvironmentState("UNFINISHED", "The engine installation is incomplete", {})
    if not os.path.exists(installer.python_in(place)):
        return EnvironmentState(
            "BROKEN", "The Python that the engine was installed with was removed", {}
        )
    versions = {"python": stamp.get("python", ""), **versions_in(place)}
    if stamp.get("lock") not in {
        lock_hash(lock, lock.stat().st_mtime_ns) for lock in locks or (LOCK, CARD_LOCK)
    }:
        return EnvironmentState(
            "OUTDATED", "The engine belongs to an earlier version of the add-on", versions
        )
    return EnvironmentState("READY", "The engine is installed", versions)


@lru_cache(maxsize=4)
def lock_hash(lock: Path, changed: int) -> str:
    """Hash of a list of packages; `changed`: when the file was, so that the cache notices."""
    return files.hash_of(lock)


@lru_cache(maxsize=4)
def versions_in(place: str) -> dict:
    """Versions of an environment's packages that matter, from the names of what pip left."""
    packages = (info for each in installer.packages_in(place) for info in Path(each).iterdir())
    names = (info.name.removesuffix(".dist-info").partition("-") for info in packages)
    return {
        name: version
        for name, _, version in names
        if name in ("onnxruntime", "torch", "torchaudio", "numpy")
    }


def has(package: str) -> bool:
    """Whether a package is in this extension's environment: torch for graphics cards."""
    return package in state().versions


def size(needs: installer.Size) -> str:
    """The size of an environment as a phrase."""
    minutes = f"about {needs.minutes} minutes" if needs.minutes > 1 else "less than a minute"
    return f"{_amount(needs.disk)} of disk space, {minutes}"


def download(needs: installer.Size) -> str:
    """How much is downloaded for it, as a phrase."""
    return f"about {_amount(needs.download)} to download"


def _amount(count: float) -> str:
    """So many bytes as a phrase."""
    return f"{count / 1e9:.2g} GB" if count >= 0.05e9 else f"{count / 1e6:.0f} MB"


def may_download() -> bool:
    """Whether Blender lets add-ons use the network."""
    return bpy.app.online_access


def how_to_go_online() -> str:
    """How to let add-ons use the network in Blender, as the start of a sentence."""
    if bpy.app.online_access_override:  # the command line says more than the preferences
        return "Start Blender without --offline-mode"
    return "Turn on Allow Online Access in the System preferences"


# ---- installing


class Installation:
    """An installation in a separate process; a thread reads its progress."""

    def __init__(self, place: str, lock: str, newest: tuple[int, int] = installer.NEWEST) -> None:
        self.place, self.lock, self.newest = place, lock, newest
        self.fraction, self.message, self.error = 0.0, "Looking for a Python", ""
        self.over = self.stopped = False
        self.pace = jobs.Pace()
        self._process: LineProcess | None = None
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="thunder install", daemon=True)
        self._thread.start()

    @property
    def time_left(self) -> str:
        """The remaining time as text; "" while unknown."""
        return self.pace.time_left(self.fraction)

    def stop(self) -> None:
        """End it; downloads are kept. Returns at once, `over` is true soon after."""
        self.stopped = True
        with self._mutex:
            process = self._process
        if process is not None:
            threading.Thread(target=process.close, name="thunder install end", daemon=True).start()

    def wait(self, seconds: float | None = None) -> bool:
        """Block until it has ended, at most `seconds`; returns whether it has."""
        self._thread.join(seconds)
        return self.over

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # a bug must not leave the panel at “installing” for ever
            self.error = f"Installation failed ({type(error).__name__}: {error}): install again"
        finally:
            if self.stopped and self.fraction < 1.0:
                self.error = ""
            versions_in.cache_clear()
            self.over = True

    def _work(self) -> None:
        python, why = fitting_python(self.newest)
        if python is None:
            self.error = why
            return
        command = [python, "-I", installer.__file__, "--folder", self.place, "--lock", self.lock]
        with self._mutex:
            if self.stopped:
                return
            self._process = LineProcess(command, environment(""), STOP_PATIENCE)
        ended = False
        while (event := self._process.next()) is not None:
            if event["event"] == "progress":
                self.fraction, self.message = event["fraction"], event["message"]
                self.pace.note(self.fraction)
            else:
                ended = True
                self.error = event.get("message", "")
        self._process.close()
        if not ended and not self.stopped:
            self.error = "The installation was interrupted: install again, downloads are kept"


class _Installing(jobs.Part):
    """The current installation.  removal: the last one.  error: that of the last installation,
    shown in the preferences.  component: what that was of, None for the engine."""

    running: Installation | None = None
    removal: threading.Thread | None = None
    error: str = ""
    component: Component | None = None

    def close(self) -> None:
        """Stop the current installation and wait for its end."""
        if self.running is not None:
            self.running.stop()
            self.running.wait(STOP_PATIENCE + 1.0)
            self.running = None


installing = jobs.session.add(_Installing())


def begin(card: bool = False, component: Component | None = None) -> Installation:
    """Start installing, completing or repairing this extension's environment; the preferences show
    how far it is.

    card: with torch, for graphics cards, which an environment keeps that has it.  component:
    another environment, instead of the engine's.
    """
    lock = CARD_LOCK if card or has("torch") else LOCK
    place, newest = folder(), installer.NEWEST
    if component is not None:
        place, lock, newest = component.folder(), component.lock, component.newest
    installing.error, installing.component = "", component
    assert place is not None  # buttons are grey without it
    installing.running = Installation(place, str(lock), newest)
    if not bpy.app.background:
        _progress.start(LOOK_SECONDS)
    return installing.running


def _show_progress() -> float | None:
    """Let the panels show how far it is."""
    settle()
    jobs.redraw()
    return LOOK_SECONDS if is_busy() else None


_progress = jobs.Task(_show_progress, any_time=True, any_file=True)


def settle() -> bool:
    """Handle the end of an installation; returns whether none is running."""
    if installing.running is not None and installing.running.over:
        installing.error = installing.running.error
        installing.running = None
    return installing.running is None


def remove(place: str | None = None) -> None:
    """Remove the environment, or another at `place`, from the disk, and nothing else in its folder;
    a thread deletes the gigabytes. Raises ThunderError, OSError."""
    place = place or folder()
    if place is None or not os.path.isdir(place):
        return
    if not installer.is_ours(place):
        raise ThunderError(
            f"The folder “{place}” was not created by this add-on and is left alone: check what "
            f"is in it and delete it yourself"
        )
    Path(place, installer.STAMP).unlink(missing_ok=True)  # incomplete from now on
    installing.removal = threading.Thread(
        target=_remove_files, args=(place,), name="engine removal", daemon=True
    )
    installing.removal.start()
    if not bpy.app.background:
        _progress.start(LOOK_SECONDS)


def _remove_files(place: str) -> None:
    """In a thread; what cannot be removed stays, as of an incomplete installation."""
    with contextlib.suppress(OSError):
        installer.remove_from(place, installer.OURS)
        if not os.listdir(place):
            os.remove(place) if os.path.islink(place) else os.rmdir(place)
    versions_in.cache_clear()


def is_busy() -> bool:
    """Whether the environment is being installed or removed."""
    removal = installing.removal
    return installing.running is not None or (removal is not None and removal.is_alive())


# ---- the Python it is made with


def fitting_python(newest: tuple[int, int] = installer.NEWEST) -> tuple[str | None, str]:
    """A Python that can create the environment, at most `newest`, Blender's first; or None and a
    sentence on what is missing."""
    paths = [
        path if os.path.isabs(path) else system_calls.find_program(path)
        for path in (sys.executable, *_POSSIBLE)
    ]
    for path in dict.fromkeys(filter(None, paths)):
        answer = _ask(path)
        if (
            answer is not None
            and installer.OLDEST <= tuple(answer["version"]) <= newest
            and answer["venv"]
        ):
            return path, ""
    version, oldest, latest = (
        ".".join(map(str, each)) for each in (sys.version_info[:2], installer.OLDEST, newest)
    )
    return None, (
        f"Python {oldest} to {latest} with venv is needed, and Blender's own is {version}: install "
        f"any of these with its venv package, so that it is on the PATH when Blender starts, then "
        f"try again"
    )


def _ask(python: str) -> dict | None:
    code = (
        "import json, sys, importlib.util as u; print(json.dumps({'version': sys.version_info[:2], "
        "'venv': bool(u.find_spec('venv') and u.find_spec('ensurepip'))}))"
    )
    try:
        process = subprocess.run(
            [python, "-I", "-c", code],
            capture_output=True,
            text=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
            env=environment(""),
            **system_calls.new_group(),
        )
        return json.loads(process.stdout) if process.returncode == 0 else None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
