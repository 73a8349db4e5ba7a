# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of people's head rotation in speech, and motions drawn from them: the second data set,
for the paper's Table 3.

A head's motion is the sum of a response to the voice's loudness, by a kernel, and of a stationary
random motion with the residual's spectrum. The statistics in head_motion.json are of six people,
99 s, measured by the code of 27b9ac82; they contain no person's motion, and none is trained on.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.train.motions import MotionSet
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.types import FPS

STATISTICS = Path(__file__).with_name("head_motion.json")
WINDOW = 70  # frames of a periodogram: 2.8 s, a training crop, which every recording contains
REACH = 10  # largest lag between loudness and head movement, frames
BINS = WINDOW // 2
_HERTZ = FPS / WINDOW  # width of a bin
MOST_DEVIATION = 1.5  # largest deviation of size drawn; the six people measured lie within it
_LINKED = (
    "features.f16",
    "logits.f16",
    "heard.f16",
    "units.u8",
    "quiet.i16",
    "voices.npy",
    "directions.npy",
    "rows.json",
)


@dataclass(frozen=True)
class HeadStatistics:
    """Statistics of head rotation.

    spectrum: [BINS, 3, 3] covariance of rotations about x, y and z, rad², of a person of middle
    size, in bins of 1 / 2.8 Hz.
    kernel: [2 · REACH + 1, 3] rad per unit of loudness (`acoustics.loudness`, its level), of a person
    of middle size; zeros where loudness does not predict other people's heads.
    spread: deviation of the logarithm of a person's size (root of the variance).
    """

    spectrum: np.ndarray
    kernel: np.ndarray
    spread: float

    @staticmethod
    def load(path: Path = STATISTICS) -> HeadStatistics:
        """The statistics in a file."""
        about = json.loads(path.read_text(encoding="utf-8"))
        spectrum, kernel = (np.array(about[name]) for name in ("spectrum", "kernel"))
        return HeadStatistics(spectrum, kernel, about["spread"])

    def size(self, person: str, seed: int) -> float:
        """Size of a person's head rotation relative to the median: always the same for a name and a
        seed."""
        rng = np.random.default_rng([seed, zlib.crc32(person.encode())])
        return float(
            np.exp(self.spread * np.clip(rng.standard_normal(), -MOST_DEVIATION, MOST_DEVIATION))
        )

    def draw(self, loudness: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
        """Rotations float32 [T, 3], rad, of a head that goes with a voice's loudness [T]."""
        frames = len(loudness)
        # longer than needed, so that the periodic end does not join the beginning
        count = 2 * max(frames, WINDOW)
        hertz = np.fft.rfftfreq(count, 1 / FPS)
        flat = self.spectrum.reshape(BINS, 9)
        centres = _HERTZ * np.arange(1, BINS + 1)
        density = (
            np.stack([np.interp(hertz, centres, column) for column in flat.T], 1).reshape(-1, 3, 3)
            / _HERTZ
        )
        density[(hertz < _HERTZ / 2) | (hertz > centres[-1] + _HERTZ / 2)] = 0
        root = _root(density * FPS / count)
        waves = (rng.standard_normal((len(hertz), 3)) + 1j * rng.standard_normal((len(hertz), 3)))[
            :, :, None
        ]
        motion = np.fft.irfft((root @ waves)[:, :, 0] * count / 2, count, axis=0)[:frames]
        return (size * (motion + _taps(loudness) @ self.kernel)).astype(np.float32)


def _taps(loudness: np.ndarray) -> np.ndarray:
    """Loudness [T] at the frames around each, [T, 2 · REACH + 1], less its mean."""
    level = np.asarray(loudness, float) - np.mean(loudness)
    return np.lib.stride_tricks.sliding_window_view(
        np.pad(level, REACH, mode="edge"), 2 * REACH + 1
    )


def _root(covariance: np.ndarray) -> np.ndarray:
    """R [n, 3, 3] with R Rᵀ = covariance [n, 3, 3]."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(values.clip(0))[:, None]


def with_heads(
    motions: MotionSet,
    source: Path,
    folder: Path,
    head: slice,
    statistics: HeadStatistics,
    seed: int = 1,
) -> int:
    """Write into `folder` the motion set of `source`, `motions`, whose heads are drawn from
    statistics wherever a face speaks.

    head: its columns. Speech, face and eyes are unchanged, as are the heads of listeners and of
    silence, for which there are no measurements. Each performance gets another head motion, of its
    speaker's size. Returns the number of rows with one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() == source.resolve():
        raise SystemExit(
            f"“{folder}” holds the motions themselves: name another folder for the second data set"
        )
    for name in _LINKED:
        (folder / name).unlink(missing_ok=True)
        os.symlink((source / name).resolve(), folder / name)
    part = folder / "motions.part"
    made = np.memmap(part, np.float16, "w+", shape=motions.motions.shape)
    made[:] = motions.motions
    count = 0
    for number, row in enumerate(motions.rows):
        if row.clip < 0 or row.listens:
            continue
        at, count = slice(row.start, row.start + row.frames), count + 1
        loud = motions.features[at, -LOUDNESS + 1].astype(np.float32)
        size = statistics.size(row.speaker, seed)
        for variant in range(len(motions.motions)):
            made[variant, at, head] = statistics.draw(
                loud, size, np.random.default_rng([seed, number, variant, 3])
            )
    made.flush()
    del made
    os.replace(part, folder / "motions.f16")
    # nobody planned these heads
    (folder / "events.f16").write_bytes(np.full(motions.events.shape, np.nan, np.float16).tobytes())
    return count
