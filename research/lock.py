# SPDX-License-Identifier: GPL-3.0-or-later
"""Pins and hashes the lists of requirements/; needs the network, and `uv` on PATH. Installs
nothing.

Makes X.txt from X.in; without a name all of them. Versions that still fit are kept.
"""

import argparse
import shutil
import subprocess
import sys

from research.harness import ROOT

LISTS = ROOT / "requirements"
# a later list is constrained by the earlier ones
ORDER = (
    "engine", "card", "waveform", "develop", "flame", "test", "recognise", "kanji", "cluster",
    "guides", "tracker",
)  # fmt: skip
# triton (0.6 GB) compiles models for graphics cards by torch.compile, which the engine never uses;
# cuSOLVER (0.2 GB) is loaded when torch.linalg is used on such a card, which nothing here does. The
# packages required by smplx, torch and numpy, are the engine's.
_LEFT_OUT = ["--no-emit-package", "triton", "--no-emit-package", "nvidia-cusolver"]
MORE = {"card": _LEFT_OUT, "waveform": _LEFT_OUT, "flame": ["--no-deps"]}
# faster-whisper's voice detector alone needs these, and downloads go without hf-xet, too.
MORE["recognise"] = [
    argument
    for name in ("onnxruntime", "flatbuffers", "protobuf", "hf-xet")
    for argument in ("--no-emit-package", name)
]
# MediaPipe follows faces without what it needs for other tasks, or a window.
MORE["tracker"] = [
    argument
    for name in (
        "opencv-contrib-python", "jax", "jaxlib", "ml-dtypes", "opt-einsum", "sentencepiece",
        "sounddevice", "cffi", "pycparser",
    )
    for argument in ("--no-emit-package", name)
]  # fmt: skip

# Blender has numpy. onnxruntime names the others and imports none of them to run networks; cffi's
# compiled half needs no parser of C.
MORE["package"] = [
    argument
    for name in ("numpy", "flatbuffers", "packaging", "protobuf", "pycparser")
    for argument in ("--no-emit-package", name)
]


def python_of(name: str) -> str:
    """The Python that a list is for."""
    return "3.13" if name in ("bpy-5.2", "bpy-5.3") else "3.11"


def make_lock(uv: str, name: str) -> bool:
    """Make the lock of a list; whether that went well. Run in the lists' folder because the lock
    names its sources relative to it."""
    command = [
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
        python_of(name),
        *MORE.get(name, []),
        f"{name}.in",
        "--output-file",
        f"{name}.txt",
    ]
    if subprocess.run(command, cwd=LISTS).returncode == 0:
        return True
    print(f"requirements/{name}.in could not be locked", file=sys.stderr)
    return False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the names of the lists."""
    parser.add_argument("names", nargs="*", metavar="LIST", help="as engine, card (all)")


def run(args: argparse.Namespace) -> int:
    """Lock the requested lists; the exit code."""
    uv = shutil.which("uv")
    if uv is None:
        print(
            "There is no uv on PATH: install it (pip install uv) and run this again",
            file=sys.stderr,
        )
        return 1
    names = args.names or [*ORDER, "package", *sorted(path.stem for path in LISTS.glob("bpy-*.in"))]
    return int(not all(make_lock(uv, name) for name in names))
