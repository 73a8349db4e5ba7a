# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Wavefront OBJ heads: one mesh in one file, its shapes in others with the same vertices."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadHead
from ..files import open_input

# Far above existing heads (ICT-FaceKit: 3 MB, 26,719 vertices), far below a computer's memory.
_MOST_BYTES, _MOST_VERTICES, _MOST_FACES = 2**26, 1_000_000, 1_000_000
_LONGEST_FACE = 2**14  # longest face line, bytes
_MOST_WORDS = 8  # words in a vertex line: v x y z, w, and a colour


@dataclass(frozen=True)
class ObjMesh:
    """The mesh of an OBJ file.

    vertices [V, 3] f64 in the file's own unit and axes · polygons: vertex ids of each · material [P] into
    material_names, −1 where the file names none.
    """

    vertices: np.ndarray
    polygons: tuple[tuple[int, ...], ...]
    material: np.ndarray
    material_names: tuple[str, ...]


def read_vertices(path: Path) -> np.ndarray:
    """Vertices [V, 3] of an OBJ file, nothing else of it. Raises BadHead with a sentence."""
    return _vertices(path, _bytes(path))


def read(path: Path) -> ObjMesh:
    """The mesh of an OBJ file. Raises BadHead with a sentence."""
    data = _bytes(path)
    vertices = _vertices(path, data)
    polygons, material, current = [], [], -1
    names: dict[str, int] = {}
    if data.count(b"\nf ") > _MOST_FACES:
        raise BadHead(f"{path.name} has more than {_MOST_FACES:,} faces: choose a mesh made for animation")
    for line in io.BytesIO(data):
        if line.startswith(b"f "):
            polygons.append(_corners(path, line, len(vertices)))
            material.append(current)
        elif line.startswith(b"usemtl"):
            current = names.setdefault(line[len(b"usemtl") :].decode("utf-8", "replace").strip(), len(names))
    if not polygons:
        raise BadHead(f"{path.name} has no faces: choose the folder with the whole mesh")
    return ObjMesh(vertices, tuple(polygons), np.array(material, np.int32), tuple(names))


def _corners(path: Path, line: bytes, count: int) -> tuple[int, ...]:
    """Vertex ids of the face in a line such as “f 1/1 2/2 3/3”; negative numbers count from the end of `count` vertices."""
    if len(line) > _LONGEST_FACE:
        raise BadHead(f"{path.name} has a face of thousands of corners: choose a mesh made for animation")
    try:
        numbers = [int(corner.partition(b"/")[0]) for corner in line.split()[1:]]
    except ValueError:
        raise BadHead(f"{path.name} has a face that is not a list of vertices: download the file again") from None
    corners = tuple(i - 1 if i > 0 else count + i for i in numbers)
    if not all(0 <= i < count for i in corners):
        raise BadHead(f"{path.name} has faces of vertices that do not exist: download the file again")
    if len(set(corners)) < max(3, len(corners)):
        raise BadHead(f"{path.name} has a face with fewer than three different corners, or one corner twice: download the file again")
    return corners


def _bytes(path: Path) -> bytes:
    """The contents of a file, lines ended by \
    . Raises BadHead.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadHead(f"{path.name} is larger than {_MOST_BYTES >> 20} MB: choose a mesh made for animation")
        with open_input(path) as file:
            data = file.read()
        return data.replace(b"\r\n", b"\n") if b"\r" in data else data
    except OSError as error:
        raise BadHead(f"{path.name} cannot be read ({error.strerror}): choose another folder") from error


def _vertices(path: Path, data: bytes) -> np.ndarray:
    """Vertices [V, 3] of the contents of an OBJ file. Raises BadHead."""
    start = 0 if data.startswith(b"v ") else data.find(b"\nv ") + 1
    if not data.startswith(b"v ", start):
        raise BadHead(f"{path.name} has no vertices: choose the folder of OBJ files")
    # Vertices are contiguous; the line after them begins with another letter, or is vt or vn.
    ends = [
        at for letter in (b"\nvt", b"\nvn", b"\nf ", b"\ng ", b"\no ", b"\ns ", b"\nu", b"\n#") if (at := data.find(letter, start)) >= 0
    ]
    block = data[start : min(ends, default=len(data))]
    lines = block.count(b"\nv ") + 1
    if lines > _MOST_VERTICES:
        raise BadHead(f"{path.name} has more than {_MOST_VERTICES:,} vertices: choose a mesh made for animation")
    numbers = _decimals(block)
    if numbers is None:
        numbers = _numbers(path, block, lines)
    with np.errstate(over="ignore"):  # Blender uses 32 bits: larger values become infinite there
        finite = np.isfinite(numbers.astype(np.float32)).all()
    if not finite or len(numbers) % lines or len(numbers) // lines < 3:
        raise BadHead(f"{path.name} has vertices that are not three numbers each: download the file again")
    return numbers.reshape(lines, -1)[:, :3]  # colours may follow the coordinates


def _numbers(path: Path, block: bytes, lines: int) -> np.ndarray:
    """The numbers of a block of vertices, however they are written, one by one."""
    letters = np.frombuffer(block, np.uint8) <= _SPACE
    words = np.count_nonzero(letters[:-1] & ~letters[1:]) + 1
    try:
        if words > lines * _MOST_WORDS:
            raise ValueError
        return np.array(block.replace(b"v ", b" ").split(), np.float64)
    except ValueError:
        raise BadHead(f"{path.name} has a vertex that is not a number: download the file again") from None


_DOT, _MINUS, _ZERO, _SPACE = (ord(letter) for letter in ".-0 ")
_WIDEST = 12  # integer digits that fit into 64 bits together with the decimals
_PLACES = 6  # decimals that are read: ten nanometres for a head in centimetres


def _decimals(block: bytes) -> np.ndarray | None:
    """All numbers of lines like “v 1.25 -0.5 3.0” at once, five times as fast as one by one; None if they are written
    in another way (exponents, no point)."""
    if b"e" in block or b"E" in block or b"n" in block:
        return None
    letters = np.frombuffer(block, np.uint8)
    dots = np.flatnonzero(letters == _DOT)
    blank = letters <= _SPACE
    starts = np.flatnonzero(blank[:-1] & ~blank[1:] & (letters[1:] != ord("v"))) + 1
    if len(starts) != len(dots) or not len(dots) or (dots < starts).any() or (dots[:-1] >= starts[1:]).any():
        return None
    padded = np.concatenate([letters, np.full(_PLACES + 1, _SPACE, np.uint8)])
    value = np.zeros(len(dots), np.int64)
    inside = np.ones(len(dots), bool)
    for place in range(1, _PLACES + 1):
        digit = padded[dots + place] - np.uint8(_ZERO)  # non-digits wrap around to more than 9
        inside &= digit <= 9
        value *= 10
        value += np.where(inside, digit, 0)
    negative = letters[starts] == _MINUS
    first = starts + negative
    widest = int((dots - first).max(initial=0))
    if widest > _WIDEST:
        return None
    for place in range(1, widest + 1):
        at = dots - place
        digit = letters[np.maximum(at, 0)] - np.uint8(_ZERO)
        use = at >= first
        if (use & (digit > 9)).any():
            return None
        value += np.where(use, digit, 0) * np.int64(10 ** (place - 1 + _PLACES))
    return np.where(negative, -value, value) / 10.0**_PLACES
