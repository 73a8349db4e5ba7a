# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight files: safetensors beside a JSON card, read without running code, refused with a sentence when broken."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

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
        raise BadWeights(f"The weights file {Path(error.filename or tensors_path).name} is missing. Install the extension again.") from error
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise BadWeights(f"The weights file {tensors_path.name} is damaged ({error}). Install the extension again.") from error


def fingerprint(folder: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 over every weights file of `folder`, in name order."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".json", ".npz")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
