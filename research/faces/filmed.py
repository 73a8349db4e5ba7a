# SPDX-License-Identifier: GPL-3.0-or-later
"""Our heads filmed with known channels, and what the tracker makes of it.

`Films` draws motions of a head from a side and follows the films as any video, by the Python that
follows faces (docs/training.md). `known_mouths` are what the slopes of tracked mouths are measured
on (`faces/slopes.py`): channels of the mouth one at a time, and mixed at random.
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from thunder_core.engine_python import find_tracker
from thunder_core.face.head import Head, load_head
from thunder_core.types import FPS, Motion

if TYPE_CHECKING:
    from research.mouths import CloseUps

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "weights"
HEADS = ("head", "head_man", "head_woman", "head_older_man")  # in WEIGHTS
SIDE = 360  # pixels
_FILLS, _BELOW = 0.26, 0.035  # metres of a head that fill it, and from the lips to its middle
# materials behind the lips, in whose shadow they are, and how much of their light is left
_INSIDE = (
    "Mouth", "Gums", "Teeth", "Side Teeth", "Tongue", "Mouth Lining", "Back Teeth", "Back Tongue",
)  # fmt: skip
_SHADE = 0.6
# rotation vectors of the head towards the camera: ahead, aside, raised, lowered
POSES = ((0.0, 0.05, 0.0), (0.0, 0.3, 0.0), (-0.2, -0.05, 0.0), (0.2, 0.05, 0.0))
FILMED = 250  # frames of a take that are filmed
MIXED = 360  # random mouths of a film
# Mean of a mixed channel that takes part, and the probability that it does: about as large as in
# speech, since a tracker bends large movements otherwise.
_LARGE, _TAKES_PART = 0.2, 0.45
_SHUT = 0.2  # share of mixed mouths whose lips are shut, whatever else they do
_JAW, _JAW_MOST = 0.07, 0.24  # radians: a usual one, the largest
# channels that are moved, without their sides
MOVED = (
    "mouthClose", "mouthDimple", "mouthFrown", "mouthFunnel", "mouthLowerDown", "mouthPress",
    "mouthPucker", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthSmile", "mouthStretch", "mouthUpperUp", "cheekSquint", "noseSneer", "tongueTipUp",
)  # fmt: skip
_ONE_SIDE = ("mouthSmile", "mouthStretch", "mouthFrown", "mouthLowerDown", "mouthUpperUp")
_ALONE = (0.2, 0.4, 0.6)  # values of a channel that moves alone
_SWAY = np.radians(2.0)  # deviation of the head's turns while it is filmed


def known_mouths(head: Head, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Expression [T, n] and jaw [T, 3] of every channel of the mouth alone, over a shut and an open
    jaw, then of MIXED random mouths; lips never overlap."""
    from thunder_core.engine.tracking.solve import meet_gap
    from thunder_core.face.moving.mouth_shape import MouthShape, OPENING

    rng, names = np.random.default_rng(seed), list(head.expression_names)

    def columns(name: str) -> list[int]:
        return [k for k, each in enumerate(names) if each in (name, f"{name}Left", f"{name}Right")]

    moved, turns = [np.zeros(len(names))] * 3, [0.0] * 3
    for at in np.linspace(0, _JAW_MOST, 10):
        moved.append(np.zeros(len(names))), turns.append(at)
    for some in (*map(columns, MOVED), *([names.index(f"{each}Left")] for each in _ONE_SIDE)):
        for value in _ALONE:
            for turn in (0.0, _JAW):
                x = np.zeros(len(names))
                x[some] = value
                moved.append(x), turns.append(turn)
    for _ in range(MIXED):
        x = np.zeros(len(names))
        for name in MOVED:
            both = columns(name)
            uneven = rng.uniform(0.6, 1.4, len(both)) if rng.random() < 0.3 else 1.0
            if rng.random() < _TAKES_PART:
                x[both] = np.clip(rng.exponential(_LARGE) * uneven, 0, 1)
        moved.append(x)
        turns.append(min(abs(rng.normal(0, _JAW)), _JAW_MOST) if rng.random() < 0.85 else 0.0)
    x, jaw = np.array(moved), np.zeros((len(moved), 3))
    jaw[:, 0] = turns
    opening = MouthShape.of(head).measure(x, jaw)[:, OPENING]
    shut = opening < 0
    shut[-MIXED:] |= rng.random(MIXED) < _SHUT
    met = meet_gap(head, x, jaw, np.maximum(opening, 0) * ~shut)
    return np.where(shut[:, None], met, x), jaw


class Films:
    """Films of HEADS, followed; landmarks are kept in a folder by the film's name, which has to say
    what was filmed.

    Draws in this process, follows in that of the tracker. Raises NoEngine without it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._drawings: dict[str, CloseUps] = {}
        self._tracker: subprocess.Popen | None = None

    def __enter__(self) -> Films:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *error: object) -> None:
        if self._tracker is not None:
            self._tracker.communicate()

    def landmarks(
        self, name: str, head: str, parts: Sequence[np.ndarray], facing: Sequence[float]
    ) -> np.ndarray:
        """Landmarks float32 [T, 478, 3] in our axes, NaN where no face is seen, of a film of one of
        HEADS.

        parts: expression [T, n], jaw, head and eyes [T, 3].  facing: one of POSES.
        """
        out = self.folder / f"{name}.npy"
        if not out.exists():
            pictures = out.with_suffix(".pictures.npy")
            np.save(pictures, self._draw(head, parts, facing))
            self._follow(pictures, out)
            pictures.unlink()
        return np.load(out)

    def _draw(self, head: str, parts: Sequence[np.ndarray], facing: Sequence[float]) -> np.ndarray:
        """Pictures [T, SIDE, SIDE, 3]."""
        from research.mouths import CloseUps  # torch, which the tracker lacks

        if head not in self._drawings:
            shown = load_head(WEIGHTS / f"{head}.npz")
            shade = [_SHADE if each in _INSIDE else 1.0 for each in shown.material_names]
            colors = shown.material_colors * np.array(shade, np.float32)[:, None]
            shown = replace(shown, material_colors=colors)
            self._drawings[head] = CloseUps(shown, (SIDE, SIDE), SIDE / _FILLS, _BELOW, finer=1)
        expression, jaw, turns, eyes = (np.asarray(part, float) for part in parts)
        turned = (Rotation.from_rotvec(facing) * Rotation.from_rotvec(turns)).as_rotvec()
        return self._drawings[head](expression, jaw, turned, eyes)

    def _follow(self, pictures: Path, out: Path) -> None:
        """Have the tracker write landmarks of pictures."""
        if self._tracker is None:
            self._tracker = subprocess.Popen(
                [find_tracker(), "-m", "research.faces.filmed"], cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        print(pictures.absolute(), out.absolute(), sep="\t", file=self._tracker.stdin, flush=True)
        if not self._tracker.stdout.readline():
            raise SystemExit(f"What follows faces ended at {out.name}: free memory, then try again")


def sway(frames: int, seed: int) -> np.ndarray:
    """Turns [T, 3] of a head that is not quite still."""
    from scipy.ndimage import gaussian_filter1d

    rng = np.random.default_rng(seed)
    slow = gaussian_filter1d(rng.standard_normal((frames, 3)), 8, axis=0, mode="wrap")
    return _SWAY * slow / (slow.std(0) + 1e-9)


def film_known(
    films: Films, head: str, poses: Sequence[Sequence[float]] = POSES
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Expression [T, n] and jaw [T, 3] of `known_mouths` of one of HEADS, and the landmarks [T, 478,
    3] of its films from some POSES."""
    x, jaw = known_mouths(load_head(WEIGHTS / f"{head}.npz"), HEADS.index(head) + 1)
    return x, jaw, [
        films.landmarks(
            f"known_{head}_{k}", head, (x, jaw, sway(len(x), k), np.zeros((len(x), 3))), pose
        )
        for k, pose in enumerate(poses)
    ]  # fmt: skip


def film_take(films: Films, head: str, name: str, motion: Motion) -> np.ndarray:
    """Landmarks [T, 478, 3] of a film of the first FILMED frames of a take, from one of POSES."""
    parts = motion.expression, motion.jaw, *motion.turns
    moved = [np.ascontiguousarray(part[:FILMED]) for part in parts]
    of_it = zlib.crc32(b"".join(part.tobytes() for part in moved))  # other takes have other films
    pose = POSES[len(name) % len(POSES)]
    return films.landmarks(f"take_{head}_{name}_{of_it:08x}", head, moved, pose)


def _follow_films() -> None:
    """For every line of the input, files of pictures and of landmarks, follow a film."""
    import tempfile

    import cv2

    from thunder_core.engine.tracking.video import follow

    for line in sys.stdin:
        pictures, out = map(Path, line.rstrip("\n").split("\t"))
        shown = np.load(pictures, mmap_mode="r")
        with tempfile.TemporaryDirectory() as scratch:
            path = str(Path(scratch) / "film.avi")
            writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), FPS, (SIDE, SIDE))
            for picture in shown:
                writer.write(np.ascontiguousarray(picture[..., ::-1]))
            writer.release()
            face = follow(path)
        points = np.full((len(shown), *face.points.shape[1:]), np.nan, np.float32)
        first = round(face.start * FPS)
        points[first : first + len(face.points)] = face.points[: len(points) - first]
        np.save(out.with_suffix(".part.npy"), points)
        out.with_suffix(".part.npy").rename(out)
        print(out.stem, flush=True)


if __name__ == "__main__":
    _follow_films()
