# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer that gestures add to a motion, its curves, and what eyes need besides them: lids that open and shut, and glances.

The model's blinks become rarer with the slider *Eyes*, and below .5 they cease; eyes that never blink look dead. High on the slider they
come so often that they run together, and the eyes would be shut for half a second. So eyes that would stay open too long blink, frequent
blinks are short, and no take begins or ends with its eyes half shut.

People who speak rarely look at one point for more than six to eight seconds. The model's gaze shifts about as often as *Eyes* asks, but
with long intervals in between: half a minute in some takes. Small glances fill them, where phrases end if possible, or with a blink.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...animation.played import SACCADE, starts
from ...filters import eased, gaussian, gaussian_kernel, smoothstep
from ...rotation import angular_speed
from ...steps import ADDED, step
from ...types import FPS
from ..speech.phrasing import Phrasing, runs
from .manner import between, Directed, generator, Stream

# ---- lids

_OPEN = 7.5  # longest time for which usual eyes stay open, s
_STEADY, _LIVELY = 0.4, 1.5  # exponents of *Eyes*, below 1 and above, by which it is divided
_STEADIEST, _LIVELIEST = 0.2, 2.5  # least and most *Eyes* that divide it
_SOONEST, _BEFORE = 0.5, 0.35  # shares of that time after one blink and before the next in which none is added
_OF_GAP = 0.45  # largest share of the time between two blinks that either is, so that one fits where they are too far apart
_MOST = 9.0  # longest time for which any eyes stay open, s: steady ones blink as rarely, but more regularly
_OUTSIDE = 0.75  # largest share of it before a take begins, and after it ends: of an interval that lies across either
_BLINK_EVERY, _BLINK_VARIES = 0.4, 0.2  # interval between moments at which a blink may be added, and how far each is from it; s
_AFTER_PHRASE = (-0.1, 0.35)  # when a blink at a phrase's end begins after it, s
_IN_SILENCE, _AT_END, _STRESSED = 0.35, 0.5, -1.0  # by what moments are preferred that are not, or are, on a stressed syllable
_SHUTS = (-1, 7)  # frames after a blink's beginning in which it hides the eyes
_APART = 0.9  # least time between another blink and one in a long pause, or one from an end of the take, s
_LONG_PAUSE, _INSIDE = 4.0, 0.88  # silence, s, in which eyes blink, and the share of such silences
LONGEST = 12.0  # frames for which a blink shuts eyes that blink as often as usual
BLINKED = 0.5  # eyeBlink that counts as a blink
EDGE = 8  # frames at both ends of a take in which no eye is shut
_RAISED = 0.2  # eyeBlink above its usual level at which lids at an end belong to a blink
_MOVED = 1.6  # s inside EDGE within which a blink comes that was at an end


class Moment(NamedTuple):
    """A moment at which a blink may be added. at: its first frame.  rank: by which one of several is chosen."""

    at: float
    rank: float


@dataclass(frozen=True)
class Blinks:
    """What a take draws for its blinks.

    possible: by their frames.  longest: frames [T] for which eyes stay open.  soonest: frames [T] after a blink in which none is added, if
    the next is late enough.  pauses: first frame of each long pause, the frame after it, and that of the blink in it.  before, after: how
    long eyes have been open when a take begins, and stay open when it ends, as shares of `longest`.
    """

    possible: Sequence[Moment]
    longest: np.ndarray
    soonest: np.ndarray
    pauses: Sequence[tuple[int, int, float]]
    before: float
    after: float

    @classmethod
    def of(cls, phrasing: Phrasing, seed: int, directed: Directed) -> Blinks:
        """Those of a seed's take. directed: style of the gestures."""
        looks = np.clip(directed.curve("looks", phrasing.frames), _STEADIEST, _LIVELIEST)
        usual = FPS * _OPEN / looks ** np.where(looks < 1, _STEADY, _LIVELY)
        rng = generator(seed, Stream.PAUSE_BLINKS)
        before, after = _OUTSIDE * rng.random(2)
        pauses = []
        for start, end in phrasing.silences.tolist():
            u = rng.random(2)
            if end - start >= _LONG_PAUSE * FPS and u[0] < _INSIDE:
                pauses.append((start, end, start + (end - start) * (0.05 + 0.85 * u[1])))
        return cls(_possible(phrasing, seed), usual.clip(max=FPS * _MOST), _SOONEST * usual, pauses, float(before), float(after))

    def needed(self, lids: np.ndarray, length: int, ends: tuple[bool, bool] = (False, False)) -> list[float]:
        """First frames of the blinks that lids [T], 0 … 1 shut, need besides their own; each is `length` frames long.

        ends: whether a blink was taken from the beginning and from the end, which come a little further inside.
        """
        frames, result = len(lids), list[float]()
        own, latest = starts(lids > BLINKED).tolist(), frames - EDGE - length
        for was, first, last in ((ends[0], EDGE, EDGE + _MOVED * FPS), (ends[1], latest - _MOVED * FPS, latest)):
            some = [each for each in self.possible if max(first, EDGE) <= each.at <= min(last, latest) and _clear(each.at, [*own, *result])]
            if was and some:
                result.append(max(some, key=lambda each: each.rank).at)
        for start, end, at in self.pauses:
            if not any(start <= blink < end for blink in own) and _clear(at, [*own, *result]) and EDGE <= at <= latest:
                result.append(at)
        last = -self.before * self.longest[0]
        for following in [*sorted([*own, *result]), frames + self.after * self.longest[-1]]:
            while following - last > (longest := self.longest[min(max(0, int(last)), frames - 1)]):
                most = _OF_GAP * (following - last)
                first, before = min(self.soonest[min(max(0, int(last)), frames - 1)], most), min(_BEFORE * longest, most)
                some = [each for each in self.possible if last + first <= each.at <= min(last + longest, following - before)]
                some = [each for each in some if EDGE <= each.at <= latest]
                if not some:
                    break
                last = max(some, key=lambda each: each.rank).at
                result.append(last)
            last = max(last, following)
        return sorted(result)


def longest_blinks(directed: Directed, frames: int) -> np.ndarray:
    """Frames [T] after which eyes open again, sooner where blinks are frequent. directed: style of the gestures."""
    return LONGEST / directed.curve("looks", frames)


def open_at_ends(lids: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """Lids [T, n] of one face without the blinks that a take would begin or end in; and whether there was one at its beginning, its end."""
    result, most = lids.copy(), lids.max(1)
    frames, level, there = len(lids), float(np.median(most)), [False, False]
    for start, end in runs(most > level + _RAISED):
        if start < EDGE:
            while end < frames and most[end] < most[end - 1]:  # up to where it has opened them
                end += 1
            result[:end] = lids[min(end, frames - 1)]
            there[0] = True
        elif end > frames - EDGE:
            while start > 0 and most[start - 1] < most[start]:
                start -= 1
            result[start:] = lids[max(0, start - 1)]
            there[1] = True
    return result, there[0], there[1]


def _clear(at: float, blinks: Sequence[float]) -> bool:
    return all(abs(at - blink) >= _APART * FPS for blink in blinks)


def _possible(phrasing: Phrasing, seed: int) -> list[Moment]:
    """Moments of a seed's take at which a blink may be added: at any time, best where nobody speaks and least on stressed syllables."""
    rng = generator(seed, Stream.BLINKS)
    quiet, stressed = np.ones(phrasing.frames, bool), np.zeros(phrasing.frames, bool)
    for start, end in phrasing.phrases:
        quiet[start:end] = False
    for accent in phrasing.accents:
        stressed[max(0, accent - _SHUTS[1]) : max(0, accent - _SHUTS[0] + 1)] = True
    result = []
    for at in FPS * np.arange(_BLINK_EVERY, phrasing.frames / FPS, _BLINK_EVERY):
        u = rng.random(2)
        at += FPS * _BLINK_VARIES * (2 * u[0] - 1)
        frame = min(max(0, int(at)), phrasing.frames - 1)
        result.append(Moment(float(at), float(u[1] + _IN_SILENCE * quiet[frame] + _STRESSED * stressed[frame])))
    for _, end in phrasing.phrases:
        u = rng.random(2)
        result.append(Moment(float(end + FPS * between(_AFTER_PHRASE, u[0])), float(u[1] + _AT_END)))
    return sorted(result)


# ---- glances

_RESTS = 6.0  # seconds for which the gaze of eyes that look away as often as usual may rest
_LEAST_LOOKS, _MOST_LOOKS = 0.8, 1.5  # least and most *Eyes* by which that time is divided
_GLANCE_EVERY, _GLANCE_VARIES = 0.8, 0.3  # interval between moments at which a glance may be added, and how far each is from it; s
_SIZE, _AT_PHRASES = (3.5, 6.0), (4.0, 9.0)  # turn of the eyes, degrees: on the way, and where a phrase ends
_LASTS = (0.5, 1.6)  # s; where a phrase ends until the next begins, if that is later than the first and sooner than the last
_EARLIEST = 0.5  # share of the longest rest after which a glance may come
_BLINK_NEAR = 0.8  # time within which a glance waits for a blink or comes sooner for it, s
_HOME, _BRIEFEST = 3.0, 0.4  # distance from its usual point at which a gaze is back, degrees; shortest look away before it returns, s
_FREE = 0.3  # least time between the end of a glance and the next shift, s


def saccade_seconds(degrees: float) -> float:
    """Seconds in which eyes turn by so many degrees."""
    return 0.03 + 0.003 * degrees


class Glance(NamedTuple):
    """A glance that may be added.

    at: its first frame.  frames: after which the gaze returns.  turned, lowered: degrees, as of `Layer.gaze`.
    ends_phrase: whether a phrase ends there.  rank: 0 … 1, by which one of several is chosen.
    """

    at: int
    frames: int
    turned: float
    lowered: float
    ends_phrase: bool
    rank: float


def longest_rests(directed: Directed, frames: int) -> np.ndarray:
    """Frames for which a gaze may rest on one point, [T]. directed: style of the gestures."""
    return FPS * _RESTS / np.clip(directed.curve("looks", frames), _LEAST_LOOKS, _MOST_LOOKS)


def possible_glances(phrasing: Phrasing, seed: int) -> list[Glance]:
    """The glances that a seed's take may make, by their frames."""
    rng, result = generator(seed, Stream.GLANCES), []
    for at in FPS * np.arange(_GLANCE_EVERY, phrasing.frames / FPS - _FREE, _GLANCE_EVERY):
        u = rng.random(5)
        lasts = between(_LASTS, u[1])
        result.append(_glance(at + FPS * _GLANCE_VARIES * (2 * u[0] - 1), lasts, _SIZE, u[2:], False))
    for end, begins in phrasing.silences[1:]:
        u = rng.random(5)
        pause = (begins - end) / FPS
        lasts = pause if _LASTS[0] <= pause <= _LASTS[1] else between(_LASTS, u[1])
        result.append(_glance(end, lasts, _AT_PHRASES, u[2:], True))
    return sorted(result)


def _glance(at: float, seconds: float, sizes: tuple[float, float], u: np.ndarray, ends_phrase: bool) -> Glance:
    size, angle = between(sizes, u[0]), np.pi * (2 * u[1] - 1)
    # Further to the sides than up and down.
    direction = np.array([np.cos(angle), 0.4 * np.sin(angle)])
    x, y = size * direction / np.linalg.norm(direction)
    return Glance(round(at), round(seconds * FPS), float(x), float(y), ends_phrase, float(u[2]))


def needed_glances(possible: Sequence[Glance], gaze: np.ndarray, lids: np.ndarray, rests: np.ndarray) -> list[Glance]:
    """Those of the possible glances that a gaze needs so that it rests nowhere for longer than `rests` frames [T].

    gaze: rotation vectors [T, 3] in the world.  lids: closure of the eyes [T], 0 … 1: a glance on the way comes with a blink near it.
    """
    frames, result, last = len(gaze), [], 0
    shifts = starts(np.degrees(angular_speed(gaze * np.array([1, 1, 0]))) > SACCADE)  # a head that tilts shifts no gaze
    blinks = starts(lids > 0.5)
    for shift in [*shifts.tolist(), frames]:
        while shift - last > rests[min(last, frames - 1)]:
            longest = rests[min(last, frames - 1)]
            some = [each for each in possible if last + _EARLIEST * longest <= each.at <= last + longest]
            free = [each for each in some if each.at + each.frames <= shift - _FREE * FPS]
            if not free:
                break
            best = max(free, key=lambda each: (each.ends_phrase, each.rank))
            if not best.ends_phrase and len(blinks):
                near = blinks[np.abs(blinks - best.at).argmin()]
                if abs(near - best.at) <= _BLINK_NEAR * FPS and near > last and near + 1 + best.frames <= shift - _FREE * FPS:
                    best = best._replace(at=int(near) + 1)
            result.append(best)
            last = best.at + best.frames
        last = max(last, shift)
    return result


def returned(gaze: np.ndarray, at: float) -> np.ndarray:
    """A gaze [T, 3], rotation vectors in the world, that is back where it usually rests from frame `at` on, and stays near it.

    A look away that would begin shortly before does not begin.
    """
    usual = np.median(gaze, 0)
    away = np.degrees(np.linalg.norm((gaze - usual)[:, :2], axis=1))
    first = last = int(min(max(0.0, at), len(gaze) - 1))
    while first > 0 and away[first - 1] > _HOME:
        first -= 1
    lasts = saccade_seconds(float(away[last:].max()))
    if last - first < _BRIEFEST * FPS:
        at = first - lasts * FPS
    back = smoothstep(np.clip((np.arange(len(gaze)) - at) / FPS / lasts, 0, 1))
    return usual + (gaze - usual) * (1 - back * (1 - _HOME / np.maximum(away, _HOME)))[:, None]


# ---- the layer

_EYES_STAY = 0.95  # share of the gestures' head rotation that the eyes compensate
_FURTHEST_LOOK = 24.0  # largest turn of an eye in its socket, degrees
_WIDER = 0.3  # widening of the lids per unit of raised brows
_NARROWER = 0.25  # narrowing of the lids per unit of knit brows
_MOST_BROW = 0.95  # largest brow value made by a gesture
_BLINK_DOWN, _BLINK_SHUT, _BLINK_UP = 0.1, 0.045, 0.2  # phases of a blink, s
_LIDS_BUSY = 0.25  # eyeBlink of the model's motion above which no other blink begins
_LIDS_NEAR = 12  # frames to either side that this includes
_HUSH = 3.0  # frames in which a jaw comes to rest before a breath, and leaves it for the first sound
_AGAINST = 4.0  # by how much corners that a mood raises or lowers keep from drifting the other way, per unit
# Channels of the lower face that move in silence.
LOWER_FACE = (
    *(f"{name}{side}" for name in ("mouthPress", "mouthSmile", "mouthFrown", "mouthDimple", "mouthStretch", "cheekSquint", "noseSneer")
      for side in ("Left", "Right")),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
)  # fmt: skip
_OPPOSITES = {f"mouth{one}{side}": f"mouth{other}{side}" for side in ("Left", "Right")
              for one, other in (("Smile", "Frown"), ("Frown", "Smile"))}  # fmt: skip
_BLINK_FRAMES = round((_BLINK_DOWN + _BLINK_SHUT + _BLINK_UP) * FPS)


def blurred(values: np.ndarray, deviation: float) -> np.ndarray:
    """Every column of [T, c] smoothed over time by a Gaussian of this deviation in frames; ends are held."""
    return gaussian(values, deviation, "nearest", int(3 * deviation) + 1)


def drift(frames: int, columns: int, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise [T, columns] of about unit deviation, whose movements are slower than `hertz`.

    The noise is drawn from its first frame on, so that a longer take begins as a shorter one does.
    """
    deviation = FPS / (2 * np.pi * hertz)
    reach = int(3 * deviation) + 1
    kernel = gaussian_kernel(deviation, reach)
    noise = rng.standard_normal((frames + 2 * reach, columns))
    return np.stack([np.convolve(column, kernel / np.linalg.norm(kernel), "valid") for column in noise.T], 1)


def bump(frames: int, start: float, rise: float, hold: float, fall: float) -> tuple[slice, np.ndarray]:
    """Frames of a movement of `rise`, `hold` and `fall` s that starts at a frame, and its progress, 0 … 1."""
    first, last = max(0, int(np.floor(start))), min(frames, int(np.ceil(start + (rise + hold + fall) * FPS)) + 1)
    t = (np.arange(first, max(first, last)) - start) / FPS
    return slice(first, max(first, last)), eased(t / rise) - eased((t - rise - hold) / fall)


def _add(expression: np.ndarray, columns: Mapping[str, int], name: str, by: np.ndarray) -> None:
    """Add to a channel in place, if there is one. Existing values reduce the addition, so that no movement is clipped."""
    if name in columns:
        own = expression[:, columns[name]]
        room = np.clip(1 - own / _MOST_BROW, 0, 1)
        expression[:, columns[name]] = np.maximum(0, own + np.where(by > 0, _MOST_BROW * room * np.tanh(by / _MOST_BROW), by))


def _most_turned(eyes: np.ndarray) -> np.ndarray:
    """The largest turn of eyes [T, 3]: in their sockets, or the model's own."""
    return np.maximum(np.radians(_FURTHEST_LOOK), np.abs(eyes))


def _events_of(part: str) -> Callable[[Mapping], Mapping[str, np.ndarray]]:
    """`causes` of a step: what one of a layer's parts does so far."""
    return lambda given: {what: curve.copy() for what, curve in given["self"].happening[part].items()}


def _jump(frames: int, away: float, degrees: np.ndarray, seconds: float) -> tuple[slice, np.ndarray]:
    """Frames of a look away that begins at a frame and returns after some seconds, and its turn there, degrees [t, 2]."""
    turns = saccade_seconds(float(np.linalg.norm(degrees)))
    at, far = bump(frames, away, turns, seconds, turns)
    return at, far[:, None] * degrees


class Layer:
    """Additions to T frames; nothing is added by an empty one.

    head [T, 3]: degrees that it nods, turns and tilts.  gaze [T, 2]: degrees that the eyes' point is turned and lowered.
    brows [T, 3]: inner, outer left and outer right, raised.  knit [T, 2]: drawn down, left and right.  shut [T]: of blinks, 0 … 1.
    droop [T]: of a blink, that lids come down between blinks.  felt [T]: strength of the mood, 1 as directed.
    hushed [T]: share of the model's own opening of the jaw that is taken away before a phrase.  breath [T]: its opening for air, radians.
    lively [T]: by how much the model's brows move more and rest lower (`speaker.livelier`).
    marked [T, 2]: how much of the model's quick movement of head and brows stays on accents, as a factor.
    longest [T]: frames for which the model's blinks may shut the eyes; longer ones open again after that.
    blinks: from which those are added that eyes need besides the model's; None: none are.
    rests [T]: frames for which the gaze may rest on one point.  glances: those of which it makes as many as that needs.
    returns: frame from which the gaze is back where it usually rests, until the take ends; None: it may end away.
    resting [T, LOWER_FACE]: what a lower face does in long silence, channel values, none below 0.
    happening: what each part of the face (head, brows, lids, gaze, lower face, jaw) does → 1 in the frames where it does it [T], else 0.
    """

    def __init__(self, frames: int):
        self.frames = frames
        self.head, self.gaze, self.brows, self.knit = (np.zeros((frames, n)) for n in (3, 2, 3, 2))
        self.shut, self.droop, self.hushed, self.breath, self.lively = np.zeros((5, frames))
        self.felt, self.marked, self.longest = np.ones(frames), np.ones((frames, 2)), np.full(frames, float(frames))
        self.resting = np.zeros((frames, len(LOWER_FACE)))
        self.blinks: Blinks | None = None
        self.rests, self.glances = np.zeros(0), list[Glance]()
        self.returns: float | None = None
        self.happening: dict[str, dict[str, np.ndarray]] = defaultdict(dict)

    def note(self, part: str, frames: slice, what: str) -> None:
        """Remember what a part of the face does in some frames."""
        self.happening[part].setdefault(what, np.zeros(self.frames))[frames] = 1.0

    def lower(self, name: str) -> np.ndarray:
        """What a channel of the lower face does in long silence, [T], to be added to in place."""
        return self.resting[:, LOWER_FACE.index(name)]

    def stroke(self, fastest: float, degrees: np.ndarray, down: float, hold: float, back: float, what: str) -> None:
        """Move the head by `degrees` [3] in `down` s, fastest at a frame, and back after `hold` s in `back` s."""
        at, far = bump(self.frames, fastest - down * FPS / 2, down, hold, back)
        self.note("head", at, what)
        self.head[at] += far[:, None] * degrees

    def move_brows(  # noqa: PLR0913 (a movement in time)
        self, fastest: float, raised: np.ndarray, knit: np.ndarray, rise: float, hold: float, fall: float, what: str
    ) -> None:  # fmt: skip
        """Move the brows by `raised` [3] and `knit` [2] in `rise` s, fastest at a frame, and back after `hold` s in `fall` s."""
        at, far = bump(self.frames, fastest - rise * FPS / 2, rise, hold, fall)
        self.note("brows", at, what)
        self.brows[at] += far[:, None] * raised
        self.knit[at] += far[:, None] * knit

    def leave(self, accents: np.ndarray, shares: np.ndarray, deviation: float) -> None:
        """Leave shares [k, 2] of the model's quick movement of head and brows around accents [k]."""
        for accent, share in zip(accents, shares):
            near = np.exp(-0.5 * ((np.arange(self.frames) - accent) / deviation) ** 2)
            self.marked *= 1 - (1 - share) * near[:, None]

    def inhale(self, start: float, end: float, radians: float, rise: float, fall: float, at: float) -> None:
        """Let the jaw rest from frame `start` to `end`, but open by `radians` from a frame on in `rise` s, and shut in `fall` s."""
        t = np.arange(self.frames)
        rests = eased((t - start + _HUSH) / _HUSH) * eased((end + _HUSH - t) / _HUSH)
        self.hushed = np.maximum(self.hushed, rests)
        frames, far = bump(self.frames, at, rise, 0.0, fall)
        self.note("jaw", frames, "a breath before a phrase")
        self.breath[frames] = np.maximum(self.breath[frames], radians * far)

    @step(ADDED, "jaw", _events_of("jaw"))
    def breathe(self, jaw: np.ndarray) -> np.ndarray:
        """Jaw [T, 3] with the breath before phrases in place of the model's own opening there."""
        result = jaw.copy()
        result[:, 0] = np.maximum(jaw[:, 0] * (1 - self.hushed), self.breath).astype(jaw.dtype)
        return result

    def look(self, away: float, degrees: np.ndarray, seconds: float, what: str) -> None:
        """Let the gaze jump by `degrees` [2] at a frame, and back after a time."""
        at, far = _jump(self.frames, away, degrees, seconds)
        self.note("gaze", at, what)
        self.gaze[at] += far

    def blink(self, start: float, what: str) -> None:
        """Add a blink at a frame."""
        self.note("lids", _blink(self.shut, start), what)

    def apply(self, expression: np.ndarray, head: np.ndarray, eyes: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, ...]:
        """(expression [T, names], head [T, 3], eyes [T, 3]) with this layer; rotation vectors in radians. Channels stay within bounds."""
        columns = {name: i for i, name in enumerate(names)}
        lids = [columns[name] for name in ("eyeBlinkLeft", "eyeBlinkRight") if name in columns]
        result = self.gesture_with_brows(expression, columns)
        result, shut = self.blink_lids(result, lids)
        result = self.widen_lids(result, shut, columns)
        result = self.rest_lower_face(result, columns)
        turned = self.turn_head(head)
        looked = self.look_about(eyes)
        looked = self.glance_away(looked, turned, result[:, lids].max(1, initial=0), eyes)
        looked = self.return_gaze(looked, turned)
        return result, turned, looked

    @step(ADDED, "expression", _events_of("brows"))
    def gesture_with_brows(self, expression: np.ndarray, columns: Mapping[str, int]) -> np.ndarray:
        """Expression [T, columns] with raised and knit brows."""
        result = expression.copy()
        below = np.zeros((self.frames, 3))  # what lowers brows that are at rest already: other muscles draw them down
        for part, name in enumerate(("browInnerUp", "browOuterUpLeft", "browOuterUpRight")):
            if name in columns:
                below[:, part] = np.maximum(0, -expression[:, columns[name]].clip(0) - self.brows[:, part])
            _add(result, columns, name, self.brows[:, part])
        for side, name in enumerate(("Left", "Right")):
            _add(result, columns, f"browDown{name}", self.knit[:, side] + (below[:, 0] + below[:, 1 + side]) / 2)
        return result

    @step(ADDED, "expression", _events_of("lids"))
    def blink_lids(self, expression: np.ndarray, lids: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """(expression [T, n] with this layer's blinks and without blinks that last too long, what was added to the lids [T] 0 … 1).

        lids: its columns of eyeBlink.
        """
        result = expression.copy()
        if not lids:
            return result, np.zeros(self.frames)
        own, *ends = open_at_ends(np.stack([_shortened(expression[:, column], self.longest) for column in lids], 1))
        near = np.lib.stride_tricks.sliding_window_view(np.pad(own.max(1), _LIDS_NEAR, mode="edge"), 2 * _LIDS_NEAR + 1)
        free = near.max(1) < _LIDS_BUSY
        free[:EDGE] = free[max(EDGE, self.frames - EDGE) :] = False
        shut = _whole(self.shut, free)
        if self.blinks is not None:
            for at in self.blinks.needed(np.maximum(own.max(1), shut), _BLINK_FRAMES, (ends[0], ends[1])):
                self.note("lids", _blink(shut, at), "a blink: the eyes were open long")
        result[:, lids] = np.maximum(own + self.droop[:, None] * np.clip(1 - own, 0, 1), shut[:, None])
        return result, shut

    @step(ADDED, "expression", _events_of("brows"))
    def widen_lids(self, expression: np.ndarray, shut: np.ndarray, columns: Mapping[str, int]) -> np.ndarray:
        """Expression [T, columns] whose lids follow the brows, but not where a blink [T] has shut them."""
        result = expression.copy()
        raised, knit = np.maximum(self.brows, 0), np.maximum(self.knit, 0)
        for side, name in enumerate(("Left", "Right")):
            _add(result, columns, f"eyeWide{name}", _WIDER * (raised[:, 0] + raised[:, 1 + side]) / 2 * (1 - shut))
            _add(result, columns, f"eyeSquint{name}", _NARROWER * knit[:, side])
        return result

    @step(ADDED, "expression", _events_of("lower face"))
    def rest_lower_face(self, expression: np.ndarray, columns: Mapping[str, int]) -> np.ndarray:
        """Expression [T, columns] whose lower face moves in long silence."""
        result = expression.copy()
        for name, by in zip(LOWER_FACE, self.resting.T):
            if (other := _OPPOSITES.get(name)) in columns:  # corners that a mood raises are not lowered
                by = by * np.clip(1 - _AGAINST * expression[:, columns[other]], 0, 1)
            if by.any():
                _add(result, columns, name, by)
        return result

    @step(ADDED, "head", _events_of("head"))
    def turn_head(self, head: np.ndarray) -> np.ndarray:
        """Head [T, 3] with this layer's movement."""
        return head + np.radians(self.head)

    @step(ADDED, "eyes", _events_of("gaze"))
    def look_about(self, eyes: np.ndarray) -> np.ndarray:
        """Eyes [T, 3] that look away as this layer says and stay on their point while it turns the head."""
        looked = eyes + np.radians(np.stack([self.gaze[:, 1], self.gaze[:, 0], np.zeros(self.frames)], 1))
        looked -= _EYES_STAY * np.radians(self.head) * np.array([1, 1, 0])
        most = _most_turned(eyes)
        return np.clip(looked, -most, most)

    @step(ADDED, "eyes", _events_of("gaze"))
    def glance_away(self, eyes: np.ndarray, head: np.ndarray, lids: np.ndarray, sampled: np.ndarray) -> np.ndarray:
        """Eyes [T, 3] with glances wherever they would rest too long, with lids [T], 0 … 1 shut; sampled: eyes as the model has them,
        which set how far they may turn."""
        if not self.glances:
            return eyes
        looked, most = eyes.copy(), _most_turned(sampled)
        for glance in needed_glances(self.glances, looked + head, lids, self.rests):
            at, far = _jump(self.frames, glance.at, np.array([glance.turned, glance.lowered]), glance.frames / FPS)
            looked[at] += np.radians(np.stack([far[:, 1], far[:, 0], np.zeros(len(far))], 1))
            self.note("gaze", at, "a glance: the gaze has rested long")
        return np.clip(looked, -most, most)

    @step(ADDED, "eyes")
    def return_gaze(self, eyes: np.ndarray, head: np.ndarray) -> np.ndarray:
        """Eyes [T, 3] that are back where they usually rest before a listener's take ends."""
        return eyes if self.returns is None else returned(eyes + head, self.returns) - head


def _blink(shut: np.ndarray, start: float) -> slice:
    """Add a blink at a frame to lids [T], 0 … 1 shut, in place. Returns its frames."""
    at, far = bump(len(shut), start, _BLINK_DOWN, _BLINK_SHUT, _BLINK_UP)
    shut[at] = np.maximum(shut[at], far)
    return at


def _shortened(lids: np.ndarray, longest: np.ndarray) -> np.ndarray:
    """A curve of eyeBlink [T] in which eyes open again that were shut for `longest` [T] frames."""
    result = lids.copy()
    for start, end in runs(lids > BLINKED):
        opens = start + max(1, round(float(longest[start])))
        if end > opens:
            while end < len(lids) and lids[end] < lids[end - 1]:  # down to where the model has them open
                end += 1
            base = lids[max(0, start - _LIDS_NEAR) : min(len(lids), end + 1)].min()
            open_again = eased((np.arange(opens - 1, end) - opens + 2) / FPS / _BLINK_UP)
            result[opens - 1 : end] = np.minimum(result[opens - 1 : end], base + (1 - open_again) * (1 - base))
    return result


def _whole(shut: np.ndarray, free: np.ndarray) -> np.ndarray:
    """The blinks [T] that are completely inside frames with `free` lids [T]."""
    result = np.zeros(len(shut))
    for start, end in runs(shut > 0):
        if free[start:end].all():
            result[start:end] = shut[start:end]
    return result
