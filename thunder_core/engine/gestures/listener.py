# SPDX-License-Identifier: GPL-3.0-or-later
"""A listener's answers to a voice: a nod or two, a blink or a new pose shortly after its phrases end, brows after its accents."""

from __future__ import annotations

import numpy as np

from ...types import FPS
from ..speech.phrasing import Phrasing
from .layer import eased, Layer
from .manner import Directed, evenly, generator, Manner, Stream
from .speaker import at_most, brow_shape

_SHORTEST = 0.5  # shortest phrase whose end is answered, s
_NODS, _BLINKS, _POSES, _BROWS = 0.75, 0.4, 0.3, 0.15  # shares of phrase ends that are answered with each gesture
_MOST = 0.63  # largest share of takes that answer one phrase's end with a nod, so that listeners to a voice differ
_LATE, _AROUND = 0.32, 0.1  # delay after the end, and its standard deviation, s
_DEGREES = (2.4, 5.0)  # size of the first nod, degrees; the next are smaller
_FADES = 0.6
_AGAIN = (0.55, 0.88)  # shares of answers with one nod, and with at most two
_DOWN, _UP = (0.16, 0.22), 1.3  # time of the downward movement, s, and that of the upward one, relative to it
_POSE, _TURNS = np.array([0.8, 2.2, 1.6]), 1.1  # size of a change of pose, degrees, and its length, s
_BACK = (0.7, 1.6)  # time before the take's end from which the gaze is back at the partner, s


def answered(layer: Layer, phrasing: Phrasing, seed: int, manner: Manner, directed: Directed) -> None:
    """Add a listener's answers to a layer; phrasing: of the voice it listens to."""
    rng = generator(seed, Stream.ANSWERS)
    now, nods = np.zeros(3), evenly(seed, Stream.NODS_BACK, Stream.NODS_BACK_TURNS, (len(phrasing.phrases),))
    for (start, end), nod in zip(phrasing.phrases, nods):
        u, z = rng.random(9), rng.standard_normal(5).clip(-2, 2)
        if (end - start) / FPS < _SHORTEST or end >= phrasing.frames:
            continue
        how = directed.at(end)
        at = end + FPS * float(np.clip(_LATE + _AROUND * z[0], 0.12, 0.6))
        if nod < min(_MOST, _NODS * how.head**0.3 * (0.6 + 0.65 * manner.nods)):
            size, when = at_most(how.head * manner.head_size * (_DEGREES[0] + (_DEGREES[1] - _DEGREES[0]) * u[1])), at
            down = (_DOWN[0] + (_DOWN[1] - _DOWN[0]) * u[2] + 0.02 * size) / how.tempo
            for _ in range(1 + int(np.searchsorted(_AGAIN, u[3]))):
                if when + (0.5 + _UP) * down * FPS > phrasing.frames:  # a take does not end in the middle of a nod
                    break
                layer.stroke(when, np.array([size, 0.1 * size * z[1], 0.1 * size * z[2]]), down, 0.0, _UP * down, "a nod after a phrase")
                when, size = when + 2.5 * down * FPS, _FADES * size
        if u[4] < _BLINKS:
            layer.blink(at + FPS * 0.15 * (2 * u[5] - 1), "a blink after a phrase")
        if u[6] < _BROWS:
            raised, knit = brow_shape(0 if u[7] < 0.7 else 2, 0.1 * how.brows * manner.brow_size, np.sign(manner.side) or 1.0)
            layer.move_brows(at, raised, knit, 0.2, 0.2 + 0.4 * u[8], 0.5, "brows answer a phrase")
        if u[7] < _POSES and at + _TURNS * FPS <= phrasing.frames:
            pose = how.head * _POSE * z[2:5]
            first = int(at)
            t = np.arange(first, phrasing.frames)
            layer.head[t] += eased((t - at) / FPS / _TURNS)[:, None] * (pose - now)
            now = pose
    layer.returns = phrasing.frames - FPS * generator(seed, Stream.GAZE_RETURNS).uniform(*_BACK)
