# SPDX-License-Identifier: GPL-3.0-or-later
"""Preserves lip contacts through any change, and adds and removes them by hand; numpy only."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import BadRequest
from ..filters import smoothstep
from ..types import in_group, LIP_CLOSE, LIP_OPENERS, Motion, MOUTH
from .lips import bundled_lips, Lips, press_together, TOUCH_MM

PARTED_MM = 3.0  # wider gaps are not constrained
_ROUNDS = 6  # Newton steps for the jaw's angle: the gap is almost linear in it
_HALVINGS = 10

# A bilabial as speakers make it: lips fall together faster than they part (Löfqvist and Gracco
# 1997), seconds.
ONSET, SHUT, RELEASE = 0.10, 0.05, 0.13
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
    share = 1 - smoothstep(np.clip((middle - TOUCH_MM) / (PARTED_MM - TOUCH_MM), 0.0, 1.0))
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
    low, high = np.zeros(len(rows)), np.ones(len(rows))
    for _ in range(_HALVINGS):
        between = (low + high) / 2
        open_still = is_parted(_blend_back(before, after, mouth, between, rows), rows)
        low, high = np.where(open_still, low, between), np.where(open_still, between, high)
    steps[rows] = low
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
    onset = np.clip((-away - SHUT / 2) / ONSET, 0.0, 1.0)
    release = np.clip((away - SHUT / 2) / RELEASE, 0.0, 1.0)
    x = np.maximum(onset, release)
    # Lips move on a straight line in the middle and are slow at both ends.
    shut = 1 - smoothstep(x)
    shut[np.argmin(np.abs(away))] = 1.0
    rows = np.flatnonzero(shut > 0)
    rows = slice(int(rows[0]), int(rows[-1]) + 1)
    part, u = motion.part(rows), shut[rows]
    expression, jaw = part.expression.astype(np.float64), part.jaw.astype(np.float64)
    wanted = (1 - u) * lips.middle_gap(part, names)
    press_together(expression, names, u)
    jaw[:, 0] *= 1 - _JAW_RISES * u
    result = set_gap(lips, Motion(expression, jaw, part.head, part.eyes, motion.fps), names, wanted)
    return _with_rows(motion, result, rows), rows


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
    ease = smoothstep((np.arange(left + 1, right) - left) / (right - left))[:, None]
    expression, mouth = part.expression.astype(np.float64), in_group(names, MOUTH)
    ends = motion.expression[[left, right]][:, mouth].astype(np.float64)
    expression[:, mouth] = ends[0] + ease * (ends[1] - ends[0])
    jaw = motion.jaw[left] + ease * (motion.jaw[right] - motion.jaw[left])
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
