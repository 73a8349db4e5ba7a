# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples the values that a take is committed with, at parts of frames, and fits few keys to
them."""

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from ...face import mapping
from ...face.moving import driving
from ...rotation import matrix_to_rotvec, rotvec_to_matrix
from .. import blocking, posing
from ..keys import SAMPLES, smooth_between, times_of
from . import stepping
from .before import CommitChoice, StateBefore, UNMOVED
from .planning import CommitPlan

Fitted = posing.PoseFit | None  # None: every key of the take stays


@dataclass(frozen=True)
class Sampled:
    """Values of the rig's tracks. frames: whole scene frames [T].  values [S, tracks] at
    keys.times_of(frames).  moved [tracks]: whether the commit moves a track."""

    frames: np.ndarray
    values: np.ndarray
    moved: np.ndarray


def sample(before: StateBefore, plan: CommitPlan) -> Generator[float, None, Sampled]:
    """Sample a take, added to the animator's animation where that was chosen. Returns the Sampled;
    shape keys stay within their ranges, tracks without a curve at rest."""
    tracks = before.meter.driver.tracks
    adds = plan.choice.how == "ADD" and plan.choice.to != "STRIP"
    frames = np.arange(plan.choice.first, plan.choice.last + 1)
    times = times_of(frames)
    values = np.empty((len(times), len(tracks)))
    for place, track in enumerate(tracks):
        curve = before.blocks[track.block].take.get((track.path, track.index))
        values[:, place] = _clamp(before, place, _sample_curve(curve, times, track.rest))
        yield (0.5 if adds else 1.0) * place / len(tracks)
    if not adds:
        return (yield from _hold(before, plan, Sampled(frames, values, plan.is_chosen)))
    rest = np.array([track.rest for track in tracks])
    moving = plan.is_chosen & (np.abs(values - rest).max(0) > UNMOVED) & ~plan.is_above
    current = np.empty_like(values)
    for place, track in enumerate(tracks):
        curve_there = before.blocks[track.block].curves.get((track.path, track.index))
        current[:, place] = _sample_curve(curve_there, times, before.still[place])
        yield 0.5 + 0.5 * place / len(tracks)
    summed, moving = add_take(before, current, values, moving)
    both = Sampled(
        frames, np.where(plan.is_above, values, summed), moving | (plan.is_chosen & plan.is_above)
    )
    return (yield from _hold(before, plan, both))


def _hold(
    before: StateBefore, plan: CommitPlan, sampled: Sampled
) -> Generator[float, None, Sampled]:
    """Returns the values with each pose held for some frames, if that was chosen."""
    if plan.choice.step == 1:
        return sampled
    held = yield from stepping.hold(before, sampled.frames, sampled.values, plan.choice.step)
    return Sampled(sampled.frames, held, sampled.moved)


def add_take(
    before: StateBefore, current: np.ndarray, values: np.ndarray, moving: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The animator's values [S, tracks] with the take's added on tracks that are moving [tracks],
    and the tracks that move then: a rotation moves as a whole."""
    driver, moving = before.meter.driver, moving.copy()
    rest = np.array([track.rest for track in driver.tracks])
    added = np.where(driver.steps, values, current + values - rest)  # drawings do not add up
    summed = np.where(moving, added, current)
    for rotation, mode in zip(before.meter.rotations, before.rotation_modes):
        places = list(rotation)
        if (
            moving[places].any()
            and mode in ("QUATERNION", "AXIS_ANGLE")
            and len(places) == mapping.rotation_length(mode)
        ):
            turns = [
                rotvec_to_matrix(mapping.rotation_vectors(part[:, places], mode))
                for part in (current, values)
            ]
            summed[:, places] = mapping.rotation_values(matrix_to_rotvec(turns[0] @ turns[1]), mode)
            moving[places] = True
    for place in np.flatnonzero(moving).tolist():
        summed[:, place] = _clamp(before, place, summed[:, place])
    return summed, moving


def fit(before: StateBefore, plan: CommitPlan, sampled: Sampled) -> Generator[float, None, Fitted]:
    """Find the few keys whose curves are the same but for the chosen error, once for tracks that
    hold the same. Yields progress; returns the Fitted."""
    choice = plan.choice
    is_exact = choice.keys != "BLOCKING" and choice.step == 1 and choice.error <= 0
    if is_exact or before.meter.driver.steps.all():
        return None
    before, sampled, lead = _merge(before, sampled)
    fitted = yield from _fit(before, choice, sampled)
    curves = tuple(fitted.curves[place] for place in lead)
    return replace(fitted, curves=curves, reach=fitted.reach[lead])


def _merge(before: StateBefore, sampled: Sampled) -> tuple[StateBefore, Sampled, list[int]]:
    """Leave out tracks that hold the same as another, as keys of one name on face, lashes and teeth
    do; and tell of each track which one it follows. Fitted alone, each would leave the others.
    Numbers of drawings are left out, since all their keys are kept."""
    meter, driver = before.meter, before.meter.driver
    turning = {place for rotation in meter.rotations for place in rotation}
    kept: list[int] = []
    lead = [0] * len(driver.tracks)
    known: dict[object, int] = {}
    for place in np.flatnonzero(~driver.steps).tolist():
        added = tuple((source, weight) for source, at, weight in driver.parts if at == place)
        same = added, before.regions[place], bool(sampled.moved[place]), driver.tracks[place].rest
        is_whole = type(driver) is not driving.Driver and not driver.is_drawn
        is_own = place in turning or not added or is_whole
        key = place if is_own else (*same, sampled.values[:, place].tobytes())
        if key not in known:
            known[key] = len(kept)
            kept.append(place)
        lead[place] = known[key]
    merged = driver
    if len(kept) < len(lead):
        merged = driving.Driver(
            [driver.tracks[place] for place in kept],
            [(source, lead[at], by) for source, at, by in driver.parts if kept[lead[at]] == at],
            [replace(turn, first=lead[turn.first]) for turn in driver.turns],
        )
    rotations = tuple(tuple(lead[place] for place in rotation) for rotation in meter.rotations)
    regions = tuple(before.regions[place] for place in kept)
    before = replace(
        before, meter=replace(meter, driver=merged, rotations=rotations), regions=regions
    )
    return before, replace(sampled, values=sampled.values[:, kept], moved=sampled.moved[kept]), lead


def _fit(
    before: StateBefore, choice: CommitChoice, sampled: Sampled
) -> Generator[float, None, posing.PoseFit]:
    if choice.keys == "BLOCKING":
        return (
            yield from blocking.fit(
                before.meter,
                sampled.values,
                sampled.moved,
                list(before.regions),
                choice.error,
                before.fps,
                choice.step,
                choice.is_held,
            )
        )
    if choice.step > 1:
        return (
            yield from stepping.fit(
                before, sampled.frames, sampled.values, sampled.moved, choice.step, choice.error
            )
        )
    regions = list(before.regions)
    return (
        yield from posing.fit(
            before.meter, sampled.frames, sampled.values, sampled.moved, regions, choice.error
        )
    )


def _sample_curve(curve, times: np.ndarray, default: float) -> np.ndarray:
    """Values of a curve at times [S]; the default without a curve."""
    return np.full(len(times), default) if curve is None else curve.sampled(times)


def _clamp(before: StateBefore, place: int, values: np.ndarray) -> np.ndarray:
    """Values [S] of a track, clamped to its limits as Blender shows them, without the corners
    between frames at which no key could be."""
    limits = before.limits[place]
    clamped = values if limits is None else np.clip(values, *limits)
    return values if (clamped == values).all() else smooth_between(clamped[::SAMPLES], SAMPLES)
