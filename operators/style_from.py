# SPDX-License-Identifier: GPL-3.0-or-later
"""Style From: set the direction by the style of an animation or a recording."""

import os

import bpy

from ..scene.host import jobs
from ..scene.review import listening
from ..scene.takes.direction import sliders, style_from
from ..thunder_core.errors import BadRequest, ThunderError
from .one_sentence import chosen_head, has_head, OneSentence
from .slices import nothing_runs, SlicedWork


def _can_be_directed(operator, context) -> bool:
    return nothing_runs(operator) and has_head(operator, context)


class _StyleFrom(SlicedWork):
    """Puts the direction of the chosen head to the StyleOfMotion that the work returns."""

    @classmethod
    def poll(cls, context):
        return _can_be_directed(cls, context)

    def finish(self, context, read):
        try:
            direction = sliders.ensure(chosen_head(context).owner)
        except ThunderError as error:  # the head was removed meanwhile
            return self.fail(error)
        self.report({"INFO"}, style_from.put(direction, read))
        return {"FINISHED"}


class THUNDER_OT_style_from_animation(_StyleFrom, bpy.types.Operator):
    """Set the direction by how the head performs now: a take, your own animation, or what NLA and drivers make of it"""

    bl_idname = "thunder.style_from_animation"
    bl_label = "Style from Animation"

    frames: bpy.props.EnumProperty(
        name="Frames",
        items=[
            ("TAKE", "Take", "The frames of the take, or of the voice"),
            ("PREVIEW", "Preview Range", "The scene's preview range"),
            ("SCENE", "Scene", "The scene's frame range"),
        ],
        description="Frames to read the style from",
    )

    def begin(self, context):
        rig = chosen_head(context)
        first, last = listening.chosen_frames(context, rig, self.frames)
        return "Reading the style", jobs.stage(style_from.of_animation(rig, context.scene, first, last), "Reading the animation")


class THUNDER_OT_style_from_file(OneSentence, bpy.types.Operator):
    """Set the direction by how somebody performs in a recording: a .csv of Live Link Face, or an .npz of bake.py or Export"""

    bl_idname = "thunder.style_from_file"
    bl_label = "Style from Recording"
    bl_options = {"REGISTER", "UNDO"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{ending}" for ending in style_from.ENDINGS), options={"HIDDEN"})

    @classmethod
    def poll(cls, context):
        return _can_be_directed(cls, context)

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context):
        """Set the direction by the recording; returns what to report."""
        if not os.path.basename(self.filepath):
            raise BadRequest("No file was chosen: choose a recording")
        read = style_from.of_file(bpy.path.abspath(self.filepath))
        return style_from.put(sliders.ensure(chosen_head(context).owner), read)


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_style_from_animation, THUNDER_OT_style_from_file))
