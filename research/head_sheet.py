# SPDX-License-Identifier: GPL-3.0-or-later
"""The default head as an animator sees it: Add Head, poses on its shape keys and bones, three views
each, one picture.

`python -m research head_sheet [docs/pictures/head.webp]` in a Python that has bpy, some minutes;
--size 60 --samples 1 shows the poses in seconds.
"""

import math
import os
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from research.harness import ROOT

# read once, at import
os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="thunder_sheet_")

import bpy
import numpy as np
from mathutils import Vector

import bake
from thunder_core.types import JAW_OPEN_RADIANS

VIEWS = (0, 38, 90)  # degrees to the head's left
PAIRS = 2  # poses side by side in a row of the sheet
# Title → channels (a name without Left or Right means both) and the jaw's angle [rad].
EXTREMES: dict[str, dict[str, float]] = {
    "neutral": {},
    "jawOpen": dict(jaw=JAW_OPEN_RADIANS),
    "mouthSmile": dict(mouthSmile=1),
    "mouthPucker": dict(mouthPucker=1),
    "mouthFunnel": dict(mouthFunnel=1),
    "surprise": dict(jaw=0.12, browInnerUp=1, browOuterUp=1, eyeWide=1),
    "anger": dict(browDown=1, eyeSquint=0.6, mouthPress=0.8, noseSneer=0.3),
    "sadness": dict(browInnerUp=1, mouthFrown=0.8, mouthShrugLower=0.4, eyeBlink=0.25),
    "disgust": dict(
        noseSneer=1, mouthUpperUp=0.7, browDown=0.6, eyeSquint=0.7, mouthFrown=0.3, jaw=0.04
    ),
    "cheekPuff": dict(cheekPuff=1),
    "th": dict(jaw=0.08, tongueOut=0.5, tongueTipUp=0.1, mouthLowerDown=0.2),
    "laugh": dict(
        jaw=0.1,
        mouthSmile=0.9,
        mouthUpperUp=0.45,
        mouthLowerDown=0.35,
        cheekSquint=0.7,
        eyeSquint=0.5,
        browInnerUp=0.2,
    ),
}


def strike(mesh, rig, pose):
    """Put the head into a pose."""
    blocks = mesh.data.shape_keys.key_blocks
    for block in blocks[1:]:
        if not block.name.startswith("corrective"):
            block.value = 0.0
    for name, value in pose.items():
        for full in (name, name + "Left", name + "Right"):
            if full in blocks:
                blocks[full].value = value
    rig.pose.bones["jaw"].rotation_euler = (pose.get("jaw", 0.0), 0.0, 0.0)


def stage(scene, size, samples):
    """A camera, three soft lights and a grey wall; returns the camera."""
    scene.render.resolution_x, scene.render.resolution_y = size, round(1.16 * size)
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = 90
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("World")
    scene.render.engine = "CYCLES"
    scene.cycles.samples = samples
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces = 4
    if scene.world.node_tree is None:
        scene.world.use_nodes = True
    wall = scene.world.node_tree.nodes["Background"]
    wall.inputs[0].default_value, wall.inputs[1].default_value = (0.42, 0.45, 0.5, 1), 0.5
    for place, energy, size in (
        ((-0.7, -1.1, 0.6), 12, 0.9),
        ((1.0, -0.7, 0.2), 4, 0.9),
        ((0.5, 0.9, 0.8), 12, 0.5),
    ):
        light = bpy.data.objects.new("Light", bpy.data.lights.new("Light", "AREA"))
        light.data.energy, light.data.size, light.location = energy, size, place
        light.rotation_euler = (-Vector(place)).to_track_quat("-Z", "Y").to_euler()
        scene.collection.objects.link(light)
    return camera


def photograph(scene, camera, degrees, folder):
    """One view, [height, width, 4] in display colours, top row first."""
    angle, target = math.radians(degrees), Vector((0.0, 0.0, -0.034))
    away = Vector((math.sin(angle), -math.cos(angle), 0.06)).normalized()
    camera.location = target + 0.74 * away
    camera.rotation_euler = (-away).to_track_quat("-Z", "Y").to_euler()
    scene.render.filepath = os.path.join(folder, "view.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:], np.float32).reshape(image.size[1], image.size[0], 4)[::-1]
    bpy.data.images.remove(image)
    return pixels


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    parser.add_argument("out", nargs="?", default=str(ROOT / "docs" / "pictures" / "head.webp"))
    parser.add_argument("--size", type=int, default=230, help="width of one view in pixels")
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--poses", default="", help="names, comma-separated; all without it")


def run(options: Namespace) -> None:
    """Render the sheet."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bake.load_extension()
    scene = bpy.context.scene
    bpy.ops.thunder.add_head()  # type: ignore[attr-defined]  # registered by the extension
    mesh = scene.thunder.head
    mesh.modifiers.new("Smooth", "SUBSURF").render_levels = 1
    camera = stage(scene, options.size, options.samples)
    folder, cells = tempfile.mkdtemp(prefix="thunder_sheet_"), []
    names = options.poses.split(",") if options.poses else list(EXTREMES)
    for name in names:
        strike(mesh, mesh.parent, EXTREMES[name])
        cells.append(
            np.concatenate([photograph(scene, camera, degrees, folder) for degrees in VIEWS], 1)
        )
    cells += [np.ones_like(cells[0])] * (-len(cells) % PAIRS)
    sheet = np.concatenate(
        [np.concatenate(cells[i : i + PAIRS], 1) for i in range(0, len(cells), PAIRS)], 0
    )[::-1]
    picture = bpy.data.images.new("Sheet", sheet.shape[1], sheet.shape[0])
    picture.pixels.foreach_set(np.ascontiguousarray(sheet).ravel())
    picture.filepath_raw, picture.file_format = str(Path(options.out).resolve()), "WEBP"
    picture.save(quality=85)
    print(f"{options.out}: {', '.join(names)}, from the front, the side between and the side")
