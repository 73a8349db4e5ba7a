# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight files: safetensors beside a JSON card, read without running code, refused with a sentence when broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .errors import BadWeights


def save_weights(path: Path, tensors: dict[str, Tensor], config: dict, card: dict) -> None:
    """Write `path`.safetensors (float tensors as given, contiguous copies) and `path`.json with config and card."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, path.with_suffix(".safetensors"))
    path.with_suffix(".safetensors").chmod(0o644)
    path.with_suffix(".json").write_text(json.dumps({"config": config, "card": card}, indent=1) + "\n")


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict]:
    """(tensors, config) of `path` without suffix. Raises BadWeights."""
    tensors_path, card_path = path.with_suffix(".safetensors"), path.with_suffix(".json")
    try:
        return load_file(tensors_path), json.loads(card_path.read_text())["config"]
    except FileNotFoundError as error:
        raise BadWeights(f"The weights file {Path(error.filename or tensors_path).name} is missing: install the extension again") from error
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise BadWeights(f"The weights file {tensors_path.name} is damaged ({error}): install the extension again") from error


def load_network(path: Path, make: Callable[[dict], nn.Module], computed: str = "") -> nn.Module:
    """The network that `make` builds from the configuration of `path`, filled, frozen and in eval mode.

    Tensors whose names start with `computed` (filter banks) are made by the network itself and not stored.
    Raises BadWeights when the file is missing, damaged or made for another shape.
    """
    tensors, config = load_weights(path)
    try:
        network = make(config)
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except (RuntimeError, TypeError, KeyError) as error:
        raise _misfit(path) from error
    if unexpected or any(not computed or not name.startswith(computed) for name in missing):
        raise _misfit(path)
    return network.eval().requires_grad_(False)


def _misfit(path: Path) -> BadWeights:
    return BadWeights(f"The weights file {path.name}.safetensors does not fit this version: install the extension again")


def fingerprint(folder: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 over every weights file of `folder`, in name order."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".json", ".npz")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
