# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads .npz files of any origin: all claimed sizes are added up and checked before anything is
allocated, since a zip of a few kilobytes can claim gigabytes. Standard library and numpy only."""

import math
import os
import zipfile

import numpy as np

from .files import open_input

MOST_BYTES = 2**28  # largest file, and largest total of its arrays: four times a FLAME model
_MOST_MEMBERS = 1000


class Unreadable(ValueError):
    """The reason why a file's arrays are not read, as the end of a sentence that begins with the
    file's name."""


def read_npz(path: str | os.PathLike, most: int = MOST_BYTES) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name; they may be read-only.

    most: bytes of the file, and of all arrays together.

    Numbers, truth values and texts only; never objects, so nothing in the file is run. Raises
    Unreadable, and OSError if the file cannot be opened. Peak memory is that of the arrays plus the
    largest one.
    """
    if os.path.getsize(path) > most:
        raise Unreadable(f"is larger than {_megabytes(most)}")
    try:
        with open_input(path) as file, zipfile.ZipFile(file) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
            if len(members) > _MOST_MEMBERS:
                raise Unreadable(f"holds more than {_MOST_MEMBERS} arrays")
            total = sum(member.file_size for member in members)
            if total > most:
                raise Unreadable(
                    f"claims {_megabytes(total)} of arrays, more than {_megabytes(most)}"
                )
            return {
                member.filename.removesuffix(".npy"): _read_array(archive, member)
                for member in members
            }
    except (Unreadable, MemoryError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise Unreadable(f"is damaged ({error})") from error
    except Exception as error:  # a damaged zip or header can fail in any way
        raise Unreadable(
            f"is not a valid .npz file ({str(error)[:100] or type(error).__name__})"
        ) from error


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """An array whose shape and kind fit the size that the zip's directory claims."""
    with archive.open(info) as member:
        read_header = (
            np.lib.format.read_array_header_1_0
            if np.lib.format.read_magic(member) == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, is_by_column, dtype = read_header(member)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "biufSU" or info.file_size != member.tell() + size:
            raise Unreadable(
                f"has “{info.filename[:60]}”, which is not an array of numbers or names"
            )
        # never without a length: that unpacks everything, regardless of the size in the directory
        data = member.read(size) if size else b""
    if not size:
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_by_column else "C")


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
