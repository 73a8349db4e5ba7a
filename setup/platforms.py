# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that every locked package has a wheel for each platform; needs the network, and `uv` on PATH. Installs nothing.

platforms.py        a line for each list in requirements/ and platform; exit code 1 if one lacks a wheel
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCKS = Path(__file__).resolve().parent.parent / "requirements"
PLATFORMS = ("x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc", "aarch64-apple-darwin")
NEEDS_313 = ("bpy-5.2",)  # the others are for Python 3.11


def main() -> int:
    """Check every list on every platform, print a line for each; the exit code."""
    uv = shutil.which("uv")
    if uv is None:
        print("There is no uv on PATH: install it (pip install uv) and run this again", file=sys.stderr)
        return 1
    failed = False
    for lock in sorted(LOCKS.glob("*.txt")):
        for platform in PLATFORMS:
            with tempfile.TemporaryDirectory() as target:
                command = [
                    uv,
                    "pip",
                    "install",
                    "--dry-run",
                    "--quiet",
                    "--no-config",
                    "--no-deps",
                    "--require-hashes",
                    "--only-binary",
                    ":all:",
                    "--python-platform",
                    platform,
                    "--python-version",
                    "3.13" if lock.stem in NEEDS_313 else "3.11",
                    "--target",
                    target,
                    "-r",
                    str(lock),
                ]
                done = subprocess.run(command, capture_output=True, text=True)
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            print(
                f"{lock.stem:10} {platform:26} {'a wheel of every package' if done.returncode == 0 else lines[-1] if lines else 'failed'}",
                flush=True,
            )
            failed |= done.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
