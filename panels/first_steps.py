# SPDX-License-Identifier: GPL-3.0-or-later
"""Getting Started: three steps to a moving face, shown in a scene without takes."""

import bpy

from ..scene.engine import connection, install
from ..scene.heads import head
from ..thunder_core.engine_python import packaged_for
from .sidebar import has_voice
from .tab import Tab, wrapped_label


class THUNDER_PT_first_steps(Tab, bpy.types.Panel):
    bl_label = "Getting Started"
    bl_idname = "THUNDER_PT_first_steps"
    bl_order = 1  # below the buttons that stay when it goes

    @classmethod
    def poll(cls, context):
        return not context.scene.thunder.takes

    def draw(self, context):
        layout = self.layout
        there, text = connection.current_python()
        done = (head.is_any_in(context.scene), has_voice(context))
        self._step(layout, 1, "Add a head", done[0], ("thunder.first_head", "USER"))
        self._step(layout, 2, "Add a voice", done[1], ("thunder.sample_voice", "SOUND"), ("thunder.own_voice", "FILE_SOUND"))
        self._step(layout, 3, "Press Generate Takes above", False)
        if not there:
            layout.separator(factor=0.5)
            running = install.installing.running
            if running is not None:
                layout.progress(factor=running.fraction, text=f"Installing the engine {running.fraction:.0%}")
            elif packaged_for():
                wrapped_label(layout, text, context, icon="ERROR")  # it brings an engine, for another Python
            else:
                wrapped_label(layout, "One-time setup: install the engine", context)
                layout.operator("thunder.open_preferences", icon="IMPORT")

    def _step(self, layout, number, text, done, *buttons):
        layout.label(text=f"{number}. {text}", icon="CHECKMARK" if done else "DOT")
        column = layout.column(align=True)
        column.enabled = not done  # where they were, so that the next ones do not come under the pointer
        for name, icon in buttons:
            column.operator(name, icon=icon)


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_first_steps,))
