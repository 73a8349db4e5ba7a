# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a folder of weights: arrays in and out.

ONNX Runtime computes a network's graph, torch what has none or runs on a graphics card.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import BadWeights
from ..weight_files import advice, GRAPH, read_error, read_graph, unusable

CPU = "cpu"
_DRIVERS = ("libcuda.so.1", "nvcuda.dll")  # of graphics cards, on Linux and on Windows


class LazyNetwork:
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
    def begin(networks: Sequence["LazyNetwork"]) -> None:
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
            content, stored = read_graph(path)
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
