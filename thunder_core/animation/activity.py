# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the activity of brows, mouth and head of a take over time, as shown in all pictures of
takes, and chooses moments of a line for a contact sheet; numpy only.

Moments: closed lips, the loudest moment, the widest mouths, and where takes differ most."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..face.lips import CLOSED_MM
from ..types import BLINKS, BROWS, in_group, Motion

TRACKS = ("brows", "mouth", "head")
# Display colour of each track.
COLOURS = {"brows": (0.80, 0.64, 1.0), "mouth": (1.0, 0.72, 0.30), "head": (0.45, 0.80, 0.45)}
# Full height of a track: a quantile over the frames of all takes of a line, and at least the second
# number (brows 0 … 1, mouth mm, head degrees), so that small movement looks small.
_FULL_HEIGHT = {"brows": (0.995, 0.15), "mouth": (1.0, 5.0), "head": (0.995, 2.0)}
CLOSED, WIDE, LOUD, DIFFER, OTHER = "closed", "wide", "loud", "differ", "other"
APART = 8  # least distance between two chosen frames at 25 fps, in lines long enough
_OPENED_WITHIN = 6  # frames on either side of a closure in which mouths open
_OPENED_MM = 3.0  # mean opening on either side of a closure
_SHUT_LIPS = 0.5  # least share of the takes whose lips are shut at a closure
_WIDE_MM = 1.0  # least mean opening of a wide mouth
_WIDE_SHARE = 0.3  # the same as a share of the widest
# frames on either side of the loudest moment that are searched for the widest mouth
_BESIDE_LOUD = 3
_SHUT_EYES = 0.5  # lid closure above which a face blinks
_BESIDE_BLINKS = 2  # frames by which a moment may be moved to where fewer faces blink
_BLINKING = 0.12  # share of faces that may blink at a moment if there are other such moments
_AS_OPEN = 0.85  # least share of its opening that the mouth keeps where a moment is moved
# seconds before and after a frame over which a voice's loudness is measured
_LOUDNESS_SECONDS = 0.06


def brows(motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """The strongest of a motion's brow channels, [T] 0 … 1."""
    return np.abs(motion.expression[:, in_group(channels, BROWS)]).max(axis=1, initial=0.0)


def lids(motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """Closure of a motion's eyes, [T] 0 … 1: the larger of both."""
    return motion.expression[:, in_group(channels, BLINKS)].max(axis=1, initial=0.0)


def head(motion: Motion) -> np.ndarray:
    """Angle of a motion's head from its median pose, [T] degrees."""
    turns, _ = motion.turns
    return np.degrees(np.linalg.norm(turns - np.median(turns, axis=0), axis=1))


def tracks(motion: Motion, channels: Sequence[str], opening: np.ndarray) -> dict[str, np.ndarray]:
    """Activity of a take by TRACKS, [T] each. opening: of its mouth, mm."""
    return {
        "brows": brows(motion, channels),
        "mouth": np.asarray(opening, np.float64),
        "head": head(motion),
    }


def full_heights(takes: Sequence[dict[str, np.ndarray]]) -> dict[str, float]:
    """The value that fills each track in a picture of takes of one line."""
    result = {}
    for name in takes[0]:
        share, least = _FULL_HEIGHT[name]
        result[name] = max(
            least, float(np.quantile(np.concatenate([take[name] for take in takes]), share))
        )
    return result


# ---- moments


def choose_moments(
    openings: np.ndarray, loudness: np.ndarray | None, count: int,
    differences: np.ndarray | None = None, lids: np.ndarray | None = None
) -> list[tuple[int, str]]:  # fmt: skip
    """(frame, reason) of at most `count` moments, in order of time.

    openings: [takes, T], mm at 25 fps.  loudness: [T] of any scale, or None if it is unknown.
    differences: [T], how much takes differ in everything, of any scale, or None.  lids: [takes, T]
    0 … 1, how far their eyes are shut, or None. One is the loudest moment, moved to the widest
    mouth near it. Of the others a third are closures if there are any, one is the widest mouth, two
    are the largest differences, and the rest are wide mouths or, where there are too few, any
    moments. Moments at which many faces blink are moved by a frame or two, and come last.
    """
    mean = np.asarray(openings, np.float64).mean(axis=0)
    frames = len(mean)
    shut = (np.asarray(openings) <= CLOSED_MM).mean(axis=0)
    blinks = (
        np.zeros(frames)
        if lids is None
        else (np.asarray(lids)[:, :frames] > _SHUT_EYES).mean(axis=0)
    )
    chosen = _Chosen(frames, count)

    def move_off_blinks(frame: int, why: str) -> int:
        """The nearest frame with the fewest blinks on which the mouths are the same."""
        beside = range(max(0, frame - _BESIDE_BLINKS), min(frames, frame + _BESIDE_BLINKS + 1))
        if why == CLOSED:
            alike = [i for i in beside if shut[i] >= shut[frame]]
        else:
            alike = [i for i in beside if mean[i] >= _AS_OPEN * mean[frame]]
        return min(alike, key=lambda i: (blinks[i], abs(i - frame)))

    def choose(candidates, why: str, most: int) -> None:
        places = [move_off_blinks(int(frame), why) for frame in candidates]
        chosen.add(sorted(places, key=lambda i: blinks[i] > _BLINKING), why, most)

    if loudness is not None and np.max(loudness[:frames], initial=0.0) > 0:
        loudest = int(np.argmax(loudness[:frames]))
        beside = range(max(0, loudest - _BESIDE_LOUD), min(frames, loudest + _BESIDE_LOUD + 1))
        choose([max(beside, key=lambda i: (mean[i], -abs(i - loudest)))], LOUD, 1)
    choose(_closures(np.asarray(openings)), CLOSED, count // 3)
    least = max(_WIDE_MM, _WIDE_SHARE * mean.max(initial=0.0))
    widest = sorted((i for i in _peaks(mean) if mean[i] >= least), key=lambda i: -mean[i])
    choose(widest, WIDE, 1)
    if differences is not None and len(openings) > 1 and np.max(differences) > 0:
        choose(sorted(_peaks(differences), key=lambda i: -differences[i]), DIFFER, 2)
    choose(widest, WIDE, count)
    # for lines with little movement
    choose(np.linspace(0, frames - 1, 2 * count + 1).round().astype(int), OTHER, count)
    return sorted(chosen.moments)


class _Chosen:
    """Moments (frame, reason) that were chosen so far, at most `count`, each far enough from the
    others."""

    def __init__(self, frames: int, count: int):
        self.moments: list[tuple[int, str]] = []
        self._count, self._apart = count, max(1, min(APART, frames // (count + 1)))

    def add(self, candidates: Iterable[int], why: str, most: int) -> None:
        """Add the first `most` of some frames that are far enough from those chosen."""
        for frame in candidates:
            if most <= 0 or len(self.moments) >= self._count:
                return
            if all(abs(frame - other) >= self._apart for other, _ in self.moments):
                self.moments.append((int(frame), why))
                most -= 1


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
