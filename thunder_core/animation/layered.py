# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of many tracks: packed into flat arrays, compared by fingerprints, and edits stored as
distances from a curve."""

import zlib

import numpy as np

from .keyframes import concatenate, is_manual, on_every_frame, PARTS, select


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
    result = {}
    for part, values in edit.items():
        values = values.copy()
        if part in ("co", "handle_left", "handle_right"):
            values[:, 0] += shift
            values[:, 1] += under
        result[part] = values.astype(PARTS[part][0])
    return result


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
