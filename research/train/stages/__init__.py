# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages, one module each, each its HELP, its OPTIONS and `run(workspace, args)`."""

from __future__ import annotations

from research.train.stages import calibrate, encoder, heads, opening, paper, solve, speaker, sv2s, vocoder
from thunder_core.train.stages import Stage

_MODULES = {
    "speaker": speaker, "encoder": encoder, "vocoder": vocoder, "opening": opening,
    "calibrate": calibrate, "solve": solve, "paper": paper, "sv2s": sv2s, "heads": heads,
}  # fmt: skip
STAGES = {name: Stage(module.run, module.HELP, module.OPTIONS) for name, module in _MODULES.items()}
