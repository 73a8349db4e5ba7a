# SPDX-License-Identifier: GPL-3.0-or-later
"""F-curve modifiers around new keys: cycles become the keys they repeat, all others stop at the new keys and continue after them."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from ....thunder_core.animation import keyframes
from ....thunder_core.animation.placing import Shape, Span
from ...animation import fcurves

_FAR = 1_000_000.0  # frame beyond which a modifier's restriction has no effect
_SAME = 1e-5  # difference below which values are equal
_APART = 0.02  # frames between the last key of a cycle and the first of the next if they differ; at 0.01 they merge
_MOST_CYCLES = 10_000


def shape_of(curve, low: float, high: float) -> Shape:
    """A curve without modifiers but with its cycles as keys from frame `low` to `high` at least."""
    keys, repeat = fcurves.read(curve), cycles(curve)
    if repeat is not None:
        keys = _repeated(keys, repeat, low, high, curve)
    if not any(_is_active(modifier) for modifier in curve.modifiers):
        return Shape(keys, curve.evaluate)

    def value_at(frame: float) -> float:
        with _only_cycles(curve):
            return curve.evaluate(frame)

    return Shape(keys, value_at)


def cycles(curve):
    """The modifier that repeats a curve, or None."""
    first = next(iter(curve.modifiers), None)
    return first if first is not None and first.type == "CYCLES" and _is_active(first) and len(curve.keyframe_points) > 1 else None


def _is_active(modifier) -> bool:
    """Whether a modifier has an effect."""
    return not modifier.mute and modifier.is_valid


@contextmanager
def _only_cycles(curve):
    """Mute all modifiers but Cycles for a while."""
    muted = [modifier for modifier in curve.modifiers if modifier.type != "CYCLES" and not modifier.mute]
    for modifier in muted:
        modifier.mute = True
    try:
        yield
    finally:
        for modifier in muted:
            modifier.mute = False


def _repeated(keys: dict, repeat, low: float, high: float, curve) -> dict:
    """Keys with those that a Cycles modifier adds, from frame `low` to `high` at least."""
    times = keys["co"][:, 0].astype(float)
    period = times[-1] - times[0]
    if repeat.use_restricted_range or (repeat.use_influence and repeat.influence < 1.0) or period < 1.0:
        return _sampled(curve, min(low, times[0]), max(high, times[-1]))  # no repetition of whole cycles: frame by frame
    for place in range(len(times)):
        keyframes.fix_handles(keys, place)
    whole = keys
    for side, mode, most, reach in (
        (-1, repeat.mode_before, repeat.cycles_before, times[0] - low),
        (1, repeat.mode_after, repeat.cycles_after, high - times[-1]),
    ):
        count = min(int(np.ceil(max(reach, 0.0) / period)) + 1, most or _MOST_CYCLES) if mode != "NONE" else 0
        for number in range(1, count + 1):
            copy = _mirrored(keys) if mode == "MIRROR" and number % 2 else keys
            rise = side * number * float(keys["co"][-1, 1] - keys["co"][0, 1]) if mode == "REPEAT_OFFSET" else 0.0
            copy = keyframes.shifted(copy, side * number * period, rise)
            whole = _chained(whole, copy, 1) if side > 0 else _chained(copy, whole, 0)
    return whole


def _sampled(curve, low: float, high: float) -> dict:
    """Keys on every frame from `low` to `high`, linear between them."""
    frames = np.arange(np.floor(low), np.ceil(high) + 1)
    with _only_cycles(curve):
        keys = keyframes.on_every_frame(frames, np.array([curve.evaluate(float(frame)) for frame in frames]))
    keys["interpolation"][:] = keyframes.LINEAR
    return keys


def _mirrored(keys: dict) -> dict:
    """Keys backwards in time, between the same first and last frame."""
    middle = np.array([float(keys["co"][0, 0] + keys["co"][-1, 0]), 0.0])
    turned = {part: values[::-1].copy() for part, values in keys.items()}
    for part, other in (("co", "co"), ("handle_left", "handle_right"), ("handle_right", "handle_left")):
        turned[part] = (middle + keys[other][::-1] * np.array([-1.0, 1.0])).astype(np.float32)
    for part, other in (("handle_left_type", "handle_right_type"), ("handle_right_type", "handle_left_type")):
        turned[part] = keys[other][::-1].copy()
    for part in ("interpolation", "easing", "amplitude", "back", "period"):  # of the segment after a key
        turned[part][:-1] = keys[part][:-1][::-1]
    return turned


def _chained(first: dict, second: dict, late: int) -> dict:
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


# ---- those that go on


def stop_at(curve, span: Span, insert: bool = False) -> None:
    """Let a curve's modifiers fade out before a span and in after it; its cycles, which are now keys, are removed.

    insert: animation from the span's first frame on is moved after it, so modifiers with a range move too.
    """
    repeat = cycles(curve)
    if repeat is not None:
        curve.modifiers.remove(repeat)
    shift = span.end - span.first if insert else 0
    for modifier in [modifier for modifier in curve.modifiers if modifier.type != "CYCLES"]:
        limited = modifier.use_restricted_range
        low, high = (modifier.frame_start, modifier.frame_end) if limited else (-_FAR, _FAR)
        before, after = low < span.first, high > span.last or (insert and high > span.first)
        if before and after:
            _restrict(_copy(curve, modifier), low, high, span, shift, after=True)
            _restrict(modifier, low, high, span, 0, after=False)
        else:
            _restrict(modifier, low, high, span, shift if after else 0, after=after)


def _restrict(modifier, low: float, high: float, span: Span, shift: int, after: bool) -> None:
    """Limit a modifier to the part of its range low … high before a span, or after it and so much later."""
    modifier.use_restricted_range = True
    if after:
        start = max(low + shift, span.last)
        modifier.frame_end, modifier.frame_start = max(high + shift, start + 1.0), start
        if start == span.last:
            modifier.blend_in = span.blend
        if shift and modifier.type == "NOISE":
            modifier.offset += shift
    else:
        modifier.frame_start, modifier.frame_end = low, min(high, span.first)
        if high >= span.first:
            modifier.blend_out = span.blend


def _copy(curve, modifier):
    """One more modifier of a curve, the same as another."""
    new = curve.modifiers.new(modifier.type)
    late = ("coefficients",)  # the count follows from the others
    names = [prop.identifier for prop in modifier.bl_rna.properties if not prop.is_readonly or prop.identifier in late]
    for name in sorted(names, key=lambda name: name in late):
        setattr(new, name, getattr(modifier, name))
    if modifier.type == "ENVELOPE":
        for point in modifier.control_points:
            added = new.control_points.add(point.frame)
            added.min, added.max = point.min, point.max
    return new
