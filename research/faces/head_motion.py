# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of people's head rotation in speech, and motions drawn from them: the second data set,
for the paper's Table 3.

A head's motion is the sum of a response to the voice's loudness, by a kernel, and of a stationary
random motion with the residual's spectrum. The statistics are of people (`measure_heads`);
they contain no person's motion, and none is trained on.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from research.faces.real_faces import solved_clips
from thunder_core.engine.speech.encoder import LOUDNESS, loudness
from thunder_core.files import write_file
from thunder_core.train.motions import MotionSet
from thunder_core.train.voices import read_recording
from thunder_core.types import FPS

STATISTICS = Path(__file__).with_name("head_motion.json")
WINDOW = 70  # frames of a periodogram: 2.8 s, a training crop, which every recording contains
REACH = 10  # largest lag between loudness and head movement, frames
BINS = WINDOW // 2
_HERTZ = FPS / WINDOW  # width of a bin
_RIDGES = (30.0, 300.0, 3000.0)
_MOST = 1.5  # largest deviation of size drawn; the six people measured lie within it
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
    kernel: [2 · REACH + 1, 3] rad per unit of loudness (`encoder.loudness`, its level), of a person
    of middle size; zeros where loudness does not predict other people's heads.  explained: share of
    a head's variance predicted by a kernel of the other people.
    spread: deviation of the logarithm of a person's size (root of the variance).  people, seconds:
    numbers measured.
    """

    spectrum: np.ndarray
    kernel: np.ndarray
    explained: float
    spread: float
    people: int
    seconds: float

    def save(self, path: Path) -> None:
        """Write as JSON."""
        about = asdict(self) | {
            name: np.round(getattr(self, name), 9).tolist() for name in ("spectrum", "kernel")
        }
        write_file(path, json.dumps(about) + "\n")

    @staticmethod
    def load(path: Path = STATISTICS) -> HeadStatistics:
        """The statistics that `save` wrote."""
        about = json.loads(path.read_text(encoding="utf-8"))
        return HeadStatistics(
            **about | {name: np.array(about[name]) for name in ("spectrum", "kernel")}
        )

    def size(self, person: str, seed: int) -> float:
        """Size of a person's head rotation relative to the median: always the same for a name and a
        seed."""
        rng = np.random.default_rng([seed, zlib.crc32(person.encode())])
        return float(np.exp(self.spread * np.clip(rng.standard_normal(), -_MOST, _MOST)))

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


def measure_heads(heads: Sequence[np.ndarray], loudness: Sequence[np.ndarray]) -> HeadStatistics:
    """Statistics of people's heads [T, 3], rad, and of how loud each was [T]; of T ≥ WINDOW frames
    each, one recording a person.

    Everybody counts alike, however long the recording and however large the movements.
    """
    sizes = np.array([np.sqrt(spectrum_of(head).trace(axis1=1, axis2=2).sum()) for head in heads])
    heads = [head / size for head, size in zip(heads, sizes)]
    kernel, explained = _kernel(heads, loudness)
    left = [head - _taps(loud) @ kernel for head, loud in zip(heads, loudness)]
    middle = float(np.exp(np.log(sizes).mean()))
    spectrum = middle**2 * np.mean([spectrum_of(head) for head in left], 0)
    spread = float(np.log(sizes).std(ddof=1)) if len(sizes) > 1 else 0.0
    return HeadStatistics(
        spectrum, middle * kernel, explained, spread, len(heads), sum(map(len, heads)) / FPS
    )


def spectrum_of(head: np.ndarray) -> np.ndarray:
    """Covariance [BINS, 3, 3] of a motion [T, 3] in every bin, of windows that overlap by half; its
    sum is the covariance within them."""
    starts = range(0, len(head) - WINDOW + 1, WINDOW // 2)
    windows = np.stack([head[a : a + WINDOW] for a in starts])
    taper = np.hanning(WINDOW)[None, :, None]
    waves = np.fft.rfft((windows - windows.mean(1, keepdims=True)) * taper, axis=1)[:, 1 : BINS + 1]
    return (
        2
        * np.einsum("wka,wkb->kab", waves, waves.conj()).real
        / (len(windows) * WINDOW * (taper**2).sum())
    )


def _taps(loudness: np.ndarray) -> np.ndarray:
    """Loudness [T] at the frames around each, [T, 2 · REACH + 1], less its mean."""
    level = np.asarray(loudness, float) - np.mean(loudness)
    return np.lib.stride_tricks.sliding_window_view(
        np.pad(level, REACH, mode="edge"), 2 * REACH + 1
    )


def _kernel(
    heads: Sequence[np.ndarray], loudness: Sequence[np.ndarray]
) -> tuple[np.ndarray, float]:
    """(kernel, share of a left-out person's variance that it predicts) by ridge regression; zeros
    if it predicts nothing.

    Both without movement slower than WINDOW, which such a short kernel cannot produce.
    """
    pairs = [
        (_without_drift(_taps(loud)), _without_drift(head)) for head, loud in zip(heads, loudness)
    ]
    weights = [1 / len(x) for x, _ in pairs]

    def solve(among: Sequence[int], ridge: float) -> np.ndarray:
        normal = sum(weights[i] * pairs[i][0].T @ pairs[i][0] for i in among)
        right = sum(weights[i] * pairs[i][0].T @ pairs[i][1] for i in among)
        return np.linalg.solve(normal + ridge / WINDOW * np.eye(len(normal)), right)

    best, explained = np.zeros((2 * REACH + 1, 3)), 0.0
    everybody = range(len(pairs))
    for ridge in _RIDGES if len(pairs) > 1 else ():
        left_out = [(pairs[i], solve([j for j in everybody if j != i], ridge)) for i in everybody]
        share = float(
            np.mean([1 - ((y - x @ k) ** 2).sum() / (y**2).sum() for (x, y), k in left_out])
        )
        if share > explained:
            best, explained = solve(everybody, ridge), share
    return best, explained


def _without_drift(x: np.ndarray) -> np.ndarray:
    """[T, c] less its running mean over WINDOW frames."""
    padded = np.pad(x, ((WINDOW // 2, WINDOW // 2), (0, 0)), mode="reflect")
    total = np.cumsum(np.vstack([np.zeros((1, x.shape[1])), padded]), 0)
    return x - (total[WINDOW:] - total[:-WINDOW])[: len(x)] / WINDOW


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


def of_people(folder: Path, channels: list[str]) -> HeadStatistics:
    """Statistics of every solved recording of a folder that is long enough, where the face was seen
    throughout."""
    heads, loud = [], []
    for name, motion, seen in solved_clips(folder, channels):
        samples = read_recording(folder / f"{name}.wav")
        frames = min(motion.frames, len(samples) // 640)
        if frames >= WINDOW:
            turned = motion.head[:frames].astype(float)
            turned[~seen[:frames]] = turned[seen[:frames]].mean(0)
            heads.append(turned)
            loud.append(loudness(samples[: 640 * frames], frames)[:, 1])
    if not heads:
        raise SystemExit(
            f"“{folder}” has no solved face of {WINDOW} frames or more (python -m research train "
            f"solve)"
        )
    return measure_heads(heads, loud)
