# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from a picture's header how many pixels it has, before anything is decoded: a PNG of some
hundred kilobytes may claim a billion. Standard library only."""

import math
import struct
from typing import BinaryIO

MOST_PIXELS = 2**26  # 8192 × 8192; Blender takes up to 32 bytes for each
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's markers that begin a frame


class BadPicture(ValueError):
    """The reason why a picture is not decoded, as the end of a sentence that begins with its
    name."""


def check_picture(file: BinaryIO) -> None:
    """Raise BadPicture unless a file is a PNG, JPEG or WebP picture whose size is within bounds."""
    start = file.read(30)
    try:
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", start, 16)
        elif start.startswith(b"\xff\xd8\xff"):
            width, height = _size_of_jpeg(file)
        elif start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            width, height = _size_of_webp(start)
        else:
            raise BadPicture("is no PNG, JPEG or WebP file")
    except (struct.error, IndexError):
        width = height = 0
    if not width or not height:
        raise BadPicture("is damaged, or its size cannot be read")
    if width * height > MOST_PIXELS:
        side = math.isqrt(MOST_PIXELS)
        raise BadPicture(f"has {width:,} × {height:,} pixels, more than {side:,} × {side:,}")


def _size_of_jpeg(file: BinaryIO) -> tuple[int, int]:
    """Width and height in the first frame; 0 if there is none."""
    file.seek(2)
    while True:
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if kind == 0xFF:  # filling between segments
            file.seek(-3, 1)
            continue
        if mark != 0xFF or length < 2:
            return 0, 0
        if kind in _FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return width, height
        file.seek(length - 2, 1)


def _size_of_webp(start: bytes) -> tuple[int, int]:
    """Width and height of the canvas (VP8X), the lossless (VP8L) or the lossy picture (VP8)."""
    kind = start[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(
            start[27:30], "little"
        )
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", start, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", start, 26)
    return width & 0x3FFF, height & 0x3FFF
