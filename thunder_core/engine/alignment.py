# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds where a captured face, or the sound recorded with it, plays in a voice: the shift at which
their curves agree best."""

from dataclasses import dataclass

import numpy as np

from ..acoustics import HOP, log_mel
from ..types import FPS, RATE

LIKELY = 0.55  # certainty above which a place is more likely right than wrong
BESIDE_SECONDS = 0.5  # shifts this near to the best one count as the same place
# Margins that 99 % of pairs that do not belong together stay below: mouths with voices of other
# people, and recordings of other lines.
_SURE_MOUTH, _SURE_SOUND = 4.5, 20.0
# shortest overlap: so long, and this share of the shorter of the two
_LEAST_SECONDS, _LEAST_SHARE = 1.0, 0.5
_WINDOW = 400  # samples of a spectrum
_BANDS = 10  # bands that a spectrum is summed to
# spectra, 50 ms, between two that are compared: what a microphone adds to all of them does not
# count
_ACROSS = 5


@dataclass(frozen=True)
class Match:
    """seconds: of the voice at which the capture begins, below 0 if it begins earlier.

    sure: how certain that is, 0 and more; 1: 99 % of captures of other lines agree less.
    """

    seconds: float
    sure: float


def match_mouth(seen: np.ndarray, expected: np.ndarray) -> Match:
    """Where curves of a mouth [n, c] fit those expected of a voice [m, c], both at 25 fps."""
    seconds, margin = best_shift(seen, expected, FPS)
    return Match(seconds, margin / _SURE_MOUTH)


def match_sound(recorded: np.ndarray, voice: np.ndarray) -> Match:
    """Where a recording [n] fits a voice [m], samples at 16 kHz; microphones, rooms and levels may
    differ."""
    seconds, margin = best_shift(_changes(recorded), _changes(voice), RATE / HOP)
    return Match(seconds, margin / _SURE_SOUND)


def best_shift(a: np.ndarray, b: np.ndarray, rate: float) -> tuple[float, float]:
    """Seconds by which curves `a` [n, c] agree best with `b` [m, c], `rate` rows a second, and the
    margin to the best place elsewhere.

    Agreement is the sum of correlations, each times the root of the overlapping rows: in deviations
    of chance, so that a short overlap that agrees by chance loses.
    """
    shorter = min(len(a), len(b))
    least = min(shorter, max(_LEAST_SECONDS * rate, _LEAST_SHARE * shorter))
    shifts, rows, r = _correlations(a, b)
    agreement = np.where(rows >= least, r.sum(1) * np.sqrt(rows), 0.0)
    best = int(agreement.argmax())
    elsewhere = agreement[np.abs(shifts - shifts[best]) > BESIDE_SECONDS * rate]
    return float(shifts[best] / rate), float(agreement[best] - elsewhere.max(initial=0.0))


def _correlations(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every shift of a [n, c] along b [m, c] at which they overlap, [S]; the rows of the overlap
    [S]; correlations over it [S, c]."""
    n, m = len(a), len(b)
    size = 1 << (n + m - 1).bit_length()

    def products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The sum of x[i] · y[i + shift] for each shift."""
        whole = np.fft.irfft(
            np.conj(np.fft.rfft(x, size, axis=0)) * np.fft.rfft(y, size, axis=0), size, axis=0
        )
        return np.concatenate([whole[size - n + 1 :], whole[:m]])

    a, b = (np.asarray(x, np.float64) - x.mean(0) for x in (a, b))
    ones_a, ones_b = np.ones((n, 1)), np.ones((m, 1))
    rows = np.maximum(products(ones_a, ones_b).round(), 1)
    sum_a, sum_b = products(a, ones_b), products(ones_a, b)
    spread = (products(a * a, ones_b) - sum_a**2 / rows) * (
        products(ones_a, b * b) - sum_b**2 / rows
    )
    least = 1e-9 * a.var(0) * b.var(0) * n * m + 1e-12  # where a curve stands still nothing agrees
    r = np.where(
        spread > least,
        (products(a, b) - sum_a * sum_b / rows) / np.sqrt(np.maximum(spread, least)),
        0.0,
    )
    return np.arange(1 - n, m), rows[:, 0], r


def _changes(samples: np.ndarray) -> np.ndarray:
    """How a sound [n] changes in each band, natural logarithm, 100 rows a second."""
    bands = np.array_split(log_mel(samples, _WINDOW), _BANDS, axis=1)
    levels = np.stack([band.mean(1) for band in bands], 1)
    return levels[_ACROSS:] - levels[:-_ACROSS]
