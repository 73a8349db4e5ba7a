# SPDX-License-Identifier: GPL-3.0-or-later
"""All gestures of a take together, and to which side it inclines its head and looks.

The model, as its teacher, tilts every head to one side in a mood, by two to seven degrees: the left, in doubt the right. Half of the takes
are turned into their mirror image here, in head and gaze, and those in doubt in brows and lids. The mouth stays: what lips do on one side
belongs to the sounds, and the score knows it. So does contempt, whose head goes with its smile.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...channels import BLINKS, BROWS, Columns, LIDS
from ...direction import AXES, DIRECTION_NAMES
from ..speech.phrasing import Phrasing
from .carriage import carried, drawn_together
from .glances import longest_rests, possible_glances
from .idle import alive
from .layer import drift, Layer
from .listener import answered
from .manner import Directed, generator, manner_of, Stream
from .open_eyes import Blinks, longest_blinks
from .speaker import breathe, livelier, marked

_STEP = 0.7548776662466927  # of few takes with consecutive seeds as many incline to one side as to the other
_KEEPS = 0.5  # strength of contempt from which it keeps its side, and of doubt from which heads tilt to its side
_ASKED = 3.0  # how surely the raised brow of doubt is on the side of *Asymmetry*: nine times of ten at a third of its range
_TELLS = np.radians(1.0)  # mean tilt of a head that shows to which side it inclines
_ASYMMETRY = DIRECTION_NAMES.index("asymmetry")
_CONTEMPT, _DOUBT = (DIRECTION_NAMES.index(f"mood.{name}") for name in ("contemptuous", "doubtful"))
_VARIES, _VARIES_HERTZ = 0.17, 0.13  # standard deviation of a mood's strength over a line, and speed of its changes


def mirrored(seed: int, style: np.ndarray | None) -> bool:
    """Whether a seed's take in a style [1 or T, DIRECTION_NAMES] is the mirror image of what the model makes; None: in any style."""
    share = 0.5
    if style is not None:
        if style[:, _CONTEMPT].max() > _KEEPS:
            return False
        if doubts(style):
            share += 0.5 * float(np.tanh(_ASKED * AXES[_ASYMMETRY].speakers * style[:, _ASYMMETRY].mean()))
    return bool((seed % (1 << 32)) * _STEP % 1 < share)


def mirrored_as(head: np.ndarray, kept: np.ndarray, style: np.ndarray | None) -> bool | None:
    """The same of takes that go on from a head [T, 3], radians, kept in the frames `kept`, bool [T]; None if it shows no side."""
    tilt = float(head[kept, 2].mean()) if kept.any() else 0.0
    usual = -1.0 if style is not None and style[:, _DOUBT].max() > _KEEPS else 1.0
    return tilt * usual < 0 if abs(tilt) > _TELLS else None


def doubts(style: np.ndarray) -> bool:
    """Whether a style raises one brow of which a take draws the side."""
    return bool(style[:, _DOUBT].max() > 0)


class Mirror:
    """Mirrors head and gaze of packed motions [..., n + 9]; with their brows and lids, or without."""

    def __init__(self, channels: Sequence[str]):
        """channels: names of the expression's columns."""
        columns, places = Columns(len(channels)), {name: i for i, name in enumerate(channels)}
        self.signs = np.ones(columns.count, np.float32)
        self.signs[columns.head.start + 1 : columns.head.stop] = -1  # turns and tilts
        self.signs[columns.eyes.start + 1 : columns.eyes.stop] = -1
        self.order = np.arange(columns.count)
        for name, i in places.items():
            if name.startswith((*BROWS, *LIDS, *BLINKS)) and name.endswith("Left"):
                other = places.get(name.removesuffix("Left") + "Right", i)
                self.order[[i, other]] = other, i

    def __call__(self, x: np.ndarray, brows: bool) -> np.ndarray:
        """Packed motions."""
        return self.places(x, brows) * self.signs

    def places(self, x: np.ndarray, brows: bool) -> np.ndarray:
        """The same for what is said of each column, as a mask."""
        return x[..., self.order] if brows else x


def layer_of(
    phrasing: Phrasing, seed: int, spread: float, styles: np.ndarray | None, listens: bool, turned: bool = False
) -> Layer:  # fmt: skip
    """The gestures of a seed's take for a voice that the face speaks, or `listens` to.

    spread: 0 … 1, variation of takes around the request.  styles: [1 or T, DIRECTION_NAMES], the take's direction; None: the usual one.
    turned: the take doubts with the other side than the model (`mirrored`).
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
