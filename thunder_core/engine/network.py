# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of a folder of weights, arrays in and out: ONNX Runtime computes its graph, torch what
has none or runs on a graphics card.

A graph is NAME.onnx beside the weights NAME.safetensors, which it holds no copy of; `train.graphs`
writes it. What it holds is read before ONNX Runtime is given it: only known operators, and no data
but small constants. The format is protocol buffers: fields of a number and a kind, one after the
other. Numbers of fields are those of onnx.proto3.
"""

import contextlib
import ctypes.util
import os
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import BadWeights
from .weights import advice, GRAPH, read_error, read_weights, unusable

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
_LARGEST = 2**21  # bytes of a graph: it holds no weights
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
            if file.stat().st_size > _LARGEST:
                raise BadGraph(f"is larger than {_LARGEST >> 20} MB")
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
