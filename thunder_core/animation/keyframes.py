# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a curve as arrays, [count, length] for each of PARTS: made, cut without a change of
shape, moved, joined, repeated, evaluated, stored."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ..filters import halve
from .keys import PoseKeys

# Blender's enums of a key, as foreach_get and foreach_set have them (DNA values, stable since 2.8).
CONSTANT, LINEAR, BEZIER = 0, 1, 2  # interpolation
FREE, AUTO, VECTOR, ALIGNED, AUTO_CLAMPED = 0, 1, 2, 3, 4  # types of handles
KEYFRAME, EXTREME, BREAKDOWN = 0, 1, 2  # key types, which the dope sheet draws differently

# Fields of a key, with the type and the length for foreach_get.
PARTS = {
    "co": (np.float32, 2),
    "handle_left": (np.float32, 2),
    "handle_right": (np.float32, 2),
    "interpolation": (np.int32, 1),
    "easing": (np.int32, 1),
    "handle_left_type": (np.int32, 1),
    "handle_right_type": (np.int32, 1),
    "amplitude": (np.float32, 1),
    "back": (np.float32, 1),
    "period": (np.float32, 1),
    "type": (np.int32, 1),
}
_BACK = 1.70158  # overshoot of new keys in Blender with the Back interpolation
_IN_LINE = 3e-5  # distance from a common line below which handles are aligned
SAME_FRAME = 1e-3  # frames: closer keys count as one
# most steps of Newton's method, and of bisection, that find a Bézier segment's value at a frame
_NEWTON, _HALVINGS = 8, 40
_ON_TIME = 1e-7  # frames: tolerance of that search
_SAME = 1e-5  # difference below which values are equal
_MOST_CYCLES = 10_000


def bezier_keys(
    points: np.ndarray, left: np.ndarray, right: np.ndarray, handles: int
) -> dict[str, np.ndarray]:
    """Bézier keys at points [K, 2] (frame, value) with handles [K, 2] of one type."""
    count = len(points)
    keys = {part: np.zeros((count, length), kind) for part, (kind, length) in PARTS.items()}
    keys["co"][:], keys["handle_left"][:], keys["handle_right"][:] = points, left, right
    keys["interpolation"][:] = BEZIER
    keys["handle_left_type"][:] = keys["handle_right_type"][:] = handles
    keys["back"][:] = _BACK
    return keys


def from_poses(
    posed: PoseKeys, frames: np.ndarray, kinds: Mapping[int, str] = MappingProxyType({})
) -> dict[str, np.ndarray]:
    """Keys of poses on scene frames [T]: handles aligned except at kinks and at ends that are not
    level. kinds: index of a frame → kind of its pose (`poses.Column`); closures and breakdowns are
    drawn as such."""
    left, right = posed.handles(frames)
    keys = bezier_keys(np.stack([frames[posed.index], posed.value], 1), left, right, ALIGNED)
    for side in ("handle_left_type", "handle_right_type"):
        keys[side][~posed.aligned] = FREE
    for end in (0, -1):
        fix_handles(keys, end)
    drawn = {"CLOSURE": EXTREME, "BREAKDOWN": BREAKDOWN}
    keys["type"][:, 0] = [
        drawn.get(kinds.get(index, ""), KEYFRAME) for index in posed.index.tolist()
    ]
    return keys


def on_every_frame(frames: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """A key on each frame [T], its handles clamped so that nothing overshoots."""
    points = np.stack([frames, values], 1)
    return bezier_keys(points, points - [1 / 3, 0], points + [1 / 3, 0], AUTO_CLAMPED)


def as_steps(keys: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keys of whole numbers that hold: of keys that change nothing only the last stays."""
    numbers = np.rint(keys["co"][:, 1])
    is_new = np.r_[True, numbers[1:] != numbers[:-1]][: len(numbers)]
    is_new[-1:] = True
    chosen = select(keys, is_new)
    chosen["co"][:, 1] = numbers[is_new]
    chosen["interpolation"][:] = CONSTANT
    return chosen


def select(keys: dict[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    """The chosen keys (a mask or indices)."""
    return {part: values[chosen] for part, values in keys.items()}


def keys_until(keys: dict[str, np.ndarray], frame: float) -> dict[str, np.ndarray]:
    """The keys up to and including a frame."""
    return select(keys, keys["co"][:, 0] <= frame + SAME_FRAME)


def keys_from(keys: dict[str, np.ndarray], frame: float) -> dict[str, np.ndarray]:
    """The keys from a frame on, inclusive."""
    return select(keys, keys["co"][:, 0] >= frame - SAME_FRAME)


def move(keys: dict[str, np.ndarray], frames: float, rise: float = 0.0) -> dict[str, np.ndarray]:
    """The keys moved by `frames` and raised by `rise`."""
    shift = np.array([frames, rise], np.float32)
    return keys | {part: keys[part] + shift for part in ("co", "handle_left", "handle_right")}


def concatenate(*pieces: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The keys of all pieces, in order."""
    return {part: np.concatenate([piece[part] for piece in pieces]) for part in PARTS}


def join_at_key(
    first: dict[str, np.ndarray], second: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Join two pieces at a key that both have, the first one's last and the second one's first;
    neither changes its shape."""
    seam = select(second, np.arange(1))
    for part in ("co", "handle_left", "type"):
        seam[part] = first[part][-1:].copy()
    fix_handles(seam, 0)
    return concatenate(
        select(first, np.arange(len(first["co"]) - 1)),
        seam,
        select(second, np.arange(1, len(second["co"]))),
    )


def is_manual(types: np.ndarray) -> np.ndarray:
    """True for handles [K] that stay in place instead of being computed by Blender."""
    return (types == FREE) | (types == ALIGNED)


def are_automatic(keys: dict[str, np.ndarray]) -> bool:
    """Whether Blender computes both handles of every key from its neighbours."""
    return all(
        ((keys[side] == AUTO) | (keys[side] == AUTO_CLAMPED)).all()
        for side in ("handle_left_type", "handle_right_type")
    )


def fix_handles(keys, place: int) -> None:
    """Fix a key's handles, so that changes of neighbours do not move them: aligned if they lie on
    one line, else free."""
    if keys["handle_left_type"][place] == keys["handle_right_type"][place] == FREE:
        return
    left, right = (
        (keys[side][place] - keys["co"][place]).astype(float)
        for side in ("handle_left", "handle_right")
    )
    in_line = (
        left[0] < 0 < right[0]
        and abs(left[1] / left[0] - right[1] / right[0]) * max(-left[0], right[0]) < _IN_LINE
    )
    kind = ALIGNED if in_line else FREE
    keys["handle_left_type"][place] = keys["handle_right_type"][place] = kind


def cut(keys: dict[str, np.ndarray], frame: float, value_at) -> dict[str, np.ndarray]:
    """The keys with another at a frame between the outer ones; the curve keeps its shape.

    value_at(frame) is the curve. Beyond the outer keys, or where there is a key already, nothing is
    added.
    """
    times = keys["co"][:, 0]
    place = int(np.searchsorted(times, frame, side="right")) - 1
    if (
        place < 0
        or place >= len(times) - 1
        or min(abs(times[place] - frame), abs(times[place + 1] - frame)) < SAME_FRAME
    ):
        return keys
    keys = {part: values.copy() for part, values in keys.items()}
    kind = int(keys["interpolation"][place, 0])
    if kind == BEZIER:
        new = _cut_bezier(keys, place, frame)
    else:
        frames = np.array([frame])
        # an easing cannot be split; a key on every frame looks the same
        if kind not in (CONSTANT, LINEAR):
            inner = np.arange(np.floor(times[place]) + 1, np.ceil(times[place + 1]))
            frames = np.union1d(inner, frames)
            keys["interpolation"][place] = LINEAR
        new = on_every_frame(frames, np.array([value_at(float(f)) for f in frames]))
        new["interpolation"][:] = keys["interpolation"][place]
    return concatenate(
        select(keys, np.arange(place + 1)), new, select(keys, np.arange(place + 1, len(times)))
    )


def keys_between(
    keys: dict[str, np.ndarray], first: float, last: float, value_at
) -> dict[str, np.ndarray]:
    """The keys between two frames, the curve cut there. value_at(frame) is the curve."""
    return keys_from(keys_until(cut(cut(keys, first, value_at), last, value_at), last), first)


def evaluate(keys: dict[str, np.ndarray], frames: np.ndarray) -> np.ndarray | None:
    """The curve through keys at frames [S] between the outer ones, held beyond them, as Blender
    evaluates it.

    None if an interpolation is neither constant, linear nor Bézier.
    """
    points, kind = keys["co"].astype(float), keys["interpolation"][:, 0]
    if not len(points):
        return None
    segment = np.clip(
        np.searchsorted(points[:, 0], frames, side="right") - 1, 0, max(len(points) - 2, 0)
    )
    if len(points) == 1:
        return np.full(len(frames), points[0, 1])
    if not np.isin(kind[:-1], (CONSTANT, LINEAR, BEZIER)).all():
        return None
    first, last = points[segment], points[segment + 1]
    length = np.maximum(last[:, 0] - first[:, 0], 1e-9)
    part = np.clip((frames - first[:, 0]) / length, 0.0, 1.0)
    kind = kind[segment]
    values = first[:, 1] + np.where(kind == CONSTANT, part >= 1.0, part) * (
        last[:, 1] - first[:, 1]
    )
    curved = np.flatnonzero((kind == BEZIER) & (part > 0.0) & (part < 1.0))
    if len(curved):
        at = segment[curved]
        corners = np.stack(
            [points[at], keys["handle_right"][at], keys["handle_left"][at + 1], points[at + 1]]
        ).astype(float)
        values[curved] = _on_bezier(_shorten_handles(corners), frames[curved])
    return values


def _shorten_handles(corners: np.ndarray) -> np.ndarray:
    """Corners [4, …, 2] of Bézier segments; a handle that reaches past the other key in time is
    shortened to it, as Blender does when it evaluates the curve."""
    first, right, left, last = corners
    length = np.abs(last[..., :1] - first[..., :1])
    out, back = right - first, left - last
    scale_out, scale_back = (
        np.minimum(1.0, length / np.maximum(np.abs(side[..., :1]), 1e-9)) for side in (out, back)
    )
    return np.stack([first, first + out * scale_out, last + back * scale_back, last])


def _on_bezier(corners: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Values [S] of Bézier segments, their corners [4, S, 2] in order of time, each at a frame
    within it."""
    a, b, c, d = corners
    time, value = (
        np.array([d - 3 * c + 3 * b - a, 3 * (c - 2 * b + a), 3 * (b - a), a])[..., axis]
        for axis in (0, 1)
    )
    time[3] -= frames
    s = -time[3] / (d[:, 0] - a[:, 0])
    for _ in range(_NEWTON):
        off = ((time[0] * s + time[1]) * s + time[2]) * s + time[3]
        if np.abs(off).max() < _ON_TIME:
            break
        steep = (3 * time[0] * s + 2 * time[1]) * s + time[2]
        s = np.clip(s - off / np.maximum(steep, 1e-6), 0.0, 1.0)
    else:  # nearly vertical handle: bisection
        late = np.flatnonzero(np.abs(off) >= _ON_TIME)
        x, y, z, w = time[:, late]

        def is_before(at: np.ndarray) -> np.ndarray:
            return ((x * at + y) * at + z) * at + w < 0

        low, high = halve(is_before, np.zeros(len(late)), np.ones(len(late)), _HALVINGS - 1)
        s[late] = (low + high) / 2
    return ((value[0] * s + value[1]) * s + value[2]) * s + value[3]


def _cut_bezier(keys, place: int, frame: float) -> dict[str, np.ndarray]:
    """The key at a frame that divides the Bézier segment after key `place`, whose own handles are
    changed in place."""
    co, right, left = (keys[part] for part in ("co", "handle_right", "handle_left"))
    p = np.array([co[place], right[place], left[place + 1], co[place + 1]], float)
    p = _shorten_handles(p)
    low, high = 0.0, 1.0
    for _ in range(50):
        s = (low + high) / 2
        a, b, c = (p[i] * (1 - s) + p[i + 1] * s for i in range(3))
        d, e = a * (1 - s) + b * s, b * (1 - s) + c * s
        middle = d * (1 - s) + e * s
        low, high = (s, high) if middle[0] < frame else (low, s)
    right[place], left[place + 1] = a, c
    for neighbour in (place, place + 1):
        fix_handles(keys, neighbour)
    return bezier_keys(np.array([[frame, middle[1]]]), d[None], e[None], ALIGNED)


# ---- cycles


@dataclass(frozen=True)
class Cycles:
    """A Cycles modifier. before, after: Blender's mode, and the number of cycles, 0 for any.
    is_whole: whether it repeats whole cycles everywhere, with all its influence."""

    before: tuple[str, int]
    after: tuple[str, int]
    is_whole: bool = True


def repeat(
    keys: dict, cycles: Cycles, low: float, high: float, value_at: Callable[[float], float]
) -> dict:
    """Keys with those that a Cycles modifier adds, from frame `low` to `high` at least; a key on
    every frame where cycles are mirrored, do not join or count only in part. value_at: the curve
    with its cycles."""
    times = keys["co"][:, 0].astype(float)
    period = times[-1] - times[0]
    rise, modes = float(keys["co"][-1, 1] - keys["co"][0, 1]), (cycles.before[0], cycles.after[0])
    jumps = "REPEAT" in modes and abs(rise) > _SAME
    if not cycles.is_whole or period < 1.0 or jumps or "MIRROR" in modes:
        return _on_every_frame(value_at, min(low, times[0]), max(high, times[-1]))
    keys = {part: values.copy() for part, values in keys.items()}
    for place in range(len(times)):
        fix_handles(keys, place)
    result = keys
    for side, mode, most, reach in (
        (-1, *cycles.before, times[0] - low),
        (1, *cycles.after, high - times[-1]),
    ):
        if mode == "NONE":
            continue
        count = min(int(np.ceil(max(reach, 0.0) / period)) + 1, most or _MOST_CYCLES)
        for number in range(1, count + 1):
            copy = move(
                keys,
                side * number * period,
                side * number * rise if mode == "REPEAT_OFFSET" else 0.0,
            )
            result = join_at_key(result, copy) if side > 0 else join_at_key(copy, result)
    return result


def _on_every_frame(value_at: Callable[[float], float], low: float, high: float) -> dict:
    """Keys on every frame from `low` to `high`, linear between them."""
    frames = np.arange(np.floor(low), np.ceil(high) + 1)
    keys = on_every_frame(frames, np.array([value_at(float(frame)) for frame in frames]))
    keys["interpolation"][:] = LINEAR
    return keys


# ---- keys of many tracks: packed into flat arrays, compared by fingerprints, and edits stored as
# distances from a curve


def pack(keys: list) -> dict:
    """Keys of all tracks as flat arrays; values common to all are stored once."""
    counts = np.array([-1 if each is None else len(each["co"]) for each in keys], np.int32)
    packed = {"counts": counts}
    present = [each for each in keys if each is not None]
    for part in PARTS:
        kind, length = PARTS[part]
        kind = present[0][part].dtype if present else kind  # edits are in double precision
        values = (
            np.concatenate([each[part].ravel() for each in present])
            if present
            else np.zeros(0, kind)
        )
        if len(values) > 1 and (values == values[0]).all():
            values = values[:1]
        packed[part] = np.ascontiguousarray(values)
    return packed


def unpack(packed) -> list:
    """The keys of every track that `pack` stored; None for tracks without keys."""
    counts = np.array(packed["counts"], np.int32)
    ends = np.cumsum(np.maximum(counts, 0))
    total = int(ends[-1]) if len(ends) else 0
    if total > len(packed["co"]):
        raise ValueError("keys are missing")
    parts = {}
    for part in PARTS:
        length, values = PARTS[part][1], np.array(packed[part])
        parts[part] = (np.full(total * length, values[0]) if len(values) == 1 else values).reshape(
            total, length
        )
    return [
        None if count < 0 else {part: parts[part][end - count : end] for part in PARTS}
        for count, end in zip(counts, ends)
    ]


def fingerprints_of(keys: list) -> np.ndarray:
    """A fingerprint of the keys of each track, int32 [tracks]; handles that Blender places itself
    do not count."""
    prints = np.zeros(len(keys), np.uint32)
    for place, each in enumerate(keys):
        if each is not None:
            crc = 1
            for part in ("co", "interpolation", "handle_left_type", "handle_right_type"):
                crc = zlib.crc32(each[part].tobytes(), crc)
            for side in ("handle_left", "handle_right"):
                free = is_manual(each[side + "_type"][:, 0])
                if free.any():
                    crc = zlib.crc32(each[side][free].tobytes(), crc)
            prints[place] = crc
    return prints.view(np.int32)


def fingerprint_of(keys: list) -> int:
    """One fingerprint of the keys of all tracks, a positive 32-bit integer."""
    return int(np.int32(zlib.crc32(fingerprints_of(keys).tobytes()) & 0x7FFFFFFF))


def to_relative(keys: dict, times: np.ndarray, base: np.ndarray, shift: int) -> dict:
    """Keys relative to a curve `base` [T] at times [T]: values and handles as distances from it,
    double precision, unshifted."""
    result = {part: values.astype(np.float64) for part, values in keys.items()}
    under = np.interp(result["co"][:, 0] - shift, times, base)
    for part in ("co", "handle_left", "handle_right"):
        result[part][:, 0] -= shift
        result[part][:, 1] -= under
    return result


def to_absolute(edit: dict, times: np.ndarray, base: np.ndarray, shift: int) -> dict:
    """Edited keys on a curve `base` [T] at times [T]: the inverse of `to_relative`."""
    under = np.interp(edit["co"][:, 0], times, base.astype(np.float32).astype(np.float64))
    result = {part: values.copy() for part, values in edit.items()}
    for part in ("co", "handle_left", "handle_right"):
        result[part][:, 0] += shift
        result[part][:, 1] += under
    return {part: values.astype(PARTS[part][0]) for part, values in result.items()}


def set_values(
    keys: dict,
    inside: np.ndarray,
    frames: np.ndarray,
    base: np.ndarray,
    change: np.ndarray,
    rows: slice,
) -> dict:
    """Keys with the values base + change at the frames `inside`, unchanged elsewhere.

    frames, base [T]: the curve; rows: indices of `inside` among the frames.
    """
    wanted = base[rows] + change
    place = np.searchsorted(keys["co"][:, 0], inside)
    if len(keys["co"]) > place.max() and (keys["co"][place, 0] == inside).all():
        result = {part: values.copy() for part, values in keys.items()}
        for part in ("handle_left", "handle_right", "co"):
            result[part][place, 1] += (wanted - keys["co"][place, 1]).astype(np.float32)
        result["co"][place, 1] = wanted.astype(np.float32)
        return result
    # Between sparse keys: a key on every frame of the change and of its neighbours, whose values
    # are kept.
    start = max(rows.start - 1, 0)
    guard, values = frames[start : rows.stop + 1], base[start : rows.stop + 1].copy()
    values[rows.start - start : rows.start - start + len(inside)] = wanted
    times = keys["co"][:, 0]
    return concatenate(
        select(keys, times < guard[0]),
        on_every_frame(guard.astype(float), values),
        select(keys, times > guard[-1]),
    )
