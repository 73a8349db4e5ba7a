# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take plans before it is sampled: the events that the model carries out, and what is added
to its motion besides.

Every take has a plan: a function of its seed, its direction and the voice's accents and phrases.
The diffusion model is conditioned on the curves of its events (`thunder_core.events`). In silence,
where the teacher leaves it at rest, the lower face follows a plan of its own: lips press now and
then, a face swallows, corners and cheeks drift, nostrils follow the breath. Nothing there parts the
lips: every channel either presses them or moves both of them by as much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...behaviour import HABITS
from ...direction import AXES, DIRECTION_NAMES, SPREAD
from ...events import BREATH, EVENTS, HEAD, LOOK, Look, Nod, Plan, Raise
from ...filters import gaussian
from ...types import FPS
from ..speech.cues import Phrasing, Prosody
from .choice import Choice
from .people import (
    BROWS,
    draw_person,
    GAZE,
    HEAD as OF_HEAD,
    LID,
    LIDS_DOWN,
    LIDS_EASE,
    LIDS_SHUT,
    LIDS_UP,
    smooth_noise,
)
from .upper_face import Behaviours, BREATH_JAW, plan_listener, plan_speaker

_SEEDS = 1 << 32  # numbers that a random generator takes as a seed's part


def rng_of(seed: int, *part: int) -> np.random.Generator:
    """The random generator of one part of the take of a seed."""
    return np.random.default_rng([*part, seed % _SEEDS])


def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """Minimum-jerk movement from 0 to 1 (Flash & Hogan 1985) at u, which is clipped to 0 … 1."""
    u = np.clip(u, 0, 1)
    return u * u * u * (10 - 15 * u + 6 * u * u)


def rise_and_fall(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """A movement from 0 to 1 as `there` goes from 0 to 1, and back to 0 as `back` does."""
    away, home = minimum_jerk(np.stack([there, back]))
    return away - home


# ---- the lower face in silence

_SEED_RESTING = 17  # part of the seeds, which no other part has
# channels that move
LOWER_FACE = (
    *(f"{name}{side}" for name in ("mouthPress", "mouthSmile", "mouthFrown", "mouthDimple",
    "mouthStretch", "cheekSquint", "noseSneer")
      for side in ("Left", "Right")),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
)  # fmt: skip
_REST, _PRESS, _SWALLOW, _DRIFT = (
    HABITS[name] for name in ("silence", "press", "swallow", "drift")
)


def rest_spans(phrasing: Phrasing, listens: bool) -> list[tuple[int, int]]:
    """Frames (first, first after them) of a face that neither speaks nor is about to: all of them
    if it listens or idles."""
    if listens or not len(phrasing.phrases):
        return [(0, phrasing.frames)] if phrasing.frames >= _REST.silence * FPS else []
    result = []
    for start, end in phrasing.silences:
        if end - start >= _REST.silence * FPS:
            first = start + round(_REST.after * FPS) if start > 0 else start
            last = end - int(np.ceil(_REST.before * FPS)) if end < phrasing.frames else end
            result.append((int(first), int(last)))
    return result


class Resting:
    """What a lower face does in silence: `channels`, {name: [T]} to be added, none below 0, and
    `dips` of the head in swallows."""

    def __init__(self, frames: int):
        self.frames = frames
        self.channels = {name: np.zeros(frames) for name in LOWER_FACE}
        self.dips = list[Nod]()

    @classmethod
    def of(cls, phrasing: Phrasing, seed: int, behaviours: Behaviours, listens: bool) -> Resting:
        """The resting face of a seed's take for a voice that it speaks or listens to."""
        made = cls(phrasing.frames)
        presses, swallows, drift, breath = (rng_of(seed, _SEED_RESTING, part) for part in range(4))
        corners = _draw_drift(phrasing.frames, drift)
        air = (
            1
            - np.sin(
                2 * np.pi * (_REST.breaths * np.arange(phrasing.frames) / FPS + breath.random())
            )
        ) / 2
        for first, last in rest_spans(phrasing, listens):
            t = np.arange(first, last)
            fade = np.ones(len(t))
            if first > 0:
                fade *= minimum_jerk((t - first) / FPS / _REST.eases_in)
            if last < phrasing.frames:
                fade *= minimum_jerk((last - t) / FPS / _REST.eases_out)
            for name, by in corners.items():
                made.channels[name][t] += fade * by[t]
            for name in ("noseSneerLeft", "noseSneerRight"):
                made.channels[name][t] += _REST.nostrils * fade * air[t]
            made.press_and_swallow(
                first, last, presses, swallows, behaviours, _REST.listener if listens else 1.0
            )
        return made

    def press_and_swallow(
        self, first: int, last: int, presses: np.random.Generator, swallows: np.random.Generator,
        behaviours: Behaviours, rarity: float
    ) -> None:  # fmt: skip
        """Add presses of the lips and swallows to frames first … last. rarity: factor of the time
        between them."""
        begins = max(first, round(_REST.calm_ends * FPS))
        ends = min(last, self.frames - round(_REST.calm_ends * FPS))
        swallowed = []
        for each, u in _draw_moments(
            first, last, _SWALLOW.first, _SWALLOW.every, swallows, behaviours, rarity
        ):
            times = [_interpolate(*each) for each in zip(_SWALLOW.times, u)]
            over = each + sum(times) * FPS
            swallowed.append((each, over))
            if each < begins or over > ends:
                continue
            self._press(each, times, _interpolate(_SWALLOW.press, u[3]), u[4] - 0.5, 0.0, 0.0)
            at, far = _bump(self.frames, each, *times)
            self.channels["mouthShrugLower"][at] += _interpolate(_SWALLOW.chin, u[5]) * far
            furthest = each / FPS + times[0]
            self.dips.append(
                Nod(
                    furthest,
                    np.array([_interpolate(_SWALLOW.dip, u[6]), 0.0, 0.0]),
                    times[0],
                    times[2],
                    furthest + times[1],
                )
            )
        for each, u in _draw_moments(
            first, last, _PRESS.first, _PRESS.every, presses, behaviours, rarity
        ):
            times = [_interpolate(*each) for each in zip(_PRESS.times, u)]
            over = each + sum(times) * FPS
            near = any(
                start - _REST.apart * FPS < over and each < end + _REST.apart * FPS
                for start, end in swallowed
            )
            if each >= begins and over <= ends and not near:
                self._press(
                    each,
                    times,
                    _interpolate(_PRESS.size, u[3]),
                    2 * u[4] - 1,
                    _interpolate(_PRESS.rolls, u[5]),
                    _interpolate(_PRESS.rolls, u[6]),
                )

    def _press(
        self,
        at: float,
        times: Sequence[float],
        size: float,
        uneven: float,
        lower: float,
        upper: float,
    ) -> None:
        """Press the lips from a frame on. times: rise, hold and fall, s.  uneven: −1 … 1, above 0
        the left more.  lower, upper: shares of its size by which the lips roll in."""
        frames, far = _bump(self.frames, at, *times)
        sides = {
            "mouthPressLeft": 1 + _PRESS.uneven * uneven,
            "mouthPressRight": 1 - _PRESS.uneven * uneven,
        }
        for name, by in {**sides, "mouthRollLower": lower, "mouthRollUpper": upper}.items():
            self.channels[name][frames] += size * by * far


def _draw_drift(frames: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """How corners and cheeks drift, [T] by channel, none below 0."""
    noise, result = smooth_noise(frames, 6, _DRIFT.hertz, rng), {}
    for i, side in enumerate(("Left", "Right")):
        raised, wide = (
            np.clip(
                _DRIFT.together * noise[:, j] + _DRIFT.apiece * noise[:, j + 1 + i],
                -_DRIFT.most,
                _DRIFT.most,
            )
            for j in (0, 3)
        )
        result[f"mouthSmile{side}"], result[f"mouthFrown{side}"] = (
            _DRIFT.size * _soft_positive(raised),
            _DRIFT.size * _soft_positive(-raised),
        )
        result[f"cheekSquint{side}"] = _DRIFT.cheeks * result[f"mouthSmile{side}"]
        result[f"mouthDimple{side}"] = _DRIFT.sideways * _DRIFT.size * _soft_positive(wide)
        result[f"mouthStretch{side}"] = _DRIFT.sideways * _DRIFT.size * _soft_positive(-wide)
    return result


def _soft_positive(values: np.ndarray) -> np.ndarray:
    """The positive part of values, with a soft onset."""
    return (values + np.sqrt(values**2 + _DRIFT.softness**2)) / 2


def _draw_moments(
    first: int, last: int, soonest: tuple[float, float], every: tuple[float, float],
    rng: np.random.Generator, behaviours: Behaviours, rarity: float,
) -> Iterator[tuple[float, np.ndarray]]:  # fmt: skip
    """Events that come every so many seconds: the frame at which each begins, and seven numbers, 0
    … 1, that shape it."""
    u = rng.random(8)
    at = first + FPS * _interpolate(soonest, u[7]) * rarity
    while at < last:
        yield at, u[:7]
        u = rng.random(8)
        at += FPS * _interpolate(every, u[7]) * rarity / behaviours.at(at / FPS).tempo


def _interpolate(bounds: tuple[float, float], u: float) -> float:
    """The value at a share u, 0 … 1, of the way between two bounds."""
    return float(bounds[0] + (bounds[1] - bounds[0]) * u)


def _bump(
    frames: int, start: float, rise: float, hold: float, fall: float
) -> tuple[slice, np.ndarray]:
    """Frames of a movement of `rise`, `hold` and `fall` s that starts at a frame, and its progress,
    0 … 1."""
    first = max(0, int(np.floor(start)))
    last = min(frames, int(np.ceil(start + (rise + hold + fall) * FPS)) + 1)
    t = (np.arange(first, max(first, last)) - start) / FPS
    return slice(first, max(first, last)), rise_and_fall(t / rise, (t - rise - hold) / fall)


# ---- events and what is added to them

_BREATH_RISE, _BREATH_FALL = 0.22, 0.3  # of an inhalation, s
_WIDEST = -0.5  # closure of lids that are open furthest
LID_WIDE = 2.9  # eyeWide that opens a lid by as much as it is open
EYES_STAY = 0.95  # share of the head's turn that the eyes compensate where they look at somebody
# Millimetres that brows of the bundled head rise, inner and outer ones, by a channel of 1: of inner
# raises, of outer raises of both sides, and of lowered brows. Measured on tracked points of it.
_RAISE_MM, _LOWER_MM = np.array([[7.4, 2.7], [1.5, 6.6]]), np.array([5.7, 2.8])
_TO_CHANNELS = np.linalg.inv(_RAISE_MM)
_CARRIED = np.array([0.6, 0.5, 0.0])  # mm above rest about which brows move: below it they frown
_SACCADE = (0.021, 0.0022)  # s, and s more a degree (Carpenter 1988)
_MOST_KNIT = 0.8


def brow_channels(mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raises of inner, left and right outer brows [T, 3] and lowering of all [T], channel values
    that move brows by some millimetres [T, 3]: inner and outer ones, and left outer ones above
    right ones. Raises that would be below 0 are lowered instead."""
    both = mm[:, :2]
    low = np.maximum(0.0, -both.sum(1) / _LOWER_MM.sum())
    raised = (both + low[:, None] * _LOWER_MM) @ _TO_CHANNELS.T
    lean = mm[:, 2:] / (2 * _RAISE_MM[1, 1]) * [1.0, -1.0]
    return np.concatenate([raised[:, :1], raised[:, 1:] + lean], 1), low


def event_curves(plan: Plan, frames: int) -> np.ndarray:
    """What a plan does over some frames: float32 [T, EVENTS]."""
    t = np.arange(frames) / FPS
    shut, breath = np.zeros(frames), np.zeros(frames)
    moved = np.zeros((frames, 9)) if plan.signals is None else plan.signals
    carried = _CARRIED * (plan.signals is not None)
    for blink in plan.blinks:
        fall, hold, rise = (blink.length * part for part in (LIDS_DOWN, LIDS_SHUT, LIDS_UP))
        part = _rows(t, blink.at - fall, blink.at + hold + rise)
        since = t[part] - blink.at
        up = np.maximum(0.0, (since - hold) / rise) ** LIDS_EASE
        lids = blink.depth * rise_and_fall((since + fall) / fall, up)
        shut[part] = np.maximum(shut[part], lids)
    shut = np.clip(1 - (1 + moved[:, LID]) * (1 - shut), _WIDEST, 1.0)
    for at, air in plan.breaths:
        part = _rows(t, at, at + _BREATH_RISE + _BREATH_FALL)
        since = t[part] - at
        drawn = rise_and_fall(since / _BREATH_RISE, (since - _BREATH_RISE) / _BREATH_FALL)
        breath[part] = np.maximum(breath[part], air * drawn)
    head = moved[:, OF_HEAD]
    raised, low = brow_channels(moved[:, BROWS] + carried)
    # of the gaze in the world
    gaze = moved[:, GAZE] + EYES_STAY * head[:, [1, 0]]
    columns = (
        head + _head(plan.nods, t), raised + _brows(plan.raises, t, 1.0),
        low[:, None] + _brows(plan.knits, t, _MOST_KNIT)[:, :1], gaze + _gaze(plan.looks, frames),
        shut[:, None], breath[:, None], np.full((frames, 1), plan.side),
    )  # fmt: skip
    curves = np.concatenate(columns, 1).astype(np.float32)
    assert curves.shape[1] == len(EVENTS)
    return curves


def _rows(t: np.ndarray, start: float, end: float) -> slice:
    """The rows of times [T], evenly spaced, between start and end, s: an hour has thousands of
    movements, and each is computed where it is one."""
    first, last = np.searchsorted(t, (start, end))
    return slice(int(first), int(last) + 1)


def _head(nods: list[Nod], t: np.ndarray) -> np.ndarray:
    """How far nods move the head, degrees [T, 3]."""
    head = np.zeros((len(t), 3))
    for nod in nods:
        end = max(nod.at, nod.until)
        part = _rows(t, nod.at - nod.down, end + nod.back)
        stroke = rise_and_fall((t[part] - nod.at + nod.down) / nod.down, (t[part] - end) / nod.back)
        head[part] += stroke[:, None] * nod.degrees
    return head


def _brows(events: list[Raise], t: np.ndarray, most: float) -> np.ndarray:
    """All raises together [T, 3], inner, outer left and outer right: they add up where they are
    small and give way to `most`."""
    total = np.zeros((len(t), 3))
    for event in events:
        parts = np.array([1.0, event.outer * (1 + event.lean), event.outer * (1 - event.lean)])
        top = event.at + event.rise / 2  # brows rise fastest at the event's time
        part = _rows(t, top - event.rise, top + event.hold + event.fall)
        since = t[part] - top
        raised = rise_and_fall((since + event.rise) / event.rise, (since - event.hold) / event.fall)
        total[part] += event.height * raised[:, None] * parts
    return most * np.tanh(total / most)


def _gaze(looks: list[Look], frames: int) -> np.ndarray:
    """Degrees [T, 2] by which the gaze in the world is turned and lowered: jumps as fast as eyes
    make them."""
    gaze, t, before = np.zeros((frames, 2)), np.arange(frames) / FPS, np.zeros(2)
    for look in looks:
        jump = look.degrees - before
        seconds = _SACCADE[0] + _SACCADE[1] * np.linalg.norm(jump)
        part = _rows(t, look.at, look.at + seconds)
        gaze[part] += minimum_jerk((t[part] - look.at) / seconds)[:, None] * jump
        gaze[part.stop :] += jump
        before = look.degrees
    return gaze


# ---- all of a take

# parts of the seeds
_SEED_PLAN, _SEED_MOOD = 15, 16
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

    plan: its events.  events: their curves, float32 [T, EVENTS].  mood_strength [T]: 1 as
    directed.  brows [T, 3], knit [T]: height at which inner and outer brows are carried, and
    lowering of both, channel values.  resting: the lower face in silence.  breath: [T] opening of
    the jaw for air before phrases, radians.  opening: [T] millimetres beyond what was sampled, None
    for none.
    """

    plan: Plan
    events: np.ndarray
    mood_strength: np.ndarray
    brows: np.ndarray
    knit: np.ndarray
    resting: Resting
    breath: np.ndarray
    opening: np.ndarray | None = None

    def part(self, start: int, end: int, rests: np.ndarray) -> TakePlan:
        """Frames start … end of the curves. rests: [end − start] 0 … 1, how far the lower face
        rests."""
        frames, resting = slice(start, end), Resting(end - start)
        for name, curve in self.resting.channels.items():
            resting.channels[name] = rests * curve[frames]
        return replace(
            self, events=self.events[frames], mood_strength=self.mood_strength[frames],
            brows=self.brows[frames], knit=self.knit[frames], resting=resting,
            breath=self.breath[frames],
        )  # fmt: skip


LIPS_STRESS = 0.36  # logarithm by which lips open further on a word that is hit


def plan_take(
    voice: Prosody, phrasing: Phrasing, choice: Choice, seed: int, spread: float = 0.0,
    styles: np.ndarray | None = None, listens: bool = False,
    side: float = 0.0,
) -> TakePlan:  # fmt: skip
    """The plan of a seed's take for a voice that the face speaks as it is chosen, or `listens` to.

    spread: 0 … 1, variation of takes around the request.  styles: [1 or T, DIRECTION_NAMES], the
    take's direction; None: the usual one.
    side: to which a mood inclines the face, −1 or 1; 0: as the seed has it.
    """
    styles = np.zeros((1, len(DIRECTION_NAMES))) if styles is None else np.asarray(styles, float)
    behaviours = Behaviours.of_styles(styles)
    if listens:
        behaviours = behaviours.of_listener()
    rng, frames = rng_of(seed, _SEED_PLAN), voice.frames
    person = draw_person(spread / SPREAD, seed % _SEEDS, voice)
    plan = (
        plan_listener(voice, behaviours, person, rng)
        if listens
        else plan_speaker(voice, choice, behaviours, person, rng)
    )
    plan.side = side or plan.side
    plan.blinks = [
        blink
        for blink in plan.blinks
        if blink.at > LIDS_DOWN * blink.length  # no take starts or ends with shut eyes
        and blink.at + (LIDS_SHUT + LIDS_UP) * blink.length < voice.seconds
    ]
    resting = Resting.of(phrasing, seed, behaviours, listens)
    plan.nods = sorted([*plan.nods, *resting.dips], key=lambda nod: nod.at)
    mood_strength = (
        1 + _MOOD_SPREAD * smooth_noise(frames, 1, _MOOD_HERTZ, rng_of(seed, _SEED_MOOD))[:, 0]
    )
    events = event_curves(plan, frames)
    # the take's poses are on that side too
    if side and events[:, HEAD][:, 2].mean() * side * behaviours.usual.pose[2] < 0:
        events[:, HEAD] *= np.array([1, -1, -1], np.float32)
        events[:, LOOK] *= np.array([-1, 1], np.float32)
    events[:, HEAD] += (
        behaviours.poses(frames) * [0.0, *(2 * (_TO_SIDE[0] * plan.side + _TO_SIDE[1],))]
    ).astype(np.float32)
    breath, brows = BREATH_JAW * events[:, BREATH], brows_of_style(seed, spread, styles, frames)
    return TakePlan(plan, events, mood_strength, *brows, resting, breath)


def brow_height(seed: int, spread: float) -> float:
    """Height of a take's brows against usual ones, channel value: 0 at a spread of 0, within ± √3
    deviations."""
    return spread * _BROW_HEIGHT_SPREAD * math.sqrt(3) * (2 * (seed % _SEEDS * _GOLDEN % 1) - 1)


def brows_of_style(
    seed: int, spread: float, styles: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """(height [T, 3] at which a take carries its brows, lowering of both [T]) in styles [1 or T,
    DIRECTION_NAMES].

    A mood places brows itself: the take's height gives way to it, by the square of its strength.
    *Frown*, which the model follows too faintly to be seen, draws them together or apart; where
    they are to be apart nothing else lowers them.
    """
    moods = styles[:, len(AXES) :].sum(1).clip(0, 1) ** 2
    frowns = np.clip(AXES[_FROWN].speakers * styles[:, _FROWN], -1, 1)
    wide = np.broadcast_to(np.stack([moods, frowns], 1), (frames, 2))
    # without jumps
    wide = gaussian(wide, _CHANGE_EASE, "nearest", int(3 * _CHANGE_EASE) + 1)
    mood, frown = wide[:, :1], wide[:, 1:]
    brows = np.repeat((1 - mood) * brow_height(seed, spread), 3, 1)
    together, apart = np.maximum(frown, 0), np.maximum(-frown, 0)
    return brows + apart * (_APART_UP - np.minimum(brows, 0)), (
        _FROWN_DOWN * together + _APART_DOWN * apart
    )[:, 0]
