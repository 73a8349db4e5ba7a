# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins and hashes the lists of requirements/; needs the network, and `uv` on PATH. Installs nothing.

Usage: `lock.py [LIST …]` makes X.txt from X.in; without LIST all of them. Versions that still fit are kept.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

LISTS = Path(__file__).resolve().parent.parent / "requirements"
ORDER = ("engine", "card", "waveform", "develop", "flame", "test", "cluster")  # a later list is constrained by the earlier ones
NEEDS_313 = ("bpy-5.2",)  # the others are for Python 3.11
# triton (0.6 GB) compiles models for graphics cards by torch.compile, which the engine never uses; cuSOLVER (0.2 GB) is loaded when
# torch.linalg is used on such a card, which nothing here does. The packages required by smplx, torch and numpy, are the engine's.
_LEFT_OUT = ["--no-emit-package", "triton", "--no-emit-package", "nvidia-cusolver"]
MORE = {"card": _LEFT_OUT, "waveform": _LEFT_OUT, "flame": ["--no-deps"]}

# Blender has numpy. onnxruntime names the others and imports none of them to run networks; cffi's compiled half needs no parser of C.
MORE["package"] = [
    argument for name in ("numpy", "flatbuffers", "packaging", "protobuf", "pycparser") for argument in ("--no-emit-package", name)
]


def command(uv: str, name: str) -> list[str]:
    """The command that makes the lock of a list, run in the lists' folder because the lock names its sources relative to it."""
    return [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--generate-hashes",
        "--no-header",
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--python-version",
        "3.13" if name in NEEDS_313 else "3.11",
        *MORE.get(name, []),
        f"{name}.in",
        "--output-file",
        f"{name}.txt",
    ]


def main() -> int:
    """Lock the requested lists; the exit code."""
    uv = shutil.which("uv")
    if uv is None:
        print("There is no uv on PATH: install it (pip install uv) and run this again", file=sys.stderr)
        return 1
    names = sys.argv[1:] or [*ORDER, "package", *sorted(path.stem for path in LISTS.glob("bpy-*.in"))]
    for name in names:
        if subprocess.run(command(uv, name), cwd=LISTS).returncode:
            print(f"requirements/{name}.in could not be locked", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
