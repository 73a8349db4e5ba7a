# SPDX-License-Identifier: GPL-3.0-or-later
"""Silent video to speech (Choi et al. 2023), the reference of the paper's Table 1: mesh-to-speech's
conformer and heads behind a network that reads pictures of the lips (`lip_video.py`) instead of
vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

from research.train.lip_video import LipFilms, PIXELS
from research.train.loop import Schedule, start_from
from research.train.m2s import calibrate, fit_and_measure, FRAMES, speech_loss, SpeechBatches
from research.train.motions import MotionSet, UNITS
from thunder_core.networks.speech import MeshToSpeechConfig, MeshToSpeechNetwork
from thunder_core.networks.weights import load_network
from thunder_core.weight_files import build_config

NAME = "sv2s"
BATCH = 8
HELD_OUT = 32  # crops for validation
_GREY = 0.45  # approximate mean of the pictures
# channels: of the convolution over space and time, and of the three stages after it
_WIDTHS = (16, 24, 48, 96)
_SHIFT = 2  # largest shift of a training crop, vertical and horizontal, pixels


class _Residual(nn.Module):
    """Two convolutions of pictures [N, c, h, w] → [N, d, h / stride, w / stride], beside a
    shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(4, outputs) for _ in range(2))
        self.short = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(y)) + self.short(x))


class LipReader(nn.Module):
    """Pictures [B, T, PIXELS, PIXELS] of unit spread → features [B, T, width]: a convolution over
    five frames, then a small ResNet."""

    def __init__(self, width: int):
        super().__init__()
        first, *widths = _WIDTHS
        self.stem = nn.Conv3d(1, first, 5, (1, 2, 2), 2, bias=False)
        self.norm = nn.GroupNorm(4, first)
        stages, inputs = [], first
        for number, outputs in enumerate(widths):
            stages.append(_Residual(inputs, outputs, 1 if number == 0 else 2))
            inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.out = nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width))

    def forward(self, pictures: Tensor) -> Tensor:
        batch, frames = pictures.shape[:2]
        x = self.stem(pictures[:, None]).transpose(1, 2).flatten(0, 1)  # [B · T, c, 24, 24]
        x = F.max_pool2d(F.relu(self.norm(x)), 3, 2, 1)
        return self.out(self.stages(x).mean((2, 3)).unflatten(0, (batch, frames)))


class VideoToSpeech(MeshToSpeechNetwork):
    """`sv2s`: pictures of lips [B, T, PIXELS, PIXELS], grey 0 … 1, and speaker [B, 256] → what
    `MeshToSpeechNetwork` returns."""

    def __init__(self, config: MeshToSpeechConfig):
        super().__init__(config)
        self.mesh_in = LipReader(config.width)

    @classmethod
    def load(cls, folder: Path, name: str = NAME) -> VideoToSpeech:
        """A network among the weights of a folder. Raises BadWeights."""
        path = folder / name
        return load_network(
            path, lambda config: cls(build_config(path, config, MeshToSpeechConfig))
        )

    def look(self, mouths: Tensor) -> Tensor:
        """Features [B, T, width]; a frame's know two frames to either side."""
        return self.mesh_in((mouths - _GREY) / self.scale)


class LipBatches(SpeechBatches):
    """Draws what `SpeechBatches` does, from performances that were filmed, with "pictures" uint8
    [B, T, PIXELS, PIXELS]."""

    def __init__(
        self, motions: MotionSet, films: LipFilms, numbers: list[int], frames: int, batch: int
    ):
        super().__init__(motions, films.rows(numbers), frames, batch)
        self.films = films

    def __call__(self, rng: np.random.Generator) -> dict[str, Tensor]:
        drawn = self.motions.draw(self.numbers, self.frames, self.batch, rng)
        crops = [(row, first, int(rng.choice(self.films.variants(row)))) for row, first, _ in drawn]
        pictures = np.stack(
            [self.films.crop(row, variant, first, self.frames) for row, first, variant in crops]
        )
        return self.item(crops) | {"pictures": torch.from_numpy(pictures)}


def vary_films(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Films [B, T, h, w] that are moved by up to _SHIFT pixels, brighter or darker, and noisy, each
    film differently."""
    height, width = pictures.shape[-2:]
    around = F.pad(pictures, (_SHIFT,) * 4, mode="replicate")
    moved = []
    for one in around:
        down, across = rng.integers(0, 2 * _SHIFT + 1, 2)
        gain, noise = rng.uniform(0.85, 1.15), rng.uniform(0, 0.03)
        crop = one[:, down : down + height, across : across + width]
        moved.append(crop * float(gain) + float(noise) * torch.randn_like(crop))
    return torch.stack(moved)


def train_sv2s(
    motions: MotionSet, films: LipFilms, folder: Path, schedule: Schedule, device: str = "cpu",
    start: dict[str, Tensor] | None = None
):  # fmt: skip
    """Train on rendered performances; conformer and heads are initialised from `start`, weights of
    mesh-to-speech, if given.

    Returns (model, figures on the held-out test voices).
    """
    torch.manual_seed(schedule.seed)
    model = VideoToSpeech(MeshToSpeechConfig(inputs=PIXELS**2, space="video", units=UNITS))
    if start:
        start_from(
            model, {name: value for name, value in start.items() if not name.startswith("mesh_in.")}
        )

    def see(item: dict[str, Tensor]) -> Tensor:
        return item["pictures"].float() / 255

    batches = LipBatches(motions, films, motions.of("train", FRAMES), FRAMES, BATCH)
    calibrate(model, see, batches, motions)

    def loss(model: VideoToSpeech, item, rng) -> dict[str, Tensor]:
        item = {k: v.to(device) for k, v in item.items()}
        return speech_loss(*model(vary_films(see(item), rng), item["voices"]), item)

    held_out = (
        LipBatches(motions, films, rows, FRAMES, HELD_OUT)
        for rows in (motions.watched_rows(FRAMES), motions.of("test", FRAMES))
    )
    return model, fit_and_measure(model, see, loss, (batches, *held_out), schedule, folder, device)
