# SPDX-License-Identifier: GPL-3.0-or-later
"""A lit set around heads, in which Workbench and EEVEE show them well; and films of takes: of a
scene through its camera, of takes side by side."""

import bpy
from mathutils import Matrix, Vector

from ..heads import head, materials
from ..host import compat
from . import puppets


def render_film(scene, path: str, width: int, height: int) -> None:
    """Render the scene's frame range with its sound into an MP4 file; width and height in pixels
    must be even."""
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    compat.set_movie_output(scene.render)
    scene.render.use_file_extension = False
    scene.render.filepath = path
    bpy.ops.render.render(animation=True, scene=scene.name)


NAME = "Thunder Stage"
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


def is_in(scene) -> bool:
    """Whether a scene has a stage."""
    return any(group.name.startswith(NAME) for group in scene.collection.children)


def set_up(scene, rigs: list[head.Rig], is_close: bool = False) -> None:
    """Set up the stage around heads; the scene looks through its camera.

    is_close: whether the faces fill the picture, so that shoulders are not seen."""
    group = bpy.data.collections.new(NAME)
    scene.collection.children.link(group)
    to_world, width, height = _frame_faces(rigs)
    reach = max(width, height) / FACE_METRES
    camera = _add(group, bpy.data.cameras.new("Thunder Camera"))
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
        lamp = _add(group, bpy.data.lights.new(f"Thunder {name}", "AREA"))
        lamp.data.shape = "DISK"  # round in the eyes
        lamp.data.energy = watts * reach**2
        lamp.data.size = across * reach
        lamp.data.specular_factor = shine
        _aim(lamp, to_world, reach * Vector(place))
    wall = _add(group, _wall("Thunder Backdrop"))
    wall.matrix_world = (
        to_world @ Matrix.Translation((0.0, 0.0, -BEHIND * reach)) @ Matrix.Scale(reach, 4)
    )
    if scene.world is None:
        scene.world = bpy.data.worlds.new(NAME)
        scene.world.color = DARK
    puppets.apply_settings(scene, LOOK)


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


def _add(group, data) -> bpy.types.Object:
    """An object of the stage with that data, of the same name."""
    member = bpy.data.objects.new(data.name, data)
    group.objects.link(member)
    return member


def _aim(obj, to_world: Matrix, place: Vector) -> None:
    """Put an object at a place of the faces' frame, and point it at their middle."""
    at, middle = to_world @ place, to_world.translation
    obj.location, obj.rotation_euler = at, (middle - at).to_track_quat("-Z", "Y").to_euler()


def _wall(title: str) -> bpy.types.Mesh:
    """A wall of four metres around the origin, which faces the camera."""
    mesh = bpy.data.meshes.new(title)
    mesh.from_pydata(
        [(-2.0, -2.0, 0.0), (2.0, -2.0, 0.0), (2.0, 2.0, 0.0), (-2.0, 2.0, 0.0)], [], [range(4)]
    )
    mesh.materials.append(
        materials.material(title, BACKDROP, materials.Surface(roughness=1.0, specular=0.0))
    )
    mesh.materials[0].diffuse_color = (*DARK, 1.0)
    return mesh
