# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower face in long silence: lips press now and then, a face swallows, corners and cheeks drift, nostrils follow the breath.

Nothing here parts the lips: every channel either presses them or moves both of them by as much. Speech and shorter pauses are left alone.
"""

from __future__ import annotations

import numpy as np

from ...types import FPS
from ..speech.phrasing import Phrasing
from .layer import bump, drift, eased, Layer
from .manner import Directed, generator, Stream

_LONG = 3.0  # shortest silence in which a lower face moves, s
_AFTER, _BEFORE = 0.4, 0.7  # time after a phrase and before the next in which it does not: sounds fade, and are breathed for; s
_EASES_IN, _EASES_OUT = 1.0, 0.8  # onset of the drift after a phrase, and its end before the next, s
_AT_ENDS = 0.3  # time at both ends of a take in which no lips press, s
_FIRST_PRESS, _PRESS_EVERY = (0.4, 7.5), (5.0, 12.0)  # time of the first press in a silence, and from one to the next, s
_FIRST_SWALLOW, _SWALLOW_EVERY = (2.0, 18.0), (15.0, 30.0)
_LISTENS = 1.4  # factor of these times for a listener
_APART = 1.2  # least time between a press and a swallow, s
_PRESS, _UNEVEN = (0.18, 0.32), 0.18  # size of a press, and share by which its sides differ at most from it
_ROLLS = (0.2, 0.5)  # share of it by which lips roll in
_PRESSING = ((0.14, 0.24), (0.08, 0.34), (0.18, 0.32))  # rise, hold and fall of a press, s
_SWALLOW, _CHIN, _DIP = (0.15, 0.25), (0.16, 0.28), (0.5, 1.2)  # press, rise of the chin, and dip of the head in degrees, in a swallow
_SWALLOWING = ((0.24, 0.34), (0.18, 0.34), (0.35, 0.55))
_CORNERS, _HERTZ = 0.032, 0.18  # standard deviation of the corners' drift, channel values, and its speed
_MOST = 2.0  # standard deviations beyond which it does not go
_TOGETHER, _APIECE = 0.8, 0.6  # shares of the drift that both corners have in common, and that each has
_SIDEWAYS = 0.75  # size of what dimples or stretches corners, relative to what raises or lowers them
_CHEEKS = 0.4  # cheeks' part in raised corners
_SOFT = 0.15  # width of the change from raised to lowered, standard deviations
_NOSTRILS = 0.03  # largest noseSneer with the breath


def restful(phrasing: Phrasing, listens: bool) -> list[tuple[int, int]]:
    """Frames (first, first after them) of a face that neither speaks nor is about to: all of them if it listens or idles."""
    if listens or not len(phrasing.phrases):
        return [(0, phrasing.frames)] if phrasing.frames >= _LONG * FPS else []
    result = []
    for start, end in phrasing.silences:
        if end - start >= _LONG * FPS:
            first = start + round(_AFTER * FPS) if start > 0 else start
            last = end - int(np.ceil(_BEFORE * FPS)) if end < phrasing.frames else end
            result.append((int(first), int(last)))
    return result


def rested(layer: Layer, phrasing: Phrasing, seed: int, directed: Directed, listens: bool, breath: np.ndarray) -> None:
    """Add the movement of a resting lower face to a layer. breath: [T] 0 … 1, air drawn in."""
    presses, swallows = generator(seed, Stream.LIP_PRESSES), generator(seed, Stream.SWALLOWS)
    corners = _drifting(phrasing.frames, generator(seed, Stream.CORNERS))
    for first, last in restful(phrasing, listens):
        t = np.arange(first, last)
        felt = np.ones(len(t))
        if first > 0:
            felt *= eased((t - first) / FPS / _EASES_IN)
        if last < phrasing.frames:
            felt *= eased((last - t) / FPS / _EASES_OUT)
        for name, by in corners.items():
            layer.lower(name)[t] += felt * by[t]
        for name in ("noseSneerLeft", "noseSneerRight"):
            layer.lower(name)[t] += _NOSTRILS * felt * breath[t]
        _press_and_swallow(layer, first, last, presses, swallows, directed, _LISTENS if listens else 1.0)


def _drifting(frames: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """How corners and cheeks drift, [T] by channel, none below 0."""
    noise, result = drift(frames, 6, _HERTZ, rng), {}
    for i, side in enumerate(("Left", "Right")):
        raised, wide = (np.clip(_TOGETHER * noise[:, j] + _APIECE * noise[:, j + 1 + i], -_MOST, _MOST) for j in (0, 3))
        result[f"mouthSmile{side}"], result[f"mouthFrown{side}"] = _CORNERS * _above(raised), _CORNERS * _above(-raised)
        result[f"cheekSquint{side}"] = _CHEEKS * result[f"mouthSmile{side}"]
        result[f"mouthDimple{side}"] = _SIDEWAYS * _CORNERS * _above(wide)
        result[f"mouthStretch{side}"] = _SIDEWAYS * _CORNERS * _above(-wide)
    return result


def _above(values: np.ndarray) -> np.ndarray:
    """What of values is above 0, without a corner there."""
    return (values + np.sqrt(values**2 + _SOFT**2)) / 2


def _press_and_swallow(
    layer: Layer, first: int, last: int, presses: np.random.Generator, swallows: np.random.Generator, directed: Directed, rarer: float
) -> None:  # fmt: skip
    """Add presses of the lips and swallows to frames first … last. rarer: factor of the time between them."""
    begins = max(first, round(_AT_ENDS * FPS))
    ends = min(last, layer.frames - round(_AT_ENDS * FPS))
    swallowed = []
    for each, u in _drawn(first, last, _FIRST_SWALLOW, _SWALLOW_EVERY, swallows, directed, rarer):
        times = _spent(_SWALLOWING, u)
        over = each + sum(times) * FPS
        swallowed.append((each, over))
        if each < begins or over > ends:
            continue
        _press(layer, each, times, _between(_SWALLOW, u[3]), u[4] - 0.5, 0.0, 0.0)
        at, far = bump(layer.frames, each, *times)
        layer.note("lower face", at, "a swallow")
        layer.lower("mouthShrugLower")[at] += _between(_CHIN, u[5]) * far
        layer.stroke(each + times[0] * FPS / 2, np.array([_between(_DIP, u[6]), 0, 0]), *times, "a swallow")
    for each, u in _drawn(first, last, _FIRST_PRESS, _PRESS_EVERY, presses, directed, rarer):
        times = _spent(_PRESSING, u)
        over = each + sum(times) * FPS
        near = any(start - _APART * FPS < over and each < end + _APART * FPS for start, end in swallowed)
        if each >= begins and over <= ends and not near:
            _press(layer, each, times, _between(_PRESS, u[3]), 2 * u[4] - 1, _between(_ROLLS, u[5]), _between(_ROLLS, u[6]))


def _press(layer: Layer, at: float, times: tuple[float, ...], size: float, uneven: float, lower: float, upper: float) -> None:
    """Press the lips from a frame on. times: rise, hold and fall, s.  uneven: −1 … 1, above 0 the left more.  lower, upper: shares of
    its size by which the lips roll in."""
    frames, far = bump(layer.frames, at, *times)
    layer.note("lower face", frames, "lips press")
    sides = {"mouthPressLeft": 1 + _UNEVEN * uneven, "mouthPressRight": 1 - _UNEVEN * uneven}
    for name, by in {**sides, "mouthRollLower": lower, "mouthRollUpper": upper}.items():
        layer.lower(name)[frames] += size * by * far


def _drawn(
    first: int, last: int, soonest: tuple[float, float], every: tuple[float, float],
    rng: np.random.Generator, directed: Directed, rarer: float,
) -> list[tuple[float, np.ndarray]]:  # fmt: skip
    """What comes every so many seconds: the frame at which each begins, and seven numbers, 0 … 1, that say how it is."""
    result, u = [], rng.random(8)
    at = first + FPS * _between(soonest, u[7]) * rarer
    while at < last:
        result.append((at, u[:7]))
        u = rng.random(8)
        at += FPS * _between(every, u[7]) * rarer / directed.at(at).tempo
    return result


def _spent(times: tuple[tuple[float, float], ...], u: np.ndarray) -> tuple[float, ...]:
    return tuple(_between(each, by) for each, by in zip(times, u))


def _between(bounds: tuple[float, float], u: float) -> float:
    return float(bounds[0] + (bounds[1] - bounds[0]) * u)
