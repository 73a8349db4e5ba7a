# SPDX-License-Identifier: GPL-3.0-or-later
"""Idle movement of a face in silence: the head drifts, breathes and sometimes changes its pose, brows and lids move slightly, the gaze
wanders, and the lower face moves as in `resting`.

In pauses between phrases there is only the drift and the breath, which never stop; the longer silence lasts the more of the rest.
"""

from __future__ import annotations

import numpy as np

from ...types import FPS
from ..speech.phrasing import Phrasing
from .layer import blurred, drift, eased, Layer
from .manner import Directed, generator, Manner, Stream
from .resting import rested
from .speaker import brow_shape

_STIR, _STIR_HERTZ = 0.3, 0.35  # small movement at all times: degrees, and speed
_BREATH, _BREATH_HERTZ = 0.2, 0.26  # nod with the breath: degrees, and rate
_DRIFT, _DRIFT_HERTZ = np.array([1.0, 2.0, 1.3]), 0.12  # drift of an idle head: degrees, and speed
_POSE = np.array([1.3, 3.0, 2.2])  # standard deviation of the poses, degrees
_RESTS = (1.2, 3.6)  # time between changes of pose, s
_TURNS = (1.0, 2.0)  # length of a change of pose, s
_LONG, _RISE, _FALL = 1.4, 1.2, 0.7  # silence after which a face is idle, its onset, and its end before speech, s
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
        if (end - start) / FPS > _LONG + _FALL:
            t = np.arange(start, end)
            begun = np.ones(len(t)) if i == 0 else np.clip(((t - start) / FPS - _LONG) / _RISE, 0, 1)
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
    at = rng.uniform(0.3, _RESTS[1])
    while at < frames / FPS:
        lasts = rng.uniform(*_TURNS) / tempo
        pose = _POSE * (0.5 * manner.pose + 0.8 * rng.standard_normal(3).clip(-2, 2))
        first = int(at * FPS)
        result[first:] += eased((t[first:] - at) / lasts)[:, None] * (pose - now)
        now, at = pose, at + lasts + rng.uniform(*_RESTS) / tempo
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
        size = how.brows * manner.brow_size * (_RAISE[0] + (_RAISE[1] - _RAISE[0]) * u[0]) * idle[int(at * FPS)]
        kinds = np.cumsum(manner.brow_kinds)
        raised, knit = brow_shape(int(min(np.searchsorted(kinds, u[1]), 3)), size, 1.0 if u[2] < 0.5 + 0.4 * manner.side else -1.0)
        layer.move_brows(at * FPS, raised, knit, 0.25 + 0.15 * u[3], 0.2 + 0.8 * u[4], 0.5 + 0.5 * u[5], "brows move in silence")
    rng, at = generator(seed, Stream.IDLE_LOOKS), 0.0
    while True:
        at += 0.6 + rng.exponential(_LOOKS_EVERY / directed.usual.looks)
        u = rng.random(6)
        if at >= seconds:
            break
        lasts = _LOOKS_LAST[0] + (_LOOKS_LAST[1] - _LOOKS_LAST[0]) * u[0]
        if idle[int(at * FPS)] > 0.8 and idle[min(len(idle) - 1, int((at + lasts) * FPS))] > 0.5:
            far, angle = _LOOK[0] + (_LOOK[1] - _LOOK[0]) * u[1], 2 * np.pi * u[2]
            layer.look(at * FPS, far * np.array([np.cos(angle), 0.6 * np.sin(angle)]), lasts, "a look away in silence")
            if u[3] < _BLINKS_WITH_LOOKS:
                layer.blink(at * FPS, "a blink with a look away")
        at += lasts
