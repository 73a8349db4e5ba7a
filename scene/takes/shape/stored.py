# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a take's shape in its action: the base under it, the edits on it, and the values
written last."""

from __future__ import annotations

import contextlib
import json
import zlib
from dataclasses import dataclass

import bpy
import numpy as np

from ....thunder_core import records
from ....thunder_core.animation import keyframes, layered
from ....thunder_core.errors import BadRequest
from ....thunder_core.recent import Recent
from ....thunder_core.types import Motion
from ...animation import fcurves
from ...heads import head
from ...host.session import Memory, session
from .. import take_list, track_values

# property of the first action of a shaped take: its base, its edits and the values written last
STATE = "thunder_shaped"


@dataclass(frozen=True)
class TakeCurves:
    """A take's current state: curve and key data of each of the rig's tracks, None if it has
    none."""

    rig: head.Rig
    entry: object
    curves: list
    now: list

    @classmethod
    def of(cls, rig: head.Rig, entry) -> TakeCurves:
        """The curves of a take and their keys as they are now."""
        curves = track_values.curves(rig, entry)
        return cls(
            rig,
            entry,
            curves,
            [None if curve is None else track_values.identify_keys(curve) for curve in curves],
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


cached_bases = session.add(Memory(Recent(4)))  # bases that were read into arrays, by their mark


@dataclass(frozen=True)
class StoredShape:
    """A take without its shape.

    keys: of each track, None if it has no curve.  edits: by track, as distances
    (thunder_core/animation/layered.py). frames [S]: of the base.  mark: identifies the base.
    """

    keys: list
    edits: dict[int, dict]
    frames: np.ndarray
    mark: tuple


def is_shaped(action) -> bool:
    """Whether a take differs from its base."""
    return STATE in action


def entry_of(action):
    """The list entry of an action's take. Raises BadRequest."""
    for scene in bpy.data.scenes:
        for entry in scene.thunder.takes:
            if entry.action == action:
                return entry
    raise BadRequest(f"“{action.name}” is not in a list of takes: show a listed take to shape it")


def read_shape(take: TakeCurves) -> StoredShape:
    """Stored data of a take and its shape.

    Keys changed since they were written become edits: their difference from the written values.
    Raises BadRequest.
    """
    entry, curves, now = take.entry, take.curves, take.now
    action = entry.action
    state = action.get(STATE)
    if state is None:
        keys = [None if curve is None else fcurves.read(curve) for curve in curves]
        return StoredShape(
            keys,
            {},
            track_values.frames_of(entry),
            (action.session_uid, layered.fingerprint_of(now), entry.first, entry.last),
        )
    try:
        return _read(take, state)
    except records.UNREADABLE as error:
        raise BadRequest(
            f"The record of the shape of “{entry.name}” is damaged: commit the take as it is, or "
            f"sample it again"
        ) from error


def _read(take: TakeCurves, state) -> StoredShape:
    """The same from the record of a shape. Raises BadRequest, or one of records.UNREADABLE."""
    entry, curves, now = take.entry, take.curves, take.now
    action = entry.action
    if not records.is_readable(state):
        raise BadRequest(
            f"“{entry.name}” was shaped with a later version of Thunder: update Thunder to change "
            f"its shape"
        )
    first, count, shift = float(state["first"]), int(state["count"]), int(state["shift"])
    if len(state["written"]) != count * len(now) or not abs(first) <= records.LARGEST:
        raise ValueError("values are missing")
    times = first + np.arange(count)
    mark = (action.session_uid, int(state["mark"]), first, first + count)
    base_keys = (
        cached_bases.known[mark].keys
        if mark in cached_bases.known
        else layered.unpack(state["base"])
    )
    edited_tracks = json.loads(state["edited"])
    edits = dict(zip(edited_tracks, layered.unpack(state["edits"]))) if edited_tracks else {}
    if len(base_keys) != len(now) or not all(
        isinstance(place, int) and 0 <= place < len(now) for place in edits
    ):
        raise ValueError("it is of other tracks")
    changed = np.flatnonzero(layered.fingerprints_of(now) != np.array(state["prints"], np.int32))
    if len(changed):
        written = np.array(state["written"], np.float32).reshape(count, -1).astype(np.float64)
    for place in changed:
        if now[place] is None:
            edits[int(place)] = {
                part: np.zeros((0, length), np.float64)
                for part, (_, length) in keyframes.PARTS.items()
            }
        else:
            edits[int(place)] = layered.to_relative(
                fcurves.read(curves[place]), times, written[:, place], shift
            )
    return StoredShape(base_keys, edits, times, mark)


def shift(action, frames: float) -> None:
    """Prepare a shaped take for moving its keys by `frames`; call it before moving them.

    Its base and edits are moved along, so that the sliders keep working.
    """
    with contextlib.suppress(*records.UNREADABLE):  # the sliders say that a record is damaged
        if is_shaped(action) and records.is_readable(action[STATE]):
            _shift(action, frames)


def _shift(action, frames: float) -> None:
    entry = entry_of(action)
    now = TakeCurves.of(take_list.rig_of(entry.id_data, entry), entry).now
    state = action[STATE]
    known = np.array(state["prints"], np.int32) == layered.fingerprints_of(now)
    by = np.array([frames, 0], np.float32)
    moved = layered.fingerprints_of(
        [
            None
            if keys is None
            else keys
            | {
                part: keys[part] + by
                for part in ("co", "handle_left", "handle_right")
                if part in keys
            }
            for keys in now
        ]
    )
    # edits made since stay different
    state["prints"] = np.where(known, moved, ~moved).astype(np.int32)
    for name in ("base", "edits"):
        packed = state[name]
        for part in ("co", "handle_left", "handle_right") if "co" in packed else ():
            flat = np.array(packed[part])
            flat[::2] += np.array(frames, flat.dtype)
            packed[part] = flat
    state["first"] = float(state["first"]) + frames
    state["mark"] = (int(state["mark"]) + 1 + zlib.crc32(repr(frames).encode())) & 0x7FFFFFFF
