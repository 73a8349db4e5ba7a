# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer that gestures add to a motion, and its curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...filters import gaussian, gaussian_kernel
from ...steps import ADDED, step
from ...types import FPS
from ..speech.phrasing import runs
from .glances import Glance, needed_glances, returned, saccade_seconds
from .open_eyes import BLINKED, Blinks, EDGE, open_at_ends

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


def eased(u: np.ndarray) -> np.ndarray:
    """Minimum-jerk movement from 0 to 1 (Flash & Hogan 1985) at u, which is clipped to 0 … 1."""
    u = np.clip(u, 0, 1)
    return u * u * u * (10 - 15 * u + 6 * u * u)


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
    """`causes` of a step: the events of one of a layer's parts."""
    return lambda given: given["self"].happening(part)


def _jump(frames: int, away: float, degrees: np.ndarray, seconds: float) -> tuple[slice, np.ndarray]:
    """Frames of a look away that begins at a frame and returns after some seconds, and its turn there, degrees [t, 2]."""
    turns = saccade_seconds(float(np.linalg.norm(degrees)))
    at, far = bump(frames, away, turns, seconds, turns)
    return at, far[:, None] * degrees


@dataclass(frozen=True)
class Event:
    """Something that a face does: the part of it, frames [start, end) and what it is, in words."""

    part: str
    start: int
    end: int
    what: str


@dataclass
class Layer:
    """Additions to T frames.

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
    events: what the layer does, part by part; parts are head, brows, lids, gaze, lower face, jaw.
    """

    head: np.ndarray
    gaze: np.ndarray
    brows: np.ndarray
    knit: np.ndarray
    shut: np.ndarray
    droop: np.ndarray
    felt: np.ndarray
    hushed: np.ndarray
    breath: np.ndarray
    lively: np.ndarray
    marked: np.ndarray
    longest: np.ndarray
    blinks: Blinks | None = None
    rests: np.ndarray = field(default_factory=lambda: np.zeros(0))
    glances: list[Glance] = field(default_factory=list)
    returns: float | None = None
    resting: np.ndarray = field(default_factory=lambda: np.zeros((0, len(LOWER_FACE))))
    events: list[Event] = field(default_factory=list)

    @classmethod
    def of(cls, frames: int) -> Layer:
        """An empty layer."""
        nothing = [np.zeros((frames, n)) for n in (3, 2, 3, 2)] + [np.zeros(frames) for _ in range(2)]
        ones = np.ones((frames, 2)), np.full(frames, float(frames))
        lower = np.zeros((frames, len(LOWER_FACE)))
        return cls(*nothing, np.ones(frames), *(np.zeros(frames) for _ in range(3)), *ones, resting=lower)

    @property
    def frames(self) -> int:
        return len(self.head)

    def note(self, part: str, frames: slice, what: str) -> None:
        """Remember what a part of the face does in some frames."""
        self.events.append(Event(part, int(frames.start), int(frames.stop), what))

    def happening(self, part: str) -> dict[str, np.ndarray]:
        """What a part of the face does → 1 in the frames where it does it [T], else 0."""
        result: dict[str, np.ndarray] = {}
        for event in self.events:
            if event.part == part:
                result.setdefault(event.what, np.zeros(self.frames))[event.start : event.end] = 1.0
        return result

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

    def leave(self, part: int, accent: float, share: float, deviation: float) -> None:
        """Leave a share of the model's quick movement of one part, 0 the head and 1 the brows, around an accent."""
        near = np.exp(-0.5 * ((np.arange(self.frames) - accent) / deviation) ** 2)
        self.marked[:, part] *= 1 - (1 - share) * near

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
        result = self.gesture_with_brows(expression, names)
        result, shut = self.blink_lids(result, names)
        result = self.widen_lids(result, shut, names)
        result = self.rest_lower_face(result, names)
        turned = self.turn_head(head)
        looked = self.look_about(eyes)
        looked = self.glance_away(looked, turned, result, eyes, names)
        looked = self.return_gaze(looked, turned)
        return result, turned, looked

    @step(ADDED, "expression", _events_of("brows"))
    def gesture_with_brows(self, expression: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Expression [T, names] with raised and knit brows."""
        result, columns = expression.copy(), {name: i for i, name in enumerate(names)}
        below = np.zeros((self.frames, 3))  # what lowers brows that are at rest already: other muscles draw them down
        for part, name in enumerate(("browInnerUp", "browOuterUpLeft", "browOuterUpRight")):
            if name in columns:
                below[:, part] = np.maximum(0, -expression[:, columns[name]].clip(0) - self.brows[:, part])
            _add(result, columns, name, self.brows[:, part])
        for side, name in enumerate(("Left", "Right")):
            _add(result, columns, f"browDown{name}", self.knit[:, side] + (below[:, 0] + below[:, 1 + side]) / 2)
        return result

    @step(ADDED, "expression", _events_of("lids"))
    def blink_lids(self, expression: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(expression [T, names] with this layer's blinks and without blinks that last too long, what was added to the lids [T] 0 … 1)."""
        result = expression.copy()
        lids = [list(names).index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight") if name in names]
        return result, self._shut_lids(result, lids)

    @step(ADDED, "expression", _events_of("brows"))
    def widen_lids(self, expression: np.ndarray, shut: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Expression [T, names] whose lids follow the brows, but not where a blink [T] has shut them."""
        result, columns = expression.copy(), {name: i for i, name in enumerate(names)}
        raised, knit = np.maximum(self.brows, 0), np.maximum(self.knit, 0)
        for side, name in enumerate(("Left", "Right")):
            _add(result, columns, f"eyeWide{name}", _WIDER * (raised[:, 0] + raised[:, 1 + side]) / 2 * (1 - shut))
            _add(result, columns, f"eyeSquint{name}", _NARROWER * knit[:, side])
        return result

    @step(ADDED, "expression", _events_of("lower face"))
    def rest_lower_face(self, expression: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Expression [T, names] whose lower face moves in long silence."""
        result, columns = expression.copy(), {name: i for i, name in enumerate(names)}
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
    def glance_away(
        self, eyes: np.ndarray, head: np.ndarray, expression: np.ndarray, sampled: np.ndarray, names: Sequence[str]
    ) -> np.ndarray:
        """Eyes [T, 3] with glances wherever they would rest too long; sampled: eyes as the model has them, which set how far they may
        turn."""
        if not self.glances:
            return eyes
        columns = [list(names).index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight") if name in names]
        looked, most = eyes.copy(), _most_turned(sampled)
        for glance in needed_glances(self.glances, looked + head, expression[:, columns].max(1, initial=0), self.rests):
            at, far = _jump(self.frames, glance.at, np.array([glance.turned, glance.lowered]), glance.frames / FPS)
            looked[at] += np.radians(np.stack([far[:, 1], far[:, 0], np.zeros(len(far))], 1))
            self.note("gaze", at, "a glance: the gaze has rested long")
        return np.clip(looked, -most, most)

    @step(ADDED, "eyes")
    def return_gaze(self, eyes: np.ndarray, head: np.ndarray) -> np.ndarray:
        """Eyes [T, 3] that are back where they usually rest before a listener's take ends."""
        return eyes if self.returns is None else returned(eyes + head, self.returns) - head

    def _shut_lids(self, expression: np.ndarray, lids: list[int]) -> np.ndarray:
        """Put this layer's blinks into an expression [T, n], in place. lids: its columns of eyeBlink. Returns what was added, [T] 0 … 1."""
        if not lids:
            return np.zeros(self.frames)
        own, *ends = open_at_ends(np.stack([_shortened(expression[:, column], self.longest) for column in lids], 1))
        near = np.lib.stride_tricks.sliding_window_view(np.pad(own.max(1), _LIDS_NEAR, mode="edge"), 2 * _LIDS_NEAR + 1)
        free = near.max(1) < _LIDS_BUSY
        inside = np.zeros(self.frames, bool)
        inside[EDGE : max(EDGE, self.frames - EDGE)] = True
        shut = _whole(self.shut, free & inside)
        if self.blinks is not None:
            for at in self.blinks.needed(np.maximum(own.max(1), shut), _BLINK_FRAMES, (ends[0], ends[1])):
                self.note("lids", _blink(shut, at), "a blink: the eyes were open long")
        expression[:, lids] = np.maximum(own + self.droop[:, None] * np.clip(1 - own, 0, 1), shut[:, None])
        return shut


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
