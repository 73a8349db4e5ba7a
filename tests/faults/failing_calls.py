# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets the k-th call that touches a file fail: of all opens, writes, flushes, renames, new folders
and new processes.

In a test: `with FailingCalls(k, folder) as calls: …; calls.failed` tells whether there was a k-th
call. In a program that is not changed for it: `python failing_calls.py K FOLDER script.py arguments
…` runs the script with the k-th call failing; on stderr it says at the end how many calls there
were.
"""

from __future__ import annotations

import builtins
import errno
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

ERRORS = {
    "open": errno.ENOSPC,
    "write": errno.ENOSPC,
    "flush": errno.EIO,
    "rename": errno.EACCES,
    "folder": errno.ENOSPC,
    "process": errno.EAGAIN,
}


class FailingCalls:
    """While it is entered, the k-th call fails that concerns a file below `folder`, or starts a
    process.

    k counts from 1; 0 only counts.  calls: what was called so far, (kind, name of the file).
    failed: the k-th, once it came.
    """

    def __init__(self, k: int, folder: str | os.PathLike):
        self.k, self.folder = k, os.path.realpath(folder)
        self.calls: list[tuple[str, str]] = []
        self.failed: tuple[str, str] | None = None
        self._patches: list = []

    def __enter__(self) -> FailingCalls:
        for owner, name, replacement in (
            (builtins, "open", self._open),
            (io, "open", self._open),
            (os, "open", self._counted("open", os.open)),
            (os, "write", self._by_handle("write", os.write)),
            (os, "fsync", self._by_handle("flush", os.fsync)),
            *(
                (os, name, self._counted("rename", getattr(os, name)))
                for name in ("replace", "rename", "link", "symlink")
            ),
            (os, "mkdir", self._counted("folder", os.mkdir)),
            (subprocess, "Popen", self._popen()),
        ):
            self._patches.append(mock.patch.object(owner, name, replacement))
            self._patches[-1].start()
        return self

    def __exit__(self, *_) -> None:
        while self._patches:
            self._patches.pop().stop()

    def count(self, kind: str, path) -> None:
        """Note a call; raises OSError if it is the one that shall fail."""
        if isinstance(path, int) or (kind != "process" and not self._is_inside(path)):
            return
        self.calls.append((kind, os.path.basename(os.fsdecode(path))))
        if len(self.calls) == self.k:
            self.failed = self.calls[-1]
            raise OSError(ERRORS[kind], os.strerror(ERRORS[kind]), os.fspath(path))

    def _is_inside(self, path) -> bool:
        whole = os.path.join(
            os.path.realpath(os.path.dirname(os.fsdecode(path)) or "."),
            os.path.basename(os.fsdecode(path)),
        )
        return whole == self.folder or whole.startswith(self.folder + os.sep)

    def _counted(self, kind, original):
        def call(path, *args, **options):
            self.count(kind, path)
            if kind == "rename" and args and not self._is_inside(path):
                self.count(kind, args[0])
            return original(path, *args, **options)

        return call

    def _by_handle(self, kind, original):
        def call(handle, *args):
            path = self._path_of(handle)
            if path:
                self.count(kind, path)
            return original(handle, *args)

        return call

    @staticmethod
    def _path_of(handle) -> str:
        try:
            return os.readlink(
                f"/proc/self/fd/{handle if isinstance(handle, int) else handle.fileno()}"
            )
        except OSError:
            return ""

    def _popen(self):
        calls = self

        class Popen(subprocess.Popen):
            def __init__(self, args, *more, **options):
                calls.count("process", args if isinstance(args, str) else os.fspath(args[0]))
                super().__init__(args, *more, **options)

        return Popen

    def _open(
        self,
        file,
        mode="r",
        buffering=-1,
        encoding=None,
        errors=None,
        newline=None,
        closefd=True,
        opener=None,
    ):
        """As the builtin, but what is written to the file's handle is counted."""
        path = self._path_of(file) if isinstance(file, int) else file
        if not path or not self._is_inside(path) or opener is not None:
            return _ORIGINAL_OPEN(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if not isinstance(file, int):
            self.count("open", path)
        if not any(letter in mode for letter in "wax+"):
            return _ORIGINAL_OPEN(file, mode, buffering, encoding, errors, newline, closefd)
        raw = _CountedFile(self, path, file, mode.replace("b", "").replace("t", ""), closefd)
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)


_ORIGINAL_OPEN = io.open


class _CountedFile(io.FileIO):
    def __init__(self, calls: FailingCalls, path, file, mode, closefd):
        self._calls, self._named = calls, path
        super().__init__(file, mode, closefd)

    def write(self, data):
        self._calls.count("write", self._named)
        return super().write(data)


def sample(count: int, wanted: int | None) -> list[int]:
    """Which of `count` calls are to fail: all of them, or so many evenly, the first and the last
    among them."""
    if wanted is None or wanted >= count:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (wanted - 1)) for i in range(wanted)})


def is_whole(folder: Path, takes: int) -> bool:
    """Whether a folder holds a complete bake of so many takes and nothing else."""
    from thunder_core import files

    try:
        listed = json.loads((folder / files.MANIFEST).read_text(encoding="utf-8"))
        hashes = next(value for value in listed.values() if isinstance(value, dict))
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, StopIteration):
        return False
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != files.MANIFEST
    }
    return there == hashes and len(report["takes"]) == takes == sum(
        name.endswith(".npz") for name in there
    )


def main() -> None:
    import runpy

    k, folder, script, *arguments = sys.argv[1:]
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    calls = FailingCalls(int(k), folder)
    try:
        with calls:
            runpy.run_path(script, run_name="__main__")
    finally:
        print(f"calls: {len(calls.calls)}, failed: {calls.failed}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
