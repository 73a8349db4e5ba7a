# SPDX-License-Identifier: GPL-3.0-or-later
"""A speaker's gestures: head and brows mark accents, brows stay raised over phrases, the head rises with the breath.

The model moves head and brows on accents and off them, and in all takes on nearly the same ones. What it does off them, and on accents
that a take does not mark, is made smaller, and each take marks accents of its own with gestures of its own: which ones, a little before,
on or after them, and whether the head nods, turns or rises, brows rise, one of them does, or they are drawn together. Before a phrase it
lets the lips part slowly, the same in every take: the mean of its teacher's breaths. Each take draws breaths of its own instead.
"""

from __future__ import annotations

import numpy as np

from ...direction import over_frames
from ...steps import step, UNTAUGHT
from ...types import FPS
from ..speech.phrasing import Phrasing
from .layer import blurred, Layer
from .manner import Directed, evenly, generator, Manner, Played, Stream, UP

_SLOW = 10.0  # standard deviation of the blur that separates slow poses from quick movement, frames
_HEAD_OFF, _BROWS_OFF = 0.12, 0.55  # share of the model's quick movement that remains if there is no accent
# *Brows* from which the model holds them raised rather than moving more, and what a unit beyond adds to their quick movement and takes
# from their height, as shares.
_LIVELY, _QUICKER, _LOWER = 1.5, 0.45, 0.35
_LEAST_FREE = 0.01  # least weight of a frame in the slow pose
_MOST_LEFT = 1.7  # largest factor of the model's quick movement, where a take marks accents that are close
_SIZE_OF_MODEL = 1.2  # exponent of the size of a take's nods in the model's movement on accents
_MARKED = (0.65, 1.8)  # probability of marking the weakest accent, relative to usual ones, and its increase up to the strongest
_MOST_NODS, _MOST_RAISES = 0.57, 0.68  # largest share of takes whose head or brows mark one accent, so that takes of a voice differ
_GAIN = (0.75, 1.35)  # least and most that a take does on each, where it marks more or fewer than usual
_NODDED, _RAISED = (1.5, 0.07), (1.0, 0.4)  # share of the model's movement on accents that the head or brows mark, and do not mark
_AROUND, _LATE = 4.0, 1.0  # standard deviation of what belongs to an accent, and the delay of its middle, frames
_SOONER, _LATER = 0.25, 0.25  # shares of gestures a little before an accent, and after it
_FRAMES_OFF = (1.0, 2.0)  # by how many frames
_NOD = (2.5, 3.8)  # size of a nod on the weakest accent, and its increase up to the strongest, degrees
_MOST_DEGREES = 8.0  # largest stroke, degrees
_RAISE = (0.085, 0.16)  # size of raised brows on the weakest accent, and its increase up to the strongest, channel values
_RISES = 0.25  # s by which brows take longer to move, per unit of their movement
_SIZES = 0.3  # standard deviation of the sizes' logarithm within a take
_EARLY = 0.5  # frames by which a gesture's fastest point precedes the accent's peak
_HELD_PHRASE = 0.8  # shortest phrase over which brows may stay raised, s
_HELD = 0.35  # share of such phrases with raised brows
_HELD_SIZE = (0.05, 0.13)  # size of held brows, channel values
_INHALE, _BEFORE = 0.4, 0.45  # rise of the head at an inhalation, degrees, and its time before a phrase, s
_LEAST_BREATH = 0.3  # shortest silence with an inhalation, s
_PARTED, _PARTS, _RESTS = 0.026, 0.22, 0.3  # largest opening of the jaw at an inhalation, radians; rise and fall, s
# Frames in which the mouth shuts after a phrase, and opens for its first sound before the next begins to count.
_SHUTS, _OPENS = 7, 5
_STAYS, _SLOWLY, _LONGEST_STAY = 0.6, 2.2, 2.0  # nod at a phrase's end: share that is held; factor of its return time; longest hold, s
_WANDERS_EVERY, _WANDERS = 2.0, (6.0, 14.0)  # looks away of a gaze that wanders in speech: interval, s; size, degrees
_RESTLESS = (0.7, 0.15)  # probability of such a look per unit of *Eyes* above usual: where a phrase ends, and on the way
_KNIT_MORE = 1.5  # size of knitting relative to raising


def calmed(values: np.ndarray, accents: np.ndarray, left: float, marked: np.ndarray) -> np.ndarray:
    """Curves [T, c] whose quick movement is reduced to the share `left` away from accents; accents: [T] 0 … 1.

    marked: [T], factor of the movement on accents. Where it is small the slow movement is that of the frames around: a blur alone keeps
    half of a wide nod.
    """
    free = marked.clip(_LEAST_FREE, 1)[:, None]
    slow = blurred(values * free, _SLOW) / blurred(free, _SLOW)
    return slow + (values - slow) * (left + (1 - left) * accents * marked.clip(max=_MOST_LEFT))[:, None]


def livelier(directed: Directed, frames: int) -> np.ndarray:
    """How far *Brows* goes beyond what the model's brows follow, [frames]."""
    beyond = np.maximum(0, directed.rows[:, Played._fields.index("brows")] - _LIVELY)
    return blurred(np.broadcast_to(over_frames(beyond[:, None], frames), (frames, 1)), _SLOW)[:, 0]


@step(UNTAUGHT, "expression head", {"accents": "an accent"})
def calm_between_accents(
    expression: np.ndarray, head: np.ndarray, accents: np.ndarray, brows: np.ndarray, lively: np.ndarray, marked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(expression, head) of the model with less movement of brows and head away from accents.

    brows: True for brow channels.  lively: [T] of `livelier`, by which brows move more and rest lower.  marked: [T, 2], factors of the
    movement of head and brows on accents.
    """
    expression, more = expression.copy(), lively[:, None]
    own = calmed(expression[:, brows], accents, _BROWS_OFF, marked[:, 1])
    slow = blurred(own, _SLOW)
    expression[:, brows] = np.maximum(0, slow / (1 + _LOWER * more) + (own - slow) * (1 + _QUICKER * more))
    nodded = calmed(head[:, :2], accents, _HEAD_OFF, marked[:, 0])
    return expression, np.concatenate([nodded, calmed(head[:, 2:], accents, _HEAD_OFF, marked[:, 0].clip(max=1))], 1)


def brow_shape(kind: int, size: float, side: float) -> tuple[np.ndarray, np.ndarray]:
    """(raised [3], knit [2]) of a gesture of one of the manner's kinds; side: −1 right, 1 left."""
    left, right = (1.0, 0.15) if side > 0 else (0.15, 1.0)
    raised = ((1.0, 0.8, 0.8), (1.35, 0.25, 0.25), (0.35, 1.5 * left, 1.5 * right), (0.0, 0.0, 0.0))[kind]
    knit = ((0.0, 0.0), (0.25, 0.25), (0.5 * (1 - left), 0.5 * (1 - right)), (_KNIT_MORE, _KNIT_MORE))[kind]
    return size * np.array(raised), size * np.array(knit)


def at_most(degrees: float) -> float:
    """The size of a stroke of `degrees` with large ones compressed."""
    return float(_MOST_DEGREES * np.tanh(degrees / _MOST_DEGREES))


def _kind(shares: np.ndarray, u: float) -> int:
    return int(min(np.searchsorted(np.cumsum(shares), u * shares.sum()), len(shares) - 1))


def _brow_kind(manner: Manner, how: Played, u: float) -> int:
    return _kind(manner.brow_kinds * [1.0, 1.0, how.sided, how.knit], u)


def _sided(manner: Manner, how: Played, u: float) -> float:
    """Side of a gesture, 1 or −1."""
    return 1.0 if u < 0.5 + 0.3 * manner.side + 0.5 * np.tanh(3 * how.side) else -1.0


def turned(kind: int, degrees: float, side: float, u: float) -> np.ndarray:
    """A stroke of the head of one of the manner's kinds, degrees [3]; u: 0 … 1."""
    shares = (
        (1.0, 0.25 * (2 * u - 1), 0.2 * side * u),
        (0.5, side * (0.4 + 0.5 * u), side * (0.6 * u - 0.2)),
        (-0.7, 0.0, 0.25 * side * u),
    )
    return degrees * np.array(shares[kind])


def _more(weights: np.ndarray) -> np.ndarray:
    """Probability of marking accents of these weights, 0 … 1, relative to usual ones."""
    return _MARKED[0] + _MARKED[1] * weights


def _gain(shares: np.ndarray, chosen: np.ndarray) -> float:
    """By how much a take that marks fewer accents than usual does more on each."""
    return float(np.clip((1 + shares.sum()) / (1 + chosen.sum()), *_GAIN))


def _off(u: float, far: float) -> float:
    """Frames by which a gesture comes after its accent, before it if they are below 0; u, far: 0 … 1."""
    frames = _FRAMES_OFF[0] + (_FRAMES_OFF[1] - _FRAMES_OFF[0]) * far
    return -frames if u < _SOONER else frames if u < _SOONER + _LATER else 0.0


def _let_gaze_wander(layer: Layer, phrasing: Phrasing, seed: int, directed: Directed) -> None:
    """Add looks away in moods whose gaze leaves more often, and of restless eyes: where phrases end, and on the way."""
    rng = generator(seed, Stream.WANDERING_GAZE)
    for start, end in phrasing.phrases:
        for at in np.arange(end, start, -_WANDERS_EVERY * FPS):
            u, how = rng.random(4), directed.at(at)
            restless = _RESTLESS[0 if at == end else 1] * (how.looks - 1)  # the model's gaze hardly follows *Eyes*
            if u[0] < max(how.wanders, restless):
                far, angle = _WANDERS[0] + (_WANDERS[1] - _WANDERS[0]) * u[1], 0.8 * np.pi * (u[2] - 0.4)
                side, lasts = 1.0 if u[3] < 0.5 else -1.0, (0.7 + u[2]) / how.tempo
                if at == end and (after := _phrase_of(int(at) - 1, phrasing)[1]) is not None:
                    lasts = max(0.3, (after - at) / FPS)  # back when the next phrase begins
                layer.look(at, far * np.array([side * np.cos(angle), 0.6 * np.sin(angle)]), lasts, "a look away")


def _phrase_of(at: int, phrasing: Phrasing) -> tuple[int, int | None]:
    """(end of the phrase at a frame, start of the next one; None if it is late or there is none)."""
    index = int(np.searchsorted(phrasing.phrases[:, 1], at, side="right"))
    if index >= len(phrasing.phrases):
        return phrasing.frames, None
    end = int(phrasing.phrases[index, 1])
    after = int(phrasing.phrases[index + 1, 0]) if index + 1 < len(phrasing.phrases) else None
    return end, after if after is not None and after - end <= _LONGEST_STAY * FPS else None


def breathe(layer: Layer, phrasing: Phrasing, seed: int) -> None:
    """Add the breaths before a speaker's phrases: the head rises, and lips part for air instead of slowly."""
    rng = generator(seed, Stream.BREATHS)
    for before, start in phrasing.silences[:-1]:
        u = rng.random(2)
        if (start - before) / FPS >= _LEAST_BREATH:
            air = 0.4 + 0.6 * u[1] if u[0] < 0.9 else 0.0
            layer.stroke(start - _BEFORE * FPS, np.array([-_INHALE * air, 0, 0]), 0.4, 0.05, 1.8, "a breath before a phrase")
            first, last = (before + _SHUTS if before else -_SHUTS), start - _OPENS
            if last > first:
                layer.inhale(first, last, _PARTED * air, _PARTS, _RESTS, max(first, start - _BEFORE * FPS))


def marked(layer: Layer, phrasing: Phrasing, seed: int, manner: Manner, directed: Directed) -> None:
    """Add a speaker's gestures to a layer. directed: style of the gestures."""
    more = _more(phrasing.weights)
    most = np.array([_MOST_NODS, _MOST_RAISES])
    likely = most * np.tanh(np.stack([manner.nods * more, manner.raises * more], 1) / most)
    chosen = evenly(seed, Stream.MARKED, Stream.MARKED_TURNS, likely.shape) < likely
    head_gain, brow_gain = (_gain(likely[:, part], chosen[:, part]) for part in (0, 1))
    stays = head_gain * manner.head_size**_SIZE_OF_MODEL
    rng = generator(seed, Stream.ACCENTS)
    for at, weight, (nods, raises) in zip(phrasing.accents, phrasing.weights, chosen):
        u, z = rng.random(14), rng.standard_normal(3)  # the same numbers for every direction, so that a slider does not move a gesture
        how = directed.at(at)
        usual = at - _EARLY + 0.5 * z[2].clip(-2, 2)
        layer.leave(0, at + _LATE, _NODDED[0] * stays if nods else _NODDED[1], _AROUND)
        layer.leave(1, at + _LATE, _RAISED[0] * brow_gain if raises else _RAISED[1], _AROUND)
        if nods:
            fastest = usual + _off(u[10], u[11])
            degrees = at_most(head_gain * how.head * manner.head_size * (_NOD[0] + _NOD[1] * weight) * np.exp(_SIZES * z[0]))
            kind = _kind(manner.head_kinds, u[1])
            where = turned(kind, degrees, _sided(manner, how, u[2]), u[3])
            down = (0.16 + 0.015 * degrees) / how.tempo
            hold, back = 0.06 * u[4], (4.5 if kind == UP else 1.5 + u[4]) * down
            end, after = _phrase_of(at, phrasing)
            if fastest + (down / 2 + hold + back) * FPS > end:  # a gesture at a phrase's end is held until the next, or relaxes slowly
                where, back = _STAYS * where, _SLOWLY * back
                if after is not None:
                    hold = max(hold, (after - fastest) / FPS - down / 2)
            layer.stroke(fastest, where, down, hold, back, "a nod, turn or rise on an accent")
        if raises:
            fastest = usual + _off(u[12], u[13])
            size = brow_gain * how.brows * manner.brow_size * (_RAISE[0] + _RAISE[1] * weight) * np.exp(_SIZES * z[1])
            raised, knit = brow_shape(_brow_kind(manner, how, u[6]), size, _sided(manner, how, u[7]))
            rise = (0.14 + 0.08 * u[8] + _RISES * max(*raised, *knit)) / how.tempo
            layer.move_brows(fastest, raised, knit, rise, 0.04 + 0.2 * u[9], (0.3 + 0.3 * u[8]) / how.tempo, "brows mark an accent")
    rng = generator(seed, Stream.HELD_BROWS)
    for start, end in phrasing.phrases:
        u, how = rng.random(6), directed.at(start)
        if (end - start) / FPS > _HELD_PHRASE and u[0] < _HELD:
            size = how.brows * manner.brow_size * (_HELD_SIZE[0] + (_HELD_SIZE[1] - _HELD_SIZE[0]) * u[1])
            raised, knit = brow_shape(_brow_kind(manner, how, u[2]), size, _sided(manner, how, u[3]))
            first = next((a for a in phrasing.accents if start <= a < end), start)
            hold, fall = max(0.3, (0.5 + 0.5 * u[4]) * (end - first) / FPS), 0.5 + 0.5 * u[5]
            layer.move_brows(first - _EARLY, raised, knit, 0.22 / how.tempo, hold, fall, "brows held over a phrase")
    _let_gaze_wander(layer, phrasing, seed, directed)
    breathe(layer, phrasing, seed)
