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
from types import SimpleNamespace

import numpy as np

from ...behaviour import Behaviour
from ...direction import CHOICES, Direction, in_moods, Style
from ...events import Blink, Look, Nod, Plan, Pose, Raise
from ...types import FPS
from ..speech.cues import Prosody
from .choice import (
    AWAY,
    BREATHES,
    Choice,
    HOLDS_STILL,
    LIFTS,
    NODS,
    RAISES_BROWS,
    Spot,
    THINKS,
    TILTS,
    TURNS,
)

# ---- the behaviour of a direction

USUAL = Behaviour()
_NEVER_NEGATIVE = ("nods", "raises", "knits", "inner", "outer", "down", "wide", "squint", "droop")


def _blend(usual, other, share: float):
    if isinstance(usual, tuple):
        return tuple(_blend(a, b, share) for a, b in zip(usual, other))
    return usual + share * (other - usual)


# How sliders change a behaviour.
_SLIDERS = SimpleNamespace(
    energy_on_sway=0.3,  # exponent by which the head sways more in energetic speech
    frown_on_down=0.22,  # at a *Frown* of 1
    frown_on_knits=0.3,  # at a *Frown* of 1
    frown_on_squint=0.06,  # at a *Frown* of 1
    smile_on_squint=0.12,  # channel value added at a *Smile* of 1
    asymmetry_on_brows=0.6,  # surplus of one brow at an *Asymmetry* of 1
    eyes_of_people=2.0,  # *Eyes* above which blinks may be more than people's
)


def behaviour_of(direction: Direction, style: Style, tempo: float) -> Behaviour:
    """The behaviour of a direction: its mood's, by its strength, with the sliders of its style
    in the mood."""
    mood = CHOICES[direction.mood].behaviour
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
        sway=behaviour.sway * style.head * style.energy**_SLIDERS.energy_on_sway,
        nods=behaviour.nods * style.head,
        raises=behaviour.raises * style.brows,
        looks=behaviour.looks * style.eyes,
        restless=behaviour.restless * style.eyes**0.5,
        # who looks away twice as often does not blink twice as often, unless asked for more
        blinks=behaviour.blinks * style.eyes**0.5 * max(1.0, style.eyes / _SLIDERS.eyes_of_people),
        down=behaviour.down + _SLIDERS.frown_on_down * frown,
        knits=behaviour.knits + _SLIDERS.frown_on_knits * frown,
        squint=behaviour.squint
        + _SLIDERS.smile_on_squint * max(0.0, style.smile)
        + _SLIDERS.frown_on_squint * frown,
        one_sided=behaviour.one_sided + _SLIDERS.asymmetry_on_brows * style.asymmetry,
        # doubt raises the brow of the side that moves more, where one does
        side=-min(1.0, max(-1.0, 2 * style.asymmetry)) if mood.by_asymmetry else behaviour.side,
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

# Numbers of this module without another source are set by hand, so that `python -m research habits`
# finds people's habits; two numbers in brackets are the least and the most of what is drawn.
_BEFORE_START = -9.0  # s: before any take
BLINKS_PER_MINUTE = 29.0
BREATH_JAW = 0.026  # opening of the jaw at a deep inhalation, radians
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
        drawn
        if abs(behaviours.usual.side) < _GESTURE.keeps_side
        else float(np.sign(behaviours.usual.side))
    )


# Breaths before phrases.
_BREATH = SimpleNamespace(
    gap=0.3,  # shortest silence with one, s
    chance=0.9,
    ahead=0.42,  # s before the phrase
    part=0.85,  # of the silence, at most
    earlier=0.04,  # largest random part of that, s
    depth=(0.3, 0.7),  # 1 is a deep one
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
    for start, end in silences(voice, longer=_IDLE.after):
        _plan_idle(plan, start, end, mean_pose, behaviours, _spawn(rng))
    before = 0.0
    for (start, end), act in zip(voice.phrases, ("", *choice.acts)):
        child = _spawn(rng)
        if start - before >= _BREATH.gap and (child.random() < _BREATH.chance or act == BREATHES):
            at = max(
                0.0,
                start
                - min(_BREATH.ahead, _BREATH.part * (start - before))
                - child.uniform(0, _BREATH.earlier),
            )
            plan.breaths.append((at, 1.0 if act == BREATHES else child.uniform(*_BREATH.depth)))
        before = end
    if voice.phrases:
        _settle(plan, voice, behaviours, _spawn(rng))
    return _finish(plan, voice, choice, [end for _, end in voice.phrases], behaviours, rng)


# A listener's answers to the end of a phrase.
_ANSWER = SimpleNamespace(
    tilt=1.5,  # standard deviation of its mean tilt besides a speaker's, degrees
    delay=(0.3, 0.1, 0.1, 0.6),  # mean, standard deviation, least and most, s
    phrase=0.5,  # shortest that is answered by nods, s
    nods_chance=0.75,
    pose_chance=0.35,
    look_chance=0.3,
    nod=(2.0, 4.5),  # the first, degrees
    most_nods=3,
    down=(0.16, 0.22),  # s
    back=1.3,  # way back beside the way down
    every=2.2,  # from nod to nod, likewise
    decay=0.62,  # size of the next beside the last
    strays=0.2,  # standard deviation of turn and tilt, degrees
    sway=0.8,  # spread of a new pose beside a speaker's
    pose=(0.7, 1.3),  # s that it takes
    looked_from=1.2,  # shortest phrase during which it looks away, s
    look_after=0.4,  # part of the phrase
    follow=0.15,  # the head's share of the look
    blink=(0.1, 0.5),  # s behind the phrase
)
# A listener's answers to accents. Brows and height: of the weakest, and more up to the strongest.
_ACCENT = SimpleNamespace(
    delay=(0.28, 0.07, 0.12, 0.5),  # mean, standard deviation, least and most, s
    brows=(0.1, 0.4),  # chance of raised brows
    height=(0.12, 0.2),  # channel value
    nods=0.22,  # chance of a nod on the strongest
    nod=(1.0, 2.2),  # degrees
    down=(0.15, 0.2),  # s
    back=1.4,  # way back beside the way down
)


def _draw_clipped(
    rng: np.random.Generator, mean: float, spread: float, least: float, most: float
) -> float:
    """A normal number within bounds."""
    return float(np.clip(rng.normal(mean, spread), least, most))


def plan_listener(voice: Prosody, behaviours: Behaviours, rng: np.random.Generator) -> Plan:
    """The plan for a listener: nods and brows answer the voice's accents and phrase ends with a
    delay."""
    plan = Plan(_side(behaviours, rng))
    mean_pose = rng.normal(0, _MEAN_POSE_SPREAD) * behaviours.at(0.0).sway + [
        0.0,
        0.0,
        rng.normal(0, _ANSWER.tilt),
    ]
    plan.poses.append(Pose(_BEFORE_START, mean_pose, 1.0))
    for start, end in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(end)
        late = _draw_clipped(child, *_ANSWER.delay)
        # one to three nods that die away
        if (
            end - start > _ANSWER.phrase
            and child.random() < _ANSWER.nods_chance * behaviour.nods**0.5
        ):
            size, at = behaviour.nods * child.uniform(*_ANSWER.nod), end + late
            for _ in range(child.integers(1, _ANSWER.most_nods + 1)):
                down = child.uniform(*_ANSWER.down) / behaviour.tempo
                plan.nods.append(
                    Nod(
                        at,
                        np.array(
                            [size, _ANSWER.strays * child.normal(), _ANSWER.strays * child.normal()]
                        ),
                        down,
                        _ANSWER.back * down,
                        at,
                    )
                )
                at, size = at + _ANSWER.every * down, _ANSWER.decay * size
        if child.random() < _ANSWER.pose_chance:
            plan.poses.append(
                Pose(
                    end + late,
                    mean_pose + child.normal(0, _ANSWER.sway * _POSE_SPREAD) * behaviour.sway,
                    child.uniform(*_ANSWER.pose) / behaviour.tempo,
                )
            )
        if (
            child.random() < _ANSWER.look_chance * behaviour.looks
            and end - start > _ANSWER.looked_from
        ):
            _look_away(
                plan,
                start + _ANSWER.look_after * (end - start),
                end + late,
                _ANSWER.follow,
                behaviour,
                child,
            )
    for t, w in zip(voice.accents, voice.weights):
        child = _spawn(rng)
        behaviour = behaviours.at(t)
        late = _draw_clipped(child, *_ACCENT.delay)
        if child.random() < (_ACCENT.brows[0] + _ACCENT.brows[1] * w) * behaviour.raises**0.5:
            plan.raises.append(
                _raise(
                    t + late,
                    behaviour.raises * (_ACCENT.height[0] + _ACCENT.height[1] * w),
                    behaviour,
                    child,
                )
            )
        if child.random() < _ACCENT.nods * w * behaviour.nods:
            down = child.uniform(*_ACCENT.down) / behaviour.tempo
            plan.nods.append(
                Nod(
                    t + late,
                    np.array([behaviour.nods * child.uniform(*_ACCENT.nod), 0, 0]),
                    down,
                    _ACCENT.back * down,
                    t + late,
                )
            )
    for start, end in silences(voice, longer=_IDLE.after):
        _plan_idle(plan, start, end, mean_pose, behaviours, _spawn(rng))
    ends = [end + rng.uniform(*_ANSWER.blink) for _, end in voice.phrases]
    return _finish(plan, voice, Choice(), ends, behaviours, rng)


# Gestures on accents that are not hit. Two numbers: of the weakest, and more up to the strongest.
_SMALL = SimpleNamespace(
    # a second of speech, off accents: 13 measured people hardly mark accents more than by chance
    off_accents=0.35,
    nods=(0.28, 0.4),  # share of accents that the head marks
    raises=(0.15, 0.4),  # share that brows mark
    spread=0.07,  # standard deviation of the time around the accent, s
    lively=0.25,  # standard deviation, between performances, of the logarithm of all sizes
    weight=0.45,  # of such an accent beside a hit
    most=0.55,  # largest stroke beside that of a hit
    off_weight=0.6,  # largest weight of one off accents
    more_often=1.3,  # most by which large gestures are more frequent
    often_by_size=0.4,  # exponent of a nod's size for that
    stroke=(1.2, 4.2),  # degrees
    raised=(0.04, 0.13),  # channel value
    knit=(0.15, 0.3),  # channel value
    varies=0.35,  # standard deviation of the logarithm of a size
    with_nod=1.2,  # factor of the chance of raised brows
    without_nod=0.8,  # likewise
    ahead=0.03,  # s by which brows begin before the accent
)


def _mark_words(
    plan: Plan, voice: Prosody, choice: Choice, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Nods, raised and knit brows: certain and large on words that are hit, small on other accents
    and off them, where they differ between readings; those of a phrase have its one idea."""
    lively = _random_factor(rng, _SMALL.lively)
    moments = [
        (at, _SMALL.weight * w)
        for at, w in zip(voice.accents.tolist(), voice.weights.tolist())
        if not _near(choice.times, at - _HIT.alone, at + _HIT.alone)
    ]
    for start, end in voice.phrases:
        at = start + rng.exponential(1 / _SMALL.off_accents)
        while at < end:
            if not _near(choice.times, at - _HIT.alone, at + _HIT.alone):
                moments.append((at, _SMALL.weight * float(rng.uniform(0, _SMALL.off_weight))))
            at += rng.exponential(1 / _SMALL.off_accents)
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
        t += _SMALL.spread * child.standard_normal()
        nods = child.random() < (_SMALL.nods[0] + _SMALL.nods[1] * w) * min(
            _SMALL.more_often, behaviour.nods**_SMALL.often_by_size
        )
        if nods:
            usual = (_SMALL.stroke[0] + _SMALL.stroke[1] * w) * _random_factor(child, _SMALL.varies)
            size = min(_STROKE.most, lively * behaviour.nods * min(_SMALL.most * _HIT.nod, usual))
            turned = _gesture(size, idea, behaviour, child)
            _stroke(plan, t, turned, behaviour, (start, end), voice, child)
        if child.random() < (_SMALL.raises[0] + _SMALL.raises[1] * w) * min(
            _SMALL.more_often, behaviour.raises**0.5
        ) * (_SMALL.with_nod if nods else _SMALL.without_nod):
            plan.raises.append(
                _raise(
                    t - _SMALL.ahead,
                    lively * behaviour.raises * (_SMALL.raised[0] + _SMALL.raised[1] * w),
                    behaviour,
                    child,
                )
            )
        if child.random() < behaviour.knits:
            plan.knits.append(
                _raise(
                    t - _SMALL.ahead,
                    min(1.0, behaviour.knits) * (_SMALL.knit[0] + _SMALL.knit[1] * w),
                    behaviour,
                    child,
                )
            )


def _near(times: np.ndarray, start: float, end: float) -> bool:
    """Whether any of some times [k] in order is between start and end."""
    first, behind = np.searchsorted(times, [start, end])
    return bool(first < behind)


# A word that is hit.
_HIT = SimpleNamespace(
    nod=5.4,  # degrees
    raised=0.15,  # channel value
    least=0.8,  # of what is drawn for it, as a share: one is to see it
    alone=0.3,  # s around it without another gesture
    brows_alone=1.4,  # factor of the raise where the head hardly marks it
    varies=0.2,  # standard deviation of the logarithm of the stroke's size
    late=0.02,  # s from the accent to the furthest point of the stroke
    ahead=(0.02, 0.12),  # s by which brows begin before the word
    knit=0.45,  # channel value
)


def _hit(
    plan: Plan, spot: Spot, idea: str, lively: float, behaviour: Behaviour,
    phrase: tuple[float, float], voice: Prosody, rng: np.random.Generator,
) -> None:  # fmt: skip
    """A word that is hit: brows or head begin before it, the head is furthest on its accent, and
    both settle behind it."""
    of_head, of_brows = (0.5, _HIT.brows_alone) if idea == RAISES_BROWS else (1.0, 1.0)
    drawn = max(_HIT.least, lively * _random_factor(rng, _HIT.varies))
    size = min(_STROKE.most, of_head * drawn * behaviour.nods * _HIT.nod)
    _stroke(
        plan,
        spot.at + _HIT.late,
        _gesture(size, idea, behaviour, rng),
        behaviour,
        phrase,
        voice,
        rng,
    )
    begins = spot.start - rng.uniform(*_HIT.ahead)  # before the word
    usual = of_brows * max(_HIT.least, lively) * behaviour.raises * _HIT.raised
    raised = _raise(0.0, usual, behaviour, rng)
    at = begins + raised.rise / 2
    height, hold = max(raised.height, _HIT.least * usual), max(raised.hold, spot.at - at)
    plan.raises.append(replace(raised, at=at, height=height, hold=hold))
    if rng.random() < behaviour.knits:
        plan.knits.append(_raise(at, min(1.0, behaviour.knits) * _HIT.knit, behaviour, rng))


# A stroke of the head.
_STROKE = SimpleNamespace(
    most=10.0,  # degrees
    slower=(0.75, 0.06),  # factor of its time at 0 degrees, and more a degree
    down=(0.15, 0.21),  # s
    back=(0.26, 0.55),  # s
    late=(-0.01, 0.05),  # s behind its accent
    stays=0.06,  # most s at the furthest point
    held_size=0.6,  # of one at a phrase's end, which is held, beside others
    held_back=2.2,  # its way back beside others'
    held_last=2.5,  # s behind the last phrase
    held_until=0.05,  # s before the next phrase
)


def _stroke(
    plan: Plan, t: float, turned: np.ndarray, behaviour: Behaviour, phrase: tuple[float, float],
    voice: Prosody, rng: np.random.Generator,
) -> None:  # fmt: skip
    """A movement of the head by `turned` degrees [3] whose furthest point is about at t, within its
    phrase."""
    start, end = phrase
    # the further, the longer
    slower = (
        _STROKE.slower[0] + _STROKE.slower[1] * float(np.linalg.norm(turned))
    ) / behaviour.tempo
    down, back = slower * rng.uniform(*_STROKE.down), slower * rng.uniform(*_STROKE.back)
    after = min((s for s, _ in voice.phrases if s > t), default=None)
    at = max(start + down, min(end - _STROKE.stays, t + rng.uniform(*_STROKE.late)))
    # a gesture at a phrase's end is held until the next, or relaxes slowly
    if at + _STROKE.stays + back > end:
        until = at + _STROKE.held_last if after is None else after - _STROKE.held_until
        plan.nods.append(Nod(at, _STROKE.held_size * turned, down, _STROKE.held_back * back, until))
    else:
        plan.nods.append(Nod(at, turned, down, back, at + rng.uniform(0, _STROKE.stays)))


# Raised brows.
_BROWS = SimpleNamespace(
    rise=(0.14, 0.22),  # s
    hold=(0.04, 0.25),  # s
    fall=(0.3, 0.7),  # s
    outer=(0.8, 0.25, 0.2, 1.3),  # beside inner ones: mean, standard deviation, least and most
    lean=0.14,  # standard deviation of the left one's surplus, a share
)


def _raise(at: float, height: float, behaviour: Behaviour, rng: np.random.Generator) -> Raise:
    rise = rng.uniform(*_BROWS.rise) / behaviour.tempo
    hold = rng.uniform(*_BROWS.hold)
    fall = rng.uniform(*_BROWS.fall) / behaviour.tempo
    outer = _draw_clipped(rng, *_BROWS.outer)
    return Raise(
        at,
        height * _random_factor(rng, _SMALL.varies),
        rise,
        hold,
        fall,
        float(rng.normal(0, _BROWS.lean)),
        outer,
    )


# Shares of a gesture's size.
_GESTURE = SimpleNamespace(
    keeps_side=0.5,  # strength of contempt from which a face keeps to its side
    lift=0.75,
    main=(0.75, 1.0),  # of the turn or tilt that is the idea
    turn_tilt=(-0.2, 0.4),  # of the tilt beside a turn
    tilt_turn=0.3,  # of the turn beside a tilt, at most
    strays=(0.3, 0.25),  # standard deviations of turn and tilt beside a nod
)


def _gesture(size: float, idea: str, behaviour: Behaviour, rng: np.random.Generator) -> np.ndarray:
    """The head's movement on a word, degrees [3], by the idea of its phrase, or upwards where a
    mood does that."""
    kind, side = rng.random(), rng.choice([-1.0, 1.0])
    if idea == LIFTS or kind < behaviour.upward - USUAL.upward:
        shares = (
            -_GESTURE.lift,
            _GESTURE.strays[0] * rng.normal(),
            _GESTURE.strays[1] * rng.normal(),
        )
    elif idea == TURNS:
        shares = (0.5, side * rng.uniform(*_GESTURE.main), side * rng.uniform(*_GESTURE.turn_tilt))
    elif idea == TILTS:
        shares = (
            0.5,
            side * rng.uniform(0.0, _GESTURE.tilt_turn),
            side * rng.uniform(*_GESTURE.main),
        )
    else:
        shares = (1.0, _GESTURE.strays[0] * rng.normal(), _GESTURE.strays[1] * rng.normal())
    return size * np.array(shares)


# Poses of the head at the start of phrases, and within them.
_POSE = SimpleNamespace(
    ahead=0.1,  # s before the phrase
    phrase=0.9,  # shortest with one, s
    chance=0.8,
    lasts=(0.5, 1.0),  # s
    rests=0.4,  # s of the phrase that remain
    first=(1.0, 2.6),  # s from the start of the phrase to the first within
    every=(0.6, 2.4),  # s from one to the next
    later_lasts=(0.4, 0.8),  # s
    last=1.3,  # s before the end of the phrase
)


def _take_poses(
    plan: Plan, voice: Prosody, choice: Choice, mean_pose: np.ndarray, behaviours: Behaviours,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """A pose for most phrases, taken as it starts, and others within a long one, beside its
    hits."""
    plan.poses.append(
        Pose(_BEFORE_START, mean_pose + rng.normal(0, _POSE_SPREAD) * behaviours.at(0.0).sway, 1.0)
    )
    for start, end in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(start)
        # a short phrase is over before a head has turned
        if start > _POSE.ahead and end - start > _POSE.phrase and child.random() < _POSE.chance:
            lasts = min(child.uniform(*_POSE.lasts) / behaviour.tempo, end - start - _POSE.rests)
            plan.poses.append(
                Pose(
                    start - _POSE.ahead,
                    mean_pose + child.normal(0, _POSE_SPREAD) * behaviour.sway,
                    lasts,
                )
            )
        at = start + child.uniform(*_POSE.first)
        while at < end - _POSE.last:
            behaviour = behaviours.at(at)
            lasts = child.uniform(*_POSE.later_lasts) / behaviour.tempo
            degrees = mean_pose + child.normal(0, _POSE_SPREAD) * behaviour.sway
            if not _near(choice.times, at - _HIT.alone, at + lasts + _HIT.alone):
                plan.poses.append(Pose(at, degrees, lasts))
            at += lasts + child.uniform(*_POSE.every)


# Brows that stay up over a phrase.
_HELD = SimpleNamespace(
    phrase=0.8,  # shortest, s
    chance=0.22,
    least=0.3,  # s
    height=(0.04, 0.09),  # channel value
    rise=0.2,  # s
)


def _hold_brows(
    plan: Plan, voice: Prosody, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Brows that stay up over a phrase."""
    for start, end in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(start)
        if end - start > _HELD.phrase and child.random() < _HELD.chance * min(
            2.0, behaviour.raises
        ):
            first = next((t for t in voice.accents if start <= t < end), start)
            held = max(_HELD.least, child.uniform(0.5, 1.0) * (end - first))
            plan.raises.append(
                Raise(
                    first - _SMALL.ahead,
                    behaviour.raises * child.uniform(*_HELD.height),
                    _HELD.rise / behaviour.tempo,
                    held,
                    child.uniform(0.5, 1.0),
                )
            )


# A look away.
_AWAY = SimpleNamespace(
    size=(9.0, 3.0),  # mean and standard deviation, degrees
    least=4.0,  # degrees
    angles=[25.0, -20.0, 5.0, 55.0],  # down, up, aside, far down: degrees below the horizontal
    shares=[0.3, 0.3, 0.25, 0.15],  # of these
    varies=10.0,  # standard deviation around them, degrees
    two_looks=0.7,  # shortest with a second movement, s
    second=(0.3, 0.6),  # when that is, as a share of it
    second_moves=(3.0, 2.0),  # standard deviations, degrees turned and lowered
    back_moves=(0.8, 0.5),  # likewise, of the gaze that is back
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
    far = max(_AWAY.least, rng.normal(*_AWAY.size))
    angle = np.radians(rng.choice(_AWAY.angles, p=_AWAY.shares) + rng.normal(0, _AWAY.varies))
    where = np.array(
        [
            side * far * np.cos(angle) + side * behaviour.aside[0],
            far * np.sin(angle) + behaviour.aside[1],
        ]
    )
    plan.looks.append(Look(away, where, follow))
    if back - away > _AWAY.two_looks and rng.random() < 0.5:
        plan.looks.append(
            Look(
                away + rng.uniform(*_AWAY.second) * (back - away),
                where + rng.normal(0, _AWAY.second_moves),
                follow,
            )
        )
    plan.looks.append(Look(back, rng.normal(0, _AWAY.back_moves), follow))


# Looks away during phrases.
_LOOKS = SimpleNamespace(
    most=1.6,  # largest factor of how often
    chance=0.2,  # as a phrase begins
    start=0.1,  # s at the start of a take without one
    ahead=0.15,  # most s before the phrase
    first_lasts=(0.4, 1.1),  # s
    lasts=(0.4, 0.9),  # s, of those now and then
    late=(0.05, 0.15),  # s behind a hesitation
    every=20.0,  # mean s between those now and then
    ends=0.8,  # s before the end of a phrase without one
    around=0.1,  # s around a word that is said aside
    back=0.08,  # s before a hit
    shortest=0.3,  # s
)


def _plan_looks(
    plan: Plan, voice: Prosody, choice: Choice, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """The gaze leaves at hesitations, while a phrase is planned and during a chosen word, and
    returns during the phrase, before a word that is hit."""
    free = 0.0  # end of the last look away, s
    for a, b in voice.phrases:
        child = _spawn(rng)
        behaviour = behaviours.at(a)
        often = min(_LOOKS.most, behaviour.looks)
        leaves = []
        if a > _LOOKS.start and child.random() < _LOOKS.chance * often:  # as a phrase begins
            leaves.append(
                (a - child.uniform(0.0, _LOOKS.ahead), child.uniform(*_LOOKS.first_lasts))
            )
        for t in (t for t in voice.hesitations if a <= t < b):
            if child.random() < 0.5 * often:
                leaves.append((t + child.uniform(*_LOOKS.late), child.uniform(0.5, 1.0)))
        t = a + child.exponential(_LOOKS.every / often)
        while t < b - _LOOKS.ends:  # now and then, without an audible reason
            leaves.append((t, child.uniform(*_LOOKS.lasts)))
            t += child.exponential(_LOOKS.every / often) + _LOOKS.ends
        if choice.aside >= 0 and a <= choice.spots[choice.aside].at < b:
            aside = choice.spots[choice.aside]
            leaves.append(
                (aside.start - _LOOKS.around, max(0.5, aside.end - aside.start + _LOOKS.around))
            )
        for away, lasts in sorted(leaves):
            after = int(np.searchsorted(choice.times, away))
            hit = choice.hit[after].start if after < len(choice.hit) else b
            back = min(b, hit - _LOOKS.back, away + lasts * behaviour.linger)
            if away > free and back - away > _LOOKS.shortest:
                _look_away(plan, away, back, 0.2, behaviour, child)
                free = back


# What is done in pauses.
_PAUSE = SimpleNamespace(
    follow=0.1,  # the head's share of looks
    away=0.08,  # most s from the start of the pause
    back=0.1,  # most s from its end
    longest=2.2,  # s
    shortest=0.25,  # s
    thinks_late=0.1,  # most s from the start
    thinks_until=(0.15, 0.4),  # s behind the end
    thinks_aside=(4, 9),  # degrees
    thinks_down=(-9, 2),  # degrees
    knit=(0.1, 0.2),  # channel value
    knit_late=0.15,  # s from the start
    knit_rise=0.25,  # s
    knit_rests=0.1,  # s of the pause without it
    lift=(1.5, 2.5),  # degrees
    lift_ahead=0.1,  # s before the end
    lift_rise=0.4,  # most s
    lift_part=0.8,  # of the pause, at most
    raised=(0.06, 0.12),  # channel value of brows at a breath
    raised_ahead=0.3,  # s before the end
)


def _act_in_pauses(
    plan: Plan, voice: Prosody, choice: Choice, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """What is done in each pause. Who thinks looks up or aside until the phrase has begun; who
    breathes lifts the head with it; who holds still does nothing (`_finish` keeps the rest off)."""
    for (start, end), act in zip(voice.pauses, choice.acts):
        child = _spawn(rng)
        behaviour, lasts = behaviours.at(start), end - start
        if act == AWAY:
            away = start + child.uniform(-_PAUSE.away, _PAUSE.away)
            back = min(
                end + child.uniform(-_PAUSE.back, _PAUSE.back),
                away + _PAUSE.longest * behaviour.linger,
            )
            _look_away(
                plan, away, max(away + _PAUSE.shortest, back), _PAUSE.follow, behaviour, child
            )
        elif act == THINKS:
            away = start + child.uniform(0.0, _PAUSE.thinks_late)
            side = child.choice([-1.0, 1.0])
            where = np.array(
                [side * child.uniform(*_PAUSE.thinks_aside), child.uniform(*_PAUSE.thinks_down)]
            )
            plan.looks.append(Look(away, where, _PAUSE.follow))
            plan.looks.append(
                Look(end + child.uniform(*_PAUSE.thinks_until), np.zeros(2), _PAUSE.follow)
            )
            height = child.uniform(*_PAUSE.knit)
            plan.knits.append(
                Raise(
                    start + _PAUSE.knit_late,
                    height,
                    _PAUSE.knit_rise,
                    max(_PAUSE.knit_rests, lasts - _PAUSE.knit_rests),
                    0.5,
                )
            )
        elif act == BREATHES:
            lift = behaviour.sway * np.array(
                [-child.uniform(*_PAUSE.lift), 0, child.normal(0, 0.5)]
            )
            plan.nods.append(
                Nod(
                    end - _PAUSE.lift_ahead,
                    lift,
                    min(_PAUSE.lift_rise, _PAUSE.lift_part * lasts),
                    0.5,
                    end,
                )
            )
            raised = behaviour.raises * child.uniform(*_PAUSE.raised)
            plan.raises.append(_raise(end - _PAUSE.raised_ahead, raised, behaviour, child))


# Behind the last phrase.
_SETTLE = SimpleNamespace(
    chance=0.75,  # of a pose of its own
    lasts=(0.9, 1.6),  # s
    at=(-0.1, 0.25),  # s from the phrase
    down=(0.3, 1.8),  # degrees
    varies=0.7,  # standard deviation of turn and tilt, degrees
    keeps=0.8,  # share of the last pose
    look=(0.3, 0.8),  # s from the phrase
    look_ends=0.1,  # s at the end of a take without one
    look_chance=0.7,
    look_most=1.4,  # largest factor of how often
    look_aside=(1.5, 6),  # degrees
    look_down=(-1, 4),  # degrees
    look_lasts=(0.5, 1.1),  # s
)


def _settle(plan: Plan, voice: Prosody, behaviours: Behaviours, rng: np.random.Generator) -> None:
    """Behind the last phrase the head comes down to a pose of its own, slowly, and the eyes leave
    once more, late, and stay there or come back."""
    end = voice.phrases[-1][1]
    behaviour, last = behaviours.at(end), max(plan.poses, key=lambda pose: pose.at).degrees
    lasts = rng.uniform(*_SETTLE.lasts) / behaviour.tempo
    if rng.random() < _SETTLE.chance:
        down = (
            np.array([rng.uniform(*_SETTLE.down), *rng.normal(0, _SETTLE.varies, 2)])
            * behaviour.sway
        )
        plan.poses.append(Pose(end + rng.uniform(*_SETTLE.at), _SETTLE.keeps * last + down, lasts))
    away = end + rng.uniform(*_SETTLE.look)
    if (
        rng.random() < _SETTLE.look_chance * min(_SETTLE.look_most, behaviour.looks)
        and away < voice.seconds - _SETTLE.look_ends
    ):
        side = rng.choice([-1.0, 1.0])
        where = np.array([side * rng.uniform(*_SETTLE.look_aside), rng.uniform(*_SETTLE.look_down)])
        plan.looks.append(Look(away, where, _PAUSE.follow))
        if rng.random() < 0.5:
            plan.looks.append(
                Look(
                    away + rng.uniform(*_SETTLE.look_lasts),
                    rng.normal(0, _AWAY.back_moves),
                    _PAUSE.follow,
                )
            )


# A gaze that rests too long.
_REST = SimpleNamespace(
    longest=3.6,  # s, of usual eyes on one point
    factors=(0.8, 1.5),  # least and largest, of how often it looks away
    part=(0.6, 1.0),  # of the longest rest
    away=(0.5, 1.4),  # s
)


def _look_where_gaze_rests(
    plan: Plan, voice: Prosody, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Looks away wherever the gaze would stay on one point for longer than people's."""
    at = 0.0
    for end in [*sorted(look.at for look in plan.looks), voice.seconds]:
        while end - at > (
            longest := _REST.longest
            / min(_REST.factors[1], max(_REST.factors[0], behaviours.at(at).looks))
        ):
            away = at + rng.uniform(*_REST.part) * longest
            at = min(
                end - _LOOKS.shortest, away + rng.uniform(*_REST.away) * behaviours.at(away).linger
            )
            if at - away > _LOOKS.shortest:
                _look_away(plan, away, at, _ANSWER.follow, behaviours.at(away), rng)
        at = max(at, end)


# An idle face.
_IDLE = SimpleNamespace(
    after=2.0,  # s of silence
    first=(0.8, 1.5),  # s to its first pose
    rests=(1.6, 2.8),  # s that this takes
    shifts=(0.9, 1.8),  # s that later ones take
    every=(1.2, 4.5),  # s between them
    sway=0.75,  # their spread beside a speaker's
    look=(0.4, 2.0),  # s to its first look
    away=(0.5, 1.8),  # s
    looks=2.6,  # mean s between looks besides the least
    apart=0.6,  # least s between them
    follow=0.3,  # the head's share of them
    brows=(4.0, 5.0),  # mean s to its first raise, and between them
    height=(0.04, 0.12),  # channel value
)


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
    behaviour, at, first = behaviours.at((start + end) / 2), start + rng.uniform(*_IDLE.first), True
    while at < end - 1.0:
        lasts = (
            rng.uniform(*_IDLE.rests) / behaviour.tempo
            if first
            else rng.uniform(*_IDLE.shifts) / behaviour.tempo
        )
        plan.poses.append(
            Pose(
                at,
                mean_pose + rng.normal(0, _IDLE.sway * _POSE_SPREAD) * behaviour.sway,
                min(lasts, end - at),
            )
        )
        at, first = at + lasts + rng.uniform(*_IDLE.every), False
    at = start + rng.uniform(*_IDLE.look)
    while at < end - _IDLE.apart:
        back = min(end, at + rng.uniform(*_IDLE.away) * behaviour.linger)
        _look_away(plan, at, back, _IDLE.follow, behaviour, rng)
        at = back + rng.exponential(_IDLE.looks / behaviour.looks) + _IDLE.apart
    at = start + rng.exponential(_IDLE.brows[0])
    while at < end - 0.5:
        plan.raises.append(
            _raise(at, behaviour.raises * rng.uniform(*_IDLE.height), behaviour, rng)
        )
        at += rng.exponential(_IDLE.brows[1]) + 1.0


# A pause in which the face holds still.
_STILL = SimpleNamespace(
    start=0.05,  # s before it
    end=0.1,  # s before its end
)


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
        if act == HOLDS_STILL:
            for still in (plan.looks, plan.blinks, plan.poses):
                still[:] = [
                    each for each in still if not start - _STILL.start < each.at < end - _STILL.end
                ]
    for events in (plan.poses, plan.nods, plan.raises, plan.knits, plan.looks, plan.blinks):
        events.sort(key=lambda event: event.at)
    return plan


# Small looks around a target.
_FIXATIONS = SimpleNamespace(
    around=(1.4, 1.0),  # standard deviations, degrees turned and lowered
    shortest=0.25,  # s on a point
    log=-0.35,  # mean logarithm of the s beyond
)


def _look_around_the_target(
    plan: Plan, seconds: float, behaviours: Behaviours, rng: np.random.Generator
) -> None:
    """Small looks between the large ones: the gaze rests on one point of its target after
    another."""
    small, at, large = [], 0.0, [look.at for look in plan.looks]
    centre = Look(_BEFORE_START, np.zeros(2), 0.0)
    while at < seconds:
        at += _FIXATIONS.shortest + rng.lognormal(_FIXATIONS.log, 0.5) / behaviours.at(at).restless
        resting = max(
            (look for look in plan.looks if look.at <= at), key=lambda look: look.at, default=centre
        )
        if all(abs(at - t) > _FIXATIONS.shortest for t in large):
            small.append(
                Look(at, resting.degrees + rng.normal(0, _FIXATIONS.around), resting.follow)
            )
    plan.looks += small


# why a blink is there, as words behind “a blink”
AT_PHRASE_END = "at the end of a phrase"
WITH_GAZE = "with a movement of the gaze"
AFTER_LOUDEST = "behind the loudest word of a phrase"
IN_PAUSE = "in a pause"
ON_TIME = "after the usual time"


# Blinks.
_BLINK = SimpleNamespace(
    most=33.0,  # a minute, of those that no pause or phrase draws: people's upper fifth
    spread=0.5,  # standard deviation of the log interval
    apart=0.9,  # least interval, s
    drawn=0.6,  # s within which one moves to a better moment
    last_chance=0.5,  # of one behind a line besides those that come anyway
    pause_chance=0.35,  # likewise, in a pause
    barred=(-0.2, 0.12),  # s around a phrase's strongest accent in which none begins
    late=(0.06, 0.05),  # mean and standard deviation of s behind the end of a phrase
    with_gaze=0.02,  # s behind the start of its movement
    rate_varies=0.12,  # standard deviation of the logarithm, between performances
    length_varies=0.15,  # likewise, between blinks
    moves=0.85,  # share of those near a better moment that move there
    shortest=0.3,  # s from one to the next planned
    last=(0.05, 0.3),  # s behind the last phrase
)
_MINUTE = 60.0  # s


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
            *((t + rng.normal(*_BLINK.late), AT_PHRASE_END) for t in ends),
            *((t + _BLINK.with_gaze, WITH_GAZE) for t in shifts),
        ]
    )
    often = BLINKS_PER_MINUTE * _random_factor(rng, _BLINK.rate_varies)

    def interval(at: float) -> float:
        """Seconds from a blink to the next."""
        more = behaviours.at(at).blinks
        rate = min(often * more, _BLINK.most * max(1.0, more / _SLIDERS.eyes_of_people))
        return rng.lognormal(np.log(_MINUTE / rate) - _BLINK.spread**2 / 2, _BLINK.spread)

    def blink(at: float, reason: str) -> None:
        length = behaviours.at(at).blink_length * _random_factor(rng, _BLINK.length_varies)
        plan.blinks.append(Blink(at, length, reason))

    at, last = float(rng.uniform(0, 1)) * interval(0.0), _BEFORE_START
    while at < voice.seconds + _BLINK.drawn:
        near = [
            (t, reason)
            for t, reason in good
            if abs(t - at) < _BLINK.drawn and t - last > _BLINK.apart
        ]
        when, reason = (
            min(near, key=lambda moment: abs(moment[0] - at))
            if near and rng.random() < _BLINK.moves
            else (max(at, last + _BLINK.apart), ON_TIME)
        )
        # people rarely shut their eyes on what they say loudest
        if any(_BLINK.barred[0] < when - t < _BLINK.barred[1] for t in strongest):
            when, reason = when + (_BLINK.barred[1] - _BLINK.barred[0]), AFTER_LOUDEST
        blink(when, reason)
        last = when
        at = max(at, when) + max(_BLINK.shortest, interval(when))
    for start, end in voice.pauses:
        at = rng.uniform(start, end)
        if rng.random() < _BLINK.pause_chance and all(
            abs(at - other.at) > _BLINK.apart for other in plan.blinks
        ):
            blink(at, IN_PAUSE)
    if voice.phrases and rng.random() < _BLINK.last_chance:
        at = ends[-1] + rng.uniform(*_BLINK.last)
        if all(abs(at - other.at) > _BLINK.apart for other in plan.blinks):
            blink(at, AT_PHRASE_END)
