# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusion model as the engine samples motion with it, in arrays: the network
(`networks.denoiser` says what it computes), seeded noise, and the samplers of §4.2, DPM-Solver++
and the paper's, with windows over long clips and inpainting."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..filters import smoothstep
from ..progress import no_progress, Progress
from ..weight_files import build_config, check_shapes, DenoiserConfig, read_weights
from .network import LazyNetwork

# ---- the solver

STEPS = 1000  # D of the paper
BETA = (1e-4, 0.02)  # linear schedule of the paper

# arrays of numpy; for `sample` also tensors of torch, which training differentiates
Values = Any
Denoise = Callable[[Values, int], Values]  # (noisy x [B, T, C], step) → x̂_0 [B, T, C]

WINDOW = 500  # frames denoised at once; longer clips are covered by overlapping windows
OVERLAP = 100  # frames shared by neighbours and cross-faded at every step


def alpha_bar() -> np.ndarray:
    """ᾱ_d float32 [1000] of the linear schedule."""
    return np.cumprod(1 - np.linspace(*BETA, STEPS)).astype(np.float32)


@dataclass(frozen=True)
class Steps:
    """The noise levels that a sampler goes through, most noise first.

    times: int64 [n], diffusion steps at which the network is evaluated.  noise: float64 [n + 1],
    σ/α of each and, 0, of the result.
    """

    times: np.ndarray
    noise: np.ndarray


def solver_steps(count: int, least_noise: float = 0.0) -> Steps:
    """`count` evaluations evenly spaced in log-SNR, each at the nearest diffusion step; the last at
    a σ/α of `least_noise` or, without one, at the least noise there is.

    Even spacing in time leaves so few steps at low noise that narrow distributions come out
    narrower still (a Gaussian of deviation 0.1 keeps half its spread at 20 steps); even spacing in
    log-SNR keeps it within 2 %.
    """
    alpha = alpha_bar().astype(np.float64)
    log_snr = np.log((1 - alpha) / alpha) / 2  # of all diffusion steps, ascending
    wanted = np.linspace(
        log_snr[-1], max(log_snr[0], math.log(least_noise)) if least_noise else log_snr[0], count
    )
    times = np.interp(wanted, log_snr, np.arange(STEPS)).round().astype(np.int64)
    return Steps(times, np.append(np.exp(wanted), 0.0))


def sample(denoise: Denoise, noise: Values, steps: int | Steps = 20) -> Values:
    """Integrate from ε [B, T, C] to x_0 [B, T, C].

    DPM-Solver++ (2M) for a network that predicts x_0 (Lu et al. 2022, algorithm 2): its estimate is
    extrapolated in log-SNR from the last two evaluations; at the first step and towards the last
    noise level from one.
    """
    levels = solver_steps(steps) if isinstance(steps, int) else steps
    count, noise_level = len(levels.times), levels.noise.tolist()
    signal = (1 / np.sqrt(1 + levels.noise**2)).tolist()  # α of each level
    x, before, step_before = noise, None, 0.0
    for i, time in enumerate(levels.times.tolist()):
        x0 = denoise(x, time)
        if i == count - 1:  # without noise the factor of x is 0
            return x0
        step = math.log(noise_level[i]) - math.log(noise_level[i + 1])  # in log-SNR / 2
        estimate = x0 if before is None else x0 + (x0 - before) * (step / (2 * step_before))
        kept = noise_level[i + 1] * signal[i + 1] / (noise_level[i] * signal[i])
        x = kept * x - signal[i + 1] * math.expm1(-step) * estimate
        before, step_before = x0, step
    return x


EASE = 6  # frames of the blend between free and kept values


@dataclass(frozen=True)
class Inpainting:
    """The fixed part of a motion while the rest is sampled again.

    mask: bool [T, C], True where the result must equal `values` [T, C] (of x_0, standardised).
    """

    mask: np.ndarray
    values: np.ndarray

    @cached_property
    def free(self) -> np.ndarray:
        """How far each frame [T, C] is from what is kept, float32 0 … 1, eased: 0 there, 1 from
        `EASE` frames on."""
        before, after = _nearest_kept(self.mask)
        t = np.arange(len(self.mask))[:, None]
        distance = np.minimum(
            np.where(before >= 0, t - before, EASE),
            np.where(after < len(self.mask), after - t, EASE),
        )
        return smoothstep((distance / EASE).clip(0, 1)).astype(np.float32)


def _nearest_kept(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the last kept frame at or before each frame of [T, C], −1 for none; and of the first
    at or after, T for none."""
    frames = len(mask)
    t = np.arange(frames)[:, None]
    before = np.maximum.accumulate(np.where(mask, t, -1), 0)
    after = np.minimum.accumulate(np.where(mask, t, frames)[::-1], 0)[::-1]
    return before, after


def inpaint(denoise: Denoise, kept: Inpainting) -> Denoise:
    """Denoise with part of x_0 known: known values replace the estimate at every step, so that the
    network makes the rest fit.

    The remaining error of the estimate at a border, value and slope, fades over `EASE` frames of
    the free part, so that position and velocity are continuous. In a gap shorter than two eases
    each side fades over half of it.
    """
    mask, values = kept.mask, kept.values
    frames = len(mask)
    before, after = _nearest_kept(mask)
    t = np.arange(frames)[:, None]
    span = np.minimum(
        np.where((before >= 0) & (after < frames), (after - before) / 2.0, EASE), EASE
    )

    ends = []
    for nearest, distance, inside, has_neighbour in (
        (before, t - before, -1, before >= 0),
        (after, after - t, 1, after < frames),
    ):
        x = (distance / np.maximum(span, 1e-6)).clip(0, 1)
        fade = np.where(has_neighbour & ~mask, 1 - smoothstep(x), 0.0).astype(np.float32)
        border = nearest.clip(0, frames - 1)
        # the kept neighbour further inside, which gives the error's slope: 0 at the line's ends
        further = (border + inside).clip(0, frames - 1)
        slopes = np.take_along_axis(mask, further, 0)
        ends.append((fade, border[None], further[None], slopes, distance.astype(np.float32)))

    def denoise_rest(x: np.ndarray, step: int) -> np.ndarray:
        guess = denoise(x, step)
        missed = np.where(mask, values - guess, np.float32(0))
        carried: np.ndarray = np.zeros((), np.float32)
        for fade, border, further, slopes, distance in ends:
            error = np.take_along_axis(missed, border, 1)
            slope = np.where(slopes, error - np.take_along_axis(missed, further, 1), np.float32(0))
            carried = carried + fade * (error + slope * distance)
        return np.where(mask, values, guess + carried)

    return denoise_rest


def windows(frames: int) -> list[tuple[int, int]]:
    """(start, end) of the windows that cover `frames`; each but the first shares OVERLAP frames
    with the one before."""
    if frames <= WINDOW:
        return [(0, frames)]
    starts = list(range(0, frames - WINDOW, WINDOW - OVERLAP)) + [frames - WINDOW]
    return [(s, s + WINDOW) for s in starts]


def in_windows(denoise: Callable[[np.ndarray, int, int, int], np.ndarray], frames: int) -> Denoise:
    """Denoise long clips window by window, cross-fading x̂_0 where they overlap, at every step.

    Because all windows see the same noisy x and agree on their overlap at each step, no seam can
    form, and memory grows with the window, not with the clip. `denoise` gets (x[:, a:b], step, a,
    b).
    """
    spans = windows(frames)
    if len(spans) == 1:
        return lambda x, step: denoise(x, step, 0, frames)

    def denoise_all(x: np.ndarray, step: int) -> np.ndarray:
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

    return denoise_all


# ---- noise

_AT_ONCE = 16  # numbers that torch makes together: eight pairs
_APART = 0.5  # weight of new noise in a take that is sampled around another


class Normal:
    """A stream of normal numbers of mean 0 and deviation 1: `torch.randn` of a generator on the
    processor, to 5e-7."""

    def __init__(self, seed: int):
        # the Mersenne Twister, of which torch too uses 32 bits of a seed
        self._bits = np.random.RandomState(seed % 2**32)

    def draw(self, *shape: int) -> np.ndarray:
        """The next numbers, float32 [*shape], at least 16: fewer torch draws in another way."""
        count = math.prod(shape)
        x = self._uniform(count)
        rest = count % _AT_ONCE
        numbers = np.empty(count, np.float32)
        numbers[: count - rest] = _normal(x[: count - rest])
        if rest:  # the last sixteen are drawn anew
            numbers[-_AT_ONCE:] = _normal(self._uniform(_AT_ONCE))
        return numbers.reshape(shape)

    def _uniform(self, count: int) -> np.ndarray:
        """Numbers [count] from 0 up to 1 in steps of 2^-24, float32."""
        bits = self._bits.randint(0, 2**32, count, np.uint32) & np.uint32(0xFFFFFF)
        return bits.astype(np.float32) * np.float32(2**-24)


def _normal(x: np.ndarray) -> np.ndarray:
    """Normal numbers of uniform ones [16 n] by Box and Muller's formula: eight radii and eight
    angles make eight cosines and sines."""
    radius, angle = x.reshape(-1, 2, _AT_ONCE // 2).transpose(1, 0, 2)
    radius = np.sqrt(-2 * np.log(1 - radius))
    angle = np.float32(2 * math.pi) * angle
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()


def seeded_noise(
    seeds: Sequence[int], frames: int, channels: int, like: Sequence[int] = ()
) -> np.ndarray:
    """ε float32 [takes, frames, channels], drawn from each take's seed: the same take on every
    device and in every batch.

    like: seeds of a chain of takes, each sampled around the one before; these are sampled around
    the last one. A take has at least 16 values.
    """

    def draw_noise(near: np.ndarray | None, seed: int) -> np.ndarray:
        noise = Normal(seed).draw(frames, channels)
        if near is None:
            return noise
        # of deviation 1 again
        return np.float32(math.sqrt(1 - _APART**2)) * near + np.float32(_APART) * noise

    near = None
    for seed in like:
        near = draw_noise(near, seed)
    return np.stack([draw_noise(near, seed) for seed in seeds])


# ---- the network


@dataclass(frozen=True)
class Joined:
    """Speech features a, joined where frames of them are read: so takes share what is hidden, of
    an hour 180 MB. hidden: [T, width].  phones: [T, 42], with loudness."""

    hidden: np.ndarray
    phones: np.ndarray

    def __len__(self) -> int:
        return len(self.phones)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Some frames' features [n, width + 42]."""
        return np.concatenate([self.hidden[rows], self.phones[rows]], 1)


@dataclass(frozen=True)
class Conditions:
    """What takes are sampled for.

    audio: speech features of each take, or one of all.  style: float32 [B, 1 or T,
    style], None for any.  events: float32 [B, T, EVENTS] that the takes plan
    (`thunder_core.events`), NaN where they plan nothing.  mouth: the mouth map's curves [T, mouth]
    of each sound in `audio`; none for a model that does not hear them.
    """

    audio: Sequence[Joined]
    style: np.ndarray | None
    events: np.ndarray
    mouth: Sequence[np.ndarray] = ()

    def part(self, a: int, b: int) -> dict[str, Any]:
        """Those of frames a … b, as `Denoiser.estimate` takes them."""
        style = self.style
        if style is not None and style.shape[1] > 1:
            style = style[:, a:b]
        audio = np.stack([each[a:b] for each in self.audio])
        given = {"audio": audio, "style": style, "events": self.events[:, a:b]}
        return given | (
            {"mouth": np.stack([each[a:b] for each in self.mouth])} if self.mouth else {}
        )


class Denoiser:
    """A denoiser of a folder of weights."""

    def __init__(self, folder: Path, device: str, name: str = "denoiser"):
        """Raises BadWeights."""
        path = folder / name
        arrays, config = read_weights(path, ["motion_mean", "motion_std"])
        self.config: DenoiserConfig = build_config(path, config, DenoiserConfig)
        check_shapes(path, arrays, **dict.fromkeys(arrays, (self.config.motion,)))
        self.mean, self.deviation = arrays["motion_mean"], arrays["motion_std"]
        self.network = LazyNetwork(path, device)

    def sample(
        self, seeds: Sequence[int], conditions: Conditions, count: int, guidance: float = 1.0,
        kept: Inpainting | None = None, progress: Progress = no_progress, like: Sequence[int] = (),
    ) -> np.ndarray:  # fmt: skip
        """Packed motions [B, T, motion] of the takes of seeds, by `count` steps of DPM-Solver++
        with classifier-free guidance (§4.2).

        kept: fixed part of the motions, not standardised.  `progress` is called before each window
        of each step.  like: as of `seeded_noise`.
        """
        frames, done = conditions.events.shape[1], itertools.count()
        total = count * len(windows(frames))

        def denoise(x: np.ndarray, step: int, a: int, b: int) -> np.ndarray:
            progress(next(done) / total)
            given = conditions.part(a, b)
            x0 = self.estimate(x, step, **given)
            if guidance != 1.0:
                x0 = guidance * x0 + (1 - guidance) * self.estimate(x, step, silent=True, **given)
            return x0

        denoise_line = in_windows(denoise, frames)
        if kept is not None:
            fixed = Inpainting(kept.mask, self.standardise(kept.values))
            denoise_line = inpaint(denoise_line, fixed)
        noise = seeded_noise(seeds, frames, self.config.motion, like)
        return self.restore(
            sample(denoise_line, noise, solver_steps(count, self.config.least_noise))
        )

    def estimate(
        self, x: np.ndarray, step: int, audio: np.ndarray, style: np.ndarray | None,
        events: np.ndarray, silent: bool = False, **mouth: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """x̂_0 [B, T, motion] of noisy standardised motions x at a diffusion step, of speech
        features [B or 1, T, audio].

        style, events, mouth: as of `Conditions`.  silent: without the sound (classifier-free
        guidance), but with what the map of mouths hears in it.
        """
        free = style is None
        return self.network(
            x=x,
            step=np.array([step]),
            audio=audio,
            silent=np.array([silent]),
            style=np.zeros((1, 1, self.config.style), np.float32) if style is None else style,
            free=np.array([free]),
            events=events,
            **mouth,
        )[0]

    def standardise(self, motion: np.ndarray) -> np.ndarray:
        """Packed motion [..., motion] in the units of the network: mean 0, deviation 1 over the
        training set."""
        return (motion - self.mean) / self.deviation

    def restore(self, x: np.ndarray) -> np.ndarray:
        """The inverse of `standardise`."""
        return x * self.deviation + self.mean
