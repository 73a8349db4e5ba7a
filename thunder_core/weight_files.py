# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a folder of weights: cards, arrays, heads, and the sizes of each network.

Weights are safetensors beside a JSON card: read without running code, checked number by number,
refused with a sentence. A network's graph is NAME.onnx beside NAME.safetensors, which it holds no
copy of; `train.graphs` writes it. `engine` and `networks` compute what is read here.
"""

import json
import math
import stat
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import safe_open, SafetensorError

from .errors import BadHead, BadWeights
from .face.head import Head, read_head
from .files import hash_of
from .shipped import fingerprint_of, LARGEST_WEIGHTS, WEIGHT_ENDINGS, WEIGHTS as SHIPPED

# ---- cards of weight files

SUMS = "SHA256SUMS"  # checksums of the weights in a folder, in the format of sha256sum

GRAPH = ".onnx"  # ending of a network's graph, which follows from the sizes in its card

ENDINGS = (*WEIGHT_ENDINGS, GRAPH)  # endings of weight files

SCALE = " scale"  # end of the names of arrays [rows, parts] that multiply parts of rows of bytes

_LONGEST_CARD = 2**20  # bytes
_LARGEST_GRAPH = 2**21  # bytes of a graph: it holds no weights

_WIDEST, _DEEPEST = 2**16, 100  # upper bounds of a network's sizes, and of its number of layers

_LONGEST_REASON = 120  # letters quoted of a library's error message


def advice(folder: Path) -> str:
    """Advice about a folder whose weights cannot be used, as the end of a sentence."""
    return (
        "reinstall the extension"
        if folder.resolve() == SHIPPED
        else "choose another weights folder"
    )


def unusable(path: Path, reason: str) -> BadWeights:
    """The error for a file of weights; `reason` follows the file's name in its sentence."""
    return BadWeights(
        f"The weights file {path.name} in “{path.parent}” {reason}: {advice(path.parent)}"
    )


def read_error(path: Path, error: Exception) -> BadWeights:
    """The error for a file of weights that could not be read."""
    if isinstance(error, FileNotFoundError):
        return unusable(path, "is missing")
    if isinstance(error, PermissionError):
        return unusable(path, "may not be read")
    said = getattr(error, "strerror", None) or str(error)
    reason = " ".join(said.split())[:_LONGEST_REASON]
    return unusable(path, f"is damaged ({reason})" if reason else "is damaged")


def _check_file(path: Path, most: int) -> None:
    """Raise BadWeights for what is no plain file of at most so many bytes, and OSError where there
    is none: of a pipe a reader would never return, and a huge file may be empty."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise unusable(path, "is a folder, a pipe or a device, not a file")
    if not about.st_size:
        raise unusable(path, "is empty")
    if about.st_size > most:
        raise unusable(path, f"is larger than {most >> 20} MB")


def read_config(path: Path) -> dict:
    """The configuration in a network's JSON. Raises BadWeights."""
    try:
        _check_file(path, _LONGEST_CARD)
        card = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise read_error(path, error) from error
    if not isinstance(card, dict) or not isinstance(card.get("config"), dict):
        raise unusable(path, "has no configuration")
    return card["config"]


# largest weight accepted; the shipped ones stay below 100, and far larger ones overflow
_LARGEST = 1e6


def read_weights(path: Path, names: Sequence[str] = ()) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays, config) of `path` without suffix: every array real and finite, the config a
    dictionary of JSON values.  names: of the arrays to read; none: all.

    Raises BadWeights.
    """
    config, file = read_config(path.with_suffix(".json")), path.with_suffix(".safetensors")
    try:
        _check_file(file, LARGEST_WEIGHTS)
        with safe_open(file, "numpy") as opened:
            wanted = names or [name for name in opened.keys() if not name.endswith(SCALE)]
            arrays = {name: _read(opened, name) for name in wanted}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise read_error(file, error) from error
    for name, array in arrays.items():
        if not _can_be_trained(name, array):
            raise unusable(file, f"holds numbers that no training gives (in {name})")
    return arrays, config


def read_graph(path: Path) -> tuple[bytes, dict[str, np.ndarray]]:
    """The graph of a network, `path` without suffix, and its arrays. Raises BadWeights, OSError."""
    _check_file(path.with_suffix(GRAPH), _LARGEST_GRAPH)
    return path.with_suffix(GRAPH).read_bytes(), read_weights(path)[0]


def _read(file, name: str) -> np.ndarray:
    """An array of an open file; halves and bytes, in which weights are stored, as float32."""
    array = file.get_tensor(name)
    if array.dtype == np.int8:
        scale = file.get_tensor(name + SCALE).astype(np.float32)
        return (array.reshape(*scale.shape, -1) * scale[..., None]).reshape(array.shape)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _can_be_trained(name: str, array: np.ndarray) -> bool:
    """Whether an array holds what a trained network may: fractions, finite, spreads above 0."""
    if array.dtype.kind != "f":
        return name.endswith("num_batches_tracked")  # a count that some networks keep
    if not array.size:
        return True
    least, most = float(array.min()), float(array.max())
    is_spread = name.endswith("_std") or name == "scale"
    return -_LARGEST <= least <= most <= _LARGEST and (least > 0 or not is_spread)


def read_sizes(path: Path, kind: Callable):
    """The configuration in the card of `path` without suffix, as `build_config`. Raises
    BadWeights."""
    return build_config(path, read_config(path.with_suffix(".json")), kind)


def check_shapes(path: Path, arrays: dict[str, np.ndarray], **shapes: tuple[int, ...]) -> None:
    """Raise BadWeights where an array is missing or has another shape."""
    if any(name not in arrays or arrays[name].shape != shape for name, shape in shapes.items()):
        raise misfit(path)


def misfit(path: Path) -> BadWeights:
    """The error for weights of another shape than the network's."""
    return unusable(path.with_suffix(".safetensors"), "does not fit this version")


def build_config(path: Path, config: dict, kind: Callable):
    """kind(**config) of a configuration that was read from the card of `path`, if its values have
    the types of the dataclass's fields and are plausible. Raises BadWeights."""
    card, wanted = path.with_suffix(".json"), typing.get_type_hints(kind)
    for name, value in config.items():
        most = _DEEPEST if name == "layers" else _WIDEST
        if name not in wanted or not _fits(value, wanted[name], most):
            raise unusable(card, f"has a “{name[:40]}” that makes no sense")
    try:
        settings = kind(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in config.items()
            }
        )
    except TypeError as error:  # one is missing
        raise misfit(path) from error
    width, heads = getattr(settings, "width", 1), getattr(settings, "heads", 1)
    if not heads or width % heads:
        raise unusable(card, f"has a width of {width} for {heads} heads in its configuration")
    return settings


def _fits(value, kind, most: int) -> bool:
    """Whether a JSON value fits a field of a type; whole numbers are sizes, of at most `most`."""
    if kind is int:
        return type(value) is int and 0 <= value <= most
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return isinstance(value, list) and all(_fits(item, inner, most) for item in value)
    return isinstance(value, kind)


@dataclass(frozen=True)
class Identity:
    """Identity of the weights in a folder.

    fingerprint: of `shipped.fingerprint_of`.
    origin: "shipped" (all files as released), "own" (another folder with other weights, which is
    fine) or "changed" (the extension's folder differs from the release).
    sentence: for the log, "" for shipped weights.
    """

    fingerprint: str
    origin: str
    sentence: str


def identify(folder: Path) -> Identity:
    """Identity of the weights in a folder; reads every file once, and those of others twice. Raises
    BadWeights for a huge one."""
    for path in _files(folder):
        if path.stat().st_size > LARGEST_WEIGHTS:
            raise unusable(path, f"is larger than {LARGEST_WEIGHTS >> 20} MB")
    sums = {path.name: hash_of(path) for path in _files(folder)}
    first, *lines = (SHIPPED / SUMS).read_text(encoding="utf-8").splitlines()
    released = {name: digest for digest, name in map(str.split, lines)}
    different = [name for name in sums | released if sums.get(name) != released.get(name)]
    if not different:
        return Identity(first.split()[-1], "shipped", "")
    fingerprint = fingerprint_of(folder)
    if folder.resolve() != SHIPPED:
        return Identity(fingerprint, "own", "These are not the shipped weights")
    names = ", ".join(sorted(different))
    sentence = f"The bundled weights were changed ({names}): install it again"
    return Identity(fingerprint, "changed", sentence)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())


# ---- sizes of the networks, as their cards store them


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of a speech encoder, as its card stores them."""

    width: int = 192
    layers: int = 5
    heads: int = 4
    kernel: int = 31  # width of the depthwise convolution, frames of 20 ms
    ahead: int = 8  # delay in frames, because this family's convolutions only look back
    # Sizes of Whisper's first layers, whose outputs a linear layer narrows to `width` and the
    # conformer reads for phones.
    body: dict = field(default_factory=dict)


@dataclass(frozen=True)
class UnitsConfig:
    """Sizes of the units, as their card stores them."""

    count: int
    width: int


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of a denoiser, as its card stores them."""

    motion: int  # channels of x: expression, jaw, head, eyes
    audio: int  # width of the speech features a
    style: int = 0  # number of direction values; 0: one of the laboratory's, without styles
    events: int = 0  # number of curves of planned events; 0: such a one, which plans by itself
    # number of the mouth map's curves that it hears beside the sound; 0: none, as until 0.4.0
    mouth: int = 0
    width: int = 128
    layers: int = 8
    heads: int = 4
    feedforward: int = 512
    dropout: float = 0.0
    steps: int = 0  # step count that it was distilled for (train/distil.py); 0: any number
    least_noise: float = 0.0  # σ/α of the last step
    whole: str = ""  # SHA-256 of the undistilled model's file


@dataclass(frozen=True)
class MeshToSpeechConfig:
    """Sizes of a mesh-to-speech network, as its card stores them."""

    inputs: int  # input values per frame
    space: str = "mouth"  # of what it reads: that which ships, or one of `research.train.spaces`
    units: int = 200
    speaker: int = 256
    width: int = 192
    layers: int = 4
    heads: int = 4
    feedforward: int = 768
    kernel: int = 15  # width of the depthwise convolution, frames of 40 ms
    dropout: float = 0.1
    of_units: str = ""  # SHA-256 of the units.safetensors that it names, "" where not known


@dataclass(frozen=True)
class VocoderConfig:
    """Sizes of a vocoder, as its card stores them."""

    units: int = 200
    speaker: int = 256
    width: int = 224
    layers: int = 6
    expansion: int = 3
    kernel: int = 7  # frames of 10 ms
    of_units: str = ""  # as that of `MeshToSpeechConfig`


SPEAKER_WIDTH = 256  # values of a speaker embedding


# ---- heads among weights

TRAINED_MOUTH = "m2s_mouth.npz"  # file next to mouth2s' weights: the mouth that it was trained on


def trained_mouth(folder: Path) -> Head | None:
    """The mouth that the mouth2s in a folder was trained on; None if it is that of the folder's
    head. Raises BadWeights.

    A head sculpted anew moves its lips slightly differently. A network keeps reading the mouth it
    was trained on, moved by the same channels, until it is trained again.
    """
    path = folder / TRAINED_MOUTH
    return stored_head(path) if path.is_file() else None


def stored_head(path: Path) -> Head:
    """The head in a file of weights. Raises BadWeights."""
    try:
        return read_head(path)
    except BadHead as error:
        raise unusable(path, f"is damaged ({error.reason})") from error
