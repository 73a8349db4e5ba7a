# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of the sound strips in a .blend file, read without Blender, which would have to open the whole scene.

A .blend is a header and blocks; the block DNA1 describes the structs of all others (source/blender/makesdna in Blender's source).
Only 64-bit little-endian files are read, as every Blender since 2.80 saves them.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from .blend_header import unpacked_zstandard, ZSTANDARD

_SOUND = 4  # a strip's type
_STRIPS = (b"Sequence", b"Strip")  # names of the struct of a strip; files of Blender 5.0 have the former, and another one of the latter
_LARGEST_DNA = 1 << 24  # bytes; Blender's has 0.2 MB
_LARGEST_STRUCT = 1 << 16  # bytes of a block of strips or of a linked data block


def sound_strips(path: str) -> list[str] | None:
    """The names of all sound strips of a file, whichever scene they are in; None if they cannot be known: the file is damaged or of an
    unknown kind, or scenes are linked from another one."""
    try:
        with _opened(path) as file:
            structs = next(_Structs.read(data) for code, _, data in _blocks(file, lambda code, _: code == b"DNA1"))
        strip, link = structs.index(_STRIPS, (b"name", b"type")), structs.index((b"ID",), (b"name",))

        def wanted(code: bytes, kind: int) -> bool:
            return code == b"ID" or (code == b"DATA" and kind == strip)

        names = []
        with _opened(path) as file:
            for code, _, data in _blocks(file, wanted):
                if code == b"ID" and structs.text(link, b"name", data).startswith("SC"):
                    return None
                if code == b"DATA" and structs.number(strip, b"type", data) == _SOUND:
                    names.append(structs.text(strip, b"name", data)[2:])  # after “SQ”
        return names
    except (OSError, EOFError, ValueError, LookupError, StopIteration, struct.error, ImportError, MemoryError):
        return None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """A file's content, unpacked. Raises ValueError if that is not possible here."""
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        if start == ZSTANDARD:
            unpacked, damaged = unpacked_zstandard(file)
            with unpacked:
                try:
                    yield unpacked
                except damaged as error:
                    raise ValueError("damaged") from error
        elif start[:2] == b"\x1f\x8b":
            with gzip.open(file) as unzipped:
                yield cast(BinaryIO, unzipped)
        else:
            yield file


def _blocks(file: BinaryIO, wanted) -> Iterator[tuple[bytes, int, bytes]]:
    """(code, index of its struct, content) of each block of which wanted(code, index) is true."""
    header = _exactly(file, 12)
    if re.match(rb"BLENDER-v\d{3}", header):
        size, order = 24, struct.Struct("<4sI8xII")  # code, length, struct, count
    elif re.match(rb"BLENDER17-01", header):
        _exactly(file, 5)
        size, order = 32, struct.Struct("<4sI8xqq")  # code, struct, length, count
    else:
        raise ValueError("not a .blend file of this kind")
    while True:
        first, second, third, _ = order.unpack(_exactly(file, size))[:4]
        code = first.rstrip(b"\0")
        length, kind = (second, third) if size == 24 else (third, second)
        if code == b"ENDB":
            return
        if not wanted(code, kind):
            _skip(file, length)
        elif length > (_LARGEST_DNA if code == b"DNA1" else _LARGEST_STRUCT):
            raise ValueError("a block is too large")
        else:
            yield code, kind, _exactly(file, length)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    while len(data) < count:
        more = file.read(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _skip(file: BinaryIO, count: int) -> None:
    if count < 0:
        raise ValueError("damaged")
    if isinstance(file, io.BufferedReader):  # not compressed
        file.seek(count, 1)
        return
    while count:
        count -= len(_exactly(file, min(count, 1 << 20)))


@dataclass(frozen=True)
class _Structs:
    """The structs of a file.  by_index: (name, {field: (offset, size)}) of each."""

    by_index: list[tuple[bytes, dict[bytes, tuple[int, int]]]]

    @staticmethod
    def read(data: bytes) -> _Structs:
        """Read the content of the block DNA1."""
        place = 4  # after “SDNA”

        def section(name: bytes) -> int:
            nonlocal place
            place = (place + 3) & ~3
            if data[place : place + 4] != name:
                raise ValueError("damaged")
            place += 4
            if name == b"TLEN":
                return 0
            place += 4
            return struct.unpack_from("<I", data, place - 4)[0]

        def texts(count: int) -> list[bytes]:
            nonlocal place
            listed = []
            for _ in range(count):
                end = data.index(b"\0", place)
                listed.append(data[place:end])
                place = end + 1
            return listed

        names = texts(section(b"NAME"))
        types = texts(section(b"TYPE"))
        section(b"TLEN")
        sizes = struct.unpack_from(f"<{len(types)}H", data, place)
        place += 2 * len(types)
        structs = []
        for _ in range(section(b"STRC")):
            kind, count = struct.unpack_from("<HH", data, place)
            fields, offset = {}, 0
            for number in range(count):
                of, name = struct.unpack_from("<HH", data, place + 4 + 4 * number)
                times = math.prod(int(each) for each in re.findall(rb"\[(\d+)\]", names[name]))
                size = (8 if names[name][:1] in (b"*", b"(") else sizes[of]) * times
                fields[names[name].partition(b"[")[0]] = (offset, size)
                offset += size
            structs.append((types[kind], fields))
            place += 4 + 4 * count
        return _Structs(structs)

    def index(self, names: tuple[bytes, ...], fields: tuple[bytes, ...]) -> int:
        """Index of the struct that has one of these names and all of these fields. Raises StopIteration if there is none."""
        return next(index for index, (name, own) in enumerate(self.by_index) if name in names and set(fields) <= own.keys())

    def _field(self, index: int, field: bytes, data: bytes) -> bytes:
        offset, size = self.by_index[index][1][field]
        return data[offset : offset + size]

    def text(self, index: int, field: bytes, data: bytes) -> str:
        """A field that is a text."""
        return self._field(index, field, data).partition(b"\0")[0].decode("utf-8", "replace")

    def number(self, index: int, field: bytes, data: bytes) -> int:
        """A field that is an integer."""
        return int.from_bytes(self._field(index, field, data), "little")
