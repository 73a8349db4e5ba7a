# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouths, moods and takes as assets: actions with a picture of the face that they make, in catalogs
of the Asset Browser."""

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import bpy
import numpy as np

from ...thunder_core import files
from ...thunder_core.errors import BadRequest, NoSpace
from ...thunder_core.face import mouths
from ...thunder_core.types import JAW_OPEN_RADIANS, MOUTH
from ..animation import display
from ..heads import detection, head, rna_paths
from ..host import compat, jobs
from ..takes import take_record
from . import puppets

POSE = "thunder_pose"  # property of a pose's actions: its name; those of one pose have the same
CATALOG_FILE = "blender_assets.cats.txt"
CATALOGS = {  # by their identifiers, which Blender goes by whatever an animator calls them
    "Thunder/Mouths": "5f0c7a54-6d0e-4f53-9a0e-1c1f3f6b7a01",
    "Thunder/Moods": "5f0c7a54-6d0e-4f53-9a0e-1c1f3f6b7a02",
    "Thunder/Takes": "5f0c7a54-6d0e-4f53-9a0e-1c1f3f6b7a03",
}
SETS = (  # catalog; poses; beginnings of the channels that they set; what their pictures show
    ("Thunder/Mouths", mouths.MOUTHS, MOUTH, puppets.MOUTH),
    ("Thunder/Moods", mouths.MOOD_FACES, "", puppets.FACE),
)
_STILL = 1e-6  # least difference of values that counts
_HEADER = (
    "# This is an Asset Catalog Definition file for Blender.\n#\n# "
    "UUID:catalog/path/for/assets:simple catalog name\n\nVERSION 1\n"
)


# ---- catalogs


def library_folder() -> Path:
    """The folder of the catalogs of this file's assets: that of the asset library it is in, else
    the file's. Raises BadRequest."""
    if not bpy.data.filepath:
        raise BadRequest(
            "The file is not saved yet: save it first, because assets and their catalog belong to "
            "a .blend file"
        )
    blend = Path(bpy.data.filepath)
    libraries = [
        Path(bpy.path.abspath(library.path))
        for library in bpy.context.preferences.filepaths.asset_libraries
        if library.path
    ]
    return next((folder for folder in libraries if folder in blend.parents), blend.parent)


def add_catalogs() -> None:
    """Add our catalogs to the catalog file, in which every line stays as it is. Raises BadRequest
    or NoSpace."""
    path, text = library_folder() / CATALOG_FILE, _HEADER
    try:
        if os.path.lexists(path):
            with files.open_input(path, mode="r", encoding="utf-8", newline="") as file:
                text = file.read()
        lines = [line.strip() for line in text.splitlines()]
        if "VERSION 1" not in lines:
            raise ValueError
        there = {line.partition(":")[0].strip() for line in lines}
        end = "\r\n" if "\r\n" in text else "\n"
        added = [
            f"{uuid}:{place}:{place.replace('/', '-')}{end}"
            for place, uuid in CATALOGS.items()
            if uuid not in there
        ]
        if added:
            files.write_file(path, text + end * (not text.endswith("\n")) + "".join(added))
    except ValueError as error:
        raise BadRequest(
            f"“{path}” is no catalog file of the version that Thunder knows (1): move it away and "
            f"try again"
        ) from error
    except OSError as error:
        raise NoSpace(
            f"The catalog file “{path}” cannot be read or written ({error.strerror}): save the "
            f".blend elsewhere"
        ) from error


def _mark(action, name: str, catalog: str, picture: np.ndarray, words: str) -> None:
    """Make an action an asset with a picture [height, width, 4]; one that is an asset stays in its
    catalog."""
    if action.asset_data is None:
        action.asset_mark()
        action.asset_data.catalog_id = CATALOGS[catalog]
    about = action.asset_data
    about.description = words
    for tag in (detection.TAG, name):
        about.tags.new(tag, skip_if_exists=True)
    preview = action.preview_ensure()
    preview.image_size = picture.shape[1], picture.shape[0]
    preview.image_pixels_float.foreach_set(np.ascontiguousarray(picture, np.float32).ravel())


# ---- saving


def save_poses(scene, rig: head.Rig) -> Generator[jobs.Step, None, int]:
    """Steps that make assets of the mouths and moods on a head, replacing those it has. Returns how
    many there are.

    Raises BadRequest or NoSpace, and then nothing has changed.
    """
    library_folder()
    channels, saved = head.channel_names(), []
    with puppets.Portrait(scene, rig) as portrait:
        yield jobs.Step(0.0, "Setting up the portraits", busy=True)
        for catalog, poses, moved, shown in SETS:
            every = dict.fromkeys((name for name in channels if name.startswith(moved)), 1.0) | {
                "jaw": JAW_OPEN_RADIANS
            }
            values = rig.driver.drive(
                mouths.motion_of([*poses.values(), every], channels), channels
            )
            # what another pose of the set, or of the animator, may have moved
            moves = np.ptp(values, axis=0) > _STILL
            for turn in rna_paths.rotations(rig.driver.tracks):
                moves[turn] = moves[turn].any()
            for name, numbers in zip(poses, values):
                portrait.pose(numbers)
                saved.append(
                    (name, catalog, np.where(moves, numbers, np.nan), portrait.take(*shown))
                )
                yield jobs.Step(
                    len(saved) / sum(len(some[1]) for some in SETS), f"Drawing “{name}”", busy=True
                )
    add_catalogs()
    for pose in saved:
        _save(rig, *pose)
    return len(saved)


def _save(rig: head.Rig, title: str, catalog: str, values: np.ndarray, picture: np.ndarray) -> None:
    """Make an asset of a pose, or make that of the same name again: a key for each value [tracks]
    that is a number."""
    name = f"{title} · {rig.mesh.name}"
    blocks = [
        block
        for block in rig.targets
        if any(np.isfinite(values[place]) for place, _ in rig.tracks_of(block))
    ]
    actions = _parts(name) or compat.new_action(name, blocks)[0]
    for block in blocks:
        action = next((action for action in actions if compat.fits(action, block)), actions[0])
        curves = compat.curves_in(action, block, compat.slot_for(action, block))
        for place, track in rig.tracks_of(block):
            if np.isfinite(values[place]):
                curve = curves.find(track.path, index=track.index) or compat.new_curve(
                    curves, track.path, track.index, track.group
                )
                curve.keyframe_points.insert(1.0, float(values[place]))
    for action in actions:
        action[POSE] = name
        _mark(action, rig.mesh.name, catalog, picture, "")


def _parts(name: str, library=None) -> list[bpy.types.Action]:
    """The actions of our pose of that name: one, before Blender 4.4 one for each kind of
    data-block."""
    return [
        action
        for action in bpy.data.actions
        if name and action.get(POSE) == name and action.library == library
    ]


def save_take(scene, rig: head.Rig, entry) -> None:
    """Make an asset of a take, with the face of its widest moment as its picture. Raises BadRequest
    or NoSpace."""
    library_folder()
    opening = take_record.opening_of(entry.action)
    widest = 0.0 if opening is None else float(np.argmax(opening)) / len(opening)
    with puppets.Portrait(scene, rig) as portrait:
        puppets.play(portrait.copy, rig, entry)
        portrait.scene.frame_set(round(entry.first + widest * (entry.last - entry.first)))
        picture = portrait.take(*puppets.FACE)
    add_catalogs()
    for action in display.actions_of(entry):
        _mark(action, rig.mesh.name, "Thunder/Takes", picture, entry.words)


# ---- using


def place_of(library: str, reference: str) -> tuple[str, str]:
    """(Name of an action, file that has it, "" for this one) of an asset that a shelf refers to, in
    a library of that name."""
    file, _, name = f"/{reference}".replace("\\", "/").rpartition("/Action/")
    known = bpy.context.preferences.filepaths.asset_libraries.get(library)
    return name, bpy.path.abspath(known.path) + file if file and known is not None else file


@contextlib.contextmanager
def open_asset(name: str, library: str) -> Iterator[bpy.types.Action]:
    """The action of an asset of this file, or appended from a library as long as nothing uses it.
    Raises BadRequest."""
    action = bpy.data.actions.get(name)
    if library:
        try:
            with bpy.data.libraries.load(library, link=False) as (source, target):
                target.actions = [other for other in source.actions if other == name]
        except OSError as error:
            raise BadRequest(
                f"The asset “{name}” cannot be read ({error}): choose another"
            ) from error
        action = next(iter(target.actions), None)
    if action is None:
        raise BadRequest(
            "No pose or take is chosen: click one in the Asset Browser or in the asset shelf of "
            "the viewport"
        )
    try:
        yield action
    finally:
        if library and action.users <= action.use_fake_user:
            bpy.data.actions.remove(action)


def apply(rig: head.Rig, action, strength: float, keyed: bool) -> int:
    """Bring a head to the pose of an action by a strength, 0 … 1, and key it if `keyed`; how many
    values that are."""
    count, parts = 0, [action, *_parts(action.get(POSE, ""), action.library)]
    for target in rig.targets:
        part = next((part for part in parts if compat.fits(part, target)), None)
        for curve in (
            compat.curves_of(part, compat.slot_for(part, target)) if part is not None else ()
        ):
            path, index = curve.data_path, curve.array_index
            if rna_paths.exists(target, path):
                now = rna_paths.value(target, path, index)
                rna_paths.set_value(
                    target,
                    path,
                    index,
                    now + strength * (curve.evaluate(part.frame_range[0]) - now),
                )
                count += 1
                if keyed:
                    target.keyframe_insert(path)
        target.update_tag()
    return count
