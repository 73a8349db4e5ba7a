# SPDX-License-Identifier: GPL-3.0-or-later
"""The level of a voice, its log-mel spectrogram (the input of the encoder and the output of
mesh-to-speech) and its pitch: classes of a logarithmic scale, the smooth path through the classes'
scores of every frame, and the scores that recordings have by their normalised autocorrelation."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

import numpy as np

from .filters import gaussian, highest, slices
from .types import FPS, RATE

# ---- level and spectrograms

HOP = 160  # samples; 100 frames per second
BINS = 80
FLOOR = 1e-5
PIECE = 60  # seconds processed at once, so that an hour needs little more memory than its result
LEVEL_FRAME = RATE // 50  # samples per level measurement
# frames: half a second, the shortest voice whose level can be measured; no click lasts as long
LOUDEST = 25
# ratio of the loudest half second to the 95th percentile: a voice in at most one twentieth of the
# time
RARE = 8.0
VOICE = 20.0  # ratio to the loudest half second down to which frames belong to the voice (26 dB)
_SLOW_STEP = 32  # samples of a mean in `high_pass`
# deviation of a Gaussian, times its frequency, at which it lets half of the amplitude through
_HALF = float(np.sqrt(np.log(4)) / (2 * np.pi))
# samples of a transform: shorter windows are filled with zeros, so that the lowest bands have bins
_SHORTEST = 512
# Slaney's scale: Hz per mel, up to a frequency in Hz beyond which it is logarithmic
_LINEAR, _STEP = 200 / 3, 1000.0
_LOGARITHMIC = np.log(6.4) / 27  # octaves of e per mel above it


@lru_cache
def mel_filters(bins: int, count: int) -> np.ndarray:
    """Triangular filters float32 [bins, count] of equal area (Slaney's scale), from 0 to 8 kHz, for
    spectra of `bins` values from 0 to 8 kHz."""
    frequencies = np.linspace(0, RATE / 2, bins)
    top = _STEP / _LINEAR + np.log(RATE / 2 / _STEP) / _LOGARITHMIC
    mels = np.linspace(0, top, count + 2)
    edges = np.where(
        mels < _STEP / _LINEAR,
        _LINEAR * mels,
        _STEP * np.exp(_LOGARITHMIC * (mels - _STEP / _LINEAR)),
    )
    widths = np.diff(edges)
    slopes = edges - frequencies[:, None]
    triangles = np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:])
    return (np.maximum(triangles, 0) * (2 / (edges[2:] - edges[:-2]))).astype(np.float32)


@lru_cache
def hann(window: int) -> np.ndarray:
    """Hann's window float32 [window], one period."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


def transform(
    samples: np.ndarray, window: int, size: int, pad: Literal["reflect", "constant"] = "reflect"
) -> np.ndarray:
    """Short-time Fourier transform complex64 [frames, size / 2 + 1] of a sound [n], all of it in
    memory; frame j is centred on sample j · HOP, and there are n // HOP + 1.

    window: samples of Hann's window, in the middle of the `size` ≥ window samples of each frame.
    pad: how the sound goes on beyond its ends.
    """
    padded = np.pad(np.asarray(samples, np.float32), size // 2, pad)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::HOP]
    before = (size - window) // 2
    weights = np.pad(hann(window), (before, size - window - before))
    return np.fft.rfft(frames * weights).astype(np.complex64, copy=False)


def log_mel(samples: np.ndarray, window: int) -> np.ndarray:
    """Natural-log mel float32 [frames, 80] of a sound [n] at 16 kHz; frame j is centred on j · 10
    ms.

    `window` in samples: 400 (25 ms) resolves stops for the encoder; 640 (40 ms) is what Choi et al.
    draw with M2S. Long sounds are processed a piece at a time, with the same result.
    """
    size = max(_SHORTEST, window)
    filters = mel_filters(size // 2 + 1, BINS)
    result = np.empty((len(samples) // HOP + 1, BINS), np.float32)
    for start, spectrum in _spectra(samples, window, size, len(result)):
        at = slice(start, start + len(spectrum))
        np.log(np.maximum(np.abs(spectrum) @ filters, FLOOR), out=result[at])
    return result


def _spectra(
    samples: np.ndarray, window: int, size: int, frames: int, factor: float = 1.0
) -> Iterator[tuple[int, np.ndarray]]:
    """The first `frames` frames of `transform` of a sound times a factor in pieces: (number of its
    first frame, complex64 [n, size / 2 + 1])."""
    piece = PIECE * RATE // HOP
    around = size // 2 // HOP + 1  # frames on either side that are affected by a piece's ends
    for start in range(0, frames, piece):
        first, end = max(0, start - around), min(start + piece, frames)
        part = scaled(samples[first * HOP : (start + piece + around) * HOP], factor)
        yield start, transform(part, window, size)[start - first : end - first]


WHISPER_WINDOW = 400  # samples, 25 ms
LEAST_POWER = 1e-10
_DECADES = 8.0  # from the loudest point of a sound to its floor


def whisper_mel(samples: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Log-mel float32 [n // 160, 80] of a sound [n] at 16 kHz, times a factor, as Whisper hears it:
    decades of power, the floor 8 below the loudest point of the whole sound. Long sounds are
    processed a piece at a time, with the same result."""
    filters = mel_filters(WHISPER_WINDOW // 2 + 1, BINS)
    mel = np.empty((len(samples) // HOP, BINS), np.float32)
    for start, spectrum in _spectra(samples, WHISPER_WINDOW, WHISPER_WINDOW, len(mel), factor):
        power = np.square(np.abs(spectrum))
        np.log10(np.maximum(power @ filters, LEAST_POWER), out=mel[start : start + len(power)])
    loudest = mel.max(initial=-_DECADES)
    for rows in slices(len(mel), PIECE * RATE // HOP):
        mel[rows] = whisper_scale(mel[rows], loudest)
    return mel


def whisper_scale(decades, loudest):
    """What Whisper reads of decades of power, arrays or tensors: the floor is raised to 8 below the
    `loudest`, and all is brought to about −1 … 1."""
    return (decades.clip(loudest - _DECADES) + 4.0) / 4.0


def active_level(samples: np.ndarray) -> float:
    """Level of speech [n]: RMS of the loud 20 ms frames (95th percentile), so pauses do not count.

    If speech is so rare that this percentile lies in a pause, only frames near the loudest half
    second are used. Clicks and knocks are too short to count in either.
    """
    samples = np.asarray(samples, np.float32)
    count = len(samples) // LEVEL_FRAME
    if count == 0:
        return float(np.sqrt(np.mean(np.square(samples))))
    rms = frame_rms(samples[: count * LEVEL_FRAME].reshape(count, LEVEL_FRAME))
    usual = np.quantile(rms, 0.95)
    rank = min(LOUDEST, max(1, count // 20))
    loudest = np.partition(rms, -rank)[-rank]
    if loudest > RARE * usual:
        usual = np.quantile(rms[rms > loudest / VOICE], 0.95)
    return float(usual)


def frame_rms(frames: np.ndarray) -> np.ndarray:
    """Root mean square [N] of frames [N, samples], which may overlap: their squares are not
    kept."""
    return np.sqrt(np.einsum("ij,ij->i", frames, frames) / np.float32(frames.shape[1]))


def gain(samples: np.ndarray, target: float = 0.1) -> float:
    """Factor that brings speech [n] to one level; a level far below the audible bounds it."""
    return target / max(active_level(samples), 1e-5)


def _amplitudes(pieces: Iterable[np.ndarray], frames: int) -> np.ndarray:
    """RMS of a sound in float32 pieces, all but the last of whole frames, in the 80 ms around each
    animation frame, float32 [frames]."""
    hop, at, rest = int(RATE / FPS), 0, np.zeros(0, np.float32)
    powers = np.zeros(frames + 1, np.float32)  # of the 40 ms before each frame, and behind the last
    for piece in pieces:
        piece = piece[: (frames - at) * hop]
        whole = len(piece) // hop
        powers[at + 1 : at + whole + 1] = np.square(
            frame_rms(piece[: whole * hop].reshape(whole, hop))
        )
        at, rest = at + whole, piece[whole * hop :]
    if at < frames:
        powers[at + 1] = np.square(rest).sum() / hop
    return np.sqrt((powers[:-1] + powers[1:]) / 2)


def loudness(samples: np.ndarray, frames: int, heard: np.ndarray | None = None) -> np.ndarray:
    """Loudness of a sound [n] around each animation frame: float32 [frames, 2], roughly −1
    (silence) … 1 (loudest).

    Channel 0 is compressed amplitude, channel 1 level in units of 20 dB, both relative to the
    clip's speech level, so that a quiet recording animates like a loud one. heard: [frames] 0 … 1,
    0 where nothing but a steady floor sounds; None: all of it is heard.
    """
    samples = np.asarray(samples, np.float32)
    amplitude = _amplitudes([samples], frames) * np.float32(gain(samples, 1.0))
    if heard is not None:
        amplitude = amplitude * np.float32(heard)
    decibel = 20 * np.log10(np.maximum(amplitude, 1e-3))
    return np.stack(
        [2 * np.sqrt(np.minimum(amplitude, 2)) - 1, np.clip(decibel / 20 + 1, -2, 1)], -1
    )


def high_pass(samples: np.ndarray, hertz: float = 20.0) -> np.ndarray:
    """A sound [n] without what changes more slowly: at the limit half is left. Below 20 Hz, the
    mean and its drift, nothing can be heard."""
    samples = np.asarray(samples, np.float32)
    result, at = np.empty_like(samples), 0
    for part in _high_passed(samples, hertz):
        result[at : at + len(part)] = part
        at += len(part)
    return result


def _high_passed(samples: np.ndarray, hertz: float) -> Iterator[np.ndarray]:
    """`high_pass` of a float32 sound [n] in pieces of PIECE seconds."""
    count = max(1, len(samples) // _SLOW_STEP)
    step = min(_SLOW_STEP, len(samples))
    means = samples[: count * step].reshape(count, step).mean(1, dtype=np.float64)
    slow = gaussian(means, _HALF * RATE / step / hertz, "nearest")
    middles = step * np.arange(count) + (step - 1) / 2
    for start in range(0, len(samples), PIECE * RATE):
        part = samples[start : start + PIECE * RATE]
        at = np.arange(start, start + len(part))
        yield (part - np.interp(at, middles, slow)).astype(np.float32)


# What is constant is not heard: levels under the voice, dB, at which a recording has no sound, and
# above which it has one; dB above the steady floor at which only the floor is there, and above
# which something else is, such as a breath; frames on either side in which the lowest level where
# nobody speaks is the floor; frames of the longest gap in a sound, that of a plosive; Hz below
# which the floor may swell as it likes.
_GATED, _FLOOR, _FLOOR_AROUND, LONGEST_GAP, _HUM = (-58.0, -52.0), (3.0, 8.0), 50, 5, 94.0
# probability of silence up to which somebody may speak, and from which nobody does
_SURE = (0.5, 0.75)


def _slopes(samples: np.ndarray) -> Iterator[np.ndarray]:
    """A sound's change from the sample before [n], in pieces of PIECE seconds."""
    for start in range(0, len(samples), PIECE * RATE):
        part = samples[start : start + PIECE * RATE]
        yield np.diff(part, prepend=samples[max(0, start - 1)])


def unheard(samples: np.ndarray, silent: np.ndarray, frames: int) -> np.ndarray:
    """Where a sound [n] has nothing but what is constant around an animation frame, float32
    [frames] 0 … 1: no sound at all, or the steady floor of hum and noise, where nobody speaks in
    it. A breath rises above the floor. silent: probability [frames] that nobody speaks."""
    samples = np.asarray(samples, np.float32)
    by_voice = gain(samples, 1.0)

    def decibels(band: Iterable[np.ndarray]) -> np.ndarray:
        return 20 * np.log10(np.maximum(_amplitudes(band, frames) * by_voice, 1e-6))

    whole = decibels([samples])
    nothing = np.interp(whole, _GATED, (1.0, 0.0))
    # frames that tell the floor: others hold the recording's ends, or gaps without any sound
    tells = (silent > 0.5) & (highest(-whole, LONGEST_GAP) < -_GATED[0])
    tells[[0, -1]] = False
    # a breath above a hum is heard by its hiss, a low voice above a hiss by the rest
    bands = np.stack(list(map(decibels, (_high_passed(samples, _HUM), _slopes(samples)))), 1)
    floors = -highest(np.where(tells[:, None], -bands, -np.inf), 2 * _FLOOR_AROUND + 1)
    floors = np.where(np.isfinite(floors), np.maximum(floors, _GATED[1]), _GATED[1])
    above = (bands - floors).max(1)
    steady = np.interp(above, _FLOOR, (1.0, 0.0)) * np.interp(silent, _SURE, (0.0, 1.0))
    return np.maximum(nothing, steady).astype(np.float32)


def level(samples: np.ndarray) -> np.ndarray:
    """Speech [n] at one level, float32."""
    return scaled(samples, gain(samples))


def scaled(samples: np.ndarray, factor: float) -> np.ndarray:
    """A sound [n], or a piece of a long one, times a factor, float32."""
    return np.asarray(samples, np.float32) * np.float32(factor)


# ---- pitch

LOWEST, HIGHEST = 55.0, 500.0  # Hz: a bass's creak, a child's shout
CLASSES = 96  # 40 cents each
_AROUND = 3  # classes on either side of the path that are averaged
_WINDOW = 480  # samples (30 ms) of the autocorrelation
_LAGS = int(RATE / LOWEST) + 2
_REACH = _WINDOW + _LAGS
_TRANSFORM = 800  # samples: fast, and at least _REACH, so that no lag wraps around
_DEEP = 0.06  # penalty per octave down, since two periods correlate as well as one
_SHARP = 25.0  # factor from correlation to log odds near its peak
_LEAP = 0.05  # path cost per class and frame of 10 ms, as correlation
_ALIKE = 0.6  # correlation above which a frame is voiced
_QUIET = 3e-3  # RMS of levelled speech (30 dB under it) below which nothing is voiced
_MOST_SEMITONES = 8.0


def classes() -> np.ndarray:
    """Frequencies float32 [96] in Hz, equal steps of the logarithm."""
    return np.geomspace(LOWEST, HIGHEST, CLASSES, dtype=np.float32)


def smooth_path(score: np.ndarray, leap: float) -> np.ndarray:
    """Viterbi through [N, 96]: the classes int64 [N] of highest total score when a leap over d
    classes costs `leap` · d.

    Where a path came from is worked out along the best one only.
    """
    steps = np.arange(CLASSES)
    cost = np.float32(leap) * np.abs(steps[:, None] - steps).astype(np.float32)
    total, reached = np.array(score, np.float32), np.empty_like(cost)
    for now, before in zip(total[1:], total):
        np.subtract(before[:, None], cost, out=reached)
        now += reached.max(0)
    path = np.empty(len(total), np.int64)
    path[-1] = total[-1].argmax()
    for i in range(len(total) - 1, 0, -1):
        path[i - 1] = (total[i - 1] - cost[path[i]]).argmax()
    return path


def hertz_along(score: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Frequency float32 [N] in Hz: the mean of the classes around a path [N], weighted by exp of
    their score [N, 96]."""
    at = np.clip(path[:, None] + np.arange(-_AROUND, _AROUND + 1), 0, CLASSES - 1)
    near = np.take_along_axis(score, at, 1)
    weight = np.exp(near - near.max(1, keepdims=True))
    return np.exp((weight * np.log(classes())[at]).sum(1) / weight.sum(1)).astype(np.float32)


def _correlation(samples: np.ndarray, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Normalised autocorrelation [N, lags] of a sound [hop · N] around every hop, and the frames'
    RMS [N]."""
    frames = len(samples) // hop
    padded = np.pad(samples, (_REACH // 2, _REACH))
    x = np.lib.stride_tricks.sliding_window_view(padded, _REACH)[: frames * hop : hop]
    x = x - x.mean(1, keepdims=True)
    head, whole = np.fft.rfft(x[:, :_WINDOW], _TRANSFORM), np.fft.rfft(x, _TRANSFORM)
    product = np.fft.irfft(head.conj() * whole, _TRANSFORM)[:, :_LAGS]
    power = np.pad(np.square(x, dtype=np.float64).cumsum(1), ((0, 0), (1, 0)))
    power = (power[:, _WINDOW:] - power[:, :-_WINDOW])[:, :_LAGS]
    return (product / np.sqrt(power[:, :1] * power + 1e-9)).astype(np.float32), np.sqrt(
        power[:, 0] / _WINDOW
    )


def track(samples: np.ndarray, hop: int = HOP) -> tuple[np.ndarray, np.ndarray]:
    """Pitch float32 [N] in Hz of levelled speech [hop · N] at 16 kHz every hop, in samples, and
    which frames are voiced, bool [N].

    Between voiced parts the logarithm of the pitch is interpolated linearly.
    """
    correlation, rms = _correlation(np.asarray(samples, np.float32), hop)
    lag = RATE / classes()
    low = lag.astype(int)
    share = lag - low.astype(np.float32)
    similarity = correlation[:, low] * (1 - share) + correlation[:, low + 1] * share
    score = similarity - _DEEP * np.log2(HIGHEST / classes())
    path = smooth_path(score, _LEAP * HOP / hop)
    hertz = hertz_along(_SHARP * score, path)
    # periodicity at the ends of the scale is not a voice: a hum, a hiss
    inside = (path > 1) & (path < CLASSES - 2)
    frames = np.arange(len(hertz))
    voiced = (similarity[frames, path] > _ALIKE) & (rms > _QUIET) & inside
    if not voiced.any():
        return np.full(len(hertz), 120, np.float32), voiced
    return np.exp(np.interp(frames, frames[voiced], np.log(hertz[voiced]))).astype(
        np.float32
    ), voiced


def semitones(samples: np.ndarray, frames: int) -> np.ndarray:
    """Pitch [frames] of a sound [n] at 16 kHz at animation frames: semitones above its median, 0
    where nothing is voiced."""
    hop = int(RATE / FPS)
    if len(samples) < _REACH + hop:
        return np.zeros(frames)
    factor = gain(samples)
    pieces = (scaled(samples[rows], factor) for rows in slices(len(samples), PIECE * RATE))
    hertz, voiced = (
        np.concatenate(parts)
        for parts in zip(*(track(np.pad(piece, (0, hop)), hop) for piece in pieces))
    )
    if not voiced.any():
        return np.zeros(frames)
    above = np.clip(
        12 * np.log2(hertz / np.median(hertz[voiced])), -_MOST_SEMITONES, _MOST_SEMITONES
    )
    return np.pad(np.where(voiced, above, 0.0), (0, max(0, frames - len(above))), mode="edge")[
        :frames
    ]
