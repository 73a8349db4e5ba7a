# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits the map from the speech encoder's inner layers to the opening of measured lips (`engine.speech.encoder`).

The main directions in which the layers vary over the corpus are kept of each, without any lips; a ridge regression of these within
±120 ms is fitted to the clips of the split `fit`. Layers, directions and ridge were chosen by how well the map, fitted without a clip,
orders takes of that clip by r with its lips, and takes of FACEGOOD's recordings.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from thunder_core.engine.planning.lip_kernels import around
from thunder_core.engine.speech.encoder import at_frames, OpeningMap, OpeningMapConfig, REACH, SpeechEncoder
from thunder_core.train.voices import read_recording

LAYERS = (1, 3)
DIRECTIONS = 32  # of each layer
_RIDGE = 0.3  # per frame, on directions whose deviation is the square root of their own
_LAGS = range(-3, 4)  # frames: a curve is compared with the measured one at the best of these, as the data's score.py does


class _Kept:
    """Keeps what the layers LAYERS give."""

    layers, ahead = LAYERS, 0

    def __init__(self) -> None:
        self._outputs: list[np.ndarray] = []

    def read(self, outputs: np.ndarray) -> None:
        self._outputs.append(outputs)

    def over(self, frames: int) -> np.ndarray:
        """[frames, layers · width]."""
        return at_frames(np.concatenate(self._outputs), frames)


def inner_features(encoder: SpeechEncoder, samples: np.ndarray, frames: int) -> np.ndarray:
    """What the layers LAYERS give for a sound [samples], [frames, layers · width] at 25 fps."""
    kept = _Kept()
    encoder.analyse(samples, readers=[kept])
    return kept.over(frames)


def main_directions(features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean [d], directions [d, count] of features [N, d]): what is projected on them has the square root of the deviation it had among
    features of unit deviation."""
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    standard = (features - mean) / deviation
    variances, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    first = np.argsort(variances)[::-1][:count]
    return mean, vectors[:, first] / np.sqrt(np.sqrt(np.maximum(variances[first], 1e-9))) / deviation[:, None]


def directions_of(outputs: np.ndarray) -> np.ndarray:
    """The main directions [layers · width, n] of outputs [N, layers · width] of LAYERS, of each layer by itself."""
    width = outputs.shape[1] // len(LAYERS)
    directions = np.zeros((outputs.shape[1], DIRECTIONS * len(LAYERS)))
    for i in range(len(LAYERS)):
        rows, columns = slice(i * width, (i + 1) * width), slice(i * DIRECTIONS, (i + 1) * DIRECTIONS)
        directions[rows, columns] = main_directions(outputs[:, rows], DIRECTIONS)[1]
    return directions


def fit_kernel(clips: Iterable[tuple[np.ndarray, np.ndarray]], directions: np.ndarray) -> np.ndarray:
    """Kernel [2 · REACH + 1, d] of features [T, d] for openings [T], NaN where no face is seen, of several clips.

    directions [d, n]: the kernel is made of these.
    """
    n = (2 * REACH + 1) * directions.shape[1]
    products, targets, frames = np.zeros((n, n)), np.zeros(n), 0
    for features, opening in clips:
        seen = np.isfinite(opening)
        x = around(features @ directions, REACH)[seen]
        x, y = x - x.mean(0), (opening[seen] - opening[seen].mean()) / opening[seen].std()
        products, targets, frames = products + x.T @ x, targets + x.T @ y, frames + len(y)
    weights = np.linalg.solve(products + _RIDGE * frames * np.eye(n), targets)
    return weights.reshape(2 * REACH + 1, -1) @ directions.T


def r_at_best_lag(curve: np.ndarray, measured: np.ndarray) -> float:
    """Correlation of a curve [T] with a measured one [T] (NaN: not seen) at the best lag."""
    best = -1.0
    for lag in _LAGS:
        moved, true = (curve[lag:], measured[: len(measured) - lag]) if lag >= 0 else (curve[:lag], measured[-lag:])
        seen = np.isfinite(true)
        best = max(best, float(np.corrcoef(moved[seen], true[seen])[0, 1]))
    return best


def fit_opening(lips: Path, encoder: SpeechEncoder, sounds: Iterable[np.ndarray], encoder_hash: str) -> tuple[OpeningMap, dict[str, float]]:
    """(map, its figures) of an encoder. lips: folder of measured lips.  sounds: recordings [samples] of the corpus, without lips."""
    split = tomllib.loads((lips / "split.toml").read_text())
    clips = {}
    for name in (*split["fit"], *split["check"]):
        opening = np.load(lips / f"{name}.npz", allow_pickle=False)["opening"].astype(float)
        clips[name] = inner_features(encoder, read_recording(lips / f"{name}.wav"), len(opening)), opening
    outputs = np.concatenate([inner_features(encoder, sound, max(1, len(sound) // 640)) for sound in sounds])
    directions = directions_of(outputs)

    def kernel(names: list[str]) -> np.ndarray:
        return fit_kernel([clips[name] for name in names], directions)

    def r(names: list[str], kernel_of) -> float:
        values = [r_at_best_lag((around(clips[n][0], REACH) * kernel_of(n).ravel()).sum(1), clips[n][1]) for n in names]
        return round(float(np.average(values, weights=[len(clips[n][1]) for n in names])), 3)

    whole = kernel(split["fit"])
    made = OpeningMap(OpeningMapConfig(LAYERS, outputs.shape[1] // len(LAYERS), encoder_hash), whole.astype(np.float32))
    left_out = r(split["fit"], lambda name: kernel([other for other in split["fit"] if other != name]))
    return made, {"r_left_out": left_out, "r_check": r(split["check"], lambda name: whole)}
