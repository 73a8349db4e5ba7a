# SPDX-License-Identifier: GPL-3.0-or-later
"""Export Performance: writes the head with its current animation to a file for other programs."""

import os

import bpy

from ..scene.heads import head
from ..scene.host.jobs import registration
from ..scene.media import export
from ..scene.review import listening
from ..scene.takes import take_list
from ..thunder_core.errors import BadRequest
from .base import ChoosesFile, InstantWork, why_busy, why_no_head

_SUFFIXES = {form.suffix for form in export.FORMATS.values()}


class THUNDER_OT_export_performance(InstantWork, bpy.types.Operator):
    """Export the head and its current animation for other programs"""

    bl_label = "Export Performance"
    bl_options = {"PRESET"}  # nothing in the scene changes: there is nothing to undo
    obstacles = (why_busy, why_no_head)

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_PRESET"})
    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{suffix}" for suffix in sorted(_SUFFIXES)), options={"HIDDEN"}
    )
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    form: bpy.props.EnumProperty(
        name="Format",
        items=[(key, form.name, form.carries) for key, form in export.FORMATS.items()],
        description="File format",
    )
    frames: bpy.props.EnumProperty(
        name="Frames", items=listening.FRAMES, description="Frames to export"
    )
    rate: bpy.props.FloatProperty(
        name="Rows per Second",
        default=60.0,
        min=1.0,
        max=240.0,
        precision=3,
        description="Sampling rate of the curves. Live Link Face records 60 rows per second, which "
        "most importers expect",
    )

    from_zero: bpy.props.BoolProperty(
        name="Start at Zero",
        default=True,
        description="Start the file at time 0 instead of the frame's time in the scene",
    )

    def invoke(self, context, event):
        if not self.filepath:
            folder = os.path.dirname(bpy.data.filepath) or os.path.expanduser("~")
            self.filepath = os.path.join(folder, _file_name(context))
        self.check(context)
        return ChoosesFile.invoke(self, context, event)

    def check(self, context):
        """Keep the file's ending that of the format; whether it changed."""
        stem, suffix = os.path.splitext(self.filepath)
        path = (stem if suffix.lower() in _SUFFIXES else self.filepath) + export.FORMATS[
            self.form
        ].suffix
        changed = path != self.filepath and bool(os.path.basename(self.filepath))
        if changed:
            self.filepath = path
        return changed

    def draw(self, context):
        pass  # the options are a panel of the file browser

    def act(self, context):
        if not os.path.basename(self.filepath):
            raise BadRequest("The file has no name: enter one")
        self.check(context)
        window = context.window
        if window is not None:
            window.cursor_modal_set("WAIT")  # Blender's exporters cannot be interrupted
        try:
            rig = head.find(context.scene, context.object)
            first, last = listening.chosen_frames(context, rig, self.frames)
            shot = export.Shot(
                context.scene, context.view_layer, rig, first, last, self.rate, self.from_zero
            )
            notes = export.export(shot, export.FORMATS[self.form], bpy.path.abspath(self.filepath))
        finally:
            if window is not None:
                window.cursor_modal_restore()
        for note in notes:
            self.report({"WARNING"}, note)
        return f"Exported frames {first}–{last} to “{os.path.basename(self.filepath)}”"


def _file_name(context) -> str:
    """A name for the file: the shown take's, or the head's."""
    rig = head.find(context.scene, context.object)
    entry = take_list.on_head(context.scene, rig.mesh)
    return bpy.path.clean_name(entry.action.name if entry is not None else rig.owner.name)


def _in_menu(self, context):
    self.layout.operator("thunder.export_performance", text="Thunder Performance…")


register, unregister = registration(menus=(("TOPBAR_MT_file_export", _in_menu),))
