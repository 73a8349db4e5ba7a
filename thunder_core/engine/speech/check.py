# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds sound files that cannot be used, quickly: `python -m thunder_core.engine.speech.check`, with paths as a JSON list on stdin.

Prints a line [path, sentence] for each file that the engine would refuse. Most files are judged by their header and first samples;
the others are read as the engine reads them.
"""

from __future__ import annotations

import json
import os
import sys

# Files within these bounds are not read to their end. Wider ones may be right too: the engine's own reader decides.
SECONDS, RATES = (1.0, 3000.0), (8000, 192000)
START = 16000  # samples read of a file


def is_plain(path: str) -> bool:
    """Whether a file's header and first samples leave no doubt that it is a sound of usual length."""
    import numpy as np
    import soundfile

    try:
        with soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path)) as sound:
            if not RATES[0] <= sound.samplerate <= RATES[1] or not SECONDS[0] <= sound.frames / sound.samplerate <= SECONDS[1]:
                return False
            block = sound.read(START, dtype="float32", always_2d=True)
            return len(block) == min(START, sound.frames) and bool(np.isfinite(block).all())
    except (soundfile.LibsndfileError, TypeError, OSError):
        return False


def problem(path: str) -> str:
    """The reason why the engine refuses a sound file, "" if it reads it."""
    if is_plain(path):
        return ""
    from ...errors import ThunderError
    from .audio import read_sound

    try:
        read_sound(path, may_be_silent=True)
    except ThunderError as error:
        return str(error)
    return ""


def main() -> None:
    """Check the files of the request, in their order."""
    for path in json.loads(sys.stdin.buffer.read()):
        if reason := problem(path):
            print(json.dumps([path, reason]), flush=True)


if __name__ == "__main__":
    main()
