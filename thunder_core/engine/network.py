# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a folder of weights: arrays in and out.

Weight files are safetensors beside a JSON card: read without running code, checked number by
number, refused with a sentence. ONNX Runtime computes a network's graph, torch what has none or
runs on a graphics card.

A graph is NAME.onnx beside the weights NAME.safetensors, which it holds no copy of; `train.graphs`
writes it.
"""

import contextlib
import ctypes
import hashlib
import json
import math
import os
import threading
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors import safe_open, SafetensorError

from ..errors import BadWeights
from ..files import hash_of, write_file
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


def read_config(path: Path) -> dict:
    """The configuration in a network's JSON. Raises BadWeights."""
    try:
        if path.stat().st_size > _LONGEST_CARD:
            raise unusable(path, f"is larger than {_LONGEST_CARD >> 20} MB")
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise read_error(path, error) from error
    if not isinstance(card, dict) or not isinstance(card.get("config"), dict):
        raise unusable(path, "has no configuration")
    return card["config"]


# ---- arrays

# largest weight accepted; the shipped ones stay below 100, and far larger ones overflow
_LARGEST = 1e6


def read_weights(path: Path, names: Sequence[str] = ()) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays, config) of `path` without suffix: every array real and finite, the config a
    dictionary of JSON values.  names: of the arrays to read; none: all.

    Raises BadWeights.
    """
    config, file = read_config(path.with_suffix(".json")), path.with_suffix(".safetensors")
    try:
        with safe_open(file, "numpy") as opened:
            arrays = {name: _read(opened, name) for name in names or opened.keys()}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise read_error(file, error) from error
    for name, array in arrays.items():
        if not _can_be_trained(name, array):
            raise unusable(file, f"holds numbers that no training gives (in {name})")
    return arrays, config


def _read(file, name: str) -> np.ndarray:
    """An array of an open file; halves, in which weights are stored, as float32."""
    array = file.get_tensor(name)
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


# ---- which weights these are


@dataclass(frozen=True)
class Identity:
    """Identity of the weights in a folder.

    fingerprint: first 16 hexadecimal digits of the SHA-256 over every weights file but the graphs,
    in name order.
    origin: "shipped" (all files as released), "own" (another folder with other weights, which is
    fine) or "changed" (the extension's folder differs from the release).
    sentence: for the log, "" for shipped weights.
    """

    fingerprint: str
    origin: str
    sentence: str


def identify(folder: Path) -> Identity:
    """Identity of the weights in a folder; reads every file once, and those of others twice."""
    sums = {path.name: hash_of(path) for path in _files(folder)}
    first, *lines = (SHIPPED / SUMS).read_text(encoding="utf-8").splitlines()
    released = {name: digest for digest, name in map(str.split, lines)}
    different = [name for name in sums | released if sums.get(name) != released.get(name)]
    if not different:
        return Identity(first.split()[-1], "shipped", "")
    fingerprint = _fingerprint(folder)
    if folder.resolve() != SHIPPED:
        return Identity(fingerprint, "own", "These are not the shipped weights")
    names = ", ".join(sorted(different))
    sentence = f"The bundled weights were changed ({names}): install it again"
    return Identity(fingerprint, "changed", sentence)


def _fingerprint(folder: Path) -> str:
    """That of `Identity`."""
    whole = hashlib.sha256()
    for path in _files(folder):
        if path.suffix != GRAPH:  # takes are known by their weights
            whole.update(path.name.encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


def write_sums(folder: Path) -> Path:
    """Write the fingerprint of a folder's weights, as a comment, and the SHA-256 of every file, in
    the format that `sha256sum --check` reads."""
    rows = [f"{hash_of(path)}  {path.name}\n" for path in _files(folder)]
    write_file(folder / SUMS, "".join([f"# fingerprint {_fingerprint(folder)}\n", *rows]))
    return folder / SUMS


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in ENDINGS and path.is_file())


# ---- networks

CPU = "cpu"
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")  # of graphics cards, on Linux and on Windows


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

    @staticmethod
    def begin(networks: Sequence["Network"]) -> None:
        """Open networks one after the other beside other work, the first of which may need the
        first of them; errors are raised by the first call of each."""
        closed = [network for network in networks if network._run is None]

        def open_them() -> None:
            for network in closed:
                with contextlib.suppress(Exception):
                    network.open()

        if closed:
            threading.Thread(target=open_them, name="opens networks", daemon=True).start()

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


def _can_load(library: str) -> bool:
    """Whether the system has a library. `find_library` would run a compiler for it."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def best_device() -> str:
    """ "cuda:0" if torch is installed and finds a graphics card, else "cpu"."""
    # torch takes seconds to import, so it is asked only where a card's driver is.
    if find_spec("torch") and (any(map(_can_load, _DRIVERS)) or os.path.exists("/dev/kfd")):
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
                raise unusable(file, f"is larger than {_LARGEST_GRAPH >> 20} MB")
            content, (stored, _) = file.read_bytes(), read_weights(path)
            stored |= {name + TRANSPOSED: weight.T for name, weight in stored.items()}
            wanted = [name for name in stored if _field(name) in content]
            # which the session does not copy
            self._weights = [np.asarray(stored[name], np.float32, "C") for name in wanted]
            options.add_external_initializers(
                wanted, [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in self._weights]
            )
            # From memory: what a graph says of files beside it is never read.
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except BadWeights:
            raise
        except OSError as error:
            raise read_error(file, error) from error
        except Exception as error:  # ONNX Runtime's errors share no class
            raise unusable(file, "is no graph of the weights beside it") from error
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


def _field(name: str) -> bytes:
    """How a graph, a message of protocol buffers, has the name of a weight: field 8 of a tensor."""
    text = name.encode()
    return bytes([8 << 3 | 2, len(text)]) + text
