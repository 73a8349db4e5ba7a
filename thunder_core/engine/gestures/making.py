# SPDX-License-Identifier: GPL-3.0-or-later
"""All gestures of a take together: speakers mark accents, listeners answer, silent faces move (`silence`); where a take carries its brows,
and to which side it inclines its head and looks. Every take has gestures of its own: they are a function of its seed, of how it is played
and of where the voice has accents and phrases. A gesture is added to the model's motion, so that both go on together.

Speakers: the model moves head and brows on accents and off them, and in all takes on nearly the same ones. What it does off them, and on
accents that a take does not mark, is made smaller, and each take marks accents of its own with gestures of its own: which ones, a little
before, on or after them, and whether the head nods, turns or rises, brows rise, one of them does, or they are drawn together. Before a
phrase it lets the lips part slowly, the same in every take: the mean of its teacher's breaths. Each take draws breaths of its own instead.

Listeners: a nod or two, a blink or a new pose shortly after phrases end, brows after accents.

Brows: the model follows *Frown* too faintly to be seen, and below 0 not at all. Sampled in four steps it carries brows at more similar
heights from take to take than in the paper's 1000 (`research/notebook/2026-11-22.md`); a height for each take brings the difference back.

Sides: the model, as its teacher, tilts every head to one side in a mood, by two to seven degrees: the left, in doubt the right. Half of the
takes are turned into their mirror image here, in head and gaze, and those in doubt in brows and lids. The mouth stays: what lips do on one
side belongs to the sounds, and the score knows it. So does contempt, whose head goes with its smile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...channels import BLINKS, BROWS, Columns, LIDS
from ...direction import AXES, DIRECTION_NAMES, over_frames
from ...filters import eased
from ...steps import step, UNTAUGHT
from ...types import FPS
from ..speech.phrasing import Phrasing
from .layer import Blinks, blurred, drift, Layer, longest_blinks, longest_rests, possible_glances
from .manner import between, brow_shape, Directed, evenly, generator, Manner, manner_of, Played, Stream, UP
from .silence import alive

# ---- where a take carries its brows

_HEIGHTS_APART = 0.22  # standard deviation of the height between takes at a *Spread* of 1, channel values
_GOLDEN = 0.6180339887498949  # the golden section: heights of consecutive seeds differ, and any few of them are spread evenly
_EASE = 6.0  # standard deviation of the blur where a mood or a frown comes or goes, frames
_DRAWN = 0.4  # lowering of both brows at a *Frown* of 1, besides the model's
_APART_UP, _APART_DOWN = np.array([0.12, 0.16, 0.16]), -0.1  # inner and outer brows raised at a *Frown* of −1, and change of browDown
_FROWN = DIRECTION_NAMES.index("frown")


def height_of(seed: int, spread: float) -> float:
    """Height of a take's brows against usual ones, channel value: 0 at a spread of 0, within ± √3 deviations."""
    return spread * _HEIGHTS_APART * math.sqrt(3) * (2 * ((seed % (1 << 32)) * _GOLDEN % 1) - 1)


def carried(layer: Layer, seed: int, spread: float, styles: np.ndarray | None) -> None:
    """Add the height at which a take carries the brows to a layer, alike on both sides. A mood places brows itself: the height
    gives way to it, by the square of its strength.

    styles: [1 or T, DIRECTION_NAMES], the take's direction; None: the usual one.
    """
    height, free = height_of(seed, spread), np.ones((layer.frames, 1))
    if styles is not None:
        free = 1 - _eased(np.asarray(styles, float)[:, len(AXES) :].sum(1).clip(0, 1) ** 2, layer.frames)
    layer.brows += free * height


def drawn_together(layer: Layer, styles: np.ndarray | None) -> None:
    """Draw the brows of a layer together or apart, as *Frown* asks. Where they are to be apart nothing else lowers them.

    styles: as of `carried`, after which this comes.
    """
    if styles is None:
        return
    frown = _eased(np.clip(AXES[_FROWN].speakers * np.asarray(styles, float)[:, _FROWN], -1, 1), layer.frames)
    together, apart = np.maximum(frown, 0), np.maximum(-frown, 0)
    layer.brows += apart * (_APART_UP - np.minimum(layer.brows, 0))
    layer.knit += _DRAWN * together + _APART_DOWN * apart


def _eased(values: np.ndarray, frames: int) -> np.ndarray:
    """Values [1 or T] for `frames` frames without jumps, [frames, 1]."""
    return blurred(np.broadcast_to(over_frames(values[:, None], frames), (frames, 1)), _EASE)


# ---- speakers

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
    return blurred(np.maximum(0, directed.curve("brows", frames)[:, None] - _LIVELY), _SLOW)[:, 0]


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
                far, angle = between(_WANDERS, u[1]), 0.8 * np.pi * (u[2] - 0.4)
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
    more = _MARKED[0] + _MARKED[1] * phrasing.weights  # relative to usual accents
    most = np.array([_MOST_NODS, _MOST_RAISES])
    likely = most * np.tanh(np.stack([manner.nods * more, manner.raises * more], 1) / most)
    chosen = evenly(seed, Stream.MARKED, Stream.MARKED_TURNS, likely.shape) < likely
    head_gain, brow_gain = (_gain(likely[:, part], chosen[:, part]) for part in (0, 1))
    stays = head_gain * manner.head_size**_SIZE_OF_MODEL
    on, off = (_NODDED[0] * stays, _RAISED[0] * brow_gain), (_NODDED[1], _RAISED[1])
    layer.leave(phrasing.accents + _LATE, np.where(chosen, on, off), _AROUND)
    rng = generator(seed, Stream.ACCENTS)
    for at, weight, (nods, raises) in zip(phrasing.accents, phrasing.weights, chosen):
        u, z = rng.random(14), rng.standard_normal(3)  # the same numbers for every direction, so that a slider does not move a gesture
        how = directed.at(at)
        usual = at - _EARLY + 0.5 * z[2].clip(-2, 2)
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
            size = how.brows * manner.brow_size * between(_HELD_SIZE, u[1])
            raised, knit = brow_shape(_brow_kind(manner, how, u[2]), size, _sided(manner, how, u[3]))
            first = next((a for a in phrasing.accents if start <= a < end), start)
            hold, fall = max(0.3, (0.5 + 0.5 * u[4]) * (end - first) / FPS), 0.5 + 0.5 * u[5]
            layer.move_brows(first - _EARLY, raised, knit, 0.22 / how.tempo, hold, fall, "brows held over a phrase")
    _let_gaze_wander(layer, phrasing, seed, directed)
    breathe(layer, phrasing, seed)


# ---- listeners

_SHORTEST = 0.5  # shortest phrase whose end is answered, s
_NODS, _BLINKS, _POSES, _BROWS = 0.75, 0.4, 0.3, 0.15  # shares of phrase ends that are answered with each gesture
_MOST = 0.63  # largest share of takes that answer one phrase's end with a nod, so that listeners to a voice differ
_ANSWERS_LATE, _ANSWERS_VARY = 0.32, 0.1  # delay after the end, and its standard deviation, s
_NOD_BACK = (2.4, 5.0)  # size of the first nod, degrees; the next are smaller
_FADES = 0.6
_AGAIN = (0.55, 0.88)  # shares of answers with one nod, and with at most two
_DOWN, _UP = (0.16, 0.22), 1.3  # time of the downward movement, s, and that of the upward one, relative to it
_POSE, _TURNS = np.array([0.8, 2.2, 1.6]), 1.1  # size of a change of pose, degrees, and its length, s
_BACK = (0.7, 1.6)  # time before the take's end from which the gaze is back at the partner, s


def answered(layer: Layer, phrasing: Phrasing, seed: int, manner: Manner, directed: Directed) -> None:
    """Add a listener's answers to a layer; phrasing: of the voice it listens to."""
    rng = generator(seed, Stream.ANSWERS)
    now, nods = np.zeros(3), evenly(seed, Stream.NODS_BACK, Stream.NODS_BACK_TURNS, (len(phrasing.phrases),))
    for (start, end), nod in zip(phrasing.phrases, nods):
        u, z = rng.random(9), rng.standard_normal(5).clip(-2, 2)
        if (end - start) / FPS < _SHORTEST or end >= phrasing.frames:
            continue
        how = directed.at(end)
        at = end + FPS * float(np.clip(_ANSWERS_LATE + _ANSWERS_VARY * z[0], 0.12, 0.6))
        if nod < min(_MOST, _NODS * how.head**0.3 * (0.6 + 0.65 * manner.nods)):
            size, when = at_most(how.head * manner.head_size * between(_NOD_BACK, u[1])), at
            down = (between(_DOWN, u[2]) + 0.02 * size) / how.tempo
            for _ in range(1 + int(np.searchsorted(_AGAIN, u[3]))):
                if when + (0.5 + _UP) * down * FPS > phrasing.frames:  # a take does not end in the middle of a nod
                    break
                layer.stroke(when, np.array([size, 0.1 * size * z[1], 0.1 * size * z[2]]), down, 0.0, _UP * down, "a nod after a phrase")
                when, size = when + 2.5 * down * FPS, _FADES * size
        if u[4] < _BLINKS:
            layer.blink(at + FPS * 0.15 * (2 * u[5] - 1), "a blink after a phrase")
        if u[6] < _BROWS:
            raised, knit = brow_shape(0 if u[7] < 0.7 else 2, 0.1 * how.brows * manner.brow_size, np.sign(manner.side) or 1.0)
            layer.move_brows(at, raised, knit, 0.2, 0.2 + 0.4 * u[8], 0.5, "brows answer a phrase")
        if u[7] < _POSES and at + _TURNS * FPS <= phrasing.frames:
            pose = how.head * _POSE * z[2:5]
            first = int(at)
            t = np.arange(first, phrasing.frames)
            layer.head[t] += eased((t - at) / FPS / _TURNS)[:, None] * (pose - now)
            now = pose
    layer.returns = phrasing.frames - FPS * generator(seed, Stream.GAZE_RETURNS).uniform(*_BACK)


# ---- sides, and all of it together

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
    layer, manner, directed = Layer(phrasing.frames), manner_of(seed, spread), Directed.of(styles, turned)
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
    layer = Layer(phrasing.frames)
    breathe(layer, phrasing, seed)
    return layer
