# SPDX-License-Identifier: GPL-3.0-or-later
"""Inserts new keys among a curve's old ones, and takes keys out again: the curve blends into them
and out within a few frames, and keeps its shape elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..filters import split_at_gaps
from . import keyframes
from .keys import steepest

_SAME_VALUE = 1e-4  # difference below which two values look equal
# frames over which the slope beyond the keys is measured: it is a line, in single precision
_SLOPE_FRAMES = 1000.0
_SLOPE_STEP = 0.01  # distance from a key at which the slope there is measured, frames
_SAMPLES = 9  # samples of a segment at which two curves are compared


@dataclass(frozen=True)
class Span:
    """Scene frames of the new keys, and the number of frames before and after them over which the
    curve blends into them."""

    first: int
    last: int
    blend: int

    @property
    def start(self) -> int:
        """Frame on which the blend into the new keys begins."""
        return self.first - self.blend

    @property
    def end(self) -> int:
        """Frame on which the blend out of the new keys ends."""
        return self.last + self.blend


@dataclass(frozen=True)
class CurveShape:
    """A curve as it was: its keys (one at least), and its value at any frame, beyond its keys
    too."""

    keys: dict
    value_at: Callable[[float], float]

    @property
    def times(self) -> np.ndarray:
        """Frames of the keys [K]."""
        return self.keys["co"][:, 0]

    def slope_at(self, frame: float, side: int) -> float:
        """Slope, per frame, at a frame as seen from one side (−1, 1)."""
        return (self.value_at(frame + side * _SLOPE_STEP) - self.value_at(frame)) / (
            side * _SLOPE_STEP
        )

    def is_level(self, frame: float, value: float) -> bool:
        """Whether it keeps one value from its last key before a frame to the next one after it, or
        for ever where there is none."""
        place = int(np.searchsorted(self.times, frame, side="right")) - 1
        if 0 <= place < len(self.times) - 1:
            if self.keys["interpolation"][place, 0] not in (
                keyframes.CONSTANT,
                keyframes.LINEAR,
                keyframes.BEZIER,
            ):
                return False
            points = self.keys["co"]
            right = self.keys["handle_right"]
            left = self.keys["handle_left"]
            heights = [points[place, 1], right[place, 1], left[place + 1, 1], points[place + 1, 1]]
        else:
            heights = [
                self.value_at(frame),
                self.value_at(frame + (-_SLOPE_FRAMES if place < 0 else _SLOPE_FRAMES)),
            ]
        return bool(np.abs(np.array(heights) - value).max() < _SAME_VALUE)

    def has_key(self, frame: float, point: np.ndarray) -> bool:
        """Whether it has a key on a frame, at the time and the value of a point [2]."""
        near = np.abs(self.times - frame) < keyframes.SAME_FRAME
        return bool(
            near.any()
            and (
                np.abs(self.keys["co"][near][0] - point) < (keyframes.SAME_FRAME, _SAME_VALUE)
            ).all()
        )

    def until(self, frame: float) -> dict:
        """Its keys up to a frame, with one on that frame; before it the curve is unchanged."""
        if self.times[0] <= frame <= self.times[-1]:
            return keyframes.keys_until(keyframes.cut(self.keys, frame, self.value_at), frame)
        end = self._lone(frame)
        return end if frame < self.times[0] else _connect_straight(self.keys, end)

    def since(self, frame: float) -> dict:
        """Its keys from a frame on, with one on that frame; after it the curve is unchanged."""
        if self.times[0] <= frame <= self.times[-1]:
            return keyframes.keys_from(keyframes.cut(self.keys, frame, self.value_at), frame)
        start = self._lone(frame)
        return start if frame > self.times[-1] else _connect_straight(start, self.keys)

    def _lone(self, frame: float) -> dict:
        """One key on a frame beyond its keys, with handles along the line that it follows there."""
        reach = _SLOPE_FRAMES if frame > self.times[-1] else -_SLOPE_FRAMES
        value = self.value_at(frame)
        point = np.array([[frame, value]])
        step = np.array([[1.0, (self.value_at(frame + reach) - value) / reach]])
        # free: if Blender turned aligned ones ever so little, the line would be far off in the
        # distance
        return keyframes.bezier_keys(
            point, point - step, point + step, keyframes.FREE if step[0, 1] else keyframes.ALIGNED
        )


def place_keys(span: Span, inner: dict, curve: CurveShape, insert: bool = False) -> dict:
    """Keys `inner` from span.first to span.last among the keys of a curve.

    Outside span.start … span.end the curve is unchanged; its keys inside are kept, and the blend
    gets shorter. Where the curve is level at the value of the new keys, or has a key of that value
    on their outermost frame, no key is needed for the blend. insert: the curve from span.first on
    is moved to span.end.
    """
    earlier = curve.times[curve.times < span.first - 0.5]
    later = curve.times[curve.times > span.last + 0.5]
    # as those of a line that was committed there reach from the first frame to the last
    covers = np.abs(curve.times[[0, -1]] - (span.first, span.last)).max() < 0.5
    replaces_all = covers and not insert and not len(earlier) and not len(later)
    keys = inner
    if not replaces_all:
        start = max(span.start, float(earlier.max(initial=-np.inf)))
        if curve.is_level(start, keys["co"][0, 1]):
            keys = _connect_level(keyframes.keys_until(curve.keys, start), keys)
        elif curve.has_key(span.first, keys["co"][0]):
            keys = keyframes.join_at_key(keyframes.keys_until(curve.keys, span.first), keys)
        else:
            keys = connect(curve.until(start), keys, curve.slope_at(start, -1), None)
    if insert:
        return connect(
            keys,
            keyframes.move(curve.since(span.first), span.end - span.first),
            None,
            curve.slope_at(span.first, 1),
        )
    if not replaces_all:
        end = min(span.end, float(later.min(initial=np.inf)))
        if curve.is_level(end, keys["co"][-1, 1]):
            keys = _connect_level(keys, keyframes.keys_from(curve.keys, end))
        elif curve.has_key(span.last, keys["co"][-1]):
            keys = keyframes.join_at_key(keys, keyframes.keys_from(curve.keys, span.last))
        else:
            keys = connect(keys, curve.since(end), None, curve.slope_at(end, 1))
    return keys


def hold_around(span: Span, inner: dict, value: float) -> dict:
    """Keys `inner` between level keys of a value before and after them."""
    keys = (
        inner
        if abs(inner["co"][0, 1] - value) < _SAME_VALUE
        else connect(level_key(span.start, value), inner, 0.0, None)
    )
    return (
        keys
        if abs(inner["co"][-1, 1] - value) < _SAME_VALUE
        else connect(keys, level_key(span.end, value), None, 0.0)
    )


def open_gap(span: Span, curve: CurveShape) -> dict:
    """The keys of a curve with a gap for others from span.first on, in which it holds; the curve
    from there on is moved to span.end."""
    later = keyframes.move(curve.since(span.first), span.end - span.first)
    return connect(curve.until(span.first), later, 0.0, 0.0)


def level_key(frame: float, value: float) -> dict:
    """One key with level handles."""
    return keyframes.bezier_keys(
        np.array([[frame, value]]),
        np.array([[frame - 1, value]]),
        np.array([[frame + 1, value]]),
        keyframes.ALIGNED,
    )


def connect(first: dict, second: dict, slope_out: float | None, slope_in: float | None) -> dict:
    """Two pieces connected by one Bézier segment from the last key of one to the first of the
    other; it stays between their values.

    It leaves with slope_out and arrives with slope_in, per frame, as far as that allows; None
    continues in the direction of the handle on the other side of that key. Neither piece changes
    its shape.
    """
    keys = keyframes.concatenate(first, second)
    a = len(first["co"]) - 1
    run, rise = (keys["co"][a + 1] - keys["co"][a]).astype(float)
    low, high = steepest(rise, run)
    out = np.clip(_slope(keys, a, "handle_left") if slope_out is None else slope_out, low, high)
    into = np.clip(_slope(keys, a + 1, "handle_right") if slope_in is None else slope_in, low, high)
    third = run / 3
    keys["handle_right"][a] = keys["co"][a] + np.array([third, out * third])
    keys["handle_left"][a + 1] = keys["co"][a + 1] - np.array([third, into * third])
    keys["interpolation"][a] = keyframes.BEZIER
    for place in (a, a + 1):
        keyframes.fix_handles(keys, place)
    return keys


def _connect_level(first: dict, second: dict) -> dict:
    """Two pieces that end and begin at one value, level between them; without one of them the other
    is level on that side."""
    if len(first["co"]) and len(second["co"]):
        return connect(first, second, 0.0, 0.0)
    side, place = (
        ("handle_left", 0) if len(second["co"]) else ("handle_right", len(first["co"]) - 1)
    )
    keys = {
        part: values.copy() for part, values in (second if len(second["co"]) else first).items()
    }
    keys[side][place, 1] = keys["co"][place, 1]
    keyframes.fix_handles(keys, place)
    return keys


def _connect_straight(first: dict, second: dict) -> dict:
    """Two pieces with a straight segment between the last key of one and the first of the other."""
    run, rise = (second["co"][0] - first["co"][-1]).astype(float)
    return connect(first, second, rise / run, rise / run)


def _slope(keys: dict, place: int, handle: str) -> float:
    """Slope, per frame, of the line from a key to one of its handles."""
    run, rise = (keys[handle][place] - keys["co"][place]).astype(float)
    return float(rise / run) if abs(run) > 1e-6 else 0.0


# ---- taking keys out


def remove_keys(keys: dict, gone: np.ndarray, is_committed: np.ndarray, blend: float) -> dict:
    """The keys of a curve without some of them.

    keys: of the curve, without easing.  gone [K]: True for removed keys.  is_committed [K]: True
    for keys written by a commit, not the animator.  blend: frames over which the curve blends into
    a replaced part.

    A key set next to a committed line begins or ends a movement at the line's last or first key,
    and before the line the curve holds the value of its first key. So the outermost removed keys
    are kept if the adjacent curve would change.
    """
    times, gone = keys["co"][:, 0].astype(float), gone.copy()
    for run in split_at_gaps(np.flatnonzero(gone)):
        first, last = int(run[0]), int(run[-1])
        sides = [
            _side(times, is_committed, end, beside, blend)
            for end, beside in ((first, first - 1), (last, last + 1))
        ]
        gone[list(_ends_that_stay(keys, gone, is_committed, (first, last), sides))] = False
    return keyframes.select(keys, ~gone)


def _side(
    times: np.ndarray, is_committed: np.ndarray, end: int, beside: int, blend: float
) -> np.ndarray | None:
    """Frames beside the outermost key of a stretch at which the curve must not change. None if it
    may: it only blends into the line there, or the key was edited and is removed with its
    effect."""
    if not is_committed[end]:
        return None
    if not 0 <= beside < len(times):
        return times[end] + np.array([float(np.sign(beside - end))])
    if is_committed[beside] or abs(times[beside] - times[end]) <= blend + 0.5:
        return None
    return np.linspace(times[beside], times[end], _SAMPLES)[1:-1]


def _ends_that_stay(
    keys: dict, gone: np.ndarray, is_committed: np.ndarray, ends: tuple[int, int], sides: list
) -> tuple[int, ...]:
    """The outermost keys of a stretch that have to stay: as few as possible."""
    frames = np.concatenate([np.zeros(0), *(side for side in sides if side is not None)])
    wanted = keyframes.evaluate(keys, frames)
    first, last = ends
    for tried in ((), (last,), (first,), (first, last)):
        stays = ~gone
        stays[list(tried)] = True
        if not stays.any():
            return ()
        if all(is_committed[end] for end in tried):
            now = keyframes.evaluate(keyframes.select(keys, stays), frames)
            if now is not None and np.abs(now - wanted).max(initial=0.0) < _SAME_VALUE:
                return tried
    return tuple(end for end in ends if is_committed[end])
