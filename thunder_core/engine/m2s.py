# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh-to-speech as the engine uses it, in arrays (`networks.speech` says what it computes), and
the mouth that it reads (§4.1): the vertices of a motion's expression and jaw. And its sound: a
vocoder, and whose voice it is."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..acoustics import (
    active_level,
    BINS,
    FLOOR,
    frame_rms,
    hann,
    hertz_along,
    HOP,
    mel_filters,
    smooth_path,
    transform,
)
from ..face.head import Head
from ..face.points import SkinnedPoints
from ..rotation import rotvec_to_matrix
from ..types import Motion, RATE
from ..weight_files import (
    build_config,
    check_shapes,
    MeshToSpeechConfig,
    read_sizes,
    read_weights,
    VocoderConfig,
)
from .diffusion import Normal
from .network import LazyNetwork

# frames that mesh-to-speech reads at once, and the context on either side
_WINDOW, MARGIN = 500, 50


class MouthVertices:
    """Mouth vertices of a head that expression and jaw move; the head's rotation is left out, as it
    does not change what a mouth says."""

    def __init__(self, head: Head):
        ids = head.mouth_vertices
        self._points = SkinnedPoints.of(head, ids).in_single()

    @property
    def size(self) -> int:
        """Values per frame."""
        return self._points.rest.size

    def vertices(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Offsets float32 [T, n_m, 3] of the vertices from rest, metres; expression [T, n], jaw [T,
        3] rotation vectors in radians."""
        return _offsets(self._points, expression, jaw)

    def windows(self, motions: Sequence[Motion], span: slice) -> Iterator[tuple[np.ndarray, slice]]:
        """Vertices [B, t, n_m, 3] of a span of motions window by window, so that length costs no
        memory, and the frames to keep of each."""
        for start in range(span.start, span.stop, _WINDOW):
            end = min(start + _WINDOW, span.stop)
            a, b = max(span.start, start - MARGIN), min(span.stop, end + MARGIN)
            seen = [self.vertices(each.expression[a:b], each.jaw[a:b]) for each in motions]
            yield np.stack(seen), slice(start - a, end - a)


def _offsets(points: SkinnedPoints, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """Offsets of points from rest, float32 [T, K, 3]."""
    kind = points.rest.dtype
    placed = points.place(np.asarray(expression, kind), rotvec_to_matrix(jaw).astype(kind))
    return (placed - points.rest).astype(np.float32)


# ---- the network


class MeshToSpeech:
    """The mesh-to-speech of a folder of weights."""

    def __init__(self, folder: Path, device: str):
        """Raises BadWeights."""
        path = folder / "m2s"
        arrays, config = read_weights(path, ["unit_log_prior"])
        self.config: MeshToSpeechConfig = build_config(path, config, MeshToSpeechConfig)
        check_shapes(path, arrays, unit_log_prior=(self.config.units,))
        # how often each unit is said, the logarithm [units]
        self.log_prior = arrays["unit_log_prior"]
        self.network = LazyNetwork(path, device)

    def heard_shares(
        self, mouth: MouthVertices, motions: Sequence[Motion], spans: Sequence[slice],
        units: np.ndarray, speaking: np.ndarray,
    ) -> list[float]:  # fmt: skip
        """How much of a voice is read off the mouth of each motion over spans of frames
        (`heard_share`). units [2T], speaking bool [T]: of the voice; motions are as long."""
        said = [units.reshape(-1, 2)[span].ravel() for span in spans]
        nats = [self.nats(mouth, motions, *each) for each in zip(said, spans)]
        spoken, all_said = np.concatenate([speaking[span] for span in spans]), np.concatenate(said)
        return [
            heard_share(each, all_said, self.log_prior, spoken) for each in np.concatenate(nats, 1)
        ]

    def nats(
        self, mouth: MouthVertices, motions: Sequence[Motion], units: np.ndarray, span: slice
    ) -> np.ndarray:
        """The nats per frame [B, t] that the mouth of each motion gives for the speech units [2t]
        of a span of frames."""
        log_odds, at = [], 0
        for seen, keep in mouth.windows(motions, span):
            said = self.read(seen)[:, 2 * keep.start : 2 * keep.stop]
            part = units[at : at + said.shape[1]]
            log_odds.append([evidence(each, part, self.log_prior) for each in said])
            at += said.shape[1]
        return np.concatenate(log_odds, 1)

    def read(self, mouths: np.ndarray) -> np.ndarray:
        """Mouths [B, T, n, 3], metres from rest → unit logits [B, 2T, units]."""
        nobody = np.zeros((0, self.config.speaker), np.float32)
        return self.network(mouths=mouths.reshape(*mouths.shape[:2], -1), speakers=nobody)[1]

    def speak(self, mouths: np.ndarray, speaker: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mouths [T, n, 3], metres from rest, and a speaker [256] → unit logits [2T, units],
        log-mel [4T, 80]."""
        _, logits, pairs = self.network(
            mouths=mouths.reshape(1, len(mouths), -1), speakers=speaker[None]
        )
        return logits[0], pairs[0].reshape(4 * len(mouths), -1)


def evidence(logits: np.ndarray, units: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """Log-odds, in nats, that the mouth gives for the spoken units: log p(u | V_m) − log p(u), [T]
    from [2T, n], [2T].

    The prior is taken off so that a clip full of common sounds does not score better than one of
    rare ones.
    """
    highest = logits.max(-1)
    log_p = (
        logits[np.arange(len(units)), units]
        - highest
        - np.log(np.exp(logits - highest[:, None]).sum(-1))
    )
    return (log_p - log_prior[units]).reshape(-1, 2).mean(-1)


def heard_share(
    log_odds: np.ndarray, units: np.ndarray, log_prior: np.ndarray, speaking: np.ndarray
) -> float:
    """How much of a voice mesh-to-speech reads off a mouth, 0 … 1.

    The share of the units' information, −log p(u), that the mouth gives, log p(u | V_m) − log p(u),
    both over the frames with speech; p(u): how often a unit is said. 0: the mouth tells no more
    than the usual frequencies do, as if it said something else; 1: it tells every unit for
    certain. So there is no scale to be set when a network is trained anew, lines full of rare
    sounds score no higher, and short lines work. A mouth that is confident of wrong sounds would
    get less than 0, which counts as 0: so do lips of another line, and those that are three frames
    late.

    log_odds: [T], of `evidence`.  units: [2T].  speaking: bool [T].
    """
    information = -log_prior[units].reshape(-1, 2).mean(-1)[speaking].sum()
    return max(0.0, float(log_odds[speaking].sum() / information)) if information else 0.0


# ---- the vocoder: sound from a mel spectrogram, speech units and a speaker, by shaping a pulse
# train and noise in the Fourier domain. A network (`networks.speech`) predicts the pitch and how
# loud pulses and noise sound in every band of every frame of 10 ms. Here the phase of the pitch is
# summed up over time, and the products of both spectra come back by one inverse transform. The mel
# itself sets the level and the network can add at most 13 dB to it, so no input makes the sound
# dangerously loud. `SpeakerEncoder` says whose voice a sound is: the embedding 𝒮(w) by
# Resemblyzer's GE2E network (`networks.speech`), the very one the paper names.


WINDOW = 640  # samples, 40 ms: window of mesh-to-speech's spectrogram
LOG_FLOOR = math.log(FLOOR)
TOP = 7600.0  # Hz: the highest harmonic; the next one fades in below it to avoid clicks
# logsumexp of twice a frame's log-mel, for the loudest of 12 800 frames of levelled speech
LOUDEST = 2.1
BREATH = 0.886 * 240**0.5  # mean magnitude of unit noise under this window
TO_BINS = 3.219  # ln 25: from the mel filters' area to one bin
DEEPEST = -9.0  # log magnitude below which no filter's phase follows
NOISE_SEAM = 1 << 17  # samples after which the noise repeats (8 s)
_LEAP = 0.35  # path cost in nats per pitch class and frame
_SPECTRUM = WINDOW // 2 + 1
_SILENT = -200.0  # log amplitude of a band at the floor: digital silence
# mel frames synthesised at once, and the context on either side (more than the network's reach)
_CHUNK, _MARGIN = 3000, 40


class Vocoder:
    """The vocoder of a folder of weights.

    network: from mel [1, N, 80], units [1, M] and speaker [1, 256] to pitch scores [1, N, 96] and
    log amplitudes [1, N, 2, 80] of pulses and noise.
    """

    def __init__(self, config: VocoderConfig, network: Callable[..., list[np.ndarray]]):
        self.config, self.network = config, network

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "Vocoder":
        """Raises BadWeights, and `speak` does where the card alone is good."""
        return cls(
            read_sizes(folder / "vocoder", VocoderConfig), LazyNetwork(folder / "vocoder", device)
        )

    def speak(self, mel: np.ndarray, units: np.ndarray, speaker: np.ndarray) -> np.ndarray:
        """Log-mel [N, 80], units [N / 2] and speaker [256] → waveform float32 [160 N] at 16 kHz,
        peak at most 0.9. Deterministic.

        Any values are accepted: NaN becomes silence, and levels above speech are reduced. Raises
        BadWeights.
        """
        count = len(mel)
        if not count:
            return np.zeros(0, np.float32)
        mel = limit_mel(mel)
        speaker = np.nan_to_num(np.asarray(speaker, np.float32), nan=0.0, posinf=0.0, neginf=0.0)[
            None
        ]
        units = (
            np.asarray(units, np.int64).clip(0, self.config.units - 1)
            if len(units)
            else np.zeros(1, np.int64)
        )
        spans = []
        for start in range(0, count, _CHUNK):
            end = min(start + _CHUNK, count)
            # even, as units are two frames long
            spans.append((start, end, max(0, start - _MARGIN), min(count, end + _MARGIN)))
        scores, amplitudes = [], []
        for start, end, a, b in spans:
            part_units = units[min(a // 2, len(units) - 1) : -(-b // 2)]
            score, amplitude = self.network(
                mel=mel[None, a:b], units=part_units[None], speaker=speaker
            )
            scores.append(score[0, start - a : end - a])
            amplitudes.append(amplitude[0, start - a : end - a])
        hertz = pitch_of(np.concatenate(scores))
        amplitude = np.where(
            mel[:, None] <= LOG_FLOOR + 0.4, np.float32(_SILENT), np.concatenate(amplitudes)
        )
        turned, noise = phase_in_turns(hertz), unit_noise()
        pieces = []
        for start, end, a, b in spans:
            hiss = noise[np.arange(a * HOP, b * HOP) % NOISE_SEAM]
            made = shape_sound(amplitude[a:b], hertz[a:b], turned[a:b], hiss)
            pieces.append(made[(start - a) * HOP : (end - a) * HOP])
        sound = np.concatenate(pieces)
        return sound * np.float32(0.9 / max(0.9, np.abs(sound).max()))


def limit_mel(mel: np.ndarray) -> np.ndarray:
    """Log-mel float32 [N, 80] in the range of voices: no missing numbers, nothing under the floor,
    no frame louder than speech."""
    mel = np.nan_to_num(
        np.asarray(mel, np.float32), nan=LOG_FLOOR, posinf=20.0, neginf=LOG_FLOOR
    ).clip(LOG_FLOOR, 20.0)
    return np.maximum(mel - np.maximum(_log_sum_exp(2 * mel) - LOUDEST, 0) / 2, LOG_FLOOR)


def _log_sum_exp(x: np.ndarray) -> np.ndarray:
    """Logarithm [N, 1] of the sum of exp of rows [N, n]."""
    highest = x.max(-1, keepdims=True)
    return highest + np.log(np.exp(x - highest).sum(-1, keepdims=True))


def pitch_of(score: np.ndarray) -> np.ndarray:
    """Pitch float32 [N] in Hz along the smoothest path through scores [N, 96] of its classes."""
    return hertz_along(score, smooth_path(score, _LEAP))


def phase_in_turns(hertz: np.ndarray) -> np.ndarray:
    """Phase [N] in whole turns, float64, at every frame of a pitch [N] in Hz that is linear between
    frames."""
    pitch = np.asarray(hertz, np.float64)
    step = (HOP * pitch[:-1] + (HOP - 1) / 2 * np.diff(pitch)) / RATE
    return np.append(0.0, np.cumsum(step))


def pulse_train(hertz: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Pulses float32 [160 N] at a pitch [N] in Hz whose phase at every frame is `phase` [N]: all
    its harmonics up to 7.6 kHz at one amplitude, such that the mean magnitude of their short-time
    spectrum is 1 whatever the pitch.

    Closed form (Dirichlet's kernel), so that cost does not grow with the number of harmonics.
    """
    i = np.arange(HOP, dtype=np.float64)
    at_frame = np.asarray(hertz, np.float64)[:, None]
    rise = np.diff(at_frame, axis=0, append=at_frame[-1:])
    angle = phase[:, None] + (i * at_frame + rise * i * (i - 1) / (2 * HOP)) / RATE
    angle = ((angle - np.round(angle)) * (2 * math.pi)).ravel().astype(np.float32)
    pitch = (at_frame + rise * i / HOP).ravel().astype(np.float32)
    count = np.floor(TOP / pitch)
    half = np.sin(angle / 2)
    near = np.abs(half) < 1e-4
    kernel = np.where(
        near, count, np.sin((count + 0.5) * angle) / np.where(near, 1, 2 * half) - 0.5
    )
    last = (TOP / pitch - count) * np.cos((count + 1) * angle)
    return (kernel + last) * (pitch / (RATE / 2))


def shape_sound(
    amplitude: np.ndarray, hertz: np.ndarray, turned: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Waveform float32 [160 N] of log amplitudes [N, 2, 80] of pulses and noise, a pitch [N] in Hz
    whose phase at every frame is `turned` [N] (float64, whole turns), and noise [160 N] of unit
    variance."""
    pulses, hiss = (
        transform(sound, WINDOW, WINDOW, "constant")
        for sound in (pulse_train(hertz, turned), noise)
    )
    log = np.concatenate([amplitude, amplitude[-1:]]) + np.float32(TO_BINS)
    voiced, breath = (log[:, kind] @ bands_to_bins() for kind in (0, 1))
    loud, phase = np.exp(voiced), _minimum_phase(voiced)
    filters = np.empty_like(pulses)
    filters.real, filters.imag = loud * np.cos(phase), loud * np.sin(phase)
    return _inverse_transform(pulses * filters + hiss * (np.exp(breath) / np.float32(BREATH)))


def _minimum_phase(log: np.ndarray) -> np.ndarray:
    """Phase float32 [N, 321] of the minimum-phase filters with log magnitudes [N, 321]: a pulse
    rings after it, not before."""
    cepstrum = np.fft.irfft(np.maximum(log, DEEPEST), WINDOW)
    cepstrum[:, 1 : WINDOW // 2] *= 2
    cepstrum[:, WINDOW // 2 + 1 :] = 0
    return np.fft.rfft(cepstrum).imag.astype(np.float32, copy=False)


def _inverse_transform(spectrum: np.ndarray) -> np.ndarray:
    """The sound float32 [160 N] whose short-time transform (`mel.transform`) is nearest to [N + 1,
    321]."""
    window, parts = hann(WINDOW), WINDOW // HOP
    frames = (
        (np.fft.irfft(spectrum, WINDOW) * window)
        .reshape(-1, parts, HOP)
        .astype(np.float32, copy=False)
    )
    square = np.square(window).reshape(parts, HOP)
    total = np.zeros((len(frames) + parts - 1, HOP), np.float32)
    weight = np.zeros_like(total)
    for part in range(parts):
        total[part : part + len(frames)] += frames[:, part]
        weight[part : part + len(frames)] += square[part]
    # from the middle of the first frame to that of the last
    inner = slice(parts // 2, parts // 2 + len(frames) - 1)
    return (total[inner] / weight[inner]).ravel()


@lru_cache
def bands_to_bins() -> np.ndarray:
    """Float32 [80, 321]: linear interpolation between the mel bands' middles at the frequencies of
    the spectrum's bins."""
    middles = mel_filters(RATE // 2 + 1, BINS).argmax(0)  # Hz, on a grid of 1 Hz
    bins = np.arange(_SPECTRUM) * (RATE / WINDOW)
    return np.stack([np.interp(bins, middles, band) for band in np.eye(BINS)]).astype(np.float32)


@lru_cache
def unit_noise() -> np.ndarray:
    """The noise float32 [NOISE_SEAM] of every sound, of unit variance."""
    return Normal(1).draw(NOISE_SEAM)


# ---- the speaker

_SPEAKER_WINDOW, _MELS = 400, 40  # samples (25 ms) of the network's spectrogram, and its bands
_PARTIAL = 160  # mel frames (1.6 s) per partial utterance
_STRIDE = 77  # 1.3 partials a second
_LOUDNESS = 10 ** (-30 / 20)  # RMS that a sound is brought to
_VOICED = 0.2  # of the level of speech: a partial below it holds no voice


class SpeakerEncoder:
    """The speaker network of a folder of weights.

    network: from power mels [B, 160, 40] to unit vectors [B, 256]. Resemblyzer trims silence with a
    compiled voice detector before embedding; here partials without voice are left out by their
    level, which needs nothing compiled.
    """

    def __init__(self, network: Callable[..., list[np.ndarray]]):
        self.network = network

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "SpeakerEncoder":
        """The network is read at the first use."""
        return cls(LazyNetwork(folder / "speaker", device))

    def embed(self, samples: np.ndarray, most_partials: int = 40) -> np.ndarray:
        """Sound [n] at 16 kHz → unit vector float32 [256], the mean over partials.

        Sounds shorter than 1.6 s are repeated; long ones are embedded at `most_partials` places.
        Raises BadWeights.
        """
        samples, least = np.asarray(samples, np.float32), _PARTIAL * HOP
        if len(samples) < least:
            samples = np.tile(samples, -(-least // max(1, len(samples))))
        samples = samples * np.float32(_LOUDNESS / max(1e-7, float(frame_rms(samples[None])[0])))
        apart = max(_STRIDE * HOP, (len(samples) - least) // most_partials + 1)
        partials = np.lib.stride_tricks.sliding_window_view(samples, least)[::apart]
        loud = frame_rms(partials) > _VOICED * active_level(samples)
        filters = mel_filters(_SPEAKER_WINDOW // 2 + 1, _MELS)
        spectra = [
            transform(partial, _SPEAKER_WINDOW, _SPEAKER_WINDOW)[:_PARTIAL]
            for partial in (partials[loud] if loud.any() else partials)
        ]
        (vectors,) = self.network(
            mels=np.stack([np.square(np.abs(spectrum)) @ filters for spectrum in spectra])
        )
        mean = vectors.mean(0)
        return mean / max(1e-12, float(np.linalg.norm(mean)))
