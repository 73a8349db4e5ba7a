# SPDX-License-Identifier: GPL-3.0-or-later
"""A separate scene with a copy of a head, which Workbench draws while the animator's scene
stays as it is."""

import os
import tempfile

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...thunder_core.errors import BadRequest
from ..heads import head, rna_paths
from ..host import compat
from . import puppets, stage

PORTRAIT = "Thunder Portrait"  # name of a portrait's scene
PIXELS = 256  # size of a portrait
BACKGROUND = (0.05, 0.055, 0.065)  # linear RGB
LOOK = {
    "render.engine": "BLENDER_WORKBENCH",
    "display.shading.light": "STUDIO",
    "display.shading.color_type": "MATERIAL",
    **dict.fromkeys(
        (
            "display.shading.show_cavity",
            "display.shading.show_shadows",
            "display.shading.show_object_outline",
        ),
        False,
    ),
    "display.render_aa": "5",
    "view_settings.view_transform": "Standard",
}
# Of the square around a face: the share of its side that is shown, and by how much the picture's
# centre is lower.
FACE, MOUTH = (0.82, 0.06), (0.46, 0.16)


class CopyScene:
    """The scene, and in it the copy of a rig and a camera; `end` removes everything from the file.
    data: other data-blocks that end with it."""

    def __init__(self, name: str, scene, rig: head.Rig, background):
        self.had_result = any(image.type == "RENDER_RESULT" for image in bpy.data.images)
        self.scene = new_scene = bpy.data.scenes.new(name)
        self.data: list = []
        self.copy: puppets.Puppet | None = None
        new_scene.render.fps, new_scene.render.fps_base = scene.render.fps, scene.render.fps_base
        try:
            self.copy = puppets.add(rig, new_scene.collection, Vector())
            new_scene.world = self.remove_at_end(bpy.data.worlds.new(name))
            stage.apply_settings(new_scene, {"world.color": background, **LOOK})
            new_scene.camera = bpy.data.objects.new(
                name, self.remove_at_end(bpy.data.cameras.new(name))
            )
            new_scene.camera.data.type, new_scene.camera.data.clip_end = "ORTHO", 100.0
            new_scene.collection.objects.link(new_scene.camera)
        except BaseException:
            self.end()
            raise

    def remove_at_end(self, block):
        """Remove a data-block at the end, too; returns it."""
        self.data.append(block)
        return block

    def render(self, path: str, width: int, height: int) -> str:
        """As `render_still`; returns the path."""
        render_still(self.scene, path, width, height)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self) -> None:
        """Remove everything from the file."""
        if self.copy is not None:
            puppets.remove(self.copy)
        if self.scene.camera is not None:
            bpy.data.objects.remove(self.scene.camera)
        bpy.data.scenes.remove(self.scene)
        if not self.had_result:
            bpy.data.batch_remove(
                [image for image in bpy.data.images if image.type == "RENDER_RESULT"]
            )
        bpy.data.batch_remove(self.data)


def render_still(scene, path: str, width: int, height: int) -> None:
    """Render a scene's current frame into a PNG file, by its camera and engine. Raises
    BadRequest while Blender renders.

    Blocking, because a background render job could not be stopped before its scene is removed.
    """
    render = scene.render
    compat.set_image_output(render)
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.filepath, render.use_file_extension = path, False
    if bpy.app.is_job_running("RENDER"):
        raise BadRequest("Blender is rendering: try again when it is done")
    bpy.ops.render.render(write_still=True, scene=scene.name)


def pixels(path: str) -> np.ndarray:
    """A picture as it is displayed, [height, width, channels] of 0 … 1, last row first, as Blender
    has pictures."""
    image = bpy.data.images.load(path)
    try:
        image.colorspace_settings.name = "Non-Color"
        buffer = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(buffer)
        return buffer.reshape(image.size[1], image.size[0], image.channels)
    finally:
        bpy.data.images.remove(image)


class Portrait(CopyScene):
    """Portraits of a head, PIXELS high and wide, of which its copy strikes the poses."""

    def __init__(self, scene, rig: head.Rig):
        super().__init__(PORTRAIT, scene, rig, BACKGROUND)
        self.rig, self.at = rig, puppets.face_frame(rig)
        for obj in self.copy.objects:
            obj.hide_render = obj not in self.copy.visible
        puppets.stop(self.copy, rig)

    def pose(self, values) -> None:
        """Give the copy the values [tracks] of the rig's tracks."""
        for track, value in zip(self.rig.driver.tracks, values):
            rna_paths.put(self.copy.targets[track.block], track.path, track.index, float(value))
        rna_paths.tag(self.copy.targets)

    def take(self, share: float, lower: float) -> np.ndarray:
        """The picture of the copy as it is, [PIXELS, PIXELS, 4], as `pixels`; of a share of the
        face, its middle so much lower."""
        (frame, size), camera = self.at, self.scene.camera
        camera.data.ortho_scale = share * size
        camera.data.clip_start = 0.01 * size
        camera.data.clip_end = 20 * size
        camera.matrix_world = frame.inverted() @ Matrix.Translation((0.0, -lower * size, 5 * size))
        with tempfile.TemporaryDirectory(prefix="thunder_portrait_", dir=bpy.app.tempdir) as folder:
            return pixels(self.render(os.path.join(folder, "portrait.png"), PIXELS, PIXELS))
