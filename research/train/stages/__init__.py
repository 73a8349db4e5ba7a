# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages, one module each, like those of thunder_core.train."""

from __future__ import annotations

from research.train.stages import calibrate, encoder, heads, opening, paper, solve, speaker, sv2s, vocoder

STAGES = {
    "speaker": speaker, "encoder": encoder, "vocoder": vocoder, "opening": opening,
    "calibrate": calibrate, "solve": solve, "paper": paper, "sv2s": sv2s, "heads": heads,
}  # fmt: skip
