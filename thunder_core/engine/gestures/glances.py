# SPDX-License-Identifier: GPL-3.0-or-later
"""Small glances for a gaze that would otherwise rest on one point for too long: where phrases end if possible, or with a blink. And the
return of a gaze that would still be away when a listener's take ends.

People who speak rarely look at one point for more than six to eight seconds. The model's gaze shifts about as often as *Eyes* asks, but
with long intervals in between: half a minute in some takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...animation.played import SACCADE, starts
from ...direction import over_frames
from ...filters import smoothstep
from ...rotation import angular_speed
from ...types import FPS
from ..speech.phrasing import Phrasing
from .manner import Directed, generator, Played, Stream

_RESTS = 6.0  # seconds for which the gaze of eyes that look away as often as usual may rest
_STEADIEST, _LIVELIEST = 0.8, 1.5  # least and most *Eyes* by which that time is divided
_EVERY, _VARIES = 0.8, 0.3  # interval between moments at which a glance may be added, and how far each is from it; s
_SIZE, _AT_PHRASES = (3.5, 6.0), (4.0, 9.0)  # turn of the eyes, degrees: on the way, and where a phrase ends
_LASTS = (0.5, 1.6)  # s; where a phrase ends until the next begins, if that is later than the first and sooner than the last
_EARLIEST = 0.5  # share of the longest rest after which a glance may come
_BLINK_NEAR = 0.8  # time within which a glance waits for a blink or comes sooner for it, s
_HOME, _BRIEFEST = 3.0, 0.4  # distance from its usual point at which a gaze is back, degrees; shortest look away before it returns, s
_FREE = 0.3  # least time between the end of a glance and the next shift, s


def saccade_seconds(degrees: float) -> float:
    """Seconds in which eyes turn by so many degrees."""
    return 0.03 + 0.003 * degrees


class Glance(NamedTuple):
    """A glance that may be added.

    at: its first frame.  frames: after which the gaze returns.  turned, lowered: degrees, as of `Layer.gaze`.
    ends_phrase: whether a phrase ends there.  rank: 0 … 1, by which one of several is chosen.
    """

    at: int
    frames: int
    turned: float
    lowered: float
    ends_phrase: bool
    rank: float


def longest_rests(directed: Directed, frames: int) -> np.ndarray:
    """Frames for which a gaze may rest on one point, [T]. directed: style of the gestures."""
    looks = over_frames(directed.rows[:, Played._fields.index("looks")], frames)
    return np.broadcast_to(FPS * _RESTS / np.clip(looks, _STEADIEST, _LIVELIEST), frames)


def possible_glances(phrasing: Phrasing, seed: int) -> list[Glance]:
    """The glances that a seed's take may make, by their frames."""
    rng, result = generator(seed, Stream.GLANCES), []
    for at in FPS * np.arange(_EVERY, phrasing.frames / FPS - _FREE, _EVERY):
        u = rng.random(5)
        lasts = _LASTS[0] + (_LASTS[1] - _LASTS[0]) * u[1]
        result.append(_glance(at + FPS * _VARIES * (2 * u[0] - 1), lasts, _SIZE, u[2:], False))
    for end, begins in phrasing.silences[1:]:
        u = rng.random(5)
        pause = (begins - end) / FPS
        lasts = pause if _LASTS[0] <= pause <= _LASTS[1] else _LASTS[0] + (_LASTS[1] - _LASTS[0]) * u[1]
        result.append(_glance(end, lasts, _AT_PHRASES, u[2:], True))
    return sorted(result)


def _glance(at: float, seconds: float, sizes: tuple[float, float], u: np.ndarray, ends_phrase: bool) -> Glance:
    size, angle = sizes[0] + (sizes[1] - sizes[0]) * u[0], np.pi * (2 * u[1] - 1)
    # Further to the sides than up and down.
    direction = np.array([np.cos(angle), 0.4 * np.sin(angle)])
    x, y = size * direction / np.linalg.norm(direction)
    return Glance(round(at), round(seconds * FPS), float(x), float(y), ends_phrase, float(u[2]))


def needed_glances(possible: Sequence[Glance], gaze: np.ndarray, lids: np.ndarray, rests: np.ndarray) -> list[Glance]:
    """Those of the possible glances that a gaze needs so that it rests nowhere for longer than `rests` frames [T].

    gaze: rotation vectors [T, 3] in the world.  lids: closure of the eyes [T], 0 … 1: a glance on the way comes with a blink near it.
    """
    frames, result, last = len(gaze), [], 0
    shifts = starts(np.degrees(angular_speed(gaze * np.array([1, 1, 0]))) > SACCADE)  # a head that tilts shifts no gaze
    blinks = starts(lids > 0.5)
    for shift in [*shifts.tolist(), frames]:
        while shift - last > rests[min(last, frames - 1)]:
            longest = rests[min(last, frames - 1)]
            some = [each for each in possible if last + _EARLIEST * longest <= each.at <= last + longest]
            free = [each for each in some if each.at + each.frames <= shift - _FREE * FPS]
            if not free:
                break
            best = max(free, key=lambda each: (each.ends_phrase, each.rank))
            if not best.ends_phrase and len(blinks):
                near = blinks[np.abs(blinks - best.at).argmin()]
                if abs(near - best.at) <= _BLINK_NEAR * FPS and near > last and near + 1 + best.frames <= shift - _FREE * FPS:
                    best = best._replace(at=int(near) + 1)
            result.append(best)
            last = best.at + best.frames
        last = max(last, shift)
    return result


def returned(gaze: np.ndarray, at: float) -> np.ndarray:
    """A gaze [T, 3], rotation vectors in the world, that is back where it usually rests from frame `at` on, and stays near it.

    A look away that would begin shortly before does not begin.
    """
    usual = np.median(gaze, 0)
    away = np.degrees(np.linalg.norm((gaze - usual)[:, :2], axis=1))
    first = last = int(min(max(0.0, at), len(gaze) - 1))
    while first > 0 and away[first - 1] > _HOME:
        first -= 1
    lasts = saccade_seconds(float(away[last:].max()))
    if last - first < _BRIEFEST * FPS:
        at = first - lasts * FPS
    back = smoothstep(np.clip((np.arange(len(gaze)) - at) / FPS / lasts, 0, 1))
    return usual + (gaze - usual) * (1 - back * (1 - _HOME / np.maximum(away, _HOME)))[:, None]
