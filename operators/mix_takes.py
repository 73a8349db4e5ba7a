# SPDX-License-Identifier: GPL-3.0-or-later
"""Mix takes: choose one for each part of the face, cut to others over time, and make a new take of them."""

import bpy

from ..scene.host import jobs
from ..scene.takes import mix, take_list
from ..thunder_core.errors import BadRequest
from .base import InstantWork
from .slices import SlicedWork

_items: list = []  # Blender keeps no copy of an enum's texts


def _takes(self, context):
    listed = [] if context is None else mix.candidates(context)
    _items[:] = [(entry.action.name, entry.name, entry.tooltip, place) for place, entry in enumerate(listed)]
    return _items


class THUNDER_OT_choose_part(InstantWork, bpy.types.Operator):
    """Choose the take for this part of the face"""

    bl_label = "Choose Take"

    part: bpy.props.EnumProperty(name="Part", items=mix.PART_ITEMS, description="Part of the face")
    take: bpy.props.EnumProperty(name="Take", items=_takes, description="Take used for this part")

    def act(self, context):
        setattr(context.scene.thunder_mix, self.part, bpy.data.actions[self.take])


class THUNDER_OT_add_cut(InstantWork, bpy.types.Operator):
    """Switch to the shown take from the current frame on"""

    bl_label = "Cut to Shown Take"

    part: bpy.props.EnumProperty(name="Part", items=mix.CUT_ITEMS, description="Part of the face to switch")

    @classmethod
    def why_not(cls, context):
        return take_list.why_none(context) if take_list.shown_index(context.scene.thunder) < 0 else ""

    def act(self, context):
        mix.add_cut(context.scene, context.scene.frame_current, self.part, take_list.shown_take(context.scene.thunder))


class THUNDER_OT_remove_cut(InstantWork, bpy.types.Operator):
    """Remove this cut. The previous take continues"""

    bl_label = "Remove Cut"

    index: bpy.props.IntProperty(name="Cut", min=0, description="Place in the list of cuts")

    def act(self, context):
        cuts = context.scene.thunder_mix.cuts
        if self.index >= len(cuts):
            raise BadRequest(f"There is no cut {self.index + 1}: the mix has {len(cuts)}")
        cuts.remove(self.index)


class THUNDER_OT_mix_takes(SlicedWork, bpy.types.Operator):
    """Create a new take from the chosen parts and cuts. The source takes are not changed"""

    bl_label = "Mix"

    @classmethod
    def why_not(cls, context):
        alone = "There is only one take of this head and voice: generate more to mix them"
        return super().why_not(context) or (alone if len(mix.candidates(context)) < 2 else "")

    def begin(self, context):
        return "Mixing takes", jobs.stage(mix.mix(context), "Mixing takes")

    def outcome(self, entry):
        return f"Created take “{entry.name}”"
