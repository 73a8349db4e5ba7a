# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoothstep and the cubic Hermite segment; plain arithmetic, for floats, arrays and tensors."""

from __future__ import annotations

from typing import Any

Values = Any  # a float, a numpy array or a torch tensor


def smoothstep(x: Values) -> Values:
    """0 … 1 eased: the cubic 3x² − 2x³, level at both ends. x must lie within 0 … 1; the caller clips."""
    return x * x * (3 - 2 * x)


def hermite(x: Values) -> tuple[Values, Values, Values, Values]:
    """Weights of (value before, value after, slope before, slope after) in the cubic at x (0 … 1) between two keys.

    Slopes are per length of the segment: a slope per frame is to be multiplied by the segment's frames.
    """
    y = 1 - x
    return (1 + 2 * x) * y * y, smoothstep(x), x * y * y, -x * x * y
