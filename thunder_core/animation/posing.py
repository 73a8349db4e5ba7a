# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a rig's values into poses: keys on frames that the curves of a region of the face share,
for any character."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from ..face.moving import displacement
from ..face.moving.displacement import in_pieces, RigMeter
from ..progress import rescale
from ..types import BLINKS, CLOSED_MM, in_group, TONGUE
from . import poses
from .keys import Measure, PoseKeys, SAMPLES, shift_distances

_STARTS = (
    ("brow", "Brows"),
    ("eye", "Eyes"),
    ("cheek", "Cheeks & Nose"),
    ("nose", "Cheeks & Nose"),
    ("mouth", "Mouth"),
    ("jaw", "Jaw"),
    ("tongue", "Tongue"),
    ("neck", "Head"),
)
_TONGUE = 4.0  # allowed error of the tongue relative to the lips'; it is hardly visible
_LINEAR = 0.98  # share of the allowed error while errors are summed linearly over tracks
_TRIES = 16  # attempts to mend poses that are too far off
_FINE = 0.5  # millimetres of allowed error below which that takes a third of the time
# where lips meet, which shows little errors: share of the allowed one, and the most in mm (half of
# TOUCH_MM)
_CLOSED_SHARE, _CLOSED_MM = 1 / 3, 0.15
BLINK = 0.3  # mean closure of the lids from which a face blinks
# share of the allowed error above which the linear sum is replaced by measuring the face
_MEASURED_FROM = 0.6
_UNSEEN = 0.05  # share of the allowed error below which a track needs no curve


@dataclass(frozen=True)
class PoseFit:
    """Poses of a rig's tracks.

    curves: keys of each track, None if it needs none (left out, or it never moves).  columns: see
    Poses.  error: millimetres at the lips, the most at any part of a frame; None for held poses.
    reach [tracks, 4]: millimetres that a unit of each track moves lips, face, head and eyes.
    """

    curves: tuple[PoseKeys | None, ...]
    columns: tuple[tuple[poses.Column, ...], ...]
    error: float | None
    reach: np.ndarray

    def kind_of(self, region: str) -> dict[int, str]:
        """The kinds of the frames that a region's keys are on: index → as of poses.Column."""
        place = next(place for place, together in enumerate(poses.TOGETHER) if region in together)
        return {column.index: column.kind for column in self.columns[place]}


def region_of(source: str) -> str:
    """The region of a channel or joint."""
    return next((region for start, region in _STARTS if source.startswith(start)), "Mouth")


def regions(meter: RigMeter) -> Generator[float, None, list[str]]:
    """Returns the region of each of a rig's tracks: that of the channel or joint which moves it
    most, in millimetres on the bundled head."""
    yield from rescale(meter.prepare(), 0.0, 0.0)
    tracks = meter.driver.tracks
    return [
        track.group if track.steps else region_of(source)
        for track, source in zip(tracks, (yield from meter.sources()))
    ]


def fit(
    rig: RigMeter,
    frames: np.ndarray,
    values: np.ndarray,
    chosen: np.ndarray,
    of_tracks: list[str],
    error: float,
) -> Generator[float, None, PoseFit]:
    """Turn a rig's values [S, tracks] at keys.times_of(frames) into poses. Returns the PoseFit.

    chosen [tracks]: the tracks that get keys.  of_tracks: the regions of all.  error: millimetres
    that the lips may be off at any of these times.
    """
    # the parts of the progress are those of the time, measured on the bundled head
    slow = rig.driver.is_slow  # lips are then measured on whole frames only
    gap = yield from rescale(rig.lip_gap(values[::SAMPLES] if slow else values), 0.0, 0.02)
    if slow:
        gap = np.interp(np.arange(len(values)) / SAMPLES, np.arange(len(frames)), gap)
    pull, per_unit = yield from rescale(rig.pulls(), 0.02, 0.05)
    pull = _fill_pulls(pull, per_unit)
    meter = displacement.face_meter()
    places = np.flatnonzero(chosen)
    allowed = _tolerances(
        error, rig.channels, any(of_tracks[place] == "Tongue" for place in places)
    )
    at_closed_lips = error * min(_CLOSED_SHARE, _CLOSED_MM / error)
    measure = Measure(
        pull[places], _LINEAR * allowed, pull[places, meter.upper, 1] - pull[places, meter.lower, 1]
    )
    shut = yield from rescale(blink_frames(rig, values[::SAMPLES]), 0.05, 0.05)
    steps = poses.fit(
        values[:, places],
        [of_tracks[place] for place in places],
        measure,
        gap,
        CLOSED_MM,
        at_closed_lips,
        shut,
    )
    mends = 0.35 if error < _FINE else 0.2  # nobody knows how many: one to sixteen
    result = yield from rescale(steps, 0.05, 0.98 - mends)
    errors = _ErrorMeter(
        rig, values, places, pull, allowed, np.flatnonzero(gap[::SAMPLES] < CLOSED_MM)
    )
    off, lips, apart = yield from rescale(errors.measure(result), 0.98 - mends, 1.0 - mends)
    for attempt in range(0 if slow else _TRIES):
        if off.max() <= 1.0 and not len(apart):
            break
        start, end = (1.0 - mends * 0.7**number for number in (attempt, attempt + 1))
        result = yield from rescale(result.mend(off, apart), start, end)
        off, lips, apart = yield from rescale(errors.measure(result), end, end)
    curves: list[PoseKeys | None] = [None] * len(rig.driver.tracks)
    for place, curve in zip(places, result.curves):
        curves[place] = curve
    return PoseFit(tuple(curves), result.columns, lips, per_unit)


def _fill_pulls(pull: np.ndarray, per_unit: np.ndarray) -> np.ndarray:
    """Pulls [tracks, places, 3] in which every used track has an effect: the w of a quaternion and
    tracks derived from others have no measured effect and get `per_unit`."""
    silent = ~pull.any((1, 2)) & per_unit.any(1)
    pull = pull.copy()
    for group, place in enumerate((0, displacement.face_meter().lips, -2, -1)):
        pull[silent, place, 2] = per_unit[silent, group]
    return pull


def _tolerances(error: float, channels: Sequence[str], tongue: bool) -> np.ndarray:
    """Allowed error of each of displacement.positions, mm; any for the tongue if it has no
    curves."""
    meter = displacement.face_meter()
    allowed = np.full(len(meter.skinned.rest) + 2, displacement.ALLOWED[1])
    allowed[: meter.lips], allowed[-2:] = displacement.ALLOWED[0], displacement.ALLOWED[2:]
    moved = np.linalg.norm(meter.skinned.directions, axis=2)[in_group(channels, TONGUE)]
    inside = np.append(moved.max(0) > 0.05 * moved.max(), [False, False])
    allowed[inside] = _TONGUE if tongue else np.inf
    return error * allowed


class _ErrorMeter:
    """Measures the error of poses against values [S, tracks]. Errors are summed linearly over
    tracks; samples near the worst are measured on the face, unless that is slow. Movement that is
    not speech may also be slightly early or late.

    places: indices of the tracks with keys.  closed: frames on which lips meet.
    """

    def __init__(self, rig: RigMeter, values, places, pull, allowed, closed: np.ndarray):
        self.rig = rig
        self.values = values
        self.places = places
        self.pull = pull
        self.closed = closed
        self.flat, self.lips = pull.reshape(len(pull), -1), displacement.face_meter().lips
        self.allowed = allowed
        self.limits: np.ndarray | None = None
        self.off, self.shares = np.full_like(values, np.inf), np.zeros((len(values), 2))

    def measure(
        self, fitted: poses.Poses
    ) -> Generator[float, None, tuple[np.ndarray, float, np.ndarray]]:
        """Measure poses; samples that did not change are not measured again. Returns the error per
        sample relative to the allowed one [S], the largest lip error in mm, and the frames on which
        lips are apart that should meet."""
        if self.limits is None:
            self.limits = self.allowed + (
                yield from in_pieces(len(self.values), self._shift_distances)
            )
        limits = self.limits
        times, off = np.arange(len(self.values)) / SAMPLES, np.zeros_like(self.values)
        for place, curve in zip(self.places, fitted.curves):
            if curve is not None:
                off[:, place] = curve.at(times) - self.values[:, place]
                yield 0.0
        changed = np.flatnonzero((off != self.off).any(1))
        self.off = off

        def shares_by_sum(rows: slice) -> np.ndarray:
            some = changed[rows]
            return self._parts(
                (off[some] @ self.flat).reshape(-1, self.pull.shape[1], 3), limits[some]
            )

        def shares_on_face(rows: slice) -> np.ndarray:
            some = look[rows]
            return self._parts(self.rig.displacements(self.values[some], off[some]), limits[some])

        if len(changed):
            self.shares[changed] = yield from in_pieces(len(changed), shares_by_sum)
            near = self.shares[changed, 0] >= _MEASURED_FROM * min(self.shares[:, 0].max(), 1.0)
            look = changed[near]
            if not self.rig.driver.is_slow and len(look):
                self.shares[look] = yield from in_pieces(len(look), shares_on_face)
        apart = np.zeros(0, int)
        if not self.rig.driver.is_slow and len(self.closed):
            samples = self.closed * SAMPLES
            apart = self.closed[
                (yield from self.rig.lip_gap(self.values[samples] + off[samples])) >= CLOSED_MM
            ]
        return self.shares[:, 0], float(self.shares[:, 1].max()), apart

    def _shift_distances(self, rows: slice) -> np.ndarray:
        first = max(rows.start - SAMPLES, 0)
        some = (self.values[first : rows.stop + SAMPLES] @ self.flat).reshape(
            -1, self.pull.shape[1], 3
        )
        far = shift_distances(some)[rows.start - first :][: len(self.values[rows])]
        far[:, : self.lips] = 0.0
        return far

    def _parts(self, displacements: np.ndarray, limits: np.ndarray) -> np.ndarray:
        far = np.linalg.norm(displacements, axis=2)
        return np.stack([(far / limits).max(1), far[:, : self.lips].max(1)], 1)


def mean_of(
    rig: RigMeter, values: np.ndarray, stems: tuple[str, ...]
) -> Generator[float, None, np.ndarray]:
    """Returns the mean of some channels, [T], that a rig's values [T, tracks] show: how far lids
    are shut, of BLINKS; yields progress."""
    columns = in_group(rig.channels, stems)
    read = yield from in_pieces(
        len(values),
        lambda rows: rig.read(values[rows]).expression[:, columns].mean(1, keepdims=True),
    )
    return read[:, 0]


def blink_frames(rig: RigMeter, values: np.ndarray) -> Generator[float, None, np.ndarray]:
    """Returns the frames of a rig's values [T, tracks] on which lids are shut furthest: one or more
    for each blink."""
    closed = np.pad((yield from mean_of(rig, values, BLINKS)), 1, mode="edge")
    return np.flatnonzero(
        (closed[1:-1] >= BLINK) & (closed[1:-1] >= closed[:-2]) & (closed[1:-1] >= closed[2:])
    )


def is_seen(posed: PoseFit, place: int, difference: np.ndarray, error: float) -> bool:
    """Whether any of these errors of a track would be visible."""
    return bool(
        (np.abs(difference).max() * posed.reach[place] / (displacement.ALLOWED * error)).max()
        > _UNSEEN
    )
