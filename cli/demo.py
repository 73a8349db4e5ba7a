# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole path in one command (`make demo`): bakes a voice, the sample if none is named, with
takes on the bundled head, a film and a contact sheet of them, and what the best take says.

`python demo.py -- --audio a.wav --out out/demo` in a Python that has bpy, or `blender -b --python
demo.py -- …`; the other options are those of bake.py.
"""

import argparse

from ..thunder_core import shipped
from . import bake, batch
from .script import run

_VOICE = ("--audio", str(shipped.SAMPLE), "--transcript", shipped.SAMPLE_TEXT)
_USUAL = (
    "--takes=8", "--seed=1", "--fps=25", "--pack", "--outputs=blend,npz,video,speech,sheet",
    "--out=out/demo",
)  # fmt: skip


def options(arguments: list[str]) -> argparse.Namespace:
    """The command line's options, with what a demonstration has where they say nothing; ends the
    process with code 2 if one is wrong."""
    is_named = any(each.partition("=")[0] == "--audio" for each in arguments)
    return bake.options([*_USUAL, *(() if is_named else _VOICE), *arguments], "demo.py")


def main() -> None:
    """Run this script: exit code 0, or 1 after one sentence on stderr."""
    run("demo.py", options, batch.start)
