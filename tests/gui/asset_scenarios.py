# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses in the asset shelf of the viewport, the lit scene and its playblast, as an animator clicks
them."""

import os

import bpy
from scenarios import done
from thunder.scene.heads import head
from thunder.scene.media import stage


def poses_and_stage(hand):
    """A head is lit, its poses saved; a click in the shelf puts one on it; its playblast is filmed
    while the window lives."""
    hand.call(bpy.ops.thunder.first_head)
    hand.window.workspace.status_text_set(None)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    yield 1.0
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(hand.folder, "shot.blend"))
    hand.seen["asks"] = list(hand.call(bpy.ops.thunder.light_scene, "INVOKE_DEFAULT"))
    yield 1.0
    hand.photograph("asks")
    hand.press("ESC")
    yield 0.5
    hand.call(bpy.ops.thunder.light_scene, instead=True)
    hand.seen["camera"] = hand.scene.camera == stage.camera_of(hand.scene)
    yield 1.0
    hand.viewport.spaces.active.shading.type = "SOLID"
    hand.photograph("lit")
    hand.seen["saving"] = list(hand.call(bpy.ops.thunder.save_poses, "INVOKE_DEFAULT"))
    yield from done()
    hand.seen["assets"] = sum(action.asset_data is not None for action in bpy.data.actions)
    hand.viewport.spaces.active.show_region_asset_shelf = True
    yield from hand.settle()
    hand.photograph("shelf")
    region = next(region for region in hand.viewport.regions if region.type == "ASSET_SHELF")
    hand.seen["shelf"] = [region.x, region.y, region.width, region.height]
    rig = head.find(hand.scene)
    yield from hand.click(region.x + 190, region.y + region.height - 70)
    yield 1.0
    hand.photograph("applied")
    hand.seen["moved"] = [
        key.name
        for key in rig.keys.key_blocks[1:]
        if abs(key.value) > 0.01 and not key.name.startswith("corrective")
    ]
    hand.viewport.spaces.active.show_region_asset_shelf = False
    hand.scene.frame_start, hand.scene.frame_end = 1, 12
    hand.seen["filming"] = list(hand.call(bpy.ops.thunder.playblast, "INVOKE_DEFAULT", percent=25))
    yield 0.3
    hand.photograph("filming")
    yield from done()
    hand.seen["films"] = sorted(name for name in os.listdir(hand.folder) if name.endswith(".mp4"))
    hand.seen["scenes"] = len(bpy.data.scenes)
    yield 1.0
    hand.call(bpy.ops.wm.call_menu, name="THUNDER_MT_add_head")
    yield 1.0
    hand.photograph("menu")
    hand.press("ESC")
    yield 0.5
    hand.viewport.ui_type = "ASSETS"
    yield 2.5
    hand.photograph("browser")
