# SPDX-License-Identifier: GPL-3.0-or-later
"""A small set around a head: camera, light and look, for pictures and films made without a window."""

import bpy
from mathutils import Matrix, Vector

from ..heads import head
from ..host import compat
from . import grid

BACKDROP = (0.035, 0.04, 0.05)  # linear RGB
LENS_MM = 100.0  # portrait lens
CAMERA_FROM_FACE = Vector((0.19, -0.86, 0.01))  # metres from the middle of the head, slightly from its left
GRID_MARGIN = 1.02  # size of the picture relative to the grid
LOOK_AT = Vector((0.0, -0.02, -0.038))  # centre of the picture, metres from the head's origin (between the eyes)


def dress(scene, rig: head.Rig) -> None:
    """Add a camera that frames the face and three lights, and make Workbench draw the materials' colours."""
    origin = rig.owner.matrix_world.translation
    camera = bpy.data.objects.new("Thunder Camera", bpy.data.cameras.new("Thunder Camera"))
    camera.data.lens = LENS_MM
    camera.data.clip_start = 0.01
    _aim(camera, origin + LOOK_AT + CAMERA_FROM_FACE, origin + LOOK_AT)
    scene.collection.objects.link(camera)
    scene.camera = camera
    for name, place, watts, size in (
        ("Key", (-0.7, -0.8, 0.5), 9.0, 0.5),
        ("Fill", (0.9, -0.6, 0.1), 3.0, 0.8),
        ("Rim", (0.3, 0.9, 0.6), 8.0, 0.4),
    ):
        lamp = bpy.data.objects.new(f"Thunder {name}", bpy.data.lights.new(f"Thunder {name}", "AREA"))
        lamp.data.energy, lamp.data.size = watts, size
        _aim(lamp, origin + Vector(place), origin + LOOK_AT)
        scene.collection.objects.link(lamp)
    if scene.world is None:
        scene.world = bpy.data.worlds.new("Thunder Backdrop")
    scene.world.color = BACKDROP
    scene.render.engine = "BLENDER_WORKBENCH"
    shading = scene.display.shading
    shading.light, shading.color_type = "STUDIO", "MATERIAL"
    shading.show_specular_highlight = True
    shading.show_cavity, shading.cavity_type = True, "SCREEN"
    shading.show_shadows = False
    scene.display.render_aa = "FXAA"
    scene.view_settings.view_transform = "Standard"


def _aim(obj, place: Vector, target: Vector) -> None:
    obj.location = place
    obj.rotation_euler = (target - place).to_track_quat("-Z", "Y").to_euler()


def render_film(scene, path: str, width: int, height: int, small: bool = False) -> None:
    """Render the scene's frame range with its sound into an MP4 file; width and height in pixels must be even, small: compressed more."""
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    compat.set_movie_output(scene.render, small)
    scene.render.use_file_extension = False
    scene.render.filepath = path
    bpy.ops.render.render(animation=True, scene=scene.name)


def render_grid(scene, rig: head.Rig, entries: list, path: str, height: int, small: bool = False) -> None:
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
        camera.data.type, camera.data.ortho_scale = "ORTHO", GRID_MARGIN * max(shown.size.x, shown.size.y)
        camera.matrix_world = Matrix.Translation(shown.middle + shown.axes @ Vector((0.0, 0.0, 4 * shown.size.z))) @ shown.axes.to_4x4()
        camera.data.clip_start, camera.data.clip_end = shown.size.z, 10 * shown.size.z
        scene.camera, scene.render.engine = camera, "BLENDER_WORKBENCH"
        for obj in visible:
            obj.hide_render = True
        render_film(scene, path, 2 * round(height * shown.size.x / shown.size.y / 2), 2 * round(height / 2), small)
    finally:
        grid.leave()
        scene.camera, scene.render.engine = before
        bpy.data.cameras.remove(camera.data)  # the object goes with it
        for obj in visible:
            obj.hide_render = False
