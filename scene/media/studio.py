# SPDX-License-Identifier: GPL-3.0-or-later
"""Films of takes: of a scene through its camera, of takes side by side, and playblasts in
slices."""

import os
import shutil
import tempfile
from collections.abc import Generator

import bpy
from mathutils import Matrix, Vector

from ...thunder_core.errors import BadRequest
from ...thunder_core.files import part_of, write_error
from ..heads import head
from ..host import compat
from ..host.jobs import Step
from . import grid, stage

GRID_MARGIN = 1.02  # size of the picture relative to the grid
PLAYBLAST = "Thunder Playblast"  # name of the temporary scene
STILLS = {  # its settings while its frames are rendered
    **dict.fromkeys(
        (
            "render.use_sequencer",
            "render.use_compositing",
            "render.use_border",
            "render.film_transparent",
        ),
        False,
    ),
    "render.resolution_percentage": 100,
    "use_preview_range": False,
    "frame_step": 1,
}
FILM = {  # and while they are put together: the pictures have their colours
    "render.use_sequencer": True,
    "view_settings.view_transform": "Standard",
    "view_settings.look": "None",
    "view_settings.exposure": 0.0,
    "view_settings.gamma": 1.0,
    "view_settings.use_curve_mapping": False,
}


def render_film(scene, path: str, width: int, height: int, small: bool = False) -> None:
    """Render the scene's frame range with its sound into an MP4 file; width and height in pixels
    must be even, small: compressed more."""
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    compat.set_movie_output(scene.render, small)
    scene.render.use_file_extension = False
    scene.render.filepath = path
    bpy.ops.render.render(animation=True, scene=scene.name)


def render_grid(
    scene, rig: head.Rig, entries: list, path: str, height: int, small: bool = False
) -> None:
    """Render takes of a head, side by side, over the scene's frames into an MP4 file about `height`
    pixels high.

    small: the file is compressed more. The scene is restored afterwards. Raises BadRequest if there
    is no take.
    """
    visible = [obj for obj in dict.fromkeys((rig.mesh, *rig.objects)) if not obj.hide_render]
    before = scene.camera, scene.render.engine
    for _ in grid.build(scene, rig, entries):
        pass
    camera = bpy.data.objects.new(grid.NAME, bpy.data.cameras.new(grid.NAME))
    try:
        layout = grid.state.grid
        scene.collection.objects.link(camera)
        camera.data.type, camera.data.ortho_scale = (
            "ORTHO",
            GRID_MARGIN * max(layout.size.x, layout.size.y),
        )
        camera.matrix_world = (
            Matrix.Translation(layout.middle + layout.axes @ Vector((0.0, 0.0, 4 * layout.size.z)))
            @ layout.axes.to_4x4()
        )
        camera.data.clip_start, camera.data.clip_end = layout.size.z, 10 * layout.size.z
        scene.camera, scene.render.engine = camera, "BLENDER_WORKBENCH"
        for obj in visible:
            obj.hide_render = True
        render_film(
            scene,
            path,
            2 * round(height * layout.size.x / layout.size.y / 2),
            2 * round(height / 2),
            small,
        )
    finally:
        grid.leave()
        scene.camera, scene.render.engine = before
        bpy.data.cameras.remove(camera.data)  # the object goes with it
        for obj in visible:
            obj.hide_render = False


def playblast(scene, path: str, percent: int, engine: str) -> Generator[Step, None, str]:
    """Steps that film a scene's frames, or those of its preview range, with its sound into an MP4
    file; returns its path.

    The stage's camera is used, else the scene's.  percent: of the scene's resolution.  engine:
    Blender's name of it, "" for the scene's. The scene stays as it is: a copy is filmed. Raises
    BadRequest without a camera or while Blender renders, NoSpace.
    """
    if stage.camera_of(scene) is None:
        raise BadRequest("There is no camera to film through: press Light the Scene first")
    if bpy.app.is_job_running("RENDER"):
        raise BadRequest("Blender is rendering: film the takes when it is done")
    first, last = (
        (scene.frame_preview_start, scene.frame_preview_end)
        if scene.use_preview_range
        else (scene.frame_start, scene.frame_end)
    )
    # H.264's are even
    size = [
        max(2, 2 * round(length * percent / 200))
        for length in (scene.render.resolution_x, scene.render.resolution_y)
    ]
    copy, folder = scene.copy(), tempfile.mkdtemp(prefix="thunder_playblast_", dir=bpy.app.tempdir)
    pictures = [os.path.join(folder, f"{number:06d}.png") for number in range(last - first + 1)]
    try:
        stage.apply_settings(
            copy,
            {
                "name": PLAYBLAST,
                "camera": stage.camera_of(scene),
                "render.engine": engine or scene.render.engine,
                **STILLS,
            },
        )
        stage.apply_settings(
            copy,
            {
                "render.resolution_x": size[0],
                "render.resolution_y": size[1],
                "frame_start": first,
                "frame_end": last,
            },
        )
        compat.set_image_output(copy.render)
        with part_of(path) as part:
            for number, picture in enumerate(pictures):
                yield Step(
                    number / len(pictures),
                    f"Filming frame {number + 1} of {len(pictures)}",
                    busy=True,
                )
                copy.frame_set(first + number)
                copy.render.filepath = picture
                bpy.ops.render.render(write_still=True, scene=copy.name)
            yield Step(1.0, "Writing the film", busy=True)
            stage.apply_settings(copy, FILM)
            _show_only(copy, pictures)
            render_film(copy, part, *size)
        return path
    except (OSError, RuntimeError) as error:
        raise write_error(os.path.dirname(path), error) from error
    finally:
        bpy.data.scenes.remove(copy)
        shutil.rmtree(folder, ignore_errors=True)


def _show_only(copy, pictures: list[str]) -> None:
    """Show pictures above everything else in a scene's sequencer, whose sounds stay, and none of
    its objects."""
    for part in (copy.collection.objects, copy.collection.children):
        for member in list(part):
            part.unlink(member)
    strips = compat.strips(copy.sequence_editor or copy.sequence_editor_create())
    top = max((strip.channel for strip in strips), default=0) + 1
    film = strips.new_image(PLAYBLAST, pictures[0], top, copy.frame_start)
    for picture in pictures[1:]:
        film.elements.append(os.path.basename(picture))
    film.frame_final_duration, film.blend_type = len(pictures), "REPLACE"
