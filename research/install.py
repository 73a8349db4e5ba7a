# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the engine's installation: bytes to download, bytes on disk, seconds, and the largest
packages.

`python -m research install` downloads the wheels that requirements/engine.txt names for this system
and Python, installs them with the add-on's installer into a new temporary folder, prints the
table, and writes research/results/install.txt. The unpacked size of other systems' wheels is
measured with uv, if it is on PATH. Needs the network or a package index configured for pip, and
temporarily 10 GB; its folders are removed at the end.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections import Counter
from pathlib import Path

from research.harness import keep, RESULTS, ROOT
from thunder_core import installer

LOCK = ROOT / "requirements" / "engine.txt"
SHOWN = 12  # packages
ELSEWHERE = {
    "Linux": "x86_64-unknown-linux-gnu",
    "Windows": "x86_64-pc-windows-msvc",
    "Darwin": "aarch64-apple-darwin",
}


def seconds_of(command: list[str]) -> float:
    """Seconds that a command takes. Raises RuntimeError with the end of its output when it
    fails."""
    began = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        # stdin stays open: the installer ends when it is closed
        words = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{words[-2000:]}")
    return time.monotonic() - began


def bytes_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(
        path.lstat().st_size for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()
    )


def bytes_by_package(folder: Path) -> Counter:
    """Bytes on disk of each package in the environment at `folder`, by what its RECORD lists;
    NVIDIA's as one."""
    code = (
        "import json; from importlib import metadata as m; print(json.dumps([[d.name, "
        "str(f.locate())] "
        "for d in m.distributions() for f in d.files or []]))"
    )
    python = installer.python_in(str(folder))
    listed = json.loads(
        subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=True
        ).stdout
    )
    sizes: Counter = Counter()
    for name, file in listed:
        path = Path(file)
        if path.is_file():
            sizes["nvidia-* and cuda-*" if re.match("nvidia|cuda", name) else name] += (
                path.stat().st_size
            )
    return sizes


def measure() -> str:
    """Download and install the engine's packages; the table of what that took."""
    with tempfile.TemporaryDirectory(prefix="thunder_bench_") as place:
        wheels, engine = Path(place, "wheels"), Path(place, "engine")
        pip = [
            sys.executable,
            *"-m pip download --quiet --no-input --no-deps --require-hashes --only-binary :all:".split(),
        ]
        download = seconds_of([*pip, "-r", str(LOCK), "-d", str(wheels)])
        install = seconds_of(
            [
                sys.executable,
                "-I",
                installer.__file__,
                "--folder",
                str(engine),
                "--lock",
                str(LOCK),
                "--wheels",
                str(wheels),
            ]
        )
        disk = bytes_of(engine)
        lines = [
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, "
            f"requirements/engine.txt",
            "",
            f"download  {bytes_of(wheels) / 1e9:.2f} GB in {len(list(wheels.iterdir()))} wheels, "
            f"{download:.0f} s",
            f"disk      {disk / 1e9:.2f} GB",
            f"install   {install:.0f} s from the downloaded wheels",
            "",
            "of the disk, MB",
        ]
        packages = bytes_by_package(engine)
        lines += [f"{name:24}{size / 1e6:8.0f}" for name, size in packages.most_common(SHOWN)]
        return (
            "\n".join(
                [
                    *lines,
                    f"{'the rest':24}{(disk - sum(s for _, s in packages.most_common(SHOWN))) / 1e6:8.0f}",
                ]
            )
            + "\n"
        )


def sizes_elsewhere() -> str:
    """Bytes of the unpacked packages on other systems, a line each; nothing without uv."""
    uv, lines = shutil.which("uv"), []
    for system, target in ELSEWHERE.items():
        if uv is None or system == platform.system():
            continue
        with tempfile.TemporaryDirectory(prefix="thunder_bench_") as place:
            command = [
                uv,
                *"pip install --quiet --no-config --no-deps --require-hashes --only-binary :all:".split(),
            ]
            seconds_of(
                [
                    *command,
                    "--python-platform",
                    target,
                    "--python-version",
                    "3.11",
                    "--target",
                    place,
                    "-r",
                    str(LOCK),
                ]
            )
            lines.append(f"{target:26}{bytes_of(Path(place)) / 1e9:8.2f} GB\n")
    return "".join(["\nunpacked elsewhere, without pip\n", *lines]) if lines else ""


def run(args: Namespace) -> None:
    """Measure; print and write the table."""
    print(keep(RESULTS / "install.txt", (measure() + sizes_elsewhere()).splitlines()), end="")
