# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a take: sliders that make it stronger, smoother, later or sadder while every edit of its keys is kept.

A shaped take keeps its base: the keys it had, as they were. Its curves are the base under the shape, written anew whenever
a slider moves. Keys that the animator edits meanwhile lie on top: they keep their distance from the shaped curve wherever
the sliders go, and come back bit for bit when the sliders do. With all sliders where they were the base itself is back, and
unless edits lie on it nothing is stored any more. Emotion is baked like the rest: a driver would take the channel's keys
away from the animator, and a layer above the take would have to be committed with it. Its strength over time is a curve of
the take's own action.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, fields

import bpy
import numpy as np
from bpy.props import EnumProperty, FloatProperty, IntProperty, PointerProperty

from ...thunder_core import records
from ...thunder_core.animation import keyframes, timing
from ...thunder_core.channels import in_group, SPEECH
from ...thunder_core.errors import BadRequest, ThunderError
from ...thunder_core.face import shaping
from ...thunder_core.face.lips import bundled_lips, TOUCH_MM
from ...thunder_core.face.shaping import Shape
from ...thunder_core.progress import result, scaled
from ...thunder_core.recent import Recent
from ...thunder_core.types import Motion
from ..animation import display, fcurves, keying
from ..heads import head
from ..host import compat, handlers, idle, jobs
from ..host.own_changes import OwnChanges
from ..host.session import Part, session
from . import provenance, take_list, track_values

STATE = "thunder_shaped"  # of a take's first action, while it has a shape: its base, its edits, what was written last
STRENGTH = "thunder_emotion"  # of the first of a rig's data-blocks: how strong the emotion is, for a curve over time
_PACKED = tuple(keyframes.PARTS)
UPDATE_SECONDS = 0.3  # from a slider or an edited curve until the take is written, where that is not done at once
_KEPT_BASES = 4  # of a session, read into arrays
_own_changes = OwnChanges()  # of the sliders


class _Known(Part):
    """bases: as they were read, by what tells one from others.  left_behind: by the session id of an action that undo has put
    behind its strength curve, what that curve was."""

    def __init__(self):
        self.bases: Recent[tuple, Base] = Recent(_KEPT_BASES)
        self.left_behind: dict[int, int] = {}

    def close(self) -> None:
        self.bases.clear()
        self.left_behind.clear()


_known = session.add(_Known())


# ---- the sliders


def _moved(self, context) -> None:
    """A slider was moved."""
    if _own_changes.active:
        return
    try:
        follow(_entry_of(self.id_data))
    except ThunderError as error:
        if bpy.app.background:
            raise
        jobs.complain(str(error))


def follow(entry, settle: bool = False) -> None:
    """Write a take as its sliders say, at once; where that takes longer its operator does it in a moment, in slices.

    settle: edits become part of the base where the sliders change nothing.
    """
    rig = take_list.rig_of(entry.id_data, entry)
    if rig.driver.is_slow and not bpy.app.background:
        update.start(UPDATE_SECONDS)
    else:
        result(apply(rig, entry, settle=settle))


def _intensity(name: str, about: str):
    return FloatProperty(name=name, default=1.0, min=0.0, max=shaping.MOST, step=5, subtype="FACTOR", update=_moved, description=about)


class ThunderShape(bpy.types.PropertyGroup):
    """How a take is shaped; on its first action, so that it goes with the take."""

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
        update=_moved,
        description="Frames to either side over which movement is smoothed; closed lips stay closed, blinks stay quick",
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
        update=_moved,
        description="Frames by which the take plays later, or earlier below zero",
    )
    emotion: EnumProperty(
        name="Emotion",
        update=_moved,
        description="Emotion on top of the take",
        items=[
            ("NONE", "No Emotion", "No emotion on top of the take"),
            *((name, name.title(), f"{name.title()} on top of the take") for name in shaping.EMOTIONS),
        ],
    )
    strength: FloatProperty(
        name="Strength",
        default=0.5,
        min=0.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
        update=_moved,
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


def _entry_of(action):
    for scene in bpy.data.scenes:
        for entry in scene.thunder.takes:
            if entry.action == action:
                return entry
    raise BadRequest(f"“{action.name}” is not in a list of takes: show a listed take to shape it")


def is_shaped(action) -> bool:
    """Whether a take is not as its base is."""
    return STATE in action


def forget(action) -> None:
    """Drop what an action that is no take (any more) carries of a take's shape; its keys stay as they are."""
    if STATE in action:
        del action[STATE]
    _unset(action.thunder_shape)


def reset(entry) -> None:
    """Put all sliders of a take back where they change nothing, and its keys with them."""
    _unset(entry.action.thunder_shape)
    follow(entry, settle=True)


def _unset(shape) -> None:
    with _own_changes:
        for name in (*(field.name for field in fields(Shape)), "offset"):
            shape.property_unset(name)


# ---- the strength of an emotion over time


def strength_curve(rig: head.Rig, entry):
    """The curve of a take that says how strong its emotion is over time, None where it has none."""
    action, slot = display.part_of(display.actions_of(entry), rig, 0)
    if action is None:
        return None
    return next(
        (
            curve
            for curve in compat.curves_of(action, slot)
            if curve.data_path == STRENGTH and not curve.mute and len(curve.keyframe_points)
        ),
        None,
    )


def animate_strength(rig: head.Rig, entry) -> None:
    """Give a take's emotion a curve over time: one key at either end, as strong as it is now."""
    if strength_curve(rig, entry) is not None:
        return
    action, slot = display.part_of(display.actions_of(entry), rig, 0)
    if action is None:
        raise BadRequest(f"The action of “{entry.name}” was deleted: generate the take again from seed {entry.seed}")
    strength = entry.action.thunder_shape.strength
    curve = compat.new_curve(compat.curves_in(action, rig.targets[0], slot), STRENGTH, 0, "Thunder Emotion")
    ends = np.array([entry.first, entry.last], np.float64)
    fcurves.write(curve, keyframes.on_every_frame(ends, np.full(2, strength)))
    setattr(rig.targets[0], STRENGTH, strength)


def still_strength(rig: head.Rig, entry) -> None:
    """Take the curve over time away: the emotion is as strong as the slider says, all along."""
    action, slot = display.part_of(display.actions_of(entry), rig, 0)
    curves = compat.curves_in(action, rig.targets[0], slot)
    curve = curves.find(STRENGTH)
    if curve is not None:
        curves.remove(curve)


def _strength(rig: head.Rig, entry, frames: np.ndarray) -> np.ndarray | None:
    curve = strength_curve(rig, entry)
    return None if curve is None else np.clip(track_values.at(curve, frames), 0.0, 1.0)


# ---- base and edits, as they are stored


@dataclass(frozen=True)
class Base:
    """A take as it is without its shape.

    frames [S].  keys: of each track, None where it has no curve.  values [S, tracks] and motion [S]: what they say.
    driven [S, tracks]: what the rig makes of the motion.  gap [S, P]: of the lips, all along, millimetres.
    """

    frames: np.ndarray
    keys: list
    values: np.ndarray
    motion: Motion
    driven: np.ndarray
    gap: np.ndarray


def _pack(keys: list) -> dict:
    """Keys of all tracks as flat arrays; what is the same in all of them is stored once."""
    counts = np.array([-1 if each is None else len(each["co"]) for each in keys], np.int32)
    packed = {"counts": counts}
    there = [each for each in keys if each is not None]
    for part in _PACKED:
        kind, length = keyframes.PARTS[part]
        kind = there[0][part].dtype if there else kind  # edits are in double precision
        whole = np.concatenate([each[part].ravel() for each in there]) if there else np.zeros(0, kind)
        if len(whole) > 1 and (whole == whole[0]).all():
            whole = whole[:1]
        packed[part] = np.ascontiguousarray(whole)
    return packed


def _unpack(packed) -> list:
    counts = np.array(packed["counts"], np.int32)
    ends = np.cumsum(np.maximum(counts, 0))
    total = int(ends[-1]) if len(ends) else 0
    parts = {}
    for part in _PACKED:
        length, whole = keyframes.PARTS[part][1], np.array(packed[part])
        parts[part] = (np.full(total * length, whole[0]) if len(whole) == 1 else whole).reshape(total, length)
    return [None if count < 0 else {part: parts[part][end - count : end] for part in _PACKED} for count, end in zip(counts, ends)]


def _prints(keys: list) -> np.ndarray:
    """A fingerprint of the keys of each track, int32 [tracks]; handles that Blender places itself are not of it."""
    prints = np.zeros(len(keys), np.uint32)
    for place, each in enumerate(keys):
        if each is not None:
            crc = 1
            for part in ("co", "interpolation", "handle_left_type", "handle_right_type"):
                crc = zlib.crc32(np.ascontiguousarray(each[part]), crc)
            for side in ("handle_left", "handle_right"):
                free = track_values.by_hand(each[side + "_type"][:, 0])
                if free.any():
                    crc = zlib.crc32(np.ascontiguousarray(each[side][free]), crc)
            prints[place] = crc
    return prints.view(np.int32)


def shift(action, frames: float) -> None:
    """Prepare a shaped take for its keys being moved by so many frames: to be called before they are.

    What it is without its shape, and the edits on it, are moved along, so that the sliders go on working.
    """
    if not is_shaped(action) or not records.is_readable(action[STATE]):
        return
    entry = _entry_of(action)
    now = _glances(track_values.curves(take_list.rig_of(entry.id_data, entry), entry))
    state = action[STATE]
    known = np.array(state["prints"], np.int32) == _prints(now)
    shift_ = np.array([frames, 0], np.float32)
    moved = _prints(
        [
            None if keys is None else keys | {part: keys[part] + shift_ for part in ("co", "handle_left", "handle_right") if part in keys}
            for keys in now
        ]
    )
    state["prints"] = np.where(known, moved, ~moved).astype(np.int32)  # what was edited since goes on differing
    for kept in ("base", "edits"):
        packed = state[kept]
        for part in ("co", "handle_left", "handle_right") if "co" in packed else ():
            flat = np.array(packed[part])
            flat[::2] += np.array(frames, flat.dtype)
            packed[part] = flat
    state["first"] = float(state["first"]) + frames
    state["mark"] = (int(state["mark"]) + 1 + zlib.crc32(repr(frames).encode())) & 0x7FFFFFFF


def _glances(curves: list) -> list:
    return [None if curve is None else track_values.glance(curve) for curve in curves]


def _said(rig: head.Rig, keys: list, curves: list, frames: np.ndarray) -> np.ndarray:
    """What base keys say at their frames; those on every frame are read off, others asked of a curve that has them now."""
    result = np.empty((len(frames), len(keys)))
    for place, (track, each) in enumerate(zip(rig.driver.tracks, keys)):
        if each is None or not len(each["co"]):
            result[:, place] = track.rest
        elif track_values.is_on(each, frames):
            result[:, place] = each["co"][:, 1]
        else:
            result[:, place] = _evaluated(each, curves[place], frames)
    return result


def _evaluated(keys: dict, curve, frames: np.ndarray) -> np.ndarray:
    if curve is None or np.ptp(keys["co"][:, 1]) == 0:
        return np.interp(frames, keys["co"][:, 0], keys["co"][:, 1])
    now = fcurves.read(curve)
    if _prints([now])[0] == _prints([keys])[0]:
        return np.array([curve.evaluate(float(frame)) for frame in frames])
    fcurves.write(curve, keys)
    said = np.array([curve.evaluate(float(frame)) for frame in frames])
    fcurves.write(curve, now)
    return said


def _base(rig: head.Rig, entry, keys: list, curves: list, frames: np.ndarray, mark: tuple) -> Generator[float, None, Base]:
    """Read the base into arrays, once in a session as long as it stays what it is. Returns it."""
    if mark in _known.bases:
        return _known.bases[mark]
    said = _said(rig, keys, curves, frames)
    motion, drives = _as_sampled(rig, entry, frames), said
    if motion is None:
        motion = yield from scaled(track_values.motion(rig, said, track_values.fps_of(entry)), 0.0, 0.5)
        drives = yield from scaled(track_values.driven(rig, motion), 0.5, 1.0)
    lips = bundled_lips()
    base = Base(frames, keys, said, motion, drives, lips.gap(motion, head.channel_names()))
    _known.bases[mark] = base
    return base


def _as_sampled(rig: head.Rig, entry, frames: np.ndarray) -> Motion | None:
    """The motion that a base was keyed from, where its numbers are slow to read and nobody has edited them; else None."""
    action = entry.action
    plain = not provenance.is_edited(entry) if STATE not in action else bool(action[STATE].get("plain", False))
    if not rig.driver.is_slow or not plain:
        return None
    performance, clock = provenance.load(action), provenance.clock_of(action)
    return None if performance is None else keying.on_scene_frames(performance, clock, frames)


# ---- applying


def apply(rig: head.Rig, entry, stored: tuple | None = None, settle: bool = False) -> Generator[float, None, None]:
    """Write a take's keys as its sliders say. Nothing is written before the last step.

    A minute on a head of ours takes less than a tenth of a second. stored: base and edits (as _stored gives them), where
    they are to be others than the take has.  settle: edits on a take without a shape become part of its base.
    """
    action = entry.action
    if action is None:
        raise BadRequest(f"The action of “{entry.name}” was deleted: generate the take again from seed {entry.seed}")
    shape, offset = action.thunder_shape.values(), action.thunder_shape.offset
    curves = track_values.curves(rig, entry)
    neutral = shape.is_neutral and offset == 0.0
    if shape.emotion and strength_curve(rig, entry) is not None:
        neutral = False
    if neutral and not is_shaped(action):
        return
    now = _glances(curves)
    base_keys, edits, frames, mark = stored or _stored(rig, entry, curves, now)
    base = yield from scaled(_base(rig, entry, base_keys, curves, frames, mark), 0.0, 0.6)
    whole = int(np.round(offset))
    strength = _strength(rig, entry, frames + whole)
    shaped = shaping.shaped(base.motion, head.channel_names(), shape, strength, base.gap)
    if offset != whole:
        shaped = _later(shaped, base.gap[:, bundled_lips().middle], offset - whole)
    values = base.values
    if shaped is not base.motion:
        driven = yield from scaled(track_values.driven(rig, shaped), 0.6, 0.9)
        values = base.values + (driven - base.driven)
    _write_take(rig, entry, curves, now, base, edits, values, whole, neutral and (settle or not edits), mark)
    lips = bundled_lips()
    entry.curve = take_list.bars(lips.opening(shaped, head.channel_names()))
    yield 1.0


def _stored(rig: head.Rig, entry, curves: list, now: list):
    """(base keys, edits by track, the base's frames, what tells this base from others) of a take as it is now.

    Keys that were changed since they were written become edits: their distance from what was written.
    """
    action = entry.action
    state = action.get(STATE)
    if state is None:
        keys = [None if curve is None else fcurves.read(curve) for curve in curves]
        return keys, {}, track_values.frames_of(entry), (action.session_uid, _mark(now), entry.first, entry.last)
    if not records.is_readable(state):
        raise BadRequest(f"“{entry.name}” was shaped with a later version of Thunder: update Thunder to change its shape")
    first, count, shift = float(state["first"]), int(state["count"]), int(state["shift"])
    times = first + np.arange(count)
    mark = (action.session_uid, int(state["mark"]), first, first + count)
    base_keys = _known.bases[mark].keys if mark in _known.bases else _unpack(state["base"])
    places = json.loads(state["edited"])
    edits = dict(zip(places, _unpack(state["edits"]))) if places else {}
    changed = np.flatnonzero(_prints(now) != np.array(state["prints"], np.int32))
    if len(changed):
        written = np.array(state["written"], np.float32).reshape(count, -1).astype(np.float64)
    for place in changed:
        if now[place] is None:
            edits[int(place)] = {part: np.zeros((0, length), np.float64) for part, (_, length) in keyframes.PARTS.items()}
        else:
            edits[int(place)] = _relative(fcurves.read(curves[place]), times, written[:, place], shift)
    return base_keys, edits, times, mark


def _mark(keys: list) -> int:
    return int(np.int32(zlib.crc32(_prints(keys)) & 0x7FFFFFFF))


def _relative(keys: dict, times: np.ndarray, said: np.ndarray, shift: int) -> dict:
    """Keys against a curve `said` at times: values and handles as distances from it, double precision, unshifted."""
    result = {part: values.astype(np.float64) for part, values in keys.items()}
    under = np.interp(result["co"][:, 0] - shift, times, said)
    for part in ("co", "handle_left", "handle_right"):
        result[part][:, 0] -= shift
        result[part][:, 1] -= under
    return result


def _absolute(edit: dict, times: np.ndarray, said: np.ndarray, shift: int) -> dict:
    """Edited keys on a curve `said`: the inverse of _relative."""
    under = np.interp(edit["co"][:, 0], times, said.astype(np.float32).astype(np.float64))
    result = {}
    for part, values in edit.items():
        values = values.copy()
        if part in ("co", "handle_left", "handle_right"):
            values[:, 0] += shift
            values[:, 1] += under
        result[part] = values.astype(keyframes.PARTS[part][0])
    return result


def _later(motion: Motion, gap: np.ndarray, by: float) -> Motion:
    """A motion a fraction of a frame later, still on whole frames; the frame next to a closed one [S, mm] is as closed."""
    plain = np.clip(np.arange(motion.frames) - by, 0.0, motion.frames - 1.0)
    nearest = np.round(plain).astype(int)
    held = np.where(gap[nearest] <= TOUCH_MM, nearest, plain)
    lips = in_group(head.channel_names(), SPEECH)

    def at(values, position):
        return None if values is None else timing.monotone_cubic(np.asarray(values, np.float64), position)

    expression = np.where(lips, at(motion.expression, held), at(motion.expression, plain))
    return Motion(expression, at(motion.jaw, held), at(motion.head, plain), at(motion.eyes, plain), motion.fps)


def _write_take(rig, entry, curves, now, base: Base, edits: dict, result, shift: int, done: bool, mark) -> None:
    """Write the curves of a take and what has to be known to take it all back."""
    action = entry.action
    written = result.astype(np.float32)
    # Asked before the keys are written: whether the base is what was sampled, for rigs that are slow to read.
    plain = STATE not in action and not provenance.is_edited(entry)
    wanted = []
    for place, keys in enumerate(base.keys):
        if place in edits:
            keys = _absolute(edits[place], base.frames, written[:, place], shift)
        elif keys is not None:
            keys = track_values.shifted(keys, base.frames, base.values[:, place], result[:, place] - base.values[:, place])
            if shift:
                keys = keyframes.moved(keys, shift)
        wanted.append(keys)
    for place, (curve, keys) in enumerate(zip(curves, wanted)):
        if curve is not None and keys is not None:
            track_values.write(curve, keys, now[place])
    entry.first = int(np.floor(base.frames[0])) + entry.lead_in + shift
    entry.last = int(np.ceil(base.frames[-1])) - entry.lead_out + shift
    if done:  # nothing is left to take back
        if STATE in action:
            del action[STATE]
    else:
        if STATE not in action or int(action[STATE]["mark"]) != mark[1]:
            action[STATE] = {
                records.KEY: records.VERSION,
                "base": _pack(base.keys),
                "first": float(base.frames[0]),
                "count": len(base.frames),
                "mark": mark[1],
                "plain": plain,
            }
        state = action[STATE]
        state["shift"], state["strength"] = shift, _strength_print(rig, entry)
        # A count of edits of its own: arrays of a file are never empty.
        state["edited"] = json.dumps(sorted(edits))
        state["edits"] = _pack([edits[place] for place in sorted(edits)]) if edits else {}
        # Handles placed by hand are read back: Blender may have straightened one against the other.
        there = [
            None if curve is None else keys if keys is not None and _is_placed(keys) else track_values.glance(curve)
            for curve, keys in zip(curves, wanted)
        ]
        state["written"], state["prints"] = np.ascontiguousarray(written).ravel(), _prints(there)
    for target in rig.targets:
        target.update_tag()


def _is_placed(keys: dict) -> bool:
    """Whether Blender puts all handles where they belong."""
    return not any(track_values.by_hand(keys[side]).any() for side in ("handle_left_type", "handle_right_type"))


def _strength_print(rig: head.Rig, entry) -> int:
    curve = strength_curve(rig, entry)
    return 0 if curve is None else int(_prints([fcurves.read(curve)])[0])


def is_behind(rig: head.Rig, entry) -> bool:
    """Whether the curve of an emotion's strength was edited since the take was written."""
    state = entry.action.get(STATE)
    if entry.action.thunder_shape.emotion == "NONE":
        return False
    known = 0 if state is None else int(state["strength"])
    return known != _strength_print(rig, entry)


# ---- changes of the performance under the shape


def change(rig: head.Rig, entry, alter: Callable[[Motion, float], tuple[Motion, slice]]) -> Generator[float, None, None]:
    """Change a take's performance itself, under its shape: alter(motion, first frame) → (motion, rows that changed).

    Rows outside keep their keys bit for bit. Edits of the tracks that change give way within the rows.
    """
    curves = track_values.curves(rig, entry)
    now = _glances(curves)
    keys, edits, frames, mark = _stored(rig, entry, curves, now)
    base = yield from scaled(_base(rig, entry, keys, curves, frames, mark), 0.0, 0.6)
    altered, rows = alter(base.motion, float(frames[0]) + entry.action.thunder_shape.offset)
    part = yield from scaled(track_values.driven(rig, altered.part(rows)), 0.6, 0.6)
    by = part - base.driven[rows]
    inside = frames[rows]
    changed = list(keys)
    for place in np.flatnonzero(np.abs(by).max(axis=0) > 1e-7):
        if keys[place] is None:
            continue
        changed[place] = _said_in(keys[place], inside, frames, base.values[:, place], by[:, place], rows)
        if place in edits:
            within = (edits[place]["co"][:, 0] >= inside[0]) & (edits[place]["co"][:, 0] <= inside[-1])
            on = {part: values[~within] for part, values in edits[place].items()}
            new = _relative(
                keyframes.on_every_frame(inside.astype(float), base.values[rows, place] + by[:, place]),
                inside,
                base.values[rows, place] + by[:, place],
                0,
            )
            both = {part: np.concatenate([on[part], new[part]]) for part in on}
            order = np.argsort(both["co"][:, 0], kind="stable")
            edits[place] = {part: values[order] for part, values in both.items()}
    if not is_shaped(entry.action):
        for curve, keys_now, keys_then in zip(curves, now, changed):
            if curve is not None and keys_then is not keys_now:
                track_values.write(curve, keys_then, keys_now)
        for target in rig.targets:
            target.update_tag()
        entry.curve = take_list.bars(bundled_lips().opening(altered, head.channel_names()))
        yield 1.0
        return
    yield from scaled(apply(rig, entry, (changed, edits, frames, (mark[0], _mark(changed), *mark[2:]))), 0.6, 1.0)


def _said_in(keys: dict, inside: np.ndarray, frames: np.ndarray, said: np.ndarray, by: np.ndarray, rows: slice) -> dict:
    """Keys that say said + by at the frames inside, and what they said elsewhere."""
    wanted = said[rows] + by
    place = np.searchsorted(keys["co"][:, 0], inside)
    if len(keys["co"]) > place.max() and (keys["co"][place, 0] == inside).all():
        result = {part: values.copy() for part, values in keys.items()}
        for part in ("handle_left", "handle_right", "co"):
            result[part][place, 1] += (wanted - keys["co"][place, 1]).astype(np.float32)
        result["co"][place, 1] = wanted.astype(np.float32)
        return result
    # Between few keys: one on every frame of the change and of its neighbours, which stay what they were.
    start = max(rows.start - 1, 0)
    guard, values = frames[start : rows.stop + 1], said[start : rows.stop + 1].copy()
    values[rows.start - start : rows.start - start + len(inside)] = wanted
    times = keys["co"][:, 0]
    return keyframes.joined(
        keyframes.some(keys, times < guard[0]),
        keyframes.on_every_frame(guard.astype(float), values),
        keyframes.some(keys, times > guard[-1]),
    )


# ---- keeping up with the strength curve


def _nothing() -> None:
    """Until the operator is registered that writes the take: a timer's own changes would be no undo step."""


update = idle.Task(_nothing, any_time=True)  # has the shown take written in a moment, when nothing else is being dragged


@bpy.app.handlers.persistent
def _curve_was_edited(scene, depsgraph):
    """Notes that the strength of a shown take's emotion was edited; the take follows when the edit is over."""
    if bpy.app.background or not any(isinstance(update.id, bpy.types.Action) for update in depsgraph.updates):
        return
    entry = take_list.shown_take(scene.thunder)
    if entry is None or entry.action.thunder_shape.emotion == "NONE":
        return
    try:
        rig = take_list.rig_of(scene, entry)
        if is_behind(rig, entry) and _known.left_behind.get(entry.action.session_uid) != _strength_print(rig, entry):
            update.start(UPDATE_SECONDS)
    except ThunderError:
        pass  # the head is gone: there is nothing to write


@bpy.app.handlers.persistent
def _was_undone(*_):
    """A take that undo has put behind its curve stays there: writing it again would be a step that undo never gets past."""
    _known.left_behind.clear()
    for scene in bpy.data.scenes:
        entry = take_list.shown_take(scene.thunder)
        if entry is not None:
            try:
                _known.left_behind[entry.action.session_uid] = _strength_print(take_list.rig_of(scene, entry), entry)
            except ThunderError:
                pass


def _strength_property():
    return FloatProperty(
        name="Emotion",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        description="Strength of the take's emotion at this frame. It can be keyed",
    )


_HANDLERS = (("depsgraph_update_post", _curve_was_edited), ("undo_post", _was_undone), ("redo_post", _was_undone))


def register():
    bpy.utils.register_class(ThunderShape)
    bpy.types.Action.thunder_shape = PointerProperty(type=ThunderShape)
    # On what a take's first curves animate, so that the strength over time is a curve of the take.
    bpy.types.Object.thunder_emotion = _strength_property()
    bpy.types.Key.thunder_emotion = _strength_property()
    handlers.add(_HANDLERS)


def unregister():
    handlers.remove(_HANDLERS)
    del bpy.types.Key.thunder_emotion
    del bpy.types.Object.thunder_emotion
    del bpy.types.Action.thunder_shape
    bpy.utils.unregister_class(ThunderShape)
