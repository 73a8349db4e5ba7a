# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the encoder of a Whisper network (OpenAI, MIT), from a file of CTranslate2's or a Hugging
Face folder of any size, for the speech encoder to stand on."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open, SafetensorError
from torch import Tensor

from thunder_core.acoustics import BINS
from thunder_core.errors import BadWeights
from thunder_core.networks.bodies import Whisper

_HEAD_WIDTH = 64  # channels of an attention head, in Whispers of all sizes
_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)  # of CTranslate2, by number
_LONGEST_NAME, _HIGHEST_RANK = 1000, 8
# array of CTranslate2 → the same in transformers; linear_0 of attention is split into three
_IN_LAYER = {
    "self_attention/layer_norm/gamma": "self_attn_layer_norm.weight",
    "self_attention/layer_norm/beta": "self_attn_layer_norm.bias",
    "self_attention/linear_1/weight": "self_attn.out_proj.weight",
    "self_attention/linear_1/bias": "self_attn.out_proj.bias",
    "ffn/layer_norm/gamma": "final_layer_norm.weight",
    "ffn/layer_norm/beta": "final_layer_norm.bias",
    "ffn/linear_0/weight": "fc1.weight",
    "ffn/linear_0/bias": "fc1.bias",
    "ffn/linear_1/weight": "fc2.weight",
    "ffn/linear_1/bias": "fc2.bias",
}


def read_whisper(path: Path, heard: Sequence[int]) -> Whisper:
    """The encoder in `path`, a `model.bin` of CTranslate2 in floats or a Hugging Face folder, up to
    the last of the layers that are `heard`. Raises BadWeights."""
    layers = max(heard)
    arrays = _of_folder(path) if path.is_dir() else _of_ctranslate2(path)
    try:
        inner, width = arrays["layers.0.fc1.weight"].shape
        whisper = Whisper(width, layers, width // _HEAD_WIDTH, inner, heard)
        wanted = whisper.state_dict()
        whisper.load_state_dict({name: arrays[name] for name in wanted})
    except (KeyError, ValueError, RuntimeError) as error:
        raise BadWeights(
            f"“{path}” holds no encoder of a Whisper with {layers} layers that hears {BINS} mels: "
            f"choose another ({error})"
        ) from error
    return whisper.eval().requires_grad_(False)


def _of_folder(folder: Path) -> dict[str, Tensor]:
    """Arrays of the encoder in a Hugging Face folder, named as `Whisper` does. Raises BadWeights."""
    arrays = {}
    try:
        with safe_open(folder / "model.safetensors", "pt") as file:
            for name in file.keys():
                before, encoder, rest = name.rpartition("encoder.")
                if encoder and before in ("", "model."):
                    arrays[rest] = file.get_tensor(name).float()
    except (SafetensorError, OSError) as error:
        raise BadWeights(
            f"“{folder}” has no model.safetensors that can be read ({error}): choose the folder of "
            f"a Whisper"
        ) from error
    return arrays


def _of_ctranslate2(path: Path) -> dict[str, Tensor]:
    """Arrays of the encoder in a file of CTranslate2, named as `Whisper` does. Raises
    BadWeights."""
    try:
        stored = read_ctranslate2(path)
        arrays = {f"{name}.{kind}": stored[f"encoder/{name}/{kind}"]
            for name in ("conv1", "conv2") for kind in ("weight", "bias")}  # fmt: skip
        number = 0
        while f"encoder/layer_{number}/ffn/linear_0/weight" in stored:
            theirs, ours = f"encoder/layer_{number}/", f"layers.{number}."
            arrays |= {ours + name: stored[theirs + other] for other, name in _IN_LAYER.items()}
            for kind in ("weight", "bias"):
                all_three = stored[f"{theirs}self_attention/linear_0/{kind}"]
                for name, part in zip("qkv", np.split(all_three, 3)):
                    arrays[f"{ours}self_attn.{name}_proj.{kind}"] = part
            number += 1
    except (OSError, KeyError, ValueError, IndexError, struct.error) as error:
        raise BadWeights(
            f"“{path}” is no Whisper of CTranslate2 ({error!r}): choose its model.bin"
        ) from error
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


def read_ctranslate2(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name of a file of CTranslate2: version, specification, revision and count, then for
    each array its name, rank, sizes, type and bytes; all numbers little-endian.

    Raises OSError, ValueError, IndexError or struct.error where it is none.
    """
    data, at = path.read_bytes(), 0

    def number(kind: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{kind}", data, at)
        at += struct.calcsize(kind)
        return value

    def text() -> str:
        nonlocal at
        length = number("H")
        if length > _LONGEST_NAME:
            raise ValueError(f"a name of {length} letters")
        at += length
        return data[at - length : at].rstrip(b"\0").decode()

    number("I"), text(), number("I")
    arrays = {}
    for _ in range(number("I")):
        name, rank = text(), number("B")
        if rank > _HIGHEST_RANK:
            raise ValueError(f"{rank} axes")
        shape = [number("I") for _ in range(rank)]
        kind = np.dtype(_TYPES[number("B")])
        size = number("I")
        arrays[name] = np.frombuffer(data, kind, size // kind.itemsize, at).reshape(shape)
        at += size
    return arrays
