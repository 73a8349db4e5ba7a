# SPDX-License-Identifier: GPL-3.0-or-later
"""Qualities of sampling. The same seed gives about the same take at each quality."""

from __future__ import annotations

DRAFT, NORMAL, FINAL = "draft", "normal", "final"
QUALITIES = (DRAFT, NORMAL, FINAL)
