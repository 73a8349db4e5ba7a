# SPDX-License-Identifier: GPL-3.0-or-later
"""Lids that open and shut: eyes that would otherwise stay open too long blink, blinks that are frequent are short, and no take begins or
ends with its eyes half shut.

The model's blinks become rarer with the slider *Eyes*, and below .5 they cease; eyes that never blink look dead. High on the slider they
come so often that they run together, and the eyes would be shut for half a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...animation.played import starts
from ...direction import over_frames
from ...types import FPS
from ..speech.phrasing import Phrasing, runs
from .manner import Directed, generator, Played, Stream

_OPEN = 7.5  # longest time for which usual eyes stay open, s
_STEADY, _LIVELY = 0.4, 1.5  # exponents of *Eyes*, below 1 and above, by which it is divided
_STEADIEST, _LIVELIEST = 0.2, 2.5  # least and most *Eyes* that divide it
_SOONEST, _BEFORE = 0.5, 0.35  # shares of that time after one blink and before the next in which none is added
_OF_GAP = 0.45  # largest share of the time between two blinks that either is, so that one fits where they are too far apart
_MOST = 9.0  # longest time for which any eyes stay open, s: steady ones blink as rarely, but more regularly
_OUTSIDE = 0.75  # largest share of it before a take begins, and after it ends: of an interval that lies across either
_EVERY, _VARIES = 0.4, 0.2  # interval between moments at which a blink may be added, and how far each is from it; s
_AFTER_PHRASE = (-0.1, 0.35)  # when a blink at a phrase's end begins after it, s
_IN_SILENCE, _AT_END, _STRESSED = 0.35, 0.5, -1.0  # by what moments are preferred that are not, or are, on a stressed syllable
_SHUTS = (-1, 7)  # frames after a blink's beginning in which it hides the eyes
_APART = 0.9  # least time between another blink and one in a long pause, or one from an end of the take, s
_LONG_PAUSE, _INSIDE = 4.0, 0.88  # silence, s, in which eyes blink, and the share of such silences
LONGEST = 12.0  # frames for which a blink shuts eyes that blink as often as usual
BLINKED = 0.5  # eyeBlink that counts as a blink
EDGE = 8  # frames at both ends of a take in which no eye is shut
_RAISED = 0.2  # eyeBlink above its usual level at which lids at an end belong to a blink
_MOVED = 1.6  # s inside EDGE within which a blink comes that was at an end


class Moment(NamedTuple):
    """A moment at which a blink may be added. at: its first frame.  rank: by which one of several is chosen."""

    at: float
    rank: float


@dataclass(frozen=True)
class Blinks:
    """What a take draws for its blinks.

    possible: by their frames.  longest: frames [T] for which eyes stay open.  soonest: frames [T] after a blink in which none is added, if
    the next is late enough.  pauses: first frame of each long pause, the frame after it, and that of the blink in it.  before, after: how
    long eyes have been open when a take begins, and stay open when it ends, as shares of `longest`.
    """

    possible: Sequence[Moment]
    longest: np.ndarray
    soonest: np.ndarray
    pauses: Sequence[tuple[int, int, float]]
    before: float
    after: float

    @classmethod
    def of(cls, phrasing: Phrasing, seed: int, directed: Directed) -> Blinks:
        """Those of a seed's take. directed: style of the gestures."""
        looks = np.clip(over_frames(directed.rows[:, Played._fields.index("looks")], phrasing.frames), _STEADIEST, _LIVELIEST)
        usual = np.broadcast_to(FPS * _OPEN / looks ** np.where(looks < 1, _STEADY, _LIVELY), phrasing.frames)
        rng = generator(seed, Stream.PAUSE_BLINKS)
        before, after = _OUTSIDE * rng.random(2)
        silences = [(int(start), int(end)) for start, end in phrasing.silences]
        pauses = []
        for start, end in silences:
            u = rng.random(2)
            if end - start >= _LONG_PAUSE * FPS and u[0] < _INSIDE:
                pauses.append((start, end, start + (end - start) * (0.05 + 0.85 * u[1])))
        return cls(_possible(phrasing, seed), usual.clip(max=FPS * _MOST), _SOONEST * usual, pauses, float(before), float(after))

    def needed(self, lids: np.ndarray, length: int, ends: tuple[bool, bool] = (False, False)) -> list[float]:
        """First frames of the blinks that lids [T], 0 … 1 shut, need besides their own; each is `length` frames long.

        ends: whether a blink was taken from the beginning and from the end, which come a little further inside.
        """
        frames, result = len(lids), list[float]()
        own, latest = starts(lids > BLINKED).tolist(), frames - EDGE - length
        for was, first, last in ((ends[0], EDGE, EDGE + _MOVED * FPS), (ends[1], latest - _MOVED * FPS, latest)):
            some = [each for each in self.possible if max(first, EDGE) <= each.at <= min(last, latest) and _clear(each.at, [*own, *result])]
            if was and some:
                result.append(max(some, key=lambda each: each.rank).at)
        for start, end, at in self.pauses:
            if not any(start <= blink < end for blink in own) and _clear(at, [*own, *result]) and EDGE <= at <= latest:
                result.append(at)
        last = -self.before * self.longest[0]
        for following in [*sorted([*own, *result]), frames + self.after * self.longest[-1]]:
            while following - last > (longest := self.longest[min(max(0, int(last)), frames - 1)]):
                most = _OF_GAP * (following - last)
                first, before = min(self.soonest[min(max(0, int(last)), frames - 1)], most), min(_BEFORE * longest, most)
                some = [each for each in self.possible if last + first <= each.at <= min(last + longest, following - before)]
                some = [each for each in some if EDGE <= each.at <= latest]
                if not some:
                    break
                last = max(some, key=lambda each: each.rank).at
                result.append(last)
            last = max(last, following)
        return sorted(result)


def longest_blinks(directed: Directed, frames: int) -> np.ndarray:
    """Frames [T] after which eyes open again, sooner where blinks are frequent. directed: style of the gestures."""
    looks = directed.rows[:, Played._fields.index("looks")]
    return np.broadcast_to(LONGEST / over_frames(looks, frames), frames)


def open_at_ends(lids: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """Lids [T, n] of one face without the blinks that a take would begin or end in; and whether there was one at its beginning, its end."""
    result, most = lids.copy(), lids.max(1)
    frames, level, there = len(lids), float(np.median(most)), [False, False]
    for start, end in runs(most > level + _RAISED):
        if start < EDGE:
            while end < frames and most[end] < most[end - 1]:  # up to where it has opened them
                end += 1
            result[:end] = lids[min(end, frames - 1)]
            there[0] = True
        elif end > frames - EDGE:
            while start > 0 and most[start - 1] < most[start]:
                start -= 1
            result[start:] = lids[max(0, start - 1)]
            there[1] = True
    return result, there[0], there[1]


def _clear(at: float, blinks: Sequence[float]) -> bool:
    return all(abs(at - blink) >= _APART * FPS for blink in blinks)


def _possible(phrasing: Phrasing, seed: int) -> list[Moment]:
    """Moments of a seed's take at which a blink may be added: at any time, best where nobody speaks and least on stressed syllables."""
    rng = generator(seed, Stream.BLINKS)
    quiet, stressed = np.ones(phrasing.frames, bool), np.zeros(phrasing.frames, bool)
    for start, end in phrasing.phrases:
        quiet[start:end] = False
    for accent in phrasing.accents:
        stressed[max(0, accent - _SHUTS[1]) : max(0, accent - _SHUTS[0] + 1)] = True
    result = []
    for at in FPS * np.arange(_EVERY, phrasing.frames / FPS, _EVERY):
        u = rng.random(2)
        at += FPS * _VARIES * (2 * u[0] - 1)
        frame = min(max(0, int(at)), phrasing.frames - 1)
        result.append(Moment(float(at), float(u[1] + _IN_SILENCE * quiet[frame] + _STRESSED * stressed[frame])))
    for _, end in phrasing.phrases:
        u = rng.random(2)
        result.append(Moment(float(end + FPS * (_AFTER_PHRASE[0] + (_AFTER_PHRASE[1] - _AFTER_PHRASE[0]) * u[0])), float(u[1] + _AT_END)))
    return sorted(result)
