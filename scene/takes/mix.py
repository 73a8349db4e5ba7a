# SPDX-License-Identifier: GPL-3.0-or-later
"""Mixes takes: the mouth of one, the brows of another, with cuts over time; the result is a new
take."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core.animation import keyframes, timing
from ...thunder_core.errors import BadRequest
from ...thunder_core.face.moving import shaping
from ...thunder_core.face.moving.lips import bundled_lips, opening_mm, width_mm
from ...thunder_core.progress import rescale
from ...thunder_core.types import FPS, Motion, unpack
from ..animation import display, fcurves, keying
from ..heads import head
from ..host import compat, playback
from ..host.jobs import registration
from ..host.prop import Collection, CollectionProperty, EnumProperty, IntProperty, PointerProperty
from ..host.redraw import once
from ..voice import fingerprint
from . import take_list, take_record

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


ALL = "ALL"
LABELS = {"mouth": "Mouth", "upper_face": "Upper Face", "eyes": "Eyes", "head": "Head"}
_DESCRIPTIONS = {
    "mouth": "Lips, tongue and jaw",
    "upper_face": "Brows, nose and cheeks",
    "eyes": "Lids and gaze",
    "head": "The head's movement",
}
PART_ITEMS = [(part, label, _DESCRIPTIONS[part]) for part, label in LABELS.items()]
CUT_ITEMS = [(ALL, "Face", "The whole face and the head"), *PART_ITEMS]
_SAME = 1e-7  # difference below which values are equal


class ThunderCut(bpy.types.PropertyGroup):
    """From a frame on, another take."""

    frame: int = IntProperty(
        name="Frame", description="First frame of the take, in the middle of the cross-fade"
    )
    part: str = EnumProperty(
        name="Part", items=CUT_ITEMS, description="Part of the face that switches takes"
    )
    take: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)


class ThunderMix(bpy.types.PropertyGroup):
    """The take used for each part of the face, and frames at which other takes cut in."""

    mouth: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)
    upper_face: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)
    eyes: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)
    head: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)
    cuts: Collection[ThunderCut] = CollectionProperty(type=ThunderCut)
    cut_index: int = IntProperty(name="Cut", description="A cut of the mix")
    fade: int = IntProperty(
        name="Cross-Fade",
        default=4,
        min=0,
        max=48,
        description="Frames over which one take fades into the next at a cut",
    )


@once
def candidates(context: bpy.types.Context) -> list:
    """The takes that may be mixed now: those of the chosen head and voice; from folded batches only
    takes already chosen."""
    settings = context.scene.thunder_mix
    shown = take_list.shown_take(context.scene.thunder)
    unfolded = [getattr(settings, part) for part in shaping.PARTS] + [
        shown.action if shown is not None else None
    ]
    return [
        entry
        for entry in take_list.takes_of_voice(context)
        if entry.action is not None
        and entry.head is not None
        and (not entry.folded or entry.action in unfolded)
    ]


def chosen_take(context: bpy.types.Context, part: str):
    """The take that a part of the face is of: the one chosen for it, else the one shown, else the
    first; None without takes.

    Beside a captured take that is shown, the mouth is of the first other one.
    """
    entry = take_list.entry_of(context.scene, getattr(context.scene.thunder_mix, part))
    takes = candidates(context)
    if entry is not None and entry in takes:
        return entry
    shown = take_list.shown_take(context.scene.thunder)
    if part == "mouth" and shown is not None and shown.kind == "CAPTURED":
        return next((other for other in takes if other.kind != "CAPTURED"), shown)
    return shown if shown is not None and shown in takes else next(iter(takes), None)


def cuts_of(scene: bpy.types.Scene) -> list:
    """The cuts whose takes are still there, in time."""
    return sorted(
        (cut for cut in scene.thunder_mix.cuts if take_list.entry_of(scene, cut.take) is not None),
        key=lambda cut: cut.frame,
    )


def add_cut(scene: bpy.types.Scene, frame: int, part: str, entry: ThunderTake):
    """Let a take in from a frame on; a cut of that part at that frame is replaced."""
    cuts = scene.thunder_mix.cuts
    added = (
        next((cut for cut in cuts if cut.frame == frame and cut.part == part), None) or cuts.add()
    )
    added.frame, added.part, added.take = frame, part, entry.action
    place = next(index for index, cut in enumerate(cuts) if cut == added)
    while place > 0 and cuts[place - 1].frame > frame:
        cuts.move(place, place - 1)
        place -= 1
    scene.thunder_mix.cut_index = place
    return cuts[place]


class Cut(NamedTuple):
    """As ThunderCut, of a mix that is not kept in the scene."""

    frame: int
    part: str
    take: bpy.types.Action


def mix(context: bpy.types.Context) -> Generator[float, None, object]:
    """Put the chosen parts and cuts together as a new take, shown at once. Returns its entry.

    Raises BadRequest if nothing is mixed. Nothing in the file changes before the end.
    """
    parts = {part: chosen_take(context, part) for part in shaping.PARTS}
    if None in parts.values():
        raise BadRequest("There are no takes of this head to mix: generate some")
    return (
        yield from mix_parts(
            context.scene, parts, cuts_of(context.scene), context.scene.thunder_mix.fade
        )
    )


def mix_parts(
    scene: bpy.types.Scene, parts: dict, cuts: Sequence, fade: int
) -> Generator[float, None, object]:
    """A new take, mixed from a take for each part and from cuts (each as `Cut`), shown at once.
    fade: of cuts, frames. Returns its entry.

    Raises BadRequest if nothing is mixed. Nothing in the file changes before the end.
    """
    actions = list(
        dict.fromkeys([entry.action for entry in parts.values()] + [cut.take for cut in cuts])
    )
    if len(actions) < 2:
        raise BadRequest(
            "All parts use the same take: choose another take for a part, or add a cut"
        )
    of_actions = (take_list.entry_of(scene, action) for action in actions)
    entries = [entry for entry in of_actions if entry is not None]  # cuts have theirs (`cuts_of`)
    lead = parts["mouth"]
    rig = take_list.rig_of(scene, lead)
    for entry in entries:
        if (entry.head, entry.voice) != (lead.head, lead.voice):
            raise BadRequest(
                f"“{entry.name}” is a take of another head or voice: choose takes of "
                f"“{lead.head.name}” and “{lead.voice}”"
            )
    frames = keying.frames_of(lead)
    weights = np.zeros((len(frames), len(actions), len(shaping.PARTS)))
    for column, part in enumerate(shaping.PARTS):
        cuts_of_part = [
            (cut.frame, actions.index(cut.take)) for cut in cuts if cut.part in (ALL, part)
        ]
        weights[:, :, column] = shaping.take_weights(
            frames, actions.index(parts[part].action), cuts_of_part, len(actions), fade
        )
    about: dict[str, object] = {
        "engine": "thunder",
        "head": "thunder",
        "mixed": {part: entry.name for part, entry in parts.items()},
        "cuts": [f"{cut.frame} {cut.part} {entries[actions.index(cut.take)].name}" for cut in cuts],
    }
    if (weights[:, actions.index(lead.action), shaping.PARTS.index("mouth")] == 1).all():
        about[take_record.MOUTH] = take_record.of_mouth(
            lead.action
        )  # in whose direction it is scored
    if len(roles := {entry.role for entry in entries}) == 1 and not take_list.speaks(lead):
        about["role"] = roles.pop().lower()
    return (yield from _make(scene, rig, lead, entries, frames, weights, about))


def _make(
    scene: bpy.types.Scene,
    rig: head.Rig,
    lead: ThunderTake,
    entries: list,
    frames: np.ndarray,
    weights: np.ndarray,
    about: dict,
) -> Generator[float, None, object]:
    keyed, motions, driven, curves = [], [], [], []
    fps = take_record.clock_of_take(lead).fps
    for number, entry in enumerate(entries):
        start, part = 0.8 * number / len(entries), 0.4 / len(entries)
        curves.append(keying.curves_of_tracks(rig, entry))
        keyed.append(keying.values_at(rig, curves[-1], frames))
        motions.append(
            (yield from rescale(keying.shown_motion(rig, keyed[-1], fps), start, start + part))
        )
        driven.append(
            (yield from rescale(keying.drive(rig, motions[-1]), start + part, start + 2 * part))
        )
    mixed = shaping.mix(motions, head.channel_names(), weights)
    result = yield from rescale(keying.drive(rig, mixed), 0.8, 0.9)
    # Values from a single take use that take's keys.
    owner = np.full(result.shape, -1)
    for number, (values, driven_values) in enumerate(zip(keyed, driven)):
        alike = (
            (np.abs(result - driven_values) < _SAME)
            & (owner < 0)
            & (weights[:, number].max(axis=1) > 0)[:, None]
        )
        result = np.where(alike, values, result)
        owner[alike] = number
    yield 0.9
    performance = _performance(mixed, frames, lead, about)
    yield 0.9
    keys = NewKeys(frames, result, owner, curves)
    return (
        yield from rescale(
            key_and_list(scene, rig, lead, keys, performance, "MIXED", "Mix"), 0.9, 1.0
        )
    )


@dataclass(frozen=True)
class NewKeys:
    """Keys of a new take.

    frames [S].  values [S, tracks].  owner [S, tracks]: index in `curves` (lists of each track's
    curve) that a value's key is copied from, −1 for a new key.
    """

    frames: np.ndarray
    values: np.ndarray
    owner: np.ndarray
    curves: list


def key_and_list(
    scene: bpy.types.Scene,
    rig: head.Rig,
    lead: ThunderTake,
    keyed: NewKeys,
    performance: keying.TakeData,
    kind: str,
    name: str,
    show: bool = True,
) -> Generator[float, None, object]:
    """Key a new take like `lead` and list it last. Returns the new entry.

    performance: that of the keys, at 25 fps.  Closed before its end it leaves nothing behind.
    """
    actions, collections = compat.new_action(f"{lead.voice} · {name}", rig.targets)
    # Adding an item invalidates `lead`, so its data are read here.
    lead_action = lead.action
    voice, clock = lead.voice, take_record.clock_of_take(lead)
    of_lead = {name: getattr(lead, name) for name in ("lead_in", "lead_out", "batch", "folded")}
    try:
        units = keying.rounding_units(rig)
        for index, track in enumerate(rig.driver.tracks):
            curve = compat.new_curve(collections[track.block], track.path, track.index, track.group)
            source_curves = [each[index] for each in keyed.curves]
            keying.write(
                curve,
                _keys(keyed.frames, keyed.values[:, index], keyed.owner[:, index], source_curves),
                track,
                units[index],
            )
            if index % 2:
                yield 0.9 * index / len(rig.driver.tracks)
        yield 0.9
        for action in actions:
            keying.remember(action, performance, keying.checksum_of(action))
        yield 0.9
        entry = take_list.add_to_list(
            scene, rig, actions, performance, voice, clock, kind=kind, name=name
        )
        take_list.name_action(entry)
        take_list.set_all(entry, of_lead)
        entry.first, entry.last = (
            int(keyed.frames[0]) + entry.lead_in,
            int(keyed.frames[-1]) - entry.lead_out,
        )
        fingerprint.remember(actions[0], fingerprint.state_of(lead_action))
    except BaseException:
        playback.remove(actions)
        raise
    if show:
        display.show(rig, entry)
    return entry


def _keys(frames: np.ndarray, values: np.ndarray, owner: np.ndarray, curves: list) -> dict:
    """Keys with values [S]: in each run of one owner that owner's keys, if it has one on every
    frame."""
    runs = np.split(np.arange(len(frames)), np.flatnonzero(np.diff(owner)) + 1)
    pieces = []
    for run in runs:
        curve = curves[owner[run[0]]] if owner[run[0]] >= 0 else None
        copied = _copy_keys(curve, frames[run], len(runs) == 1)
        pieces.append(copied or keyframes.on_every_frame(frames[run].astype(float), values[run]))
    return keyframes.concatenate(*pieces) if len(pieces) > 1 else pieces[0]


def _copy_keys(curve: bpy.types.FCurve | None, frames: np.ndarray, whole: bool) -> dict | None:
    if curve is None or curve.mute or len(curve.modifiers) or not len(curve.keyframe_points):
        return None
    keys = fcurves.read(curve)
    if whole:
        return keys
    times = keys["co"][:, 0]
    inside = (times > frames[0] - 0.5) & (times < frames[-1] + 0.5)
    return keyframes.select(keys, inside) if np.isin(frames, times[inside]).all() else None


def _performance(
    motion: Motion, frames: np.ndarray, lead: ThunderTake, about: dict
) -> keying.TakeData:
    """The performance at 25 fps of a motion at scene frames."""
    clock, opening = take_record.clock_of_take(lead), take_record.opening_of(lead.action)
    count = (
        len(opening)
        if opening is not None
        else max(1, round((frames[-1] - frames[0]) / clock.fps * FPS) + 1)
    )
    position = np.clip(clock.frame(np.arange(count) / FPS) - frames[0], 0.0, len(frames) - 1.0)
    lips, channels = bundled_lips(), head.channel_names()
    position = timing.snap_to_closures(position, lips.opening(motion, channels), clock.fps / FPS)
    parts = [motion.expression, motion.jaw, *motion.turns]
    resampled = timing.monotone_cubic(
        np.concatenate(parts, axis=1).astype(np.float64), position
    ).astype(np.float32)
    mixed = unpack(resampled, motion.expression.shape[1])
    return keying.TakeData(
        mixed, channels, opening_mm(mixed), width_mm(mixed), lead.seed, float("nan"), about
    )


register, unregister = registration(
    properties=((bpy.types.Scene, "thunder_mix", bpy.props.PointerProperty(type=ThunderMix)),)
)
