# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator, or another add-on, may delete at any time, by name: functions of `bpy`."""

import random

from thunder.scene.host import compat
from thunder.scene.voice import strip


def purge(blender):
    blender.ops.outliner.orphans_purge(do_local_ids=True, do_linked_ids=True, do_recursive=True)


def delete_curves(blender):
    for action in blender.data.actions:
        if compat.HAS_SLOTS:
            strips = [strip for layer in action.layers for strip in layer.strips]
            for bag in (bag for strip in strips for bag in strip.channelbags):
                bag.fcurves.clear()
        else:
            action.fcurves.clear()


def delete_scene(blender):
    """The one with the head, or one that the work made."""
    scene = random.choice(blender.data.scenes)
    if len(blender.data.scenes) == 1:
        blender.data.scenes.new("Other")
    blender.data.scenes.remove(scene)


def delete_strips(blender):
    for scene in blender.data.scenes:
        for each in list(strip.sound_strips(scene)):
            strip.remove(scene, each)


def delete_keys(blender):
    for obj in blender.data.objects:
        if obj.type == "MESH" and obj.data.shape_keys is not None:
            obj.shape_key_clear()


def clear_takes(blender):
    for scene in blender.data.scenes:
        scene.thunder.takes.clear()


def more_takes(blender):
    """The list moves in memory."""
    for scene in blender.data.scenes:
        for _ in range(50):
            scene.thunder.takes.add()


def every(kind, chosen=lambda block: True):
    def delete(blender):
        blocks = getattr(blender.data, kind)
        for block in [block for block in blocks if chosen(block)]:
            blocks.remove(block)

    return delete


DELETIONS = {
    "purge": purge,
    "actions": every("actions"),
    "an action": lambda blender: blender.data.actions.remove(random.choice(blender.data.actions)),
    "curves": delete_curves,
    "objects": every("objects"),
    "meshes": every("meshes"),
    "armatures": every("armatures"),
    "materials": every("materials"),
    "sounds": every("sounds"),
    "cameras": every("cameras"),
    "shape keys": delete_keys,
    "scene": delete_scene,
    "strips": delete_strips,
    "takes": clear_takes,
    "more takes": more_takes,
}
