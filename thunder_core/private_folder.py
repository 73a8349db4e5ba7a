# SPDX-License-Identifier: GPL-3.0-or-later
"""The private temporary folder that a client and its worker share, and how nobody's is left behind after a crash."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time

PREFIX = "thunder-"  # of the folders' names under the system's temporary folder
LOCK = "in-use"  # file in each that its client keeps locked while it lives; the system drops the lock with the process
YOUNG = 10.0  # seconds; the client of a folder this new may be just about to lock it


class PrivateFolder:
    """A folder only this user can read (mode 0700), at `path` until `remove`. Raises OSError when it cannot be made."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        try:
            self._lock = _lock(os.path.join(self.path, LOCK))
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def remove(self) -> None:
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def sweep() -> int:
    """Removes the private folders of clients that died without doing it; returns how many."""
    removed = 0
    parent = tempfile.gettempdir()
    try:
        names = [name for name in os.listdir(parent) if name.startswith(PREFIX)]
    except OSError:
        return 0
    for name in names:
        folder = os.path.join(parent, name)
        try:
            age = time.time() - os.lstat(folder).st_mtime
        except OSError:
            continue
        if age >= YOUNG and is_orphaned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def remove_if_orphaned(folder: str | None, patience: float = 0.0) -> bool:
    """Removes `folder` as soon as its client is dead, waiting `patience` seconds for that; True when removed."""
    end = time.monotonic() + patience
    while folder and os.path.isdir(folder):
        if is_orphaned(folder):
            os.chdir(os.path.dirname(folder))  # Windows removes no folder that a process stands in
            shutil.rmtree(folder, ignore_errors=True)
            return True
        if time.monotonic() >= end:
            break
        time.sleep(0.05)
    return False


def is_orphaned(folder: str) -> bool:
    """Whether `folder` is a private folder of this user whose client is dead: nobody holds its lock any more."""
    path = os.path.join(folder, LOCK)
    try:
        found = os.lstat(folder)
        ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        if not (stat.S_ISDIR(found.st_mode) and ours and stat.S_ISREG(os.lstat(path).st_mode)):
            return False
        _lock(path).close()
        return True
    except OSError:
        return False


def _lock(path: str):
    """Opens `path` and takes its lock; OSError when another process or object holds it."""
    file = open(path, "a+b")
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
