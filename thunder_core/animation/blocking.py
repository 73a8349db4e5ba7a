# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks a rig's values: few poses of the mouth, as an animator sets them before working out what
is between them, with all curves keyed on the same frames; numpy only.

A sentence, SENTENCE seconds in which the mouth moves, gets 8 to 14 poses. Where lips meet is always
one, and where they are widest between; each other one is where the mouth is furthest from the eased
way between its neighbours. A pose that the take keeps is held from its first frame to its last.
Breakdowns follow on frames on which the lips or the rest of the face would still be far off: a
blink, a nod. Values are those of the take, so that a hold drifts as the take does, and curves are
level where they turn, so that each hold is eased into and out of.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np

from ..face import displacement
from ..face.displacement import group_distances, in_pieces, RigMeter, UNSEEN_MM
from ..face.lips import CLOSED_MM
from ..filters import split_at_gaps
from ..progress import rescale
from .keys import fit_slopes, Keys, PoseKeys, SAMPLES
from .poses import Column, TOGETHER
from .posing import blink_frames, lids_shut, PoseFit

SENTENCE = 3.5  # seconds
ACCURACIES, POSES = (0.3, 0.6, 1.2), (13.0, 11.0, 9.0)  # mm, and mouth poses of a sentence
_STILL_MM = 8.0  # a second: a mouth that moves less rests
_PAUSE = 0.2  # seconds of rest that end a sentence
_SHORTEST_HOLD = 3  # frames
_PARTED_MM = 1.5  # lips that open so far between two closures are a pose
# in accuracies: how far a pose drifts while it is held, and how far lips, face, head and eyes are
# off (in what each of them is allowed) without a breakdown; twice that where poses are held until
# the next
_HELD, _OFF = 1.5, np.array([6.0, 6.0, 5.0, 5.0])
# how far lids may be off without a breakdown: eyes that shut slowly before a blink look sleepy
_LIDS = 0.25


def fit(
    rig: RigMeter,
    values: np.ndarray,
    moved: np.ndarray,
    of_tracks: list[str],
    error: float,
    fps: float,
    step: int = 1,
) -> Generator[float, None, PoseFit]:
    """Block a rig's values [S, tracks] at keys.times_of of the frames. Returns the PoseFit.

    moved [tracks]: the tracks that get keys.  of_tracks: the regions of all.  error: the accuracy,
    mm.  fps: of the scene.  step: frames for which each value is held; keys are then to be
    constant.
    """
    pull, per_unit = yield from rescale(rig.pulls(), 0.0, 0.1)
    every, is_held = SAMPLES * step, step > 1
    error = min(max(error, ACCURACIES[0]), ACCURACIES[-1])
    limits = displacement.ALLOWED * _OFF * error * (2.0 if is_held else 1.0)
    poses = values[::every]
    gap = yield from rescale(rig.lip_gap(poses), 0.1, 0.2)
    is_mouth = moved & np.isin(of_tracks, TOGETHER[0])
    mouth = MouthFrames(
        poses[:, is_mouth],
        pull[is_mouth][:, : displacement.face_meter().lips],
        # lips that are not committed neither meet nor part
        gap if is_mouth.any() else np.full_like(gap, CLOSED_MM),
        fps / step,
        is_held,
        error,
    )
    found = yield from rescale(mouth.key(), 0.2, 0.5)
    used = sorted({*found, *(yield from rescale(blink_frames(rig, poses), 0.5, 0.5)).tolist()})
    shut = yield from rescale(lids_shut(rig, poses), 0.5, 0.5)
    at = 0.5
    while True:  # each round has more frames
        at = min(0.9, at + 0.05)
        keys, off = yield from rescale(_key(values, moved, used, step), at, at)
        closed, more = np.flatnonzero(mouth.closed), set()
        if len(closed):
            shown = (poses + off[::every])[closed]
            apart = (yield from rescale(rig.lip_gap(shown), at, at)) >= CLOSED_MM
            more = set(closed[apart].tolist())
        measuring = _far_off(rig, poses, off[::every])
        far = (yield from rescale(measuring, at, at)) / limits
        lids = yield from rescale(lids_shut(rig, poses + off[::every]), at, at)
        if not is_held:  # on twos lids stay where they are until the next pose
            far = np.column_stack([far, np.abs(lids - shut) / _LIDS])
        for first, last in zip(used[:-1], used[1:]):
            if far[first : last + 1].max() > 1.0:
                more.add(first + int(far[first : last + 1].max(axis=1).argmax()))
        if more <= set(used):
            break
        used = sorted({*used, *more})
    every = SAMPLES if rig.driver.is_slow else SAMPLES // 2  # lips are measured on half frames too
    far = yield from rescale(_far_off(rig, values[::every], off[::every]), 0.9, 1.0)
    curves: list[PoseKeys | None] = [None] * len(moved)
    for place, key in enumerate(keys):
        if key is not None and np.ptp(key.value) * per_unit[place].max() > UNSEEN_MM:
            curves[place] = PoseKeys(key.index // SAMPLES, key.value, key.slope, key.slope)
    columns = (tuple(mouth.columns(used, step)),) * len(TOGETHER)
    return PoseFit(tuple(curves), columns, float(far[:, 0].max()), per_unit)


def _far_off(
    rig: RigMeter, values: np.ndarray, off: np.ndarray
) -> Generator[float, None, np.ndarray]:
    """Returns how far errors [T, tracks] in values move lips, face, head and eyes, [T, 4] mm."""
    return (
        yield from in_pieces(
            len(values), lambda rows: group_distances(rig.displacements(values[rows], off[rows]))
        )
    )


def _key(
    values: np.ndarray, moved: np.ndarray, used: list[int], step: int
) -> Generator[float, None, tuple[list[Keys | None], np.ndarray]]:
    """Key the moved tracks of values [S, tracks] on the poses `used`. Returns the keys of each
    track, None of others, and how far they are off at each sample [S, tracks]."""
    keys: list[Keys | None] = [None] * len(moved)
    off, index = np.zeros_like(values), np.array(used) * SAMPLES * step
    times, alike = np.arange(len(values)) / SAMPLES, np.ones(len(values))
    held = index[np.searchsorted(index, np.arange(len(values)), side="right") - 1]
    for place in np.flatnonzero(moved):
        curve = values[:, place]
        if step > 1:
            keys[place] = Keys(index, curve[index], np.zeros(len(index)))
            off[:, place] = curve[held] - curve
        else:
            keys[place], left = fit_slopes(times, curve, index, alike, (True, True))
            off[:, place] = -left
        yield place / len(moved)
    return keys, off


@dataclass
class MouthFrames:
    """The mouth over T frames, or held poses, and the frames of its poses.

    values [T, n]: of its tracks.  pull [n, lips, 3]: mm that a unit of each moves each point.
    gap [T]: of the lips, mm.  fps: of these frames.  is_held: whether a pose stays until the
    next.  error: the accuracy, mm.
    """

    values: np.ndarray
    pull: np.ndarray
    gap: np.ndarray
    fps: float
    is_held: bool
    error: float

    def __post_init__(self):
        self.flat = self.pull.reshape(len(self.pull), 3 * self.pull.shape[1])
        # as far as lips move on average, in fewer numbers
        sizes, axes = np.linalg.eigh(self.flat @ self.flat.T / max(1, self.pull.shape[1]))
        self.places = self.values @ (axes * np.sqrt(sizes.clip(0.0)))
        self.closed = self.gap < CLOSED_MM
        self.stay = {0, len(self.values) - 1}  # frames that are poses, come what may
        for run in split_at_gaps(np.flatnonzero(self.closed)):
            self.stay |= {int(run[0]), int(run[-1])}
        for run in split_at_gaps(np.flatnonzero(~self.closed)):
            widest = int(run[self.gap[run].argmax()])
            if self.gap[widest] > _PARTED_MM:
                self.stay.add(widest)

    def is_same(self, first: int, last: int) -> bool:
        """Whether two frames show the same pose, and all between them do."""
        if self.closed[first : last + 1].all():
            return True
        off = (self.values[first : last + 1] - self.values[first]) @ self.flat
        far = np.linalg.norm(off.reshape(len(off), -1, 3), axis=2)
        return bool(far.max(initial=0.0) <= _HELD * self.error)

    def key(self) -> Generator[float, None, set[int]]:
        """Choose the frames of poses, of a hold the first and the last. Yields progress; returns
        them."""
        speed = np.linalg.norm(np.diff(self.places, axis=0), axis=1) * self.fps
        sentences = split_at_gaps(
            np.flatnonzero(speed > _STILL_MM), max(1, round(_PAUSE * self.fps))
        )
        self.stay |= {int(end) for run in sentences for end in (run[0], run[-1] + 1)}
        most, found = np.interp(self.error, ACCURACIES, POSES) / SENTENCE / self.fps, set(self.stay)
        for number, run in enumerate(sentences):
            steps = self._sentence(int(run[0]), int(run[-1]) + 1, max(2, round(most * len(run))))
            found |= yield from rescale(steps, number / len(sentences), number / len(sentences))
        if not self.is_held:
            found |= self._holds(sorted(found))
        self.poses = {end for pose in self.in_poses(found) for end in (pose[0], pose[-1])}
        return self.poses

    def in_poses(self, frames: Iterable[int]) -> list[list[int]]:
        """Frames, divided into those that show the same."""
        poses: list[list[int]] = []
        for frame in sorted(frames):
            if poses and self.is_same(poses[-1][0], frame):
                poses[-1].append(frame)
            else:
                poses.append([frame])
        return poses

    def _sentence(self, first: int, last: int, wanted: int) -> Generator[float, None, set[int]]:
        """Returns the frames of so many poses in a sentence: those that stay, then always the one
        that is furthest from the eased way between the others."""
        frames, times = sorted(self.stay & set(range(first, last + 1))), np.arange(first, last + 1)
        while len(self.in_poses(frames)) < wanted:
            index = np.array(frames)
            place = np.clip(np.searchsorted(index, times, side="right") - 1, 0, len(index) - 2)
            start, end = index[place], index[place + 1]
            part = (times - start) / (end - start)
            eased = np.floor(part) if self.is_held else part * part * (3.0 - 2.0 * part)
            off = self.places[times] - self.places[start]
            off -= eased[:, None] * (self.places[end] - self.places[start])
            frame = first + int(np.linalg.norm(off, axis=1).argmax())
            if frame in frames:
                break
            frames = sorted([*frames, frame])
            yield 0.0
        return set(frames)

    def _holds(self, frames: list[int]) -> set[int]:
        """The first and the last frame on which each pose stays, up to half the way to the next
        ones."""
        ends: set[int] = set()
        for before, frame, after in zip(frames[:-2], frames[1:-1], frames[2:]):
            low = high = frame
            while low > (before + frame + 1) // 2 and self.is_same(low - 1, frame):
                low -= 1
            while high < (frame + after) // 2 and self.is_same(frame, high + 1):
                high += 1
            if high - low >= _SHORTEST_HOLD:
                ends |= {low, high}
        return ends

    def columns(self, used: list[int], step: int):
        """The purpose of each key frame."""
        numbers = {
            frame: (number, len(pose) > 1)
            for number, pose in enumerate(self.in_poses(set(used) & self.poses))
            for frame in pose
        }
        for frame in used:
            number, is_hold = numbers.get(frame, (-1, False))
            kind = "CLOSURE" if self.closed[frame] else "HOLD" if is_hold else "EXTREME"
            yield Column(frame * step, kind if number >= 0 else "BREAKDOWN", number)
