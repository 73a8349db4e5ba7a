# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take plans before it is sampled: the events that the model carries out, and what is added to its motion besides.

Every take has a plan of its own: a function of its seed, of its direction and of where the voice has accents and phrases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...direction import AXES, DIRECTION_NAMES, over_frames
from ...events import BREATH, HEAD
from ...filters import gaussian
from ...types import FPS
from ..speech.phrasing import Phrasing
from .curves import event_curves
from .manner import Manners
from .plan import BREATH_JAW, listening, Plan, speaking
from .prosody import Prosody
from .resting import Resting, smooth_noise

_PLANS, _FELT = 15, 16  # parts of the seed
_EDGE = 0.35  # time at both ends of a take in which no blink begins or ends, s: no take starts with shut eyes
_BLINK = 0.4  # length of a blink, s
_HEIGHTS_APART = 0.22  # standard deviation of the brows' height between takes at a *Variety* of 1, channel values
_GOLDEN = 0.6180339887498949  # the golden section: heights of consecutive seeds differ, and any few of them are spread evenly
_EASE = 6.0  # standard deviation of the blur where a mood or a frown comes or goes, frames
_DRAWN = 0.4  # lowering of both brows at a *Frown* of 1, besides the model's
_APART_UP, _APART_DOWN = np.array([0.12, 0.16, 0.16]), -0.1  # inner and outer brows raised at a *Frown* of −1, and change of browDown
_FROWN = DIRECTION_NAMES.index("frown")
# Shares of a mood's turn and tilt of the head that are planned besides: of the side, and whatever the side. The model inclines a mood to
# the side of its teacher's direction, and hardly to the other.
_TO_SIDE = (0.6, -0.35)
_VARIES, _VARIES_HERTZ = 0.17, 0.13  # standard deviation of a mood's strength over a line, and speed of its changes


@dataclass(frozen=True)
class TakePlan:
    """The plan of one take over T frames.

    plan: its events.  events: their curves, float32 [T, EVENTS].  felt [T]: strength of the mood, 1 as directed.  brows [T, 3], knit [T]:
    height at which inner and outer brows are carried, and lowering of both, channel values.  resting: the lower face in silence.
    """

    plan: Plan
    events: np.ndarray
    felt: np.ndarray
    brows: np.ndarray
    knit: np.ndarray
    resting: Resting

    @property
    def breath(self) -> np.ndarray:
        """Opening of the jaw for air before phrases [T], radians."""
        return BREATH_JAW * self.events[:, BREATH]

    def happening(self) -> dict[str, np.ndarray]:
        """What the plan does → 1 in the frames where it does it [T], else 0."""
        spans = {
            "a new pose of the head": [(pose.at, pose.at + pose.lasts) for pose in self.plan.poses],
            "a nod or turn": [(nod.at - nod.down, max(nod.at, nod.until) + nod.back) for nod in self.plan.nods],
            "raised brows": [(each.at - each.rise / 2, each.at + each.rise / 2 + each.hold + each.fall) for each in self.plan.raises],
            "knit brows": [(each.at - each.rise / 2, each.at + each.rise / 2 + each.hold + each.fall) for each in self.plan.knits],
            "a look away": [(a.at, b.at) for a, b in zip(self.plan.looks, self.plan.looks[1:]) if np.linalg.norm(a.degrees) > _AWAY],
            "a blink": [(at - 0.1, at + 0.25 * length) for at, length in self.plan.blinks],
            "a breath before a phrase": [(at, at + 0.5) for at, _ in self.plan.breaths],
        }
        t, result = np.arange(len(self.events)) / FPS, {"pressed lips": self.resting.presses, "a swallow": self.resting.swallows}
        for what, some in spans.items():
            result[what] = np.zeros(len(t))
            for start, end in some:
                result[what][(t >= start) & (t <= end)] = 1.0
        return result


_AWAY = 3.0  # degrees from which a gaze is away


def plan_take(
    voice: Prosody, phrasing: Phrasing, seed: int, spread: float = 0.0, styles: np.ndarray | None = None, listens: bool = False,
    side: float = 0.0,
) -> TakePlan:  # fmt: skip
    """The plan of a seed's take for a voice that the face speaks, or `listens` to.

    spread: 0 … 1, variation of takes around the request.  styles: [1 or T, DIRECTION_NAMES], the take's direction; None: the usual one.
    side: to which a mood inclines the face, −1 or 1; 0: as the seed has it.
    """
    styles = np.zeros((1, len(DIRECTION_NAMES))) if styles is None else np.asarray(styles, float)
    how = Manners.of_styles(styles)
    if listens:
        how = how.of_listener()
    rng, frames = np.random.default_rng([_PLANS, seed % (1 << 32)]), voice.frames
    plan = (listening if listens else speaking)(voice, how, rng)
    plan.side = side or plan.side
    plan.blinks = [(at, length) for at, length in plan.blinks if _EDGE < at - 0.1 and at + _BLINK * length < voice.seconds - _EDGE]
    resting = Resting.of(phrasing, seed, how, listens)
    plan.nods = sorted([*plan.nods, *resting.dips], key=lambda nod: nod.at)
    felt = 1 + _VARIES * smooth_noise(frames, 1, _VARIES_HERTZ, np.random.default_rng([_FELT, seed % (1 << 32)]))[:, 0]
    events = event_curves(plan, frames, how.usual.tempo)
    leans = side * how.usual.pose[2]
    if events[:, HEAD][:, 2].mean() * leans < 0:  # its own poses are on that side too
        events[:, HEAD] *= np.array([1, -1, -1], np.float32)
    events[:, HEAD] += (how.poses(frames) * [0.0, *(2 * (_TO_SIDE[0] * plan.side + _TO_SIDE[1],))]).astype(np.float32)
    return TakePlan(plan, events, felt, *carried(seed, spread, styles, frames), resting)


def height_of(seed: int, spread: float) -> float:
    """Height of a take's brows against usual ones, channel value: 0 at a spread of 0, within ± √3 deviations."""
    return spread * _HEIGHTS_APART * math.sqrt(3) * (2 * ((seed % (1 << 32)) * _GOLDEN % 1) - 1)


def carried(seed: int, spread: float, styles: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """(height [T, 3] at which a take carries its brows, lowering of both [T]) in styles [1 or T, DIRECTION_NAMES].

    A mood places brows itself: the take's own height gives way to it, by the square of its strength. *Frown*, which the model follows too
    faintly to be seen, draws them together or apart; where they are to be apart nothing else lowers them.
    """
    free = 1 - _eased(styles[:, len(AXES) :].sum(1).clip(0, 1) ** 2, frames)
    brows = np.repeat(free * height_of(seed, spread), 3, 1)
    frown = _eased(np.clip(AXES[_FROWN].speakers * styles[:, _FROWN], -1, 1), frames)
    together, apart = np.maximum(frown, 0), np.maximum(-frown, 0)
    return brows + apart * (_APART_UP - np.minimum(brows, 0)), (_DRAWN * together + _APART_DOWN * apart)[:, 0]


def _eased(values: np.ndarray, frames: int) -> np.ndarray:
    """Values [1 or T] for `frames` frames without jumps, [frames, 1]."""
    wide = np.broadcast_to(over_frames(values[:, None], frames), (frames, 1))
    return gaussian(wide, _EASE, "nearest", int(3 * _EASE) + 1)
