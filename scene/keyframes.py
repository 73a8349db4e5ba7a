# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a curve as arrays: read, cut in two without a change of shape, moved, joined and written back."""

from __future__ import annotations

import numpy as np

from ..thunder_core.face.keys import Keys
from . import compat

# What makes up a key, with the type and the length that foreach_get wants.
PARTS = {
    "co": (np.float32, 2), "handle_left": (np.float32, 2), "handle_right": (np.float32, 2),
    "interpolation": (np.int32, 1), "easing": (np.int32, 1), "handle_left_type": (np.int32, 1),
    "handle_right_type": (np.int32, 1), "amplitude": (np.float32, 1), "back": (np.float32, 1), "period": (np.float32, 1),
    "type": (np.int32, 1),
}
_BACK = 1.70158  # how far Blender's own new keys overshoot with the interpolation of that name
_NEAR = 1e-3  # frames: keys nearer than this are one


def read(curve) -> dict[str, np.ndarray]:
    """The keys of a curve, [count, length] for each part of a key."""
    count, keys = len(curve.keyframe_points), {}
    for part, (kind, length) in PARTS.items():
        buffer = np.empty(count * length, kind)
        curve.keyframe_points.foreach_get(part, buffer)
        keys[part] = buffer.reshape(count, length)
    return keys


def write(curve, keys: dict[str, np.ndarray]) -> None:
    """Give a curve exactly these keys."""
    points = curve.keyframe_points
    points.clear()
    points.add(len(keys["co"]))
    for part, values in keys.items():
        points.foreach_set(part, np.ascontiguousarray(values).ravel())
    curve.update()


def made(points: np.ndarray, left: np.ndarray, right: np.ndarray, handles: int) -> dict[str, np.ndarray]:
    """Bézier keys at points [K, 2] (frame, value) with handles [K, 2] of one type."""
    count = len(points)
    keys = {part: np.zeros((count, length), kind) for part, (kind, length) in PARTS.items()}
    keys["co"][:], keys["handle_left"][:], keys["handle_right"][:] = points, left, right
    keys["interpolation"][:] = compat.BEZIER
    keys["handle_left_type"][:] = keys["handle_right_type"][:] = handles
    keys["back"][:] = _BACK
    return keys


def of(reduced: Keys, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Reduced keys of samples at frames [T], with aligned handles."""
    left, right = reduced.handles(frames)
    return made(np.stack([frames[reduced.index], reduced.value], 1), left, right, compat.ALIGNED)


def on_every_frame(frames: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """A key on each frame [T], its handles clamped so that nothing overshoots."""
    points = np.stack([frames, values], 1)
    return made(points, points - [1 / 3, 0], points + [1 / 3, 0], compat.AUTO_CLAMPED)


def some(keys: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    """The chosen ones of keys (a mask or places)."""
    return {part: values[chosen] for part, values in keys.items()}


def before(keys: dict[str, np.ndarray], frame: float) -> dict[str, np.ndarray]:
    """The keys up to a frame, itself included."""
    return some(keys, keys["co"][:, 0] <= frame + _NEAR)


def after(keys: dict[str, np.ndarray], frame: float) -> dict[str, np.ndarray]:
    """The keys from a frame on, itself included."""
    return some(keys, keys["co"][:, 0] >= frame - _NEAR)


def moved(keys: dict[str, np.ndarray], frames: float) -> dict[str, np.ndarray]:
    """The keys so many frames later."""
    shift = np.array([frames, 0], np.float32)
    return keys | {part: keys[part] + shift for part in ("co", "handle_left", "handle_right")}


def joined(*pieces: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keys one after the other."""
    return {part: np.concatenate([piece[part] for piece in pieces]) for part in PARTS}


def tied(first: dict[str, np.ndarray], second: dict[str, np.ndarray], slope_out: float | None = None,
         slope_in: float | None = None) -> dict[str, np.ndarray]:
    """Two pieces with a smooth segment between the last key of one and the first of the other.

    It leaves with slope_out and arrives with slope_in, per frame; None goes on as that end's own other handle points.
    Neither piece changes its shape.
    """
    if not len(first["co"]) or not len(second["co"]):
        return joined(first, second)
    keys = joined(first, second)
    a = len(first["co"]) - 1
    third = (keys["co"][a + 1, 0] - keys["co"][a, 0]) / 3
    out = _slope(keys, a, "handle_left") if slope_out is None else slope_out
    into = _slope(keys, a + 1, "handle_right") if slope_in is None else slope_in
    for place in (a, a + 1):
        _pin(keys, place)
    keys["handle_right"][a] = keys["co"][a] + np.array([third, out * third])
    keys["handle_left"][a + 1] = keys["co"][a + 1] - np.array([third, into * third])
    keys["handle_right_type"][a] = keys["handle_left_type"][a + 1] = compat.FREE
    keys["interpolation"][a] = compat.BEZIER
    return keys


def _slope(keys, place: int, handle: str) -> float:
    run, rise = (keys[handle][place] - keys["co"][place]).astype(float)
    return float(rise / run) if abs(run) > 1e-6 else 0.0


def _pin(keys, place: int) -> None:
    """Keep a key's handles where they are, whatever happens beside it."""
    for side in ("handle_left_type", "handle_right_type"):
        kind = keys[side][place]
        if kind != compat.FREE:
            keys[side][place] = compat.FREE if kind == compat.VECTOR else compat.ALIGNED


def cut(keys: dict[str, np.ndarray], frame: float, value_at) -> dict[str, np.ndarray]:
    """The keys with one more at a frame between the outer ones, the curve's shape unchanged.

    value_at(frame) is the curve. Beyond the outer keys, or where there is a key already, nothing is added.
    """
    times = keys["co"][:, 0]
    place = int(np.searchsorted(times, frame, side="right")) - 1
    if place < 0 or place >= len(times) - 1 or min(abs(times[place] - frame), abs(times[place + 1] - frame)) < _NEAR:
        return keys
    keys = {part: values.copy() for part, values in keys.items()}
    kind = int(keys["interpolation"][place, 0])
    if kind == compat.BEZIER:
        return _cut_bezier(keys, place, frame)
    frames = np.array([frame])
    if kind not in (compat.CONSTANT, compat.LINEAR):  # an easing has no half: frame by frame it is the same to the eye
        inner = np.arange(np.floor(times[place]) + 1, np.ceil(times[place + 1]))
        frames = np.union1d(inner, frames)
        keys["interpolation"][place] = compat.LINEAR
    new = on_every_frame(frames, np.array([value_at(float(f)) for f in frames]))
    new["interpolation"][:] = keys["interpolation"][place]
    return joined(some(keys, np.arange(place + 1)), new, some(keys, np.arange(place + 1, len(times))))


def _cut_bezier(keys, place: int, frame: float) -> dict[str, np.ndarray]:
    p = np.array([keys["co"][place], keys["handle_right"][place], keys["handle_left"][place + 1], keys["co"][place + 1]], float)
    whole = p[3, 0] - p[0, 0]
    reach = abs(p[1, 0] - p[0, 0]) + abs(p[3, 0] - p[2, 0])
    if reach > whole:  # handles that would overlap are shortened when the curve is evaluated
        p[1], p[2] = p[0] + (p[1] - p[0]) * whole / reach, p[3] + (p[2] - p[3]) * whole / reach
    low, high = 0.0, 1.0
    for _ in range(50):
        s = (low + high) / 2
        a, b, c = (p[i] * (1 - s) + p[i + 1] * s for i in range(3))
        d, e = a * (1 - s) + b * s, b * (1 - s) + c * s
        middle = d * (1 - s) + e * s
        low, high = (s, high) if middle[0] < frame else (low, s)
    for neighbour in (place, place + 1):
        _pin(keys, neighbour)
    keys["handle_right"][place], keys["handle_left"][place + 1] = a, c
    for side, neighbour in (("handle_right_type", place), ("handle_left_type", place + 1)):
        other = "handle_left_type" if side == "handle_right_type" else "handle_right_type"
        if keys[other][neighbour] != compat.ALIGNED:
            keys[side][neighbour] = compat.FREE
    new = made(np.array([[frame, middle[1]]]), d[None], e[None], compat.ALIGNED)
    count = len(keys["co"])
    return joined(some(keys, np.arange(place + 1)), new, some(keys, np.arange(place + 1, count)))
