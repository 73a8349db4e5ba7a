# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that differs between Blender 4.2 and 5.3, and between an extension and a plain script,
behind one name each."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TYPE_CHECKING, TypeAlias

import bpy
import numpy as np

from ...thunder_core import files
from ...thunder_core.system_calls import release_free_memory

if TYPE_CHECKING:
    # what can have keys of its own
    Animated: TypeAlias = (
        bpy.types.Object
        | bpy.types.Key
        | bpy.types.GreasePencil
        | bpy.types.Material
        | bpy.types.NodeTree
        | bpy.types.Scene
    )


# since Blender 4.4 one action can animate several data-blocks
HAS_SLOTS = bpy.app.version >= (4, 4, 0)
MIXES_IN_JOBS = bpy.app.version >= (5, 2, 0)  # sound.mixdown returns at once
# saving, it holds all that is to be compressed: of eight takes of an hour 1.1 GB
_HOLDS_ALL = bpy.app.version >= (5, 3, 0)
_LAYERED_ONLY = bpy.app.version >= (5, 0, 0)  # Action.fcurves is gone

# property of an action without slots: name of the data-block that it was made for
TARGET = "thunder_target"


# ---- sequencer


def strips(editor: bpy.types.SequenceEditor) -> bpy.types.StripsTopLevel:
    """The top-level strips of a sequence editor (`sequences` before 4.4)."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def strips_all(editor: bpy.types.SequenceEditor) -> bpy.types.bpy_prop_collection:
    """All strips of a sequence editor, those inside metas included."""
    return getattr(editor, strips_all_name(editor))


def strips_all_name(editor: bpy.types.SequenceEditor) -> str:
    """Name of that property, for lists of the interface and animation paths."""
    return "strips_all" if hasattr(editor, "strips_all") else "sequences_all"


def sequencer_scene(context: bpy.types.Context):
    """The sequencer's scene: a separate setting since 5.0, else the active scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def show_in_sequencer(scene: bpy.types.Scene) -> None:
    """Let sequencers show a scene where they show none: since 5.0 each workspace has its own."""
    for workspace in bpy.data.workspaces:
        if getattr(workspace, "sequencer_scene", scene) is None:
            workspace.sequencer_scene = scene


def strip_span(strip: bpy.types.Strip) -> tuple[int, int]:
    """First frame of a strip as trimmed and the frame after its last."""
    if hasattr(strip, "left_handle"):
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def trim(strip: bpy.types.Strip, first: int, end: int) -> None:
    """Let a strip play from frame `first` up to `end`."""
    names = (
        ("left_handle", "right_handle")
        if hasattr(strip, "left_handle")
        else ("frame_final_start", "frame_final_end")
    )
    for name, frame in zip(names, (first, end)):
        setattr(strip, name, frame)


def content_start(strip: bpy.types.Strip) -> float:
    """Scene frame, with its fraction, at which the untrimmed content of a strip begins."""
    return float(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def content_length(strip: bpy.types.Strip) -> int:
    """Scene frames that the untrimmed content of a strip lasts."""
    name = "content_duration" if hasattr(strip, "content_duration") else "frame_duration"
    return int(getattr(strip, name))


def content_trim(strip: bpy.types.Strip) -> float:
    """Frames that are cut off the beginning of a strip's content for good: the content begins that
    much later in its source."""
    return float(
        strip.content_trim_start
        if hasattr(strip, "content_trim_start")
        else strip.animation_offset_start
    )


# ---- actions


# session ids of the actions whose curves anybody was given (jobs.Watch)
given: set[int] = set()


def new_action(name: str, targets: Sequence[Animated]) -> tuple[list[bpy.types.Action], list]:
    """Fresh actions that animate the data-blocks `targets`: (actions, one curve collection per
    target).

    From 4.4 on a single action with a slot per target; before, one action per target. They have a
    fake user, or a purge would remove them while they are written.
    """
    if HAS_SLOTS:
        action = bpy.data.actions.new(name)
        given.add(action.session_uid)
        action.use_fake_user = True
        strip = action.layers.new("Layer").strips.new(type="KEYFRAME")
        curves = []
        for target in targets:
            slot = action.slots.new(id_type=target.id_type, name=target.name)
            curves.append(strip.channelbag(slot, ensure=True).fcurves)
        return [action], curves
    actions = [
        bpy.data.actions.new(name if i == 0 else f"{name} {target.id_type.title()}")
        for i, target in enumerate(targets)
    ]
    for action, target in zip(actions, targets):
        given.add(action.session_uid)
        action.id_root, action.use_fake_user = target.id_type, True
        action[TARGET] = target.name
    return actions, [action.fcurves for action in actions]


def new_curve(curves: bpy.types.ActionChannelbagFCurves, data_path: str, index: int, group: str):
    """A new f-curve in a collection that new_action gave."""
    if not HAS_SLOTS:
        return curves.new(data_path, index=index, action_group=group)
    if _LAYERED_ONLY:
        return curves.new(data_path, index=index, group_name=group)
    curve = curves.new(data_path, index=index)
    if group:  # the collection's owner is a channelbag, which contains the groups
        groups = curves.data.groups
        curve.group = groups.get(group) or groups.new(group)
    return curve


def all_curves(action: bpy.types.Action) -> list:
    """Every f-curve of an action, whatever its slots."""
    given.add(action.session_uid)
    if not HAS_SLOTS:
        return list(action.fcurves)
    return [
        curve
        for layer in action.layers
        for strip in layer.strips
        for bag in strip.channelbags
        for curve in bag.fcurves
    ]


def place_of_curves(action: bpy.types.Action) -> tuple[int, list[int]]:
    """How many f-curves an action has, and where in memory each collection and its first one
    are: quick."""
    collections = (
        [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
        if HAS_SLOTS
        else [action]
    )
    first = [each.fcurves[0].as_pointer() for each in collections if len(each.fcurves)]
    count = sum(len(each.fcurves) for each in collections)
    return count, [*(each.as_pointer() for each in collections), *first]


def shift(action: bpy.types.Action, frames: float) -> None:
    """Move every key of an action by `frames`."""
    for curve in all_curves(action):
        for name in ("co", "handle_left", "handle_right"):
            buffer = np.empty(2 * len(curve.keyframe_points), np.float32)
            curve.keyframe_points.foreach_get(name, buffer)
            buffer[::2] += frames
            curve.keyframe_points.foreach_set(name, buffer)
        curve.update()


def curves_for(data_block: Animated) -> list:
    """The f-curves that a data-block's active action holds for it (its slot's alone)."""
    animation = data_block.animation_data
    return curves_of(animation.action, slot_of(data_block)) if animation is not None else []


def curves_of(action: bpy.types.Action | None, slot: str) -> list:
    """The f-curves of an action's slot of that identifier; before 4.4 all of the action's; none
    without an action."""
    if action is not None:
        given.add(action.session_uid)
    if action is not None and not HAS_SLOTS:
        return list(action.fcurves)
    chosen = None if action is None else action.slots.get(slot)
    if chosen is None:
        return []
    return [
        curve
        for layer in action.layers
        for strip in layer.strips
        if (bag := strip.channelbag(chosen)) is not None
        for curve in bag.fcurves
    ]


def curves_in_strips(strips: Iterable[bpy.types.NlaStrip]) -> list:
    """The f-curves of the actions that NLA strips, and those in them, play."""
    return [
        curve
        for strip in strips
        for curve in (
            *(all_curves(strip.action) if strip.action is not None else ()),
            *curves_in_strips(strip.strips),
        )
    ]


def by_place(curves: Iterable[bpy.types.FCurve]) -> dict[tuple[str, int], bpy.types.FCurve]:
    """Curves, or drivers, by the path and index that they move."""
    return {(curve.data_path, curve.array_index): curve for curve in curves}


def curves_in(action: bpy.types.Action, data_block: Animated, slot: str = ""):
    """The curve collection of a data-block in an action: that of the slot of that identifier, else
    a new slot's."""
    given.add(action.session_uid)
    if not HAS_SLOTS:
        return action.fcurves
    chosen = action.slots.get(slot) if slot else None
    if chosen is None:
        chosen = action.slots.new(id_type=data_block.id_type, name=data_block.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(chosen, ensure=True).fcurves


def set_strip_slot(strip: bpy.types.NlaStrip, slot: str) -> None:
    """Let an NLA strip play the slot of that identifier."""
    if HAS_SLOTS and slot and slot in strip.action.slots:
        strip.action_slot = strip.action.slots[slot]


def strip_slot(strip: bpy.types.NlaStrip) -> str:
    """Identifier of the slot that an NLA strip plays ("" for none or before 4.4)."""
    slot = getattr(strip, "action_slot", None)
    return slot.identifier if slot else ""


def slot_of(data_block: Animated) -> str:
    """Identifier of the slot a data-block uses in its active action ("" for none or before 4.4)."""
    animation = data_block.animation_data
    slot = getattr(animation, "action_slot", None) if animation else None
    return slot.identifier if slot else ""


def slot_for(action: bpy.types.Action, data_block: Animated, index: int | None = None) -> str:
    """Identifier of the slot of an action for a data-block: by its name, else (it was renamed) the
    one of that index that `new_action` made for it, without an index the first of its type; "" if
    there is none, and before 4.4."""
    slots = list(action.slots) if HAS_SLOTS else []
    fitting = [slot for slot in slots if slot.target_id_type in (data_block.id_type, "UNSPECIFIED")]
    named = [slot for slot in fitting if slot.name_display == data_block.name]
    others = (
        fitting if index is None else [slot for slot in slots[index : index + 1] if slot in fitting]
    )
    return next((slot.identifier for slot in named + others), "")


def type_of(action: bpy.types.Action) -> str:
    """Of which type the data-blocks are that an action was made for, "KEY" or "OBJECT"; "" if no
    one knows."""
    if hasattr(action, "id_root"):  # until 5.0
        return action.id_root
    return next((slot.target_id_type for slot in action.slots), "")


def fits(action: bpy.types.Action, data_block: Animated) -> bool:
    """Whether an action has curves for data-blocks of that type."""
    return bool(slot_for(action, data_block)) if HAS_SLOTS else action.id_root == data_block.id_type


def assign_action(data_block: Animated, action: bpy.types.Action | None, slot: str = "") -> None:
    """Make `action` (or None) the active action of a data-block, with the slot of that identifier.

    Without an identifier the slot made for a data-block of its type is taken.
    """
    animation = data_block.animation_data or data_block.animation_data_create()
    animation.action = action
    if action is None or not HAS_SLOTS:
        return
    chosen = action.slots.get(slot) or action.slots.get(slot_for(action, data_block))
    if chosen is not None:
        animation.action_slot = chosen


# ---- drawings


def is_drawing(obj: bpy.types.Object) -> bool:
    """Whether an object is a Grease Pencil drawing; that before 4.3 is none, which had other
    data."""
    return obj.type == "GREASEPENCIL"


def choose_drawings(obj: bpy.types.Object, name: str, layer: str) -> None:
    """Let a modifier of that name show one drawing of a layer, that of its offset."""
    modifier = obj.modifiers.get(name) or obj.modifiers.new(name, "GREASE_PENCIL_TIME")
    modifier.mode = "FIX"
    # `layer_filter` before it could also be a group
    of = "tree_node_filter" if hasattr(modifier, "tree_node_filter") else "layer_filter"
    setattr(modifier, of, layer)


def new_drawing(name: str):
    """New Grease Pencil data; None before 4.3."""
    if bpy.app.version < (4, 3, 0):
        return None
    return getattr(bpy.data, "grease_pencils_v3", bpy.data.grease_pencils).new(name)


def draw(data: bpy.types.GreasePencil, layer: str, frame: int, shapes: list, radius: float) -> None:
    """Draw closed shapes (index of its material, outline [n, 2] in the plane XZ) on a frame of a
    layer of Grease Pencil data. radius: of the line."""
    on = data.layers.get(layer) or data.layers.new(layer)
    on.use_lights = False
    drawing = on.frames.new(frame).drawing
    drawing.add_strokes([len(outline) for _, outline in shapes])
    for number, (stroke, (ink, outline)) in enumerate(zip(drawing.strokes, shapes)):
        stroke.cyclic, stroke.material_index = True, ink
        if hasattr(stroke, "fill_id"):  # since 5.2 only shapes with a number are filled
            stroke.fill_id = number + 1
        for point, (x, z) in zip(stroke.points, outline):
            point.position, point.radius = (x, 0.0, z), radius


# ---- rendering


def set_movie_output(render: bpy.types.RenderSettings) -> None:
    """Let a scene's render settings write H.264 with AAC sound in an MP4 file."""
    image = render.image_settings
    if hasattr(image, "media_type"):  # 5.0 sorts the formats by medium
        image.media_type = "VIDEO"
    image.file_format = "FFMPEG"
    movie = render.ffmpeg
    movie.format, movie.codec = "MPEG4", "H264"
    movie.constant_rate_factor, movie.ffmpeg_preset = "HIGH", "GOOD"
    movie.audio_codec = "AAC"
    movie.audio_bitrate = 160
    movie.audio_channels = "STEREO"
    movie.audio_mixrate = 48000


def set_image_output(render: bpy.types.RenderSettings) -> None:
    """Let a scene's render settings write PNG files."""
    image = render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "IMAGE"
    image.file_format = "PNG"
    image.color_mode = "RGB"


def save_copy(path: str) -> bool:
    """Save a copy of the open file, with paths made relative to it; compressed if the preferences
    say so. Returns whether it is known to be complete. Raises RuntimeError or OSError."""
    release_free_memory()
    is_apart = (
        _HOLDS_ALL
        and bpy.context.preferences.filepaths.use_file_compression
        and find_spec("zstandard") is not None  # systems that build Blender may lack it
    )
    options: dict[str, Any] = {"compress": False} if is_apart else {}
    with _in_empty_scene():
        bpy.ops.wm.save_as_mainfile(
            filepath=path, copy=True, relative_remap=True, check_existing=False, **options
        )
    if is_apart:
        _compress(path)
    return is_apart


@contextmanager
def _in_empty_scene() -> Iterator[None]:
    """Let operators work in an empty scene, which is in no file. Blender evaluates the scene before
    and after each, and copies all actions that its list of takes points to: of eight takes of an
    hour 1.1 GB."""
    empty = bpy.data.scenes.new("Empty")
    empty.is_runtime_data = True  # not saved
    try:
        with bpy.context.temp_override(scene=empty, view_layer=empty.view_layers[0]):
            yield
    finally:
        bpy.data.scenes.remove(empty)


def _compress(path: str) -> None:
    """Compress a .blend file as Blender does: frames of a megabyte, and a table of their sizes by
    which it reads only those that it needs. Both files are on the disk meanwhile. Raises OSError,
    also for an incomplete file."""
    from zstandard import compress

    sizes: list[int] = []
    with files.part_of(path) as part, open(path, "rb") as plain, open(part, "wb") as packed:
        plain.seek(-32, os.SEEK_END)
        if b"ENDB" not in plain.read():
            raise OSError("the scene could not be saved completely")
        plain.seek(0)
        while frame := plain.read(1 << 20):
            sizes += packed.write(compress(frame)), len(frame)
        table = 0x184D2A5E, 4 * len(sizes) + 9, *sizes, len(sizes) // 2, 0, 0x8F92EAB1
        packed.write(struct.pack(f"<{3 + len(sizes)}IBI", *table))


PACKAGE = __package__.removesuffix(".scene.host")  # extension name in Blender


def user_folder(name: str) -> Path:
    """The folder of this name among the user's files; it may not exist yet."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path=name))
    except ValueError:  # run as a plain script, not as an extension
        return Path(bpy.utils.user_resource("CONFIG", path=f"thunder_{name}"))
