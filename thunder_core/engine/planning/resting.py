# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower face in silence, where the teacher leaves it at rest: lips press now and then, a face
swallows, corners and cheeks drift, nostrils follow the breath.

Nothing here parts the lips: every channel either presses them or moves both of them by as much.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...events import Nod
from ...filters import gaussian_kernel, minimum_jerk
from ...types import FPS
from ..speech.cues import Phrasing
from .plan import Manners

_SEED_RESTING = 17  # part of the seeds, which no other part has
# channels that move
LOWER_FACE = (
    *(f"{name}{side}" for name in ("mouthPress", "mouthSmile", "mouthFrown", "mouthDimple",
    "mouthStretch", "cheekSquint", "noseSneer")
      for side in ("Left", "Right")),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
)  # fmt: skip
_BREATHS_HERTZ = 0.24  # Hz
_LEAST_SILENCE = 3.0  # shortest silence in which a lower face moves, s
# It does not within these seconds of a phrase.
_AFTER = 0.4  # sounds fade
_BEFORE = 0.7  # the face breathes in
# seconds in which the drift begins after a phrase, and ends before the next
_EASES_IN, _EASES_OUT = 1.0, 0.8
_CALM_ENDS = 0.3  # time at both ends of a take in which no lips press, s
# least and most seconds from the start of a silence to the first press or swallow, and from one to
# the next
_FIRST_PRESS, _PRESS_EVERY = (0.4, 7.5), (5.0, 12.0)
_FIRST_SWALLOW, _SWALLOW_EVERY = (2.0, 18.0), (15.0, 30.0)
_LISTENER_RARITY = 1.4  # factor of these times for a listener
_APART = 1.2  # least time between a press and a swallow, s
# Least and most of what is drawn for each press and swallow.
_PRESS = (0.18, 0.32)  # size, channel value
_UNEVEN = 0.18  # largest share by which the sides of a press differ from it
_ROLLS = (0.2, 0.5)  # share of it by which lips roll in
_PRESSING = ((0.14, 0.24), (0.08, 0.34), (0.18, 0.32))  # rise, hold and fall, s
_SWALLOW = (0.15, 0.25)  # press of the lips in a swallow, channel value
_CHIN = (0.16, 0.28)  # rise of the chin
_DIP = (0.5, 1.2)  # dip of the head, degrees
_SWALLOWING = ((0.24, 0.34), (0.18, 0.34), (0.35, 0.55))  # rise, hold and fall, s
_DRIFT = 0.032  # standard deviation of the corners' drift, channel value
_DRIFT_HERTZ = 0.18
_DRIFT_MOST = 2.0  # standard deviations that it does not exceed
_TOGETHER = 0.8  # of the drift of both corners together
_APIECE = 0.6  # of the drift of each corner alone
_SIDEWAYS = 0.75  # drift that dimples or stretches corners, relative to up and down
_CHEEKS = 0.4  # cheeks' part in raised corners
_SOFTNESS = 0.15  # width of the change from raised to lowered, standard deviations
_NOSTRILS = 0.03  # largest noseSneer with the breath


def rest_spans(phrasing: Phrasing, listens: bool) -> list[tuple[int, int]]:
    """Frames (first, first after them) of a face that neither speaks nor is about to: all of them
    if it listens or idles."""
    if listens or not len(phrasing.phrases):
        return [(0, phrasing.frames)] if phrasing.frames >= _LEAST_SILENCE * FPS else []
    result = []
    for start, end in phrasing.silences:
        if end - start >= _LEAST_SILENCE * FPS:
            first = start + round(_AFTER * FPS) if start > 0 else start
            last = end - int(np.ceil(_BEFORE * FPS)) if end < phrasing.frames else end
            result.append((int(first), int(last)))
    return result


class Resting:
    """What a lower face does in silence: `channels`, {name: [T]} to be added, none below 0, and
    `dips` of the head in swallows."""

    def __init__(self, frames: int):
        self.frames = frames
        self.channels = {name: np.zeros(frames) for name in LOWER_FACE}
        self.dips = list[Nod]()
        # where lips press, and a face swallows: 0 or 1
        self.presses, self.swallows = np.zeros((2, frames))

    @classmethod
    def of(cls, phrasing: Phrasing, seed: int, how: Manners, listens: bool) -> Resting:
        """The resting face of a seed's take for a voice that it speaks or listens to."""
        made = cls(phrasing.frames)
        presses, swallows, drift, breath = (
            np.random.default_rng([_SEED_RESTING, part, seed % (1 << 32)]) for part in range(4)
        )
        corners = _draw_drift(phrasing.frames, drift)
        air = (
            1
            - np.sin(
                2 * np.pi * (_BREATHS_HERTZ * np.arange(phrasing.frames) / FPS + breath.random())
            )
        ) / 2
        for first, last in rest_spans(phrasing, listens):
            t = np.arange(first, last)
            felt = np.ones(len(t))
            if first > 0:
                felt *= minimum_jerk((t - first) / FPS / _EASES_IN)
            if last < phrasing.frames:
                felt *= minimum_jerk((last - t) / FPS / _EASES_OUT)
            for name, by in corners.items():
                made.channels[name][t] += felt * by[t]
            for name in ("noseSneerLeft", "noseSneerRight"):
                made.channels[name][t] += _NOSTRILS * felt * air[t]
            made.press_and_swallow(
                first, last, presses, swallows, how, _LISTENER_RARITY if listens else 1.0
            )
        return made

    def press_and_swallow(
        self, first: int, last: int, presses: np.random.Generator, swallows: np.random.Generator,
        how: Manners, rarity: float
    ) -> None:  # fmt: skip
        """Add presses of the lips and swallows to frames first … last. rarity: factor of the time
        between them."""
        begins = max(first, round(_CALM_ENDS * FPS))
        ends = min(last, self.frames - round(_CALM_ENDS * FPS))
        swallowed = []
        for each, u in _draw_moments(
            first, last, _FIRST_SWALLOW, _SWALLOW_EVERY, swallows, how, rarity
        ):
            times = _durations(_SWALLOWING, u)
            over = each + sum(times) * FPS
            swallowed.append((each, over))
            if each < begins or over > ends:
                continue
            self._press(each, times, _interpolate(_SWALLOW, u[3]), u[4] - 0.5, 0.0, 0.0)
            at, far = _bump(self.frames, each, *times)
            self.swallows[at] = 1.0
            self.channels["mouthShrugLower"][at] += _interpolate(_CHIN, u[5]) * far
            furthest = each / FPS + times[0]
            self.dips.append(
                Nod(
                    furthest,
                    np.array([_interpolate(_DIP, u[6]), 0.0, 0.0]),
                    times[0],
                    times[2],
                    furthest + times[1],
                )
            )
        for each, u in _draw_moments(first, last, _FIRST_PRESS, _PRESS_EVERY, presses, how, rarity):
            times = _durations(_PRESSING, u)
            over = each + sum(times) * FPS
            near = any(
                start - _APART * FPS < over and each < end + _APART * FPS
                for start, end in swallowed
            )
            if each >= begins and over <= ends and not near:
                self._press(
                    each,
                    times,
                    _interpolate(_PRESS, u[3]),
                    2 * u[4] - 1,
                    _interpolate(_ROLLS, u[5]),
                    _interpolate(_ROLLS, u[6]),
                )

    def _press(
        self,
        at: float,
        times: tuple[float, ...],
        size: float,
        uneven: float,
        lower: float,
        upper: float,
    ) -> None:
        """Press the lips from a frame on. times: rise, hold and fall, s.  uneven: −1 … 1, above 0
        the left more.  lower, upper: shares of its size by which the lips roll in."""
        frames, far = _bump(self.frames, at, *times)
        self.presses[frames] = 1.0
        sides = {"mouthPressLeft": 1 + _UNEVEN * uneven, "mouthPressRight": 1 - _UNEVEN * uneven}
        for name, by in {**sides, "mouthRollLower": lower, "mouthRollUpper": upper}.items():
            self.channels[name][frames] += size * by * far


def _draw_drift(frames: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """How corners and cheeks drift, [T] by channel, none below 0."""
    noise, result = smooth_noise(frames, 6, _DRIFT_HERTZ, rng), {}
    for i, side in enumerate(("Left", "Right")):
        raised, wide = (
            np.clip(
                _TOGETHER * noise[:, j] + _APIECE * noise[:, j + 1 + i], -_DRIFT_MOST, _DRIFT_MOST
            )
            for j in (0, 3)
        )
        result[f"mouthSmile{side}"], result[f"mouthFrown{side}"] = (
            _DRIFT * _soft_positive(raised),
            _DRIFT * _soft_positive(-raised),
        )
        result[f"cheekSquint{side}"] = _CHEEKS * result[f"mouthSmile{side}"]
        result[f"mouthDimple{side}"] = _SIDEWAYS * _DRIFT * _soft_positive(wide)
        result[f"mouthStretch{side}"] = _SIDEWAYS * _DRIFT * _soft_positive(-wide)
    return result


def _soft_positive(values: np.ndarray) -> np.ndarray:
    """The positive part of values, with a soft onset."""
    return (values + np.sqrt(values**2 + _SOFTNESS**2)) / 2


def _draw_moments(
    first: int, last: int, soonest: tuple[float, float], every: tuple[float, float],
    rng: np.random.Generator, how: Manners, rarity: float,
) -> Iterator[tuple[float, np.ndarray]]:  # fmt: skip
    """Events that come every so many seconds: the frame at which each begins, and seven numbers, 0
    … 1, that shape it."""
    u = rng.random(8)
    at = first + FPS * _interpolate(soonest, u[7]) * rarity
    while at < last:
        yield at, u[:7]
        u = rng.random(8)
        at += FPS * _interpolate(every, u[7]) * rarity / how.at(at / FPS).tempo


def _durations(times: tuple[tuple[float, float], ...], u: np.ndarray) -> tuple[float, ...]:
    return tuple(_interpolate(each, by) for each, by in zip(times, u))


def _interpolate(bounds: tuple[float, float], u: float) -> float:
    """The value at a share u, 0 … 1, of the way between two bounds."""
    return float(bounds[0] + (bounds[1] - bounds[0]) * u)


def _bump(
    frames: int, start: float, rise: float, hold: float, fall: float
) -> tuple[slice, np.ndarray]:
    """Frames of a movement of `rise`, `hold` and `fall` s that starts at a frame, and its progress,
    0 … 1."""
    first = max(0, int(np.floor(start)))
    last = min(frames, int(np.ceil(start + (rise + hold + fall) * FPS)) + 1)
    t = (np.arange(first, max(first, last)) - start) / FPS
    return slice(first, max(first, last)), minimum_jerk(t / rise) - minimum_jerk(
        (t - rise - hold) / fall
    )


def smooth_noise(frames: int, columns: int, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """Noise [T, columns] of about unit deviation, whose movements are slower than `hertz`.

    It is drawn from its first frame on, so that a longer take begins as a shorter one does.
    """
    deviation = FPS / (2 * np.pi * hertz)
    reach = int(3 * deviation) + 1
    kernel = gaussian_kernel(deviation, reach)
    noise = rng.standard_normal((frames + 2 * reach, columns))
    return np.stack(
        [np.convolve(column, kernel / np.linalg.norm(kernel), "valid") for column in noise.T], 1
    )
