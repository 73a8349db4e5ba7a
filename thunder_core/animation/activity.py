# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the activity of brows, mouth and head of a take over time, as shown in all pictures of
takes, and chooses moments of a line for a contact sheet; numpy only.

Moments: the loudest moment, a pause, closed lips, the widest mouths, and where takes differ
most."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..types import BROW_CHANNELS, CLOSED_MM, in_group, Motion

TRACKS = ("brows", "mouth", "head")
# Display colour of each track.
COLOURS = {"brows": (0.80, 0.64, 1.0), "mouth": (1.0, 0.72, 0.30), "head": (0.45, 0.80, 0.45)}
# Full height of a track: a quantile over the frames of all takes of a line, and at least the second
# number (brows 0 … 1, mouth mm, head degrees), so that small movement looks small.
_FULL_HEIGHT = {"brows": (0.995, 0.15), "mouth": (1.0, 5.0), "head": (0.995, 2.0)}
CLOSED, WIDE, LOUD, PAUSE, DIFFER, OTHER = "closed", "wide", "loud", "pause", "differ", "other"
APART = 8  # least distance between two chosen frames at 25 fps, in lines long enough
_OPENED_WITHIN = 6  # frames on either side of a closure in which mouths open
_OPENED_MM = 3.0  # mean opening on either side of a closure
_SHUT_LIPS = 0.5  # least share of the takes whose lips are shut at a closure
_WIDE_MM = 1.0  # least mean opening of a wide mouth
_WIDE_SHARE = 0.3  # the same as a share of the widest
# seconds before and after a frame over which a voice's loudness is measured
_LOUDNESS_SECONDS = 0.06


def head(motion: Motion) -> np.ndarray:
    """Angle of a motion's head from its median pose, [T] degrees."""
    turns, _ = motion.turns
    return np.degrees(np.linalg.norm(turns - np.median(turns, axis=0), axis=1))


def tracks(motion: Motion, channels: Sequence[str], opening: np.ndarray) -> dict[str, np.ndarray]:
    """Activity of a take by TRACKS, [T] each: the strongest of its brow channels, its mouth's
    opening, mm, and the angle of its head."""
    brows = motion.expression[:, in_group(channels, BROW_CHANNELS)]
    return {
        "brows": np.abs(brows).max(axis=1, initial=0.0),
        "mouth": np.asarray(opening, np.float64),
        "head": head(motion),
    }


def full_heights(takes: Sequence[dict[str, np.ndarray]]) -> dict[str, float]:
    """The value that fills each track in a picture of takes of one line."""
    return {
        name: max(least, float(np.quantile(np.concatenate([take[name] for take in takes]), share)))
        for name, (share, least) in _FULL_HEIGHT.items()
    }


# ---- moments


def choose_moments(
    openings: np.ndarray,
    loudness: np.ndarray | None,
    count: int,
    differences: np.ndarray | None = None,
    pauses: Sequence[int] = (),
) -> list[tuple[int, str]]:
    """(frame, reason) of at most `count` moments, in order of time.

    openings: [takes, T], mm at 25 fps.  loudness: [T] of any scale, or None if it is unknown.
    differences: [T], how much takes differ in everything, of any scale, or None.  pauses: frames in
    which something is done, best first. One is the loudest moment, one a pause. Of the others a
    third are closures if there are any, one is the widest mouth, two are the largest differences,
    and the rest are wide mouths or, where there are too few, any moments.
    """
    mean = np.asarray(openings, np.float64).mean(axis=0)
    frames = len(mean)
    least = max(_WIDE_MM, _WIDE_SHARE * mean.max(initial=0.0))
    widest = sorted((i for i in _peaks(mean) if mean[i] >= least), key=lambda i: -mean[i])
    wanted: list[tuple[Iterable[int], str, int]] = [
        ((frame for frame in pauses if frame < frames), PAUSE, 1),
        (_closures(np.asarray(openings)), CLOSED, count // 3),
        (widest, WIDE, 1),
    ]
    if loudness is not None and np.max(loudness[:frames], initial=0.0) > 0:
        wanted.insert(0, ([int(np.argmax(loudness[:frames]))], LOUD, 1))
    if differences is not None and len(openings) > 1 and np.max(differences) > 0:
        wanted.append((sorted(_peaks(differences), key=lambda i: -differences[i]), DIFFER, 2))
    anywhere = np.linspace(0, frames - 1, 2 * count + 1).round()  # for lines with little movement
    wanted += [(widest, WIDE, count), (anywhere, OTHER, count)]
    chosen: list[tuple[int, str]] = []
    apart = max(1, min(APART, frames // (count + 1)))
    for candidates, why, most in wanted:
        end = min(count, len(chosen) + most)
        for frame in map(int, candidates):
            if len(chosen) < end and all(abs(frame - other) >= apart for other, _ in chosen):
                chosen.append((frame, why))
    return sorted(chosen)


def _peaks(values: np.ndarray) -> list[int]:
    """Local maxima of values [T] that are above 0."""
    last = len(values) - 1
    return [
        i
        for i, x in enumerate(values)
        if x > 0 and x >= values[max(0, i - 1)] and x >= values[min(last, i + 1)]
    ]


def _closures(openings: np.ndarray) -> list[int]:
    """Frames at which most takes' lips are shut between opened ones, those with most shut lips and
    widest surroundings first; if there is none, one at which all are shut."""
    mean, shut = openings.mean(axis=0), (openings <= CLOSED_MM).mean(axis=0)
    result = []
    for i in range(1, len(mean) - 1):
        opened = min(
            mean[max(0, i - _OPENED_WITHIN) : i].max(), mean[i + 1 : i + _OPENED_WITHIN + 1].max()
        )
        around = mean[max(0, i - 2) : i + 3]
        if mean[i] == around.min() and shut[i] >= _SHUT_LIPS and opened >= _OPENED_MM:
            result.append((-shut[i], -opened, i))
    rest = np.flatnonzero(shut == 1)
    return [i for _, _, i in sorted(result)] or [int(i) for i in rest[len(rest) // 2 :][:1]]


def loudness(peaks: np.ndarray, per_second: int, fps: float = 25.0) -> np.ndarray:
    """Loudness of a sound around each frame, [T], from the lowest and highest sample [n, 2] of each
    part of a second."""
    height = (np.asarray(peaks, np.float64)[:, 1] - peaks[:, 0]) ** 2
    times = np.arange(int(np.ceil(len(height) / per_second * fps))) / fps
    first, last = (
        (per_second * (times + side * _LOUDNESS_SECONDS)).round().astype(int).clip(0, len(height))
        for side in (-1, 1)
    )
    total = np.r_[0.0, np.cumsum(height)]
    return np.sqrt((total[last] - total[first]) / np.maximum(1, last - first))
