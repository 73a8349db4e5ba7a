# SPDX-License-Identifier: GPL-3.0-or-later
"""Media2Face (Zhao et al. 2024): diffusion conditioned on an emotion at key frames, given as a label or as a picture of a face.

A label is the strength of every mood (`direction.MOODS` but neutral); an image encoder reads the same numbers off a picture. It is a small
network of our own, or reads the features of a local CLIP network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn, Tensor

from ...direction import MOODS, NEUTRAL
from ...errors import BadRequest
from .conditioned import ConditionedConfig, ConditionedDenoiser

LABELS = tuple(name for name in MOODS if name != NEUTRAL)
_LEAST_CONTRAST = 0.05  # deviation that is added to a picture's, so that an empty one stays empty
PICTURE = 48  # pixels: width and height of the image encoder's grey input


@dataclass(frozen=True)
class Media2FaceConfig(ConditionedConfig):
    """Sizes of a Media2Face, as its card stores them.

    condition: the strength of each label.  clip: features of a CLIP network per picture, 0 if our own encoder is used.  varied: whether the
    image encoder learned from varied pictures, and reads them at one brightness and contrast; earlier ones learned from one view.
    """

    condition: int = len(LABELS)
    clip: int = 0
    varied: bool = False


class ImageEncoder(nn.Module):
    """Grey pictures of a face [B, 48, 48], 0 … 1 → strength of every label [B, LABELS], 0 … 1.

    even: whether all pictures are brought to one brightness and contrast first.
    """

    def __init__(self, labels: int = len(LABELS), even: bool = False):
        super().__init__()
        self.even = even
        layers: list[nn.Module] = []
        for a, b in ((1, 16), (16, 32), (32, 64)):
            layers += [nn.Conv2d(a, b, 5, stride=2, padding=2), nn.GroupNorm(8, b), nn.GELU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(64 * 6 * 6, 128), nn.GELU(), nn.Linear(128, labels))

    def forward(self, pictures: Tensor) -> Tensor:
        """Strengths [B, LABELS] of pictures [B, 48, 48]."""
        x = 2 * pictures[:, None] - 1
        if self.even:
            x = (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + _LEAST_CONTRAST)
        return self.head(self.body(x).flatten(1)).sigmoid()


class ClipReader(nn.Module):
    """CLIP's features of a picture [B, width] → strength of every label [B, LABELS], 0 … 1."""

    def __init__(self, width: int, labels: int = len(LABELS)):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, 128), nn.GELU(), nn.Linear(128, labels))

    def forward(self, seen: Tensor) -> Tensor:
        """Strengths [B, LABELS] of pictures; features of length 1 are scaled to about one per feature."""
        return self.body(seen * seen.shape[-1] ** 0.5).sigmoid()


class Media2Face(ConditionedDenoiser):
    """A conditioned denoiser and the frozen image encoder that reads a condition off a picture."""

    name = "media2face"
    Config = Media2FaceConfig

    def __init__(self, config: Media2FaceConfig):
        super().__init__(config)
        self.image_encoder = ClipReader(config.clip, config.condition) if config.clip else ImageEncoder(config.condition, config.varied)
        self.__dict__["clip"] = None  # no part of the network: it is not saved

    def look_through(self, clip: nn.Module) -> None:
        """Give the CLIP network (`clip_images.ClipImages`) whose features it learned to read. Raises BadRequest for another one."""
        if clip.width != self.config.clip:
            raise BadRequest(f"This CLIP network says {clip.width} numbers of a picture where {self.config.clip} are read: choose another")
        self.__dict__["clip"] = clip

    def seen(self, pictures: Tensor) -> Tensor:
        """Input of the image encoder for grey pictures [B, h, w]: the pictures, or CLIP's features. Raises BadRequest without CLIP."""
        if not self.config.clip:
            return pictures
        if self.clip is None:
            raise BadRequest("This Media2Face sees pictures through a CLIP network: give its folder, or direct it by a mood")
        return self.clip(pictures)

    @torch.no_grad()
    def condition_of(self, pictures: Tensor) -> Tensor:
        """The condition [B, 1, c] of grey pictures [B, h, w], of 48 pixels for our own encoder."""
        return self.image_encoder(self.seen(pictures))[:, None]
