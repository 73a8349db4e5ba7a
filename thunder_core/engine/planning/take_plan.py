# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take plans before it is sampled: the events that the model carries out, and what is added
to its motion besides.

Every take has a plan: a function of its seed, its direction and the voice's accents and phrases.
The diffusion model is conditioned on the curves of its events (`thunder_core.events`). In silence
the lower face follows a plan of its own (`resting`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ... import filters
from ...direction import AXES, DIRECTION_NAMES, over_frames
from ...events import Blink, BREATH, EVENTS, HEAD, Look, Nod, Plan, Raise
from ...filters import gaussian, minimum_jerk
from ...types import FPS
from ..speech.cues import Phrasing, Prosody
from .plan import BREATH_JAW, Manners, plan_listener, plan_speaker
from .resting import Resting, smooth_noise

_FINE = 4  # steps per frame in which the head's target is followed
_SPRING = 9.0  # stiffness of the head's movement towards its target, 1/s
_INHALE = 0.5  # rise of the head at an inhalation, degrees
_BREATH_RISE, _BREATH_FALL = 0.22, 0.3  # of an inhalation, s
_MOST_KNIT = 0.8


def event_curves(plan: Plan, frames: int, tempo: float = 1.0) -> np.ndarray:
    """What a plan does over some frames: float32 [T, EVENTS], with lips at rest. tempo: quickness
    of the head's poses, 1 as usual."""
    t = np.arange(frames) / FPS
    shut, breath = np.zeros(frames), np.zeros(frames)
    for blink in plan.blinks:
        shut = np.maximum(shut, _lid_closure(blink, t))
    for at, air in plan.breaths:
        breath = np.maximum(
            breath,
            air
            * (
                minimum_jerk((t - at) / _BREATH_RISE)
                - minimum_jerk((t - at - _BREATH_RISE) / _BREATH_FALL)
            ),
        )
    columns = (
        _head(plan, frames, tempo), _brows(plan.raises, t, 1.0),
        _brows(plan.knits, t, _MOST_KNIT)[:, :1], _gaze(plan.looks, frames),
        shut[:, None], breath[:, None], np.full((frames, 1), plan.side), np.zeros((frames, 2)),
    )  # fmt: skip
    curves = np.concatenate(columns, 1).astype(np.float32)
    assert curves.shape[1] == len(EVENTS)
    return curves


def _follow_on_springs(target: np.ndarray, rate: float, hertz: float) -> np.ndarray:
    """[N, c] on critically damped springs of `rate` 1/s towards a target [N, c] at `hertz`, at rest
    on the first."""
    a = np.exp(-rate / hertz)
    first = target[:1]
    moved = target - first
    for _ in range(2):
        moved = filters.low_pass(moved, a)
    return moved + first


def _head(plan: Plan, frames: int, tempo: float) -> np.ndarray:
    """Nod, turn and tilt of the head by the poses, looks, nods and breaths of a plan, degrees [T,
    3]."""
    hertz = FPS * _FINE
    t, fine = np.arange(frames) / FPS, np.arange(frames * _FINE) / hertz
    target = (
        np.tile(plan.poses[0].degrees, (len(fine), 1)) if plan.poses else np.zeros((len(fine), 3))
    )
    for before, pose in zip(plan.poses, plan.poses[1:]):
        target += minimum_jerk((fine - pose.at) / pose.lasts)[:, None] * (
            pose.degrees - before.degrees
        )
    gaze = np.zeros((len(fine), 2))
    for look in plan.looks:
        gaze[fine >= look.at] = look.follow * look.degrees
    target[:, 1] += gaze[:, 0]
    target[:, 0] += gaze[:, 1]
    head = _follow_on_springs(target, _SPRING * tempo, hertz)[::_FINE]
    for nod in plan.nods:
        head += _stroke(nod, t)[:, None] * nod.degrees
    for at, air in plan.breaths:  # up with it, and down again slowly
        head[:, 0] -= (
            air * _INHALE * (minimum_jerk((t - at) / 0.4) - minimum_jerk((t - at - 0.45) / 1.8))
        )
    return head


def _stroke(nod: Nod, t: np.ndarray) -> np.ndarray:
    """Progress of a nod [T], 0 … 1."""
    return minimum_jerk((t - nod.at + nod.down) / nod.down) - minimum_jerk(
        (t - max(nod.at, nod.until)) / nod.back
    )


def _brow_height(event: Raise, t: np.ndarray) -> np.ndarray:
    """Height of the brows [T], 0 … 1; they rise fastest at its time."""
    top = event.at + event.rise / 2
    return minimum_jerk((t - top + event.rise) / event.rise) - minimum_jerk(
        (t - top - event.hold) / event.fall
    )


def _brows(events: list[Raise], t: np.ndarray, most: float) -> np.ndarray:
    """All raises together [T, 3], inner, outer left and outer right: they add up where they are
    small and give way to `most`."""
    total = np.zeros((len(t), 3))
    for event in events:
        parts = np.array([1.0, event.outer * (1 + event.lean), event.outer * (1 - event.lean)])
        total += event.height * _brow_height(event, t)[:, None] * parts
    return most * np.tanh(total / most)


def _lid_closure(blink: Blink, t: np.ndarray) -> np.ndarray:
    """Closure of the lids [T]: down in a tenth of a second, shut for a frame, up in twice as
    long."""
    at, hold, rise = blink.at, 0.045 * blink.length, 0.2 * blink.length
    return minimum_jerk((t - at + 0.1) / 0.1) - minimum_jerk((t - at - hold) / rise)


def _gaze(looks: list[Look], frames: int) -> np.ndarray:
    """Degrees [T, 2] by which the gaze in the world is turned and lowered: jumps as fast as eyes
    make them."""
    t, gaze, now = np.arange(frames) / FPS, np.zeros((frames, 2)), np.zeros(2)
    for look in looks:
        jump = look.degrees - now
        gaze += (
            minimum_jerk((t - look.at) / (0.021 + 0.0022 * np.linalg.norm(jump)))[:, None] * jump
        )
        now = look.degrees
    return gaze


# ---- all of a take

# parts of the seeds; `resting` has 17
_SEED_PLAN, _SEED_MOOD, _SEED_LIPS = 15, 16, 19
# time at both ends of a take in which no blink begins or ends, s: no take starts with shut eyes
_NO_BLINK_ENDS = 0.35
_BLINK_SECONDS = 0.4  # length of a blink, s
# standard deviation of the brows' height between takes at a *Variety* of 1, channel values
_BROW_HEIGHT_SPREAD = 0.22
# the golden section: heights of consecutive seeds differ, and any few of them are spread evenly
_GOLDEN = 0.6180339887498949
_CHANGE_EASE = 6.0  # standard deviation of the blur where a mood or a frown comes or goes, frames
_FROWN_DOWN = 0.4  # lowering of both brows at a *Frown* of 1, in addition to the model's
_APART_UP = np.array([0.12, 0.16, 0.16])  # inner and outer brows raised at a *Frown* of −1
_APART_DOWN = -0.1  # change of browDown there
_FROWN = DIRECTION_NAMES.index("frown")
# Shares of a mood's turn and tilt of the head that are planned in addition: a share that follows
# the side, and one that does not. The model inclines a mood to the side of its teacher's direction,
# and hardly to the other.
_TO_SIDE = (0.6, -0.35)
_MOOD_SPREAD = 0.17  # standard deviation of a mood's strength over a line
_MOOD_HERTZ = 0.13  # speed of its changes


@dataclass(frozen=True)
class TakePlan:
    """The plan of one take over T frames.

    plan: its events.  events: their curves, float32 [T, EVENTS].  felt [T]: strength of the mood, 1
    as directed.  brows [T, 3], knit [T]: height at which inner and outer brows are carried, and
    lowering of both, channel values.  resting: the lower face in silence.
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

    def activities(self) -> dict[str, np.ndarray]:
        """What the plan does → 1 in the frames where it does it [T], else 0."""
        spans = {
            "a new pose of the head": [(pose.at, pose.at + pose.lasts) for pose in self.plan.poses],
            "a nod or turn": [
                (nod.at - nod.down, max(nod.at, nod.until) + nod.back) for nod in self.plan.nods
            ],
            "raised brows": [
                (each.at - each.rise / 2, each.at + each.rise / 2 + each.hold + each.fall)
                for each in self.plan.raises
            ],
            "knit brows": [
                (each.at - each.rise / 2, each.at + each.rise / 2 + each.hold + each.fall)
                for each in self.plan.knits
            ],
            "a look away": [
                (a.at, b.at)
                for a, b in zip(self.plan.looks, self.plan.looks[1:])
                if np.linalg.norm(a.degrees) > _AWAY
            ],
            "a breath before a phrase": [(at, at + 0.5) for at, _ in self.plan.breaths],
        }
        for blink in self.plan.blinks:
            span = blink.at - 0.1, blink.at + 0.25 * blink.length
            spans.setdefault(f"a blink {blink.reason}", []).append(span)
        t = np.arange(len(self.events)) / FPS
        result = {"pressed lips": self.resting.presses, "a swallow": self.resting.swallows}
        for what, some in spans.items():
            result[what] = np.zeros(len(t))
            for start, end in some:
                result[what][(t >= start) & (t <= end)] = 1.0
        return result


# How much the lips of takes differ at a spread of 1: deviations of the logarithm of their opening.
_SIZE_SPREAD = 0.3  # of a whole take
# of words and of syllables, after how many come a second; the width differs as much
_WORD_SPREADS = ((1.2, 0.32), (3.0, 0.28))
_AWAY = 3.0  # degrees from which a gaze is away


def plan_take(
    voice: Prosody, phrasing: Phrasing, seed: int, spread: float = 0.0,
    styles: np.ndarray | None = None, listens: bool = False,
    side: float = 0.0,
) -> TakePlan:  # fmt: skip
    """The plan of a seed's take for a voice that the face speaks, or `listens` to.

    spread: 0 … 1, variation of takes around the request.  styles: [1 or T, DIRECTION_NAMES], the
    take's direction; None: the usual one.
    side: to which a mood inclines the face, −1 or 1; 0: as the seed has it.
    """
    styles = np.zeros((1, len(DIRECTION_NAMES))) if styles is None else np.asarray(styles, float)
    how = Manners.of_styles(styles)
    if listens:
        how = how.of_listener()
    rng, frames = np.random.default_rng([_SEED_PLAN, seed % (1 << 32)]), voice.frames
    plan = (plan_listener if listens else plan_speaker)(voice, how, rng)
    plan.side = side or plan.side
    plan.blinks = [
        blink
        for blink in plan.blinks
        if _NO_BLINK_ENDS < blink.at - 0.1
        and blink.at + _BLINK_SECONDS * blink.length < voice.seconds - _NO_BLINK_ENDS
    ]
    resting = Resting.of(phrasing, seed, how, listens)
    plan.nods = sorted([*plan.nods, *resting.dips], key=lambda nod: nod.at)
    felt = (
        1
        + _MOOD_SPREAD
        * smooth_noise(
            frames, 1, _MOOD_HERTZ, np.random.default_rng([_SEED_MOOD, seed % (1 << 32)])
        )[:, 0]
    )
    events = event_curves(plan, frames, how.usual.tempo)
    leans = side * how.usual.pose[2]
    if events[:, HEAD][:, 2].mean() * leans < 0:  # the take's poses are on that side too
        events[:, HEAD] *= np.array([1, -1, -1], np.float32)
    events[:, HEAD] += (
        how.poses(frames) * [0.0, *(2 * (_TO_SIDE[0] * plan.side + _TO_SIDE[1],))]
    ).astype(np.float32)
    return TakePlan(plan, events, felt, *brows_of_style(seed, spread, styles, frames), resting)


def vary_lips(lips: np.ndarray, presence: np.ndarray, seed: int, spread: float) -> np.ndarray:
    """A voice's opening and width of lips [T, 2] (`lip_kernels.plan_lips`) as the take of a seed
    performs them: some words more open, some less, and all of them larger or smaller. Nobody says a
    line twice alike.

    presence: [T] 0 … 1, of speech.  spread: 0 … 1, variation of takes.
    """
    rng = np.random.default_rng([_SEED_LIPS, seed % (1 << 32)])
    size = _SIZE_SPREAD * rng.standard_normal()
    by = sum(
        deviation * smooth_noise(len(lips), 2, hertz, rng) for hertz, deviation in _WORD_SPREADS
    )
    # Multiplied, a closure stays a closure.
    opening = lips[:, 0] * np.exp(spread * (size + by[:, 0]))
    return np.stack([opening, lips[:, 1] + spread * presence * by[:, 1]], 1).astype(np.float32)


def brow_height(seed: int, spread: float) -> float:
    """Height of a take's brows against usual ones, channel value: 0 at a spread of 0, within ± √3
    deviations."""
    return (
        spread * _BROW_HEIGHT_SPREAD * math.sqrt(3) * (2 * ((seed % (1 << 32)) * _GOLDEN % 1) - 1)
    )


def brows_of_style(
    seed: int, spread: float, styles: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """(height [T, 3] at which a take carries its brows, lowering of both [T]) in styles [1 or T,
    DIRECTION_NAMES].

    A mood places brows itself: the take's height gives way to it, by the square of its strength.
    *Frown*, which the model follows too faintly to be seen, draws them together or apart; where
    they are to be apart nothing else lowers them.
    """
    free = 1 - _smooth_changes(styles[:, len(AXES) :].sum(1).clip(0, 1) ** 2, frames)
    brows = np.repeat(free * brow_height(seed, spread), 3, 1)
    frown = _smooth_changes(np.clip(AXES[_FROWN].speakers * styles[:, _FROWN], -1, 1), frames)
    together, apart = np.maximum(frown, 0), np.maximum(-frown, 0)
    return brows + apart * (_APART_UP - np.minimum(brows, 0)), (
        _FROWN_DOWN * together + _APART_DOWN * apart
    )[:, 0]


def _smooth_changes(values: np.ndarray, frames: int) -> np.ndarray:
    """Values [1 or T] for `frames` frames without jumps, [frames, 1]."""
    wide = np.broadcast_to(over_frames(values[:, None], frames), (frames, 1))
    return gaussian(wide, _CHANGE_EASE, "nearest", int(3 * _CHANGE_EASE) + 1)
