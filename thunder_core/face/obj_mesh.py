# SPDX-License-Identifier: GPL-3.0-or-later
"""Wavefront OBJ files as heads come in them: one mesh in one file, its shapes in others with the same vertices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadHead


@dataclass(frozen=True)
class ObjMesh:
    """vertices [V, 3] f64 in the file's own unit and axes · polygons: vertex ids of each · material [P] into
    material_names, −1 where the file names none."""

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
    polygons, material, names, current = [], [], [], -1
    for line in data[max(data.find(b"\nusemtl"), 0) if data.find(b"\nusemtl") < data.find(b"\nf ") else data.find(b"\nf "):].splitlines():
        if line.startswith(b"f "):
            try:
                polygon = tuple(int(corner.partition(b"/")[0]) for corner in line.split()[1:])
            except ValueError:
                raise BadHead(f"{path.name} has a face that is no list of vertices: get the file again") from None
            polygons.append(tuple(i - 1 if i > 0 else len(vertices) + i for i in polygon))
            material.append(current)
        elif line.startswith(b"usemtl"):
            name = line.split(None, 1)[1].decode("utf-8", "replace").strip() if b" " in line else ""
            if name not in names:
                names.append(name)
            current = names.index(name)
    if not polygons:
        raise BadHead(f"{path.name} has no faces: choose the folder with the whole mesh")
    flat = np.concatenate([np.asarray(polygon) for polygon in polygons])
    if flat.min() < 0 or flat.max() >= len(vertices):
        raise BadHead(f"{path.name} has faces of vertices that do not exist: get the file again")
    return ObjMesh(vertices, tuple(polygons), np.array(material, np.int32), tuple(names))


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return data.replace(b"\r\n", b"\n") if b"\r" in data else data
    except OSError as error:
        raise BadHead(f"{path.name} cannot be read ({error.strerror}): choose another folder") from error


def _vertices(path: Path, data: bytes) -> np.ndarray:
    start = 0 if data.startswith(b"v ") else data.find(b"\nv ") + 1
    if not data.startswith(b"v ", start):
        raise BadHead(f"{path.name} has no vertices: choose the folder of OBJ files")
    # Vertices stand together; what follows them begins with another letter, or is vt or vn.
    ends = [found for letter in (b"\nvt", b"\nvn", b"\nf ", b"\ng ", b"\no ", b"\ns ", b"\nu", b"\n#") if (found := data.find(letter, start)) >= 0]
    block = data[start:min(ends, default=len(data))]
    lines = block.count(b"\nv ") + 1
    numbers = _decimals(block)
    try:
        numbers = np.array(block.replace(b"v ", b" ").split(), np.float64) if numbers is None else numbers
    except ValueError:
        raise BadHead(f"{path.name} has a vertex that is no number: get the file again") from None
    if not np.isfinite(numbers).all() or len(numbers) % lines or len(numbers) // lines < 3:
        raise BadHead(f"{path.name} has vertices that are not three numbers each: get the file again")
    return numbers.reshape(lines, -1)[:, :3]  # colours may follow a place


_DOT, _MINUS, _ZERO, _SPACE = (ord(letter) for letter in ".-0 ")
_PLACES = 6  # decimals that are read: ten nanometres of a head in centimetres


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
        digit = padded[dots + place] - np.uint8(_ZERO)  # what is no digit wraps round to more than 9
        inside &= digit <= 9
        value *= 10
        value += np.where(inside, digit, 0)
    negative = letters[starts] == _MINUS
    first = starts + negative
    for place in range(1, int((dots - first).max(initial=0)) + 1):
        at = dots - place
        digit = letters[np.maximum(at, 0)] - np.uint8(_ZERO)
        use = at >= first
        if (use & (digit > 9)).any():
            return None
        value += np.where(use, digit, 0) * np.int64(10 ** (place - 1 + _PLACES))
    return np.where(negative, -value, value) / 10.0**_PLACES
