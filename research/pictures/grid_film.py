# SPDX-License-Identifier: GPL-3.0-or-later
"""Films the takes of a demonstration side by side, with their sound, in a Blender without a window:

python research/pictures/grid_film.py FOLDER OUT.mp4
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import bpy
from mathutils import Matrix, Vector

HEIGHT = 900  # pixels; a frame of eight takes up to a second
MARGIN = 1.02  # size of the picture relative to the grid


def render_grid(package: str, rig, entries: list, path: str) -> None:
    """Render takes of a head, side by side, over the scene's frames into an MP4 file about HEIGHT
    pixels high. package: the extension's name."""
    scene = bpy.context.scene
    grid, studio = (import_module(f"{package}.scene.media.{name}") for name in ("grid", "studio"))
    list(grid.build(scene, rig, entries))  # all steps
    for obj in (rig.mesh, *rig.objects):
        obj.hide_render = True
    layout = grid.state.grid
    camera = bpy.data.objects.new(grid.NAME, bpy.data.cameras.new(grid.NAME))
    scene.collection.objects.link(camera)
    camera.data.type = "ORTHO"
    camera.data.ortho_scale = MARGIN * max(layout.size.x, layout.size.y)
    camera.matrix_world = (
        Matrix.Translation(layout.middle + layout.axes @ Vector((0.0, 0.0, 4 * layout.size.z)))
        @ layout.axes.to_4x4()
    )
    camera.data.clip_start, camera.data.clip_end = layout.size.z, 10 * layout.size.z
    scene.camera, scene.render.engine = camera, "BLENDER_WORKBENCH"
    wide = 2 * round(HEIGHT * layout.size.x / layout.size.y / 2)
    studio.render_film(scene, path, wide, 2 * round(HEIGHT / 2))


def main(folder: str, out: str) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from bake import load_extension

    package = load_extension().__name__
    (blend,) = Path(folder).resolve().glob("*.blend")
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    rig = import_module(f"{package}.scene.heads.head").find(scene)
    render_grid(package, rig, list(scene.thunder.takes), os.path.abspath(out))


if __name__ == "__main__":
    main(*sys.argv[sys.argv.index("--") + 1 if "--" in sys.argv else 1 :])
