# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports a head and its animation: glTF, FBX, USD and Alembic through Blender's exporters, ARKit
curves as CSV, VRM animation, cues of words and mouths, channels and FLAME's parameters as arrays.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import bpy
import numpy as np

from ...thunder_core.animation import cue_file, glb, livelink, motion_file, vrma
from ...thunder_core.animation.timing import Clock
from ...thunder_core.errors import attempt, BadRequest, NoSpace
from ...thunder_core.face import mapping
from ...thunder_core.face.drawn_mouths import MOUTHS
from ...thunder_core.face.moving.lips import opening_mm
from ...thunder_core.files import part_of, reason_of
from ...thunder_core.progress import result
from ...thunder_core.spoken import Spoken
from ...thunder_core.types import FPS, Motion
from ..animation import drawn_frames, fcurves, keying
from ..heads import build, character, family, flame, head, reading, rna_paths
from ..host import compat
from ..takes import dialogue, take_list, take_record, word_places
from ..voice import strip

# most bytes per vertex and frame (cache) or shape key: position, normal and framing
_BYTES_CACHED, _BYTES_KEYED = 64, 36
# beginning of the note on what no file of ARKit curves can hold
WITHOUT_NAME = "ARKit has no name for "
_LEFT = (
    "Shape keys that are muted, relative to another or cut by a vertex group are not as they look, "
    "since the mesh is linked: {}"
)
_BLENDED = (
    "Poses that are held are blended from one frame to the next where other keys of the same mesh "
    "or bone move between frames: {}"
)
_HELD = 1e-5  # most that a value changes from a frame to halfway to the next, where it is held
ALL, IN_PART = "all", "in part"
_FLAGS = b"\x0cKeyAttrFlagsi"  # how FBX writes the kind of a curve's keys: one number
_BEYOND = 1e-3  # distance outside 0 … 1 from which a shape key's value is reported


@dataclass(frozen=True)
class Shot:
    """The subject of an export: the head of a scene, from its first to its last frame, whole scene
    frames.

    rate: rows per second of a table of curves; geometry has one sample a scene frame.  from_zero:
    whether the first frame is at time 0 of the file instead of its scene time, in formats without a
    start time.
    """

    scene: bpy.types.Scene
    view_layer: bpy.types.ViewLayer
    rig: head.Rig
    first: int
    last: int
    rate: float = livelink.RATE
    from_zero: bool = False


@dataclass(frozen=True)
class Format:
    """An export format.

    name: for the animator.  suffix: of its files.  carries, loses: what is exported and what is
    lost; a sentence each.
    operator: Blender's operator that writes it, empty for files we write.
    write: (shot, path) writes the file and returns sentences on what is lost of this head.
    geometry: whether it contains the mesh.  cached: whether as a mesh per frame, instead of shape
    keys and bones.
    rated: whether its rows have another rate than one per scene frame.  flame: whether it
    is for heads from FLAME files only.
    timed: whether its time may begin at 0 (see Shot).
    """

    name: str
    suffix: str
    carries: str
    loses: str
    operator: str
    write: Callable[[Shot, str], list[str]]
    geometry: bool = True
    cached: bool = False
    rated: bool = False
    flame: bool = False
    timed: bool = False


def export(shot: Shot, form: Format, path: str) -> list[str]:
    """Write a file; returns sentences on what is lost of this head. The scene is left unchanged.

    The file gets its name when it is complete: a failure leaves an existing one unchanged.
    Raises BadRequest or NoSpace.
    """
    if lacking := why_missing(form, shot.rig):
        raise BadRequest(lacking)
    if shot.last < shot.first:
        raise BadRequest(
            f"Frames {shot.first} to {shot.last} are not a range: the first frame must come "
            f"before the last"
        )
    folder, name = os.path.split(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        _check_space(shot, form, folder, name)
        with part_of(path) as part:
            has_keys = form.geometry and not form.cached
            with (
                _alone(shot) if form.geometry else contextlib.nullcontext(),
                _plain_keys(shot) if has_keys else contextlib.nullcontext([]) as left,  # type: ignore[attr-defined]
            ):
                notes = form.write(shot, part)
            if not os.path.getsize(part):
                raise OSError("the file is empty")
    except OSError as error:
        raise NoSpace(
            f"“{name}” could not be written ({reason_of(error)}): free some space or choose "
            f"another folder"
        ) from error
    except RuntimeError as error:
        raise BadRequest(
            f"“{name}” could not be written ({reason_of(error)}): choose another format"
        ) from error
    return notes + _notes((_LEFT, left))


def _check_space(shot: Shot, form: Format, folder: str, name: str) -> None:
    """Raise NoSpace if a file would not fit: on a full disk Blender's Alembic exporter ends Blender
    itself."""
    need = 0
    for mesh in (obj.data for obj in _meshes(shot)) if form.geometry else ():
        keys = len(mesh.shape_keys.key_blocks) if mesh.shape_keys else 0
        need += len(mesh.vertices) * (
            (shot.last - shot.first + 1) * _BYTES_CACHED
            if form.cached
            else (8 + keys) * _BYTES_KEYED
        )
    free = shutil.disk_usage(folder).free
    if free < need:
        raise NoSpace(
            f"“{name}” may need {need / 1e6:.0f} MB and its disk has {free / 1e6:.0f} MB left: "
            f"free some space or choose another folder"
        )


# ---- what belongs to a head


def objects_of(scene: bpy.types.Scene, rig: head.Rig) -> list[bpy.types.Object]:
    """The objects of a scene that make up a character: what takes move, what deforms that, and what
    hangs on it too."""
    targets = set(rig.targets)
    result = [rig.owner, rig.mesh, *(rig.objects if rig.driver.is_drawn else ())]
    result += [
        obj
        for obj in scene.objects
        if obj in targets or (obj.type == "MESH" and obj.data.shape_keys in targets)
    ]
    for obj in list(result):
        result += [m.object for m in obj.modifiers if m.type == "ARMATURE" and m.object is not None]
        parent = obj.parent
        while parent is not None:
            if parent.type in {"ARMATURE", "EMPTY"}:
                result.append(parent)
            parent = parent.parent
    skeletons = {obj for obj in result if obj.type == "ARMATURE"}
    result += [
        obj
        for obj in scene.objects
        if obj.type == "MESH"
        and obj.visible_get()
        and any(family.carries(each, obj) for each in skeletons)
    ]
    return [obj for obj in dict.fromkeys(result) if obj.name in scene.objects]


def _meshes(shot: Shot) -> list[bpy.types.Object]:
    return [obj for obj in objects_of(shot.scene, shot.rig) if obj.type == "MESH"]


def _select(layer: bpy.types.ViewLayer, objects: list) -> None:
    """Select these objects of a view layer alone."""
    for obj in list(layer.objects.selected):
        obj.select_set(False, view_layer=layer)
    for obj in objects:
        obj.select_set(True, view_layer=layer)


@contextlib.contextmanager
def _alone(shot: Shot) -> Iterator[None]:
    """The objects of the head alone selected, in object mode, the scene's range that of the shot;
    then all as it was."""
    scene, layer = shot.scene, shot.view_layer
    objects = objects_of(scene, shot.rig)
    selected, active = list(layer.objects.selected), layer.objects.active
    mode = active.mode if active is not None else "OBJECT"
    # Not every property of a linked character can be set, so only the necessary ones are changed.
    hidden = [
        obj for obj in objects if obj.name in layer.objects and obj.hide_get(view_layer=layer)
    ]
    # what drivers hide cannot be selected
    drivers = [rna_paths.drivers_of(obj) for obj in objects if shot.rig.driver.is_drawn]
    changes: list[tuple[Any, str, Any]] = [
        (of["hide_viewport"], "mute", True) for of in drivers if "hide_viewport" in of
    ]
    changes += [
        (obj, name, False)
        for obj in objects
        for name in ("hide_viewport", "hide_select")
        if getattr(obj, name)
    ]
    changes += [
        (scene, "frame_start", shot.first),
        (scene, "frame_end", shot.last),
        (scene, "use_preview_range", False),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    frame, fraction = scene.frame_current, scene.frame_subframe
    try:
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode="OBJECT")
        for owner, name, value in changes:
            setattr(owner, name, value)
        for obj in hidden:
            obj.hide_set(False, view_layer=layer)
        layer.update()
        _select(layer, [obj for obj in objects if obj.name in layer.objects])
        unseen = next((obj for obj in objects if obj not in layer.objects.selected.values()), None)
        if unseen is not None:
            raise BadRequest(
                f"“{unseen.name}” is hidden with its collection: show it in this view layer "
                f"to export it"
            )
        layer.objects.active = shot.rig.owner
        scene.frame_set(shot.first)
        yield
    finally:
        for obj in hidden:
            obj.hide_set(True, view_layer=layer)
        _select(layer, selected)
        layer.objects.active = active
        for owner, name, value in before:
            setattr(owner, name, value)
        if mode != "OBJECT":
            bpy.ops.object.mode_set(mode=mode)
        scene.frame_set(frame, subframe=fraction)


@contextlib.contextmanager
def _plain_keys(shot: Shot) -> Iterator[list[str]]:
    """Meshes with keys that any exporter takes as Blender shows them: whole, relative to the Basis,
    and still where they are muted; then the meshes as they were. Yields the names of those whose
    mesh cannot be replaced."""
    swapped, left = [], []
    try:
        for obj in _meshes(shot):
            mesh, keys = obj.data, obj.data.shape_keys
            blocks = [] if keys is None else keys.key_blocks[1:]
            if not any(
                block.vertex_group or block.mute or block.relative_key != keys.reference_key
                for block in blocks
            ):
                continue
            read, plain = reading.mesh_of(obj, obj), mesh.copy()
            if plain.override_library is not None:  # or its points would be those of the library
                plain.make_local(clear_liboverride=True)
            swapped.append((obj, mesh, plain))
            for block, copy in zip(blocks, plain.shape_keys.key_blocks[1:]):
                points = read.rest.copy()
                if not block.mute:
                    ids, by = read.keys[block.name].moves()
                    points[ids] += by
                copy.points.foreach_set("co", points.ravel())
                copy.relative_key = plain.shape_keys.reference_key
                copy.vertex_group, copy.mute = "", False
            try:
                obj.data = plain
            except (AttributeError, TypeError, RuntimeError):  # of a linked object
                left.append(obj.name)
        yield left
    finally:
        for obj, mesh, plain in swapped:
            if obj.data == plain:
                obj.data = mesh
            bpy.data.meshes.remove(plain)


# ---- poses that are held


def _is_still(rows: np.ndarray) -> np.ndarray:
    """Which columns of values at frames and halfway to the next, in turns, [2 T, C], are held from
    each frame to the next, [C]."""
    return (np.abs(rows[1::2] - rows[0::2]) < _HELD).all(axis=0)


def _holds(shot: Shot) -> str:
    """Whether the animation of a head holds its poses from each frame to the next, as keys that are
    Constant do: ALL of it, IN_PART, or "" for none."""
    clock = Clock.of(shot.scene, shot.first)
    seconds = (shot.last - shot.first) / clock.fps
    rows = result(keying.read_values(shot.rig, clock, seconds, 2 * clock.fps))
    rows = rows[: len(rows) // 2 * 2]
    moves = np.ptp(rows, axis=0) > _HELD if len(rows) else np.zeros(0, bool)
    held = _is_still(rows) & moves
    return "" if not held.any() else ALL if held[moves].all() else IN_PART


def _moving(shot: Shot) -> set[str]:
    """The names of the bones and objects of a shot that move, or whose shape keys do, between a
    frame and the next, as Blender shows them."""
    objects, moving = objects_of(shot.scene, shot.rig), set[str]()
    for frame in range(shot.first, shot.last):
        poses = list[dict]()
        for share in (0.0, 0.5):
            shot.scene.frame_set(frame, subframe=share)
            poses.append(dict(chain(*(_pose_of(shot.view_layer.depsgraph, o) for o in objects))))
        moving |= {
            name
            for name, pose in poses[0].items()
            if np.abs(pose - poses[1][name]).max(initial=0) > _HELD
        }
    return moving


def _pose_of(depsgraph: bpy.types.Depsgraph, obj: bpy.types.Object) -> Iterator[tuple]:
    """The names of an object and its bones, and what is seen of each: its place in its parent, and
    the object's shape keys too."""
    seen = obj.evaluated_get(depsgraph)
    keys = getattr(seen.data, "shape_keys", None)
    values = [block.value for block in keys.key_blocks] if keys is not None else []
    yield obj.name, np.append(np.array(seen.matrix_local), values)
    for bone in seen.pose.bones if seen.pose else ():
        place = bone.parent.matrix.inverted_safe() @ bone.matrix if bone.parent else bone.matrix
        yield bone.name, np.array(place)


def _say_blended(shot: Shot, form: str) -> list[str]:
    """A sentence where poses are held that programs that read a format blend into each other."""
    return [
        f"{form} cannot hold a pose from one frame to the next: players that draw more often than "
        f"{Clock.of(shot.scene, 0).fps:.4g} times a second blend held poses between two frames"
    ] * bool(_holds(shot))


# ---- Blender's exporters


def why_missing(form: Format, rig: head.Rig) -> str:
    """The reason why this Blender cannot write a format for a head, and what to do, in a sentence;
    empty if it can."""
    if form.flame and not flame.is_flame(rig.armature):
        return (
            f"“{rig.mesh.name}” does not come from a FLAME file, as this format needs: choose "
            f"another format or head"
        )
    if not form.operator or _operator(form.operator) is not None:
        return ""
    return (
        f"This Blender was built without {form.name}, or its exporter is switched off: choose "
        f"another format, or enable “{form.name}” among the add-ons in the preferences"
    )


def _operator(name: str):
    module, _, function = name.partition(".")
    operator = getattr(getattr(bpy.ops, module), function)
    with contextlib.suppress(KeyError):
        operator.get_rna_type()
        return operator
    return None


def _run(name: str, **settings: Any) -> None:
    """Call an exporter with those of the settings that this version of Blender has."""
    operator = _operator(name)
    known = operator.get_rna_type().properties.keys()
    result = operator(**{name: value for name, value in settings.items() if name in known})
    if "FINISHED" not in result:
        raise RuntimeError("the exporter gave up")


def _write_gltf(shot: Shot, path: str) -> list[str]:
    # Mode SCENE bakes the evaluated result (takes, NLA, drivers, constraints) as one animation; the
    # others would write every take in the file.
    _run(
        "export_scene.gltf",
        filepath=path,
        check_existing=False,
        export_format="GLB",
        use_selection=True,
        use_active_scene=True,
        export_yup=True,
        export_apply=False,
        export_attributes=True,
        export_animations=True,
        export_animation_mode="SCENE",
        export_anim_scene_split_object=False,
        export_frame_range=True,
        export_frame_step=1,
        export_force_sampling=True,
        export_negative_frame="CROP",
        export_anim_slide_to_zero=shot.from_zero,
        export_optimize_animation_size=True,
        export_current_frame=False,
        export_rest_position_armature=True,
        export_skins=True,
        export_def_bones=False,
        export_all_influences=True,
        export_morph=True,
        export_morph_normal=True,
        export_morph_animation=True,
        export_cameras=False,
        export_lights=False,
        export_extras=False,
    )
    notes = _rig_notes(shot)
    if _holds(shot):
        notes += _notes((_BLENDED, glb.hold(path, _moving(shot))))
    if shot.first < 0 and not shot.from_zero:
        notes.append("glTF has no time before 0: frames below 0 are left out")
    return notes


def _write_fbx(shot: Shot, path: str) -> list[str]:
    # A simplify factor above 0 drops keys; leaf bones are useful for only one program.
    _run(
        "export_scene.fbx",
        filepath=path,
        check_existing=False,
        use_selection=True,
        object_types={"ARMATURE", "MESH", "EMPTY"},
        use_mesh_modifiers=False,
        mesh_smooth_type="FACE",
        add_leaf_bones=False,
        bake_anim=True,
        bake_anim_use_all_bones=True,
        bake_anim_use_nla_strips=False,
        bake_anim_use_all_actions=False,
        bake_anim_force_startend_keying=True,
        bake_anim_step=1.0,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )
    if _holds(shot) == ALL and not _moving(shot):
        _hold_fbx(path)
        return _rig_notes(shot)
    return _rig_notes(shot) + _say_blended(shot, "This FBX")


def _hold_fbx(path: str) -> None:
    """Let all keys of an FBX file hold their value until the next."""
    with open(path, "r+b") as file:
        data, at = bytearray(file.read()), -1
        while (at := data.find(_FLAGS, at + 1)) >= 0:
            place = at + len(_FLAGS) + 12  # behind how many they are, in which encoding and bytes
            (flags,) = struct.unpack_from("<i", data, place)
            # bits 1 to 3: constant, linear, cubic
            struct.pack_into("<i", data, place, flags & ~0b1110 | 0b10)
        file.seek(0)
        file.write(data)


def _write_usd(shot: Shot, path: str, cached: bool = False) -> list[str]:
    _run(
        "wm.usd_export",
        filepath=path,
        check_existing=False,
        selected_objects_only=True,
        export_animation=True,
        export_armatures=not cached,
        export_shapekeys=not cached,
        only_deform_bones=False,
        export_materials=True,
        export_custom_properties=False,
        evaluation_mode="RENDER",
    )
    return ([] if cached else _rig_notes(shot)) + _say_blended(shot, "USD")


def _write_alembic(shot: Shot, path: str) -> list[str]:
    _run(
        "wm.alembic_export",
        filepath=path,
        check_existing=False,
        selected=True,
        start=shot.first,
        end=shot.last,
        as_background_job=False,
        init_scene_frame_range=False,
        uvs=True,
        normals=True,
        face_sets=True,
        evaluation_mode="RENDER",
    )
    return _say_blended(shot, "Alembic")


# ---- curves


def motion_of(shot: Shot) -> Motion:
    """The animation of the head over its frames, at the shot's rate."""
    clock = Clock.of(shot.scene, shot.first)
    seconds = (shot.last - shot.first) / clock.fps + 1 / shot.rate  # also a row at the last frame
    return result(keying.read(shot.rig, head.channel_names(), clock, seconds, shot.rate))


def _start_of(shot: Shot) -> float:
    """Time of the first row, seconds. Time 0 is the scene's frame 0, as in Blender's timeline,
    unless the first row is to have it."""
    return 0.0 if shot.from_zero else float(Clock.of(shot.scene, 0).seconds(shot.first))


def _write_arkit(shot: Shot, path: str) -> list[str]:
    motion, channels = motion_of(shot), head.channel_names()
    rows = livelink.table(motion, channels)
    start = _start_of(shot)
    with open(path, "w", encoding="ascii", newline="\n") as file:
        livelink.write(file, rows, start, shot.rate)
    cut = [
        name
        for name, values in zip(livelink.COLUMNS, rows.T[: livelink.SHAPES])
        if _is_beyond(values)
    ]
    lost = [
        name
        for name, values in zip(channels, motion.expression.T)
        if name not in livelink.NAMES and np.abs(values).max() > _BEYOND
    ]
    return _notes(
        ("Values outside ARKit's range of 0 to 1 were clipped: {}", cut),
        (f"{WITHOUT_NAME}{{}}: left out", lost),
    )


def _write_vrma(shot: Shot, path: str) -> list[str]:
    is_held = _holds(shot) == ALL
    vrma.write(path, motion_of(shot), head.channel_names(), max(0.0, _start_of(shot)), is_held)
    return []


def _write_cues(shot: Shot, path: str, as_text: Callable[[list, str], str]) -> list[str]:
    entry = take_list.on_head(shot.scene, shot.rig.mesh)
    start, opening = _start_of(shot), opening_mm(motion_of(replace(shot, rate=FPS)))
    shapes = _drawn_mouths(shot, start) if shot.rig.driver.is_drawn else ()
    voice, _ = attempt(strip.voice_of_take, bpy.context, entry)
    name = entry.voice if entry is not None else None if voice is None else voice.name
    if name is not None and dialogue.why_silent(shot.scene, shot.rig.mesh, name):  # a rest
        sound = strip.file_of(voice) if voice is not None and voice.name == name else ""
        cues = cue_file.cues_of(Spoken([], (), "", True), start, opening, start, shapes)
    else:
        voice = strip.voice_of_take(bpy.context, entry)  # raises if there is none
        line = _line_of(shot, voice.name if entry is None else entry.voice)
        shift = start + float(Clock.of(shot.scene, shot.first).seconds(line.origin))
        sound = strip.file_of(voice)
        cues = cue_file.cues_of(line.spoken, shift, opening, start, shapes)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(as_text(cues, os.path.basename(sound)))
    return []


def _drawn_mouths(shot: Shot, start: float) -> list[tuple[float, str]]:
    """When each mouth that a head of drawings shows begins, seconds, and its name."""
    numbers = drawn_frames.numbers_shown(shot.scene, shot.rig, shot.first, shot.last)
    shown = numbers[rna_paths.property_path(family.DRAWN_MOUTH)].clip(0, len(MOUTHS) - 1)
    rules = reversed(character.plan_of(shot.rig.mesh).rules)
    named = {r.source: r.target.name for r in rules if r.target.kind not in mapping.NUMBERED}
    names = [named.get(MOUTHS[number], MOUTHS[number]) for number in shown]
    fps, changes = Clock.of(shot.scene, shot.first).fps, enumerate(zip(names, [None, *names]))
    return [(start + row / fps, name) for row, (name, before) in changes if name != before]


def _line_of(shot: Shot, name: str) -> word_places.PlacedText:
    """What the voice of that name says in a shot. Raises BadRequest."""
    scene = shot.scene
    lines = word_places.lines(scene, compat.sequencer_scene(bpy.context) or scene)
    said = [
        line
        for line in lines
        if line.voice == name
        and line.origin + line.begin * line.fps <= shot.last
        and line.origin + line.end * line.fps >= shot.first
    ]
    if not said:
        raise BadRequest(
            f"Cues need the sounds of “{name}” in frames {shot.first} to {shot.last}: choose that "
            f"voice and press Find Words first, or export other frames"
        )
    return said[0]


def _write_channels(shot: Shot, path: str) -> list[str]:
    entry = take_list.on_head(shot.scene, shot.rig.mesh)
    shown = None if entry is None or entry.action is None else take_record.load(entry.action)
    take_style = None if shown is None else motion_file.style_of_take(shown.provenance)
    with open(path, "wb") as file:
        np.savez(file, **motion_file.arrays(motion_of(shot), head.channel_names(), take_style))  # type: ignore[arg-type]  # none is called as its option
    return []


# ---- what is lost


def _list_names(names: list[str]) -> str:
    """Names in a sentence: the first three, and how many more."""
    return ", ".join(f"“{name}”" for name in names[:3]) + (
        f" and {len(names) - 3} more" if len(names) > 3 else ""
    )


def _notes(*notes: tuple[str, list[str]]) -> list[str]:
    """The sentences that have names, with the names put in."""
    return [sentence.format(_list_names(names)) for sentence, names in notes if names]


def _rig_notes(shot: Shot) -> list[str]:
    """Notes on files with shape keys and bones."""
    drawn = [shot.rig.mesh.name] * shot.rig.driver.is_drawn
    dropped = [
        f"{modifier.name} of {obj.name}"
        for obj in _meshes(shot)
        for modifier in obj.modifiers
        if modifier.type != "ARMATURE" and modifier.show_viewport
    ]
    return _notes(
        ("Modifiers are left out because a mesh with shape keys cannot apply them: {}", dropped),
        ("Which drawing is seen is left out, so export cues too: {}", drawn),
        ("Shape keys go beyond 0 to 1, where some programs clip them: {}", keys_beyond(shot)),
    )


def keys_beyond(shot: Shot) -> list[str]:
    """Names of the shape keys whose keys leave 0 … 1 during the shot."""
    names = {}
    for curve in (
        curve
        for block in shot.rig.targets
        if block.id_type == "KEY"
        for curve in compat.curves_for(block)
    ):
        frames, values = fcurves.read_part(curve, "co").T
        if _is_beyond(values[(frames >= shot.first) & (frames <= shot.last)]):
            names[curve.data_path.removeprefix('key_blocks["').removesuffix('"].value')] = True
    return list(names)


def _is_beyond(values: np.ndarray) -> bool:
    return len(values) > 0 and (values.min() < -_BEYOND or values.max() > 1 + _BEYOND)


def _write_parameters(shot: Shot, path: str) -> list[str]:
    """Write the parameters of a FLAME head's animation, one row per scene frame, as an .npz.

    The head as it is seen now: NLA, drivers and constraints included.
    """
    rig, clock = shot.rig, Clock.of(shot.scene, shot.first)
    assert rig.armature is not None  # of a FLAME head (`why_missing`)
    seconds = (shot.last - shot.first + 1) / clock.fps
    values = result(keying.read_values(rig, clock, seconds, clock.fps))
    expression = np.zeros((len(values), flame.channels_of(rig.armature)))
    places = {track.path: index for index, track in enumerate(rig.driver.tracks)}
    for name in rig.driver.names:  # type: ignore[attr-defined]  # of shape keys alone
        expression[:, int(name[len("expression") :]) - 1] = values[
            :, places[rna_paths.key_path(name)]
        ]
    poses = {}
    for turn in rig.driver.turns:
        local = mapping.rotation_vectors(
            values[:, turn.first : turn.first + turn.length], turn.mode
        )
        poses[turn.parts[0][0].partition(".")[0]] = local @ turn.basis
    still = np.zeros((len(values), 3))
    joints = {"jaw": "jaw", "neck": "neck", "leye": "eye_left", "reye": "eye_right"}
    turns = {f"{name}_pose": poses.get(joint, still) for name, joint in joints.items()}
    blocks = rig.mesh.data.shape_keys.key_blocks
    betas = [
        blocks[name].value
        if (name := build.IDENTITY.format(i + 1)) in blocks and not blocks[name].mute
        else 0.0
        for i in range(motion_file.SHAPE)
    ]
    parts = {"expression": expression, **turns, "betas": np.tile(betas, (len(values), 1))}
    motion_file.write_parameters(path, parts, clock.fps)
    return []


FORMATS = {
    "GLTF": Format(
        "glTF",
        ".glb",
        "Mesh, shape keys, bones, skin, materials and textures in one file for game engines and "
        "the web",
        "Modifiers other than the armature's are left out; control rigs are baked to shape keys "
        "and bones",
        "export_scene.gltf",
        _write_gltf,
        timed=True,
    ),
    "FBX": Format(
        "FBX",
        ".fbx",
        "Mesh, shape keys, bones and skin for Unreal, Unity, Maya and MotionBuilder",
        "Modifiers other than the armature's are left out, materials arrive as plain colours and "
        "textures. "
        "Blender itself imports an FBX one frame late: set its Animation Offset to 0",
        "export_scene.fbx",
        _write_fbx,
    ),
    "USD": Format(
        "USD",
        ".usdc",
        "Mesh, blend shapes, skeleton and materials for film pipelines and Omniverse",
        "Modifiers other than the armature's are left out; control rigs are baked to shape keys "
        "and bones",
        "wm.usd_export",
        _write_usd,
    ),
    "USD_CACHE": Format(
        "USD Point Cache",
        ".usdc",
        "The vertices of every frame: whatever moves them arrives exactly",
        "No shape keys and no bones: the animation cannot be edited further",
        "wm.usd_export",
        partial(_write_usd, cached=True),
        cached=True,
    ),
    "ALEMBIC": Format(
        "Alembic",
        ".abc",
        "The vertices of every frame: whatever moves them arrives exactly",
        "No shape keys, no bones and no materials: the animation cannot be edited further",
        "wm.alembic_export",
        _write_alembic,
        cached=True,
    ),
    "ARKIT": Format(
        "ARKit Curves",
        ".csv",
        "52 blend shapes, head and eye angles a row, as Live Link Face records them",
        "No mesh; tongue shapes other than Tongue Out have no ARKit name; both eyes look the same "
        "way; values end at 0 and 1",
        "",
        _write_arkit,
        geometry=False,
        rated=True,
        timed=True,
    ),
    "VRMA": Format(
        "VRM Animation",
        ".vrma",
        "Vowels, blinks, gaze, head and jaw for any VRM avatar, in a glTF",
        "No mesh; only VRM's presets: brows, smiles, lips and tongue beyond the five vowels are "
        "left out",
        "",
        _write_vrma,
        geometry=False,
        rated=True,
        timed=True,
    ),
    "CUES": Format(
        "Cues",
        ".tsv",
        "Words, sounds and mouth shapes with their times, as a table to read and to script with",
        "No curves and no mesh",
        "",
        partial(_write_cues, as_text=cue_file.as_table),
        geometry=False,
        timed=True,
    ),
    "RHUBARB": Format(
        "Rhubarb Cues",
        ".json",
        "Mouth shapes A to H and X with their times, as Rhubarb Lip Sync writes them, for 2D "
        "characters",
        "No curves, no mesh and no words",
        "",
        partial(_write_cues, as_text=cue_file.as_rhubarb),
        geometry=False,
        timed=True,
    ),
    "CHANNELS": Format(
        "Channels",
        ".npz",
        "Channels with their names, jaw, head and eyes as rotations, and style and mood of a take, "
        "as NumPy arrays",
        "No mesh",
        "",
        _write_channels,
        geometry=False,
        rated=True,
    ),
    "FLAME": Format(
        "FLAME Parameters",
        ".npz",
        "Expression, jaw, neck, eyes and identity of every frame as smplx and other FLAME programs "
        "take them",
        "No mesh; only for heads from FLAME files; where the head stands in the scene is left out",
        "",
        _write_parameters,
        geometry=False,
        flame=True,
    ),
}
