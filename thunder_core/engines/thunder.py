# SPDX-License-Identifier: GPL-3.0-or-later
"""The THUNDER system: speech encoder, diffusion model and sampler; turns a sound and seeds into motions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..diffusion.denoiser import Denoiser, DenoiserConfig
from ..diffusion.sampling import in_windows, sample, seeded_noise
from ..errors import BadWeights
from ..speech.encoder import SpeechEncoder, presence, with_loudness
from ..speech.units import Units
from ..types import Motion
from ..weights import load_network

_MOODS = ("mouthSmile", "mouthFrown", "mouthDimple")
_BATCH = 16  # takes denoised at once; bounds memory, not the number of takes


class Thunder:
    """Engine interface: `hear` a sound once, `perform` it for any seeds."""

    name = "thunder"

    def __init__(self, folder: Path, device: str, channel_names: Sequence[str]):
        self.device, self.channels = device, len(channel_names)
        # What shapes speech, and therefore rests without it; a smile or a frown is a mood and may stay.
        self.speaking = np.array([n.startswith(("mouth", "jaw", "tongue")) and not n.startswith(_MOODS) for n in channel_names])
        self.encoder = SpeechEncoder.load(folder).to(device)
        self.units: Units = load_network(folder / "units", lambda config: Units(**config)).to(device)
        self.denoiser: Denoiser = load_network(
            folder / "denoiser", lambda config: Denoiser(DenoiserConfig(**config))
        ).to(device)
        if self.denoiser.config.motion != self.channels + 9:
            raise BadWeights("The diffusion weights were made for another head. Install the extension again.")

    def hear(self, samples: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Waveform → (features [T, d], units [2T], whether somebody speaks [T] 0 … 1)."""
        samples = samples.to(self.device)
        hidden, logits = self.encoder.hear(samples)
        return with_loudness(hidden, samples, frames), self.units.over(hidden, frames), presence(logits, frames)

    @torch.no_grad()
    def perform(
        self, features: Tensor, spoken: Tensor, seeds: Sequence[int], steps: int, guidance: float,
        progress: Callable[[float], None],
    ) -> list[Motion]:  # fmt: skip
        """Features [T, d] → one Motion of T frames per seed, by DPM-Solver++ with classifier-free guidance (§4.2).

        `spoken` [T], 0 … 1: lips come to rest where it is 0, which the model alone does to half a millimetre only.
        """
        frames, motions = len(features), []
        alive = spoken.cpu().numpy()[:, None]
        hide = torch.ones(1, dtype=torch.bool, device=self.device)

        def denoise(x: Tensor, step: Tensor, a: int, b: int) -> Tensor:
            audio = features[None, a:b]
            heard = self.denoiser(x, step, audio)
            if guidance == 1.0:
                return heard
            return guidance * heard + (1 - guidance) * self.denoiser(x, step, audio, hide)

        for start in range(0, len(seeds), _BATCH):
            some = seeds[start : start + _BATCH]
            noise = seeded_noise(some, frames, self.denoiser.config.motion).to(self.device)
            x = sample(
                in_windows(denoise, frames), noise, steps,
                lambda done, total: progress((start + done / total * len(some)) / len(seeds)),
            )  # fmt: skip
            motions += [self._motion(m, alive) for m in self.denoiser.restore(x).cpu().numpy()]
        return motions

    def _motion(self, x: np.ndarray, alive: np.ndarray) -> Motion:
        n = self.channels
        x = x.astype(np.float32)
        # Channels are muscles: they pull or rest, and a jaw does not close past its teeth.
        expression = np.clip(x[:, :n], 0.0, 1.2) * np.where(self.speaking, alive, 1.0).astype(np.float32)
        jaw = x[:, n : n + 3] * alive
        jaw[:, 0] = np.maximum(jaw[:, 0], 0.0)
        return Motion(expression, jaw, x[:, n + 3 : n + 6].copy(), x[:, n + 6 : n + 9].copy())
