# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of THUNDER: speech to takes, takes to speech. No bpy anywhere.

Installed as the Python package `thunder_takes` it has the functions of `api.py`, loaded on first
use: importing the package is cheap.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .api import (
        Engine,
        load,
        Mark,
        perform,
        perform_as,
        recognise,
        sample,
        save_cues,
        score,
        speak,
        Take,
        Takes,
        Voice,
    )
    from .errors import BadRequest, BadSound, BadWeights, ThunderError

__all__ = [
    "BadRequest", "BadSound", "BadWeights", "Engine", "load", "Mark", "perform",
    "perform_as", "recognise", "sample", "save_cues", "score", "speak", "Take",
    "Takes", "ThunderError", "Voice",
]  # fmt: skip


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    errors = import_module(".errors", __name__)
    if hasattr(errors, name):
        return getattr(errors, name)
    # As the panel's engine has it, so that takes do not depend on the number of cores; numpy reads
    # it when it is loaded. MKL's limit, which the engine also sets, would slow the caller's torch.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return getattr(import_module(".api", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
