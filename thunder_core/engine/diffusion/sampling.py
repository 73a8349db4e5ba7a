# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling of motion: the forward process of §4.2 and DPM-Solver++ backwards through it, all takes in one batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...filters import smoothstep

STEPS = 1000  # D of the paper
BETA = (1e-4, 0.02)  # linear schedule of the paper

Values = Any  # arrays of numpy; for `sample` also tensors of torch, which training takes gradients of
Denoise = Callable[[Values, int], Values]  # (noisy x [B, T, C], step) → x̂_0 [B, T, C]

WINDOW = 500  # frames denoised at once; longer clips are covered by overlapping windows
OVERLAP = 100  # frames shared by neighbours and cross-faded at every step


def alpha_bar() -> np.ndarray:
    """ᾱ_d float32 [1000] of the linear schedule."""
    return np.cumprod(1 - np.linspace(*BETA, STEPS)).astype(np.float32)


@dataclass(frozen=True)
class Steps:
    """The noise levels that a sampler goes through, most noise first.

    times: int64 [n], diffusion steps at which the network is evaluated.  noise: float64 [n + 1], σ/α of each and, 0, of the result.
    """

    times: np.ndarray
    noise: np.ndarray

    @property
    def signal_scales(self) -> list[float]:
        """α of each level, n + 1."""
        return (1 / np.sqrt(1 + self.noise**2)).tolist()


def solver_steps(count: int, least_noise: float = 0.0) -> Steps:
    """`count` evaluations evenly spaced in log-SNR, each at the nearest diffusion step; the last at a σ/α of `least_noise` or, without
    one, at the least noise there is.

    Even spacing in time leaves so few steps at low noise that narrow distributions come out narrower still (a Gaussian
    of deviation 0.1 keeps half its spread at 20 steps); even spacing in log-SNR keeps it within 2 %.
    """
    alpha = alpha_bar().astype(np.float64)
    known = np.log((1 - alpha) / alpha) / 2  # of all diffusion steps, ascending
    wanted = np.linspace(known[-1], max(known[0], math.log(least_noise)) if least_noise else known[0], count)
    times = np.interp(wanted, known, np.arange(STEPS)).round().astype(np.int64)
    return Steps(times, np.append(np.exp(wanted), 0.0))


def sample(
    denoise: Denoise, noise: Values, steps: int | Steps = 20, callback: Callable[[int, int], None] | None = None
) -> Values:  # fmt: skip
    """Integrate from ε [B, T, C] to x_0 [B, T, C]. `callback(done, steps)` runs before each evaluation and may raise.

    DPM-Solver++ (2M) for a network that predicts x_0 (Lu et al. 2022, algorithm 2): its estimate is extrapolated in log-SNR from the last
    two evaluations; at the first step and towards the last noise level from one.
    """
    levels = solver_steps(steps) if isinstance(steps, int) else steps
    count, signal, noise_level = len(levels.times), levels.signal_scales, levels.noise.tolist()
    x, before, step_before = noise, None, 0.0
    for i, time in enumerate(levels.times.tolist()):
        if callback:
            callback(i, count)
        x0 = denoise(x, time)
        if i == count - 1:  # without noise the factor of x is 0
            return x0
        step = math.log(noise_level[i]) - math.log(noise_level[i + 1])  # in log-SNR / 2
        estimate = x0 if before is None else x0 + (x0 - before) * (step / (2 * step_before))
        kept = noise_level[i + 1] * signal[i + 1] / (noise_level[i] * signal[i])
        x = kept * x - signal[i + 1] * math.expm1(-step) * estimate
        before, step_before = x0, step
    return x


@dataclass(frozen=True)
class Inpainting:
    """The fixed part of a motion while the rest is sampled again.

    mask: bool [T, C], True where the result must equal `values` [T, C] (of x_0, standardised).
    """

    mask: np.ndarray
    values: np.ndarray


EASE = 6  # frames of the blend between free and kept values


def _nearest_kept(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the last kept frame at or before each frame of [T, C], −1 for none; and of the first at or after, T for none."""
    frames = len(mask)
    t = np.arange(frames)[:, None]
    before = np.maximum.accumulate(np.where(mask, t, -1), 0)
    after = np.minimum.accumulate(np.where(mask, t, frames)[::-1], 0)[::-1]
    return before, after


def away_from_kept(mask: np.ndarray) -> np.ndarray:
    """How far each free frame of [T, C] is from what is kept, float32 0 … 1, eased: 0 there, 1 from `EASE` frames on."""
    before, after = _nearest_kept(mask)
    t = np.arange(len(mask))[:, None]
    distance = np.minimum(np.where(before >= 0, t - before, EASE), np.where(after < len(mask), after - t, EASE))
    return smoothstep((distance / EASE).clip(0, 1)).astype(np.float32)


def inpaint(denoise: Denoise, kept: Inpainting) -> Denoise:
    """Denoise with part of x_0 known: known values replace the estimate at every step, so that the network makes the rest fit.

    The remaining error of the estimate at a border, value and slope, fades over `EASE` frames of the free part, so that position and
    velocity are continuous. In a gap shorter than two eases each side fades over half of it.
    """
    mask, values = kept.mask, kept.values
    frames = len(mask)
    before, after = _nearest_kept(mask)
    t = np.arange(frames)[:, None]
    span = np.minimum(np.where((before >= 0) & (after < frames), (after - before) / 2.0, EASE), EASE)

    def fade(distance: np.ndarray, there: np.ndarray) -> np.ndarray:
        x = (distance / np.maximum(span, 1e-6)).clip(0, 1)
        return np.where(there & ~mask, 1 - smoothstep(x), 0.0).astype(np.float32)

    from_left, from_right = fade(t - before, before >= 0), fade(after - t, after < frames)
    left, right = before.clip(0, None), after.clip(None, frames - 1)
    # The slope of the remaining error, from the kept neighbour further inside, if there is one.
    further_left, further_right = (left - 1).clip(0, None), (right + 1).clip(None, frames - 1)
    sloped_left = np.take_along_axis(mask, further_left, 0) & (left > 0)
    sloped_right = np.take_along_axis(mask, further_right, 0) & (right < frames - 1)
    to_left, to_right = (t - before).astype(np.float32), (after - t).astype(np.float32)

    def fitted(x: np.ndarray, step: int) -> np.ndarray:
        guess = denoise(x, step)
        missed = np.where(mask, values - guess, np.float32(0))

        def at(index: np.ndarray) -> np.ndarray:
            return np.take_along_axis(missed, index[None], 1)

        slope_left = np.where(sloped_left, at(left) - at(further_left), np.float32(0))
        slope_right = np.where(sloped_right, at(right) - at(further_right), np.float32(0))
        carried = from_left * (at(left) + slope_left * to_left) + from_right * (at(right) + slope_right * to_right)
        return np.where(mask, values, guess + carried)

    return fitted


def windows(frames: int) -> list[tuple[int, int]]:
    """(start, end) of the windows that cover `frames`; each but the first shares OVERLAP frames with the one before."""
    if frames <= WINDOW:
        return [(0, frames)]
    starts = list(range(0, frames - WINDOW, WINDOW - OVERLAP)) + [frames - WINDOW]
    return [(s, s + WINDOW) for s in starts]


def in_windows(denoise: Callable[[np.ndarray, int, int, int], np.ndarray], frames: int) -> Denoise:
    """Denoise long clips window by window, cross-fading x̂_0 where they overlap, at every step.

    Because all windows see the same noisy x and agree on their overlap at each step, no seam can form, and memory grows
    with the window, not with the clip. `denoise` gets (x[:, a:b], step, a, b).
    """
    spans = windows(frames)
    if len(spans) == 1:
        return lambda x, step: denoise(x, step, 0, frames)

    def whole(x: np.ndarray, step: int) -> np.ndarray:
        total, weight = np.zeros_like(x), np.zeros((frames, 1), np.float32)
        fade = np.linspace(0, 1, OVERLAP + 2, dtype=np.float32)[1:-1, None]
        for a, b in spans:
            ramp = np.ones((b - a, 1), np.float32)
            if a > 0:
                ramp[:OVERLAP] = fade
            if b < frames:
                ramp[-OVERLAP:] = fade[::-1]
            total[:, a:b] += ramp * denoise(x[:, a:b], step, a, b)
            weight[a:b] += ramp
        return total / weight

    return whole
