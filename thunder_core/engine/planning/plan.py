# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans the upper face's events: nods, poses, raised and knit brows, looks, blinks and breaths of a
speaker or listener.

Plans are lists of events in seconds and degrees (`thunder_core.events`); `take_plan` makes curves
of them. The teacher performs them, and the diffusion model, which learned from it, performs those
of a take. A speaker marks accents, looks away while thinking and comes back, blinks where phrases
end; a listener answers the other's accents and phrase ends. A direction's `Behaviour` says how
large and how often; each mood changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ...direction import Direction, HABITS, Habits, in_moods, NEUTRAL, Style
from ...events import Blink, Look, Nod, Plan, Pose, Raise
from ...types import FPS
from ..speech.cues import Prosody
from .choice import AWAY, BREATHES, BROWS, Choice, LIFTS, NODS, Spot, STILL, THINKS, TILTS, TURNS

# ---- the behaviour of a direction


@dataclass(frozen=True)
class Behaviour:
    """Sizes, rates and postures of one performance.

    Factors, 1 as usual: tempo (quickness of movements), sway, nods, raises, looks (how often the
    gaze leaves), linger (for how long), restless (how often it moves where it is), blinks,
    blink_length.  Channel values at full mood, which varies over time: inner, outer, down, wide,
    squint, droop.  knits: brows drawn together on accents, 0 … 1.  upward: share of accents on
    which the head jerks up.
    one_sided: −1 … 1, surplus of the left brow.  pose: degrees that the head nods, turns and tilts
    on average.  aside: degrees that the gaze turns and lowers where it leaves.  side: to which the
    face inclines, −1 or 1 (the left), 0: either.  tremble, shake: degrees of quick trembling and of
    slow shaking of the head.
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


USUAL = Behaviour()
_NEVER_NEGATIVE = ("nods", "raises", "knits", "inner", "outer", "down", "wide", "squint", "droop")

# What every mood does at full strength besides `direction.HABITS`. The mood's changes of sliders
# (`direction.MOODS`) are added.
_MOODS = {
    NEUTRAL: USUAL,
    "warm": Behaviour(linger=0.8, inner=0.14, squint=0.42, pose=(-0.5, 0.0, 4.0), blink_length=1.1),
    "amused": Behaviour(restless=1.2, inner=0.08, outer=0.2, squint=0.65, upward=0.3,
    pose=(-2.0, 0.0, 1.5), shake=1.4),
    "sad": Behaviour(linger=1.8, restless=0.6, blink_length=1.5, inner=0.8, down=0.12, droop=0.3,
                  pose=(5.0, 0.0, 2.5), aside=(0.0, 9.0)),
    "tense": Behaviour(sway=0.7, restless=1.6, blinks=1.1, down=0.42, squint=0.42, wide=0.1,
    knits=0.3, upward=0.05,
                    tremble=0.06),
    "angry": Behaviour(linger=0.6, restless=0.7, blinks=0.75, down=0.75, wide=0.3, squint=0.45,
    knits=0.8,
                    upward=0.03, pose=(3.5, 0.0, 0.0)),
    "afraid": Behaviour(sway=0.8, linger=0.5, restless=2.0, blinks=0.8, inner=0.8, outer=0.4,
    down=0.25, wide=0.75,
                     pose=(-2.5, 0.0, 0.0), aside=(4.0, 0.0), tremble=0.16),
    "surprised": Behaviour(restless=1.1, blinks=0.9, inner=0.65, outer=0.75, wide=0.75, upward=0.5,
                        pose=(-3.0, 0.0, 0.0)),
    "disgusted": Behaviour(down=0.62, squint=0.65, knits=0.5, upward=0.3, pose=(-3.0, 4.0, 1.5),
    aside=(6.0, 3.0),
                        shake=0.8),
    "contemptuous": Behaviour(linger=1.3, restless=0.6, blinks=0.8, blink_length=1.3, outer=0.45,
    droop=0.28,
                           upward=0.3, pose=(-5.0, 2.0, 3.0), aside=(7.0, 2.0), side=1.0),
    "doubtful": Behaviour(linger=1.2, outer=0.45, down=0.3, squint=0.3, pose=(0.5, 0.0, -6.0),
                       aside=(5.0, -4.0), shake=1.6),
    "bored": Behaviour(linger=2.2, restless=0.5, blinks=0.9, blink_length=1.7, droop=0.4,
                    pose=(2.0, 1.0, 5.0), aside=(4.0, 3.0)),
}  # fmt: skip
MOODS: dict[str, Behaviour] = {
    name: replace(behaviour, **HABITS.get(name, Habits())._asdict())
    for name, behaviour in _MOODS.items()
}


def _blend(usual, other, share: float):
    if isinstance(usual, tuple):
        return tuple(_blend(a, b, share) for a, b in zip(usual, other))
    return usual + share * (other - usual)


def behaviour_of(direction: Direction, style: Style, tempo: float) -> Behaviour:
    """The behaviour of a direction: its mood's, by its strength, with the sliders of its style
    in the mood."""
    mood = MOODS[direction.mood]
    behaviour = Behaviour(
        **{
            f.name: _blend(getattr(USUAL, f.name), getattr(mood, f.name), direction.strength)
            for f in fields(Behaviour)
        }
    )
    frown = max(0.0, style.frown)
    behaviour = replace(
        behaviour,
        tempo=tempo,
        sway=behaviour.sway * style.head * style.energy**0.3,
        nods=behaviour.nods * style.head,
        raises=behaviour.raises * style.brows,
        looks=behaviour.looks * style.eyes,
        restless=behaviour.restless * style.eyes**0.5,
        # people who look away twice as often do not blink twice as often
        blinks=behaviour.blinks * style.eyes**0.5,
        down=behaviour.down + 0.22 * frown,
        knits=behaviour.knits + 0.3 * frown,
        squint=behaviour.squint + 0.12 * max(0.0, style.smile) + 0.06 * frown,
        one_sided=behaviour.one_sided + 0.6 * style.asymmetry,
        # Doubt raises the brow of the side that moves more, where one does.
        side=-min(1.0, max(-1.0, 2 * style.asymmetry))
        if direction.mood == "doubtful"
        else behaviour.side,
    )
    return replace(
        behaviour, **{name: max(0.0, getattr(behaviour, name)) for name in _NEVER_NEGATIVE}
    )


_LISTENER_SWAY = 0.4  # a listener's sway relative to a speaker's
_BEHAVIOUR_EVERY = 1.0  # seconds from one behaviour of a changing direction to the next
_BEHAVIOUR_AROUND = 1.5  # seconds to either side over which each is averaged


@dataclass(frozen=True)
class Behaviours:
    """The behaviours of one performance, every _BEHAVIOUR_EVERY seconds; a single one where its
    direction does not change."""

    rows: tuple[Behaviour, ...]

    @classmethod
    def of_styles(cls, styles: np.ndarray) -> Behaviours:
        """The behaviours of a direction over a line, [1 or T, DIRECTION_NAMES]: stressed words are
        averaged out, a mood that comes is not."""
        if len(styles) == 1 or (styles == styles[0]).all():
            around = styles[:1]
        else:
            starts = np.arange(0, len(styles), _BEHAVIOUR_EVERY * FPS)
            spans = (
                slice(
                    max(0, int(at - _BEHAVIOUR_AROUND * FPS)), int(at + _BEHAVIOUR_AROUND * FPS) + 1
                )
                for at in starts
            )
            around = [styles[span].mean(0) for span in spans]
        return cls(tuple(behaviour_of(*each) for each in in_moods(around)))

    def of_listener(self) -> Behaviours:
        """The behaviours of a listener: the head moves less."""
        return Behaviours(
            tuple(replace(each, sway=_LISTENER_SWAY * each.sway) for each in self.rows)
        )

    def at(self, seconds: float) -> Behaviour:
        """The behaviour at a time; beyond the line that of its end."""
        return self.rows[min(max(0, int(seconds / _BEHAVIOUR_EVERY)), len(self.rows) - 1)]

    def poses(self, frames: int) -> np.ndarray:
        """Degrees that the head nods, turns and tilts on average, [frames, 3]."""
        each, t = np.array([behaviour.pose for behaviour in self.rows]), np.arange(frames) / FPS
        return np.stack(
            [np.interp(t, _BEHAVIOUR_EVERY * np.arange(len(each)), column) for column in each.T], 1
        )

    @property
    def usual(self) -> Behaviour:
        """The behaviour in the middle of the line."""
        return self.rows[len(self.rows) // 2]


# ---- the plan

BLINKS_PER_MINUTE = 29.0
BREATH_JAW = 0.026  # opening of the jaw at a deep inhalation, radians
_MOST_BLINKS = 33.0  # a minute, of those that no pause or phrase draws: people's upper fifth
_BLINK_SPREAD = 0.5  # standard deviation of the log interval between blinks
_BLINK_APART = 0.9  # least interval between blinks, s
_BLINK_DRAWN = 0.6  # a blink moves to a better moment within this many s of its planned time
_IDLE_AFTER = 2.0  # a longer silence makes a face idle, s
_LARGEST_NOD = 10.0  # degrees
# gestures a second of speech off accents: 13 measured people hardly mark accents more than by
# chance
_OFF_ACCENTS = 0.35
# share of the weakest accents that is marked, and its increase up to the strongest
_NODS = (0.28, 0.4)  # by the head
_RAISES = (0.15, 0.4)  # by brows
_GESTURE_SPREAD = 0.07  # standard deviation of a gesture's time around its accent, s
_LIVELY = 0.25  # standard deviation between performances of the logarithm of gestures' size
# a word that is hit: the head's stroke, degrees, and the brows' raise, a channel value
_HIT_NOD, _HIT_RAISE = 5.4, 0.15
_LEAST_HIT = 0.8  # least of what is drawn for it, as a share: one is to see it
_OTHERS = 0.45  # weight of other accents beside it
_LESS = 0.55  # largest stroke on these, as a share
_HIT_ALONE = 0.3  # no other gesture within so many s of a hit
_LAST_BLINK = 0.5  # share of lines with a blink behind them besides those that come anyway
_PAUSE_BLINKS = 0.35  # share of pauses with a blink besides those that come anyway
_LONGEST_REST = 3.6  # longest time for which usual eyes rest on one point, s
_KEEPS_SIDE = 0.5  # strength of contempt from which a face keeps to its side
_NO_BLINK = (-0.2, 0.12)  # time around a phrase's strongest accent in which no blink begins, s
# standard deviations of small looks around the target, degrees turned and lowered
_AROUND = (1.4, 1.0)
_AVERSION = (9.0, 3.0)  # mean and standard deviation of a gaze aversion, degrees
# standard deviations, degrees, of head poses around a performance's mean pose, and of that
_POSE_SPREAD = np.array([1.2, 3.4, 2.2])
_MEAN_POSE_SPREAD = np.array([0.8, 1.4, 1.2])


def silences(voice: Prosody, longer: float = 0.0) -> list[tuple[float, float]]:
    """(start, end), s, of everything longer than this between phrases, before the first and behind
    the last."""
    edges = [0.0, *(t for phrase in voice.phrases for t in phrase), voice.seconds]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2]) if b - a > longer]


def _spawn(rng: np.random.Generator) -> np.random.Generator:
    """A random generator for one event or part, so that a slider that changes it moves no other."""
    return np.random.default_rng(rng.integers(1 << 63))


def _random_factor(rng: np.random.Generator, spread: float) -> float:
    """A log-normal factor around 1. spread: deviation of its logarithm."""
    return float(np.exp(rng.normal(0.0, spread)))


def _side(behaviours: Behaviours, rng: np.random.Generator) -> float:
    """The side to which a face inclines: either, but in contempt that of its smile."""
    drawn = float(rng.choice([-1.0, 1.0]))
    return (
        drawn if abs(behaviours.usual.side) < _KEEPS_SIDE else float(np.sign(behaviours.usual.side))
    )


def plan_speaker(
    voice: Prosody, choice: Choice, behaviours: Behaviours, rng: np.random.Generator
) -> Plan:
    """The plan for the speaker of a voice, who reads it as chosen; without speech, for an idle
    face."""
    plan = Plan(_side(behaviours, rng))
    mean_pose = rng.normal(0, _MEAN_POSE_SPREAD) * behaviours.at(0.0).sway
    _mark_words(plan, voice, choice, behaviours, _spawn(rng))
    _take_poses(plan, voice, choice, mean_pose, behaviours, _spawn(rng))
    _hold_brows(plan, voice, behaviours, _spawn(rng))
    _plan_looks(plan, voice, choice, behaviours, _spawn(rng))
    _act_in_pauses(plan, voice, choice, behaviours, _spawn(rng))
    for start, end in silences(voice, longer=_IDLE_AFTER):
        _plan_idle(plan, start, end, mean_pose, behaviours, _spawn(rng))
    before = 0.0
    for (start, end), act in zip(voice.phrases, ("", *choice.acts)):
        child = _spawn(rng)
        if start - before >= 0.3 and (child.random() < 0.9 or act == BREATHES):
            at = max(0.0, start - min(0.42, 0.85 * (start - before)) - child.uniform(0, 0.04))
            plan.breaths.append((at, 1.0 if act == BREATHES else child.uniform(0.3, 0.7)))
        before = end
    if voice.phrases:
        _settle(plan, voice, behaviours, _spawn(rng))
    return _finish(plan, voice, choice, [end for _, end in voice.phrases], behaviours, rng)


def plan_listener(voice: Prosody, behaviours: Behaviours, rng: np.random.Generator) -> Plan:
    """The plan for a listener: nods and brows answer the voice's accents and phrase ends with a
    delay."""
    plan = Plan(_side(behaviours, rng))
    mean_pose = rng.normal(0, _MEAN_POSE_SPREAD) * behaviours.at(0.0).sway + [
        0.0,
        0.0,
        rng.normal(0, 1.5),
    ]
    plan.poses.append(Pose(-9.0, mean_pose, 1.0))
    for start, end in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(end)
        late = float(np.clip(child.normal(0.3, 0.1), 0.1, 0.6))
        # one to three nods that die away
        if end - start > 0.5 and child.random() < 0.75 * behaviour.nods**0.5:
            size, at = behaviour.nods * child.uniform(2.0, 4.5), end + late
            for _ in range(child.integers(1, 4)):
                down = child.uniform(0.16, 0.22) / behaviour.tempo
                plan.nods.append(
                    Nod(
                        at,
                        np.array([size, 0.2 * child.normal(), 0.2 * child.normal()]),
                        down,
                        1.3 * down,
                        at,
                    )
                )
                at, size = at + 2.2 * down, 0.62 * size
        if child.random() < 0.35:
            plan.poses.append(
                Pose(
                    end + late,
                    mean_pose + child.normal(0, 0.8 * _POSE_SPREAD) * behaviour.sway,
                    child.uniform(0.7, 1.3) / behaviour.tempo,
                )
            )
        if child.random() < 0.3 * behaviour.looks and end - start > 1.2:
            _look_away(plan, start + 0.4 * (end - start), end + late, 0.15, behaviour, child)
    for t, w in zip(voice.accents, voice.weights):
        child = _spawn(rng)
        behaviour = behaviours.at(t)
        late = float(np.clip(child.normal(0.28, 0.07), 0.12, 0.5))
        if child.random() < (0.1 + 0.4 * w) * behaviour.raises**0.5:
            plan.raises.append(
                _raise(t + late, behaviour.raises * (0.12 + 0.2 * w), behaviour, child)
            )
        if child.random() < 0.22 * w * behaviour.nods:
            down = child.uniform(0.15, 0.2) / behaviour.tempo
            plan.nods.append(
                Nod(
                    t + late,
                    np.array([behaviour.nods * child.uniform(1.0, 2.2), 0, 0]),
                    down,
                    1.4 * down,
                    t + late,
                )
            )
    for start, end in silences(voice, longer=_IDLE_AFTER):
        _plan_idle(plan, start, end, mean_pose, behaviours, _spawn(rng))
    ends = [end + rng.uniform(0.1, 0.5) for _, end in voice.phrases]
    return _finish(plan, voice, Choice(), ends, behaviours, rng)


def _mark_words(
    plan: Plan, voice: Prosody, choice: Choice, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Nods, raised and knit brows: certain and large on words that are hit, small on other accents
    and off them, where they differ between readings; those of a phrase have its one idea."""
    lively = _random_factor(rng, _LIVELY)
    moments = [
        (at, _OTHERS * w)
        for at, w in zip(voice.accents.tolist(), voice.weights.tolist())
        if not _near(choice.times, at - _HIT_ALONE, at + _HIT_ALONE)
    ]
    for start, end in voice.phrases:
        at = start + rng.exponential(1 / _OFF_ACCENTS)
        while at < end:
            if not _near(choice.times, at - _HIT_ALONE, at + _HIT_ALONE):
                moments.append((at, _OTHERS * float(rng.uniform(0, 0.6))))
            at += rng.exponential(1 / _OFF_ACCENTS)
    span = [(0.0, voice.seconds)]
    for t, w, spot in sorted(
        [*((t, w, None) for t, w in moments), *((spot.at, 1.0, spot) for spot in choice.hit)],
        key=lambda moment: moment[0],
    ):
        child = _spawn(rng)
        behaviour = behaviours.at(t)
        phrase = next((i for i, (_, end) in enumerate(voice.phrases) if end >= t), -1)
        start, end = (voice.phrases or span)[phrase]
        idea = choice.ideas[phrase] if choice.ideas else NODS
        if spot is not None:
            _hit(plan, spot, idea, lively, behaviour, (start, end), voice, child)
            continue
        t += _GESTURE_SPREAD * child.standard_normal()
        nods = child.random() < (_NODS[0] + _NODS[1] * w) * min(1.3, behaviour.nods**0.4)
        if nods:
            usual = (1.2 + 4.2 * w) * _random_factor(child, 0.35)
            size = min(_LARGEST_NOD, lively * behaviour.nods * min(_LESS * _HIT_NOD, usual))
            turned = _gesture(size, idea, behaviour, child)
            _stroke(plan, t, turned, behaviour, (start, end), voice, child)
        if child.random() < (_RAISES[0] + _RAISES[1] * w) * min(1.3, behaviour.raises**0.5) * (
            1.2 if nods else 0.8
        ):
            plan.raises.append(
                _raise(t - 0.03, lively * behaviour.raises * (0.04 + 0.13 * w), behaviour, child)
            )
        if child.random() < behaviour.knits:
            plan.knits.append(
                _raise(t - 0.03, min(1.0, behaviour.knits) * (0.15 + 0.3 * w), behaviour, child)
            )


def _near(times: np.ndarray, start: float, end: float) -> bool:
    """Whether any of some times [k] in order is between start and end."""
    first, behind = np.searchsorted(times, [start, end])
    return bool(first < behind)


def _hit(
    plan: Plan, spot: Spot, idea: str, lively: float, behaviour: Behaviour,
    phrase: tuple[float, float], voice: Prosody, rng: np.random.Generator,
) -> None:  # fmt: skip
    """A word that is hit: brows or head begin before it, the head is furthest on its accent, and
    both settle behind it."""
    of_head, of_brows = (0.5, 1.4) if idea == BROWS else (1.0, 1.0)
    drawn = max(_LEAST_HIT, lively * _random_factor(rng, 0.2))
    size = min(_LARGEST_NOD, of_head * drawn * behaviour.nods * _HIT_NOD)
    _stroke(
        plan, spot.at + 0.02, _gesture(size, idea, behaviour, rng), behaviour, phrase, voice, rng
    )
    begins = spot.start - rng.uniform(0.02, 0.12)  # before the word
    usual = of_brows * max(_LEAST_HIT, lively) * behaviour.raises * _HIT_RAISE
    raised = _raise(0.0, usual, behaviour, rng)
    at = begins + raised.rise / 2
    height, hold = max(raised.height, _LEAST_HIT * usual), max(raised.hold, spot.at - at)
    plan.raises.append(replace(raised, at=at, height=height, hold=hold))
    if rng.random() < behaviour.knits:
        plan.knits.append(_raise(at, min(1.0, behaviour.knits) * 0.45, behaviour, rng))


def _stroke(
    plan: Plan, t: float, turned: np.ndarray, behaviour: Behaviour, phrase: tuple[float, float],
    voice: Prosody, rng: np.random.Generator,
) -> None:  # fmt: skip
    """A movement of the head by `turned` degrees [3] whose furthest point is about at t, within its
    phrase."""
    start, end = phrase
    # the further, the longer
    slower = (0.75 + 0.06 * float(np.linalg.norm(turned))) / behaviour.tempo
    down, back = slower * rng.uniform(0.15, 0.21), slower * rng.uniform(0.26, 0.55)
    after = min((s for s, _ in voice.phrases if s > t), default=None)
    at = max(start + down, min(end - 0.06, t + rng.uniform(-0.01, 0.05)))
    # a gesture at a phrase's end is held until the next, or relaxes slowly
    if at + 0.06 + back > end:
        until = at + 2.5 if after is None else after - 0.05
        plan.nods.append(Nod(at, 0.6 * turned, down, 2.2 * back, until))
    else:
        plan.nods.append(Nod(at, turned, down, back, at + rng.uniform(0, 0.06)))


def _raise(at: float, height: float, behaviour: Behaviour, rng: np.random.Generator) -> Raise:
    rise = rng.uniform(0.14, 0.22) / behaviour.tempo
    hold = rng.uniform(0.04, 0.25)
    fall = rng.uniform(0.3, 0.7) / behaviour.tempo
    outer = float(np.clip(rng.normal(0.8, 0.25), 0.2, 1.3))
    return Raise(
        at, height * _random_factor(rng, 0.35), rise, hold, fall, float(rng.normal(0, 0.14)), outer
    )


def _gesture(size: float, idea: str, behaviour: Behaviour, rng: np.random.Generator) -> np.ndarray:
    """The head's movement on a word, degrees [3], by the idea of its phrase, or upwards where a
    mood does that."""
    kind, side = rng.random(), rng.choice([-1.0, 1.0])
    if idea == LIFTS or kind < behaviour.upward - USUAL.upward:
        shares = (-0.75, 0.3 * rng.normal(), 0.25 * rng.normal())
    elif idea == TURNS:
        shares = (0.5, side * rng.uniform(0.75, 1.0), side * rng.uniform(-0.2, 0.4))
    elif idea == TILTS:
        shares = (0.5, side * rng.uniform(0.0, 0.3), side * rng.uniform(0.75, 1.0))
    else:
        shares = (1.0, 0.3 * rng.normal(), 0.25 * rng.normal())
    return size * np.array(shares)


def _take_poses(
    plan: Plan, voice: Prosody, choice: Choice, mean_pose: np.ndarray, behaviours: Behaviours,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A pose for most phrases, taken as it starts, and others within a long one, beside its
    hits."""
    plan.poses.append(
        Pose(-9.0, mean_pose + rng.normal(0, _POSE_SPREAD) * behaviours.at(0.0).sway, 1.0)
    )
    for start, end in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(start)
        # a short phrase is over before a head has turned
        if start > 0.1 and end - start > 0.9 and child.random() < 0.8:
            lasts = min(child.uniform(0.5, 1.0) / behaviour.tempo, end - start - 0.4)
            plan.poses.append(
                Pose(start - 0.1, mean_pose + child.normal(0, _POSE_SPREAD) * behaviour.sway, lasts)
            )
        at = start + child.uniform(1.0, 2.6)
        while at < end - 1.3:
            behaviour = behaviours.at(at)
            lasts = child.uniform(0.4, 0.8) / behaviour.tempo
            degrees = mean_pose + child.normal(0, _POSE_SPREAD) * behaviour.sway
            if not _near(choice.times, at - 0.3, at + lasts + 0.3):
                plan.poses.append(Pose(at, degrees, lasts))
            at += lasts + child.uniform(0.6, 2.4)


def _hold_brows(
    plan: Plan, voice: Prosody, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Brows that stay up over a phrase."""
    for start, end in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(start)
        if end - start > 0.8 and child.random() < 0.22 * min(2.0, behaviour.raises):
            first = next((t for t in voice.accents if start <= t < end), start)
            held = max(0.3, child.uniform(0.5, 1.0) * (end - first))
            plan.raises.append(
                Raise(
                    first - 0.03,
                    behaviour.raises * child.uniform(0.04, 0.09),
                    0.2 / behaviour.tempo,
                    held,
                    child.uniform(0.5, 1.0),
                )
            )


def _look_away(
    plan: Plan,
    away: float,
    back: float,
    follow: float,
    behaviour: Behaviour,
    rng: np.random.Generator,
) -> None:
    """The gaze leaves, stays for one or two looks, and comes back."""
    side = np.sign(rng.normal(0.5 * behaviour.one_sided, 1.0)) or 1.0
    far = max(4.0, rng.normal(*_AVERSION))
    # down, up, aside, far down
    angle = np.radians(
        rng.choice([25.0, -20.0, 5.0, 55.0], p=[0.3, 0.3, 0.25, 0.15]) + rng.normal(0, 10)
    )
    where = np.array(
        [
            side * far * np.cos(angle) + side * behaviour.aside[0],
            far * np.sin(angle) + behaviour.aside[1],
        ]
    )
    plan.looks.append(Look(away, where, follow))
    if back - away > 0.7 and rng.random() < 0.5:
        plan.looks.append(
            Look(
                away + rng.uniform(0.3, 0.6) * (back - away),
                where + rng.normal(0, (3.0, 2.0)),
                follow,
            )
        )
    plan.looks.append(Look(back, rng.normal(0, (0.8, 0.5)), follow))


def _plan_looks(
    plan: Plan, voice: Prosody, choice: Choice, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """The gaze leaves at hesitations, while a phrase is planned and during a chosen word, and
    returns during the phrase, before a word that is hit."""
    free = 0.0  # end of the last look away, s
    for a, b in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(a)
        often = min(1.6, behaviour.looks)
        leaves = []
        if a > 0.1 and child.random() < 0.2 * often:  # as a phrase begins
            leaves.append((a - child.uniform(0.0, 0.15), child.uniform(0.4, 1.1)))
        for t in (t for t in voice.hesitations if a <= t < b):
            if child.random() < 0.5 * often:
                leaves.append((t + child.uniform(0.05, 0.15), child.uniform(0.5, 1.0)))
        t = a + child.exponential(20.0 / often)
        while t < b - 0.8:  # now and then, without an audible reason
            leaves.append((t, child.uniform(0.4, 0.9)))
            t += child.exponential(20.0 / often) + 0.8
        if choice.aside >= 0 and a <= choice.spots[choice.aside].at < b:
            aside = choice.spots[choice.aside]
            leaves.append((aside.start - 0.1, max(0.5, aside.end - aside.start + 0.1)))
        for away, lasts in sorted(leaves):
            after = int(np.searchsorted(choice.times, away))
            hit = choice.hit[after].start if after < len(choice.hit) else b
            back = min(b, hit - 0.08, away + lasts * behaviour.linger)
            if away > free and back - away > 0.3:
                _look_away(plan, away, back, 0.2, behaviour, child)
                free = back


def _act_in_pauses(
    plan: Plan, voice: Prosody, choice: Choice, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """What is done in each pause. Who thinks looks up or aside until the phrase has begun; who
    breathes lifts the head with it; who holds still does nothing (`_finish` keeps the rest off)."""
    for (start, end), act in zip(voice.pauses, choice.acts):
        child = _spawn(rng)
        behaviour, lasts = behaviours.at(start), end - start
        if act == AWAY:
            away = start + child.uniform(-0.08, 0.08)
            back = min(end + child.uniform(-0.1, 0.1), away + 2.2 * behaviour.linger)
            _look_away(plan, away, max(away + 0.25, back), 0.1, behaviour, child)
        elif act == THINKS:
            away = start + child.uniform(0.0, 0.1)
            side = child.choice([-1.0, 1.0])
            where = np.array([side * child.uniform(4, 9), child.uniform(-9, 2)])
            plan.looks.append(Look(away, where, 0.1))
            plan.looks.append(Look(end + child.uniform(0.15, 0.4), np.zeros(2), 0.1))
            height = child.uniform(0.1, 0.2)
            plan.knits.append(Raise(start + 0.15, height, 0.25, max(0.1, lasts - 0.1), 0.5))
        elif act == BREATHES:
            lift = behaviour.sway * np.array([-child.uniform(1.5, 2.5), 0, child.normal(0, 0.5)])
            plan.nods.append(Nod(end - 0.1, lift, min(0.4, 0.8 * lasts), 0.5, end))
            raised = behaviour.raises * child.uniform(0.06, 0.12)
            plan.raises.append(_raise(end - 0.3, raised, behaviour, child))


def _settle(plan: Plan, voice: Prosody, behaviours: Behaviours, rng: np.random.Generator) -> None:
    """Behind the last phrase the head comes down to a pose of its own, slowly, and the eyes leave
    once more, late, and stay there or come back."""
    end = voice.phrases[-1][1]
    behaviour, last = behaviours.at(end), max(plan.poses, key=lambda pose: pose.at).degrees
    lasts = rng.uniform(0.9, 1.6) / behaviour.tempo
    if rng.random() < 0.75:
        down = np.array([rng.uniform(0.3, 1.8), *rng.normal(0, 0.7, 2)]) * behaviour.sway
        plan.poses.append(Pose(end + rng.uniform(-0.1, 0.25), 0.8 * last + down, lasts))
    away = end + rng.uniform(0.3, 0.8)
    if rng.random() < 0.7 * min(1.4, behaviour.looks) and away < voice.seconds - 0.1:
        side = rng.choice([-1.0, 1.0])
        where = np.array([side * rng.uniform(1.5, 6), rng.uniform(-1, 4)])
        plan.looks.append(Look(away, where, 0.1))
        if rng.random() < 0.5:
            plan.looks.append(Look(away + rng.uniform(0.5, 1.1), rng.normal(0, (0.8, 0.5)), 0.1))


def _look_where_gaze_rests(
    plan: Plan, voice: Prosody, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Looks away wherever the gaze would stay on one point for longer than people's."""
    at = 0.0
    for end in [*sorted(look.at for look in plan.looks), voice.seconds]:
        while end - at > (longest := _LONGEST_REST / min(1.5, max(0.8, behaviours.at(at).looks))):
            away = at + rng.uniform(0.6, 1.0) * longest
            at = min(end - 0.3, away + rng.uniform(0.5, 1.4) * behaviours.at(away).linger)
            if at - away > 0.3:
                _look_away(plan, away, at, 0.15, behaviours.at(away), rng)
        at = max(at, end)


def _plan_idle(
    plan: Plan,
    start: float,
    end: float,
    mean_pose: np.ndarray,
    behaviours: Behaviours,
    rng: np.random.Generator,
) -> None:
    """A long silence: the head comes to rest slowly and shifts now and then, eyes wander and come
    back, brows stir."""
    behaviour, at, first = behaviours.at((start + end) / 2), start + rng.uniform(0.8, 1.5), True
    while at < end - 1.0:
        lasts = (
            rng.uniform(1.6, 2.8) / behaviour.tempo
            if first
            else rng.uniform(0.9, 1.8) / behaviour.tempo
        )
        plan.poses.append(
            Pose(
                at,
                mean_pose + rng.normal(0, 0.75 * _POSE_SPREAD) * behaviour.sway,
                min(lasts, end - at),
            )
        )
        at, first = at + lasts + rng.uniform(1.2, 4.5), False
    at = start + rng.uniform(0.4, 2.0)
    while at < end - 0.6:
        back = min(end, at + rng.uniform(0.5, 1.8) * behaviour.linger)
        _look_away(plan, at, back, 0.3, behaviour, rng)
        at = back + rng.exponential(2.6 / behaviour.looks) + 0.6
    at = start + rng.exponential(4.0)
    while at < end - 0.5:
        plan.raises.append(_raise(at, behaviour.raises * rng.uniform(0.04, 0.12), behaviour, rng))
        at += rng.exponential(5.0) + 1.0


def _finish(
    plan: Plan, voice: Prosody, choice: Choice, ends: list[float], behaviours: Behaviours,
    rng: np.random.Generator,
) -> Plan:  # fmt: skip
    """The plan in order of time, with looks where the gaze would rest too long, small ones between
    them, and blinks. ends: when a blink answers the end of a phrase, s."""
    _look_where_gaze_rests(plan, voice, behaviours, _spawn(rng))
    plan.looks.sort(key=lambda look: look.at)
    shifts = [look.at for look in plan.looks]
    _look_around_the_target(plan, voice.seconds, behaviours, rng)
    _plan_blinks(plan, voice, choice, ends, shifts, behaviours, rng)
    for (start, end), act in zip(voice.pauses, choice.acts):
        if act == STILL:
            for still in (plan.looks, plan.blinks, plan.poses):
                still[:] = [each for each in still if not start - 0.05 < each.at < end - 0.1]
    for events in (plan.poses, plan.nods, plan.raises, plan.knits, plan.looks, plan.blinks):
        events.sort(key=lambda event: event.at)
    return plan


def _look_around_the_target(
    plan: Plan, seconds: float, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Small looks between the large ones: the gaze rests on one point of its target after
    another."""
    small, at, large = [], 0.0, [look.at for look in plan.looks]
    centre = Look(-9.0, np.zeros(2), 0.0)
    while at < seconds:
        at += 0.25 + rng.lognormal(-0.35, 0.5) / behaviours.at(at).restless
        resting = max(
            (look for look in plan.looks if look.at <= at), key=lambda look: look.at, default=centre
        )
        if all(abs(at - t) > 0.25 for t in large):
            small.append(Look(at, resting.degrees + rng.normal(0, _AROUND), resting.follow))
    plan.looks += small


# why a blink is there, as words behind “a blink”
AT_PHRASE_END = "at the end of a phrase"
WITH_GAZE = "with a movement of the gaze"
AFTER_LOUDEST = "behind the loudest word of a phrase"
IN_PAUSE = "in a pause"
ON_TIME = "after the usual time"


def _plan_blinks(
    plan: Plan, voice: Prosody, choice: Choice, ends: list[float], shifts: list[float],
    behaviours: Behaviours, rng: np.random.Generator,
) -> None:  # fmt: skip
    """Blinks at random intervals, most of them moved to the end of a phrase or a movement of the
    gaze where one is near, and some more in pauses and as the last word is said. ends: when they
    answer the end of a phrase, s.  shifts: of the gaze, s."""
    hits = [spot.at for spot in choice.hit]
    strongest = hits + [
        max((w, t) for t, w in zip(voice.accents, voice.weights) if a <= t < b)[1]
        for a, b in voice.phrases
        if ((voice.accents >= a) & (voice.accents < b)).any()
    ]
    good = sorted(
        [
            *((t + rng.normal(0.06, 0.05), AT_PHRASE_END) for t in ends),
            *((t + 0.02, WITH_GAZE) for t in shifts),
        ]
    )
    often = BLINKS_PER_MINUTE * _random_factor(rng, 0.12)

    def interval(at: float) -> float:
        """Seconds from a blink to the next."""
        rate = min(often * behaviours.at(at).blinks, _MOST_BLINKS)
        return rng.lognormal(np.log(60.0 / rate) - _BLINK_SPREAD**2 / 2, _BLINK_SPREAD)

    def blink(at: float, reason: str) -> None:
        length = behaviours.at(at).blink_length * _random_factor(rng, 0.15)
        plan.blinks.append(Blink(at, length, reason))

    at, last = float(rng.uniform(0, 1)) * interval(0.0), -9.0
    while at < voice.seconds + _BLINK_DRAWN:
        near = [
            (t, reason)
            for t, reason in good
            if abs(t - at) < _BLINK_DRAWN and t - last > _BLINK_APART
        ]
        when, reason = (
            min(near, key=lambda moment: abs(moment[0] - at))
            if near and rng.random() < 0.85
            else (max(at, last + _BLINK_APART), ON_TIME)
        )
        # people rarely shut their eyes on what they say loudest
        if any(_NO_BLINK[0] < when - t < _NO_BLINK[1] for t in strongest):
            when, reason = when + (_NO_BLINK[1] - _NO_BLINK[0]), AFTER_LOUDEST
        blink(when, reason)
        last = when
        at = max(at, when) + max(0.3, interval(when))
    for start, end in voice.pauses:
        at = rng.uniform(start, end)
        if rng.random() < _PAUSE_BLINKS and all(
            abs(at - other.at) > _BLINK_APART for other in plan.blinks
        ):
            blink(at, IN_PAUSE)
    if voice.phrases and rng.random() < _LAST_BLINK:
        at = ends[-1] + rng.uniform(0.05, 0.3)
        if all(abs(at - other.at) > _BLINK_APART for other in plan.blinks):
            blink(at, AT_PHRASE_END)
