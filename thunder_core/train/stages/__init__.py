# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of training, one module each: its HELP, `add_arguments(parser)`, and `run(workspace, args)`, which returns what to print."""

from __future__ import annotations

from . import (
    adapt,
    animate,
    calibrate,
    card,
    corpus,
    denoiser,
    distil,
    encoder,
    facegood,
    heads,
    hear,
    judge,
    m2s,
    opening,
    paper,
    solve,
    speaker,
    sv2s,
    takes,
    vocoder,
)

# In the order of a complete run; the stages after `card` are independent.
STAGES = {
    "corpus": corpus, "speaker": speaker, "encoder": encoder, "calibrate": calibrate, "hear": hear, "animate": animate, "m2s": m2s,
    "vocoder": vocoder, "denoiser": denoiser, "distil": distil, "opening": opening, "takes": takes, "judge": judge, "card": card,
    "adapt": adapt, "solve": solve, "paper": paper, "facegood": facegood, "sv2s": sv2s, "heads": heads,
}  # fmt: skip
