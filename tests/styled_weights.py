# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights whose denoiser knows styles: the shipped ones, with what styles do to a motion drawn at
random. Nobody trained it."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from research.train.card import write_sums
from thunder_core.direction import DIRECTION_NAMES
from thunder_core.networks.denoiser import DenoiserConfig, DenoiserNetwork
from thunder_core.networks.weights import load_weights, save_weights
from thunder_core.weight_files import EncoderConfig, SHIPPED


def small_config(width: int, ahead: int = 8) -> EncoderConfig:
    """Sizes of an encoder on one small layer as Whisper's."""
    sizes = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2}
    body = sizes | {"model_type": "whisper", "encoder_ffn_dim": 16, "heard": [1]}
    return EncoderConfig(width, layers=1, heads=2, kernel=5, ahead=ahead, body=body)


def weights_with_styles(
    folder: Path, style: int = len(DIRECTION_NAMES), seed: int = 3, strength: float = 0.03
) -> Path:
    """Make a folder of weights whose denoiser takes so many numbers of a style, 0: none. Returns
    it."""
    folder.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("denoiser.*", "SHA256SUMS")
    shutil.copytree(SHIPPED, folder, ignore=ignored, dirs_exist_ok=True)
    tensors, config = load_weights(SHIPPED / "denoiser")
    torch.manual_seed(seed)
    made = DenoiserNetwork(replace(DenoiserConfig(**config), style=style))
    made.load_state_dict(
        {name: tensor for name, tensor in tensors.items() if "style" not in name}, strict=False
    )
    if style:
        torch.nn.init.normal_(made.style_in[-1].weight, std=strength)
    save_weights(
        folder / "denoiser",
        made.state_dict(),
        made.settings(),
        {"what": "styles at random, for tests"},
    )
    write_sums(folder)
    return folder
