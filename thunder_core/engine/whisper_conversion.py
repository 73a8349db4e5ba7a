# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes of a Whisper model as Hugging Face stores it one that CTranslate2 reads: in the process
that recognises words, without torch."""

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np

from ..whisper_folder import is_converted, MODELS

_TYPES = {"F32": "<f4", "F16": "<f2"}
_COPIED = ("tokenizer.json", "preprocessor_config.json")


def convert(folder: Path) -> Path:
    """The model of a Hugging Face folder as CTranslate2 reads it, kept in this environment. Raises
    OSError, and what `load` catches where the folder holds something else."""
    from ctranslate2.specs import WhisperSpec
    from tokenizers import Tokenizer

    files = sorted(folder.glob("*.safetensors"))
    state = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]
    made = Path(sys.prefix, MODELS, f"{folder.name}-{key}")
    if is_converted(made):
        return made
    arrays = {name: array for path in files for name, array in _read_safetensors(path).items()}
    config = json.loads((folder / "config.json").read_text("utf-8"))
    generation = folder / "generation_config.json"
    more = json.loads(generation.read_text("utf-8")) if generation.is_file() else {}
    heads = config["decoder_attention_heads"]
    spec = WhisperSpec(config["encoder_layers"], config["encoder_attention_heads"],
                       config["decoder_layers"], heads)  # fmt: skip
    for name in ("conv1", "conv2"):
        _fill(getattr(spec.encoder, name), arrays, f"model.encoder.{name}")
    for side, kind in ((spec.encoder, "encoder"), (spec.decoder, "decoder")):
        _fill_layers(side, arrays, f"model.{kind}")
    embeddings = arrays["model.decoder.embed_tokens.weight"]
    spec.decoder.embeddings.weight = embeddings
    spec.decoder.projection.weight = arrays.get("proj_out.weight", embeddings)
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab(with_added_tokens=True)
    names = sorted(tokens, key=tokens.get)[: len(embeddings)]
    names += [f"<|{i * 0.02:.2f}|>" for i in range(len(embeddings) - len(names))]
    spec.register_vocabulary(names)
    layers = range(config["decoder_layers"] // 2, config["decoder_layers"])
    languages = [tokens[name] for name in tokens if re.fullmatch(r"<\|[a-z]{2,3}\|>", name)]
    settings = config | more
    spec.config.suppress_ids = settings.get("suppress_tokens") or []
    spec.config.suppress_ids_begin = settings.get("begin_suppress_tokens") or []
    spec.config.lang_ids = sorted(settings.get("lang_to_id", {}).values()) or languages
    spec.config.alignment_heads = settings.get("alignment_heads") or [
        [layer, head] for layer in layers for head in range(heads)
    ]
    spec.validate()
    spec.optimize(quantization="float16")
    part = made.with_name(f"{made.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    spec.save(str(part))
    for name in _COPIED:
        if (folder / name).is_file():
            shutil.copy(folder / name, part / name)
    part.rename(made)
    return made


def _read_safetensors(path: Path) -> dict:
    """The arrays of a file, which stay on the disk. Raises ValueError, KeyError, OSError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            raise ValueError(f"{path.name} is damaged")
        about = json.loads(file.read(length))
    about.pop("__metadata__", None)
    data = np.memmap(path, np.uint8, "r", 8 + length)
    return {
        name: data[slice(*each["data_offsets"])].view(_TYPES[each["dtype"]]).reshape(each["shape"])
        for name, each in about.items()
    }


def _fill(spec, arrays: dict, name: str) -> None:
    """Give a part of a model its weight, and its bias if it has one; of a norm gamma and beta."""
    is_norm = hasattr(spec, "gamma")
    setattr(spec, "gamma" if is_norm else "weight", arrays[f"{name}.weight"])
    if f"{name}.bias" in arrays:
        setattr(spec, "beta" if is_norm else "bias", arrays[f"{name}.bias"])


def _fill_layers(spec, arrays: dict, name: str) -> None:
    """The encoder, or the decoder."""
    spec.position_encodings.encodings = arrays[f"{name}.embed_positions.weight"]
    _fill(spec.layer_norm, arrays, f"{name}.layer_norm")
    for number, layer in enumerate(spec.layer):
        of = f"{name}.layers.{number}."
        _fill_attention(layer.self_attention, arrays, of + "self_attn", "qkv")
        if f"{of}encoder_attn.q_proj.weight" in arrays:
            _fill_attention(layer.attention, arrays, of + "encoder_attn", "q", "kv")
        _fill(layer.ffn.linear_0, arrays, of + "fc1")
        _fill(layer.ffn.linear_1, arrays, of + "fc2")
        _fill(layer.ffn.layer_norm, arrays, of + "final_layer_norm")


def _fill_attention(spec, arrays: dict, name: str, *joined: str) -> None:
    """Attention, whose projections are joined as the letters say; that of the keys has no bias."""
    for linear, letters in zip(spec.linear, joined):
        weights = [arrays[f"{name}.{letter}_proj.weight"] for letter in letters]
        none = np.zeros(len(weights[0]), weights[0].dtype)
        linear.weight = np.concatenate(weights)
        linear.bias = np.concatenate(
            [arrays.get(f"{name}.{letter}_proj.bias", none) for letter in letters]
        )
    _fill(spec.linear[-1], arrays, f"{name}.out_proj")
    _fill(spec.layer_norm, arrays, f"{name}_layer_norm")
