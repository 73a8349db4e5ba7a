# SPDX-License-Identifier: GPL-3.0-or-later
"""Values and slopes on chosen frames that come nearest to a region's curves."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ..filters import hermite
from .pose_keys import BULGE, LEAST, ROWS, SAMPLES, share_off

_REWEIGHTED, _ITERATIONS, _PENALTY = 10, 15, 0.3  # rounds of reweighting, solver iterations in each, and the solver's penalty
_BETTERED = (
    2.0,
    1.8,
    1.6,
    1.4,
    1.3,
    1.2,
    1.15,
    1.1,
    1.05,
    0.0,
)  # times the allowed error from which on no further round brings a fit within it
_GOOD = 0.9  # share of the allowed error at which a fit is good enough
_SETTLED = 1e-3  # share of a curve's range: a fit has settled once values and slopes change by less
_ALIGNED = 0.02  # penalty for a kink at a key


def _within(wanted: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """The nearest segments (change of value, slopes at both ends in units of a third, [3, …]) that keep within their ends' range."""
    both = np.stack([wanted, -wanted])  # as they rise and as they fall
    d, slopes = both[:, 0], both[:, 1:]
    twice = d + slopes.max(1) - slack  # twice the nearest change if only the steeper slope limits it
    near = np.maximum(np.maximum(d, twice / 2), np.maximum((twice + slopes.min(1) - slack) / 3, 0.0))
    bounded = np.minimum(np.maximum(slopes, -slack), (near + slack)[:, None])
    far = np.square(near - d) + np.square(bounded - slopes).sum(1)
    rises, falls = (np.concatenate([change[None], steep]) for change, steep in zip(near, bounded))
    return np.where(far[0] <= far[1], rises, -falls)


@dataclass(frozen=True)
class Fitted:
    """Values [n, C] on n frames, slopes out of and into each segment [n − 1, C] in units of a third of it, how far off [N]."""

    value: np.ndarray
    out: np.ndarray
    into: np.ndarray
    off: np.ndarray


def bounded_slopes(value, out, into, slack, low, high):
    """Slopes so that no curve leaves the range of its segments' ends by more than slack, nor low … high."""
    change = np.diff(value, axis=0)
    up = change >= 0
    sign = np.where(up, 1.0, -1.0)
    behind = np.where(up, value[:-1] - low, high - value[:-1]) / BULGE
    ahead = np.where(up, high - value[1:], value[1:] - low) / BULGE
    behind, ahead = (np.minimum(slack, np.maximum(distance, 0.0)) for distance in (behind, ahead))
    size = np.abs(change)
    return sign * np.clip(sign * out, -behind, size + ahead), sign * np.clip(sign * into, -ahead, size + behind)


def _matrices(samples: int, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices from values at keys [n], and slopes out of and into the segments between them, to the curve: basis [samples, 3n − 2];
    of each segment's change of value and slopes: limits [3n − 3, 3n − 2]; of the kinks at inner keys: [n − 2, 3n − 2]."""
    count, parts = len(keys), len(keys) - 1
    time = np.arange(samples) / SAMPLES
    k = np.clip(np.searchsorted(keys, time, side="right") - 1, 0, parts - 1)
    h = np.diff(keys).astype(float)
    a, b, c, d = hermite((time - keys[k]) / h[k])
    rows = np.arange(samples)
    basis = np.zeros((samples, count + 2 * parts))
    basis[rows, k] += a
    basis[rows, k + 1] += b
    basis[rows, count + k] += 3 * c
    basis[rows, count + parts + k] += 3 * d
    each = np.arange(parts)
    limits = np.zeros((3 * parts, count + 2 * parts))
    limits[each, each], limits[each, each + 1] = -1, 1
    limits[parts + each, count + each] = limits[2 * parts + each, count + parts + each] = 1
    kinks = np.zeros((max(parts - 1, 0), count + 2 * parts))
    inner = np.arange(parts - 1)
    kinks[inner, count + parts + inner], kinks[inner, count + inner + 1] = 1, -h[:-1] / h[1:]
    return basis, limits, kinks


def fit_values(
    curves: np.ndarray,
    keys: np.ndarray,
    level: tuple[bool, bool],
    flat: np.ndarray,
    weight: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray, np.ndarray],
    last_try: bool = False,
    ends: np.ndarray | None = None,
) -> Generator[float, None, Fitted]:
    """Values and slopes on keys [n] (frames of this piece) nearest to curves [N, C] at their worst sample.

    level: whether the curves leave the first key and reach the last level.  weight: see share_off.  bounds: slack [n − 1, C] in
    units of a third, lowest and highest value [C].  last_try: only whether it meets the allowed error matters.
    ends [2, C]: values of the outer keys, the curves' own if none are given.  Alternating direction method of multipliers (Boyd et
    al. 2011), least squares reweighted towards the worst sample (Lawson 1961).
    """
    count, parts, (slack, low, high) = len(keys), len(keys) - 1, bounds
    ends = curves[[0, -1]] if ends is None else ends
    basis, limits, kinks = _matrices(len(curves), keys)
    scale = np.maximum(high - low, LEAST)
    wanted, slack_scaled = curves / scale, slack / scale
    is_free = np.ones(count + 2 * parts, bool)
    is_free[[0, count - 1]] = False
    is_free[[count, -1]] = np.logical_not(level)
    free = np.flatnonzero(is_free)
    fixed = np.zeros((count + 2 * parts, curves.shape[1]))
    fixed[[0, count - 1]] = ends / scale
    wanted = wanted - basis @ fixed
    still = limits @ fixed
    basis_free, limits_free, kinks_free = basis[:, free], limits[:, free], kinks[:, free]
    attention, penalty = np.ones(len(curves)), _PENALTY * SAMPLES
    smooth = _ALIGNED * SAMPLES * kinks_free.T @ kinks_free + 1e-6 * np.eye(len(free))
    best, x, dual = None, None, 0.0
    for turn in range(_REWEIGHTED):
        weighted = basis_free.T * attention
        normal = weighted @ basis_free + smooth
        right = weighted @ wanted
        if x is None:
            x = np.linalg.solve(normal, right)
        inverse = np.linalg.inv(normal + penalty * (limits_free.T @ limits_free))
        for _ in range(_ITERATIONS):
            raw = limits_free @ x + still + dual
            near = _within(raw.reshape(3, parts, -1), slack_scaled).reshape(raw.shape)
            before, dual = dual, raw - near
            x = inverse @ (right + penalty * (limits_free.T @ (near - dual - still)))
            if np.abs(dual - before).max() < _SETTLED:
                break
        whole = fixed.copy()
        whole[free] += x
        value = np.clip(whole[:count] * scale, low, high)
        value[[0, -1]] = ends
        out, into = bounded_slopes(value, whole[count : count + parts] * scale, whole[count + parts :] * scale, slack, low, high)
        yield turn / _REWEIGHTED
        error = (basis @ np.concatenate([value, out, into]) - curves).astype(np.float32)
        off = np.empty(len(error))
        for start in range(0, len(error), ROWS):
            some = slice(start, start + ROWS)
            off[some] = share_off(error[some] @ flat, weight[some])
            yield (turn + min(1.0, (start + ROWS) / len(error))) / _REWEIGHTED
        if best is None or off.max() < best.off.max():
            best = Fitted(value, out, into, off)
        worst = best.off.max()
        if worst <= (1.0 if last_try else _GOOD) or (last_try and worst > _BETTERED[turn]):
            break
        attention = attention * (off / max(off.max(), LEAST) + 0.03)
        attention /= attention.mean()
    return best
