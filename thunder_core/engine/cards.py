# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON card beside each file of weights, and error messages about weights. Standard library only, so that damage is reported before
torch is loaded."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from ..errors import BadWeights
from ..files import not_a_file
from ..shipped import WEIGHTS as SHIPPED

SUMS = "SHA256SUMS"  # checksums of the weights in a folder, in the format of sha256sum
GRAPH = ".onnx"  # ending of a network's graph, which follows from the sizes in its card
ENDINGS = (".safetensors", ".json", ".npz", GRAPH)  # endings of weight files
_LONGEST_CARD = 2**20  # bytes
_WIDEST, _DEEPEST = 2**16, 100  # upper bounds of a network's sizes, and of its number of layers
_LONGEST_REASON = 120  # letters quoted of a library's error message


def advice(folder: Path) -> str:
    """Advice about a folder whose weights cannot be used, as the end of a sentence."""
    return "reinstall the extension" if folder.resolve() == SHIPPED else "choose another weights folder"


def unusable(path: Path, reason: str) -> BadWeights:
    """The error for a file of weights; `reason` follows the file's name in its sentence."""
    return BadWeights(f"The weights file {path.name} in “{path.parent}” {reason}: {advice(path.parent)}")


def damaged(path: Path, error: Exception) -> BadWeights:
    """The error for a file of weights that could not be read."""
    if isinstance(error, FileNotFoundError):
        return unusable(path, "is missing")
    if isinstance(error, PermissionError):
        return unusable(path, "may not be read")
    reason = " ".join(str(error).split())[:_LONGEST_REASON]
    return unusable(path, f"is damaged ({reason})" if reason else "is damaged")


def check_regular(folder: Path) -> None:
    """Raise BadWeights if a weight file is a folder, a pipe or a device: opening a pipe would wait for ever."""
    for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
        if (name.endswith(ENDINGS) or name == SUMS) and (problem := not_a_file(folder / name)):
            raise BadWeights(f"{problem}: {advice(folder)}")


def check_cards(folder: Path) -> None:
    """Read the JSON of every network in a folder. Raises BadWeights for the first that is missing or damaged."""
    check_regular(folder)
    for weights in sorted(folder.glob("*.safetensors")):
        read_config(weights.with_suffix(".json"))


def read_config(path: Path) -> dict:
    """The configuration in a network's JSON: a dictionary of permitted values. Raises BadWeights."""
    try:
        if path.stat().st_size > _LONGEST_CARD:
            raise unusable(path, f"is larger than {_LONGEST_CARD >> 20} MB")
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    config = card.get("config") if isinstance(card, dict) else None
    if not isinstance(config, dict):
        raise unusable(path, "has no configuration")
    _check_values(config, path)
    return config


def _check_values(value, path: Path, depth: int = 0, name: str = "") -> None:
    """Refuse a configuration with implausible numbers, texts or nesting, before anything is built from it."""
    if isinstance(value, dict) and depth < 4 and len(value) <= 500:
        for key, inner in value.items():
            _check_values(inner, path, depth + 1, str(key))
        return
    if isinstance(value, list) and depth < 4 and len(value) <= _DEEPEST:
        for inner in value:
            _check_values(inner, path, depth + 1, name)
        return
    most = _DEEPEST if "layers" in name else _WIDEST
    possible = value is None or isinstance(value, bool) or (isinstance(value, str) and len(value) <= 200)
    possible = possible or (isinstance(value, int) and abs(value) <= most) or (isinstance(value, float) and math.isfinite(value))
    if not possible:
        raise unusable(path, f"has a “{name[:40]}” that makes no sense")
