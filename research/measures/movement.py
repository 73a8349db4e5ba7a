# SPDX-License-Identifier: GPL-3.0-or-later
"""How lips, head, brows, lids and gaze move, in curves that `faces/puppet.py` measures of people and
performances alike; known bool [T]: the frames that count.

† in a figure's name: the tracker's in part, which trembles and damps the eyes.
"""

from functools import lru_cache

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from research.faces.puppet import Curves
from research.measures.told_apart import closure, fill, near_closed, SHUT, soften
from thunder_core.face.moving.mouth_shape import SIGNALS as MOUTH
from thunder_core.types import FPS

HEAD = ("pitch", "yaw", "roll")
HEAD_SPEED = "head, °/s"
BEFORE, AFTER = 14, 11  # frames of a path into a sound
LONGEST_BLINK = 12  # frames for which lids are half closed
_QUICK = (1.5, 6.0)  # Hz at which a mouth articulates


def in_band(curve: np.ndarray, low: float, high: float, known: np.ndarray) -> np.ndarray:
    """A curve's part from `low` (0: with its mean) to `high` Hz in its known frames."""
    return sosfiltfilt(_filter(low, high), fill(curve, known))[known]


@lru_cache(maxsize=None)
def _filter(low: float, high: float) -> np.ndarray:
    band = ((low, high), "bandpass") if low else (high, "lowpass")
    return butter(3, *band, fs=FPS, output="sos")


def correlate(a: np.ndarray, b: np.ndarray) -> float:
    """r of two curves over what is known of both, NaN of less than ten frames or of rest."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 10 or min(a[both].std(), b[both].std()) < 1e-9:
        return float("nan")
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _runs(active: np.ndarray) -> list[slice]:
    """Runs of True in [T]."""
    ends = np.flatnonzero(np.diff(np.pad(np.asarray(active, int), 1)))
    return [slice(start, end) for start, end in ends.reshape(-1, 2)]


def measure_lips(curves: Curves, person: Curves, known: np.ndarray) -> dict[str, float]:
    """Lips of one performance; r: with the person's."""
    x = {name: curves[name][known] for name in (*MOUTH, "corner", "lower lip")}
    figures = {
        f"r {name}": correlate(x[name], person[name][known])
        for name in ("opening", "width", "chin", "upper lip", "corner")
    }
    for band in ((0, 0.7), (0.7, 1.5), (1.5, 3), (3, 5)):
        own, real = (in_band(each["opening"], *band, known) for each in (curves, person))
        figures["r opening, {}–{} Hz".format(*band)] = correlate(own, real)
    speed = np.diff(curves["opening"])[known[1:] & known[:-1]] * FPS
    figures["opening, mm/s, 95 %"] = np.quantile(speed, 0.95)
    figures["closing, mm/s, 95 %"] = -np.quantile(speed, 0.05)
    figures["opening, deviation, mm"] = x["opening"].std()
    for band in ((2, 4), (4, 6), (6, 8)):
        label = "  at {}–{} Hz".format(*band) + " †" * (band[0] >= 4)
        figures[label] = in_band(curves["opening"], *band, known).std()
    figures["width, deviation, mm"] = x["width"].std()
    for share in (0.01, 0.99):
        far = np.quantile(x["width"], share) - np.median(x["width"])
        figures[f"  width, {share:.0%} about its median, mm"] = far
    quick = {name: in_band(curves[name], *_QUICK, known) for name in x}
    for name in ("chin", "lower lip", "upper lip"):
        moved = abs(quick[name] @ quick["opening"]) / (quick["opening"] @ quick["opening"])
        figures[f"{name}, mm a mm of opening"] = moved
    figures["lower lip's variance beyond the chin"] = (
        1 - correlate(quick["chin"], quick["lower lip"]) ** 2
    )
    for a, b in (("chin", "opening"), ("corner", "opening"), ("corner", "width")):
        figures[f"r {a}, {b}, quick"] = correlate(quick[a], quick[b])
    shares = np.linalg.eigvalsh(np.corrcoef([x[name] for name in MOUTH])).clip(1e-12) / len(MOUTH)
    figures["dimensions of six signals"] = np.exp(-(shares * np.log(shares)).sum())
    figures["left less right corner, mm †"] = (x["left corner"] - x["right corner"]).std()
    return figures


def lead(path: np.ndarray) -> float:
    """Milliseconds before a sound's onset at which a mean path into it [BEFORE + AFTER] has made
    half of its way down."""
    low = int(path[BEFORE - 2 : -3].argmin()) + BEFORE - 2
    half = (path[:6].mean() + path[low]) / 2
    above = np.flatnonzero(path[:low] >= half)
    if not len(above):
        return float("nan")
    last = above[-1]
    return float((BEFORE - last - (half - path[last]) / (path[last + 1] - path[last])) * 1e3 / FPS)


def find_blinks(curves: Curves, known: np.ndarray) -> np.ndarray:
    """Blinks [k, 3]: frame of the peak, closure there, frames for which lids are half as closed."""
    shut = closure(np.where(known, curves["lid"], np.nan))
    peaks = find_peaks(np.pad(shut, 1), height=SHUT, prominence=0.25, distance=4)[0] - 1
    found = [
        (peak, shut[peak], run.stop - run.start)
        for peak in peaks
        for run in _runs(shut > shut[peak] / 2)
        if run.start <= peak < run.stop <= run.start + LONGEST_BLINK
    ]
    return np.array(found).reshape(-1, 3)


def brow_of(curves: Curves) -> np.ndarray:
    """Height of the brows [T]."""
    return (curves["inner brow"] + curves["outer brow"]) / 2


def find_raises(curves: Curves, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brow raises of at least 1 mm: frames of their peaks, heights."""
    peaks, about = find_peaks(soften(brow_of(curves), 1.2, known), prominence=1.0, distance=6)
    return peaks, about["prominences"]


def find_nods(curves: Curves, known: np.ndarray) -> np.ndarray:
    """Frames in which a head that nods by at least 1.5° is lowest."""
    return find_peaks(soften(curves["pitch"], 1, known), prominence=1.5, distance=5)[0]


def measure_upper(
    curves: Curves, known: np.ndarray, spoken: np.ndarray | None = None
) -> dict[str, float]:
    """Head, brows, lids and gaze of one performance; NaN where there is too little to measure.
    spoken: bool [T], where somebody speaks; None: everywhere."""
    minutes, turns = known.sum() / FPS / 60, [soften(curves[name], 0.8, known) for name in HEAD]
    speeds = np.diff(turns)[:, known[1:] & known[:-1]] * FPS
    speed = np.linalg.norm(speeds, axis=0)
    said = (known if spoken is None else spoken)[1:][known[1:] & known[:-1]]
    quiet = speed[~said].mean() if 10 < (~said).sum() < len(said) - 10 else np.nan
    figures = {
        HEAD_SPEED: speed.mean(),
        "  in pauses ÷ in speech": quiet / speed[said].mean(),
        "  95 % ÷ median": np.quantile(speed, 0.95) / np.median(speed),
    }
    for band in ((0.1, 0.5), (0.5, 1), (1, 2), (2, 4), (4, 8)):
        parts = [in_band(curves[name], *band, known) for name in HEAD]
        label = "  at {}–{} Hz, °".format(*band) + " †" * (band[0] >= 2)
        figures[label] = np.sqrt(np.square(parts).mean(1).sum())
    figures["|r| of yaw and roll"] = abs(correlate(turns[1][known], turns[2][known]))
    figures["  of their speeds"] = abs(correlate(*speeds[1:]))
    heights = find_raises(curves, known)[1]
    figures["brows, deviation, mm"] = brow_of(curves)[known].std()
    figures["brow raises of 1 mm, a minute"] = len(heights) / minutes
    figures["  90 % of them, mm"] = np.quantile(heights, 0.9) if len(heights) > 3 else np.nan
    frames, shut, lasts = find_blinks(curves, known).T
    full, between = shut > 0.6, np.diff(frames)
    figures["blinks a minute"] = full.sum() / minutes
    figures["  partial ones"] = (~full).sum() / minutes
    figures["  half closed, ms"] = lasts[full].mean() * 1e3 / FPS if full.any() else np.nan
    regular = between.std() / between.mean() if len(between) > 3 else np.nan
    figures["  intervals, deviation ÷ mean"] = regular
    lids = closure(np.where(known, curves["lid"], np.nan))
    figures["lids outside blinks, deviation"] = lids[known & (lids < SHUT)].std()
    seen = known & ~near_closed(curves["lid"])
    gaze = np.array([np.where(seen, curves[name], np.nan) for name in ("gaze aside", "gaze up")])
    fast = _runs(np.nan_to_num(np.linalg.norm(np.diff(gaze), axis=0) * FPS) > 50)
    sizes = np.array([np.linalg.norm(gaze[:, run.stop] - gaze[:, run.start]) for run in fast])
    figures["gaze shifts of 2°, a minute †"] = (sizes > 2).sum() / minutes
    figures["  median, ° †"] = np.median(sizes[sizes > 2]) if (sizes > 2).any() else np.nan
    return figures


def manner(curves: Curves, known: np.ndarray) -> dict[str, float]:
    """What is somebody's own: logarithms of sizes and speeds, then shares of the opening and the
    difference between the sides."""
    x = {name: curve[known] for name, curve in curves.items()}
    x["brows"] = brow_of(x)
    sizes = ("opening", "width", "pitch", "yaw", "brows", "lid", "gaze aside")
    figures = {name: np.log(x[name].std()) for name in sizes}
    turns = np.diff([soften(x[name], 1.5) for name in HEAD])
    figures["opening speed"] = np.log(np.abs(np.diff(x["opening"])).mean())
    figures["head speed"] = np.log(np.linalg.norm(turns, axis=0).mean())
    for name in ("upper lip", "chin"):
        figures[f"{name} ÷ opening"] = x[name].std() / x["opening"].std()
    figures["left less right corner †"] = (x["left corner"] - x["right corner"]).std()
    return {name: float(value) for name, value in figures.items()}
