# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders of a take's shape; writes a take with its shape, and changes the performance under
it: closures of the lips by hand."""

import json
from collections.abc import Callable, Generator
from dataclasses import fields, replace

import bpy
import numpy as np
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty

from ....thunder_core import records
from ....thunder_core.animation import keyframes, layered, timing
from ....thunder_core.errors import BadRequest
from ....thunder_core.face import lip_closures, shaping
from ....thunder_core.face.lips import bundled_lips, TOUCH_MM
from ....thunder_core.face.shaping import Shape
from ....thunder_core.progress import rescale, result
from ....thunder_core.types import in_group, Motion, SPEECH
from ...animation import fcurves, keying
from ...heads import head, rna_paths
from ...host import handlers, jobs
from ...host.session import AddonChanges
from .. import provenance, take_list, track_values
from . import strength
from .stored import (
    Base,
    cached_bases,
    entry_of,
    is_shaped,
    read_shape,
    STATE,
    StoredShape,
    TakeCurves,
)

_CHANGED = 1e-7  # least change of a value that is one


def apply(
    rig: head.Rig, entry, under: StoredShape | None = None, settle: bool = False
) -> Generator[float, None, None]:
    """Write a take's keys with its shape. Nothing is written before the last step.

    A minute on a bundled head takes less than a tenth of a second. under: base and edits to use
    instead of the take's.  settle: edits on a take without a shape become part of its base.
    """
    action = entry.action
    if action is None:
        raise BadRequest(
            f"The action of “{entry.name}” was deleted: generate the take again from seed "
            f"{entry.seed}"
        )
    shape, offset = action.thunder_shape.values(), action.thunder_shape.offset
    neutral = shape.is_neutral and offset == 0.0
    if shape.emotion and strength.strength_curve(rig, entry) is not None:
        neutral = False
    if neutral and not is_shaped(action):
        return
    take = TakeCurves.of(rig, entry)
    under = under or read_shape(take)
    base = yield from rescale(_base(rig, entry, take.curves, under), 0.0, 0.6)
    whole = int(np.round(offset))
    over_time = strength.strength_at(rig, entry, under.frames + whole)
    shaped = shaping.shape_motion(base.motion, head.channel_names(), shape, over_time, base.gap)
    if offset != whole:
        shaped = _delay(shaped, base.gap[:, bundled_lips().middle], offset - whole)
    values = base.values
    if shaped is not base.motion:
        driven = yield from rescale(track_values.drive(rig, shaped), 0.6, 0.9)
        values = base.values + (driven - base.driven)
    _write(take, base, under, values, whole, neutral and (settle or not under.edits))
    entry.curve = take_list.bars(bundled_lips().opening(shaped, head.channel_names()))
    yield 1.0


def _write(
    take: TakeCurves, base: Base, under: StoredShape, values: np.ndarray, shift: int, done: bool
) -> None:
    """Write the curves of a take and the data for undoing its shape; done: there is no shape left
    to undo."""
    entry, edits = take.entry, under.edits
    action = entry.action
    written = values.astype(np.float32)
    # Checked before the keys are written: whether the base equals the sampled take, because some
    # rigs are slow to read.
    plain = STATE not in action and not provenance.is_edited(entry)
    wanted = []
    for place, keys in enumerate(base.keys):
        if place in edits:
            keys = layered.to_absolute(edits[place], base.frames, written[:, place], shift)
        elif keys is not None:
            keys = track_values.shift_values(
                keys, base.frames, base.values[:, place], values[:, place] - base.values[:, place]
            )
            if shift:
                keys = keyframes.move(keys, shift)
        wanted.append(keys)
    for place, (curve, keys) in enumerate(zip(take.curves, wanted)):
        if curve is not None and keys is not None:
            track_values.write(curve, keys, take.now[place])
    entry.first = int(np.floor(base.frames[0])) + entry.lead_in + shift
    entry.last = int(np.ceil(base.frames[-1])) - entry.lead_out + shift
    if done:
        action.pop(STATE, None)
    else:
        if STATE not in action or int(action[STATE]["mark"]) != under.mark[1]:
            action[STATE] = {
                records.KEY: records.VERSION,
                "base": layered.pack(base.keys),
                "first": float(base.frames[0]),
                "count": len(base.frames),
                "mark": under.mark[1],
                "plain": plain,
            }
        state = action[STATE]
        state["shift"], state["strength"] = shift, strength.strength_fingerprint(take.rig, entry)
        # A separate count of edits, because arrays in a file cannot be empty.
        state["edited"] = json.dumps(sorted(edits))
        state["edits"] = layered.pack([edits[place] for place in sorted(edits)]) if edits else {}
        # Handles placed by hand are read back: Blender may have straightened one against the other.
        present_keys = [
            None
            if curve is None
            else keys
            if keys is not None and keyframes.are_automatic(keys)
            else track_values.identify_keys(curve)
            for curve, keys in zip(take.curves, wanted)
        ]
        state["written"], state["prints"] = (
            np.ascontiguousarray(written).ravel(),
            layered.fingerprints_of(present_keys),
        )
    rna_paths.tag(take.rig.targets)


def _delay(motion: Motion, gap: np.ndarray, by: float) -> Motion:
    """A motion a fraction of a frame later, still on whole frames; the frame next to a closed one
    [S, mm] is just as closed."""
    plain = np.clip(np.arange(motion.frames) - by, 0.0, motion.frames - 1.0)
    nearest = np.round(plain).astype(int)
    with_closures = np.where(gap[nearest] <= TOUCH_MM, nearest, plain)
    lips = in_group(head.channel_names(), SPEECH)

    def at(values, position):
        return (
            None
            if values is None
            else timing.monotone_cubic(np.asarray(values, np.float64), position)
        )

    expression = np.where(lips, at(motion.expression, with_closures), at(motion.expression, plain))
    return Motion(
        expression,
        at(motion.jaw, with_closures),
        at(motion.head, plain),
        at(motion.eyes, plain),
        motion.fps,
    )


def change(
    rig: head.Rig, entry, alter: Callable[[Motion, float], tuple[Motion, slice]]
) -> Generator[float, None, None]:
    """Change a take's performance itself, under its shape, by alter(motion, first frame) → (motion,
    rows that changed); yields progress.

    Rows outside keep their keys bit for bit. It sees the take with its edits; where a track
    changes, they become part of the performance.
    """
    take = TakeCurves.of(rig, entry)
    under = read_shape(take)
    keys, edits, frames = under.keys, under.edits, under.frames
    base = yield from rescale(_base(rig, entry, take.curves, under), 0.0, 0.6)
    values, motion, driven = base.values, base.motion, base.driven
    if edits:  # lips are changed as they are seen
        values = _with_edits(base, edits)
        motion = yield from rescale(
            track_values.motion(rig, values, provenance.clock_of_take(entry).fps), 0.6, 0.6
        )
        driven = yield from rescale(track_values.drive(rig, motion), 0.6, 0.6)
    altered, rows = alter(motion, float(frames[0]) + entry.action.thunder_shape.offset)
    part = yield from rescale(track_values.drive(rig, altered.part(rows)), 0.6, 0.6)
    by = part - driven[rows]
    inside = frames[rows]
    changed = list(keys)
    for place in np.flatnonzero(np.abs(by).max(axis=0) > _CHANGED):
        if keys[place] is None:
            continue
        if place in edits:  # they become part of the base where it changes
            touched = np.abs(by[:, place]) > _CHANGED
            by[touched, place] += (values - base.values)[rows][touched, place]
            on = {
                part: values_[~np.isin(np.round(edits[place]["co"][:, 0]), inside[touched])]
                for part, values_ in edits[place].items()
            }
            now = base.values[rows, place] + by[:, place]
            new = layered.to_relative(
                keyframes.on_every_frame(inside[touched].astype(float), now[touched]),
                inside,
                now,
                0,
            )
            both = {part: np.concatenate([on[part], new[part]]) for part in on}
            order = np.argsort(both["co"][:, 0], kind="stable")
            edits[place] = {part: values_[order] for part, values_ in both.items()}
        changed[place] = layered.set_values(
            keys[place], inside, frames, base.values[:, place], by[:, place], rows
        )
    if not is_shaped(entry.action):
        for curve, keys_now, keys_then in zip(take.curves, take.now, changed):
            if curve is not None and keys_then is not keys_now:
                track_values.write(curve, keys_then, keys_now)
        rna_paths.tag(rig.targets)
        entry.curve = take_list.bars(bundled_lips().opening(altered, head.channel_names()))
        yield 1.0
        return
    yield from rescale(
        apply(
            rig,
            entry,
            replace(
                under,
                keys=changed,
                mark=(under.mark[0], layered.fingerprint_of(changed), *under.mark[2:]),
            ),
        ),
        0.6,
        1.0,
    )


def _with_edits(base: Base, edits: dict[int, dict]) -> np.ndarray:
    """The values [S, tracks] of a base with the edits on it."""
    values = base.values.copy()
    for place, edit in edits.items():
        if len(edit["co"]):
            keys = layered.to_absolute(edit, base.frames, base.values[:, place], 0)
            base_values = keyframes.evaluate(keys, base.frames)
            values[:, place] = (
                np.interp(base.frames, keys["co"][:, 0], keys["co"][:, 1])
                if base_values is None
                else base_values
            )
    return values


def _base(rig: head.Rig, entry, curves: list, under: StoredShape) -> Generator[float, None, Base]:
    """Read the base into arrays, cached in the session while it is unchanged. Returns it."""
    if under.mark in cached_bases.known:
        return cached_bases.known[under.mark]
    values = _base_values(rig, under.keys, curves, under.frames)
    motion, drives = _sampled_motion(rig, entry, under.frames), values
    if motion is None:
        motion = yield from rescale(
            track_values.motion(rig, values, provenance.clock_of_take(entry).fps), 0.0, 0.5
        )
        drives = yield from rescale(track_values.drive(rig, motion), 0.5, 1.0)
    lips = bundled_lips()
    base = Base(
        under.frames, under.keys, values, motion, drives, lips.gap(motion, head.channel_names())
    )
    cached_bases.known[under.mark] = base
    return base


def _base_values(rig: head.Rig, keys: list, curves: list, frames: np.ndarray) -> np.ndarray:
    """The values of base keys at their frames; those on every frame are read directly, others
    evaluated by a curve that has them now."""
    result = np.empty((len(frames), len(keys)))
    for index, (track, each) in enumerate(zip(rig.driver.tracks, keys)):
        if each is None or not len(each["co"]):
            result[:, index] = track.rest
        elif track_values.is_on(each, frames):
            result[:, index] = each["co"][:, 1]
        else:
            result[:, index] = _evaluate(each, curves[index], frames)
    return result


def _evaluate(keys: dict, curve, frames: np.ndarray) -> np.ndarray:
    """Values of keys at frames [T], by a curve that has them now or gets them for a moment."""
    if curve is None or np.ptp(keys["co"][:, 1]) == 0:
        return np.interp(frames, keys["co"][:, 0], keys["co"][:, 1])
    now = fcurves.read(curve)
    if layered.fingerprints_of([now])[0] == layered.fingerprints_of([keys])[0]:
        return np.array([curve.evaluate(float(frame)) for frame in frames])
    fcurves.write(curve, keys)
    values = np.array([curve.evaluate(float(frame)) for frame in frames])
    fcurves.write(curve, now)
    fcurves.restore_handles(curve, now)
    return values


def _sampled_motion(rig: head.Rig, entry, frames: np.ndarray) -> Motion | None:
    """The motion that a base was keyed from, if its values are slow to read and were not edited;
    else None."""
    action = entry.action
    plain = (
        not provenance.is_edited(entry)
        if STATE not in action
        else bool(action[STATE].get("plain", False))
    )
    if not rig.driver.is_slow or not plain:
        return None
    performance, clock = provenance.load(action), provenance.clock_of(action)
    return None if performance is None else keying.on_scene_frames(performance, clock, frames)


def close_lips(rig: head.Rig, entry, frame: float) -> Generator[float, None, None]:
    """Close the lips of a take at a scene frame; yields progress. Raises BadRequest outside the
    take."""
    _check_frame(entry, frame)
    yield from change(
        rig,
        entry,
        lambda motion, first: lip_closures.close(motion, head.channel_names(), frame - first),
    )


def open_lips(rig: head.Rig, entry, frame: float) -> Generator[float, None, None]:
    """Remove the closure at a scene frame; yields progress. Raises BadRequest if there is none."""
    _check_frame(entry, frame)
    yield from change(
        rig,
        entry,
        lambda motion, first: lip_closures.part_lips(motion, head.channel_names(), frame - first),
    )


def _check_frame(entry, frame: float) -> None:
    if not entry.first <= frame <= entry.last:
        raise BadRequest(
            f"Frame {frame:g} is outside the take: go to one of its frames {entry.first} to "
            f"{entry.last}"
        )


_addon_changes = AddonChanges()


def _on_slider_moved(self, context) -> None:
    """A slider was moved."""
    if not _addon_changes.active:
        jobs.pop_up_errors(lambda: follow(entry_of(self.id_data)))


def follow(entry, settle: bool = False) -> None:
    """Write a take with its shape at once; if that takes longer, its operator does it shortly
    afterwards, in slices.

    settle: edits become part of the base if the sliders are neutral.
    """
    rig = take_list.rig_of(entry.id_data, entry)
    if rig.driver.is_slow and not bpy.app.background:
        strength.update.start(strength.UPDATE_SECONDS)
    else:
        result(apply(rig, entry, settle=settle))


def _intensity(name: str, about: str):
    """The property of one slider."""
    return FloatProperty(
        name=name,
        default=1.0,
        min=0.0,
        max=shaping.MOST,
        step=5,
        subtype="FACTOR",
        update=_on_slider_moved,
        description=about,
    )


class ThunderShape(bpy.types.PropertyGroup):
    """The shape of a take; on its first action, so that it is copied with the take."""

    mouth: _intensity("Mouth", "How strongly lips, cheeks and tongue move; closed lips stay closed")
    jaw: _intensity("Jaw", "How far the jaw opens; closed lips stay closed")
    upper_face: _intensity("Upper Face", "How strongly brows, lids and nose move")
    head: _intensity("Head", "How far the head moves")
    blinks: _intensity("Blinks", "How far blinks close the eyes")
    smoothing: IntProperty(
        name="Smooth",
        default=0,
        min=0,
        max=12,
        update=_on_slider_moved,
        description="Smooth movement over this many frames on either side. Closed lips stay "
        "closed, blinks stay quick",
    )
    offset: FloatProperty(
        name="Offset",
        default=0.0,
        soft_min=-12.0,
        soft_max=12.0,
        min=-1000.0,
        max=1000.0,
        step=10,
        precision=2,
        update=_on_slider_moved,
        description="Play the take this many frames later, or earlier if negative",
    )
    emotion: EnumProperty(
        name="Emotion",
        update=_on_slider_moved,
        description="Emotion on top of the take",
        items=[
            ("NONE", "No Emotion", "No emotion on top of the take"),
            *(
                (name, name.title(), f"{name.title()} on top of the take")
                for name in shaping.EMOTIONS
            ),
        ],
    )
    strength: FloatProperty(
        name="Strength",
        default=0.5,
        min=0.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
        update=_on_slider_moved,
        description="Strength of the emotion in the whole take",
    )

    def values(self) -> Shape:
        """The shape as the core knows it, without the offset."""
        return Shape(
            self.mouth,
            self.jaw,
            self.upper_face,
            self.head,
            self.blinks,
            self.smoothing,
            "" if self.emotion == "NONE" else self.emotion,
            self.strength,
        )


def forget(action) -> None:
    """Remove the data of a take's shape from an action that is no longer a take; its keys stay
    unchanged."""
    action.pop(STATE, None)
    _unset(action.thunder_shape)


def reset(entry) -> None:
    """Reset all sliders of a take to neutral, and its keys accordingly."""
    _unset(entry.action.thunder_shape)
    follow(entry, settle=True)


def _unset(shape) -> None:
    """Put all sliders back to their defaults, without writing the take."""
    with _addon_changes:
        for name in (*(field.name for field in fields(Shape)), "offset"):
            shape.property_unset(name)


register, unregister = handlers.registration(
    properties=((bpy.types.Action, "thunder_shape", PointerProperty(type=ThunderShape)),)
)
