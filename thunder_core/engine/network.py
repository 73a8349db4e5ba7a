# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of a folder of weights, arrays in and out: ONNX Runtime computes its graph, torch what has none or runs on a graphics card."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import BadWeights
from .cards import advice, GRAPH

CPU = "cpu"


class Network:
    """One network, opened at its first call, or before. Threads may call it beside each other."""

    def __init__(self, path: Path, device: str, threads: int = 1):
        """path: of NAME.safetensors, without the ending.  threads: that share one call on a processor."""
        self.path, self.device, self._threads = path, device, threads
        self._run: Callable[..., list[np.ndarray]] | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Load it, which takes tenths of a second, and nothing when called again. Raises BadWeights."""
        with self._opening:
            if self._run is None:
                self._run = self._opened()

    def begin(self) -> None:
        """Open it beside other work; what goes wrong is raised by the first call."""

        def open_it() -> None:
            with contextlib.suppress(Exception):
                self.open()

        if self._run is None:
            threading.Thread(target=open_it, name=f"opens {self.path.name}", daemon=True).start()

    def _opened(self) -> Callable[..., list[np.ndarray]]:
        if self.device == CPU and self.path.with_suffix(GRAPH).exists():
            from .graph import Graph

            return Graph(self.path, self._threads)
        if not find_spec("torch"):
            raise BadWeights(
                f"The weights in “{self.path.parent}” have no graph of “{self.path.name}”, so they perform with torch alone: install the "
                f"engine for graphics cards, or {advice(self.path.parent)}"
            )
        from ..networks.running import TorchNetwork  # what a graph needs loads in a tenth of the time

        return TorchNetwork(self.path, self.device)

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs for inputs by name; those that the network does not have are ignored. Raises BadWeights."""
        if self._run is None:
            self.open()
        assert self._run is not None
        return self._run(**inputs)


def open_network(path: Path, device: str, threads: int = 1) -> Network:
    """A network, not opened yet; arguments as `Network`."""
    return Network(path, device, threads)


def best_device() -> str:
    """ "cuda:0" if torch is installed and finds a graphics card, else "cpu"."""
    # torch takes seconds to import, so it is asked only where a card's driver is.
    if find_spec("torch") and (ctypes.util.find_library("cuda") or ctypes.util.find_library("nvcuda") or os.path.exists("/dev/kfd")):
        import torch

        if torch.cuda.is_available():
            return "cuda:0"
    return CPU


def processors() -> int:
    """Number of threads that compute beside each other at full speed: cores that this process may use, not what one core does at once."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    if isinstance(allowed, range):
        return len(allowed)
    return max(1, len({_core_of(number) for number in allowed}))


def _core_of(number: int) -> str:
    """The core that a processor of Linux is part of, by the list of processors that share it."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text()
    except OSError:
        return str(number)
