# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the current animation of a head, edited keys included, as a Motion."""

from collections.abc import Generator
from dataclasses import replace

import bpy
import numpy as np

from ...thunder_core.animation.timing import Clock, motion_times
from ...thunder_core.progress import rescale
from ...thunder_core.types import FPS, Motion
from ..heads import controls, head, rna_paths
from ..host import compat, playback
from . import display, fcurves

PIECE = 100  # frames read into a motion at once


def read(
    rig: head.Rig, channels: tuple[str, ...], clock: Clock, seconds: float, fps: float = FPS
) -> Generator[float, None, Motion]:
    """Read `seconds` of animation from clock.start on. Returns the Motion [T, len(channels)] at
    `fps` frames per second.

    From the f-curves if they alone move the face. With an NLA, drivers, constraints or f-curves on
    the bones that something else overrides, the scene itself is stepped from frame to frame and put
    back.
    """
    frames = clock.frame(motion_times(seconds, fps))
    motion = yield from (_from_curves if _is_from_curves(rig, frames) else _from_scene)(
        rig, channels, frames
    )
    return replace(motion, fps=fps)


def read_quietly(
    rig: head.Rig, channels: tuple[str, ...], clock: Clock, seconds: float
) -> Generator[float, None, Motion | None]:
    """The same from f-curves alone, at 25 fps; the scene stays on its frame. Returns None if
    something else moves the face too.

    Of a shown take its curves are read, whatever plays around it.
    """
    frames = clock.frame(motion_times(seconds))
    if display.shown_action(rig) is None and not _is_from_curves(rig, frames):
        return None
    return (yield from _from_curves(rig, channels, frames))


def _is_from_curves(rig: head.Rig, frames: np.ndarray) -> bool:
    """Whether f-curves alone move the face on these scene frames."""
    for target in rig.targets:
        animation = target.animation_data
        if animation is None:
            continue
        ours = {(track.path, track.index) for _, track in rig.tracks_of(target)}
        if animation.use_tweak_mode or not ours.isdisjoint(compat.by_place(animation.drivers)):
            return False
        if animation.action_blend_type != "REPLACE" or animation.action_influence != 1.0:
            return False
        base = display.base_tracks(target)
        if len(animation.nla_tracks) > len(base) or (base and not _covers(rig, target, frames)):
            return False
    armatures = [
        target for target in rig.targets if target.id_type == "OBJECT" and target.type == "ARMATURE"
    ]
    return not controls.are_on(rig) and not any(
        len(pose.constraints) for armature in armatures for pose in armature.pose.bones
    )


def _covers(rig: head.Rig, target, frames: np.ndarray) -> bool:
    """Whether the take on a data-block moves everything all the time, so that nothing under it is
    seen."""
    first, last = target.animation_data.action.frame_range
    if frames[0] < first - 0.01 or frames[-1] > last + 0.01:
        return False
    moved = compat.by_place(curve for curve in compat.curves_for(target) if not curve.mute)
    return all((track.path, track.index) in moved for _, track in rig.tracks_of(target))


def motion_of(
    rig: head.Rig, values: np.ndarray, channels: tuple[str, ...], piece: int = PIECE
) -> Generator[float, None, Motion]:
    """The motion of a rig's values [T, tracks] as they are seen, read in pieces that each take a
    slice."""
    yield from rescale(rig.driver.prepare(), 0.0, 0.0)
    parts = []
    for start in range(0, len(values), piece):
        if start:
            yield start / len(values)
        parts.append(rig.driver.read(values[start : start + piece], channels))
    return Motion.join(parts)


# ---- from the f-curves


def _from_curves(
    rig: head.Rig, channels: tuple[str, ...], frames: np.ndarray
) -> Generator[float, None, Motion]:
    """The motion by the f-curves of the active actions."""
    return (
        yield from read_curves(
            rig, [compat.curves_for(target) for target in rig.targets], channels, frames
        )
    )


def read_curves(
    rig: head.Rig, of_targets: list[list], channels: tuple[str, ...], frames: np.ndarray
) -> Generator[float, None, Motion]:
    """Read f-curves (a list for each of the rig's targets) at scene frames [T]. Returns the Motion.

    Values that no curve animates are those that are set now.
    """
    curves = fcurves.of_tracks(
        rig, ([curve for curve in of_target if not curve.mute] for of_target in of_targets)
    )
    values = np.empty((len(frames), len(rig.driver.tracks)))
    for index, (track, curve) in enumerate(zip(rig.driver.tracks, curves)):
        target = rig.targets[track.block]
        still = rna_paths.value(target, track.path, track.index)
        values[:, index] = rna_paths.visible_values(
            target, _evaluate(curve, frames, still), track.path
        )
        yield 0.9 * (index + 1) / len(rig.driver.tracks)
    return (yield from rescale(motion_of(rig, values, channels), 0.9, 1.0))


def _evaluate(curve, frames: np.ndarray, default: float) -> np.ndarray:
    """Values of a curve at frames [T]; the default where it has no keys."""
    if curve is None or (
        not len(curve.keyframe_points)
        and not len(curve.modifiers)
        and not len(curve.sampled_points)
    ):
        return np.full(len(frames), default)
    return np.array([curve.evaluate(float(frame)) for frame in frames])


# ---- from the evaluated scene


def _from_scene(
    rig: head.Rig, channels: tuple[str, ...], frames: np.ndarray
) -> Generator[float, None, Motion]:
    """The motion by stepping through the evaluated scene, whose current frame is restored."""
    scene = next(
        (s for s in bpy.data.scenes if rig.mesh.name in s.objects and s == bpy.context.scene),
        bpy.context.scene,
    )
    values = np.empty((len(frames), len(rig.driver.tracks)))
    tracks_of_targets = [(target, rig.tracks_of(target)) for target in rig.targets]
    with playback.returning(scene):
        for row, frame in enumerate(frames):
            playback.go_to(scene, frame)
            depsgraph = bpy.context.evaluated_depsgraph_get()
            for target, tracks in tracks_of_targets:
                places = [place for place, _ in tracks]
                values[row, places] = rna_paths.evaluate(
                    target, [(track.path, track.index) for _, track in tracks], depsgraph
                )
            yield 0.9 * (row + 1) / len(frames)
    return (yield from rescale(motion_of(rig, values, channels), 0.9, 1.0))
