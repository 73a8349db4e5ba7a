# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a modifier that repeats a curve into the keys that it repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import keyframes

_SAME = 1e-5  # difference below which values are equal
_APART = 0.02  # frames between the last key of a cycle and the first of the next if they differ; at 0.01 they merge
_MOST_CYCLES = 10_000


@dataclass(frozen=True)
class Cycles:
    """A Cycles modifier. before, after: Blender's mode, and the number of cycles, 0 for any.  is_whole: whether it repeats whole cycles
    everywhere, with all its influence."""

    before: tuple[str, int]
    after: tuple[str, int]
    is_whole: bool = True


def repeated(keys: dict, cycles: Cycles, low: float, high: float, value_at: Callable[[float], float]) -> dict:
    """Keys with those that a Cycles modifier adds, from frame `low` to `high` at least. value_at: the curve with its cycles."""
    times = keys["co"][:, 0].astype(float)
    period = times[-1] - times[0]
    if not cycles.is_whole or period < 1.0:
        return _on_every_frame(value_at, min(low, times[0]), max(high, times[-1]))
    keys = {part: values.copy() for part, values in keys.items()}
    for place in range(len(times)):
        keyframes.fix_handles(keys, place)
    whole = keys
    for side, mode, most, reach in (
        (-1, *cycles.before, times[0] - low),
        (1, *cycles.after, high - times[-1]),
    ):
        count = min(int(np.ceil(max(reach, 0.0) / period)) + 1, most or _MOST_CYCLES) if mode != "NONE" else 0
        for number in range(1, count + 1):
            copy = _mirrored(keys) if mode == "MIRROR" and number % 2 else keys
            rise = side * number * float(keys["co"][-1, 1] - keys["co"][0, 1]) if mode == "REPEAT_OFFSET" else 0.0
            copy = keyframes.shifted(copy, side * number * period, rise)
            whole = _joined(whole, copy, 1) if side > 0 else _joined(copy, whole, 0)
    return whole


def _on_every_frame(value_at: Callable[[float], float], low: float, high: float) -> dict:
    """Keys on every frame from `low` to `high`, linear between them."""
    frames = np.arange(np.floor(low), np.ceil(high) + 1)
    keys = keyframes.on_every_frame(frames, np.array([value_at(float(frame)) for frame in frames]))
    keys["interpolation"][:] = keyframes.LINEAR
    return keys


def _mirrored(keys: dict) -> dict:
    """Keys backwards in time, between the same first and last frame."""
    middle = np.array([float(keys["co"][0, 0] + keys["co"][-1, 0]), 0.0])
    mirrored = {part: values[::-1].copy() for part, values in keys.items()}
    for part, other in (("co", "co"), ("handle_left", "handle_right"), ("handle_right", "handle_left")):
        mirrored[part] = (middle + keys[other][::-1] * np.array([-1.0, 1.0])).astype(np.float32)
    for part, other in (("handle_left_type", "handle_right_type"), ("handle_right_type", "handle_left_type")):
        mirrored[part] = keys[other][::-1].copy()
    for part in ("interpolation", "easing", "amplitude", "back", "period"):  # of the segment after a key
        mirrored[part][:-1] = keys[part][:-1][::-1]
    return mirrored


def _joined(first: dict, second: dict, late: int) -> dict:
    """Two cycles joined at one frame, the last key of the first and the first key of the second: one key if they agree. Otherwise the frame
    belongs to the first (late 1) or to the second (late 0)."""
    if abs(first["co"][-1, 1] - second["co"][0, 1]) > _SAME:
        last, start = keyframes.select(first, np.array([-1])), keyframes.select(second, np.arange(1))
        last["interpolation"][:] = keyframes.CONSTANT
        for key, by, side in ((last, -_APART * (1 - late), "handle_right"), (start, _APART * late, "handle_left")):
            for part in ("co", side):
                key[part] = key[part] + np.array([by, 0.0], np.float32)
        return keyframes.concatenated(
            keyframes.select(first, np.arange(len(first["co"]) - 1)), last, start, keyframes.select(second, np.arange(1, len(second["co"])))
        )
    return keyframes.with_one_seam(first, second)
