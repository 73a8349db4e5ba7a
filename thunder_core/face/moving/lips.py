# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the lips' opening and the mouth's width over a motion, and defines closures: keeps them
through any change, and adds and removes them by hand; numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ...errors import BadHead, BadRequest
from ...filters import ease, halve, smoothstep
from ...rotation import rotvec_to_matrix
from ...types import in_group, LIP_CLOSE, LIP_OPENERS, LIP_PRESS, Motion, MOUTH, reorder, TOUCH_MM
from .. import regions
from ..head import Head, load_head
from ..points import SkinnedPoints

# Two thresholds for the inner lips' gap. TOUCH_MM is for exact motions. CLOSED_MM is for motions
# sampled at 25 fps or converted to scene frames, where the smallest gap may be between two frames.
_PRESSED = 0.3  # value of mouthPress on shut lips


def height_gap(upper, lower):
    """Height of the upper point over the lower one [...], of positions [..., 3] in the head's axes:
    arrays or tensors.

    Measured along the face's height, as it is seen from the front: a lip rolled in over the teeth
    is not an open mouth.
    """
    return upper[..., 1] - lower[..., 1]


@dataclass(frozen=True)
class Lips:
    """The margins of a head's lips: P pairs of points that face each other, from its left corner to
    its right.

    along: 2P of them, upper before lower.  pair: those in the middle, the `middle` of P.  corners:
    the left and the right one of the mouth.  names: the head's channels.
    """

    along: SkinnedPoints
    pair: SkinnedPoints
    corners: SkinnedPoints
    names: tuple[str, ...]
    middle: int

    @classmethod
    def of(cls, head: Head) -> "Lips":
        """The lips of a head: all pairs where its lips are known as rings (ours), else only the
        middle one.

        Raises BadHead if the position of the lips is not known.
        """
        corners = [head.mouth_corner_left, head.mouth_corner_right]
        upper, lower = np.array([head.inner_lip_upper_mid]), np.array([head.inner_lip_lower_mid])
        if min(*upper, *lower, *corners) < 0:
            raise BadHead(
                "The position of this head's lips is not known: use the bundled head to measure a "
                "mouth"
            )
        skin = head.mouth_vertices[head.mouth_parts == 0]
        if len(skin) == regions.LIP_RINGS * regions.LIP_AROUND:
            ring = skin.reshape(regions.LIP_RINGS, regions.LIP_AROUND)[regions.CONTACT_RING]
            upper, lower = ring[regions.UPPER], ring[regions.LOWER]
        vertices, middle = np.concatenate([upper, lower, corners]), len(upper) // 2
        points = SkinnedPoints.of(head, vertices)
        pair = points.part([middle, middle + len(upper)])
        along, ends = points.part(slice(0, -2)), points.part(slice(-2, None))
        return cls(along, pair, ends, head.expression_names, middle)

    def coefficients(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """Expression [T, n] in the head's order of channels, double precision. channels: the
        motion's (None: the head's)."""
        if not channels:
            return np.asarray(motion.expression, np.float64)
        return reorder(motion.expression, channels, self.names)

    def gap(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """Gap along the lips, [T, P] millimetres; below zero they intersect."""
        return self._gap(self.along, motion, channels)

    def middle_gap(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """The same in their middle alone, [T], in a fraction of the time."""
        return self._gap(self.pair, motion, channels)[:, 0]

    def _gap(
        self, points: SkinnedPoints, motion: Motion, channels: Sequence[str] | None
    ) -> np.ndarray:
        upper, lower = np.split(
            points.heights(self.coefficients(motion, channels), rotvec_to_matrix(motion.jaw)),
            2,
            axis=1,
        )
        return 1e3 * (upper - lower)

    def opening(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """The gap in the middle beyond that at rest, float64 [T] millimetres, never below zero."""
        return np.maximum(self.beyond_rest(motion, channels), 0.0)

    def beyond_rest(self, motion: Motion, channels: Sequence[str] | None = None) -> np.ndarray:
        """The same, below zero where the lips are pressed together."""
        at_rest = 1e3 * height_gap(*self.pair.rest)
        return self.middle_gap(motion, channels) - at_rest

    def gap_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """`beyond_rest` of a motion of the head's channels, and the distance of the mouth's
        corners, float64 [T] millimetres."""
        expression, turn = self.coefficients(motion), rotvec_to_matrix(motion.jaw)
        left, right = np.moveaxis(self.corners.place(expression, turn), 1, 0)
        upper, lower = self.pair.heights(expression, turn).T
        beyond_rest = 1e3 * (upper - lower) - 1e3 * height_gap(*self.pair.rest)
        return beyond_rest, 1e3 * np.linalg.norm(left - right, axis=1)

    def slope(self, name: str, jaw: np.ndarray) -> np.ndarray:
        """Millimetres by which one channel parts the lips' middle per unit, [T], at jaw rotation
        vectors [T, 3]."""
        upper, lower = self.pair.height_slopes([self.names.index(name)], rotvec_to_matrix(jaw))[0].T
        return 1e3 * (upper - lower)


def press_together(expression: np.ndarray, channels: Sequence[str], shut: np.ndarray) -> None:
    """Reduce lip openers in place, and press the lips, on shut frames: expression [T, n], shut [T]
    0 … 1.

    This alone does not make the lips meet over an open jaw: mouthClose does
    (`set_gap`, or its share of the jaw's angle).
    """
    expression[
        :, [column for column, name in enumerate(channels) if name.startswith(LIP_OPENERS)]
    ] *= 1 - shut[:, None]
    for column in (column for column, name in enumerate(channels) if name.startswith(LIP_PRESS)):
        expression[:, column] = np.maximum(expression[:, column], _PRESSED * shut)


@lru_cache(maxsize=1)
def bundled_lips() -> Lips:
    """The lips of the bundled head."""
    return Lips.of(load_head())


def opening_mm(motion: Motion, head: Head | None = None) -> np.ndarray:
    """Gap of the inner lips, float32 [T], millimetres above its value at rest, never negative.

    The motion's expression columns are the head's channels, in their order; None: the bundled
    head's. Raises BadHead if the head's lips are unknown.
    """
    return (bundled_lips() if head is None else Lips.of(head)).opening(motion).astype(np.float32)


def width_mm(motion: Motion, head: Head | None = None) -> np.ndarray:
    """Distance of the mouth's corners, float32 [T], millimetres; the rest as opening_mm."""
    lips = bundled_lips() if head is None else Lips.of(head)
    return lips.gap_and_width(motion)[1].astype(np.float32)


PARTED_MM = 3.0  # wider gaps are not constrained
_ROUNDS = 6  # Newton steps for the jaw's angle: the gap is almost linear in it
_HALVINGS = 10

# A bilabial as speakers make it: lips fall together faster than they part (Löfqvist and Gracco
# 1997), seconds.
ONSET, SHUT, RELEASE = 0.10, 0.05, 0.13
# seconds by which they are tightest before the middle of its sound: the mean of 46 closures of
# filmed speakers (those of the fit split; tests/core/test_transcript.py measures it on the others)
AHEAD = 0.025
# share of its opening that the jaw gives up for a bilabial; the lower lip does the rest
_JAW_RISES = 0.45
_OPEN_MM = 4.0  # opening at which a mouth has left a closure
_FURTHEST = 0.24  # seconds to either side of a removed closure that are searched for an open mouth
_LEAST_MM = 1.5  # least opening where a closure was removed


def preserve_contacts(
    before: Motion, after: Motion, channels: Sequence[str], gap: np.ndarray | None = None
) -> Motion:
    """A changed motion whose lips touch wherever they did, all along the mouth, and intersect no
    further.

    before, after: motions [T] of one length and the same channels.  gap: [T, P] millimetres, in
    place of before's.  Lip openers are reduced, mouthClose brings the middle to the gap it had, the
    jaw follows where that is not enough; where a gap remains, the mouth is as before. Frames whose
    lips are 3 mm apart or more are left alone.
    """
    lips, names = bundled_lips(), list(channels)
    was = lips.gap(before, channels) if gap is None else gap
    middle = was[:, lips.middle]
    # 1 where lips touch, eased to 0 where they are well apart
    share = 1 - ease(middle, TOUCH_MM, PARTED_MM)
    expression, jaw = after.expression.astype(np.float64), after.jaw.astype(np.float64)
    for column, name in enumerate(names):
        if name.startswith(LIP_OPENERS):
            less = np.minimum(expression[:, column], before.expression[:, column])
            expression[:, column] += share * (less - expression[:, column])
    opened_less = replace(after, expression=expression, jaw=jaw)
    is_now = lips.middle_gap(opened_less, names)
    wanted = np.maximum(is_now + share * (middle - is_now), np.minimum(middle, 0.0))
    met = set_gap(lips, opened_less, names, wanted, before)
    return _restore_contacts(lips, before, met, names, was, share)


def set_gap(
    lips: Lips,
    motion: Motion,
    names: Sequence[str],
    wanted: np.ndarray,
    before: Motion | None = None,
) -> Motion:
    """The motion with a gap [T] in millimetres at the lips' middle; frames that already have it are
    unchanged."""
    names = list(names)
    expression, jaw = motion.expression.astype(np.float64), motion.jaw.astype(np.float64)
    off = wanted - lips.middle_gap(motion, names)
    if LIP_CLOSE in names:
        column = names.index(LIP_CLOSE)
        most = np.maximum(
            1.0, expression[:, column] if before is None else before.expression[:, column]
        )
        needed = expression[:, column] + off / lips.slope(LIP_CLOSE, jaw)
        needed = np.clip(needed, np.minimum(expression[:, column], 0.0), np.maximum(most, 0.0))
        expression[:, column] = np.where(np.abs(off) > 1e-6, needed, expression[:, column])
    result = replace(motion, expression=expression, jaw=jaw)
    rows = np.flatnonzero(np.abs(wanted - lips.middle_gap(result, names)) > 0.02)
    if not len(rows):
        return result
    # The lip alone does not reach: the jaw goes the rest of the way.
    part = Motion(expression[rows], jaw[rows].copy(), fps=motion.fps)
    step = 1e-3
    for _ in range(_ROUNDS):
        is_now = lips.middle_gap(part, names)
        opened = replace(part, jaw=part.jaw + [step, 0.0, 0.0])
        slope = (lips.middle_gap(opened, names) - is_now) / step
        angle = part.jaw[:, 0] + (wanted[rows] - is_now) / np.where(np.abs(slope) > 1.0, slope, 1.0)
        part.jaw[:, 0] = np.maximum(angle, np.minimum(jaw[rows, 0], 0.0))
    jaw[rows] = part.jaw
    return replace(motion, expression=expression, jaw=jaw)


def _restore_contacts(
    lips: Lips, before: Motion, after: Motion, names: list[str], was: np.ndarray, share: np.ndarray
) -> Motion:
    """After, its mouth moved back towards before as far as needed on frames whose lips would part
    somewhere."""
    touched = (was <= TOUCH_MM) & (share >= 1.0)[:, None]

    def is_parted(motion, rows):
        return (touched[rows] & (lips.gap(motion, names) > np.maximum(TOUCH_MM, was[rows]))).any(
            axis=1
        )

    everything = np.arange(after.frames)
    rows = np.flatnonzero(is_parted(after, everything))
    if not len(rows):
        return after
    mouth = in_group(names, MOUTH)
    steps = np.ones(after.frames)

    def stays_shut(between: np.ndarray) -> np.ndarray:
        return ~is_parted(_blend_back(before, after, mouth, between, rows), rows)

    steps[rows], _ = halve(stays_shut, np.zeros(len(rows)), np.ones(len(rows)), _HALVINGS)
    # Neighbours are also moved slightly, so that no single frame jumps; each gets at least its
    # required amount.
    padded = np.pad(steps, 2, mode="edge")
    least = np.min([padded[i : i + len(steps) + 2] for i in range(3)], axis=0)
    eased = np.mean([least[i : i + len(steps)] for i in range(3)], axis=0)
    return _blend_back(before, after, mouth, np.minimum(eased, steps), everything)


def _blend_back(
    before: Motion, after: Motion, mouth: np.ndarray, share: np.ndarray, rows: np.ndarray
) -> Motion:
    """Frames `rows` of after, their mouth moved towards before's: share 1 is after, 0 before."""
    expression, jaw = after.expression[rows].astype(np.float64), after.jaw[rows].astype(np.float64)
    expression[:, mouth] += (1 - share)[:, None] * (
        before.expression[rows][:, mouth] - expression[:, mouth]
    )
    jaw += (1 - share)[:, None] * (before.jaw[rows] - jaw)
    head, eyes = (None if part is None else part[rows] for part in (after.head, after.eyes))
    return Motion(expression, jaw, head, eyes, after.fps)


# ---- by hand


def close(motion: Motion, channels: Sequence[str], frame: float) -> tuple[Motion, slice]:
    """The motion with the lips closed at `frame` (an index, with fraction) as for m, b or p, and
    the changed frames.

    The frame nearest to `frame` is always shut, even at low frame rates. Frames outside the slice
    are bit-identical.
    """
    lips, names = bundled_lips(), list(channels)
    away = (np.arange(motion.frames) - frame) / motion.fps
    # Lips move on a straight line in the middle and are slow at both ends.
    shut = 1 - ease(np.maximum((-away - SHUT / 2) / ONSET, (away - SHUT / 2) / RELEASE))
    shut[np.argmin(np.abs(away))] = 1.0
    found = np.flatnonzero(shut > 0)
    rows = slice(int(found[0]), int(found[-1]) + 1)
    part, u = motion.part(rows), shut[rows]
    expression, jaw = part.expression.astype(np.float64), part.jaw.astype(np.float64)
    wanted = (1 - u) * lips.middle_gap(part, names)
    press_together(expression, names, u)
    jaw[:, 0] *= 1 - _JAW_RISES * u
    result = set_gap(lips, Motion(expression, jaw, part.head, part.eyes, motion.fps), names, wanted)
    return _with_rows(motion, result, rows), rows


ROUND_MM, _ROUNDS_IN, _ROUNDS_OUT = 6.0, 0.12, 0.14  # narrower than at rest; seconds
_PUCKER_STEP = 0.05


def round_lips(motion: Motion, channels: Sequence[str], frame: float) -> tuple[Motion, slice]:
    """The motion with the lips round at `frame` as for “oo”, by mouthPucker, and the changed
    frames; lips are as far apart as before."""
    lips, names = bundled_lips(), list(channels)
    away = (np.arange(motion.frames) - frame) / motion.fps
    share = ease(1 - np.where(away < 0, -away / _ROUNDS_IN, away / _ROUNDS_OUT))
    share[np.argmin(np.abs(away))] = 1.0
    found = np.flatnonzero(share > 0)
    rows = slice(int(found[0]), int(found[-1]) + 1)
    part, u = motion.part(rows), share[rows]
    at, pucker = int(u.argmax()), names.index("mouthPucker")
    at_rest = 1e3 * float(np.linalg.norm(np.diff(lips.corners.rest, axis=0)))
    expression = part.expression.astype(np.float64)

    def made() -> Motion:
        return Motion(expression, part.jaw, part.head, part.eyes, motion.fps)

    while expression[at, pucker] < 1 and at_rest - _width(lips, made(), names)[at] < ROUND_MM:
        expression[:, pucker] = np.minimum(1, expression[:, pucker] + _PUCKER_STEP * u)
    result = set_gap(lips, made(), names, lips.middle_gap(part, names))
    return _with_rows(motion, result, rows), rows


def _width(lips: Lips, motion: Motion, names: list[str]) -> np.ndarray:
    """Width of the mouth [T], mm."""
    ordered = replace(motion, expression=lips.coefficients(motion, names))
    return lips.gap_and_width(ordered)[1]


def part_lips(motion: Motion, channels: Sequence[str], frame: float) -> tuple[Motion, slice]:
    """The motion without the closure at `frame` or next to it: the mouth stays open, as around
    it.

    Returns the motion and the changed frames; the others are bit for bit what they were. Raises
    BadRequest if no lips close, or if they stay closed too long for a speech sound.
    """
    lips, names = bundled_lips(), list(channels)
    gap = lips.middle_gap(motion, channels)
    left, right = _closure_at(gap, frame, motion.fps)
    rows = slice(left + 1, right)
    part = motion.part(rows)
    share = smoothstep((np.arange(left + 1, right) - left) / (right - left))[:, None]
    expression, mouth = part.expression.astype(np.float64), in_group(names, MOUTH)
    ends = motion.expression[[left, right]][:, mouth].astype(np.float64)
    expression[:, mouth] = ends[0] + share * (ends[1] - ends[0])
    jaw = motion.jaw[left] + share * (motion.jaw[right] - motion.jaw[left])
    result = Motion(expression, jaw, part.head, part.eyes, motion.fps)
    is_now = lips.middle_gap(result, names)
    result = set_gap(lips, result, names, np.maximum(is_now, min(_LEAST_MM, gap[left], gap[right])))
    return _with_rows(motion, result, rows), rows


def _closure_at(gap: np.ndarray, frame: float, fps: float) -> tuple[int, int]:
    """Frames on either side of the closure at `frame` of a gap [T] in mm on which the mouth is
    open again.

    Raises BadRequest if no lips close, or if they stay closed too long for a speech sound.
    """
    reach, furthest = max(1, round(0.1 * fps)), max(2, round(_FURTHEST * fps))
    closed = np.flatnonzero(
        (np.abs(np.arange(len(gap)) - round(frame)) <= reach) & (gap < PARTED_MM / 2)
    )
    if not len(closed):
        raise BadRequest(
            "The lips do not close at this frame: go to the frame of the closure that should not "
            "be there"
        )
    place = int(closed[np.argmin(np.abs(closed - frame))])
    left = place - _reopens_after(gap[max(0, place - furthest) : place + 1][::-1])
    right = place + _reopens_after(gap[place : place + furthest + 1])
    if min(gap[left], gap[right]) < PARTED_MM / 2:
        raise BadRequest(
            "The lips rest together around this frame, they do not close for a sound: there is "
            "nothing to open"
        )
    return left, right


def _reopens_after(gap: np.ndarray) -> int:
    """Frames from a closure, where a gap [T] in mm begins, to where the mouth is well open, or as
    open as it gets."""
    wide = np.flatnonzero(gap >= _OPEN_MM)
    return int(wide[0] if len(wide) else gap.argmax())


def _with_rows(motion: Motion, part: Motion, rows: slice) -> Motion:
    """The motion with the expression and jaw of `part` on the frames `rows`."""
    expression, jaw = motion.expression.astype(np.float64), motion.jaw.astype(np.float64)
    expression[rows], jaw[rows] = part.expression, part.jaw
    return replace(motion, expression=expression, jaw=jaw)
