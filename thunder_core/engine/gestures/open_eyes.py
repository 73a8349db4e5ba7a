# SPDX-License-Identifier: GPL-3.0-or-later
"""Lids that open and shut: blinks for eyes that would otherwise stay open too long, where phrases begin and end if possible, and shorter
ones where they are frequent.

The model's blinks become rarer with the slider *Eyes*, and in some takes they cease; eyes that never blink look dead. High on the slider
they come so often that they run together, and the eyes would be shut for half a second.
"""

from __future__ import annotations

import numpy as np

from ...direction import over_frames
from ...types import FPS
from ..speech.phrasing import Phrasing
from .layer import Layer
from .manner import Directed, generator, Played

_EVERY, _VARIES = 1.5, 0.3  # interval between moments at which a blink may be added, and how far each is from it; s
_NEAR = 0.7  # distance within which such a moment moves to the beginning or end of a phrase, s
_OPEN = 4.5  # seconds without a blink before and after an added one, of eyes that blink as often as usual
_STEADIEST = 0.35  # least *Eyes* by which that time is divided
_LONGEST = 12.0  # frames for which a blink shuts eyes that blink as often as usual


def shorten_blinks(layer: Layer, directed: Directed) -> None:
    """Let a layer open the eyes sooner where blinks are frequent. directed: style of the gestures."""
    looks = directed.rows[:, Played._fields.index("looks")]
    layer.longest[:] = _LONGEST / over_frames(looks, layer.frames)


def add_blinks(layer: Layer, phrasing: Phrasing, seed: int, directed: Directed) -> None:
    """Add the blinks to a layer that its take makes where it has no others. directed: style of the gestures."""
    rng, edges = generator(seed, 12), phrasing.phrases.ravel()
    for moment in FPS * np.arange(_EVERY, phrasing.frames / FPS, _EVERY):
        at = moment + FPS * rng.uniform(-_VARIES, _VARIES)
        if len(edges) and np.abs(edges - at).min() <= _NEAR * FPS:
            at = float(edges[np.abs(edges - at).argmin()])
        layer.spare.append((at, FPS * _OPEN / float(np.clip(directed.at(at).looks, _STEADIEST, 1.0))))
