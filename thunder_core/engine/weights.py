# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight files: safetensors beside a JSON card, read without running code, checked number by number, refused with a sentence."""

from __future__ import annotations

import hashlib
import json
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn, Tensor
from torch.overrides import TorchFunctionMode

from ..errors import BadWeights
from ..files import hash_of, part_of, write_file
from .cards import damaged, ENDINGS, GRAPH, read_config, SHIPPED, SUMS, unusable

_LONGEST_SUMS = 2**20  # bytes
_LARGEST = 1e6  # largest weight accepted; the shipped ones stay below 100, and far larger ones overflow
_SPARE = 2**26  # bytes that a network may allocate beyond its file (filter banks, windows, noise)


class _Unusable(ValueError):
    """A fault of a weight file, as the end of a sentence that begins with the file's name."""


def save_weights(path: Path, tensors: dict[str, Tensor], config: dict, card: dict) -> None:
    """Write `path`.safetensors (float tensors as given, contiguous copies) and `path`.json with config and card."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_of(path.with_suffix(".safetensors")) as part:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, part)
    write_file(path.with_suffix(".json"), json.dumps({"config": config, "card": card}, indent=1) + "\n")


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict]:
    """(tensors, config) of `path` without suffix: every tensor real and finite, the config a dictionary of JSON values.

    Raises BadWeights.
    """
    config, tensors_path = read_config(path.with_suffix(".json")), path.with_suffix(".safetensors")
    try:
        tensors = load_file(tensors_path)
        for name, tensor in tensors.items():
            _check_tensor(name, tensor)
        return tensors, config
    except _Unusable as reason:
        raise unusable(tensors_path, str(reason)) from None
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise damaged(tensors_path, error) from error


def _check_tensor(name: str, tensor: Tensor) -> None:
    """Raise _Unusable where a tensor holds what no trained network does."""
    if not tensor.is_floating_point():
        if not name.endswith("num_batches_tracked"):  # a count that some networks keep
            raise _Unusable(f"holds whole numbers or others ({str(tensor.dtype).removeprefix('torch.')}) for {name} where fractions belong")
        return
    if not tensor.numel():
        return
    least, most = (float(x) for x in tensor.float().aminmax())
    if not (math.isfinite(least) and math.isfinite(most)):
        raise _Unusable(f"holds values that are not numbers (in {name})")
    if max(-least, most) > _LARGEST:
        raise _Unusable(f"holds values far beyond what training gives (in {name})")
    if least <= 0 and (name.endswith("_std") or name == "scale"):
        raise _Unusable(f"holds a spread that is not positive (in {name})")


def typed(kind: Callable, config: dict, **given: type):
    """kind(**config), if the values have the types of the dataclass's fields or of `given`.

    Raises ValueError; `load_network` turns it into BadWeights.
    """
    wanted = given or typing.get_type_hints(kind)
    for name, value in config.items():
        if name not in wanted:
            raise _Unusable(f"has an unknown “{name[:40]}” in its configuration")
        if not _has_type(value, wanted[name]):
            raise _Unusable(f"has the wrong kind of “{name}” in its configuration")
        if isinstance(value, int) and value < 0:
            raise _Unusable(f"has a negative “{name}” in its configuration")
    made = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in config.items()})
    width, heads = getattr(made, "width", 1), getattr(made, "heads", 1)
    if not heads or width % heads:
        raise _Unusable(f"has a width of {width} for {heads} heads in its configuration")
    return made


def _has_type(value, kind) -> bool:
    """Whether a JSON value fits a field of a type."""
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if typing.get_origin(kind) is tuple:
        of = typing.get_args(kind)[0]  # whole numbers are sizes, which are positive
        return isinstance(value, (list, tuple)) and all(_has_type(item, of) and (item > 0 or of is float) for item in value)
    return isinstance(value, kind)


_DRAWN = {getattr(torch.nn.init, name) for name in ("uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_",
                                                    "xavier_uniform_", "xavier_normal_", "orthogonal_")}  # fmt: skip


class _Bounded(TorchFunctionMode):
    """Context in which tensors of a limited total size can be made, and a network's initial weights are not drawn, since those of a file
    replace them."""

    def __init__(self, most_bytes: int):
        super().__init__()
        self.left = most_bytes

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in _DRAWN:
            return (kwargs or {}).get("tensor", args[0] if args else None)
        if function in (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn):
            size = (kwargs or {}).get("size", args[0] if args and isinstance(args[0], (tuple, list)) else args)
            self.left -= 4 * math.prod(int(n) for n in size)
            if self.left < 0:
                raise _Unusable("has a configuration for a larger network than the file of weights holds")
        return function(*args, **(kwargs or {}))


def load_network(path: Path, make: Callable[[dict], nn.Module], computed: str = "") -> nn.Module:
    """The network that `make` builds from the configuration of `path`, filled, frozen and in eval mode.

    Tensors whose names start with `computed` (filter banks) are made by the network itself and not stored. Every other
    tensor of the network must be in the file with exactly its shape and kind of number, and nothing else may be.
    Raises BadWeights when the file is missing, damaged or made for another shape.
    """
    tensors, config = load_weights(path)
    try:
        with _Bounded(2 * sum(tensor.numel() * 4 for tensor in tensors.values()) + _SPARE):
            network = make(config)
        wanted = {name: tensor for name, tensor in network.state_dict().items() if not computed or not name.startswith(computed)}
        if wanted.keys() != tensors.keys() or any(
            wanted[name].shape != tensor.shape or wanted[name].dtype != tensor.dtype for name, tensor in tensors.items()
        ):
            raise _misfit(path)
        network.load_state_dict(tensors, strict=False)
    except _Unusable as reason:
        raise unusable(path.with_suffix(".json"), str(reason)) from None
    except (BadWeights, MemoryError):
        raise
    except Exception as error:  # a configuration that makes no sense can fail anywhere in a network
        raise _misfit(path) from error
    return network.eval().requires_grad_(False)


def _misfit(path: Path) -> BadWeights:
    """The error for weights of another shape than the network's."""
    return unusable(path.with_suffix(".safetensors"), "does not fit this version")


# ---- which weights these are


@dataclass(frozen=True)
class Identity:
    """Identity of the weights in a folder.

    fingerprint: first 16 hexadecimal digits of the SHA-256 over every weights file but the graphs, in name order.
    origin: "shipped" (all files as released), "own" (another folder with other weights, which is fine) or "changed" (the folder differs
    from its own SHA256SUMS, or the extension's folder from the release).
    different: names of the files that are missing or differ from the release.
    folder: the folder.  unlike: names of the files that are missing or differ from its own SHA256SUMS.
    """

    fingerprint: str
    origin: str
    different: tuple[str, ...] = ()
    folder: str = ""
    unlike: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """A sentence for the log, "" for shipped weights."""
        if self.unlike:
            names = ", ".join(self.unlike[:3]) + (" …" if len(self.unlike) > 3 else "")
            return f"The weights in “{self.folder}” differ from the {SUMS} beside them ({names}): copy them again, or list them anew"
        if self.origin == "changed":
            return f"The bundled weights were changed ({', '.join(self.different)}): install it again"
        return "These are not the shipped weights" if self.origin == "own" else ""


def identify(folder: Path) -> Identity:
    """Identity of the weights in a folder; reads every file once."""
    whole, sums = hashlib.sha256(), {}
    for path in _files(folder):
        content = path.read_bytes()
        if path.suffix != GRAPH:  # takes are known by their weights
            whole.update(path.name.encode())
            whole.update(content)
        sums[path.name] = hashlib.sha256(content).hexdigest()
    released = _sums_in(SHIPPED)
    different = tuple(sorted(name for name in sums.keys() | released.keys() if sums.get(name) != released.get(name)))
    is_custom = folder.resolve() != SHIPPED  # another folder than the extension's
    unlike = tuple(sorted(name for name, digest in _sums_in(folder).items() if sums.get(name) != digest)) if is_custom else ()
    origin = ("changed" if unlike or not is_custom else "own") if different or unlike else "shipped"
    return Identity(whole.hexdigest()[:16], origin, different, str(folder), unlike)


def _sums_in(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of each file of weights that a folder's SHA256SUMS lists; empty where the list is missing or damaged."""
    try:
        path = folder / SUMS
        if not path.is_file() or path.stat().st_size > _LONGEST_SUMS:
            return {}
        rows = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines()]
        sums = {name.strip().lstrip("*").removeprefix("./"): digest.lower() for digest, name in rows}
        return {name: digest for name, digest in sums.items() if name.endswith(ENDINGS)}
    except (OSError, ValueError):
        return {}


def write_sums(folder: Path) -> Path:
    """Write the SHA-256 of every weights file of a folder, in the format that `sha256sum --check` reads."""
    rows = [f"{hash_of(path)}  {path.name}\n" for path in _files(folder)]
    write_file(folder / SUMS, "".join(rows))
    return folder / SUMS


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())
