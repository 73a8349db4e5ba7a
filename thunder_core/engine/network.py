# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a folder of weights: arrays in and out.

Weight files are safetensors beside a JSON card: read without running code, checked number by
number, refused with a sentence. ONNX Runtime computes a network's graph, torch what has none or
runs on a graphics card.

A graph is NAME.onnx beside the weights NAME.safetensors, which it holds no copy of; `train.graphs`
writes it. What it holds is read before ONNX Runtime is given it: only known operators, and no data
but small constants. The format is protocol buffers: fields of a number and a kind, one after the
other. Numbers of fields are those of onnx.proto3.
"""

import contextlib
import ctypes.util
import hashlib
import json
import math
import os
import threading
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors import safe_open, SafetensorError
from safetensors.numpy import load_file

from ..errors import BadWeights
from ..files import hash_of, not_a_file, write_file
from ..shipped import WEIGHTS as SHIPPED

# ---- cards of weight files

SUMS = "SHA256SUMS"  # checksums of the weights in a folder, in the format of sha256sum
GRAPH = ".onnx"  # ending of a network's graph, which follows from the sizes in its card
ENDINGS = (".safetensors", ".json", ".npz", GRAPH)  # endings of weight files
_LONGEST_CARD = 2**20  # bytes
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
    reason = " ".join(str(error).split())[:_LONGEST_REASON]
    return unusable(path, f"is damaged ({reason})" if reason else "is damaged")


def check_regular(folder: Path) -> None:
    """Raise BadWeights if a weight file is a folder, a pipe or a device: opening a pipe would wait
    for ever."""
    for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
        if (name.endswith(ENDINGS) or name == SUMS) and (problem := not_a_file(folder / name)):
            raise BadWeights(f"{problem}: {advice(folder)}")


def check_cards(folder: Path) -> None:
    """Read the JSON of every network in a folder. Raises BadWeights for the first that is missing
    or damaged."""
    check_regular(folder)
    for weights in sorted(folder.glob("*.safetensors")):
        read_config(weights.with_suffix(".json"))


def read_config(path: Path) -> dict:
    """The configuration in a network's JSON: a dictionary of permitted values. Raises
    BadWeights."""
    try:
        if path.stat().st_size > _LONGEST_CARD:
            raise unusable(path, f"is larger than {_LONGEST_CARD >> 20} MB")
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise read_error(path, error) from error
    config = card.get("config") if isinstance(card, dict) else None
    if not isinstance(config, dict):
        raise unusable(path, "has no configuration")
    _check_values(config, path)
    return config


def _check_values(value, path: Path, depth: int = 0, name: str = "") -> None:
    """Refuse a configuration with implausible numbers, texts or nesting, before anything is built
    from it."""
    if isinstance(value, dict) and depth < 4 and len(value) <= 500:
        for key, inner in value.items():
            _check_values(inner, path, depth + 1, str(key))
        return
    if isinstance(value, list) and depth < 4 and len(value) <= _DEEPEST:
        for inner in value:
            _check_values(inner, path, depth + 1, name)
        return
    most = _DEEPEST if "layers" in name else _WIDEST
    possible = (
        value is None or isinstance(value, bool) or (isinstance(value, str) and len(value) <= 200)
    )
    possible = (
        possible
        or (isinstance(value, int) and abs(value) <= most)
        or (isinstance(value, float) and math.isfinite(value))
    )
    if not possible:
        raise unusable(path, f"has a “{name[:40]}” that makes no sense")


# ---- arrays

_LONGEST_SUMS = 2**20  # bytes
# largest weight accepted; the shipped ones stay below 100, and far larger ones overflow
_LARGEST = 1e6


class Unusable(ValueError):
    """A fault of a weight file, as the end of a sentence that begins with the file's name."""


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays, config) of `path` without suffix: every array real and finite, the config a
    dictionary of JSON values.

    Raises BadWeights.
    """
    return _read(path, load_file)


def read_some(path: Path, names: Sequence[str]) -> tuple[dict[str, np.ndarray], dict]:
    """As `read_weights`, the arrays of these names alone. Raises BadWeights."""

    def some(file: Path) -> dict[str, np.ndarray]:
        with safe_open(file, "numpy") as opened:
            return {name: opened.get_tensor(name) for name in names}

    return _read(path, some)


def _read(
    path: Path, load: Callable[[Path], dict[str, np.ndarray]]
) -> tuple[dict[str, np.ndarray], dict]:
    config, arrays_path = read_config(path.with_suffix(".json")), path.with_suffix(".safetensors")
    try:
        arrays = load(arrays_path)
        for name, array in arrays.items():
            _check_array(name, array)
        return arrays, config
    except Unusable as reason:
        raise unusable(arrays_path, str(reason)) from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise read_error(arrays_path, error) from error


def read_sizes(path: Path, kind: Callable, **given: type):
    """The configuration in the card of `path` without suffix, as `build_config`. Raises
    BadWeights."""
    return sizes_of(path, read_config(path.with_suffix(".json")), kind, **given)


def sizes_of(path: Path, config: dict, kind: Callable, **given: type):
    """`build_config` of a configuration that was read from the card of `path`. Raises
    BadWeights."""
    try:
        return build_config(kind, config, **given)
    except Unusable as reason:
        raise unusable(path.with_suffix(".json"), str(reason)) from None
    except (TypeError, ValueError) as error:
        raise misfit(path) from error


def check_shapes(path: Path, arrays: dict[str, np.ndarray], **shapes: tuple[int, ...]) -> None:
    """Raise BadWeights where an array is missing or has another shape."""
    if any(name not in arrays or arrays[name].shape != shape for name, shape in shapes.items()):
        raise misfit(path)


def misfit(path: Path) -> BadWeights:
    """The error for weights of another shape than the network's."""
    return unusable(path.with_suffix(".safetensors"), "does not fit this version")


def _check_array(name: str, array: np.ndarray) -> None:
    """Raise Unusable where an array holds what no trained network does."""
    if array.dtype.kind != "f":
        if not name.endswith("num_batches_tracked"):  # a count that some networks keep
            raise Unusable(
                f"holds whole numbers or others ({array.dtype}) for {name} where fractions belong"
            )
        return
    if not array.size:
        return
    least, most = float(array.min()), float(array.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        raise Unusable(f"holds values that are not numbers (in {name})")
    if max(-least, most) > _LARGEST:
        raise Unusable(f"holds values far beyond what training gives (in {name})")
    if least <= 0 and (name.endswith("_std") or name == "scale"):
        raise Unusable(f"holds a spread that is not positive (in {name})")


def build_config(kind: Callable, config: dict, **given: type):
    """kind(**config), if the values have the types of the dataclass's fields or of `given`.

    Raises ValueError; callers turn it into BadWeights.
    """
    wanted = given or typing.get_type_hints(kind)
    for name, value in config.items():
        if name not in wanted:
            raise Unusable(f"has an unknown “{name[:40]}” in its configuration")
        if not _has_type(value, wanted[name]):
            raise Unusable(f"has the wrong kind of “{name}” in its configuration")
        if isinstance(value, int) and value < 0:
            raise Unusable(f"has a negative “{name}” in its configuration")
    settings = kind(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in config.items()
        }
    )
    width, heads = getattr(settings, "width", 1), getattr(settings, "heads", 1)
    if not heads or width % heads:
        raise Unusable(f"has a width of {width} for {heads} heads in its configuration")
    return settings


def _has_type(value, kind) -> bool:
    """Whether a JSON value fits a field of a type."""
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if typing.get_origin(kind) is tuple:
        item_type = typing.get_args(kind)[0]  # whole numbers are sizes, which are positive
        return isinstance(value, (list, tuple)) and all(
            _has_type(item, item_type) and (item > 0 or item_type is float) for item in value
        )
    return isinstance(value, kind)


# ---- which weights these are


@dataclass(frozen=True)
class Identity:
    """Identity of the weights in a folder.

    fingerprint: first 16 hexadecimal digits of the SHA-256 over every weights file but the graphs,
    in name order.
    origin: "shipped" (all files as released), "own" (another folder with other weights, which is
    fine) or "changed" (the folder differs from its SHA256SUMS, or the extension's folder from the
    release).
    different: names of the files that are missing or differ from the release.
    folder: the folder.  unlike: names of the files that are missing or differ from the folder's
    SHA256SUMS.
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
            return (
                f"The weights in “{self.folder}” differ from the {SUMS} beside them "
                f"({names}): copy them again, or list them anew"
            )
        if self.origin == "changed":
            return (
                f"The bundled weights were changed ({', '.join(self.different)}): install it again"
            )
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
    released = _read_sums(SHIPPED)
    different = tuple(
        sorted(
            name for name in sums.keys() | released.keys() if sums.get(name) != released.get(name)
        )
    )
    is_custom = folder.resolve() != SHIPPED  # another folder than the extension's
    unlike = (
        tuple(
            sorted(name for name, digest in _read_sums(folder).items() if sums.get(name) != digest)
        )
        if is_custom
        else ()
    )
    origin = ("changed" if unlike or not is_custom else "own") if different or unlike else "shipped"
    return Identity(whole.hexdigest()[:16], origin, different, str(folder), unlike)


def _read_sums(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of each file of weights that a folder's SHA256SUMS lists; empty where the list
    is missing or damaged."""
    try:
        path = folder / SUMS
        if not path.is_file() or path.stat().st_size > _LONGEST_SUMS:
            return {}
        rows = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines()]
        sums = {
            name.strip().lstrip("*").removeprefix("./"): digest.lower() for digest, name in rows
        }
        return {name: digest for name, digest in sums.items() if name.endswith(ENDINGS)}
    except (OSError, ValueError):
        return {}


def write_sums(folder: Path) -> Path:
    """Write the SHA-256 of every weights file of a folder, in the format that `sha256sum --check`
    reads."""
    rows = [f"{hash_of(path)}  {path.name}\n" for path in _files(folder)]
    write_file(folder / SUMS, "".join(rows))
    return folder / SUMS


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())


# ---- networks

CPU = "cpu"


class Network:
    """One network, opened at its first call, or before. Threads may call it beside each other."""

    def __init__(self, path: Path, device: str, threads: int = 1):
        """path: of NAME.safetensors, without the ending.  threads: that share one call on a
        processor."""
        self.path, self.device, self._threads = path, device, threads
        self._run: Callable[..., list[np.ndarray]] | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Load it, which takes tenths of a second, and nothing when called again. Raises
        BadWeights."""
        with self._opening:
            if self._run is None:
                self._run = self._open()

    def begin(self) -> None:
        """Open it in parallel to other work; errors are raised by the first call."""

        def open_it() -> None:
            with contextlib.suppress(Exception):
                self.open()

        if self._run is None:
            threading.Thread(target=open_it, name=f"opens {self.path.name}", daemon=True).start()

    def _open(self) -> Callable[..., list[np.ndarray]]:
        if self.device == CPU and self.path.with_suffix(GRAPH).exists():
            return Graph(self.path, self._threads)
        if not find_spec("torch"):
            raise BadWeights(
                f"The weights in “{self.path.parent}” have no graph of “{self.path.name}”, so "
                f"they perform with torch alone: install the "
                f"engine for graphics cards, or {advice(self.path.parent)}"
            )
        # what a graph needs loads in a tenth of the time
        from ..networks.running import TorchNetwork

        return TorchNetwork(self.path, self.device)

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs for inputs by name; those that the network does not have are ignored. Raises
        BadWeights."""
        if self._run is None:
            self.open()
        assert self._run is not None
        return self._run(**inputs)


def best_device() -> str:
    """ "cuda:0" if torch is installed and finds a graphics card, else "cpu"."""
    # torch takes seconds to import, so it is asked only where a card's driver is.
    if find_spec("torch") and (
        ctypes.util.find_library("cuda")
        or ctypes.util.find_library("nvcuda")
        or os.path.exists("/dev/kfd")
    ):
        import torch

        if torch.cuda.is_available():
            return "cuda:0"
    return CPU


def processors() -> int:
    """Number of threads that compute beside each other at full speed: cores that this process may
    use, not what one core does at once."""
    allowed = (
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    if isinstance(allowed, range):
        return len(allowed)
    return max(1, len({_core_of(number) for number in allowed}))


def _core_of(number: int) -> str:
    """The core that a processor of Linux is part of, by the list of processors that share it."""
    try:
        return Path(
            f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
        ).read_text()
    except OSError:
        return str(number)


# ---- graphs

TRANSPOSED = " transposed"  # end of the names of weights that a graph is handed transposed
_LARGEST_GRAPH = 2**21  # bytes of a graph: it holds no weights
_KINDS = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}


class Graph:
    """A network on the processor: float32 arrays in and out. Threads may call it beside each
    other."""

    def __init__(self, path: Path, threads: int = 1):
        """path: of NAME.onnx and NAME.safetensors, without the ending.  threads: that share one
        call. Raises BadWeights."""
        # takes tenths of a second, beside other work: networks are opened by threads
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # Windows' records of events
        file = self._file = path.with_suffix(GRAPH)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # other programs, and other threads of ours, have work
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # what is wrong is said in the error
        # done when the graph was written
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_mem_pattern = False  # sounds have all lengths
        try:
            if file.stat().st_size > _LARGEST_GRAPH:
                raise BadGraph(f"is larger than {_LARGEST_GRAPH >> 20} MB")
            content, (stored, _) = file.read_bytes(), read_weights(path)
            wanted = weights_of(content)
            stored |= {name + TRANSPOSED: weight.T for name, weight in stored.items()}
            if any(
                name not in stored or stored[name].shape != shape for name, shape in wanted.items()
            ):
                raise BadGraph("does not fit the weights beside it")
            # which the session does not copy
            self._weights = [np.asarray(stored[name], np.float32, "C") for name in wanted]
            options.add_external_initializers(
                list(wanted),
                [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in self._weights],
            )
            # From memory: what a graph says of files beside it is never read.
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except BadGraph as reason:
            raise unusable(file, str(reason)) from None
        except BadWeights:
            raise
        except OSError as error:
            raise read_error(file, error) from error
        except Exception as error:  # ONNX Runtime's errors share no class
            raise unusable(file, "is no graph that ONNX Runtime can compute") from error
        self._inputs = {node.name: _KINDS[node.type] for node in self._session.get_inputs()}

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs for inputs by name; those that the network does not have are ignored. Raises
        BadWeights."""
        if not self._inputs.keys() <= inputs.keys():
            raise unusable(
                self._file,
                "was written for another version: write it again with the stage “graphs”",
            )
        given: dict[str, np.ndarray] = {
            name: np.ascontiguousarray(inputs[name], kind) for name, kind in self._inputs.items()
        }
        return self._session.run(None, given)


# ---- what a graph file may hold

OPERATORS = frozenset(
    (
        "Abs Add And AveragePool Cast Clip Concat Constant ConstantOfShape Conv Cos Div Equal Erf "
        "Exp Expand Gather Gelu Gemm Greater "
        "GreaterOrEqual InstanceNormalization IsNaN LSTM LayerNormalization Less LessOrEqual Log "
        "MatMul MaxPool Min Mod Mul Neg Not Or Pad "
        "Pow Range ReduceL2 ReduceMax ReduceMean ReduceSum Relu Reshape Shape Sigmoid Sin Slice "
        "Softmax Split Sqrt Squeeze Sub Tile "
        "Transpose Unsqueeze Where"
    ).split()
)
_GRAPH, _FUNCTIONS = 7, 25  # fields of a model
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # of a graph
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of a node
_SUBGRAPH, _SUBGRAPHS = 6, 11  # of an attribute
_DIMENSION, _NAME, _PLACE = 1, 8, 14  # of a tensor
_ELSEWHERE = 1  # value of _PLACE: the data are not in the file
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # kinds of fields


class BadGraph(ValueError):
    """A fault of a graph file, as the end of a sentence that begins with its name."""


def weights_of(content: bytes) -> dict[str, tuple[int, ...]]:
    """Name → shape of each weight that a graph is to be given. Raises BadGraph."""
    result: dict[str, tuple[int, ...]] = {}
    try:
        for number, value in _fields(memoryview(content)):
            if number == _FUNCTIONS:
                raise BadGraph("defines operators of its own")
            if number == _GRAPH:
                for part, inner in _fields(_bytes(value)):
                    if part == _NODE:
                        _check_node(_bytes(inner))
                    elif part == _INITIALIZER:
                        result |= _weight(_bytes(inner))
                    elif part == _SPARSE:
                        raise BadGraph("holds sparse data")
    except (IndexError, UnicodeDecodeError) as error:
        raise BadGraph("is damaged") from error
    return result


def _check_node(node: memoryview) -> None:
    for number, value in _fields(node):
        if number == _OPERATOR and (name := str(_bytes(value), "utf-8")) not in OPERATORS:
            raise BadGraph(f"has an operator that no network here has ({name[:40]})")
        if number == _DOMAIN and len(_bytes(value)):
            raise BadGraph("has operators that are not ONNX's own")
        if number == _ATTRIBUTE and any(
            inner in (_SUBGRAPH, _SUBGRAPHS) for inner, _ in _fields(_bytes(value))
        ):
            raise BadGraph("has loops or branches")


def _weight(tensor: memoryview) -> dict[str, tuple[int, ...]]:
    """Name and shape of a tensor whose data are not in the file; nothing of another."""
    name, shape, elsewhere = "", [], False
    for number, value in _fields(tensor):
        if number == _NAME:
            name = str(_bytes(value), "utf-8")
        elif number == _DIMENSION:
            shape += [value] if isinstance(value, int) else _numbers(value)
        elif number == _PLACE:
            elsewhere = value == _ELSEWHERE
    return {name: tuple(shape)} if elsewhere else {}


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of a message. Raises BadGraph, IndexError."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        kind, value = key & 7, 0  # type: int, int | memoryview
        if kind == _VARINT:
            value, at = _number(message, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        elif kind == _BYTES:
            length, at = _number(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise BadGraph("is damaged")
        if at > len(message):
            raise BadGraph("is cut off")
        yield key >> 3, value


def _number(message: memoryview, position: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        value, position = value | (byte & 127) << shift, position + 1
        if byte < 128:
            return value, position
    raise BadGraph("is damaged")


def _numbers(packed: memoryview) -> list[int]:
    result, at = [], 0
    while at < len(packed):
        value, at = _number(packed, at)
        result.append(value)
    return result


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise BadGraph("is damaged")
    return value
