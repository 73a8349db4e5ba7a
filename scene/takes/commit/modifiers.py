# SPDX-License-Identifier: GPL-3.0-or-later
"""F-curve modifiers around new keys: cycles become the keys they repeat, all others stop at the new
keys and continue after them."""

from collections.abc import Callable

from ....thunder_core.animation.keyframes import Cycles
from ....thunder_core.animation.placing import Span

_FAR = 1_000_000.0  # frame beyond which a modifier's restriction has no effect


def cycles_of(curve) -> Cycles | None:
    """The repetition of a curve; None if no modifier repeats it."""
    repeat = _cycles(curve)
    if repeat is None:
        return None
    return Cycles(
        (repeat.mode_before, repeat.cycles_before),
        (repeat.mode_after, repeat.cycles_after),
        not (repeat.use_restricted_range or (repeat.use_influence and repeat.influence < 1.0)),
    )


def evaluate_unmodified(curve) -> Callable[[float], float] | None:
    """Evaluates a curve without its modifiers but with its cycles; None if no modifier has an
    effect."""
    if not any(_is_active(modifier) for modifier in curve.modifiers):
        return None

    def value_at(frame: float) -> float:
        muted = [
            modifier
            for modifier in curve.modifiers
            if modifier.type != "CYCLES" and not modifier.mute
        ]
        for modifier in muted:
            modifier.mute = True
        try:
            return curve.evaluate(frame)
        finally:
            for modifier in muted:
                modifier.mute = False

    return value_at


def _cycles(curve):
    """The modifier that repeats a curve, or None."""
    first = next(iter(curve.modifiers), None)
    return (
        first
        if first is not None
        and first.type == "CYCLES"
        and _is_active(first)
        and len(curve.keyframe_points) > 1
        else None
    )


def _is_active(modifier) -> bool:
    """Whether a modifier has an effect."""
    return not modifier.mute and modifier.is_valid


def stop_at(curve, span: Span, insert: bool = False) -> None:
    """Let a curve's modifiers fade out before a span and in after it; its cycles, which are now
    keys, are removed.

    insert: animation from the span's first frame on is moved after it, so modifiers with a range
    move too.
    """
    repeat = _cycles(curve)
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
    """Limit a modifier to the part of its range low … high before a span, or after it and so much
    later."""
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
    names = [
        prop.identifier
        for prop in modifier.bl_rna.properties
        if not prop.is_readonly or prop.identifier in late
    ]
    for name in sorted(names, key=lambda name: name in late):
        setattr(new, name, getattr(modifier, name))
    if modifier.type == "ENVELOPE":
        for point in modifier.control_points:
            added = new.control_points.add(point.frame)
            added.min, added.max = point.min, point.max
    return new
