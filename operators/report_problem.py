# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect what helps to find the cause of a problem in a text that the animator can read and paste."""

import bpy

from ..scene.review import problem_report
from .base import InstantWork


class THUNDER_OT_report_problem(InstantWork, bpy.types.Operator):
    """Collect versions, settings, the engine's log and the last error into a text to paste; nothing is sent"""

    bl_label = "Report a Problem"

    names: bpy.props.BoolProperty(
        name="Include Names and Paths",
        options={"SKIP_SAVE"},
        description="Keep the names of files, folders, strips and objects in the errors and the log. When off, they are removed",
    )

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=380, confirm_text="Copy Report")

    def draw(self, context):
        column = self.layout.column(align=True)
        for line in (
            "Copies versions, settings, the engine's log and the last error.",
            "No sounds are included, and nothing is sent.",
            "Read the text before you paste it into an issue.",
        ):
            column.label(text=line)
        self.layout.prop(self, "names")

    def act(self, context):
        text = bpy.data.texts.get(problem_report.TEXT) or bpy.data.texts.new(problem_report.TEXT)
        words = problem_report.text(context, self.names)
        text.clear()
        text.write(words)
        text.cursor_set(0)
        context.window_manager.clipboard = words
        return f"Report copied to the clipboard and saved as the text “{problem_report.TEXT}” in this file"
