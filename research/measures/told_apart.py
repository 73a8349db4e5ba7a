# SPDX-License-Identifier: GPL-3.0-or-later
"""How surely two kinds of curves are told from each other: features of short windows, and a logistic
regression that is asked about clips that it has not learned from."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from thunder_core.types import FPS

SHUT, AROUND = 0.3, 2  # closure of lids from which they are bridged, and so many frames around
_STRENGTH = 0.03  # weight of a window's error beside half of the squared weights
_FOLDS = 5
_BANDS = ((0, 1), (1, 2), (2, 4))  # Hz


def fill(curve: np.ndarray, known: np.ndarray | bool = True) -> np.ndarray:
    """A curve [T] with straight lines where it is not known."""
    at = np.flatnonzero(np.isfinite(curve) & known)
    return np.interp(np.arange(len(curve)), at, curve[at]) if len(at) else np.zeros(len(curve))


def soften(curve: np.ndarray, frames: float, known: np.ndarray | bool = True) -> np.ndarray:
    """A filled curve [T], smoothed by so many frames."""
    return gaussian_filter1d(fill(curve, known), frames)


def closure(lid: np.ndarray) -> np.ndarray:
    """How far lids are closed [T]: 0 as they usually are, 1 as far as ever; 0 where unknown."""
    wide, least = np.nanquantile(lid, 0.75), np.nanquantile(lid, 0.003)
    shut = (wide - lid) / (wide - min(least, 0.35 * wide))
    return np.nan_to_num(np.clip(shut, -0.5, 1.3))


def near_closed(lid: np.ndarray) -> np.ndarray:
    """Frames bool [T] with closed lids, and those shortly around: a tracker moves brows and gaze
    then."""
    return np.convolve(closure(lid) > SHUT, np.ones(2 * AROUND + 1), "same") > 0


def describe(x: np.ndarray) -> dict[str, np.ndarray]:
    """How a signal moves in windows [n, frames]: its size, its shape, its slow and quick shares;
    nothing above 4 Hz. Each [n]."""
    x = x - x.mean(1, keepdims=True)
    velocity = np.diff(x) * FPS
    speed, hertz = np.abs(velocity), np.fft.rfftfreq(x.shape[1], 1 / FPS)
    power = np.abs(np.fft.rfft(x * np.hanning(x.shape[1]))) ** 2

    def moment(values: np.ndarray, order: int) -> np.ndarray:
        values = values - values.mean(1, keepdims=True)
        return (values**order).mean(1) / (values.std(1) ** order + 1e-9)

    figures = {
        "size": np.log(x.std(1) + 1e-4),
        "range": np.log(np.ptp(x, 1) + 1e-3),
        "speed": np.log(speed.mean(1) + 1e-3),
        "highest speed": np.log(np.quantile(speed, 0.95, 1) + 1e-3),
        "highest ÷ usual speed": np.log(
            np.quantile(speed, 0.98, 1) / (np.median(speed, 1) + 0.05) + 1e-3
        ),
        "bursts": np.log1p(np.maximum(moment(velocity, 4) - 3, -0.9)),
        "skew": moment(x, 3),
        "skew of speed": moment(velocity, 3),
        "turns": (velocity[:, 1:] * velocity[:, :-1] < 0).mean(1),
        "stillness": (speed < 0.2 * np.quantile(speed, 0.9, 1)[:, None]).mean(1),
    }
    for low, high in _BANDS:
        some = (hertz > 0) & (hertz >= low) & (hertz < high)
        share = power[:, some].sum(1) / (power[:, 1:].sum(1) + 1e-9)
        figures[f"share {low}–{high} Hz"] = np.log(share + 1e-4)
    return figures


def _alike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """r [n] of windows [n, frames]."""
    a, b = (each - each.mean(1, keepdims=True) for each in (a, b))
    return (a * b).mean(1) / (a.std(1) * b.std(1) + 1e-12)


def features(
    windows: dict[str, np.ndarray], names: Sequence[str], kept: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """What is seen of some signals, each alone and in pairs: each [n]. windows: [n, frames] by
    name.  kept: what was seen of the same windows before, and is not worked out again."""
    known: dict[str, np.ndarray] = {} if kept is None else kept
    seen = []
    for name in names:
        if f"{name}: size" not in known:
            known |= {f"{name}: {what}": x for what, x in describe(windows[name]).items()}
        seen += [each for each in known if each.startswith(f"{name}: ")]
    for a, b in combinations(names, 2):
        x, y = windows[a], windows[b]
        pair = f"r({a}, {b})", f"r of speeds({a}, {b})", f"{a} ÷ {b}"
        if pair[0] not in known:
            sizes = np.log((x.std(1) + 0.02) / (y.std(1) + 0.02))
            known |= dict(zip(pair, (_alike(x, y), _alike(np.diff(x), np.diff(y)), sizes)))
        seen += pair
    return {name: known[name] for name in seen}


def auc(second: np.ndarray, score: np.ndarray) -> float:
    """Probability that of two windows of either kind the `second` (bool [n]) has the higher
    score."""
    count = int(second.sum())
    above = rankdata(score)[second].sum() - count * (count + 1) / 2
    return float(above / (count * (len(score) - count)))


def _fit(x: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Weights of a logistic regression on inputs x [n, F], of which the last is constant."""
    sign, penalised = np.where(second, 1.0, -1.0), np.arange(x.shape[1]) < x.shape[1] - 1

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin, pulled = sign * (x @ w), penalised * w
        value = _STRENGTH * np.logaddexp(0, -margin).sum() + pulled @ pulled / 2
        return value, pulled - _STRENGTH * (sign * expit(-margin)) @ x

    return minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x


def tell_apart(first: np.ndarray, second: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Scores [2n] of the windows of one kind [n, F], then of the other's of the same clips [n], by
    regressions that have not seen the window's clip; a higher one for the second kind."""
    x, is_second = np.concatenate([first, second]), np.arange(2 * len(clips)) >= len(clips)
    names, sizes = np.unique(clips, return_counts=True)
    fold_of = dict(zip(names[np.argsort(-sizes, kind="stable")], np.arange(len(names)) % _FOLDS))
    fold, score = np.tile([fold_of[name] for name in clips], 2), np.zeros(len(x))
    for each in np.unique(fold):
        asked = fold == each
        inputs = (x - x[~asked].mean(0)) / (x[~asked].std(0) + 1e-9)
        inputs = np.c_[inputs, np.ones(len(x))]
        score[asked] = inputs[asked] @ _fit(inputs[~asked], is_second[~asked])
    return score
