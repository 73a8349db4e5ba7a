# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes performances as keys: separate actions, on whole scene frames, with their provenance; and
reads the current animation of a head, edited keys included, as a Motion."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core import records
from ...thunder_core.animation import cue_file, keyframes
from ...thunder_core.animation.gaze import GazeTarget
from ...thunder_core.animation.keys import PoseKeys, reduce
from ...thunder_core.animation.timing import at_scene_frames, Clock, motion_times
from ...thunder_core.face.moving import displacement, mouths
from ...thunder_core.face.moving.drawings import DrawnDriver
from ...thunder_core.face.moving.driving import Track
from ...thunder_core.progress import rescale
from ...thunder_core.types import FPS, Motion
from ..heads import head, rna_paths
from ..host import compat, playback
from . import display, fcurves

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


# custom property of an action: the take's provenance, enough to generate it again
PROPERTY = "thunder"
# frames converted to or from a rig's values per step, so that Blender stays responsive; the same of
# slow rigs
PIECE, SLOW_PIECE = 400, 12
SAID = "said"  # in it: the sounds of the voice, JSON of [phone, start, end], for own mouths
_PRINT_LENGTH = 16  # hexadecimal digits of a checksum
_WITHOUT_PLACED = "2-"  # start of checksums that leave out the handles placed by Blender
LEAST_MOTION = 1e-6  # a channel that moves less gets one key at either end
# longer takes get few keys: eight one-hour takes with a key on every frame need 2.8 GB
LONG_SECONDS = 600.0
LONG_ERROR = 0.1  # largest lip error of these keys, mm: not visible
# share of it that one track may use, so that the sum stays within it
# (tests/blender/test_takes.py)
_LONG_SHARE = 0.35
_LONG_PIECE = 960  # frames of them reduced at once
# bits of a track's full movement that keys keep: files shrink to two thirds, lips are off by less
# than 0.01 mm
_FINENESS = 12
_TURN, _GAZE = 0.15, 0.1  # radians that count as full movement of jaw and head, and of the eyes


@dataclass(frozen=True)
class TakeData:
    """A sampled take from the engine: motion at 25 fps and its data.

    opening, width: float32 [T], millimetres.  provenance: seed, score, engine, weights, audio,
    settings.
    sync_per_frame: float32 [T], lip-sync of each frame, 0 … 100, None if not measured.
    look: the eyes' target, None if they move freely.
    """

    motion: Motion
    channels: tuple[str, ...]
    opening: np.ndarray
    width: np.ndarray
    seed: int
    score: float
    provenance: dict
    sync_per_frame: np.ndarray | None = None
    look: GazeTarget | None = None


@dataclass(frozen=True)
class TrackValues:
    """Values of a performance for the tracks of a rig.

    frames: whole scene frames, int [S].  values: float64 [S, tracks].  reduced: for a long take the
    keys of each track in pieces of _LONG_PIECE frames that share their ends; None if every frame
    gets a key.  units: float64 [tracks], from `rounding_units`; values with a key on every frame
    are multiples of them, counted from rest.
    """

    frames: np.ndarray
    values: np.ndarray
    reduced: list[tuple[PoseKeys, ...]] | None
    units: np.ndarray


def is_long(performance: TakeData) -> bool:
    """Whether a take gets few keys instead of one on every frame."""
    return performance.motion.frames / performance.motion.fps > LONG_SECONDS


def values_of(
    rig: head.Rig, performance: TakeData, clock: Clock
) -> Generator[float, None, TrackValues]:
    """Compute a performance's values for the tracks of a rig. Returns the TrackValues.

    Blender's data is only read before the first step: an animator may work, and undo, between two
    steps."""
    frames = clock.take_frames(performance.motion.frames)
    units, rest = rounding_units(rig), np.array([track.rest for track in rig.driver.tracks], float)
    values = np.empty((len(frames), len(rig.driver.tracks)))
    known = performance.provenance.get(SAID, "") if rig.driver.leads else ""
    said = json.loads(known or "[]")
    of_mouths = _own_mouths(rig, performance, clock, frames, said)
    yield from rescale(rig.driver.prepare(), 0.0, 0.0)
    share = 0.1 if is_long(performance) else 1.0
    for start in range(0, len(frames), PIECE):
        # One more frame on either side: a closure there may be nearer to it than to its neighbour
        # in this piece.
        first, end = max(0, start - 1), min(len(frames), start + PIECE + 1)
        motion = on_scene_frames(performance, clock, frames[first:end]).part(
            slice(start - first, start - first + PIECE)
        )
        rows = {name: weights[start : start + PIECE] for name, weights in of_mouths.items()}
        values[start : start + PIECE] = rig.driver.drive(
            *mouths.apply(motion, performance.channels, rows)
        )
        yield share * min(1.0, (start + PIECE) / len(frames))
    if rig.driver.is_drawn and known:
        cues = cue_file.mouths_of(said, performance.opening, 0.0, cue_file.drawn_mouth)
        assert isinstance(rig.driver, DrawnDriver)
        values[:, len(rig.driver.rig.tracks)] = rig.driver.say(
            cues, clock.seconds(frames), performance.motion, performance.channels,
            performance.opening,
        )  # fmt: skip
    values = rig.driver.settle(frames, values)
    if not is_long(performance):
        return TrackValues(frames, round_values(values, rest, units), None, units)
    yield from rescale(displacement.prepare(), share, share)
    # millimetres that a unit of each track moves
    _, per_unit = yield from rescale(rig.meter.pulls(), share, share)
    most = (per_unit / displacement.ALLOWED).max(1)
    still = 1e-3 * np.ptp(values, axis=0) + LEAST_MOTION
    allowed = np.where(most > 0, LONG_ERROR * _LONG_SHARE / np.maximum(most, 1e-12), still)
    reduced = []
    for start in range(0, len(frames) - 1, _LONG_PIECE):
        part, keys = slice(start, start + _LONG_PIECE + 1), []
        for place in range(values.shape[1]):
            keys.append(
                reduce(frames[part].astype(float), values[part, place], float(allowed[place]))
            )
            if place % 4 == 3:
                yield share + (1 - share) * (start + _LONG_PIECE * place / values.shape[1]) / len(
                    frames
                )
        reduced.append(tuple(keys))
    return TrackValues(frames, values, reduced, units)


def _own_mouths(
    rig: head.Rig, performance: TakeData, clock: Clock, frames: np.ndarray, said: list
) -> dict[str, np.ndarray]:
    """How much of each of the animator's own mouths a take with these sounds shows at scene frames
    [S]; empty where there are none, or they are drawn."""
    if rig.driver.is_drawn or not said:
        return {}
    seen = clock.presence(frames, performance.motion.frames)
    of_mouths = mouths.weights(said, rig.driver.leads, clock.seconds(frames), performance.opening)
    return {name: weights * seen for name, weights in of_mouths.items()}


def rounding_units(rig: head.Rig) -> np.ndarray:
    """The units to which a take's values are rounded, [tracks]: powers of two, a fraction of the
    largest movement of each track by one channel or turn.

    Numbers with few digits compress well, which is what most of a file with takes is made of.
    """
    channels = head.channel_names()
    count = len(channels)
    turns = np.concatenate([np.zeros((count, 9)), np.diag([_TURN] * 6 + [_GAZE] * 3)])
    each = Motion(np.eye(count + 9, count), turns[:, :3], turns[:, 3:6], turns[:, 6:])
    still = Motion(np.zeros((1, count)), np.zeros((1, 3)), np.zeros((1, 3)), np.zeros((1, 3)))
    full = np.abs(rig.driver.drive(each, channels) - rig.driver.drive(still, channels)).max(0)
    return np.where(
        full > 0, 2.0 ** np.floor(np.log2(np.where(full > 0, full, 1.0)) - _FINENESS), 0.0
    )


def round_values(values: np.ndarray, rest: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Values [..., tracks] as whole numbers of units [tracks] from rest [tracks]; as they are where
    a unit is 0."""
    divisor = np.where(units > 0, units, 1.0)
    return np.where(units > 0, rest + np.rint((values - rest) / divisor) * divisor, values)


def write_take(
    rig: head.Rig, performance: TakeData, clock: Clock, name: str, values: TrackValues | None = None
) -> Generator[float, None, list[bpy.types.Action]]:
    """New actions (one from 4.4 on) that play a performance on a rig; nothing else in the file
    changes.

    Every take keys the same channels, on whole scene frames; the first sample of the sound is at
    clock.start, and the keys come from rest before it and return to rest after its end. Writes a
    curve from step to step and returns the actions; closed before its end it removes them.
    values: what `values_of` returned for this rig, if it was run before.
    """
    actions, curves = compat.new_action(name, rig.targets)
    try:
        if values is None:
            values = yield from rescale(values_of(rig, performance, clock), 0.0, 0.4)
        for index, track in enumerate(rig.driver.tracks):
            curve = compat.new_curve(curves[track.block], track.path, track.index, track.group)
            write(curve, keys_of(values, index, track), track, values.units[index])
            yield 0.4 + 0.4 * (index + 1) / len(rig.driver.tracks)
        for action in actions:
            covered = []
            for curve in compat.all_curves(action):
                covered.append(_bytes_of(curve))
                yield 0.9
            remember(action, performance, _checksum_of(covered))
        yield 1.0
        return actions
    except BaseException:  # also if closed at the last step, when nothing is listed yet
        playback.remove(actions)
        raise


def key_again(
    rig: head.Rig, actions: list, curves: list, performance: TakeData, values: TrackValues
) -> None:
    """Write another performance of the same length over the keys of a take, at once.

    curves: of each of the rig's tracks, None if the take has none.  values: what `values_of`
    returned for the performance.
    """
    for index, (curve, track) in enumerate(zip(curves, rig.driver.tracks)):
        if curve is not None:
            write(curve, keys_of(values, index, track), track, values.units[index])
    for action in actions:
        remember(action, performance, checksum_of(action))
    rna_paths.tag(rig.targets)


def write(curve: bpy.types.FCurve, keys: dict[str, np.ndarray], track: Track, unit: float) -> None:
    """Give a curve the keys of a take's track, constant ones if it steps. Handles that Blender
    places are rounded, as values are (`rounding_units`); Blender places them exactly when the curve
    is edited."""
    keys = keyframes.as_steps(keys) if track.steps else keys
    fcurves.write(curve, keys)
    if len(keys["co"]) > 2 and unit > 0 and keyframes.are_automatic(keys):
        fcurves.round_handles(curve, track.rest, unit)


def remember(action: bpy.types.Action, performance: TakeData, checksum: str) -> None:
    """Store a take's provenance on its action. checksum: of its keys."""
    action[PROPERTY] = performance.provenance | {
        records.KEY: records.VERSION,
        "seed": performance.seed,
        "score": performance.score,
        "checksum": checksum,
    }


def record_of(action: bpy.types.Action | None) -> Any:
    """The record of a take's provenance on its action; {} for none, or where something else is
    there."""
    record = None if action is None else action.get(PROPERTY)
    return record if record is not None and hasattr(record, "to_dict") else {}


def on_scene_frames(performance: TakeData, clock: Clock, frames: np.ndarray) -> Motion:
    """The motion at scene frames, double precision; it starts from rest before its sound and
    returns to rest after it."""
    motion = performance.motion
    presence = clock.presence(frames, motion.frames)[:, None]
    expression, jaw, turn, eyes = (
        presence * at_scene_frames(clock, part, frames, performance.opening)
        for part in (motion.expression, motion.jaw, *motion.turns)
    )
    return Motion(expression, jaw, turn, eyes, clock.fps)


def keys_of(of_tracks: TrackValues, place: int, track: Track) -> dict[str, np.ndarray]:
    """The keys of one track."""
    frames, values = of_tracks.frames, of_tracks.values[:, place]
    if np.ptp(values) < LEAST_MOTION and len(frames) > 2:
        frames, values = frames[[0, -1]], values[[0, -1]]
    elif of_tracks.reduced is not None and not track.steps:
        return _join([keys[place] for keys in of_tracks.reduced], frames)
    # Clamped handles never overshoot a key, so lips that close stay closed between frames as well.
    return keyframes.on_every_frame(frames, values)


def _join(pieces: list[PoseKeys], frames: np.ndarray) -> dict[str, np.ndarray]:
    """Keys of pieces of _LONG_PIECE frames, whose ends are shared: there each side keeps its
    handle."""
    joined: list[dict[str, np.ndarray]] = []
    for number, keys in enumerate(pieces):
        part = frames[number * _LONG_PIECE : (number + 1) * _LONG_PIECE + 1].astype(float)
        if len(keys.index) == 1:  # it is constant
            ends, level = np.array([0, len(part) - 1]), np.zeros(2)
            keys = PoseKeys(ends, np.repeat(keys.value, 2), level, level)
        these = keyframes.from_poses(keys, part)
        if joined:
            before = joined[-1]
            before["handle_right"][-1] = these["handle_right"][0]
            before["handle_left_type"][-1] = before["handle_right_type"][-1] = keyframes.FREE
            these = keyframes.select(these, np.arange(1, len(these["co"])))
        joined.append(these)
    return keyframes.concatenate(*joined)


def checksum_of(action: bpy.types.Action, like: object = None) -> str:
    """The checksum of an action's keys; it changes when the animator edits the take. 1 ms per
    minute of keys and curve.

    like: a checksum to compare it with. Those of earlier versions cover all handles; today's leave
    out those that Blender places by the keys beside them, which it may place again.
    """
    all_handles = isinstance(like, str) and not like.startswith(_WITHOUT_PLACED)
    text = _checksum_of(_bytes_of(curve, all_handles) for curve in compat.all_curves(action))
    return text.removeprefix(_WITHOUT_PLACED) if all_handles else text


def _checksum_of(covered: Iterable[bytes]) -> str:
    """The checksum of curves, given the bytes of each that it covers."""
    digest = hashlib.sha256()
    for part in covered:
        digest.update(part)
    return _WITHOUT_PLACED + digest.hexdigest()[:_PRINT_LENGTH]


def _bytes_of(curve: bpy.types.FCurve, all_handles: bool = False) -> bytes:
    """The bytes of a curve that its checksum covers: path, keys, handles, interpolation, modifiers,
    mute."""
    points = curve.keyframe_points
    pieces = [
        f"{curve.data_path}|{curve.array_index}|{len(points)}|{len(curve.modifiers)}|{curve.mute}".encode()
    ]
    parts = (
        ["co", "handle_left", "handle_right"]
        if all_handles
        else ["co", "handle_left_type", "handle_right_type"]
    )
    keys = {part: fcurves.read_part(curve, part) for part in [*parts, "interpolation"]}
    pieces += [values.tobytes() for values in keys.values()]
    for side in () if all_handles else ("handle_left", "handle_right"):
        manual = keyframes.is_manual(keys[side + "_type"][:, 0])
        if manual.any():
            pieces.append(fcurves.read_part(curve, side)[manual].tobytes())
    return b"".join(pieces)


def read(
    rig: head.Rig, channels: tuple[str, ...], clock: Clock, seconds: float, fps: float = FPS
) -> Generator[float, None, Motion]:
    """Read `seconds` of animation from clock.start on. Returns the Motion [T, len(channels)] at
    `fps` frames per second. The scene stays on its frame."""
    values = yield from rescale(read_values(rig, clock, seconds, fps), 0.0, 0.9)
    return replace((yield from rescale(motion_of(rig, values, channels), 0.9, 1.0)), fps=fps)


def read_values(
    rig: head.Rig, clock: Clock, seconds: float, fps: float
) -> Generator[float, None, np.ndarray]:
    """Read the values of a rig's tracks as they are seen. Returns them, [T, tracks].

    From the f-curves if they alone move the face; with an NLA, drivers, constraints or f-curves on
    the bones that something else overrides, as Blender evaluates it.
    """
    frames = clock.frame(motion_times(seconds, fps))
    if _is_from_curves(rig, frames):
        return (yield from _curve_values(rig, map(compat.curves_for, rig.targets), frames))
    return (yield from _scene_values(rig, frames))


def read_quietly(
    rig: head.Rig, channels: tuple[str, ...], clock: Clock, seconds: float
) -> Generator[float, None, Motion | None]:
    """The same from f-curves alone, at 25 fps, without changing Blender's data. Returns None if
    something else moves the face too.

    Of a shown take its curves are read, whatever plays around it.
    """
    frames = clock.frame(motion_times(seconds))
    if display.shown_action(rig) is None and not _is_from_curves(rig, frames):
        return None
    return (yield from read_curves(rig, map(compat.curves_for, rig.targets), channels, frames))


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
        is_covered = animation.action is not None and _covers(animation, frames)
        if len(animation.nla_tracks) > len(base) or (base and not is_covered):
            return False
    armatures = [
        target for target in rig.targets if target.id_type == "OBJECT" and target.type == "ARMATURE"
    ]
    constraints = (len(pose.constraints) for obj in armatures for pose in obj.pose.bones)
    return not any(constraints) and not any(map(rna_paths.has_twins, rig.targets))


def _covers(animation: bpy.types.AnimData, frames: np.ndarray) -> bool:
    """Whether the take that is shown plays on all frames, so that nothing under it is seen."""
    assert animation.action is not None  # it is shown
    first, last = animation.action.frame_range[:]
    return frames[0] >= first - 0.01 and frames[-1] <= last + 0.01


def motion_of(
    rig: head.Rig, values: np.ndarray, channels: tuple[str, ...]
) -> Generator[float, None, Motion]:
    """The motion of a rig's values [T, tracks] as they are seen, read in pieces that each take a
    slice."""
    yield from rescale(rig.driver.prepare(), 0.0, 0.0)
    size, parts = _size(rig), []
    for start in range(0, len(values), size):
        if start:
            yield start / len(values)
        parts.append(rig.driver.read(values[start : start + size], channels))
    return Motion.join(parts)


def read_curves(
    rig: head.Rig, of_targets: Iterable[list], channels: tuple[str, ...], frames: np.ndarray
) -> Generator[float, None, Motion]:
    """Read f-curves (some for each of the rig's targets) at scene frames [T]. Returns the Motion.

    Values that no curve animates are those that are set now.
    """
    values = yield from rescale(_curve_values(rig, of_targets, frames), 0.0, 0.9)
    return (yield from rescale(motion_of(rig, values, channels), 0.9, 1.0))


def _curve_values(
    rig: head.Rig, of_targets: Iterable[list], frames: np.ndarray
) -> Generator[float, None, np.ndarray]:
    """The values by f-curves, as they are seen."""
    curves = fcurves.of_tracks(
        rig, ([curve for curve in of_target if not curve.mute] for of_target in of_targets)
    )
    values = np.empty((len(frames), len(rig.driver.tracks)))
    for index, (track, curve) in enumerate(zip(rig.driver.tracks, curves)):
        values[:, index] = rna_paths.visible_values(
            rig.targets[track.block], track_values(rig, index, curve, frames), track.path
        )
        yield (index + 1) / len(rig.driver.tracks)
    return values


def track_values(
    rig: head.Rig, place: int, curve: bpy.types.FCurve | None, frames: np.ndarray
) -> np.ndarray:
    """Values of a track at scene frames [T]: of its curve, else as it is set now."""
    if curve is not None and (curve.keyframe_points or curve.modifiers or curve.sampled_points):
        return fcurves.evaluate(curve, frames)
    track = rig.driver.tracks[place]
    return np.full(len(frames), rna_paths.value(rig.targets[track.block], track.path, track.index))


def _scene_values(rig: head.Rig, frames: np.ndarray) -> Generator[float, None, np.ndarray]:
    """The values as Blender evaluates them, in a scene apart."""
    scene, targets = bpy.context.scene, set(rig.targets)
    objects = {
        obj for obj in (*targets, rig.mesh, *rig.objects) if isinstance(obj, bpy.types.Object)
    }
    objects |= {
        obj for obj in scene.objects if obj.type == "MESH" and obj.data.shape_keys in targets
    }
    values = np.empty((len(frames), len(rig.driver.tracks)))
    with playback.apart(scene, objects) as other:
        for row, frame in enumerate(frames):
            playback.go_to(other, frame)
            values[row] = rig.evaluate(other.view_layers[0].depsgraph)
            yield (row + 1) / len(frames)
    return values


def frames_of(entry: ThunderTake) -> np.ndarray:
    """The scene frames that a take has keys on, lead in and lead out included, int [S]."""
    return np.arange(entry.first - entry.lead_in, entry.last + entry.lead_out + 1)


def curves_of_tracks(rig: head.Rig, entry: ThunderTake) -> list:
    """The f-curve of each of the rig's tracks in a take, None if it has none."""
    return fcurves.of_tracks(rig, display.curves_of(rig, entry))


def values_at(rig: head.Rig, of_tracks: list, frames: np.ndarray) -> np.ndarray:
    """Values of curves (one for each track, or None) at scene frames [S]: float64 [S, tracks]. A
    track without one rests."""
    result = np.empty((len(frames), len(rig.driver.tracks)))
    for index, (track, curve) in enumerate(zip(rig.driver.tracks, of_tracks)):
        result[:, index] = (
            track.rest if curve is None or curve.mute else fcurves.evaluate(curve, frames)
        )
    return result


def shown_motion(rig: head.Rig, values: np.ndarray, fps: float) -> Generator[float, None, Motion]:
    """Returns the Motion, its columns head.channel_names(), of a rig's values [S, tracks]."""
    shown = np.stack(
        [
            rna_paths.visible_values(rig.targets[track.block], values[:, index], track.path)
            for index, track in enumerate(rig.driver.tracks)
        ],
        axis=1,
    )
    return replace((yield from motion_of(rig, shown, head.channel_names())), fps=fps)


def drive(
    rig: head.Rig, motion: Motion, channels: tuple[str, ...] | None = None
) -> Generator[float, None, np.ndarray]:
    """Returns a rig's values [S, tracks] of a motion. channels: of its columns, None for
    head.channel_names()."""
    parts = []
    size = _size(rig)
    for start in range(0, motion.frames, size):
        parts.append(
            rig.driver.drive(
                motion.part(slice(start, start + size)),
                head.channel_names() if channels is None else channels,
            )
        )
        yield min(1.0, (start + size) / motion.frames)
    return np.concatenate(parts)


def _size(rig: head.Rig) -> int:
    return SLOW_PIECE if rig.driver.is_slow else PIECE
