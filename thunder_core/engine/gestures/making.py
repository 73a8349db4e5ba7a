# SPDX-License-Identifier: GPL-3.0-or-later
"""All gestures of a take together."""

from __future__ import annotations

import numpy as np

from ..speech.phrasing import Phrasing
from .carriage import carried, drawn_together
from .glances import longest_rests, possible_glances
from .idle import alive
from .layer import drift, Layer
from .listener import answered
from .manner import Directed, generator, manner_of, Stream
from .open_eyes import Blinks, longest_blinks
from .speaker import breathe, livelier, marked

_VARIES, _VARIES_HERTZ = 0.17, 0.13  # standard deviation of a mood's strength over a line, and speed of its changes


def layer_of(
    phrasing: Phrasing, seed: int, spread: float, styles: np.ndarray | None, listens: bool, turned: bool = False
) -> Layer:  # fmt: skip
    """The gestures of a seed's take for a voice that the face speaks, or `listens` to.

    spread: 0 … 1, variation of takes around the request.  styles: [1 or T, DIRECTION_NAMES], the take's direction; None: the usual one.
    turned: the take doubts with the other side than the model (`sides.mirrored`).
    """
    layer, manner, directed = Layer.of(phrasing.frames), manner_of(seed, spread), Directed.of(styles, turned)
    (answered if listens else marked)(layer, phrasing, seed, manner, directed)
    alive(layer, phrasing, seed, manner, directed, listens)
    layer.brows[:, 1:] *= directed.brow_sides
    layer.felt += _VARIES * drift(phrasing.frames, 1, _VARIES_HERTZ, generator(seed, Stream.FELT))[:, 0]
    layer.lively += livelier(directed, phrasing.frames)
    carried(layer, seed, spread, styles)
    drawn_together(layer, styles)
    layer.longest, layer.blinks = longest_blinks(directed, phrasing.frames), Blinks.of(phrasing, seed, directed)
    layer.rests, layer.glances = longest_rests(directed, phrasing.frames), possible_glances(phrasing, seed)
    return layer


def breaths_of(phrasing: Phrasing, seed: int) -> Layer:
    """The breaths alone of a seed's take for a voice that the face speaks."""
    layer = Layer.of(phrasing.frames)
    breathe(layer, phrasing, seed)
    return layer
