# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's measures of a talking head against the truth (THUNDER, 3DV 2026, §5.3), in numpy;
lengths come out in centimetres.

Vertices are positions in metres, [T, n, 3] over the measure's vertex set: the lips for L-, the
upper face for -U. This module does not depend on a head: the caller selects the lip vertices and
keeps the neck still.
"""

import numpy as np

from thunder_core.rotation import angular_speed
from thunder_core.types import FPS

CM = 100.0  # centimetres per metre
_STILL = 1e-7  # standard deviation below which a coordinate is constant, metres
# width of the Gaussian that weights the distance of a head beat from a sound's onset, frames
BEAT_FRAMES = 3.0
# standard deviation of the smoothing of a head's rotation before its beats are looked for, frames
BEAT_SMOOTH = 1.0
# least prominence of a beat in angular speed, rad/s; chosen on people of the split `fit`
BEAT_PROMINENCE = np.radians(5.0)
# least number of frames by which onsets are moved for chance; half a second, two syllables
SHIFT = 12


def _pair(
    predicted: np.ndarray, true: np.ndarray, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64; ValueError unless they have the same shape, `dimensions` axes, at least one
    frame, no NaN."""
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    if predicted.shape != true.shape or true.ndim != dimensions or not true.size:
        raise ValueError(
            f"A measure compares two motions of one shape with {dimensions} axes, not "
            f"{predicted.shape} with {true.shape}."
        )
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError(
            "A motion with NaN or infinite positions cannot be measured. Leave out frames without "
            "a face first."
        )
    return predicted, true


def lip_vertex_error(predicted: np.ndarray, true: np.ndarray) -> float:
    """LVE, cm: per frame the largest distance over the lip vertices, mean over frames.  [T, n, 3]
    metres both."""
    predicted, true = _pair(predicted, true, 3)
    return float(CM * np.linalg.norm(predicted - true, axis=2).max(1).mean())


def _series(predicted, true):
    """Coordinates as time series [T, k], centred, of those that move in the truth, and their means'
    difference [k]."""
    predicted, true = (x.reshape(len(x), -1) for x in _pair(predicted, true, 3))
    moving = true.std(0) > _STILL
    predicted, true = predicted[:, moving], true[:, moving]
    apart = predicted.mean(0) - true.mean(0)
    return predicted - predicted.mean(0), true - true.mean(0), apart


def lip_pearson(predicted: np.ndarray, true: np.ndarray) -> float:
    """L-PCC, −1 … 1: Pearson's correlation of every coordinate over time, mean over coordinates.
    [T, n, 3] metres both.

    Coordinates that never move in the truth have no correlation and are left out; a prediction that
    does not move where the truth does counts as 0. NaN if the truth does not move at all.
    """
    p, t, _ = _series(predicted, true)
    if not t.shape[1]:
        return float("nan")
    spread = p.std(0) * t.std(0)
    r = np.where(p.std(0) > _STILL, (p * t).mean(0) / np.maximum(spread, 1e-300), 0.0)
    return float(r.mean())


def lip_concordance(predicted: np.ndarray, true: np.ndarray) -> float:
    """L-CCC, −1 … 1: Lin's concordance 2·cov / (var + var + (difference of means)²) of every
    coordinate, mean.

    Unlike Pearson's it falls when the motion is too small, too large or displaced. [T, n, 3] metres
    both.
    """
    p, t, apart = _series(predicted, true)
    if not t.shape[1]:
        return float("nan")
    return float((2 * (p * t).mean(0) / (p.var(0) + t.var(0) + apart**2)).mean())


def warp_cost(predicted: np.ndarray, true: np.ndarray) -> float:
    """Dynamic time warping: least sum of |p_i − t_j| over monotone paths from both starts to both
    ends, divided by len(true).

    predicted [P], true [T], any unit, lengths may differ; the cost is in that unit per frame.
    Filled by anti-diagonals, so that a minute against a minute takes a fraction of a second.
    """
    p, t = np.asarray(predicted, np.float64).ravel(), np.asarray(true, np.float64).ravel()
    if not (len(p) and len(t)) or not (np.isfinite(p).all() and np.isfinite(t).all()):
        raise ValueError(
            "Curves to be warped need at least one value each and no NaN. Leave out frames without "
            "a face first."
        )
    # best[i] of the diagonals i + j = d − 1 and d − 2; index shifted by one so that i = −1 is a
    # wall
    one, two = (np.full(len(p) + 1, np.inf) for _ in range(2))
    for d in range(len(p) + len(t) - 1):
        low, high = max(0, d - len(t) + 1), min(d, len(p) - 1)
        i = np.arange(low, high + 1)
        # steps into (i, j): from (i, j−1) and (i−1, j) on the last diagonal, from (i−1, j−1) on the
        # one before
        before = np.minimum(np.minimum(one[i + 1], one[i]), two[i]) if d else np.zeros(1)
        now = np.full(len(p) + 1, np.inf)
        now[i + 1] = before + np.abs(p[i] - t[d - i])
        one, two = now, one
    return float(one[len(p)] / len(t))


def lip_warp(predicted: np.ndarray, true: np.ndarray) -> float:
    """DTW, cm: `warp_cost` of the inner lips' mid-point distance.  predicted [P], true [T]: that
    distance in metres."""
    return CM * warp_cost(predicted, true)


def dynamics_deviation(predicted: np.ndarray, true: np.ndarray, rest: np.ndarray) -> float:
    """FDD, cm: |std over time of the true motion − std of the predicted|, mean over vertices.

    Motion of a vertex is its distance from where it rests (Xing et al. 2023). predicted [P, n, 3],
    true [T, n, 3], rest [n, 3], metres; lengths may differ, for only the spread is compared. FDD-U:
    upper face; FDD-L: lips.
    """
    spreads = []
    for x in (predicted, true):
        moved = np.asarray(x) - np.asarray(rest, x.dtype)
        spreads.append(np.sqrt(np.einsum("tnc,tnc->tn", moved, moved)).astype(np.float64).std(0))
    return float(CM * np.abs(spreads[0] - spreads[1]).mean())


def distances(samples: np.ndarray, true: np.ndarray) -> np.ndarray:
    """D [S, T, n] metres: how far every vertex of S samples [S, T, n, 3] is from the truth [T, n,
    3]."""
    apart = np.asarray(samples) - np.asarray(true)[None]
    return np.sqrt(np.einsum("stnc,stnc->stn", apart, apart))


def sample_diversity(clips: list[np.ndarray]) -> float:
    """S-DIV, cm: std over the samples (axis S) of D [S, T, n] metres of every clip, mean over all
    else.

    According to the paper it should be high for the upper face and low for the lips, with S = 32.
    """
    return float(CM * np.mean([np.std(d, 0).mean() for d in clips]))


def time_diversity(clips: list[np.ndarray]) -> float:
    """T-DIV, cm: std over time (axis T) of D [S, T, n] metres of every clip, mean over all else."""
    return float(CM * np.mean([np.std(d, 1).mean() for d in clips]))


def kinematic_beats(pose: np.ndarray) -> np.ndarray:
    """Frames [k] at which a turning head [T, 3] rad moves fastest, between the two frames: maxima
    of its smoothed angular speed that stand out by BEAT_PROMINENCE.

    Of people, these strokes come with the sound's onsets; the minima of speed, a dancer's beats,
    come no nearer to them than chance.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    if len(pose) < 4:
        return np.zeros(0)
    speed = angular_speed(
        gaussian_filter1d(np.asarray(pose, np.float64), BEAT_SMOOTH, axis=0, mode="nearest"), FPS
    )
    return find_peaks(speed, prominence=BEAT_PROMINENCE)[0] + 0.5


def beat_alignment(pose: np.ndarray, onsets: np.ndarray) -> float:
    """BA, −1 … 1: by how much nearer the head's beats are to the sound's onsets than to the same
    onsets moved in time. 0: by chance.

    How near: mean over beats of exp(−(frames to the nearest onset)² / (2·3²)), 0 … 1. Onsets are
    moved around the clip by every whole number of frames from SHIFT on, and the mean of these is
    subtracted. pose [T, 3] rad; onsets: frames (fractions allowed) at which the sound sets in. The
    paper gives no formula. A head without beats, a sound without onsets, a clip too short to move
    them: 0.
    """
    return score_beats(kinematic_beats(pose), onsets, len(pose))


def score_beats(beats: np.ndarray, onsets: np.ndarray, frames: int) -> float:
    """`beat_alignment` of beats [k], in frames of a clip of so many frames."""
    onsets = np.asarray(onsets, np.float64).ravel()
    moves = np.arange(SHIFT, frames - SHIFT + 1)
    if not len(beats) or not len(onsets) or not len(moves):
        return 0.0
    moved = (onsets + np.concatenate([[0], moves])[:, None]) % frames  # row 0: as they are
    away = np.abs(beats[None, :, None] - moved[:, None]).min(2)
    near = np.exp(-(away**2) / (2 * BEAT_FRAMES**2)).mean(1)
    return float(near[0] - near[1:].mean())


def pose_diversity(poses: np.ndarray) -> float:
    """DIV, degrees: L2 between the poses of two samples, mean over frames and over all pairs of
    samples [S, T, 3] rad."""
    poses = np.degrees(np.asarray(poses, np.float64))
    if len(poses) < 2:
        raise ValueError("Diversity of head poses needs at least two samples of one clip.")
    first, second = np.triu_indices(len(poses), 1)
    return float(
        np.mean([np.linalg.norm(poses[a] - poses[b], axis=1).mean() for a, b in zip(first, second)])
    )


def sound_onsets(samples: np.ndarray, rate: int = 16000, fps: float = 25.0) -> np.ndarray:
    """Frames (at `fps`, fractions of 10 ms) at which a sound [n] sets in: peaks of the rise of its
    level in 8 bands.

    Half-wave rectified spectral flux in decibels over 10 ms hops; peaks at least 60 ms apart above
    the mean plus one deviation.
    """
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d

    hop, size = rate // 100, rate // 25
    x = np.pad(np.asarray(samples, np.float64), size // 2)
    count = max(1, (len(x) - size) // hop + 1)
    frames = np.lib.stride_tricks.as_strided(x, (count, size), (x.strides[0] * hop, x.strides[0]))
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    edges = np.unique(np.geomspace(100, rate / 2, 9) * size / rate).astype(int)
    bands = np.stack([power[:, a : b + 1].sum(1) for a, b in zip(edges[:-1], edges[1:])], 1)
    level = gaussian_filter1d(10 * np.log10(bands + 1e-5 * bands.max() + 1e-12), 1.5, axis=0)
    rise = np.maximum(np.diff(level, axis=0, prepend=level[:1]), 0).mean(1)
    peak = (rise == maximum_filter1d(rise, 13)) & (rise > rise.mean() + rise.std())
    return np.flatnonzero(peak) / 100 * fps
