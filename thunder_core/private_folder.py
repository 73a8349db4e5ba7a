# SPDX-License-Identifier: GPL-3.0-or-later
"""The private temporary folder that a client and its worker share, and the removal of temporary
folders that are surely ours."""

import contextlib
import glob
import os
import re
import shutil
import stat
import tempfile
import time

from . import system_calls

PREFIX = "thunder-"  # prefix of the folders under the system's temporary folder
PRIVATE = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")  # names that mkdtemp creates
# file that a running client keeps locked; the system releases the lock with the process
LOCK = "in-use"
# name of the temporary folder that each Blender creates for itself
BLENDER_SESSION = re.compile(r"blender_[A-Za-z0-9]{6}")
YOUNG = 10.0  # seconds; the client of a newer folder may be about to lock it


class PrivateFolder:
    """A folder only this user can read (mode 0700), until `remove`. Raises OSError when it cannot
    be made.

    path: where it is; `restore` may change it.
    """

    def __init__(self):
        self._make()

    def _make(self) -> None:
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        try:
            self._lock = _lock(os.path.join(self.path, LOCK))
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def restore(self) -> None:
        """To be called before each use. Makes the folder again, empty, if somebody cleaned it away:
        at the same path, or at another one if what is there now is not a folder of this user alone.
        Raises OSError."""
        with contextlib.suppress(OSError):
            if _is_private(self.path, PRIVATE):
                return
        self._lock.close()
        try:
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            self._make()
        else:
            self._lock = _lock(os.path.join(self.path, LOCK))

    def remove(self) -> None:
        """Remove the folder with all its files."""
        self._lock.close()
        with contextlib.suppress(OSError):
            if _is_private(self.path, PRIVATE):
                shutil.rmtree(self.path, ignore_errors=True)


def sweep() -> None:
    """Removes the private folders of clients that died without doing it."""
    for folder in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), f"{PREFIX}*")):
        with contextlib.suppress(OSError):
            if time.time() - os.lstat(folder).st_mtime >= YOUNG and is_orphaned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def remove_if_orphaned(folder: str | None, patience: float = 0.0) -> None:
    """Removes `folder` as soon as its client is dead, waiting `patience` seconds for that."""
    end = time.monotonic() + patience
    while folder and os.path.isdir(folder):
        if is_orphaned(folder):
            os.chdir(os.path.dirname(folder))  # Windows cannot remove a process's current folder
            shutil.rmtree(folder, ignore_errors=True)
            return
        if time.monotonic() >= end:
            return
        time.sleep(0.05)


def is_orphaned(folder: str) -> bool:
    """Whether `folder` is a private folder of this user whose client is dead: its lock is free."""
    path = os.path.join(folder, LOCK)
    with contextlib.suppress(OSError):
        if _is_private(folder, PRIVATE) and stat.S_ISREG(os.lstat(path).st_mode):
            _lock(path).close()
            return True
    return False


def remove_blender_session(folder: str) -> None:
    """Remove the temporary folder of this process's Blender, which Blender as a Python module
    leaves behind.

    folder: bpy.app.tempdir. If Blender could not make a private folder, that is the shared folder
    for temporary files, which has another name and is left alone.
    """
    folder = os.path.abspath(folder)
    with contextlib.suppress(OSError):
        if _is_private(folder, BLENDER_SESSION):
            shutil.rmtree(folder)


def _is_private(folder: str, name: re.Pattern) -> bool:
    """Whether a path is a folder (no link) of such a name that this user alone can read, as mkdtemp
    makes them."""
    status = os.lstat(folder)
    if not (
        name.fullmatch(os.path.basename(os.path.abspath(folder)))
        and stat.S_ISDIR(status.st_mode)
        and not getattr(status, "st_reparse_tag", 0)  # a junction of Windows
    ):
        return False
    return system_calls.WINDOWS or (
        system_calls.is_mine(status) and stat.S_IMODE(status.st_mode) == 0o700
    )


def _lock(path: str):
    """Opens `path` and takes its lock; OSError when another process or object holds it."""
    file = open(path, "a+b")
    try:
        file.seek(0)
        system_calls.lock(file.fileno())
    except OSError:
        file.close()
        raise
    return file
