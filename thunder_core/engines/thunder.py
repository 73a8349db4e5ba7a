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
from ..speech.encoder import EncoderConfig, SpeechEncoder, at_frames, loudness, presence
from ..speech.units import Units
from ..types import Motion
from ..weights import load_weights

_MOODS = ("mouthSmile", "mouthFrown", "mouthDimple")
_BATCH = 16  # takes denoised at once; bounds memory, not the number of takes


def build(module: Callable[[], torch.nn.Module], path: Path, strict: bool = True) -> torch.nn.Module:
    """Make a network and fill it from `path`.safetensors. Raises BadWeights when they do not fit."""
    tensors, _ = load_weights(path)
    network = module()
    try:
        network.load_state_dict(tensors, strict=strict)
    except RuntimeError as error:
        raise BadWeights(f"The weights file {path.name}.safetensors does not fit this version. Install the extension again.") from error
    return network.eval().requires_grad_(False)


def config_of(path: Path) -> dict:
    return load_weights(path)[1]


class Thunder:
    """Engine interface: `hear` a sound once, `perform` it for any seeds."""

    name = "thunder"

    def __init__(self, folder: Path, device: str, channel_names: Sequence[str]):
        self.device, self.channels = device, len(channel_names)
        # What shapes speech, and therefore rests without it; a smile or a frown is a mood and may stay.
        self.speaking = np.array([n.startswith(("mouth", "jaw", "tongue")) and not n.startswith(_MOODS) for n in channel_names])
        self.encoder: SpeechEncoder = build(
            lambda: SpeechEncoder(EncoderConfig(**config_of(folder / "encoder"))), folder / "encoder", strict=False
        ).to(device)
        self.units: Units = build(lambda: Units(**config_of(folder / "units")), folder / "units").to(device)
        self.denoiser: Denoiser = build(
            lambda: Denoiser(DenoiserConfig(**config_of(folder / "denoiser"))), folder / "denoiser"
        ).to(device)
        if self.denoiser.config.motion != self.channels + 9:
            raise BadWeights("The diffusion weights were made for another head. Install the extension again.")

    def hear(self, samples: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Waveform → (features [T, d], units [2T], whether somebody speaks [T] 0 … 1)."""
        samples = samples.to(self.device)
        hidden, logits = self.encoder.hear(samples)
        units = self.units(hidden)[torch.arange(2 * frames, device=self.device).clamp(max=len(hidden) - 1)]
        return torch.cat([at_frames(hidden, frames), loudness(samples, frames)], -1), units, presence(logits, frames)

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
