# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of training, one module each: its HELP, `add_arguments(parser)`, and `run(workspace, args)`, which returns what to print."""

from __future__ import annotations

from . import (
    adapt,
    animate,
    card,
    corpus,
    denoiser,
    distil,
    facegood,
    graphs,
    hear,
    judge,
    m2s,
    takes,
)

# In the order of a complete run; the stages after `card` are independent.
STAGES = {
    "corpus": corpus, "hear": hear, "animate": animate, "m2s": m2s, "denoiser": denoiser, "distil": distil, "takes": takes,
    "judge": judge, "graphs": graphs, "card": card, "adapt": adapt, "facegood": facegood,
}  # fmt: skip
