# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at what jobs name before they are baked: which Blender saved a scene, and which sound files
the engine refuses.

The header of a .blend file is read without Blender, which refuses the files of much newer ones.
Sounds are judged by the engine's Python (thunder_core/engine/speech/audio.py).
"""

import importlib
import io
import json
import os
import re
import subprocess
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from .. import system_calls
from ..engine_python import ROOT

# ---- headers of scenes

_ZSTANDARD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
_START = 1 << 18  # bytes read of a compressed file: its first block and more
# Until Blender 4.5 “BLENDER-v405”, from 5.0 on “BLENDER17-01v0500” with the sizes of the header and
# of its format.
_HEADER = re.compile(rb"BLENDER(?:[-_][vV](\d)(\d\d)|\d\d-\d\dv(\d\d)(\d\d))")
READS_LONG = (4, 5)  # first Blender that reads the header of 5.0


@dataclass(frozen=True)
class Header:
    """version: (major, minor) of the Blender that saved the file.  is_long: whether it is a header
    of Blender 5.0 or newer."""

    version: tuple[int, int]
    is_long: bool = False

    def refusal(
        self, name: str, running: tuple[int, int], allow_newer: bool = False, opens: bool = True
    ) -> str:
        """The reason why a Blender of the version `running` should not or cannot bake in the file;
        "" if it can.

        name: of the file.  allow_newer: bake in a newer file if it can be opened.  opens: False if
        opening it has failed.
        """
        can_open = opens and (not self.is_long or running >= READS_LONG)
        if self.version <= running or (allow_newer and can_open):
            return ""
        major, minor = self.version
        this = ".".join(map(str, running))
        otherwise = ", or use --allow-newer" if can_open else ""
        return (
            f"“{name}” was saved by a newer Blender ({major}.{minor}, this is {this}): bake "
            f"with Blender {major}.{minor} or newer{otherwise}"
        )


def read_header(path: str) -> Header | None:
    """The header of a file; None if it cannot be read or is none of a .blend file."""
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
    except OSError:
        return None
    match = _HEADER.match(_decompress(start))
    if match is None:
        return None
    is_long = match[3] is not None
    return Header(
        (int(match[3]), int(match[4])) if is_long else (int(match[1]), int(match[2])), is_long
    )


def _zstandard(file: BinaryIO) -> BinaryIO:
    """The content of a file compressed with Zstandard. Raises ImportError where no module can read
    it: Blender brings `zstandard`, and Python has one since 3.14."""
    try:
        return importlib.import_module("zstandard").ZstdDecompressor().stream_reader(file)
    except ImportError:
        return importlib.import_module("compression.zstd").ZstdFile(file)


def _decompress(start: bytes) -> bytes:
    """The beginning of a file's content. start: of the file, compressed or not."""
    try:
        if start.startswith(_ZSTANDARD):
            return _zstandard(io.BytesIO(start)).read(64)
        if start.startswith(_GZIP):
            return zlib.decompressobj(31).decompress(start, 64)
    except Exception:  # damaged, or no such module
        return b""
    return start


# ---- sounds

# seconds for all files; what has not been checked by then is noticed when it is baked
LONGEST = 60.0
_CHECK = f"{__package__.split('.')[-2]}.engine.speech.audio"


def sound_problems(python: str, paths: Iterable[str]) -> dict[str, str]:
    """Path → the reason, one sentence, of each file that the engine refuses. python: the engine's.
    Files not judged are left out."""
    asked = sorted(set(paths))
    if not asked:
        return {}
    try:
        done = subprocess.run(
            [python, "-m", _CHECK],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=LONGEST,
            env={**os.environ, "PYTHONPATH": ROOT, "PYTHONUTF8": "1"},
            **system_calls.new_group(),
        )
        answer = done.stdout
    except subprocess.TimeoutExpired as error:
        answer = error.stdout or b""
    except OSError:  # which the bake then reports in full
        return {}
    answers = {}
    for line in answer.decode("utf-8", "replace").splitlines():
        try:
            path, reason = json.loads(line)
            answers[path] = reason
        except ValueError:  # cut off at the end of the time, or not ours
            continue
    return {path: reason for path, reason in answers.items() if path in asked}
