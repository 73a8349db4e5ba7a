# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance that moves everything, its way through a file and back, and how far vertices are
from where they were."""

import numpy as np
from thunder.scene.animation import display, keying
from thunder.scene.heads import head
from thunder.scene.takes import take_list
from thunder.thunder_core import progress, types
from thunder.thunder_core.animation import timing

FIRST, LAST = 11, 26
FRAMES = (FIRST, 15, 20, LAST)  # that are looked at
# vertex attribute that tells who is who where an exporter splits or reorders vertices
IDENTITY = "_ID"


def motion(channels, frames=LAST - FIRST + 1, beyond=False):
    """Every channel, jaw, neck and eyes at work, within 0 … 1 unless `beyond`; a Motion at 25
    fps."""
    t = np.arange(frames) / 25
    expression = np.stack(
        [0.25 + 0.25 * np.sin(2 * np.pi * (1.7 + 0.05 * i) * t + i) for i in range(len(channels))],
        axis=1,
    )
    if beyond:
        expression[:, channels.index("mouthSmileLeft")] = 1.4
        expression[:, channels.index("browInnerUp")] = -0.5
    jaw = np.stack(
        [0.1 + 0.08 * np.sin(t * 19), 0.04 * np.sin(t * 11), 0.02 * np.cos(t * 7)], axis=1
    )
    neck = np.stack([0.1 * np.sin(t * 8), 0.2 * np.sin(t * 5), 0.05 * np.cos(t * 6)], axis=1)
    eyes = np.stack([0.1 * np.cos(t * 9), 0.2 * np.sin(t * 12), 0 * t], axis=1)
    return types.Motion(*(part.astype(np.float32) for part in (expression, jaw, neck, eyes)))


def show(rig, scene, beyond=False, name="dialogue"):
    """Key the motion as a take of the scene from FIRST on and show it; returns its entry in the
    list."""
    channels = head.channel_names()
    # As many frames at 25 fps as cover the scene's frames at the scene's own rate.
    clock = timing.Clock.of(scene, FIRST)
    made = motion(channels, round((LAST - FIRST) / clock.fps * 25) + 1, beyond)
    # an open mouth: closures are not what is looked at
    still = np.full(made.frames, 5.0, np.float32)
    performance = keying.TakeData(made, channels, still, still, 1, 50.0, {})
    actions = progress.result(keying.write_take(rig, performance, clock, name))
    entry = take_list.add_to_list(scene, rig, actions, performance, name, clock)
    display.show(rig, entry)
    return entry


def number_vertices(meshes):
    """Give every vertex of some mesh objects a number of its own, that survives where vertices are
    split."""
    start = 0
    for mesh in meshes:
        attribute = mesh.data.attributes.new(IDENTITY, "FLOAT", "POINT")
        count = len(mesh.data.vertices)
        attribute.data.foreach_set("value", np.arange(start, start + count, dtype=np.float32))
        start += count


def positions(bpy, scene, meshes, frames=FRAMES, stretch=1.0):
    """World positions of the evaluated vertices of some mesh objects, {frame: [(numbers or None,
    [V, 3] metres)]}.

    stretch: the scene is looked at at frame × stretch.
    """
    seen = {}
    for frame in frames:
        whole, fraction = divmod(frame * stretch, 1)
        scene.frame_set(int(whole), subframe=fraction)
        depsgraph = bpy.context.evaluated_depsgraph_get()
        seen[frame] = [_of(obj.evaluated_get(depsgraph)) for obj in meshes]
    return seen


def _of(evaluated):
    mesh = evaluated.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    numbers = None
    if IDENTITY in mesh.attributes:
        buffer = np.empty(len(mesh.vertices), np.float32)
        mesh.attributes[IDENTITY].data.foreach_get("value", buffer)
        numbers = buffer.round().astype(int)
    evaluated.to_mesh_clear()
    world = np.array(evaluated.matrix_world)
    return numbers, points.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]


IMPORTS = {
    "GLTF": {"": ("export_scene.gltf", "import_scene.gltf", {})},
    # Blender's importer moves an FBX by a frame unless told not to.
    "FBX": {
        "": ("export_scene.fbx", "import_scene.fbx", {"anim_offset": 0.0}),
        "new importer": ("export_scene.fbx", "wm.fbx_import", {"anim_offset": 0.0}),
    },
    "USD": {"": ("wm.usd_export", "wm.usd_import", {})},
    "USD_CACHE": {"": ("wm.usd_export", "wm.usd_import", {})},
    "ALEMBIC": {"": ("wm.alembic_export", "wm.alembic_import", {"as_background_job": False})},
}


def importers(bpy, key):
    """Names of the importers that this Blender has for a format."""
    result = []
    for name, (_, operator, _) in IMPORTS[key].items():
        module, function = operator.split(".")
        try:
            getattr(getattr(bpy.ops, module), function).get_rna_type()
            result.append(name)
        except KeyError:
            pass
    return result


def stretch(key, importer, rate):
    """What an importer makes of the length of a frame: Blender's older one of FBX takes 29.97
    frames a second for 30."""
    return rate[1] if (key, importer) == ("FBX", "") else 1.0


def bring_back(bpy, key, path, rate, importer=""):
    """An empty scene of a rate (fps, fps_base) with the file imported; returns the scene.

    Blender's importers limit shape keys to 0 … 1, whatever the file says: the limits are widened.
    """
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = rate
    _, operator, settings = IMPORTS[key][importer]
    module, function = operator.split(".")
    assert getattr(getattr(bpy.ops, module), function)(filepath=str(path), **settings) == {
        "FINISHED"
    }
    scene.render.fps, scene.render.fps_base = rate  # importers of films may set their own
    for obj in scene.objects:
        if obj.type == "MESH" and obj.data.shape_keys:
            for block in obj.data.shape_keys.key_blocks:
                block.slider_min, block.slider_max = -10, 10
    return scene


def farthest_mm(before, after):
    """The largest distance, millimetres, of any vertex from where it was, over all frames.

    Vertices are matched by their numbers, else by their order in the mesh with as many of them.
    Every vertex of `before` must be found: infinite where one is missing.
    """
    worst = 0.0
    for frame, meshes in before.items():
        start = 0
        for _, points in meshes:
            error = np.inf
            for numbers, positions in after[frame]:
                if numbers is not None:
                    own = (numbers >= start) & (numbers < start + len(points))
                    if len(np.unique(numbers[own])) == len(points):
                        error = min(
                            error,
                            np.linalg.norm(
                                positions[own] - points[numbers[own] - start], axis=1
                            ).max(),
                        )
                elif len(positions) == len(points):
                    error = min(error, np.linalg.norm(positions - points, axis=1).max())
            worst = max(worst, error)
            start += len(points)
    return worst * 1e3
