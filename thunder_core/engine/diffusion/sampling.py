# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling of motion: the forward process of §4.2 and DPM-Solver++ backwards through it, all takes in one batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...filters import smoothstep

STEPS = 1000  # D of the paper
BETA = (1e-4, 0.02)  # linear schedule of the paper

Denoise = Callable[[Tensor, Tensor], Tensor]  # (noisy x [B, T, C], step [B]) → x̂_0 [B, T, C]

WINDOW = 500  # frames denoised at once; longer clips are covered by overlapping windows
OVERLAP = 100  # frames shared by neighbours and cross-faded at every step


def alpha_bar() -> Tensor:
    """ᾱ_d [1000] of the linear schedule."""
    return torch.cumprod(1 - torch.linspace(*BETA, STEPS, dtype=torch.float64), 0).float()


def noisy(x: Tensor, noise: Tensor, step: Tensor, alpha: Tensor) -> Tensor:
    """x̃_d = √ᾱ_d x + √(1−ᾱ_d) ε for x, ε [B, T, C] and step [B]."""
    a = alpha.to(x.device)[step][:, None, None]
    return a.sqrt() * x + (1 - a).sqrt() * noise


@dataclass(frozen=True)
class Steps:
    """The noise levels that a sampler goes through, most noise first.

    times: int64 [n], diffusion steps at which the network is evaluated.  noise: float64 [n + 1], σ/α of each and, 0, of the result.
    """

    times: Tensor
    noise: Tensor

    @property
    def signal_scales(self) -> list[float]:
        """α of each level, n + 1."""
        return [float(x) for x in (1 + self.noise.square()).rsqrt()]


def solver_steps(count: int, least_noise: float = 0.0) -> Steps:
    """`count` evaluations evenly spaced in log-SNR, each at the nearest diffusion step; the last at a σ/α of `least_noise` or, without
    one, at the least noise there is.

    Even spacing in time leaves so few steps at low noise that narrow distributions come out narrower still (a Gaussian
    of deviation 0.1 keeps half its spread at 20 steps); even spacing in log-SNR keeps it within 2 %.
    """
    alpha = alpha_bar().double()
    known = ((1 - alpha) / alpha).log().div(2).numpy()  # of all diffusion steps, ascending
    wanted = np.linspace(known[-1], max(known[0], math.log(least_noise)) if least_noise else known[0], count)
    times = np.interp(wanted, known, np.arange(STEPS)).round().astype(np.int64)
    return Steps(torch.from_numpy(times), torch.from_numpy(np.append(np.exp(wanted), 0.0)))


_APART = 0.5  # weight of its own noise in that of a take that is sampled around another


def seeded_noise(seeds: Sequence[int], frames: int, channels: int, like: Sequence[int] = ()) -> Tensor:
    """ε [takes, frames, channels], drawn on the CPU from each take's own seed: the same take on every device type,
    whatever its neighbours are.  like: seeds of takes, each sampled around the one before, around the last of which these are."""

    def drawn(seed: int) -> Tensor:
        return torch.randn(frames, channels, generator=torch.Generator().manual_seed(int(seed) % 2**63))

    def around(near: Tensor | None, seed: int) -> Tensor:
        return drawn(seed) if near is None else math.sqrt(1 - _APART**2) * near + _APART * drawn(seed)  # of deviation 1 again

    near = None
    for seed in like:
        near = around(near, seed)
    return torch.stack([around(near, seed) for seed in seeds])


def sample(
    denoise: Denoise, noise: Tensor, steps: int | Steps = 20, callback: Callable[[int, int], None] | None = None
) -> Tensor:  # fmt: skip
    """Integrate from ε [B, T, C] to x_0 [B, T, C]. `callback(done, steps)` runs before each evaluation and may raise.

    DPM-Solver++ (2M) for a network that predicts x_0 (Lu et al. 2022, algorithm 2): its estimate is extrapolated in log-SNR from the last
    two evaluations; at the first step and towards the last noise level from one.
    """
    levels = solver_steps(steps) if isinstance(steps, int) else steps
    count, signal, noise_level = len(levels.times), levels.signal_scales, levels.noise.tolist()
    x, before, step_before = noise, None, 0.0
    for i, time in enumerate(levels.times):
        if callback:
            callback(i, count)
        x0 = denoise(x, time.expand(len(x)).to(x.device))
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

    mask: Tensor
    values: Tensor


EASE = 6  # frames of the blend between free and kept values


def _nearest_kept(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the last kept frame at or before each frame of [T, C], −1 for none; and of the first at or after, T for none."""
    frames = len(mask)
    t = torch.arange(frames, device=mask.device)[:, None]
    before = torch.where(mask, t, torch.full_like(t, -1)).cummax(0).values
    after = torch.where(mask, t, torch.full_like(t, frames)).flip(0).cummin(0).values.flip(0)
    return before, after


def away_from_kept(mask: Tensor) -> Tensor:
    """How far each free frame of [T, C] is from what is kept, 0 … 1, eased: 0 there, 1 from `EASE` frames on."""
    before, after = _nearest_kept(mask)
    t = torch.arange(len(mask), device=mask.device)[:, None]
    far = torch.full_like(before, EASE)
    distance = torch.minimum(torch.where(before >= 0, t - before, far), torch.where(after < len(mask), after - t, far))
    return smoothstep((distance / EASE).clamp(0, 1))


def inpaint(denoise: Denoise, kept: Inpainting) -> Denoise:
    """Denoise with part of x_0 known: known values replace the estimate at every step, so that the network makes the rest fit.

    The remaining error of the estimate at a border, value and slope, fades over `EASE` frames of the free part, so that position and
    velocity are continuous. In a gap shorter than two eases each side fades over half of it.
    """
    mask, values = kept.mask, kept.values
    frames = len(mask)
    before, after = _nearest_kept(mask)
    t = torch.arange(frames, device=mask.device)[:, None].expand_as(before)
    span = torch.where((before >= 0) & (after < frames), (after - before) / 2.0, torch.full_like(before, EASE).float()).clamp(max=EASE)

    def fade(distance: Tensor, there: Tensor) -> Tensor:
        x = (distance / span.clamp_min(1e-6)).clamp(0, 1)
        return torch.where(there & ~mask, 1 - smoothstep(x), torch.zeros_like(x))

    from_left, from_right = fade((t - before).float(), before >= 0), fade((after - t).float(), after < frames)
    left, right = before.clamp_min(0), after.clamp_max(frames - 1)
    # The slope of the remaining error, from the kept neighbour further inside, if there is one.
    further_left, further_right = (left - 1).clamp_min(0), (right + 1).clamp_max(frames - 1)
    sloped_left = mask.gather(0, further_left) & (left > 0)
    sloped_right = mask.gather(0, further_right) & (right < frames - 1)

    def fitted(x: Tensor, step: Tensor) -> Tensor:
        guess = denoise(x, step)
        missed = torch.where(mask, values - guess, torch.zeros_like(guess))

        def at(index: Tensor) -> Tensor:
            return missed.gather(1, index.expand_as(missed))

        slope_left = torch.where(sloped_left, at(left) - at(further_left), torch.zeros_like(missed))
        slope_right = torch.where(sloped_right, at(right) - at(further_right), torch.zeros_like(missed))
        carried = from_left * (at(left) + slope_left * (t - before)) + from_right * (at(right) + slope_right * (after - t))
        return torch.where(mask, values, guess + carried)

    return fitted


def windows(frames: int) -> list[tuple[int, int]]:
    """(start, end) of the windows that cover `frames`; each but the first shares OVERLAP frames with the one before."""
    if frames <= WINDOW:
        return [(0, frames)]
    starts = list(range(0, frames - WINDOW, WINDOW - OVERLAP)) + [frames - WINDOW]
    return [(s, s + WINDOW) for s in starts]


def in_windows(denoise: Callable[[Tensor, Tensor, int, int], Tensor], frames: int) -> Denoise:
    """Denoise long clips window by window, cross-fading x̂_0 where they overlap, at every step.

    Because all windows see the same noisy x and agree on their overlap at each step, no seam can form, and memory grows
    with the window, not with the clip. `denoise` gets (x[:, a:b], step, a, b).
    """
    spans = windows(frames)
    if len(spans) == 1:
        return lambda x, step: denoise(x, step, 0, frames)

    def whole(x: Tensor, step: Tensor) -> Tensor:
        total, weight = torch.zeros_like(x), torch.zeros(frames, 1, device=x.device)
        for a, b in spans:
            ramp = torch.ones(b - a, 1, device=x.device)
            fade = torch.linspace(0, 1, OVERLAP + 2, device=x.device)[1:-1, None]
            if a > 0:
                ramp[:OVERLAP] = fade
            if b < frames:
                ramp[-OVERLAP:] = fade.flip(0)
            total[:, a:b] += ramp * denoise(x[:, a:b], step, a, b)
            weight[a:b] += ramp
        return total / weight

    return whole
