# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads Wavefront OBJ heads: one mesh in one file, its shapes in others with the same vertices."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadHead
from ..files import open_input

_MOST_BYTES = 2**26  # far above existing heads (ICT-FaceKit: 3 MB), far below a computer's memory


@dataclass(frozen=True)
class ObjMesh:
    """The mesh of an OBJ file.

    vertices [V, 3] f64 in the file's unit and axes · polygons: vertex ids of each · material [P]
    into material_names, −1 where the file names none.
    """

    vertices: np.ndarray
    polygons: tuple[tuple[int, ...], ...]
    material: np.ndarray
    material_names: tuple[str, ...]


def read_vertices(path: Path) -> np.ndarray:
    """Vertices [V, 3] of an OBJ file, and nothing else. Raises BadHead with a sentence."""
    return _vertices(path, _bytes(path))


def read(path: Path) -> ObjMesh:
    """The mesh of an OBJ file. Raises BadHead with a sentence."""
    data = _bytes(path)
    vertices = _vertices(path, data)
    polygons, material, current = [], [], -1
    names: dict[str, int] = {}
    for line in io.BytesIO(data):
        if line.startswith(b"f "):
            polygons.append(_corners(path, line, len(vertices)))
            material.append(current)
        elif line.startswith(b"usemtl"):
            current = names.setdefault(
                line[len(b"usemtl") :].decode("utf-8", "replace").strip(), len(names)
            )
    if not polygons:
        raise BadHead(f"{path.name} has no faces: choose the folder with the whole mesh")
    return ObjMesh(vertices, tuple(polygons), np.array(material, np.int32), tuple(names))


def _corners(path: Path, line: bytes, count: int) -> tuple[int, ...]:
    """Vertex ids of the face in a line such as “f 1/1 2/2 3/3”; negative numbers count from the end
    of `count` vertices."""
    try:
        numbers = [int(corner.partition(b"/")[0]) for corner in line.split()[1:]]
    except ValueError:
        numbers = []
    corners = tuple(i - 1 if i > 0 else count + i for i in numbers)
    if len(set(corners)) < max(3, len(corners)) or not all(0 <= i < count for i in corners):
        raise BadHead(
            f"{path.name} has a face that does not name three or more different vertices: "
            f"download the file again"
        )
    return corners


def _bytes(path: Path) -> bytes:
    """The contents of a file, lines ended by \
    . Raises BadHead.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BadHead(
                f"{path.name} is larger than {_MOST_BYTES >> 20} MB: choose a mesh made for "
                f"animation"
            )
        with open_input(path) as file:
            data = file.read()
        return data.replace(b"\r\n", b"\n") if b"\r" in data else data
    except OSError as error:
        raise BadHead(
            f"{path.name} cannot be read ({error.strerror}): choose another folder"
        ) from error


def _vertices(path: Path, data: bytes) -> np.ndarray:
    """Vertices [V, 3] of the contents of an OBJ file. Raises BadHead."""
    start = 0 if data.startswith(b"v ") else data.find(b"\nv ") + 1
    if not data.startswith(b"v ", start):
        raise BadHead(f"{path.name} has no vertices: choose the folder of OBJ files")
    # Vertices are contiguous; the line after them begins with another letter, or is vt or vn.
    ends = [
        at
        for letter in (b"\nvt", b"\nvn", b"\nf ", b"\ng ", b"\no ", b"\ns ", b"\nu", b"\n#")
        if (at := data.find(letter, start)) >= 0
    ]
    block = data[start : min(ends, default=len(data))]
    try:
        numbers = np.loadtxt(
            io.BytesIO(block.replace(b"v ", b" ")), comments=None, encoding="latin1", ndmin=2
        )
        with np.errstate(over="ignore"):  # Blender uses 32 bits: larger values are infinite there
            is_sound = numbers.shape[1] >= 3 and np.isfinite(numbers.astype(np.float32)).all()
    except ValueError:
        is_sound = False
    if not is_sound:
        raise BadHead(
            f"{path.name} has vertices that are not three numbers each: download the file again"
        )
    return numbers[:, :3]  # colours may follow the coordinates
