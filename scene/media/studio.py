# SPDX-License-Identifier: GPL-3.0-or-later
"""A lit set around heads, in which Workbench and EEVEE show them well; and films of takes: of a
scene through its camera, of takes side by side."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import bpy
from mathutils import Matrix, Vector

from ...thunder_core import records
from ..heads import head, materials
from ..host import compat
from . import puppets


def render_film(scene: bpy.types.Scene, path: str, width: int, height: int) -> None:
    """Render the scene's frame range with its sound into an MP4 file; width and height in pixels
    must be even."""
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    compat.set_movie_output(scene.render)
    scene.render.use_file_extension = False
    scene.render.filepath = path
    bpy.ops.render.render(animation=True, scene=scene.name)


NAME = "Thunder Stage"
# property of the stage's collection: settings before it, as JSON; of its objects and world: what
# each is
MARK = "thunder_stage"
CAMERA = "thunder_camera"  # property of the collection: the scene's camera before it
LENS_MM = 100.0  # portrait lens
# a close picture: by how much larger a face is, and by how much of the picture's width it is lower,
# so that chin and hair stay in it while a head turns
CLOSER, LOWER = 1.3, 0.065
# from the face to the camera, in the face's axes: slightly from its left
VIEW = Vector((0.19, 0.01, 0.86))
AROUND = 1.12  # size of the picture relative to the faces in it
FACE_METRES = 0.3  # size of the square around the face that the lights below are meant for
LIGHTS = {  # place in the face's axes, metres; watts; size, metres; share of its shine
    "Key": ((-0.7, 0.55, 0.8), 12.0, 0.5, 1.0),
    # beside the camera, so that it reaches what is seen of an open mouth
    "Fill": ((0.25, -0.12, 0.95), 5.0, 0.45, 0.3),
    "Rim": ((0.35, 0.55, -0.8), 8.0, 0.4, 1.0),
}
# linear RGBA where lights fall on it, and its distance behind the face, metres
BACKDROP, BEHIND = ((0.09, 0.1, 0.12, 1.0), 1.1)
# linear RGB of the world, and of the backdrop in Workbench, whose light is the same everywhere
DARK = (0.035, 0.04, 0.05)
LOOK = {  # settings of the scene
    "view_settings.view_transform": "Standard",  # as the colours of the bundled heads are meant
    "display.shading.light": "STUDIO",
    "display.shading.color_type": "MATERIAL",
    "display.shading.show_specular_highlight": True,
    "display.shading.show_cavity": True,
    "display.shading.cavity_type": "SCREEN",
    "display.shading.show_shadows": False,
    "display.render_aa": "FXAA",
    "sync_mode": "AUDIO_SYNC",
}


def find(scene: bpy.types.Scene) -> bpy.types.Collection | None:
    """The collection of a scene's stage, None if it has none."""
    return next((group for group in scene.collection.children if MARK in group), None)


def camera_of(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The camera that shows the heads: the stage's, else the scene's."""
    group = find(scene)
    return next(
        (obj for obj in (group.objects if group else ()) if obj.get(MARK) == "Camera"), scene.camera
    )


def set_up(scene: bpy.types.Scene, rigs: list[head.Rig], is_close: bool = False) -> None:
    """Set up the stage around heads, or fit the one that is there to them. The scene looks through
    its camera; what the scene has of its own stays.

    is_close: whether the faces fill the picture, so that shoulders are not seen."""
    group = find(scene)
    if group is None:
        group = bpy.data.collections.new(NAME)
        scene.collection.children.link(group)
        group[MARK] = json.dumps({path: scene.path_resolve(path) for path in LOOK})
        if scene.camera is not None:
            group[CAMERA] = scene.camera
    to_world, width, height = _frame_faces(rigs)
    reach = max(width, height) / FACE_METRES
    camera = _member(group, "Camera", bpy.data.cameras.new)
    zoom, camera.data.shift_y = (CLOSER, LOWER) if is_close else (1.0, 0.0)
    camera.data.lens, camera.data.clip_start, camera.data.clip_end = (
        zoom * LENS_MM,
        0.01 * reach,
        100.0 * max(reach, 1.0),
    )
    size = scene.render.resolution_x, scene.render.resolution_y
    # Blender's sensors are 36 mm along the longer side of the picture.
    _aim(
        camera,
        to_world,
        VIEW.normalized() * max(width / size[0], height / size[1]) * max(size) * LENS_MM / 36.0,
    )
    scene.camera = camera
    for name, (place, watts, across, shine) in LIGHTS.items():
        lamp = _member(group, name, lambda title: bpy.data.lights.new(title, "AREA"))
        lamp.data.shape = "DISK"  # round in the eyes
        lamp.data.energy = watts * reach**2
        lamp.data.size = across * reach
        lamp.data.specular_factor = shine
        _aim(lamp, to_world, reach * Vector(place))
    wall = _member(group, "Backdrop", _wall)
    wall.hide_select, wall.matrix_world = (
        True,
        to_world @ Matrix.Translation((0.0, 0.0, -BEHIND * reach)) @ Matrix.Scale(reach, 4),
    )
    if scene.world is None:
        scene.world = bpy.data.worlds.new(NAME)
        scene.world.color, scene.world[MARK] = DARK, "World"
    puppets.apply_settings(scene, LOOK)


def remove(scene: bpy.types.Scene) -> None:
    """Remove a scene's stage; what it replaced comes back unless it was changed since."""
    group, camera = find(scene), camera_of(scene)
    assert group is not None  # or there is nothing to remove
    with contextlib.suppress(*records.UNREADABLE):  # a record that was damaged brings nothing back
        if scene.camera == camera:
            scene.camera = group.get(CAMERA)
        puppets.apply_settings(
            scene,
            {
                path: value
                for path, value in json.loads(group[MARK]).items()
                if scene.path_resolve(path) == LOOK[path]
            },
        )
    made = [obj.data for obj in group.objects if MARK in obj]  # the objects go with their data
    if scene.world is not None and MARK in scene.world:
        made.append(scene.world)
    for obj in [obj for obj in group.objects if MARK not in obj]:  # the animator's
        scene.collection.objects.link(obj)
    bpy.data.batch_remove([*made, group])


def _frame_faces(rigs: list[head.Rig]) -> tuple[Matrix, float, float]:
    """(From the first head's axes, as of `puppets.face_frame`, around the middle of all faces to
    the world, width, height of all faces)."""
    frames = [puppets.face_frame(rig) for rig in rigs]
    first = frames[0][0]
    corners = [
        first @ at.inverted() @ Vector((x * by, y * by, 0.0))
        for at, by in frames
        for x in (-0.5, 0.5)
        for y in (-0.5, 0.5)
    ]
    low, high = (
        Vector(pick(corner[axis] for corner in corners) for axis in range(3)) for pick in (min, max)
    )
    return (
        first.inverted() @ Matrix.Translation((low + high) / 2),
        AROUND * (high.x - low.x),
        AROUND * (high.y - low.y),
    )


def _member(group: bpy.types.Collection, what: str, make: Callable[[str], Any]) -> bpy.types.Object:
    """The stage's object of that name, made with the data of `make(title)` if it is not there."""
    member = next((obj for obj in group.objects if obj.get(MARK) == what), None)
    if member is None:
        member = bpy.data.objects.new(f"Thunder {what}", make(f"Thunder {what}"))
        member[MARK] = what
        group.objects.link(member)
    return member


def _aim(obj: bpy.types.Object, to_world: Matrix, place: Vector) -> None:
    """Put an object at a place of the faces' frame, and point it at their middle."""
    at, middle = to_world @ place, to_world.translation
    obj.location, obj.rotation_euler = at, (middle - at).to_track_quat("-Z", "Y").to_euler()


def _wall(title: str) -> bpy.types.Mesh:
    """A wall of four metres around the origin, which faces the camera."""
    mesh = bpy.data.meshes.new(title)
    mesh.from_pydata(
        [(-2.0, -2.0, 0.0), (2.0, -2.0, 0.0), (2.0, 2.0, 0.0), (-2.0, 2.0, 0.0)], [], [range(4)]
    )
    look = materials.material(title, BACKDROP, materials.Surface(roughness=1.0, specular=0.0))
    mesh.materials.append(look)
    look.diffuse_color = (*DARK, 1.0)
    return mesh
