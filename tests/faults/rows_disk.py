# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of faults: disks that are full, that take no more files, or may not be
written."""

import contextlib
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from harness import Case, Fault, maker, SAMPLE


@maker
def disk(
    folder, kilobytes: int = 512, inodes: int = 0, fill: bool = False, read_only: bool = False
):
    """Makes a disk of its own below the case's folder, with a file of the animator's on it; skips
    where none may be made."""
    place = folder / "disk"
    place.mkdir()
    if _run(
        "mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,nr_inodes={inodes}", "tmpfs", str(place)
    ):
        pytest.skip("only root, on Linux and with mount, may make the small disk this row fills")
    (place / "shot.txt").write_text("work of months")
    if fill:
        with contextlib.suppress(OSError), open(place / "filled", "wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass
    if read_only:
        _run("mount", "-o", "remount,ro", str(place))
    return place


def _run(*command) -> int:
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode
    except OSError:
        return 1


def unmount(folder: Path) -> None:
    """Take away the disk of a case, if it has one."""
    if os.path.ismount(folder / "disk"):
        _run("umount", "-l", str(folder / "disk"))


def transaction(case: Case):
    from thunder_core.files import Transaction

    with Transaction(str(case.given / "out")) as out:
        out.write("report.json", "x" * 400_000)
        out.write("take_01.npz", b"\0" * 400_000)


def replaced(case: Case):
    from thunder_core.files import Transaction

    with Transaction(str(case.given), force=True) as out:
        out.write("shot.txt", "y" * 900_000)


def checked(case: Case):
    from thunder_core.files import Transaction

    Transaction(str(case.given / "out")).check(["report.json"])


def array(case: Case):
    """An array for the worker, from a client whose temporary folder is on the disk."""
    import tempfile
    from unittest import mock

    from thunder_core.client import Client

    with mock.patch.object(tempfile, "tempdir", str(case.given)):
        client = Client()
        try:
            return client.put_array(np.zeros((9000, 53)))
        finally:
            client.stop()


def takes(case: Case):
    return case.session.client.request(
        "generate", sound=str(SAMPLE), takes=1, seed=1, steps=1, folder=str(case.given)
    ).wait(timeout=120)


_DISKS = {
    "full": disk(fill=True),
    "too small": disk(256),
    "without room for more files": disk(inodes=2),
    "that may not be written": disk(read_only=True),
}
_DOORS = [
    ("files of a bake", transaction, "NoSpace", "cannot be written"),
    ("an array for the engine", array, "NoSpace", "space|temporary folder"),
]

ROWS = [
    Fault("disk", f"{what} on a disk {kind}", make, act, error, says)
    for kind, make in _DISKS.items()
    for what, act, error, says in _DOORS
]
ROWS += [
    Fault(
        "disk",
        "a file replaced on a disk too small for both",
        disk(),
        replaced,
        "NoSpace",
        "cannot be written",
    ),
    Fault(
        "disk",
        "a disk that may not be written, before any work",
        disk(read_only=True),
        checked,
        "NoSpace",
        "cannot be written",
    ),
    Fault(
        "disk",
        "a disk without room for more files, before any work",
        disk(inodes=2),
        checked,
        "NoSpace",
        "cannot be written",
    ),
    Fault(
        "disk",
        "takes on a full disk",
        disk(fill=True),
        takes,
        "NoSpace",
        "space",
        leaves=("*.npy",),
    ),
]
