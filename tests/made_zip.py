# SPDX-License-Identifier: GPL-3.0-or-later
"""Zips of arrays byte by byte, so that a test can let their headers lie; pickles that call
something."""

import io
import struct
import zlib

import numpy as np


class Runs:
    """Pickles as a call of function(*args)."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def npy(shape, body=b""):
    """An .npy file of float64 whose header claims `shape`, with `body` after it."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return file.getvalue() + body


def packed(content):
    squeeze = zlib.compressobj(1, wbits=-15)
    return squeeze.compress(content) + squeeze.flush()


def made_zip(members, entries=None):
    """A zip of (name, method, packed bytes, claimed size, checksum); `entries`: which members the
    directory lists, and how often."""
    out, rows = b"", []
    for name, method, raw, size, checksum in members:
        common = struct.pack(
            "<HHHHHIIIHH", 20, 0, method, 0, 0x21, checksum, len(raw), size, len(name), 0
        )
        rows.append(
            b"PK\x01\x02\x14\0" + common + struct.pack("<HHHII", 0, 0, 0, 0, len(out)) + name
        )
        out += b"PK\x03\x04" + common + name + raw
    listed = [rows[i] for i in (range(len(rows)) if entries is None else entries)]
    directory = b"".join(listed)
    count = min(len(listed), 0xFFFF)
    return (
        out
        + directory
        + b"PK\x05\x06"
        + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(out), 0)
    )
