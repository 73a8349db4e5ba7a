# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's values at parts of frames, alone or added to the animator's own."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from ....thunder_core.animation.keys import SAMPLES, through
from ....thunder_core.face import mapping
from ....thunder_core.rotation import matrix_to_rotvec, rotvec_to_matrix
from ...heads import head, rna_paths
from ...host.jobs import Step
from .. import track_values


def sampled(rig: head.Rig, take_curves: list[dict], times: np.ndarray) -> Generator[Step, None, np.ndarray]:
    """Steps that read the take's curves. Returns [S, tracks], rest where it has none, within a shape key's range."""
    values = np.empty((len(times), len(rig.driver.tracks)))
    for place, track in enumerate(rig.driver.tracks):
        values[:, place] = _in_range(rig, track, _evaluated(take_curves[track.block].get((track.path, track.index)), times, track.rest))
        yield Step(0.15 * place / values.shape[1], "Reading the take", busy=True)
    return values


def _evaluated(curve, times: np.ndarray, default: float) -> np.ndarray:
    """Values of a curve at times [S]; the default without a curve."""
    return np.full(len(times), default) if curve is None else track_values.at(curve, times)


def _in_range(rig: head.Rig, track, values: np.ndarray) -> np.ndarray:
    """Values [S] of a track; those of a shape key clamped to its slider's range as Blender shows them, without the corners
    between frames at which no key could be."""
    target = rig.targets[track.block]
    if target.id_type != "KEY" or not rna_paths.exists(target, track.path):
        return values
    key = target.path_resolve(rna_paths.split(track.path)[0])
    clamped = np.clip(values, key.slider_min, key.slider_max)
    return values if (clamped == values).all() else through(clamped[::SAMPLES], SAMPLES)


def added(
    rig: head.Rig, values: np.ndarray, moving: np.ndarray, animator_curves: list[dict], own_states: list[dict], times: np.ndarray
) -> Generator[Step, None, np.ndarray]:
    """Steps that add the take to the animator's animation. Returns the sum [S, tracks]."""
    current = np.empty_like(values)
    for place, track in enumerate(rig.driver.tracks):
        current[:, place] = _evaluated(
            animator_curves[track.block].get((track.path, track.index)), times, still_value(own_states[track.block], track)
        )
        yield Step(0.2, "Reading your animation", busy=True)
    rest = np.array([track.rest for track in rig.driver.tracks])
    summed = np.where(moving, current + values - rest, current)
    for places, mode in _rotations(rig):
        if moving[places].any() and mode in ("QUATERNION", "AXIS_ANGLE"):
            turns = [rotvec_to_matrix(mapping.rotation_vectors(part[:, places], mode)) for part in (current, values)]
            summed[:, places] = mapping.rotation_values(matrix_to_rotvec(turns[0] @ turns[1]), mode)
            moving[places] = True
    for place in np.flatnonzero(moving):
        summed[:, place] = _in_range(rig, rig.driver.tracks[place], summed[:, place])
    return summed


def _rotations(rig: head.Rig) -> Iterator[tuple[list[int], str]]:
    """The rotations among a rig's tracks: (places of their numbers, rotation mode)."""
    for places in rna_paths.rotations(rig.driver.tracks):
        track = rig.driver.tracks[places[0]]
        mode = rig.targets[track.block].pose.bones[rna_paths.bone_of(track.path)[0]].rotation_mode
        if len(places) == mapping.rotation_length(mode):
            yield places, mode


def still_value(state: dict, track) -> float:
    """The value of a track before a take was shown. state: of its target, as `display.own_targets` returns it."""
    values = state.get("values", ())
    return next((value for path, index, value in values if path == track.path and index == track.index), track.rest)
