# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans what the upper face does: how a person moves (`people`), and on top what is acted: words
that are hit, looks, pauses, breaths, a listener's answers.

Plans are movement and lists of events in seconds and degrees (`thunder_core.events`); `take_plan`
makes curves of them. The teacher performs them, and the diffusion model, which learned from it,
performs those of a take. A direction's `Behaviour` says how large and how often; each mood changes
it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ...behaviour import Behaviour, HABITS
from ...direction import CHOICES, Direction, in_moods, Style
from ...events import Look, Nod, Plan, Raise
from ...filters import gaussian
from ...types import FPS
from ..speech.cues import Prosody, runs
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
from .people import GAZE, HEAD, Heard, Manner, move, Person, REGIONS, smooth_noise

# ---- the behaviour of a direction

USUAL = Behaviour()
_NEVER_NEGATIVE = ("nods", "raises", "knits", "inner", "outer", "down", "wide", "squint", "droop")


def _blend(usual, other, share: float):
    if isinstance(usual, tuple):
        return tuple(_blend(a, b, share) for a, b in zip(usual, other))
    return usual + share * (other - usual)


# How sliders change a behaviour.
_SLIDERS = HABITS["sliders"]


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
        # who looks away twice as often does not blink twice as often
        blinks=behaviour.blinks * style.eyes**_SLIDERS.eyes_on_blinks,
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


_MOST_HEAD = 1.4  # largest head movement beside usual people's, of moods and persons together
_LISTENER_SWAY = 0.2  # a listener's sway relative to a speaker's
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

    def curve(self, frames: int, what: Callable[[Behaviour], float]) -> np.ndarray:
        """A number of each behaviour over the line [frames]."""
        at = np.arange(frames) / FPS / _BEHAVIOUR_EVERY
        return np.interp(at, np.arange(len(self.rows)), [what(each) for each in self.rows])

    def poses(self, frames: int) -> np.ndarray:
        """Degrees that the head nods, turns and tilts on average, [frames, 3]."""
        return np.stack([self.curve(frames, lambda x, i=i: x.pose[i]) for i in range(3)], 1)

    def manner(self, still: np.ndarray, size: float = 1.0) -> Manner:
        """What they make of a person who is held where `still` [T] is 1. size: of the person's head
        movement; nobody's is larger than _MOST_HEAD unless it is asked for."""
        factors = (
            lambda x: min(x.sway, max(x.sway, _MOST_HEAD) / size),
            lambda x: x.raises, lambda x: 1.0, lambda x: x.looks**0.5,
            lambda x: x.tempo, lambda x: x.restless * (x.looks / x.linger) ** 0.5,
            lambda x: x.blinks, lambda x: x.blink_length,
        )  # fmt: skip
        curves = [self.curve(len(still), factor) for factor in factors]
        return Manner(
            np.stack(curves[:4], 1), *curves[4:], still, _SHOWN.blinks_apart, _SHOWN.blink_lasts
        )

    @property
    def usual(self) -> Behaviour:
        """The behaviour in the middle of the line."""
        return self.rows[len(self.rows) // 2]


# ---- the plan

# Numbers of habits, their units and sources: `habits.json`.
BREATH_JAW = 0.026  # opening of the jaw at a deep inhalation, radians
_ASIDE_FROM = 4.0  # degrees from which a gaze that is away is fully where the mood has it
# When all is held, and what is less than people's.
_STILL, _SHOWN = HABITS["still"], HABITS["shown"]


# How moods shake a head.
_SHAKE = HABITS["shake"]


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
_BREATH = HABITS["breath"]


def plan_speaker(
    voice: Prosody, choice: Choice, behaviours: Behaviours, person: Person,
    rng: np.random.Generator,
) -> Plan:  # fmt: skip
    """The plan for a person who speaks with a voice and reads it as chosen; without speech, for an
    idle face."""
    plan = Plan(_side(behaviours, rng))
    _mark_words(plan, voice, choice, behaviours, person.head_size**0.5, _spawn(rng))
    _act_in_pauses(plan, voice, choice, behaviours, _spawn(rng))
    child = _spawn(rng)
    if choice.aside >= 0:
        aside = choice.spots[choice.aside]
        away = aside.start - _AWAY.around
        back = max(aside.end, away + _AWAY.shortest)
        _look_away(plan, away, back, behaviours.at(away), child)
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
    held = [pause for pause, act in zip(voice.pauses, choice.acts) if act == HOLDS_STILL]
    still, idle = _hold_still(voice.frames, held), _long_silence(voice.spoken)
    plan = _move(plan, voice, 1.0 - voice.spoken, still, behaviours, person, _spawn(rng), idle)
    plan.blinks = [x for x in plan.blinks if not any(a <= x.at <= b for a, b in held)]
    return plan


def _move(
    plan: Plan, voice: Prosody, silent: np.ndarray, still: np.ndarray, behaviours: Behaviours,
    person: Person, rng: np.random.Generator, idle: np.ndarray | float = 0.0,
) -> Plan:  # fmt: skip
    """The plan in order of time, with how a person moves. silent, still, idle [T]: 1 where nobody
    speaks, where all is held, and where nobody has spoken for long."""
    level = voice.level - voice.level.mean()
    marks = np.array([t for phrase in voice.phrases for t in phrase])
    heard = Heard(silent, level / (level.std() + 1e-6), marks)
    manner = behaviours.manner(still, person.head_size)
    manner.sizes[:, REGIONS.index("head")] *= 1 - _STILL.idle * idle
    moved = move(person, heard, manner, rng)
    # where a mood looks aside, eyes that are away are there
    gaze = moved.signals[:, GAZE]
    away = np.minimum(1.0, np.linalg.norm(gaze, axis=1) / _ASIDE_FROM)
    for i, side in enumerate((np.sign(gaze[:, 0]), 1.0)):
        gaze[:, i] += away * side * behaviours.curve(len(gaze), lambda x, i=i: x.aside[i])
    _tremble_and_shake(moved.signals[:, HEAD], behaviours, rng)
    plan.signals = moved.signals
    plan.blinks = moved.blinks
    for events in (plan.nods, plan.raises, plan.knits, plan.looks):
        events.sort(key=lambda event: event.at)
    return plan


def _long_silence(spoken: np.ndarray) -> np.ndarray:
    """Where a face is idle, [T] 0 … 1: in long silences, but for their edges within the line.
    spoken: bool [T]."""
    idle, (after, before) = np.zeros(len(spoken)), _STILL.idle_pause
    for start, end in runs(~spoken):
        first = start + round(after * FPS) * (start > 0)
        last = end - round(before * FPS) * (end < len(spoken))
        idle[first : max(first, last)] = 1.0
    return gaussian(idle, _STILL.idle_ease, "nearest")


def _tremble_and_shake(head: np.ndarray, behaviours: Behaviours, rng: np.random.Generator) -> None:
    """Add what moods do to a head [T, 3], degrees: a quick tremble, and bursts of slow shaking."""
    frames, usual = len(head), behaviours.usual
    quick = gaussian(rng.standard_normal((frames, 3)), _SHAKE.quick)
    head += behaviours.curve(frames, lambda x: x.tremble)[:, None] * _SHAKE.tremble * quick
    bursts = smooth_noise(frames, 1, _SHAKE.bursts, rng)[:, 0] - _SHAKE.above
    swings = np.sin(2 * np.pi * _SHAKE.hertz * usual.tempo * np.arange(frames) / FPS)
    shake = behaviours.curve(frames, lambda x: x.shake)
    head[:, 1] += shake * np.clip(bursts, 0, _SHAKE.most) * swings


def _hold_still(frames: int, pauses: Sequence[tuple[float, float]]) -> np.ndarray:
    """Where a speaker holds still, [T] 0 … 1: in pauses (start, end), s, that are chosen for it."""
    held, (after, before) = np.zeros(frames), _STILL.pause
    for start, end in pauses:
        held[round((start + after) * FPS) : max(0, round((end - before) * FPS)) + 1] = 1.0
    return gaussian(held, _STILL.ease, "nearest")


# A listener's answers to the end of a phrase.
_ANSWER = HABITS["answer"]
# A listener's answers to accents.
_ACCENT = HABITS["accent"]


def _draw_clipped(
    rng: np.random.Generator, mean: float, spread: float, least: float, most: float
) -> float:
    """A normal number within bounds."""
    return float(np.clip(rng.normal(mean, spread), least, most))


def plan_listener(
    voice: Prosody, behaviours: Behaviours, person: Person, rng: np.random.Generator
) -> Plan:
    """The plan for a person who listens: nods and brows answer the voice's accents and phrase ends
    with a delay."""
    plan = Plan(_side(behaviours, rng))
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
    quiet = np.zeros(voice.frames)
    return _move(plan, voice, 1.0 - quiet, quiet, behaviours, person, _spawn(rng))


# A word that is hit.
_HIT = HABITS["hit"]


def _mark_words(
    plan: Plan, voice: Prosody, choice: Choice, behaviours: Behaviours, size: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Nods, raised and knit brows on words that are hit; those of a phrase have its one idea. size:
    factor of all of them."""
    span, lively = [(0.0, voice.seconds)], size * _random_factor(rng, _HIT.lively)
    for spot in choice.hit:
        child = _spawn(rng)
        phrase = next((i for i, (_, end) in enumerate(voice.phrases) if end >= spot.at), -1)
        idea = choice.ideas[phrase] if choice.ideas else NODS
        said = (voice.phrases or span)[phrase]
        _hit(plan, spot, idea, lively, behaviours.at(spot.at), said, voice, child)


def _hit(
    plan: Plan, spot: Spot, idea: str, lively: float, behaviour: Behaviour,
    phrase: tuple[float, float], voice: Prosody, rng: np.random.Generator,
) -> None:  # fmt: skip
    """A word that is hit: brows or head begin before it, or only one of them moves; the head is
    furthest on its accent, and both settle behind it."""
    only, drawn = rng.random(), max(_HIT.least, lively * _random_factor(rng, _HIT.varies))
    brows_only = idea == RAISES_BROWS or only < _HIT.one_alone / 2
    of_head = _HIT.little if brows_only else 1.0
    size = min(_STROKE.most, of_head * drawn * behaviour.nods * _HIT.nod)
    turned = _gesture(size, idea, behaviour, rng)
    _stroke(plan, spot.at + _HIT.late, turned, behaviour, phrase, voice, rng)
    begins = spot.start - rng.uniform(*_HIT.ahead)  # before the word
    usual = max(_HIT.least, lively) * behaviour.raises * _HIT.raised
    usual *= _HIT.brows_alone if brows_only else 1.0
    raised = _raise(0.0, usual, behaviour, rng)
    at = begins + raised.rise / 2
    height, hold = max(raised.height, _HIT.least * usual), max(raised.hold, spot.at - at)
    if brows_only or only < 1 - _HIT.one_alone / 2:
        plan.raises.append(replace(raised, at=at, height=height, hold=hold))
    if rng.random() < behaviour.knits:
        plan.knits.append(_raise(at, min(1.0, behaviour.knits) * _HIT.knit, behaviour, rng))


# A stroke of the head.
_STROKE = HABITS["nod"]


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
_BROWS = HABITS["raise"]


def _raise(at: float, height: float, behaviour: Behaviour, rng: np.random.Generator) -> Raise:
    rise = rng.uniform(*_BROWS.rise) / behaviour.tempo
    hold = rng.uniform(*_BROWS.hold)
    fall = rng.uniform(*_BROWS.fall) / behaviour.tempo
    outer = _draw_clipped(rng, *_BROWS.outer)
    return Raise(
        at,
        height * _random_factor(rng, _BROWS.varies),
        rise,
        hold,
        fall,
        float(rng.normal(0, _BROWS.lean)),
        outer,
    )


# Shares of a gesture's size.
_GESTURE = HABITS["gesture"]


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


# A look away.
_AWAY = HABITS["look"]


def _look_away(
    plan: Plan, away: float, back: float, behaviour: Behaviour, rng: np.random.Generator
) -> None:
    """The gaze leaves, stays for one or two looks, and comes back."""
    side = np.sign(rng.normal(0.5 * behaviour.one_sided, 1.0)) or 1.0
    far = max(_AWAY.least, rng.normal(*_AWAY.size))
    angle = np.radians(rng.choice(_AWAY.angles, p=_AWAY.shares) + rng.normal(0, _AWAY.varies))
    where = np.array([side * far * np.cos(angle), far * np.sin(angle)])
    where += [side * behaviour.aside[0], behaviour.aside[1]]
    plan.looks.append(Look(away, where))
    if back - away > _AWAY.two_looks and rng.random() < 0.5:
        plan.looks.append(
            Look(
                away + rng.uniform(*_AWAY.second) * (back - away),
                where + rng.normal(0, _AWAY.second_moves),
            )
        )
    plan.looks.append(Look(back, rng.normal(0, _AWAY.back_moves)))


# What is done in pauses.
_PAUSE = HABITS["pause"]


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
            _look_away(plan, away, max(away + _PAUSE.shortest, back), behaviour, child)
        elif act == THINKS:
            away = start + child.uniform(0.0, _PAUSE.thinks_late)
            side = child.choice([-1.0, 1.0])
            where = np.array(
                [side * child.uniform(*_PAUSE.thinks_aside), child.uniform(*_PAUSE.thinks_down)]
            )
            plan.looks.append(Look(away, where))
            plan.looks.append(Look(end + child.uniform(*_PAUSE.thinks_until), np.zeros(2)))
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
