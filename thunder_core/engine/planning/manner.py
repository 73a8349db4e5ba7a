# SPDX-License-Identifier: GPL-3.0-or-later
"""Behaviour of the upper face under a direction: sizes and rates of nods, raises, blinks and looks, and each mood's changes to them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ...direction import Direction, HABITS, Habits, NEUTRAL
from ...types import FPS


@dataclass(frozen=True)
class Manner:
    """Sizes, rates and postures of one performance.

    Factors, 1 as usual: tempo (quickness of movements), sway, nods, raises, looks (how often the gaze leaves), linger (for how
    long), restless (how often it moves where it is), blinks, blink_length.  Channel values at full mood, which varies over time: inner,
    outer, down, wide, squint, droop.  knits: brows drawn together on accents, 0 … 1.  upward: share of accents on which the head jerks up.
    one_sided: −1 … 1, surplus of the left brow.  pose: degrees that the head nods, turns and tilts on average.  aside: degrees that
    the gaze turns and lowers where it leaves.  side: to which the face inclines, −1 or 1 (the left), 0:
    either.  tremble, shake: degrees of quick trembling and of slow shaking of the head.
    """

    tempo: float = 1.0
    sway: float = 1.0
    nods: float = 1.0
    raises: float = 1.0
    looks: float = 1.0
    linger: float = 1.0
    restless: float = 1.0
    blinks: float = 1.0
    blink_length: float = 1.0
    inner: float = 0.0
    outer: float = 0.0
    down: float = 0.0
    wide: float = 0.0
    squint: float = 0.0
    droop: float = 0.0
    knits: float = 0.0
    upward: float = 0.08
    one_sided: float = 0.0
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    aside: tuple[float, float] = (0.0, 0.0)
    side: float = 0.0
    tremble: float = 0.0
    shake: float = 0.0


USUAL = Manner()
_HELD = ("nods", "raises", "knits", "inner", "outer", "down", "wide", "squint", "droop")  # never below 0

# What every mood does at full strength besides `direction.HABITS`. The mood's changes of sliders (`direction.MOODS`) are added.
_MOODS = {
    NEUTRAL: USUAL,
    "warm": Manner(linger=0.8, inner=0.14, squint=0.42, pose=(-0.5, 0.0, 4.0), blink_length=1.1),
    "amused": Manner(restless=1.2, inner=0.08, outer=0.2, squint=0.65, upward=0.3, pose=(-2.0, 0.0, 1.5), shake=1.4),
    "sad": Manner(linger=1.8, restless=0.6, blink_length=1.5, inner=0.8, down=0.12, droop=0.3,
                  pose=(5.0, 0.0, 2.5), aside=(0.0, 9.0)),
    "tense": Manner(sway=0.7, restless=1.6, blinks=1.1, down=0.42, squint=0.42, wide=0.1, knits=0.3, upward=0.05,
                    tremble=0.06),
    "angry": Manner(linger=0.6, restless=0.7, blinks=0.75, down=0.75, wide=0.3, squint=0.45, knits=0.8,
                    upward=0.03, pose=(3.5, 0.0, 0.0)),
    "afraid": Manner(sway=0.8, linger=0.5, restless=2.0, blinks=0.8, inner=0.8, outer=0.4, down=0.25, wide=0.75,
                     pose=(-2.5, 0.0, 0.0), aside=(4.0, 0.0), tremble=0.16),
    "surprised": Manner(restless=1.1, blinks=0.9, inner=0.65, outer=0.75, wide=0.75, upward=0.5,
                        pose=(-3.0, 0.0, 0.0)),
    "disgusted": Manner(down=0.62, squint=0.65, knits=0.5, upward=0.3, pose=(-3.0, 4.0, 1.5), aside=(6.0, 3.0),
                        shake=0.8),
    "contemptuous": Manner(linger=1.3, restless=0.6, blinks=0.8, blink_length=1.3, outer=0.45, droop=0.28,
                           upward=0.3, pose=(-5.0, 2.0, 3.0), aside=(7.0, 2.0), side=1.0),
    "doubtful": Manner(linger=1.2, outer=0.45, down=0.3, squint=0.3, pose=(0.5, 0.0, -6.0),
                       aside=(5.0, -4.0), shake=1.6),
    "bored": Manner(linger=2.2, restless=0.5, blinks=0.9, blink_length=1.7, droop=0.4,
                    pose=(2.0, 1.0, 5.0), aside=(4.0, 3.0)),
}  # fmt: skip
MOODS: dict[str, Manner] = {name: replace(manner, **HABITS.get(name, Habits())._asdict()) for name, manner in _MOODS.items()}


def _blend(usual, other, share: float):
    if isinstance(usual, tuple):
        return tuple(_blend(a, b, share) for a, b in zip(usual, other))
    return usual + share * (other - usual)


def manner_of(direction: Direction) -> Manner:
    """The manner of a direction: its mood's, as strong as it is, with the style's sliders."""
    style, mood = direction.played, MOODS[direction.mood]
    made = Manner(**{f.name: _blend(getattr(USUAL, f.name), getattr(mood, f.name), direction.strength) for f in fields(Manner)})
    frown = max(0.0, style.frown)
    made = replace(
        made,
        tempo=made.tempo * direction.tempo,
        sway=made.sway * style.head * style.energy**0.3,
        nods=made.nods * style.head,
        raises=made.raises * style.brows,
        looks=made.looks * style.eyes,
        restless=made.restless * style.eyes**0.5,
        blinks=made.blinks * style.eyes,
        down=made.down + 0.22 * frown,
        knits=made.knits + 0.3 * frown,
        squint=made.squint + 0.12 * max(0.0, style.smile) + 0.06 * frown,
        one_sided=made.one_sided + 0.6 * style.asymmetry,
        # Doubt raises the brow of the side that moves more, where one does.
        side=-min(1.0, max(-1.0, 2 * style.asymmetry)) if direction.mood == "doubtful" else made.side,
    )
    return replace(made, **{name: max(0.0, getattr(made, name)) for name in _HELD})


_LISTENER_SWAY = 0.4  # a listener's sway relative to a speaker's
_EVERY, _AROUND = 1.0, 1.5  # seconds from one manner of a changing direction to the next, and to either side that each averages


@dataclass(frozen=True)
class Manners:
    """The manners of one performance, every _EVERY seconds; one where its direction does not change."""

    rows: tuple[Manner, ...]

    @classmethod
    def of(cls, direction: Direction) -> Manners:
        """Those of a direction that stays."""
        return cls((manner_of(direction),))

    @classmethod
    def of_styles(cls, styles: np.ndarray) -> Manners:
        """Those of a direction over a line, [1 or T, DIRECTION_NAMES]: stressed words are averaged out, a mood that comes is not."""
        if len(styles) == 1 or (styles == styles[0]).all():
            return cls.of(Direction.of_vector(styles[0]))
        starts = np.arange(0, len(styles), _EVERY * FPS)
        around = (styles[max(0, int(at - _AROUND * FPS)) : int(at + _AROUND * FPS) + 1].mean(0) for at in starts)
        return cls(tuple(manner_of(Direction.of_vector(each)) for each in around))

    def of_listener(self) -> Manners:
        """The same of somebody who listens: the head moves less."""
        return Manners(tuple(replace(each, sway=_LISTENER_SWAY * each.sway) for each in self.rows))

    def at(self, seconds: float) -> Manner:
        """The manner at a time; beyond the line that of its end."""
        return self.rows[min(max(0, int(seconds / _EVERY)), len(self.rows) - 1)]

    def poses(self, frames: int) -> np.ndarray:
        """Degrees that the head nods, turns and tilts on average, [frames, 3]."""
        each, t = np.array([manner.pose for manner in self.rows]), np.arange(frames) / FPS
        return np.stack([np.interp(t, _EVERY * np.arange(len(each)), column) for column in each.T], 1)

    @property
    def usual(self) -> Manner:
        """That in the middle of the line."""
        return self.rows[len(self.rows) // 2]
