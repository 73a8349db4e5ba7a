# SPDX-License-Identifier: GPL-3.0-or-later
"""A face in silence: the head drifts, breathes and sometimes changes its pose, brows and lids move slightly, the gaze wanders, lips press
now and then, a face swallows, corners and cheeks drift, nostrils follow the breath.

In pauses between phrases there is only the drift and the breath, which never stop; the longer silence lasts the more of the rest. Nothing
here parts the lips: every channel either presses them or moves both of them by as much."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...filters import eased
from ...types import FPS
from ..speech.phrasing import Phrasing
from .layer import blurred, bump, drift, Layer
from .manner import between, brow_shape, Directed, generator, Manner, Stream

# ---- head, brows and gaze

_STIR, _STIR_HERTZ = 0.3, 0.35  # small movement at all times: degrees, and speed
_BREATH, _BREATH_HERTZ = 0.2, 0.26  # nod with the breath: degrees, and rate
_DRIFT, _DRIFT_HERTZ = np.array([1.0, 2.0, 1.3]), 0.12  # drift of an idle head: degrees, and speed
_POSE = np.array([1.3, 3.0, 2.2])  # standard deviation of the poses, degrees
_POSE_LASTS = (1.2, 3.6)  # time between changes of pose, s
_TURNS = (1.0, 2.0)  # length of a change of pose, s
_IDLE_AFTER, _RISE, _FALL = 1.4, 1.2, 0.7  # silence after which a face is idle, its onset, and its end before speech, s
_BROWS, _BROW_HERTZ = 0.03, 0.3
_RAISES_EVERY, _RAISE = 6.0, (0.06, 0.16)
_LOOKS_EVERY, _LOOKS_LAST, _LOOK = 3.6, (0.5, 2.0), (4.0, 11.0)  # looks away: mean interval, s; length, s; size, degrees
_BLINKS_WITH_LOOKS = 0.35
_DROOP = 0.04


def idleness(phrasing: Phrasing) -> np.ndarray:
    """Idleness of a face [T], 0 … 1: 1 in long silence, and throughout a sound without speech."""
    result = np.zeros(phrasing.frames)
    if not len(phrasing.phrases):
        return result + 1
    for i, (start, end) in enumerate(phrasing.silences):
        if (end - start) / FPS > _IDLE_AFTER + _FALL:
            t = np.arange(start, end)
            begun = np.ones(len(t)) if i == 0 else np.clip(((t - start) / FPS - _IDLE_AFTER) / _RISE, 0, 1)
            over_soon = np.ones(len(t)) if end == phrasing.frames else np.clip((end - t) / FPS / _FALL, 0, 1)
            result[t] = np.minimum(begun, over_soon)
    return blurred(result[:, None], 4.0)[:, 0]


def alive(layer: Layer, phrasing: Phrasing, seed: int, manner: Manner, directed: Directed, listens: bool = False) -> None:
    """Add idle movement to a layer. directed: style of the gestures.  listens: the face listens to the voice that is phrased so."""
    frames, rng, how = phrasing.frames, generator(seed, Stream.STIR), directed.usual
    idle = idleness(phrasing)
    layer.head += _STIR * drift(frames, 3, _STIR_HERTZ, rng)
    phase, slower = rng.random(), 0.8 + 0.4 * rng.random()
    breath = np.sin(2 * np.pi * (_BREATH_HERTZ * slower * np.arange(frames) / FPS + phase))
    layer.head[:, 0] += _BREATH * breath
    rested(layer, phrasing, seed, directed, listens, (1 - breath) / 2)  # the head rises as air comes in
    if not idle.any():
        return
    size = min(2.0, how.head) ** 0.7
    still = _poses(frames, seed, manner, how.tempo) + _DRIFT * drift(frames, 3, _DRIFT_HERTZ, generator(seed, Stream.IDLE_DRIFT))
    layer.head += size * idle[:, None] * still
    stir = drift(frames, 4, _BROW_HERTZ, generator(seed, Stream.IDLE_BROWS))
    layer.brows += _BROWS * idle[:, None] * stir[:, :3]
    layer.droop += _DROOP * idle * (1 + stir[:, 3]).clip(0)
    _raises_and_looks(layer, idle, seed, manner, directed)


def _poses(frames: int, seed: int, manner: Manner, tempo: float) -> np.ndarray:
    """Rotation of a head that sometimes changes from one pose to another, degrees [T, 3]."""
    rng = generator(seed, Stream.IDLE_POSES)
    t, result, now, at = np.arange(frames) / FPS, np.zeros((frames, 3)), 0.7 * _POSE * manner.pose, 0.0
    result += now
    at = rng.uniform(0.3, _POSE_LASTS[1])
    while at < frames / FPS:
        lasts = rng.uniform(*_TURNS) / tempo
        pose = _POSE * (0.5 * manner.pose + 0.8 * rng.standard_normal(3).clip(-2, 2))
        first = int(at * FPS)
        result[first:] += eased((t[first:] - at) / lasts)[:, None] * (pose - now)
        now, at = pose, at + lasts + rng.uniform(*_POSE_LASTS) / tempo
    return result


def _raises_and_looks(layer: Layer, idle: np.ndarray, seed: int, manner: Manner, directed: Directed) -> None:
    seconds = len(idle) / FPS
    rng, at = generator(seed, Stream.IDLE_RAISES), 0.0
    while True:
        at += 1.0 + rng.exponential(_RAISES_EVERY)
        u = rng.random(6)
        if at >= seconds:
            break
        how = directed.at(at * FPS)
        size = how.brows * manner.brow_size * between(_RAISE, u[0]) * idle[int(at * FPS)]
        kinds = np.cumsum(manner.brow_kinds)
        raised, knit = brow_shape(int(min(np.searchsorted(kinds, u[1]), 3)), size, 1.0 if u[2] < 0.5 + 0.4 * manner.side else -1.0)
        layer.move_brows(at * FPS, raised, knit, 0.25 + 0.15 * u[3], 0.2 + 0.8 * u[4], 0.5 + 0.5 * u[5], "brows move in silence")
    rng, at = generator(seed, Stream.IDLE_LOOKS), 0.0
    while True:
        at += 0.6 + rng.exponential(_LOOKS_EVERY / directed.usual.looks)
        u = rng.random(6)
        if at >= seconds:
            break
        lasts = between(_LOOKS_LAST, u[0])
        if idle[int(at * FPS)] > 0.8 and idle[min(len(idle) - 1, int((at + lasts) * FPS))] > 0.5:
            far, angle = between(_LOOK, u[1]), 2 * np.pi * u[2]
            layer.look(at * FPS, far * np.array([np.cos(angle), 0.6 * np.sin(angle)]), lasts, "a look away in silence")
            if u[3] < _BLINKS_WITH_LOOKS:
                layer.blink(at * FPS, "a blink with a look away")
        at += lasts


# ---- the lower face

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
        _press(layer, each, times, between(_SWALLOW, u[3]), u[4] - 0.5, 0.0, 0.0)
        at, far = bump(layer.frames, each, *times)
        layer.note("lower face", at, "a swallow")
        layer.lower("mouthShrugLower")[at] += between(_CHIN, u[5]) * far
        layer.stroke(each + times[0] * FPS / 2, np.array([between(_DIP, u[6]), 0, 0]), *times, "a swallow")
    for each, u in _drawn(first, last, _FIRST_PRESS, _PRESS_EVERY, presses, directed, rarer):
        times = _spent(_PRESSING, u)
        over = each + sum(times) * FPS
        near = any(start - _APART * FPS < over and each < end + _APART * FPS for start, end in swallowed)
        if each >= begins and over <= ends and not near:
            _press(layer, each, times, between(_PRESS, u[3]), 2 * u[4] - 1, between(_ROLLS, u[5]), between(_ROLLS, u[6]))


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
) -> Iterator[tuple[float, np.ndarray]]:  # fmt: skip
    """What comes every so many seconds: the frame at which each begins, and seven numbers, 0 … 1, that say how it is."""
    u = rng.random(8)
    at = first + FPS * between(soonest, u[7]) * rarer
    while at < last:
        yield at, u[:7]
        u = rng.random(8)
        at += FPS * between(every, u[7]) * rarer / directed.at(at).tempo


def _spent(times: tuple[tuple[float, float], ...], u: np.ndarray) -> tuple[float, ...]:
    return tuple(between(each, by) for each, by in zip(times, u))
