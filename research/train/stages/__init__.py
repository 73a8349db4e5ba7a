# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages, one module each, like those of thunder_core.train."""

from __future__ import annotations

from research.train.stages import calibrate, heads, paper, solve, sv2s

STAGES = {"calibrate": calibrate, "solve": solve, "paper": paper, "sv2s": sv2s, "heads": heads}
