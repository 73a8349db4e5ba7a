# SPDX-License-Identifier: GPL-3.0-or-later
"""WAV files whose header says another length than they hold. Standard library only."""

import io
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


class Unsized(io.FileIO):
    """A WAV file that tells no size of its sound, 0, as a stream's header does that nobody mended:
    reads as if it told the largest. Raises ValueError for every other file."""

    def __init__(self, path: str | os.PathLike | bytes):
        super().__init__(path)
        try:
            _, start, length = _find_data(self)
        except struct.error:
            length = -1
        if length:
            self.close()
            raise ValueError
        self._size = start - 4
        self.seek(0)

    def readinto(self, buffer) -> int:
        begin = self.tell()
        count = super().readinto(buffer)
        first, last = max(begin, self._size), min(begin + count, self._size + 4)
        if first < last:
            buffer[first - begin : last - begin] = b"\xff" * (last - first)
        return count


def _seconds(file, size: int) -> tuple[float, float]:
    """Seconds of sound that an open WAV file of `size` bytes promises and holds. Raises
    struct.error for anything else."""
    bytes_a_second, start, length = _find_data(file)
    held = max(0, size - start)
    promised = held if length >= _UNKNOWN or not length else length
    return promised / bytes_a_second, min(promised, held) / bytes_a_second


def _find_data(file) -> tuple[int, int, int]:
    """Bytes a second of the sound of an open WAV file, where it begins, and its size in bytes as
    the header tells it. Raises struct.error for anything else."""
    riff, _, wave = struct.unpack("<4sI4s", file.read(12))
    bytes_a_second = 0
    for _ in range(_MOST_CHUNKS if (riff, wave) == (b"RIFF", b"WAVE") else 0):
        name, length = struct.unpack("<4sI", file.read(8))
        start = file.tell()
        if name == b"data":
            return bytes_a_second, start, length
        if name == b"fmt ":
            bytes_a_second = struct.unpack("<HHII", file.read(12))[3]
        file.seek(start + length + length % 2)
    raise struct.error
