# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine hears in a sound, in arrays: the speech encoder's features and phones
(`networks.speech` says what it computes), and the speech units that are read off its features.

The encoder replaces the paper's wav2vec 2.0 base (§4.2, 𝒜): features of the waveform, interpolated
to exactly T animation frames. Loudness is appended, because the jaw follows it as well as the
phones. Units U are k-means classes of the features at 50 Hz.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ... import filters
from ...acoustics import gain, HOP, LONGEST_GAP, loudness, unheard, whisper_mel
from ...progress import no_progress
from ...spoken import PHONES, SILENCE
from ...types import ENCODER_RATE, FPS, RATE
from ...weight_files import (
    build_config,
    check_shapes,
    EncoderConfig,
    misfit,
    read_sizes,
    read_weights,
    UnitsConfig,
)
from ..network import LazyNetwork

LOUDNESS = 2  # loudness channels appended to the hidden features
# s: feature frame i sees mel frames 2i−1 … 2i+2 and is therefore centred on i/50 + 5 ms
OFFSET = 0.005
_SHORTEST = int(0.1 * RATE)  # samples; shorter sounds are followed by silence
# feature frames encoded at once, so that an hour of sound needs no more memory than a minute
_CHUNK = 20 * 50
_MARGIN = 50  # feature frames of context on either side of a chunk
# animation frames around speech in which lips move, and over which they come to rest
_LIPS_MOVE, _EASE = 8, 4
# Where nothing is heard nobody breathes in through open lips, and nothing is said, though the
# encoder expects that a sound which is cut off goes on: frames over which lips come to rest and
# leave it; the presence below which they do (`Pipeline`).
_GATED_EASE, _RESTING = 3, 1 / 3


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [..., n] of logits [..., n]."""
    powers = logits - logits.max(-1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(-1, keepdims=True)
    return powers


class SpeechEncoder:
    """A speech encoder: sounds at 16 kHz → hidden features and phone logits at 50 Hz."""

    def __init__(self, config: EncoderConfig, network: Callable[..., Sequence[np.ndarray]]):
        """network: of mel=[1, 2N, 80]: hidden [1, N, width], phone logits [1, N, 40]."""
        self.config, self.network = config, network

    @classmethod
    def load(
        cls, folder: Path, name: str = "encoder", device: str = "cpu", threads: int = 1
    ) -> "SpeechEncoder":
        """An encoder among the weights of a folder; its network is opened by the first sound.
        Arguments as `LazyNetwork`.

        Raises BadWeights.
        """
        path = folder / name
        sizes = read_sizes(path, EncoderConfig)
        if not sizes.body:  # of a version before 0.3.0, which read other mels
            raise misfit(path)
        return cls(sizes, LazyNetwork(path, device, threads))

    @property
    def feature_width(self) -> int:
        """Width of the speech features: hidden features, phone probabilities and loudness."""
        return self.config.width + len(PHONES) + LOUDNESS

    def analyse(
        self, samples: np.ndarray, progress: Callable[[float], None] = no_progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """A sound [n] of any length and loudness → float32 (hidden [N, width], phone logits [N,
        40]) at 50 Hz, in bounded memory.

        `progress` is called with 0 … 1 before each 20 s and may raise to stop.
        """
        prepared = self.prepare(samples)
        n = prepared.shape[1] // 2
        hidden = np.empty((n, self.config.width), np.float32)  # in place: an hour's has 370 MB
        logits, before = np.empty((n, len(PHONES)), np.float32), prepared[:, :0]
        for start in range(0, n, _CHUNK):
            progress(start / n)
            a, b = max(0, start - _MARGIN), min(n, start + _CHUNK + _MARGIN)
            chunk = prepared[:, 2 * a : 2 * b]
            if not np.array_equal(chunk, before):  # as in digital silence, which may last an hour
                h, p = self.network(mel=chunk)
            before = chunk
            here = slice(start, min(start + _CHUNK, n))
            inside = slice(here.start - a, here.stop - a)
            hidden[here], logits[here] = h[0, inside], p[0, inside]
        return hidden, logits

    def prepare(self, samples: np.ndarray) -> np.ndarray:
        """The network's input for a sound [n]: log-mel [1, 2N, 80]."""
        if len(samples) < _SHORTEST:
            samples = np.pad(samples, (0, _SHORTEST - len(samples)))
        mel = whisper_mel(samples, gain(samples))
        return mel[None, : len(samples) // (2 * HOP) * 2]


# features read at once: the distances of an hour to all centroids would be larger than its features
_PIECE = 6000
# amplitude below which there is no sound, and the logit of silence there
_NOTHING, _SILENCE_LOGIT = 1e-6, 9.0


def encode(
    samples: np.ndarray, frames: int, encoder: SpeechEncoder, units: "Units",
    progress: Callable[[float], None] = no_progress,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """What is heard in a sound [samples] of T animation frames: hidden features [T, width], phones
    and loudness [T, 42], units [2T], presence of speech [T] 0 … 1; logits [N, 40] at 50 Hz and
    their probabilities."""
    hidden, logits = encoder.analyse(samples, progress)
    said, hidden = units.over(hidden, frames), at_frames(hidden, frames)
    if np.abs(samples).max(initial=0.0) < _NOTHING:  # of nothing at all the encoder cannot tell
        logits = np.zeros_like(logits)
        logits[:, SILENCE] = _SILENCE_LOGIT
    belief = softmax(logits)
    phones = at_frames(belief, frames)
    nothing = unheard(samples, phones[:, SILENCE], frames)
    loud = loudness(samples, frames, 1 - nothing)
    phones = np.concatenate([phones, loud], -1)
    return hidden, phones, said, presence(belief, frames, nothing), logits, belief


def at_frames(features: np.ndarray, frames: int) -> np.ndarray:
    """Linear interpolation of 50 Hz features [N, d] at the times t/25 s of animation frames →
    [frames, d]."""
    last = len(features) - 1
    t = np.clip((np.arange(frames) / FPS - OFFSET) * ENCODER_RATE, 0, last)
    i = np.minimum(t.astype(int), max(0, last - 1))
    w = (t - i)[:, None].astype(features.dtype)
    result = np.empty((frames, features.shape[1]), features.dtype)
    for start in range(0, frames, _PIECE):  # those of an hour have 180 MB
        at = slice(start, start + _PIECE)
        result[at] = features[i[at]] * (1 - w[at])
        result[at] += features[np.minimum(i[at] + 1, last)] * w[at]
    return result


def phonetic(hidden: np.ndarray, logits: np.ndarray, frames: int) -> np.ndarray:
    """Hidden features [N, width] and how likely each phone is, from logits [N, 40] → [frames, width
    + 40]."""
    return np.concatenate([at_frames(hidden, frames), at_frames(softmax(logits), frames)], -1)


def speech_features(
    hidden: np.ndarray, logits: np.ndarray, samples: np.ndarray, frames: int
) -> np.ndarray:
    """Speech features a [frames, width + 42] from hidden features and phone logits [N, …] at 50 Hz
    and the sound [n] itself."""
    return np.concatenate([phonetic(hidden, logits, frames), loudness(samples, frames)], -1)


def presence(belief: np.ndarray, frames: int, nothing: np.ndarray | None = None) -> np.ndarray:
    """Whether somebody speaks around each animation frame, float32 [frames] 0 … 1, from phone
    probabilities [N, 40] at 50 Hz.

    1 within a third of a second of speech, eased to 0 beyond: lips lead the sound and settle after
    it. nothing: [frames] of `acoustics.unheard`; there they settle at once.
    """
    spoken = at_frames(1 - belief[:, SILENCE, None], frames)[:, 0]
    present = presence_of(spoken)
    if nothing is not None:
        nothing = -filters.highest(-nothing, LONGEST_GAP)
        nothing = filters.highest(nothing, LONGEST_GAP + 1, -1)  # and a frame before
        spoken = spoken * (1 - nothing)
        present += nothing * (_RESTING * _eased(spoken, _GATED_EASE) - present)
    return present


def presence_of(spoken: np.ndarray) -> np.ndarray:
    """`presence` from the probability [frames] that something is said in each frame."""
    return _eased(filters.highest(spoken, 2 * _LIPS_MOVE + 1), _EASE)


def _eased(spoken: np.ndarray, ease: int) -> np.ndarray:
    """How surely something is said [frames], 0 … 1, over so many frames at rest again."""
    kernel = np.hanning(2 * ease + 3)[1:-1]
    sure = np.pad(np.clip((spoken - 0.3) / 0.4, 0, 1), ease, "edge")
    return np.clip(np.convolve(sure, kernel / kernel.sum(), "valid"), 0, 1).astype(np.float32)


# ---- units


class Units:
    """Hidden features [N, width] → nearest of `count` centroids."""

    def __init__(self, centroids: np.ndarray):
        """centroids: float32 [count, width]."""
        self.centroids = centroids

    @classmethod
    def load(cls, folder: Path) -> "Units":
        """The units among the weights of a folder. Raises BadWeights."""
        path = folder / "units"
        arrays, config = read_weights(path)
        sizes: UnitsConfig = build_config(path, config, UnitsConfig)
        check_shapes(path, arrays, centroids=(sizes.count, sizes.width))
        if len(arrays) > 1 or arrays["centroids"].dtype != np.float32:
            raise misfit(path)
        return cls(arrays["centroids"])

    def __call__(self, hidden: np.ndarray) -> np.ndarray:
        """Units int64 [N] of hidden features [N, width]."""
        lengths = np.square(self.centroids).sum(1) / 2
        parts = [hidden[start : start + _PIECE] for start in range(0, len(hidden), _PIECE)]
        return np.concatenate([(lengths - part @ self.centroids.T).argmin(1) for part in parts])

    def over(self, hidden: np.ndarray, frames: int) -> np.ndarray:
        """Units [2 · frames] of the sound behind hidden features [N, width], the last one held
        where they end early."""
        return self(hidden)[np.minimum(np.arange(2 * frames), len(hidden) - 1)]
