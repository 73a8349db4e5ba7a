# SPDX-License-Identifier: GPL-3.0-or-later
"""The events that a performance plans, and their curves: what head, brows, gaze, lids and breath do
besides small movement. Lips are not among them: the model hears what they do.

The diffusion model is conditioned on them (`engine.diffusion.Denoiser`), so it carries a planned
nod or blink out with everything that goes along with it. The teacher's performances come with the
curves of the events that it played.
"""

from dataclasses import dataclass, field

import numpy as np

# Curves and the size of a usual event. nod, turn, tilt: of the head, degrees.  raise: of inner,
# left and right outer brow, channel values; knit: of both.  look: degrees that the gaze in the
# world turns and is lowered.  blink: closure of the lids, 0 … 1.  breath: of an inhalation, 0 … 1.
# side: −1 or 1, to which side a mood turns and tilts the head and doubt raises a brow, above 0 the
# left.
_SIZES = {
    "nod": 3.0, "turn": 3.0, "tilt": 3.0, "raise_inner": 0.2, "raise_left": 0.2, "raise_right": 0.2,
    "knit": 0.2,
    "look_turn": 5.0, "look_lower": 5.0, "blink": 1.0, "breath": 1.0, "side": 1.0,
}  # fmt: skip
EVENTS = tuple(_SIZES)
SIZES = np.array(list(_SIZES.values()), np.float32)
HEAD, BROW_COLUMNS, KNIT, LOOK = slice(0, 3), slice(3, 6), 6, slice(7, 9)
BLINK, BREATH, SIDE = 9, 10, 11


@dataclass(frozen=True)
class Nod:
    """A stroke of the head and back. at: s of its furthest point.  degrees [3]: nod, turn, tilt.
    down, back: s.

    until: s at which it begins to go back; as long as it takes if that is later than `at`.
    """

    at: float
    degrees: np.ndarray
    down: float
    back: float
    until: float


@dataclass(frozen=True)
class Raise:
    """Brows up (or knit) and back. at: s at which they rise fastest.  height: of a channel.  rise,
    hold, fall: s.

    lean: how much more the left brow does it than the right one, as a share.  outer: how much of it
    the outer brow does.
    """

    at: float
    height: float
    rise: float
    hold: float
    fall: float
    lean: float = 0.0
    outer: float = 0.8


@dataclass(frozen=True)
class Look:
    """A gaze target. degrees [2]: turned and lowered, of the gaze in the world."""

    at: float
    degrees: np.ndarray


@dataclass(frozen=True)
class Blink:
    """Lids down and up again. at: s at which they shut.  length: against a usual one.  depth: how
    far they shut, 0 … 1."""

    at: float
    length: float
    depth: float = 1.0


@dataclass
class Plan:
    """Everything an upper face does; each list in order of time. side: to which a mood inclines it,
    −1 or 1 (the left).  signals [T, 9]: how a person moves besides (`people.SIGNALS`), None: at
    rest."""

    side: float = 1.0
    signals: np.ndarray | None = None
    nods: list[Nod] = field(default_factory=list)
    raises: list[Raise] = field(default_factory=list)
    knits: list[Raise] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    blinks: list[Blink] = field(default_factory=list)
    # (start of the inhalation in s, its amount)
    breaths: list[tuple[float, float]] = field(default_factory=list)
