# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a take: its sliders, the record of it in the take's action, and how it is written;
and changes of the performance under it: closures of the lips by hand.

The record holds the base under the shape, the edits on it, and the values written last."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

import bpy
import numpy as np

from ....thunder_core import records
from ....thunder_core.animation import keyframes, timing
from ....thunder_core.errors import attempt, BadRequest
from ....thunder_core.face.moving import lips, shaping
from ....thunder_core.progress import rescale, result
from ....thunder_core.types import in_group, Motion, SPEECH, TOUCH_MM
from ...animation import display, fcurves, keying
from ...heads import head, rna_paths
from ...host import compat, jobs
from ...host.prop import EnumProperty, FloatProperty, IntProperty
from .. import take_list, take_record

if TYPE_CHECKING:
    from ...properties.settings import ThunderTake


# property of the first action of a shaped take: its base, its edits and the values written last
STATE = "thunder_shaped"


@dataclass(frozen=True)
class TakeCurves:
    """A take's current state: curve and key data of each of the rig's tracks, None if it has
    none."""

    rig: head.Rig
    entry: ThunderTake
    curves: list
    now: list

    @classmethod
    def of(cls, rig: head.Rig, entry: ThunderTake) -> "TakeCurves":
        """The curves of a take and their keys as they are now."""
        curves = keying.curves_of_tracks(rig, entry)
        return cls(
            rig,
            entry,
            curves,
            [None if curve is None else fcurves.identify_keys(curve) for curve in curves],
        )


@dataclass(frozen=True)
class Base:
    """A take without its shape, read into arrays.

    frames [S].  keys: of each track, None if it has no curve.  values [S, tracks] and motion [S]:
    by these keys. driven [S, tracks]: values that the rig computes from the motion.  gap [S, P]:
    along the lips, millimetres.
    """

    frames: np.ndarray
    keys: list
    values: np.ndarray
    motion: Motion
    driven: np.ndarray
    gap: np.ndarray


cached_bases = jobs.session.add(
    jobs.Memory(jobs.Recent(4))
)  # bases that were read into arrays, by their mark


@dataclass(frozen=True)
class StoredShape:
    """A take without its shape.

    keys: of each track, None if it has no curve.  edits: by track, as distances
    (thunder_core/animation/keyframes.py). frames [S]: of the base.  mark: identifies the base.
    """

    keys: list
    edits: dict[int, dict]
    frames: np.ndarray
    mark: tuple


def is_shaped(action: bpy.types.Action) -> bool:
    """Whether a take differs from its base."""
    return STATE in action


def entry_of(action: bpy.types.Action):
    """The list entry of an action's take. Raises BadRequest."""
    entry = take_list.in_any_scene(action.session_uid)
    if entry is None:
        raise BadRequest(
            f"“{action.name}” is not in a list of takes: show a listed take to shape it"
        )
    return entry


def read_shape(take: TakeCurves) -> StoredShape:
    """Stored data of a take and its shape.

    Keys changed since they were written become edits: their difference from the written values.
    Raises BadRequest.
    """
    entry = take.entry
    if not is_shaped(entry.action):
        return StoredShape(
            [None if curve is None else fcurves.read(curve) for curve in take.curves],
            {},
            keying.frames_of(entry),
            (entry.action.session_uid, keyframes.fingerprint_of(take.now), entry.first, entry.last),
        )
    try:
        return _read(take, entry.action[STATE])
    except records.UNREADABLE as error:
        raise BadRequest(
            f"The record of the shape of “{entry.name}” is damaged: commit the take as it is, or "
            f"sample it again"
        ) from error


def _read(take: TakeCurves, state: dict) -> StoredShape:
    """The same from the record of a shape. Raises BadRequest, or one of records.UNREADABLE."""
    entry, now = take.entry, take.now
    if not records.is_readable(state):
        raise BadRequest(
            f"“{entry.name}” was shaped with a later version of Thunder: update Thunder to change "
            f"its shape"
        )
    first, count, shift = float(state["first"]), int(state["count"]), int(state["shift"])
    if len(state["written"]) != count * len(now) or not abs(first) <= records.LARGEST:
        raise ValueError("values are missing")
    times = first + np.arange(count)
    mark = (entry.action.session_uid, int(state["mark"]), first, first + count)
    base = cached_bases.known.get(mark)
    base_keys = keyframes.unpack(state["base"]) if base is None else base.keys
    edited_tracks = json.loads(state["edited"])
    edits = dict(zip(edited_tracks, keyframes.unpack(state["edits"]))) if edited_tracks else {}
    if len(base_keys) != len(now) or not all(
        isinstance(place, int) and 0 <= place < len(now) for place in edits
    ):
        raise ValueError("it is of other tracks")
    changed = np.flatnonzero(keyframes.fingerprints_of(now) != np.array(state["prints"], np.int32))
    if len(changed):
        written = np.array(state["written"], np.float32).reshape(count, -1).astype(np.float64)
    for place in changed:
        if now[place] is None:
            edits[int(place)] = {
                part: np.zeros((0, length), np.float64)
                for part, (_, length) in keyframes.PARTS.items()
            }
        else:
            edits[int(place)] = keyframes.to_relative(
                fcurves.read(take.curves[place]), times, written[:, place], shift
            )
    return StoredShape(base_keys, edits, times, mark)


# property of a rig's first data-block: strength of the emotion, which a curve can animate
STRENGTH = "thunder_emotion"
# delay from a change of a slider until the take is written, if not at once
UPDATE_SECONDS = 0.3


def strength_curve(rig: head.Rig, entry: ThunderTake):
    """The curve of a take's emotion over time, None if it has none."""
    return next(
        (
            each
            for each in display.curves_of(rig, entry)[0]
            if each.data_path == STRENGTH and not each.mute and len(each.keyframe_points)
        ),
        None,
    )


def animate_strength(rig: head.Rig, entry: ThunderTake) -> None:
    """Give a take's emotion a curve over time: it grows from nothing at the first frame to its
    strength at the last."""
    if strength_curve(rig, entry) is not None:
        return
    strength = entry.action.thunder_shape.strength
    curve = compat.new_curve(_strength_curves(rig, entry), STRENGTH, 0, "Thunder Emotion")
    ends = np.array([entry.first, entry.last], np.float64)
    fcurves.write(curve, keyframes.on_every_frame(ends, np.array([0.0, strength])))
    setattr(rig.targets[0], STRENGTH, strength)


def remove_strength_curve(rig: head.Rig, entry: ThunderTake) -> None:
    """Remove the curve over time: the emotion has the slider's strength all along."""
    curves = _strength_curves(rig, entry)
    curve = curves.find(STRENGTH)
    if curve is not None:
        curves.remove(curve)


def _strength_curves(rig: head.Rig, entry: ThunderTake):
    """The curves of a take that one of its emotion is among."""
    action, slot = display.part_of(display.actions_of(entry), rig, 0)
    return compat.curves_in(action, rig.targets[0], slot)


def strength_fingerprint(rig: head.Rig, entry: ThunderTake) -> int:
    """Fingerprint of the curve of a take's emotion, 0 for none."""
    curve = strength_curve(rig, entry)
    return 0 if curve is None else int(keyframes.fingerprints_of([fcurves.read(curve)])[0])


def is_outdated(rig: head.Rig, entry: ThunderTake) -> bool:
    """Whether a take is older than the curve of its emotion's strength."""
    if entry.action.thunder_shape.emotion == "NONE":
        return False
    state = entry.action.get(STATE)
    return (0 if state is None else int(state["strength"])) != strength_fingerprint(rig, entry)


# Writes the shown take shortly afterwards, when nothing else is being dragged. The step is set by
# operators/shown_take.py: a timer's changes are no undo step, an operator's are.
update = jobs.Task(lambda: None, any_time=True)


def _newer_strength(scene: bpy.types.Scene) -> int | None:
    """Fingerprint of the curve of the shown take's emotion that the take does not follow yet, None
    if there is none."""
    entry = take_list.shown_take(scene.thunder)
    # cheap: this runs at every edit
    if entry is None or entry.action.thunder_shape.emotion == "NONE":
        return None
    rig, _ = attempt(take_list.rig_of, scene, entry)
    return strength_fingerprint(rig, entry) if rig and is_outdated(rig, entry) else None


class _EmotionWatch(jobs.Part):
    """Lets the shown take follow the edited curve of its emotion, but not one that an undo has made
    newer than the take: the update is an undo step, and would follow each undo.

    from_undo: the fingerprint of that curve."""

    from_undo: int | None = None

    def actions_edited(self, scene: bpy.types.Scene, uids: set[int]) -> None:
        if not bpy.app.background and _newer_strength(scene) not in (None, self.from_undo):
            update.start(UPDATE_SECONDS)

    def undone(self) -> None:
        self.from_undo = _newer_strength(bpy.context.scene)


jobs.session.add(_EmotionWatch())

# What moves the strength: on the data-blocks animated by a take's first action, so that its curve
# is one of the take.
PROPERTY = bpy.props.FloatProperty(
    name="Emotion",
    default=0.5,
    min=0.0,
    max=1.0,
    subtype="FACTOR",
    description="Strength of the take's emotion at this frame. It can be keyed",
)


_CHANGED = 1e-7  # least change of a value that is one


def apply(
    rig: head.Rig, entry: ThunderTake, under: StoredShape | None = None, settle: bool = False,
    moved: float = 0.0,
) -> Generator[float, None, None]:  # fmt: skip
    """Write a take's keys with its shape, all at once after the last step: closed early, it has
    written nothing.

    A minute on a bundled head takes less than a tenth of a second. under: base and edits to use
    instead of the take's.  settle: edits on a take without a shape become part of its base.
    moved: frames by which all its keys move along first, as `under` was moved.
    """
    action = entry.action
    shape, offset = action.thunder_shape.values(), action.thunder_shape.offset
    curve = strength_curve(rig, entry)
    neutral = shape.is_neutral and offset == 0.0 and not (shape.emotion and curve is not None)
    if neutral and not is_shaped(action):
        return
    take = TakeCurves.of(rig, entry)
    under = under or read_shape(take)
    base = yield from rescale(_base(rig, entry, under), 0.0, 0.6)
    whole = int(np.round(offset))
    over_time = None  # the strength of the emotion is the same all along
    if curve is not None:
        over_time = np.clip(fcurves.evaluate(curve, under.frames + whole - moved), 0.0, 1.0)
    shaped = shaping.shape_motion(base.motion, head.channel_names(), shape, over_time, base.gap)
    if offset != whole:
        shaped = _delay(shaped, base.gap[:, lips.bundled_lips().middle], offset - whole)
    values = base.values
    if shaped is not base.motion:
        driven = yield from rescale(keying.drive(rig, shaped), 0.6, 0.9)
        values = rig.driver.settle(base.frames, _changed(rig, base.values, base.driven, driven))
    if moved:
        _shift(entry, moved)
        take = TakeCurves.of(rig, entry)
    _write(take, base, under, values, whole, neutral and (settle or not under.edits))


def _changed(rig: head.Rig, values: np.ndarray, driven: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Values [S, tracks] changed as what a motion drives is; the number of a drawing becomes that
    of another one."""
    steps = rig.driver.steps
    return np.where(steps & (now != driven), now, values + np.where(steps, 0.0, now - driven))


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
    plain = STATE not in action and not take_record.is_edited(entry)
    wanted = []
    for place, keys in enumerate(base.keys):
        if place in edits:
            keys = keyframes.to_absolute(edits[place], base.frames, written[:, place], shift)
        elif keys is not None:
            by = values[:, place] - base.values[:, place]
            if take.rig.driver.tracks[place].steps and by.any():
                keys = keyframes.as_steps(keyframes.on_every_frame(base.frames, values[:, place]))
            else:
                keys = fcurves.shift_values(keys, base.frames, base.values[:, place], by)
            if shift:
                keys = keyframes.move(keys, shift)
        wanted.append(keys)
    for place, (curve, keys) in enumerate(zip(take.curves, wanted)):
        if curve is not None and keys is not None:
            fcurves.write_changes(curve, keys, take.now[place])
    entry.first = int(np.floor(base.frames[0])) + entry.lead_in + shift
    entry.last = int(np.ceil(base.frames[-1])) - entry.lead_out + shift
    if done:
        action.pop(STATE, None)
    else:
        if STATE not in action or int(action[STATE]["mark"]) != under.mark[1]:
            action[STATE] = {
                records.KEY: records.VERSION,
                "base": keyframes.pack(base.keys),
                "first": float(base.frames[0]),
                "count": len(base.frames),
                "mark": under.mark[1],
                "plain": plain,
            }
        state = action[STATE]
        state["shift"], state["strength"] = shift, strength_fingerprint(take.rig, entry)
        # A separate count of edits, because arrays in a file cannot be empty.
        state["edited"] = json.dumps(sorted(edits))
        state["edits"] = keyframes.pack([edits[place] for place in sorted(edits)]) if edits else {}
        # Handles placed by hand are read back: Blender may have straightened one against the other.
        present_keys = [
            None
            if curve is None
            else keys
            if keys is not None and keyframes.are_automatic(keys)
            else fcurves.identify_keys(curve)
            for curve, keys in zip(take.curves, wanted)
        ]
        state["written"], state["prints"] = (
            np.ascontiguousarray(written).ravel(),
            keyframes.fingerprints_of(present_keys),
        )
    rna_paths.tag(take.rig.targets)


def _delay(motion: Motion, gap: np.ndarray, by: float) -> Motion:
    """A motion a fraction of a frame later, still on whole frames; the frame next to a closed one
    [S, mm] is just as closed."""
    plain = np.clip(np.arange(motion.frames) - by, 0.0, motion.frames - 1.0)
    nearest = np.round(plain).astype(int)
    with_closures = np.where(gap[nearest] <= TOUCH_MM, nearest, plain)
    of_lips = in_group(head.channel_names(), SPEECH)

    def at(values: np.ndarray | None, position: np.ndarray):
        return (
            None
            if values is None
            else timing.monotone_cubic(np.asarray(values, np.float64), position)
        )

    return Motion(
        np.where(of_lips, at(motion.expression, with_closures), at(motion.expression, plain)),
        at(motion.jaw, with_closures),
        at(motion.head, plain),
        at(motion.eyes, plain),
        motion.fps,
    )


def move(rig: head.Rig, entry: ThunderTake, frames: float) -> Generator[float, None, None]:
    """Move all keys of a take, with the base and the edits of its shape, so that the sliders keep
    working; yields progress, and writes all at once after it."""
    if not is_shaped(entry.action):
        _shift(entry, frames)
        return
    under = read_shape(TakeCurves.of(rig, entry))
    keys = [None if each is None else keyframes.move(each, frames) for each in under.keys]
    edits = {place: keyframes.move(each, frames) for place, each in under.edits.items()}
    times = under.frames + frames
    first = float(times[0])
    mark = under.mark[0], keyframes.fingerprint_of(keys), first, first + len(times)
    yield from apply(rig, entry, StoredShape(keys, edits, times, mark), moved=frames)


def _shift(entry: ThunderTake, frames: float) -> None:
    """Move all keys of a take."""
    for action in display.actions_of(entry):
        compat.shift(action, frames)


def change_lips(
    alter: Callable[[Motion, Sequence[str], float], tuple[Motion, slice]],
    rig: head.Rig,
    entry: ThunderTake,
    frame: float,
) -> Generator[float, None, None]:
    """Change a take's performance itself, under its shape, at a scene frame, by alter(motion,
    channels, index of the frame) → (motion, rows that changed); yields progress. Raises BadRequest,
    also outside the take.

    Rows outside keep their keys bit for bit. It sees the take with its edits, which become part of
    the performance.
    """
    if not entry.first <= frame <= entry.last:
        raise BadRequest(
            f"Frame {frame:g} is outside the take: go to one of its frames {entry.first} to "
            f"{entry.last}"
        )
    take = TakeCurves.of(rig, entry)
    under = read_shape(take)
    base = yield from rescale(_base(rig, entry, under), 0.0, 0.6)
    if under.edits:
        keys = [
            keyframes.to_absolute(under.edits[place], base.frames, base.values[:, place], 0)
            if place in under.edits
            else each
            for place, each in enumerate(under.keys)
        ]
        under = replace(under, keys=keys, edits={})
        values = _base_values(rig, keys, under.frames)
        base = yield from rescale(_driven(rig, entry, under, values), 0.6, 0.6)
    first = float(under.frames[0]) + entry.action.thunder_shape.offset
    altered, rows = alter(base.motion, head.channel_names(), frame - first)
    part = yield from rescale(keying.drive(rig, altered.part(rows)), 0.6, 0.6)
    by = _changed(rig, base.values[rows], base.driven[rows], part) - base.values[rows]
    changed = list(under.keys)
    for place in np.flatnonzero(np.abs(by).max(axis=0) > _CHANGED):
        if changed[place] is not None and len(changed[place]["co"]):
            changed[place] = keyframes.set_values(
                changed[place],
                under.frames[rows],
                under.frames,
                base.values[:, place],
                by[:, place],
                rows,
            )
            if rig.driver.tracks[place].steps:
                changed[place] = keyframes.as_steps(changed[place])
    if is_shaped(entry.action):
        mark = (under.mark[0], keyframes.fingerprint_of(changed), *under.mark[2:])
        yield from rescale(apply(rig, entry, replace(under, keys=changed, mark=mark)), 0.6, 1.0)
        return
    for curve, keys_now, keys_then in zip(take.curves, take.now, changed):
        if curve is not None and keys_then is not keys_now:
            fcurves.write_changes(curve, keys_then, keys_now)
    rna_paths.tag(rig.targets)


close_lips, round_lips, open_lips = (
    partial(change_lips, alter) for alter in (lips.close, lips.round_lips, lips.part_lips)
)


def _base(rig: head.Rig, entry: ThunderTake, under: StoredShape) -> Generator[float, None, Base]:
    """Read the base into arrays, cached in the session while it is unchanged. Returns it."""
    if under.mark in cached_bases.known:
        return cached_bases.known[under.mark]
    values = _base_values(rig, under.keys, under.frames)
    base = yield from _driven(rig, entry, under, values, _sampled_motion(rig, entry, under.frames))
    cached_bases.known[under.mark] = base
    return base


def _driven(
    rig: head.Rig,
    entry: ThunderTake,
    under: StoredShape,
    values: np.ndarray,
    motion: Motion | None = None,
) -> Generator[float, None, Base]:
    """The base with these values of its keys; the motion is read from them unless it is given."""
    drives, is_known = values, motion is not None and not rig.driver.leads
    if motion is None:
        motion = yield from rescale(
            keying.shown_motion(rig, values, take_record.clock_of_take(entry).fps), 0.0, 0.5
        )
    if not is_known:  # own mouths are in the keys, not in what the motion drives
        drives = yield from rescale(keying.drive(rig, motion), 0.5, 1.0)
    gap = lips.bundled_lips().gap(motion, head.channel_names())
    return Base(under.frames, under.keys, values, motion, drives, gap)


def _base_values(rig: head.Rig, keys: list, frames: np.ndarray) -> np.ndarray:
    """The values of base keys at their frames."""
    result = np.empty((len(frames), len(keys)))
    for index, (track, each) in enumerate(zip(rig.driver.tracks, keys)):
        if each is None or not len(each["co"]):
            result[:, index] = track.rest
        elif fcurves.is_on(each, frames):
            result[:, index] = each["co"][:, 1]
        else:
            result[:, index] = fcurves.evaluate_keys(each, rig.targets[track.block], frames)
    return result


def _sampled_motion(rig: head.Rig, entry: ThunderTake, frames: np.ndarray) -> Motion | None:
    """The motion that a base was keyed from, if its values are slow to read and were not edited;
    else None."""
    action = entry.action
    plain = (
        not take_record.is_edited(entry)
        if STATE not in action
        else bool(action[STATE].get("plain", False))
    )
    if not (rig.driver.is_slow or rig.driver.is_drawn) or not plain:
        return None
    performance, clock = take_record.load(action), take_record.clock_of(action)
    return None if performance is None else keying.on_scene_frames(performance, clock, frames)


_addon_changes = jobs.AddonChanges()


def _on_slider_moved(self: ThunderShape, context: bpy.types.Context) -> None:
    """A slider was moved."""
    if not _addon_changes.active:
        jobs.pop_up_errors(lambda: follow(entry_of(self.id_data)))


def follow(entry: ThunderTake, settle: bool = False) -> None:
    """Write a take with its shape at once; if that takes longer, its operator does it shortly
    afterwards, in slices.

    settle: edits become part of the base if the sliders are neutral.
    """
    rig = take_list.rig_of(entry.id_data, entry)
    if rig.driver.is_slow and not bpy.app.background:
        update.start(UPDATE_SECONDS)
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

    mouth: float = _intensity(
        "Mouth", "How strongly lips, cheeks and tongue move; closed lips stay closed"
    )
    jaw: float = _intensity("Jaw", "How far the jaw opens; closed lips stay closed")
    upper_face: float = _intensity("Upper Face", "How strongly brows, lids and nose move")
    head: float = _intensity("Head", "How far the head moves")
    blinks: float = _intensity("Blinks", "How far blinks close the eyes")
    smoothing: int = IntProperty(
        name="Smooth",
        default=0,
        min=0,
        max=12,
        update=_on_slider_moved,
        description="Smooth movement over this many frames on either side. Closed lips stay "
        "closed, blinks stay quick",
    )
    offset: float = FloatProperty(
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
    emotion: str = EnumProperty(
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
    strength: float = FloatProperty(
        name="Strength",
        default=0.5,
        min=0.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
        update=_on_slider_moved,
        description="Strength of the emotion in the whole take",
    )

    def values(self) -> shaping.TakeShape:
        """The shape as the core knows it, without the offset. Raises BadRequest for an emotion that
        this version does not know, without which its keys would be others."""
        if not self.emotion:
            name, emotion = self.id_data.name, self.get("emotion")
            raise BadRequest(
                f"The emotion of “{name}” is not known on this machine (its number is {emotion}): "
                f"choose another in Shape"
            )
        return shaping.TakeShape(
            self.mouth,
            self.jaw,
            self.upper_face,
            self.head,
            self.blinks,
            self.smoothing,
            "" if self.emotion == "NONE" else self.emotion,
            self.strength,
        )


def remove_data(action: bpy.types.Action) -> None:
    """Remove the data of a take's shape from an action that is no longer a take; its keys stay
    unchanged."""
    action.pop(STATE, None)
    _unset(action.thunder_shape)


def reset(entry: ThunderTake) -> None:
    """Reset all sliders of a take to neutral, and its keys accordingly."""
    _unset(entry.action.thunder_shape)
    follow(entry, settle=True)


def _unset(shape: ThunderShape) -> None:
    """Put all sliders back to their defaults, without writing the take."""
    with _addon_changes:
        for name in (*(field.name for field in fields(shaping.TakeShape)), "offset"):
            shape.property_unset(name)


register, unregister = jobs.registration(
    properties=(
        (bpy.types.Object, STRENGTH, PROPERTY),
        (bpy.types.Key, STRENGTH, PROPERTY),
        (bpy.types.Action, "thunder_shape", bpy.props.PointerProperty(type=ThunderShape)),
    )
)
