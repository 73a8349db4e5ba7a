# SPDX-License-Identifier: GPL-3.0-or-later
"""Directs a take's eyes at a target, keeps the take's glances away from it, and lets the head
follow a target far to one side."""

from dataclasses import dataclass

import numpy as np

from ..rotation import matrix_to_rotvec, rotvec_to_matrix

# largest turn of the eyes, vertical and horizontal; farther targets are looked at as far as
# possible
FURTHEST = np.radians([25.0, 35.0])
_SHIFT = np.radians(2.0)  # least turn from frame to frame that counts as a gaze shift
_AWAY = np.radians(3.0)  # least distance from the resting gaze at which a gaze leaves its target
_KEPT_MOVEMENT = 0.25  # share of its small movement that a gaze keeps while on a target
# kernel that smooths gaze shifts: over a frame before and one after
_SMOOTHING = np.array([0.25, 0.5, 0.25])
EYES_ALONE = np.radians(15.0)  # targets beyond this turn the head too
# largest turn of the head towards a target, vertical and horizontal
_FURTHEST_HEAD = np.radians([20.0, 50.0])
# iterations, since a head that turns towards the target also moves the eyes
_CORRECTIONS = 3
_HEAD_SMOOTHING = 19  # length of the head's smoothing, frames


def directions(
    points: np.ndarray, neck: np.ndarray, joint: np.ndarray, eyes: np.ndarray
) -> np.ndarray:
    """Rotations of eyes that look at points, radians [T, 2]: down (about X) and to the head's left
    (about Y).

    points: [T, 3] in the axes of the head at rest (X to its left, Y up, Z out of the face).  neck:
    rotation vectors [T, 3] of its joint.  joint, eyes: positions at rest of the neck's joint and of
    the middle between the eyes [3], in the same units.
    """
    view = np.einsum("tji,tj->ti", rotvec_to_matrix(neck), points - joint) + joint - eyes
    return np.stack(
        [
            -np.arctan2(view[:, 1], np.hypot(view[:, 0], view[:, 2])),
            np.arctan2(view[:, 0], view[:, 2]),
        ],
        axis=1,
    )


def turn_head(
    points: np.ndarray, sampled: np.ndarray, joint: np.ndarray, eyes: np.ndarray, share: float
) -> np.ndarray:
    """Rotation vectors [T, 3] of a neck that turns by a share (0 … 1) of a target's angle beyond
    EYES_ALONE, and farther where eyes would not reach the target, added to its `sampled` movement
    [T, 3]. If the target moves or jumps, the head follows smoothly.

    points, joint, eyes: as for `directions`.
    """
    if share <= 0:
        return np.asarray(sampled)
    movement = rotvec_to_matrix(sampled)
    angles = np.clip(
        share * _excess(directions(points, np.zeros_like(sampled), joint, eyes), EYES_ALONE),
        -_FURTHEST_HEAD,
        _FURTHEST_HEAD,
    )
    for _ in range(_CORRECTIONS):
        left = directions(points, matrix_to_rotvec(_turn(angles) @ movement), joint, eyes)
        angles = np.clip(angles + _excess(left, FURTHEST), -_FURTHEST_HEAD, _FURTHEST_HEAD)
    kernel = np.hanning(_HEAD_SMOOTHING + 2)[1:-1]
    padded = np.pad(angles, ((_HEAD_SMOOTHING // 2, _HEAD_SMOOTHING // 2), (0, 0)), mode="edge")
    angles = np.stack(
        [np.convolve(column, kernel / kernel.sum(), mode="valid") for column in padded.T], axis=1
    )
    return matrix_to_rotvec(_turn(angles) @ movement).astype(np.float32)


def _excess(angles: np.ndarray, limit) -> np.ndarray:
    """The part of angles that is beyond a limit on either side."""
    return np.sign(angles) * np.maximum(np.abs(angles) - limit, 0.0)


def _turn(angles: np.ndarray) -> np.ndarray:
    """Rotations [T, 3, 3] down (about X) and then to the head's left (about Y) by angles [T, 2]."""
    about = np.zeros((2, len(angles), 3))
    about[0, :, 0], about[1, :, 1] = angles[:, 0], angles[:, 1]
    down, aside = rotvec_to_matrix(about)
    return aside @ down


def look_at(sampled: np.ndarray, neck: np.ndarray, wanted: np.ndarray, leaves: float) -> np.ndarray:
    """Rotation vectors [T, 3] of eyes that look at a target, and away from it where the sampled
    gaze goes furthest.

    sampled, neck: the take's eyes and head, rotation vectors [T, 3].  wanted: as `directions`
    returns.  leaves: 0 … 1, the largest share of the time that they look elsewhere; the eyes leave
    and return with the take's gaze shifts.
    """
    # in the world, where eyes that compensate for the head's rotation do not shift
    gaze = (np.asarray(sampled, np.float64) + neck)[:, :2]
    away, offset, left = gaze - np.median(gaze, axis=0), np.empty_like(gaze), leaves * len(gaze)
    starts = np.flatnonzero(np.linalg.norm(np.diff(gaze, axis=0), axis=1) > _SHIFT) + 1
    bounds = [0, *starts, len(gaze)]
    fixations = [slice(a, b) for a, b in zip(bounds, bounds[1:])]
    far = {part.start: float(np.linalg.norm(away[part].mean(axis=0))) for part in fixations}
    for part in sorted(fixations, key=lambda part: -far[part.start]):
        length = part.stop - part.start
        if far[part.start] >= _AWAY and length <= left:
            offset[part], left = away[part], left - length
        else:
            offset[part] = _KEPT_MOVEMENT * (gaze[part] - gaze[part].mean(axis=0))
    padded = np.pad(offset, ((1, 1), (0, 0)), mode="edge")
    offset = sum(
        weight * padded[shift : shift + len(offset)] for shift, weight in enumerate(_SMOOTHING)
    )
    angles = np.clip(np.clip(wanted, -FURTHEST, FURTHEST) + offset, -FURTHEST, FURTHEST)
    return matrix_to_rotvec(_turn(angles)).astype(np.float32)


@dataclass(frozen=True)
class GazeTarget:
    """The target of a performance's eyes, and how far its head turns towards it.

    points: float32 [T, 3], the target in the axes of the head at rest.  joint, eyes: [3], as for
    `directions`.
    leaves: as for `look_at`.  own: float32 [T, 3], the eyes as they were sampled.  follows: share
    as for `turn_head`.  own_head: float32 [T, 3], the head as it was sampled; None: as the
    performance has it, and it does not follow.
    """

    points: np.ndarray
    joint: np.ndarray
    eyes: np.ndarray
    leaves: float
    own: np.ndarray
    follows: float = 0.0
    own_head: np.ndarray | None = None

    def turn_head(self) -> np.ndarray | None:
        """The head as it follows the target, rotation vectors [T, 3]; None if it does not."""
        return (
            None
            if self.own_head is None
            else turn_head(self.points, self.own_head, self.joint, self.eyes, self.follows)
        )

    def turn_eyes(self, neck: np.ndarray | None) -> np.ndarray:
        """The eyes as they look, rotation vectors [T, 3]. neck: of the performance, None for a
        still head."""
        neck = np.zeros_like(self.own) if neck is None else neck
        return look_at(
            self.own, neck, directions(self.points, neck, self.joint, self.eyes), self.leaves
        )
