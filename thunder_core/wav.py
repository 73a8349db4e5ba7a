# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a WAV file holds all the sound that its header promises. Standard library only."""

import os
import struct

_MOST_CHUNKS = 1000  # most chunks accepted before the sound; real files have a handful
_UNKNOWN = 0x7FFFF000  # least size in bytes that streams of unknown length claim
_SPARE = 0.02  # missing seconds that are not noticeable


def missing_end(path: str | os.PathLike) -> str:
    """A sentence about a WAV file whose sound is shorter than its header claims; "" for every other
    file."""
    try:
        with open(path, "rb") as file:
            promised, held = _seconds(file, os.fstat(file.fileno()).st_size)
    except (OSError, ValueError, struct.error, ZeroDivisionError):
        return ""
    if promised - held <= _SPARE:
        return ""
    name = os.fsencode(os.path.basename(path)).decode("utf-8", "replace")
    return (
        f"“{name}” holds {held:.2f} s of the {promised:.2f} s that its header promises: copy "
        f"or export it again if its end is missing"
    )


def _seconds(file, size: int) -> tuple[float, float]:
    """Seconds of sound that an open WAV file of `size` bytes promises and holds. Raises
    struct.error for anything else."""
    riff, _, wave = struct.unpack("<4sI4s", file.read(12))
    bytes_a_second = 0
    for _ in range(_MOST_CHUNKS if (riff, wave) == (b"RIFF", b"WAVE") else 0):
        name, length = struct.unpack("<4sI", file.read(8))
        start = file.tell()
        if name == b"data":
            held = max(0, size - start)
            promised = held if length >= _UNKNOWN or not length else length
            return promised / bytes_a_second, min(promised, held) / bytes_a_second
        if name == b"fmt ":
            bytes_a_second = struct.unpack("<HHII", file.read(12))[3]
        file.seek(start + length + length % 2)
    return 0.0, 0.0
