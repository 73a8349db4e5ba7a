# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of a head that play other takes beside it, and are removed completely; and a scene of its
own for one, which Workbench draws while the animator's scene stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...thunder_core.errors import BadRequest
from ...thunder_core.face.mapping import Mapping
from ...thunder_core.files import write_error
from ..animation import display
from ..heads import character, family, head, rna_paths
from ..host import compat, playback

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


FACE_SHARE = 0.2  # share of a key's largest movement above which a vertex belongs to the face
KEYS_LOOKED_AT = 12  # keys sampled to find the moving part of a face
FACE_MARGIN = 1.75  # size of a whole face relative to its moving part


@dataclass
class Puppet:
    """A copy of a rig.  objects: the copies.  visible: the meshes among them that are rendered or
    shown.  targets: the copies of the rig's targets, in their order.  data: other data-blocks of
    the copy."""

    objects: list
    visible: list
    targets: tuple
    data: list


def add(rig: head.Rig, collection: bpy.types.Collection, shift: Vector) -> Puppet:
    """Copy a rig into a collection, moved by `shift` in the world. Modifiers, constraints, parents
    and drivers among the rig's objects refer to the copy; data outside of the rig are shared."""
    originals = list(
        dict.fromkeys(
            (*rig.objects, rig.mesh, *(t for t in rig.targets if isinstance(t, bpy.types.Object)))
        )
    )
    made: dict = {}
    for original in originals:
        copied = made[original] = original.copy()
        copied[head.PUPPET_MARK] = True
        if original.type == "MESH":
            if original.data not in made:
                made[original.data] = original.data.copy()
                if original.data.shape_keys is not None:
                    made[original.data.shape_keys] = made[original.data].shape_keys
            copied.data = made[original.data]
        collection.objects.link(copied)
        copied.hide_select = copied.hide_viewport = copied.hide_render = False
    for original in originals:
        made[original].parent = made.get(original.parent)
        if original.parent not in made:
            made[original].matrix_world = Matrix.Translation(shift) @ original.matrix_world
    for referring in (each for block in made.values() for each in _referring(block)):
        for prop in referring.bl_rna.properties:
            if prop.type == "POINTER" and not prop.is_readonly:
                value = getattr(referring, prop.identifier)
                if isinstance(value, bpy.types.ID) and value in made:
                    setattr(referring, prop.identifier, made[value])
    return Puppet(
        [made[original] for original in originals],
        [made[original] for original in originals if _is_visible(rig, original)],
        tuple(made[target] for target in rig.targets),
        [block for block in made.values() if isinstance(block, bpy.types.Mesh)],
    )


def _is_visible(rig: head.Rig, obj: bpy.types.Object) -> bool:
    # drivers hide what is not shown
    is_seen = rig.driver.is_drawn or obj == rig.mesh or obj.visible_get()
    return is_seen and (obj.type == "MESH" or compat.is_drawing(obj))


def _referring(block: bpy.types.ID) -> list:
    """What of a data-block refers to others: modifiers, constraints, and what drivers read."""
    bones = getattr(getattr(block, "pose", None), "bones", ())
    constraints = [
        constraint
        for holder in (block, *bones)
        for constraint in getattr(holder, "constraints", ())
    ]
    targets = [
        target for constraint in constraints for target in getattr(constraint, "targets", ())
    ]
    animation = getattr(block, "animation_data", None)
    drivers = animation.drivers if animation is not None else ()
    variables = [variable for curve in drivers for variable in curve.driver.variables]
    read = [target for variable in variables for target in variable.targets]
    return [*getattr(block, "modifiers", ()), *constraints, *targets, *read]


def play(puppet: Puppet, rig: head.Rig, entry: ThunderTake) -> None:
    """Let a copy of a rig play a take, and nothing else."""
    stop(puppet, rig)
    actions = display.actions_of(entry)
    for index, target in enumerate(puppet.targets):
        compat.assign_action(target, *display.part_of(actions, rig, index))
        animation = target.animation_data
        animation.action_blend_type = "REPLACE"
        animation.action_influence = 1.0
        animation.action_extrapolation = "HOLD"


def stop(puppet: Puppet, rig: head.Rig) -> None:
    """Let a copy of a rig play nothing, and put it at rest."""
    for target, original in zip(puppet.targets, rig.targets):
        animation = target.animation_data or target.animation_data_create()
        for track in list(animation.nla_tracks):
            animation.nla_tracks.remove(track)
        compat.assign_action(target, None)
        for _, track in rig.tracks_of(original):
            rna_paths.rest(target, track.path, track.index, track.rest)


def remove_marked() -> None:
    """Remove every copy from the file, also those of an earlier session."""
    copies = [obj for obj in bpy.data.objects if head.PUPPET_MARK in obj]
    data = {obj.data for obj in copies if obj.type in ("MESH", "FONT") and obj.data is not None}
    groups = [group for group in bpy.data.collections if head.PUPPET_MARK in group]
    bpy.data.batch_remove([*groups, *copies])
    bpy.data.batch_remove([block for block in data if not block.users])
    bpy.data.batch_remove(
        [
            material
            for material in bpy.data.materials
            if head.PUPPET_MARK in material and not material.users
        ]
    )
    if copies:
        drop_font()


def add_text(
    collection: bpy.types.Collection,
    name: str,
    words: str,
    size: float,
    align: tuple[Any, Any],
    ink: bpy.types.Material,
) -> bpy.types.Object:
    """Text in a collection, its object and its data called `name`. align: across and up, in
    Blender's words."""
    curve = bpy.data.curves.new(name, "FONT")
    assert isinstance(curve, bpy.types.TextCurve)
    curve.body, curve.size, (curve.align_x, curve.align_y) = words, size, align
    curve.materials.append(ink)
    obj = bpy.data.objects.new(name, curve)
    collection.objects.link(obj)
    return obj


def drop_font() -> None:
    """Remove Blender's font from the file if our text added it and no other text uses it."""
    bpy.data.batch_remove(
        [font for font in bpy.data.fonts if font.users == 0 and font.filepath == "<builtin>"]
    )


# ---- where a face is


def face_frame(rig: head.Rig) -> tuple[Matrix, float]:
    """(from the world to a face: x to its left, y up, z out of it, the middle of what moves at 0;
    the size of the face).

    The size, in the world's units, is the side of the square that shows the face.
    """
    face = rig.mesh
    world = rig.owner.matrix_world
    plan = character.plan_of(face) if rig.armature is None else Mapping("")
    forward, up = (world.to_quaternion() @ Vector(axis) for axis in plan.axes)
    axes = Matrix((up.cross(forward), up, forward))  # rows: the world's coordinates to the face's
    projected = np.array(axes) @ _moving_points(rig).T
    low, high = projected.min(axis=1), projected.max(axis=1)
    size = FACE_MARGIN * float(max(high[0] - low[0], high[1] - low[1], 1e-6))
    return Matrix.Translation(-Vector((low + high) / 2)) @ axes.to_4x4(), size


def _moving_points(rig: head.Rig) -> np.ndarray:
    """Places [K, 3] in the world of the vertices that a face's shape keys move; of its bones where
    it has none."""
    keys = rig.keys
    if keys is None:
        armature = rig.mesh if rig.mesh.type == "ARMATURE" else rig.owner
        bones = {
            bone[0]
            for target in rig.targets
            for _, track in rig.tracks_of(target)
            if (bone := rna_paths.bone_of(track.path))
        }
        places = [
            armature.matrix_world @ bone.bone.head_local
            for bone in getattr(armature.pose, "bones", ())
            if bone.name in bones
        ]
        seen = [obj for obj in rig.objects if _is_visible(rig, obj)] or [rig.mesh]
        corners = ((obj.matrix_world @ Vector(at)) for obj in seen for at in obj.bound_box)
        return np.array(places or list(corners))
    wanted = {
        rna_paths.split(track.path)[0]
        for target in rig.targets
        if target == keys
        for _, track in rig.tracks_of(target)
    }
    blocks = [
        block
        for block in keys.key_blocks
        if rna_paths.split(rna_paths.key_path(block.name))[0] in wanted
    ]
    rest = family.points_of(keys.reference_key.data)
    moved = np.zeros(len(rest), bool)
    for block in blocks[:: max(1, len(blocks) // KEYS_LOOKED_AT)]:
        base = (
            rest
            if block.relative_key == keys.reference_key
            else family.points_of(block.relative_key.data)
        )
        far = np.linalg.norm(family.points_of(block.data) - base, axis=1)
        moved |= far > FACE_SHARE * max(far.max(), 1e-9)
    shown = rest[moved] if moved.any() else rest
    matrix = np.array(rig.mesh.matrix_world)
    return shown @ matrix[:3, :3].T + matrix[:3, 3]


def extent(rig: head.Rig, frame: Matrix) -> tuple[Vector, Vector]:
    """The lowest and the highest corner of all of a rig's meshes that are to be seen, in the face's
    frame."""
    objects = [obj for obj in dict.fromkeys((rig.mesh, *rig.objects)) if _is_visible(rig, obj)] or [
        rig.mesh
    ]
    corners = np.array(
        [frame @ obj.matrix_world @ Vector(corner) for obj in objects for corner in obj.bound_box]
    )
    return Vector(corners.min(axis=0)), Vector(corners.max(axis=0))


def apply_settings(scene: bpy.types.Scene, values: dict) -> None:
    """Change settings of a scene, {path: value}."""
    for path, value in values.items():
        owner, _, name = path.rpartition(".")
        setattr(scene.path_resolve(owner) if owner else scene, name, value)


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
FACE = (0.82, 0.06)


def render_still(scene: bpy.types.Scene, path: str, width: int, height: int) -> None:
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
    # of another scene than the context's Blender 5 renders the context's frame
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
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


class Portrait:
    """Portraits of a head, some pixels high and wide, of which its copy strikes the poses in a
    scene with a camera; `end` removes everything from the file."""

    def __init__(
        self,
        scene: bpy.types.Scene,
        rig: head.Rig,
        background: Sequence[float] | None = BACKGROUND,
        size: int = PIXELS,
    ) -> None:
        self.had_result = any(image.type == "RENDER_RESULT" for image in bpy.data.images)
        self.rig, self.at, self.size = rig, face_frame(rig), size
        self.scene = new_scene = bpy.data.scenes.new(PORTRAIT)
        self.data: list = []  # other data-blocks that end with it
        new_scene.render.fps, new_scene.render.fps_base = scene.render.fps, scene.render.fps_base
        try:
            self.copy = add(rig, new_scene.collection, Vector())
            self.data += [*self.copy.objects, *self.copy.data]
            new_scene.world = self.remove_at_end(bpy.data.worlds.new(PORTRAIT))
            apply_settings(new_scene, {"world.color": background, **LOOK})
            self.camera = new_scene.camera = bpy.data.objects.new(
                PORTRAIT, self.remove_at_end(bpy.data.cameras.new(PORTRAIT))
            )
            self.camera.data.type = "ORTHO"
            new_scene.collection.objects.link(self.camera)
            for obj in self.copy.objects:
                obj.hide_render = obj not in self.copy.visible
            stop(self.copy, rig)
        except BaseException:
            self.end()
            raise

    def remove_at_end(self, block: bpy.types.ID):
        """Remove a data-block at the end, too, and let no purge do so before; returns it."""
        block.use_fake_user = True
        self.data.append(block)
        return block

    def take(self, share: float, lower: float) -> np.ndarray:
        """A picture of a share of the copy's face, its middle lower by a share of the face."""
        (frame, size), camera = self.at, self.camera
        camera.data.ortho_scale = share * size
        camera.data.clip_start = 0.01 * size
        camera.data.clip_end = 20 * size
        camera.matrix_world = frame.inverted() @ Matrix.Translation((0.0, -lower * size, 5 * size))
        return self.picture(self.size, self.size)

    def picture(self, width: int, height: int) -> np.ndarray:
        """What the camera sees now, [height, width, 4], as `pixels`. Raises BadRequest or
        NoSpace."""
        try:
            with tempfile.TemporaryDirectory(
                prefix="thunder_picture_", dir=bpy.app.tempdir
            ) as folder:
                path = os.path.join(folder, "picture.png")
                render_still(self.scene, path, width, height)
                return pixels(path)
        except (OSError, RuntimeError) as error:
            raise write_error(bpy.app.tempdir, error) from error

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Remove everything from the file."""
        playback.remove_scene(self.scene)
        if not self.had_result:
            bpy.data.batch_remove(
                [image for image in bpy.data.images if image.type == "RENDER_RESULT"]
            )
        playback.remove(self.data)  # the camera's object goes with it
