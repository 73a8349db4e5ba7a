# SPDX-License-Identifier: GPL-3.0-or-later
"""A film of all takes side by side, with the sound: the heads and words of Play All in front of a separate camera."""

from __future__ import annotations

import bpy
from mathutils import Matrix, Vector

from ..heads import head
from . import grid, studio

MARGIN = 1.02  # size of the picture relative to the grid


def render(scene, rig: head.Rig, entries: list, path: str, height: int, small: bool = False) -> None:
    """Render takes of a head, side by side, over the scene's frames into an MP4 file about `height` pixels high.

    small: the file is compressed more. The scene is restored afterwards. Raises BadRequest if there is no take.
    """
    visible = [obj for obj in dict.fromkeys((rig.mesh, *rig.objects)) if not obj.hide_render]
    before = scene.camera, scene.render.engine
    for _ in grid.build(scene, rig, entries):
        pass
    camera = bpy.data.objects.new(grid.NAME, bpy.data.cameras.new(grid.NAME))
    try:
        shown = grid.shown.grid
        scene.collection.objects.link(camera)
        camera.data.type, camera.data.ortho_scale = "ORTHO", MARGIN * max(shown.size.x, shown.size.y)
        camera.matrix_world = Matrix.Translation(shown.middle + shown.axes @ Vector((0.0, 0.0, 4 * shown.size.z))) @ shown.axes.to_4x4()
        camera.data.clip_start, camera.data.clip_end = shown.size.z, 10 * shown.size.z
        scene.camera, scene.render.engine = camera, "BLENDER_WORKBENCH"
        for obj in visible:
            obj.hide_render = True
        studio.render_film(scene, path, 2 * round(height * shown.size.x / shown.size.y / 2), 2 * round(height / 2), small)
    finally:
        grid.leave()
        scene.camera, scene.render.engine = before
        bpy.data.cameras.remove(camera.data)  # the object goes with it
        for obj in visible:
            obj.hide_render = False
