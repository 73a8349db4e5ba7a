# SPDX-License-Identifier: GPL-3.0-or-later
"""Media2Face (Zhao et al. 2024): diffusion conditioned on an emotion at key frames, given as a label or as a picture of a face.

A label is the strength of every mood (`direction.MOODS` but neutral); an image encoder reads the same numbers off a picture. It is a small
network of our own, or reads the features of a local CLIP network, the user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn, Tensor

from ...direction import MOODS, NEUTRAL
from ...errors import BadRequest
from .conditioned import ConditionedConfig, ConditionedDenoiser

LABELS = tuple(name for name in MOODS if name != NEUTRAL)
_LEAST_CONTRAST = 0.05  # deviation that is added to a picture's, so that an empty one stays empty
PICTURE, CLIP_PICTURE = 48, 96  # pixels: width and height of the image encoder's grey input, and of pictures that are enlarged for CLIP
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # RGB statistics of CLIP's training images


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


class ClipImages(nn.Module):
    """Grey pictures [B, h, w], 0 … 1 → CLIP's image features [B, width] of length 1. The network is the user's own, never saved with ours.

    folder: as `transformers` saves one (config.json and model.safetensors); nothing is downloaded. Raises BadRequest.
    """

    def __init__(self, folder: Path):
        super().__init__()
        from transformers import CLIPVisionModelWithProjection

        if not (Path(folder) / "config.json").is_file():
            raise BadRequest(f"“{folder}” holds no CLIP network: choose a folder that transformers has saved one in")
        try:
            self.network = CLIPVisionModelWithProjection.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise BadRequest(f"The CLIP network in “{folder}” cannot be read ({error}): choose another folder") from error
        self.network.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(_DEVIATION)[:, None, None], persistent=False)

    @property
    def width(self) -> int:
        """Features per picture."""
        return self.network.config.projection_dim

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        size = self.network.config.image_size
        grey = nn.functional.interpolate(pictures[:, None].float(), (size, size), mode="bicubic", align_corners=False).clamp(0, 1)
        seen = self.network(pixel_values=(grey.expand(-1, 3, -1, -1) - self.mean) / self.deviation).image_embeds
        return nn.functional.normalize(seen.float(), dim=-1)


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
        """Give the CLIP network (`ClipImages`) whose features it learned to read. Raises BadRequest for another one."""
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
