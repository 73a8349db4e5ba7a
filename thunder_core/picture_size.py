# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads from a picture's header how much memory it would take, before anything is decoded. Standard
library only.

A PNG of some hundred kilobytes may claim a billion pixels. PNG, JPEG, WebP, TIFF and OpenEXR are
known; other formats are refused.
"""

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

MOST_PIXELS = 2**26  # 8192 × 8192; Blender takes up to 32 bytes for each
_MOST_BYTES = 2**30  # largest file
# passes of a progressive JPEG, each as slow as the first; encoders make about ten
_MOST_PASSES = 100
_MOST_PARTS = 10_000  # segments, tags or attributes in a header
_CHANNELS = 4  # of a usual picture in Blender
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's markers that begin a frame


class BadPicture(ValueError):
    """The reason why a picture is not decoded, as the end of a sentence that begins with its
    name."""


def check_picture(file: BinaryIO) -> None:
    """Raise BadPicture unless a file is a picture whose memory is known and within bounds."""
    if file.seek(0, 2) > _MOST_BYTES:
        raise BadPicture(f"is larger than {_MOST_BYTES >> 20} MB")
    file.seek(0)
    start = file.read(16)
    reader = next((reader for is_it, reader in _READERS if is_it(start)), None)
    if reader is None:
        raise BadPicture("is no PNG, JPEG, WebP, TIFF or EXR file")
    file.seek(0)
    try:
        sizes = list(reader(file))
    except (struct.error, IndexError, OverflowError):
        raise BadPicture("is damaged, or its size cannot be read") from None
    for width, height, channels in sizes:
        if width <= 0 or height <= 0:
            raise BadPicture("is damaged, or its size cannot be read")
        if width * height * max(channels, _CHANNELS) > MOST_PIXELS * _CHANNELS:
            side = math.isqrt(MOST_PIXELS)
            layers = f" in {channels} channels" if channels > _CHANNELS else ""
            raise BadPicture(
                f"has {width:,} × {height:,} pixels{layers}, more than {side:,} × {side:,}"
            )


def _png(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Width, height and channels, as of every reader; several if several things are allocated."""
    length, kind, width, height = struct.unpack(">I4sII", _exactly(file, 24)[8:])
    if (length, kind) != (13, b"IHDR"):
        raise struct.error
    yield width, height, _CHANNELS


def _jpeg(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    file.seek(2)
    for _ in range(_MOST_PARTS):
        mark, kind = _exactly(file, 2)
        while mark == 0xFF and kind == 0xFF:  # filling
            (kind,) = _exactly(file, 1)
        if mark != 0xFF or kind == 0xDA:
            raise struct.error
        (length,) = struct.unpack(">H", _exactly(file, 2))
        if kind in _FRAMES:
            _, height, width, channels = struct.unpack(">BHHB", _exactly(file, 6))
            yield width, height, channels
            break
        file.seek(max(0, length - 2), 1)
    else:
        raise struct.error
    passes, before = 0, b""
    while block := file.read(1 << 20):
        passes += (before + block).count(b"\xff\xda")  # this mark is not part of what it separates
        before = block[-1:]
    if passes > _MOST_PASSES:
        raise BadPicture(f"is a JPEG of more than {_MOST_PASSES} passes")


def _webp(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    data = _exactly(file, 30)
    if data[12:16] == b"VP8X":
        yield (
            1 + int.from_bytes(data[24:27], "little"),
            1 + int.from_bytes(data[27:30], "little"),
            _CHANNELS,
        )
    elif data[12:16] == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        yield 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), _CHANNELS
    elif data[12:16] == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        yield width & 0x3FFF, height & 0x3FFF, _CHANNELS
    else:
        raise struct.error


_TIFF_SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # types of whole numbers
# width, height, samples of a pixel, width and height of a tile
_TIFF_TAGS = (256, 257, 277, 322, 323)


def _tiff(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    data = _exactly(file, 16)
    order, big = "<" if data[:2] == b"II" else ">", data[2:4] in (b"+\0", b"\0+")
    count, entry, value = ("Q", "HHQ", 12) if big else ("H", "HHI", 8)
    file.seek(struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0])
    (tags,) = struct.unpack(order + count, _exactly(file, struct.calcsize("<" + count)))
    if tags > _MOST_PARTS:
        raise struct.error
    values = dict.fromkeys(_TIFF_TAGS, 1)
    for _ in range(tags):
        data = _exactly(file, 20 if big else 12)
        tag, kind, number = struct.unpack_from(order + entry, data)
        if tag in values:
            if number != 1 or kind not in _TIFF_SIZES:
                raise struct.error
            values[tag] = max(
                values[tag], struct.unpack_from(order + _TIFF_SIZES[kind], data, value)[0]
            )
    width, height, channels, *tile = values.values()
    yield width, height, channels
    yield tile[0], tile[1], channels


def _exr(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    _, version = struct.unpack("<II", _exactly(file, 8))
    if version & 0x800:
        raise BadPicture("is a deep EXR, whose size cannot be read")
    areas, channels, left = [], 0, _MOST_PARTS
    while True:  # for each part
        attributes = {}
        while name := _name(file):
            left -= 1
            _name(file)  # its type
            (length,) = struct.unpack("<I", _exactly(file, 4))
            if left < 0 or length > 2**24:
                raise struct.error
            attributes[name] = _exactly(file, length)
            if name == b"type" and attributes[name].startswith(b"deep"):
                raise BadPicture("is a deep EXR, whose size cannot be read")
        if not attributes:
            break
        for window in (b"dataWindow", b"displayWindow"):
            first, top, last, bottom = struct.unpack("<iiii", attributes.get(window, b""))
            areas.append((last - first + 1, bottom - top + 1))
        if b"tiles" in attributes:
            areas.append(struct.unpack_from("<II", attributes[b"tiles"]))
        channels += _channels(attributes.get(b"channels", b""))
        if not version & 0x1000:  # a single part
            break
    if not areas:
        raise struct.error
    yield from ((width, height, channels) for width, height in areas)


def _channels(data: bytes) -> int:
    """Number of channels in an EXR's list of them: names that end with a zero, each with 16
    bytes."""
    count = at = 0
    while data[at]:
        at, count = data.find(b"\0", at) + 17, count + 1
        if at < 17:
            raise struct.error
    return count


def _name(file: BinaryIO) -> bytes:
    """Letters up to a zero."""
    letters = bytearray()
    while (letter := _exactly(file, 1)) != b"\0":
        letters += letter
        if len(letters) > 255:
            raise struct.error
    return bytes(letters)


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise struct.error
    return data


_READERS = (
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda start: start.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP", _webp),
    (lambda start: start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _tiff),
    (lambda start: start.startswith(b"\x76\x2f\x31\x01"), _exr),
)
