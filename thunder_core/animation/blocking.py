# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks a rig's values: few poses of the mouth, as an animator sets them before working out what
is between them, with all curves keyed on the same frames; numpy only.

A sentence, SENTENCE seconds in which the mouth moves, gets 8 to 14 poses. Where lips meet is always
one, where the lower one is under the teeth, where they are widest open between, and where they are
narrowest; each other one is where the mouth is furthest from its neighbours, or from the eased way
between them. Values are those of the take.

A pose is held until the next one (keys are constant, a column each), so that it stays what it is
wherever its column is moved. Or poses flow into each other: one that the take keeps is held from
its first frame to its last, curves are level where they turn, and breakdowns follow on frames on
which the lips or the rest of the face would still be far off.

A curve has a key only in columns that would look different without it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..face.moving import displacement
from ..face.moving.displacement import group_distances, in_pieces, RigMeter, UNSEEN_MM
from ..filters import split_at_gaps
from ..progress import rescale
from ..types import BLINKS, CLOSED_MM
from .keys import fit_slopes, PoseKeys, SAMPLES
from .poses import Column, TOGETHER
from .posing import BLINK, blink_frames, mean_of, PoseFit

SENTENCE = 3.5  # seconds
ACCURACIES, POSES = (0.3, 0.6, 1.2), (13.0, 11.0, 9.0)  # mm, and mouth poses of a sentence
_STILL_MM = 8.0  # a second: a mouth that moves less rests
_PAUSE = 0.2  # seconds of rest that end a sentence
_SHORTEST_HOLD = 3  # frames
_PARTED_MM = 1.5  # lips that open so far between two closures are a pose
# lips that are so much narrower than before and behind are a pose, as on oo and w, by accuracy
_ROUND_MM = (3.0, 3.0, 6.0)
# in accuracies: how far a pose drifts while it is held, and how far lips, face, head and eyes are
# off (in what each of them is allowed) without a breakdown; twice that where poses are held until
# the next
_HELD, _OFF = 1.5, np.array([6.0, 6.0, 5.0, 5.0])
# how far lids may be off without a breakdown: eyes that shut slowly before a blink look sleepy
_LIDS = 0.25
_NEEDED = 1.0  # share of the accuracy by which a curve must move the face to get a key
_LONGEST = 0.3  # seconds for which the face may be far off a pose that is held
_ROLL, _BITTEN = ("mouthRollLower",), 0.3  # roll of the lower lip from which it is under the teeth


def fit(
    rig: RigMeter,
    values: np.ndarray,
    moved: np.ndarray,
    of_tracks: list[str],
    error: float,
    fps: float,
    step: int = 1,
    is_held: bool = True,
) -> Generator[float, None, PoseFit]:
    """Block a rig's values [S, tracks] at keys.times_of of the frames. Returns the PoseFit.

    moved [tracks]: the tracks that get keys.  of_tracks: the regions of all.  error: the accuracy,
    mm.  fps: of the scene.  step: frames for which each value is held.  is_held: whether each pose
    stays until the next one: keys are then to be constant.
    """
    pull, per_unit = yield from rescale(rig.pulls(), 0.0, 0.1)
    error = min(max(error, ACCURACIES[0]), ACCURACIES[-1])
    poses = values[:: SAMPLES * step]
    gap = yield from rescale(rig.lip_gap(poses), 0.1, 0.2)
    is_mouth = moved & np.isin(of_tracks, TOGETHER[0])
    mouth = MouthFrames(
        poses[:, is_mouth],
        pull[is_mouth][:, : displacement.face_meter().lips],
        # lips that are not committed neither meet nor part
        gap if is_mouth.any() else np.full_like(gap, CLOSED_MM),
        (yield from rescale(mean_of(rig, poses, _ROLL), 0.2, 0.2)),
        fps / step,
        is_held,
        error,
    )
    yield from rescale(mouth.key(), 0.2, 0.5)
    tracks = _Tracks(rig, values, moved, np.array(of_tracks), per_unit, error, step)
    keys, off, kinds = yield from rescale((_hold if is_held else _ease)(tracks, mouth), 0.5, 0.9)
    # what moves is measured on half frames too
    every = SAMPLES if is_held or rig.driver.is_slow else SAMPLES // 2
    far = yield from rescale(_far_off(rig, values[::every], off[::every]), 0.9, 1.0)
    curves: list[PoseKeys | None] = [None] * len(moved)
    for place, key in enumerate(keys):
        if key is not None and np.ptp(key.value) * per_unit[place].max() > UNSEEN_MM:
            curves[place] = replace(key, index=key.index // SAMPLES)
    return PoseFit(tuple(curves), (tuple(kinds),) * len(TOGETHER), float(far[:, 0].max()), per_unit)


@dataclass(frozen=True)
class _Tracks:
    """What `fit` gets, and per_unit [tracks, 4]: as of RigMeter.pulls."""

    rig: RigMeter
    values: np.ndarray
    moved: np.ndarray
    regions: np.ndarray
    per_unit: np.ndarray
    error: float
    step: int

    @property
    def poses(self) -> np.ndarray:
        """The values at the frames that may be keyed, [T, tracks]."""
        return self.values[:: SAMPLES * self.step]

    @property
    def limits(self) -> np.ndarray:
        """How far lips, face, head and eyes may be off, mm."""
        return displacement.ALLOWED * _OFF * self.error

    @property
    def shares(self) -> np.ndarray:
        """How far a unit of each track [tracks] moves the face, in accuracies."""
        return (self.per_unit / (displacement.ALLOWED * self.error)).max(axis=1)

    def needed(self, place: int, value: np.ndarray, exact: np.ndarray, is_held: bool) -> list[int]:
        """Which of a track's values [K] need a key: where it visibly leaves what it holds, at all
        on exact [K] ones, and the first and the last."""
        exact = exact & (self.regions[place] in TOGETHER[0])
        kept, rows, least = [0], value * self.shares[place], np.where(exact, 1e-6, _NEEDED)
        for k in range(1, len(rows) - 1):
            leaves = not is_held and abs(rows[k + 1] - rows[k]) > min(least[k : k + 2])
            if leaves or abs(rows[k] - rows[kept[-1]]) > least[k]:
                kept.append(k)
        return kept if len(rows) == 1 else [*kept, len(rows) - 1]


_Found = Generator[float, None, tuple[list[PoseKeys | None], np.ndarray, list[Column]]]


def _hold(tracks: _Tracks, mouth: MouthFrames) -> _Found:
    """Key poses that are held until the next one. Returns the keys of each track, None of others,
    how far they are off at each sample [S, tracks], and the purpose of each frame.

    A pose begins where the take is nearer to it than to the one before; lips shut and lids blink on
    their frames. Between the mouth's poses the rest of the face has poses of its own: for a blink,
    and where it would be far off for long.
    """
    rig, poses = tracks.rig, tracks.poses
    is_mouth, is_eyes = np.isin(tracks.regions, TOGETHER[0]), tracks.regions == "Eyes"
    shut = yield from mean_of(rig, poses, BLINKS)
    runs = split_at_gaps(np.flatnonzero(shut >= BLINK))
    while True:  # each round has more poses
        own, eyes = mouth.begun(), {}  # frame on which a pose begins → the one of mouth, of lids
        for run in runs:
            peak, after = int(run[shut[run].argmax()]), min(int(run[-1]) + 2, len(poses) - 1)
            for wanted, frames in (
                (peak, range(peak - 2, peak + 1)),
                (after, range(peak + 1, after)),
            ):
                at = next((frame for frame in frames if frame in own), wanted)
                own.setdefault(at, -1)
                eyes[at] = wanted
        begins = np.array(sorted(own))
        ends = np.append(begins[1:], len(poses))
        said = np.array([own[frame] for frame in begins.tolist()])
        said = said[np.maximum.accumulate(np.where(said >= 0, np.arange(len(said)), 0))]
        rows = poses[(begins + ends) // 2]
        rows[[0, -1]] = poses[[0, -1]]
        rows[:, is_mouth] = poses[said][:, is_mouth]
        rows[:, is_eyes] = poses[[eyes.get(frame, frame) for frame in begins.tolist()]][:, is_eyes]
        held = np.repeat(np.arange(len(begins)), ends - begins)
        far = (yield from _far_off(rig, poses, rows[held] - poses)) / (2.0 * tracks.limits)
        far = far.max(axis=1)
        more = {
            int(a + far[a:b].argmax())
            for a, b in zip(begins, ends)
            if b - a > mouth.fps * _LONGEST and far[a:b].max() > 1.0
        } - mouth.poses
        if not more:
            break
        mouth.poses |= more
    keys: list[PoseKeys | None] = [None] * len(tracks.moved)
    for place in np.flatnonzero(tracks.moved).tolist():
        kept = tracks.needed(place, rows[:, place], mouth.closed[said], True)
        index, level = begins[kept] * tracks.step * SAMPLES, np.zeros(len(kept))
        keys[place] = PoseKeys(index, rows[kept, place], level, level)
        rows[:, place] = np.repeat(rows[kept, place], np.diff([*kept, len(rows)]))
        yield 0.9
    shown = np.repeat(rows[held], SAMPLES * tracks.step, axis=0)[: len(tracks.values)]
    kinds = [
        Column(frame * tracks.step, kind, number if own[frame] >= 0 else -1)
        for number, (frame, kind) in enumerate(
            zip(begins.tolist(), np.where(mouth.closed[said], "CLOSURE", "EXTREME").tolist())
        )
    ]
    return keys, shown - tracks.values, kinds


def _ease(tracks: _Tracks, mouth: MouthFrames) -> _Found:
    """The same with poses that are eased into and out of, and with breakdowns between them."""
    rig, poses = tracks.rig, tracks.poses
    shut = yield from mean_of(rig, poses, BLINKS)
    used = sorted({*mouth.poses, *(yield from blink_frames(rig, poses)).tolist()})
    while True:  # each round has more frames
        keys, off = yield from rescale(_slopes(tracks, used, mouth), 0.5, 0.5)
        closed, more = np.flatnonzero(mouth.closed), set()
        if len(closed):
            shown = (poses + off[::SAMPLES])[closed]
            apart = (yield from rescale(rig.lip_gap(shown), 0.5, 0.5)) >= CLOSED_MM
            more = set(closed[apart].tolist())
        measuring = _far_off(rig, poses, off[::SAMPLES])
        far = (yield from rescale(measuring, 0.5, 0.5)) / tracks.limits
        lids = yield from rescale(mean_of(rig, poses + off[::SAMPLES], BLINKS), 0.5, 0.5)
        far = np.column_stack([far, np.abs(lids - shut) / _LIDS])
        for first, last in zip(used[:-1], used[1:]):
            if far[first : last + 1].max() > 1.0:
                more.add(first + int(far[first : last + 1].max(axis=1).argmax()))
        if more <= set(used):
            return keys, off, list(mouth.columns(used))
        used = sorted({*used, *more})


def _slopes(
    tracks: _Tracks, used: list[int], mouth: MouthFrames
) -> Generator[float, None, tuple[list[PoseKeys | None], np.ndarray]]:
    """Key the moved tracks on the poses `used`. Returns the keys of each track, None of others, and
    how far they are off at each sample [S, tracks]."""
    values = tracks.values
    keys: list[PoseKeys | None] = [None] * len(tracks.moved)
    off, frames = np.zeros_like(values), np.array(used)
    times = np.arange(len(values)) / SAMPLES
    for place in np.flatnonzero(tracks.moved).tolist():
        kept = tracks.needed(place, tracks.poses[frames, place], mouth.closed[frames], False)
        index = frames[kept] * SAMPLES
        keys[place], left = fit_slopes(times, values[:, place], index, (True, True))
        off[:, place] = -left
        yield place / len(tracks.moved)
    return keys, off


def _far_off(
    rig: RigMeter, values: np.ndarray, off: np.ndarray
) -> Generator[float, None, np.ndarray]:
    """Returns how far errors [T, tracks] in values move lips, face, head and eyes, [T, 4] mm."""
    return (
        yield from in_pieces(
            len(values), lambda rows: group_distances(rig.displacements(values[rows], off[rows]))
        )
    )


def narrowest(width: np.ndarray, least: float) -> list[int]:
    """Frames on which a width [T] is smallest between two that are larger by `least`."""
    found, at = [], 0
    high = low = width[0]
    for frame, now in enumerate(width):
        if now > high:
            high = low = now
        elif now < low:
            low, at = now, frame
        if min(high, now) - low >= least:
            found.append(at)
            high = low = now
    return found


@dataclass
class MouthFrames:
    """The mouth over T frames, or held poses, and the frames of its poses.

    values [T, n]: of its tracks.  pull [n, lips, 3]: mm that a unit of each moves each point.
    gap [T]: of the lips, mm.  roll [T]: of the lower lip, 0 … 1.  fps: of these frames.  is_held:
    whether a pose stays until the next.  error: the accuracy, mm.
    """

    values: np.ndarray
    pull: np.ndarray
    gap: np.ndarray
    roll: np.ndarray
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
        bitten = np.flatnonzero((self.roll > _BITTEN) & ~self.closed)
        self.stay |= {int(run[self.roll[run].argmax()]) for run in split_at_gaps(bitten)}
        self.stay |= self._rounded()

    def _rounded(self) -> set[int]:
        """Frames on which lips are open and narrowest: where they meet on the narrowest, as in “up
        with”, the first on which they part."""
        across = displacement.face_meter().skinned.rest[: self.pull.shape[1], 0]
        width = self.values @ (self.pull[:, across.argmax(), 0] - self.pull[:, across.argmin(), 0])
        least = float(np.interp(self.error, ACCURACIES, _ROUND_MM))
        frames, apart = set(), np.flatnonzero(~self.closed)
        for frame in narrowest(width, least):
            parted = apart[apart >= frame][:1]
            frames |= set(parted[width[parted] < width[frame] + least / 2].tolist())
        return frames

    def is_same(self, first: int, last: int) -> bool:
        """Whether two frames show the same pose, and all between them do."""
        if self.closed[first : last + 1].all():
            return True
        if self.closed[first] != self.closed[last]:
            return False
        off = (self.values[first : last + 1] - self.values[first]) @ self.flat
        far = np.linalg.norm(off.reshape(len(off), -1, 3), axis=2)
        return bool(far.max(initial=0.0) <= _HELD * self.error)

    def key(self) -> Generator[float, None, None]:
        """Choose the frames of poses, of a hold the first and the last. Yields progress."""
        speed = np.linalg.norm(np.diff(self.places, axis=0), axis=1) * self.fps
        sentences = split_at_gaps(
            np.flatnonzero(speed > _STILL_MM), max(1, round(_PAUSE * self.fps))
        )
        self.stay |= {int(end) for run in sentences for end in (run[0], run[-1] + 1)}
        most, found = np.interp(self.error, ACCURACIES, POSES) / SENTENCE / self.fps, set(self.stay)
        for number, run in enumerate(sentences):
            steps = self._sentence(int(run[0]), int(run[-1]) + 1, max(2, round(most * len(run))))
            found |= yield from rescale(steps, number / len(sentences), number / len(sentences))
        self.poses = found
        if not self.is_held:
            poses = self.in_poses(found | self._holds(sorted(found)))
            self.poses = {end for pose in poses for end in (pose[0], pose[-1])}

    def begun(self) -> dict[int, int]:
        """The frame on which each pose begins if it is held until the next one, and its own."""
        begins: dict[int, int] = {}
        for pose in self.in_poses(self.poses):
            own = pose[0] if self.closed[pose[0]] else min(self.stay & set(pose), default=pose[0])
            at = own
            if begins and not self.closed[own]:
                before = begins[max(begins)]
                way = np.arange(before, own)
                nearer = [
                    np.linalg.norm(self.places[way] - self.places[end], axis=1)
                    for end in (before, own)
                ]
                at = int(way[self.closed[way] | (nearer[0] < nearer[1])].max(initial=before)) + 1
            begins[at] = own
        return begins

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
            way = self.places[start] + eased[:, None] * (self.places[end] - self.places[start])
            off = np.linalg.norm(self.places[times] - way, axis=1)
            if self.is_held:  # a pose begins where it is nearer than the one before
                off = np.minimum(off, np.linalg.norm(self.places[times] - self.places[end], axis=1))
            frame = first + int(off.argmax())
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

    def columns(self, used: list[int]):
        """The purpose of each key frame."""
        numbers = {
            frame: (number, len(pose) > 1)
            for number, pose in enumerate(self.in_poses(set(used) & self.poses))
            for frame in pose
        }
        for frame in used:
            number, is_hold = numbers.get(frame, (-1, False))
            kind = "CLOSURE" if self.closed[frame] else "HOLD" if is_hold else "EXTREME"
            yield Column(frame, kind if number >= 0 else "BREAKDOWN", number)
