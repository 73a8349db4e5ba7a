# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes keys from a curve that are replaced, and keeps its shape around them with as few keys as possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from . import keyframes

_NEAR = 1e-4  # difference below which two values look equal
_SAMPLES = 9  # samples of a segment at which two curves are compared


@dataclass(frozen=True)
class Remaining:
    """The rest of a curve: its keys [R]; ends [R]: True for the outermost of the removed keys; gaps: parts of the time that nobody
    animated."""

    keys: dict
    ends: np.ndarray
    gaps: tuple[tuple[float, float], ...]


def without(  # noqa: PLR0913 (what is known of its keys)
    keys: dict, gone: np.ndarray, put: np.ndarray, ends_before: np.ndarray, spans: Sequence[tuple[float, float]], blend: float
) -> Remaining:
    """A curve without some of its keys.

    keys: of the curve, without easing.  gone [K]: True for removed keys.  put [K]: True for keys written by a commit, not the animator.
    ends_before [K]: True for those kept as outermost keys in earlier removals.  spans: first and last frame of the replaced parts.
    blend: frames over which the curve blends into a replaced part.

    A key set next to a committed line begins or ends a movement at the line's last or first key, and before the line the curve holds the
    value of its first key. So the outermost removed keys are kept if the adjacent curve would change, unless they cut one movement in two,
    which is then rejoined.
    A gap extends to the next key if the movement to it exists only because of the line.
    """
    times, gone = keys["co"][:, 0].astype(float), gone.copy()
    gaps, ends_now = [], ends_before.copy()
    for first, last in list(_runs(gone)):
        sides = [_side(times, put, end, beside, blend) for end, beside in ((first, first - 1), (last, last + 1))]
        ends = _ends_that_stay(keys, gone, put, (first, last), sides)
        if len(ends) == 2 and 0 < first and last < len(times) - 1 and not put[first - 1] and not put[last + 1]:
            joined = keyframes.rejoined(keys, first - 1, last + 1)
            if joined is not None:  # the line was inside one movement of the animator, which is restored
                keys = joined
                continue
        gone[list(ends)] = False
        for end, of_spans in ((first, [start for start, _ in spans]), (last, [end for _, end in spans])):
            # else the adjacent movement existed when the line was committed, and the key leads into it
            ends_now[end] |= end in ends and any(abs(times[end] - frame) < 0.5 for frame in of_spans)
        gaps.append(
            (
                _gap_end(times, first, first - 1, sides[0], bool(ends_now[first])),
                _gap_end(times, last, last + 1, sides[1], bool(ends_now[last])),
            )
        )
    for end in np.flatnonzero(ends_before & ~gone).tolist():  # movements to the animator's keys next to ends of earlier, longer lines
        gaps.append((float(times[max(end - 1, 0)]), float(times[min(end + 1, len(times) - 1)])))
    return Remaining(keyframes.select(keys, ~gone), ends_now[~gone], tuple(gaps))


def _runs(gone: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last index of each run of removed keys."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(int), [0]])))
    return zip(edges[::2].tolist(), (edges[1::2] - 1).tolist())


def _side(times: np.ndarray, put: np.ndarray, end: int, beside: int, blend: float) -> np.ndarray | None:
    """Frames beside the outermost key of a stretch at which the curve has to stay what it is. None if it may change: it only blends into
    the line there, or the key was edited and is removed with its effect."""
    if not put[end]:
        return None
    if not 0 <= beside < len(times):
        return times[end] + np.array([float(np.sign(beside - end))])
    if put[beside] or abs(times[beside] - times[end]) <= blend + 0.5:
        return None
    return np.linspace(times[beside], times[end], _SAMPLES)[1:-1]


def _ends_that_stay(keys: dict, gone: np.ndarray, put: np.ndarray, ends: tuple[int, int], sides: list) -> tuple[int, ...]:
    """The outermost keys of a stretch that have to stay: as few as possible."""
    frames = np.concatenate([np.zeros(0), *(side for side in sides if side is not None)])
    wanted = keyframes.evaluate(keys, frames)
    first, last = ends
    for tried in ((), (last,), (first,), (first, last)):
        stays = ~gone
        stays[list(tried)] = True
        if not stays.any():
            return ()
        if all(put[end] for end in tried):
            now = keyframes.evaluate(keyframes.select(keys, stays), frames)
            if now is not None and np.abs(now - wanted).max(initial=0.0) < _NEAR:
                return tried
    return tuple(end for end in ends if put[end])


def _gap_end(times: np.ndarray, end: int, beside: int, side: np.ndarray | None, is_end: bool) -> float:
    """End of a run's gap on one side."""
    return float(times[beside] if 0 <= beside < len(times) and (is_end or side is None) else times[end])
