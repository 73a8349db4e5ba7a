# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses the frames of poses: segments between keys, holds and extremes."""

from collections.abc import Generator

import numpy as np

from ..filters import hermite
from .keys import turning_points
from .pose_keys import relative_error, SAMPLES, STILL

_SHORTEST_HOLD = 5  # frames
_SNAP = 4  # frames that a hold may lose to begin or end on a frame with keys
_EXTREME_MOVE = 2.0  # movement, in allowed errors, after which a turning point is an extreme


def find_segments(
    curves: np.ndarray, flat: np.ndarray, weight: np.ndarray, slack: np.ndarray, longest: int
) -> Generator[float, None, np.ndarray]:
    """Returns the least error of a segment between any two frames with fixed ends: [longest + 1,
    T].

    Row l, column i: of the segment from frame i to frame i + l. Slopes at both ends are the best
    that keep every curve within its ends' range.
    """
    step = SAMPLES // 2  # two samples per frame suffice, also in single precision
    curves, weight = curves[::step].astype(np.float32), weight[::step]
    frames = (len(curves) - 1) // 2 + 1
    cost = np.full((longest + 1, frames), np.inf)
    cost[1] = 0.0
    for length in range(2, min(longest, frames - 1) + 1):
        count = 2 * length
        a, b, c, d = hermite(np.arange(1, count) / count)
        a, b = a.astype(np.float32), b.astype(np.float32)
        # for slopes in units of a third of the segment
        slopes = 3 * np.stack([c, d], 1).astype(np.float32)
        gram = slopes.T @ slopes
        # [T - l, C, samples]
        windows = np.lib.stride_tricks.sliding_window_view(curves, count + 1, axis=0)[::2]
        # [T - l, P + 1 or 2, samples]
        weights = np.lib.stride_tricks.sliding_window_view(weight, count + 1, axis=0)[::2]
        rows = max(1, 400_000 // (count * flat.shape[1]))
        for start in range(0, len(windows), rows):
            part = windows[start : start + rows]
            first, last = part[..., 0], part[..., -1]
            left = part[..., 1:-1] - a * first[..., None] - b * last[..., None]
            low, high = np.minimum(last - first, 0) - slack, np.maximum(last - first, 0) + slack
            p, q = np.moveaxis(left @ slopes, -1, 0)
            into = np.zeros_like(p)
            for _ in range(3):
                out = np.clip((p - gram[0, 1] * into) / gram[0, 0], low, high)
                into = np.clip((q - gram[0, 1] * out) / gram[1, 1], low, high)
            left -= out[..., None] * slopes[:, 0] + into[..., None] * slopes[:, 1]
            off = np.moveaxis(left, 1, 2).reshape(-1, left.shape[1]) @ flat
            off = relative_error(
                off,
                np.moveaxis(weights[start : start + rows, :, 1:-1], 1, 2).reshape(
                    -1, weight.shape[1]
                ),
            )
            cost[length, start : start + len(part)] = off.reshape(len(part), -1).max(1)
            yield length / longest
    return cost


def cheapest_path(
    cost: np.ndarray, price: np.ndarray, first: int, last: int, tolerance: float
) -> Generator[float, None, list[int]]:
    """Returns the cheapest frames from first to last (both among them) between which no segment is
    off by more than the tolerance."""
    longest = len(cost) - 1
    best, back = {first: 0.0}, {}
    for end in range(first + 1, last + 1):
        if (end - first) % 200 == 0:
            yield (end - first) / (last - first)
        least, source = np.inf, end - 1
        for start in range(max(first, end - longest), end):
            off = cost[end - start, start]
            if off <= tolerance or end - start == 1:
                # of two paths with the same cost the nearer one
                total = best[start] + price[end] + 0.02 * off
                if total < least:
                    least, source = total, start
        best[end], back[end] = least, source
    frames = [last]
    while frames[-1] > first:
        frames.append(back[frames[-1]])
    return frames[::-1]


def find_holds(
    curves: np.ndarray, flat: np.ndarray
) -> Generator[float, None, list[tuple[int, int]]]:
    """Returns the stretches of frames (first, last) in which nothing of a region moves by more than
    `STILL`."""
    places = (curves[::SAMPLES] @ flat.astype(float))[:, :-3].reshape(len(curves[::SAMPLES]), -1, 3)
    holds, first = [], 0
    low = high = places[0]
    for frame in range(1, len(places) + 1):
        if frame % 200 == 0:
            yield frame / len(places)
        if frame < len(places):
            lower, higher = np.minimum(low, places[frame]), np.maximum(high, places[frame])
            if np.linalg.norm(higher - lower, axis=1).max() <= STILL:
                low, high = lower, higher
                continue
        if frame - 1 - first >= _SHORTEST_HOLD:
            holds.append((first, frame - 1))
        # A run may share its last frames with the next one: go back to where they start to agree.
        if frame < len(places):
            first = frame
            low = high = places[frame]
            while first > (holds[-1][1] + 1 if holds else 0):
                lower = np.minimum(low, places[first - 1])
                higher = np.maximum(high, places[first - 1])
                if np.linalg.norm(higher - lower, axis=1).max() > STILL:
                    break
                first, low, high = first - 1, lower, higher
    return holds


def snap_to_used(hold: tuple[int, int], used: set[int]) -> tuple[int, int]:
    """A hold that begins and ends on frames that have keys already, if it gets shorter by a few
    frames only."""
    first, last = hold
    later = next(
        (frame for frame in range(first, min(first + _SNAP, last - 1) + 1) if frame in used), first
    )
    earlier = next(
        (frame for frame in range(last, max(last - _SNAP, later + 1) - 1, -1) if frame in used),
        last,
    )
    return later, earlier


def find_extremes(curves: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Frames on which a region's largest movements turn back."""
    values = curves[::SAMPLES] - curves[::SAMPLES].mean(0)
    moved = flat[:, :-3].astype(float)
    # Principal movements of the points, found among the channels: there are far fewer of these.
    size, turn = np.linalg.eigh(moved @ moved.T)
    root = (turn * np.sqrt(np.maximum(size, 0.0))) @ turn.T
    _, axes = np.linalg.eigh(root @ (values.T @ values) @ root)
    frames = [np.array([0, len(values) - 1])]
    for axis in axes.T[:-4:-1]:
        # the axis as displacements of points
        shape = np.linalg.lstsq(root, axis, rcond=1e-6)[0] @ moved
        most = np.linalg.norm(shape.reshape(-1, 3), axis=1).max()
        frames.append(turning_points(values @ root @ axis * most, _EXTREME_MOVE))
    return np.unique(np.concatenate(frames))
