# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders on a character that add to its mouth, over any animation: added, and removed again."""

import bpy

from ..scene.heads import controls
from .base import chosen_head, InstantWork, why_no_head, why_not_in_object_mode


class THUNDER_OT_add_mouth_sliders(InstantWork, bpy.types.Operator):
    """Add the sliders Open, Wide, Round and Smile, which add to your animation and can be keyed"""

    bl_label = "Add Mouth Sliders"

    @classmethod
    def why_not(cls, context):
        if why := why_not_in_object_mode(context) or why_no_head(context):
            return why
        return "This character has mouth sliders already" if controls.are_on(chosen_head(context)) else ""

    def act(self, context):
        rig = chosen_head(context)
        controls.add(rig)
        return f"“{controls.owner_of(rig).name}” has mouth sliders: hover over one and press I to key it"


class THUNDER_OT_remove_mouth_sliders(InstantWork, bpy.types.Operator):
    """Remove the mouth sliders, their keys and all that they move; your animation stays"""

    bl_label = "Remove Mouth Sliders"

    @classmethod
    def why_not(cls, context):
        if why := why_not_in_object_mode(context) or why_no_head(context):
            return why
        return "" if controls.are_on(chosen_head(context)) else "This character has no mouth sliders"

    def act(self, context):
        controls.remove(chosen_head(context))
