# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws performances of the default head as films, by the Python that follows faces:
`python -m research.faces.films NAME.npz… FOLDER KIND…` writes FOLDER/NAME/KIND.avi."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thunder_core.engine_python import find_tracker

ROOT = Path(__file__).resolve().parents[2]
SIDE = 300  # pixels
FACING = np.array([0.0, 0.1, 0.0])  # rotation vector of the head: a little to its left
SHIFT, SCALE = (26, 17), 1.3  # pixels, factor
SQUEEZE = 1.2  # width by which a picture is divided
_BEHIND = (40,) * 3  # the pictures' background
CUT = 70  # frame


def draw_films(takes: Sequence[Path], to: Path, kinds: Sequence[str]) -> None:
    """Draw takes, `motion_file.arrays` in files, as films of some of the `_KINDS`. Raises NoEngine
    without what follows faces."""
    command = [find_tracker(), "-m", "research.faces.films", *map(str, takes), str(to), *kinds]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def _resize(pictures: list[np.ndarray], wide: float, high: float = 1.0) -> list[np.ndarray]:
    import cv2

    size = round(SIDE * wide), round(SIDE * high)
    how = cv2.INTER_AREA if max(wide, high) <= 1 else cv2.INTER_CUBIC
    return [cv2.resize(each, size, interpolation=how) for each in pictures]


def _shift(pictures: list[np.ndarray]) -> list[np.ndarray]:
    import cv2

    move = np.eye(2, 3)
    move[:, 2] = SHIFT
    return [cv2.warpAffine(p, move, (SIDE, SIDE), borderValue=_BEHIND) for p in pictures]


def _bring_closer(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """The middle of pictures, larger: another shot before the same background."""
    edge = round(SIDE * (SCALE - 1) / 2)
    return [each[edge:][:SIDE, edge:][:, :SIDE] for each in _resize(pictures, SCALE, SCALE)]


_KINDS = {  # name → what becomes of the pictures, BGR [SIDE, SIDE, 3], of a head
    "plain": lambda pictures: pictures,
    "mirrored": lambda pictures: [each[:, ::-1].copy() for each in pictures],
    "shifted": _shift,
    "scaled": lambda pictures: _resize(pictures, SCALE, SCALE),
    "squeezed": lambda pictures: _resize(pictures, 1 / SQUEEZE),
    "widened": lambda pictures: _resize(pictures, SQUEEZE),
    "television": lambda pictures: _resize(pictures, 720 / SIDE, 576 / SIDE),
    "cut": lambda pictures: pictures[:CUT] + [255 - each // 2 for each in pictures[CUT:]],
    "closer": lambda pictures: pictures[:CUT] + _bring_closer(pictures[CUT:]),
    "two": lambda pictures: [
        np.hstack(pair) for pair in zip(pictures, _resize(pictures[::-1], 0.8))
    ],
    "nobody": lambda pictures: [np.full_like(each, _BEHIND[0]) for each in pictures],
}


def _write(path: Path, pictures: list[np.ndarray]) -> None:
    """Write pictures of one size as a film at 25 fps."""
    import cv2

    height, width = pictures[0].shape[:2]
    out = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (width, height))
    for picture in pictures:
        out.write(picture)
    out.release()


def _draw(words: list[str]) -> None:
    from thunder_core.animation.motion_file import read
    from thunder_core.engine.tracker import HeadDrawing
    from thunder_core.face.head import load_head

    takes = [Path(word) for word in words if word.endswith(".npz")]
    to, *kinds = words[len(takes) :]
    drawing = HeadDrawing(load_head(), SIDE)
    for take in takes:
        folder = Path(to) / take.stem
        folder.mkdir(parents=True, exist_ok=True)
        pictures = drawing.draw(read(take)[0], FACING)
        for kind in kinds:
            _write(folder / f"{kind}.avi", _KINDS[kind](pictures))


if __name__ == "__main__":
    _draw(sys.argv[1:])
