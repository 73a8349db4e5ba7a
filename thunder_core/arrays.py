# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads .npz files of any origin: all claimed sizes are added up and checked before anything is
allocated.

A zip of a few kilobytes can claim gigabytes: by compression, by members that share the same bytes,
by a directory of millions of members. numpy alone allocates whatever a member's header says.
Standard library and numpy only.
"""

import math
import os
import struct
import zipfile
import zlib

import numpy as np

from .files import open_input

MOST_BYTES = 2**28  # largest file, and largest total of its arrays: four times a FLAME model
_MOST_MEMBERS = 1000
_DIRECTORY = 2**20  # largest zip directory, bytes; each member takes about a hundred
_DENSEST = 1032  # deflate's highest compression ratio
_END, _END_LENGTH, _COMMENT = b"PK\x05\x06", 22, 2**16


class Unreadable(ValueError):
    """The reason why a file's arrays are not read, as the end of a sentence that begins with the
    file's name."""


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name; they may be read-only.

    Numbers, truth values and texts only; never objects, so nothing in the file is run. Raises
    Unreadable, and OSError if the file cannot be opened. Peak memory is that of the arrays plus the
    largest one.
    """
    size = os.path.getsize(path)
    if size > MOST_BYTES:
        raise Unreadable(f"is larger than {_megabytes(MOST_BYTES)}")
    try:
        with open_input(path) as file:
            _check_directory(file, size)
            with zipfile.ZipFile(file) as archive:
                members = _check_members(archive.infolist(), size)
                wanted = {name: _read_header(archive, info) for name, info in members.items()}
                total = sum(
                    math.prod(shape) * dtype.itemsize for shape, _, dtype, _ in wanted.values()
                )
                if total > MOST_BYTES:
                    raise Unreadable(
                        f"claims {_megabytes(total)} of arrays, more than {_megabytes(MOST_BYTES)}"
                    )
                return {
                    name: _array(archive, members[name], *claim) for name, claim in wanted.items()
                }
    except (Unreadable, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise Unreadable(f"is damaged ({error})") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error) as error:
        raise Unreadable(f"is not a valid .npz file ({str(error)[:100]})") from error
    except Exception as error:  # a damaged header can fail in any way while it is parsed
        raise Unreadable(f"is damaged ({type(error).__name__})") from error


def _check_directory(file, size: int) -> None:
    """Refuse a zip whose directory would cost memory out of proportion, before zipfile reads all of
    it."""
    file.seek(max(0, size - _END_LENGTH - _COMMENT))
    tail = file.read()
    at = len(tail) - _END_LENGTH
    # a zip with a final comment, or not a zip
    if at < 0 or not (tail[at : at + 4] == _END and tail[-2:] == b"\0\0"):
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_LENGTH:
        raise Unreadable("is no .npz file")
    if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise Unreadable("is a zip for more than four gigabytes")
    if struct.unpack_from("<I", tail, at + 12)[0] > _DIRECTORY:
        raise Unreadable(f"holds more than {_MOST_MEMBERS} arrays")


def _check_members(infos, size: int) -> dict[str, zipfile.ZipInfo]:
    """Members by array name; refused if members share bytes, or claim a size that their bytes
    cannot hold."""
    if len(infos) > _MOST_MEMBERS:
        raise Unreadable(f"holds more than {_MOST_MEMBERS} arrays")
    members: dict[str, zipfile.ZipInfo] = {}
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise Unreadable(f"holds “{name[:60]}” twice")
        if (
            info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            or info.flag_bits & 1
        ):
            raise Unreadable("is packed in a way that numpy does not use")
        if info.header_offset < end:
            raise Unreadable("holds arrays that share the same bytes")
        end = info.header_offset + 30 + info.compress_size
        densest = 1 if info.compress_type == zipfile.ZIP_STORED else _DENSEST
        if end > size or info.file_size > densest * info.compress_size:
            raise Unreadable(f"claims more for “{name[:60]}” than it holds")
        if name != info.filename:  # other files in the zip are ignored
            members[name] = info
    return members


def _read_header(archive, info):
    """(shape, whether by column, dtype, length of the header) of a member, from its header
    alone."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise Unreadable("was written by another kind of numpy")
        shape, by_column, dtype = read(member)
        header = member.tell()
    if (
        dtype.kind not in "biufSU"
        or not all(type(n) is int and 0 <= n <= MOST_BYTES for n in shape)
        or len(shape) > 8
    ):
        raise Unreadable(f"has “{info.filename[:60]}”, which is not an array of numbers or names")
    if info.file_size != header + math.prod(shape) * dtype.itemsize:
        raise Unreadable(f"has an array whose length and shape disagree (“{info.filename[:60]}”)")
    return shape, by_column, dtype, header


def _array(archive, info, shape, by_column, dtype, header) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    with archive.open(info) as member:
        member.read(header)
        # Never call read() without a length: it unpacks everything, regardless of the size in the
        # directory.
        raw = member.read(size)
    if len(raw) != size:
        raise Unreadable(f"ends in the middle of “{info.filename[:60]}”")
    if not size:
        return np.zeros(shape, dtype)
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if by_column else "C")


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
