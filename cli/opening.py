# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the scene that is worked in without a window, and refuses what would be lost in it."""

from __future__ import annotations

import os

import bpy

from ..thunder_core import files
from ..thunder_core.errors import BadRequest


def open_scene(path: str, fps: float | None, allow_newer: bool) -> bpy.types.Scene:
    """Open the file of a scene, "" for a new one, whose rate is set where one is given. Raises
    BadRequest."""
    open_file(path)
    check_file(allow_newer)
    scene = bpy.context.scene
    if fps is None:
        return scene
    if bpy.data.filepath:
        raise BadRequest(
            f"“{os.path.basename(bpy.data.filepath)}” has a frame rate of its own: leave --fps out"
        )
    render, whole = scene.render, round(fps)
    # a rate such as 29.97 is a whole one divided by 1.001
    is_drop = abs(fps - whole) > 0.001 and abs(whole / 1.001 - fps) < 0.01
    render.fps = whole
    render.fps_base = 1.001 if is_drop else whole / fps
    return scene


def open_file(path: str | None, advice: str = "name another with --blend") -> None:
    """Open the named file, or an empty one if Blender has none open. Raises BadRequest."""
    # of `blender FILE -c …`: exporters need one, which a file brings that is opened now
    if bpy.context.window is None:
        path = path or bpy.data.filepath
    if path:
        if problem := files.not_a_file(path):
            raise BadRequest(f"{problem}: {advice}")
        try:
            bpy.ops.wm.open_mainfile(filepath=os.path.abspath(path))
        except RuntimeError as error:
            raise BadRequest(
                f"“{path}” cannot be opened ({files.reason_of(error)}): open it with the Blender "
                f"that saved it, try a backup of it, or name another"
            ) from error
    elif not bpy.data.filepath:  # Blender starts with a default cube
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    _leave_edit_mode()


def _leave_edit_mode() -> None:
    """Put what was saved in Edit Mode into Object Mode: in it Blender shows no takes."""
    objects = bpy.context.view_layer.objects
    active = objects.active
    for obj in objects:
        if obj.mode == "EDIT":
            objects.active = obj
            bpy.ops.object.mode_set(mode="OBJECT")  # with it all of its kind
    objects.active = active


def check_file(allow_newer: bool) -> None:
    """Raise BadRequest if the open file should not be baked in: data that this Blender does not
    know would be lost."""
    path, running = bpy.data.filepath, tuple(bpy.app.version_file)
    saved: tuple[int, ...] = tuple(bpy.data.version)  # type: ignore[arg-type]  # an array
    if not files.is_utf8(path):
        raise BadRequest(f"The name “{files.printable(path)}” is not valid UTF-8: rename the file")
    if saved > running and not allow_newer:
        version, this = (".".join(map(str, numbers)) for numbers in (saved, running))
        raise BadRequest(
            f"“{os.path.basename(path)}” was saved by a newer Blender ({version}, this is "
            f"{this}), and what this one does not "
            f"know would be missing: bake with Blender {saved[0]}.{saved[1]}, or use --allow-newer"
        )
    check_linked()


def check_linked() -> None:
    """Raise BadRequest if linked data of the open file are missing: Blender replaces them with
    empty data."""
    for library in bpy.data.libraries:
        path = os.path.normpath(bpy.path.abspath(library.filepath))
        # the latter since Blender 5.0
        is_packed = library.packed_file or getattr(library, "is_archive", False)
        if not is_packed and (problem := files.not_a_file(path)):
            raise BadRequest(
                f"{problem}, which the scene links: put the file there, or save the scene without "
                f"it"
            )
    for name in dir(bpy.data):
        collection = getattr(bpy.data, name)
        if not isinstance(collection, bpy.types.bpy_prop_collection):
            continue
        for block in collection:
            if getattr(block, "is_missing", False) and block.library is not None:
                path = os.path.normpath(bpy.path.abspath(block.library.filepath))
                raise BadRequest(
                    f"“{block.name}” is missing in “{path}”, from where the scene links it: link "
                    f"it again, or save the scene without it"
                )
