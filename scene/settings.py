# SPDX-License-Identifier: GPL-3.0-or-later
"""What Thunder stores in a file: settings and takes of a scene, and of each head what was on it before a take."""

from __future__ import annotations

import bpy
from bpy.props import (
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import compat, strip, takes

MOST_TAKES = 64
LARGEST_SEED = 2**31 - 1


def _strip_names(self, context, text):
    strips = strip.sound_strips(context.scene) or strip.sound_strips(compat.sequencer_scene(context))
    return [found.name for found in strips]


def _may_be_head(self, candidate) -> bool:
    return candidate.type in {"MESH", "ARMATURE"} and candidate.name in self.id_data.objects


class ThunderTake(bpy.types.PropertyGroup):
    """A take in the list: its action (with the shape keys' own before 4.4) and what is shown of it."""

    name: StringProperty(name="Name")
    action: PointerProperty(type=bpy.types.Action)
    key_action: PointerProperty(type=bpy.types.Action)
    head: PointerProperty(type=bpy.types.Object)
    voice: StringProperty(name="Voice", description="Strip or file that this take speaks")
    seed: IntProperty(name="Seed", description="Number that makes this take again")
    score: FloatProperty(name="Lip-sync", description="How well the lips say the voice, 0 to 100")
    curve: StringProperty(description="Mouth opening over the length of the take")
    first: IntProperty(name="First frame")
    last: IntProperty(name="Last frame")


class ThunderScene(bpy.types.PropertyGroup):
    """Per-scene settings of the Thunder tab, and its takes."""

    source: EnumProperty(
        name="Voice from",
        items=[("STRIP", "Strip", "A sound strip of the sequencer, as it is heard"),
               ("FILE", "File", "A sound file, from the scene's first frame")],
    )
    strip: StringProperty(
        name="Voice", search=_strip_names,
        description="Sound strip that the takes speak; empty takes the active one, or the only one",
    )
    sound_file: StringProperty(
        name="Sound file", subtype="FILE_PATH",
        description="Sound that the takes speak, heard from the scene's first frame on",
    )
    head: PointerProperty(
        name="Head", type=bpy.types.Object, poll=_may_be_head,
        description="Head that the takes move; empty takes the selected one, or the only one",
    )
    count: IntProperty(name="Takes", default=8, min=1, max=MOST_TAKES,
                       description="How many performances to sample")
    seed: IntProperty(name="Seed", default=1, min=0, max=LARGEST_SEED,
                      description="Seed of the first take; the same seed makes the same take again")
    steps: IntProperty(name="Steps", default=20, min=5, max=100,
                       description="Sampling steps of a take: more are slower and a little more precise")
    listen_range: EnumProperty(
        name="Frames",
        items=[("TAKE", "Take", "From the first to the last frame of the take or the voice"),
               ("PREVIEW", "Preview Range", "The scene's preview range"),
               ("SCENE", "Scene", "The scene's frame range")],
        description="Frames that Listen speaks",
    )
    takes: CollectionProperty(type=ThunderTake)
    active_take: IntProperty(
        name="Shown take", get=takes.shown_index, set=takes.show_index,
        description="Take that is on the head now; −1 is your own animation",
    )


class ThunderHead(bpy.types.PropertyGroup):
    """Of a head, what the animator had on it before a take was shown, and which take is shown."""

    shown: PointerProperty(type=bpy.types.Action)
    own_action: PointerProperty(type=bpy.types.Action)
    own_key_action: PointerProperty(type=bpy.types.Action)
    own_state: StringProperty(description="Slots, blending and still values of the animator's own animation")


CLASSES = (ThunderTake, ThunderScene, ThunderHead)


def register():
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.thunder = PointerProperty(type=ThunderScene)
    bpy.types.Object.thunder = PointerProperty(type=ThunderHead)


def unregister():
    del bpy.types.Object.thunder
    del bpy.types.Scene.thunder
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
