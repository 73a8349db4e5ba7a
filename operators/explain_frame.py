# SPDX-License-Identifier: GPL-3.0-or-later
"""Why?: say what made the shown take do what it does at the current frame."""

import textwrap

import bpy

from ..scene.engine import connection
from ..scene.takes import generation
from .base import NeedsShownTake, shown
from .slices import SlicedWork

LETTERS = 110  # per line of the list


class THUNDER_OT_explain_frame(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Say what was sampled at the current frame, what each later step changed there, and for which sound or event"""

    bl_label = "Why?"
    bl_options = set()

    def begin(self, context):
        entry, _ = shown(context)
        self.title = f"{entry.name}, frame {context.scene.frame_current}"
        return "Explaining a frame", generation.explain(connection.started(), context.scene, entry, context.scene.frame_current)

    def finish(self, context, lines):
        def draw(menu, _):
            column = menu.layout.column(align=True)
            for line in lines:
                for place, part in enumerate(textwrap.wrap(line, LETTERS)):
                    column.label(text=part, icon="BLANK1" if place else "DOT")

        self.report({"INFO"}, f"{self.title}: {lines[0]}")
        if not bpy.app.background and context.window is not None:
            context.window_manager.popup_menu(draw, title=self.title, icon="QUESTION")
