# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a local CLIP network as Media2Face's image condition; the network is the user's own and never saved with our weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn, Tensor

from ...errors import BadRequest

_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # RGB statistics of CLIP's training images
PICTURE = 96  # pixels of the pictures, which are enlarged for CLIP


class ClipImages(nn.Module):
    """Grey pictures [B, h, w], 0 … 1 → CLIP's image features [B, width] of length 1.

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
