# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of tensors as TorchScript: the same numbers without Python between the operations, and without Python's lock, so that threads
which sample takes beside each other do not wait for each other."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


def scripted(function: Callable[P, T]) -> Callable[P, T]:
    """A function of tensors that runs as TorchScript where no gradients are kept, and as it is where they are.

    It is compiled when it is first called, which takes 10 ms. A torch without TorchScript runs it as it is, too. If it takes named tuples,
    its file must not import `annotations` from `__future__`, behind which TorchScript does not read them.
    """
    compiled: list[Callable[P, T]] = []
    lock = threading.Lock()

    @wraps(function)
    def call(*args: P.args, **more: P.kwargs) -> T:
        if torch.is_grad_enabled():
            return function(*args, **more)
        with lock:
            if not compiled:
                compiled.append(_compiled(function))
        # TorchScript's own optimizations change the numbers, and take their time at the first calls. This is of the calling thread alone.
        with torch.jit.optimized_execution(False):
            return compiled[0](*args, **more)

    return call


def _compiled(function: Callable[P, T]) -> Callable[P, T]:
    try:
        with warnings.catch_warnings():
            # It is deprecated for what needs a C++ compiler on the user's machine.
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.script(function)
    except Exception:
        _log.warning("%s runs without TorchScript, which takes a tenth longer", function.__qualname__, exc_info=True)
        return function
