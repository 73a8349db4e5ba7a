# SPDX-License-Identifier: GPL-3.0-or-later
"""How finely takes are sampled. The same seed gives about the same take at each quality."""

from __future__ import annotations

DRAFT, NORMAL, FINAL = "draft", "normal", "final"
QUALITIES = (DRAFT, NORMAL, FINAL)
