# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker embedding 𝒮(w) of a sound, by Resemblyzer's GE2E network (`networks.encoder`), the very one the paper names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..network import open_network
from .mel import active_level, frame_rms, HOP, mel_filters, transform

WIDTH = 256
_WINDOW, _MELS = 400, 40  # samples (25 ms) of the network's spectrogram, and its bands
_PARTIAL = 160  # mel frames (1.6 s) per partial utterance
_STRIDE = 77  # 1.3 partials a second
_LOUDNESS = 10 ** (-30 / 20)  # RMS that a sound is brought to
_VOICED = 0.2  # of the level of speech: a partial below it holds no voice


class SpeakerEncoder:
    """The speaker network of a folder of weights.

    network: from power mels [B, 160, 40] to unit vectors [B, 256]. Resemblyzer trims silence with a compiled voice detector before
    embedding; here partials without voice are left out by their level, which needs nothing compiled.
    """

    def __init__(self, network: Callable[..., list[np.ndarray]]):
        self.network = network

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> SpeakerEncoder:
        """The network is read at the first use."""
        return cls(open_network(folder / "speaker", device))

    def embed(self, samples: np.ndarray, most_partials: int = 40) -> np.ndarray:
        """Sound [n] at 16 kHz → unit vector float32 [256], the mean over partials.

        Sounds shorter than 1.6 s are repeated; long ones are embedded at `most_partials` places. Raises BadWeights.
        """
        samples, least = np.asarray(samples, np.float32), _PARTIAL * HOP
        if len(samples) < least:
            samples = np.tile(samples, -(-least // max(1, len(samples))))
        samples = samples * np.float32(_LOUDNESS / max(1e-7, float(frame_rms(samples[None])[0])))
        apart = max(_STRIDE * HOP, (len(samples) - least) // most_partials + 1)
        partials = np.lib.stride_tricks.sliding_window_view(samples, least)[::apart]
        loud = frame_rms(partials) > _VOICED * active_level(samples)
        filters = mel_filters(_WINDOW // 2 + 1, _MELS)
        spectra = [transform(partial, _WINDOW, _WINDOW)[:_PARTIAL] for partial in (partials[loud] if loud.any() else partials)]
        (vectors,) = self.network(mels=np.stack([np.square(np.abs(spectrum)) @ filters for spectrum in spectra]))
        mean = vectors.mean(0)
        return mean / max(1e-12, float(np.linalg.norm(mean)))
