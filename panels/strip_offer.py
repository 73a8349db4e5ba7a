# SPDX-License-Identifier: GPL-3.0-or-later
"""In the sequencer's header: Generate Takes of a sound strip that was just added, until it has a speaker or is said to have none."""

import bpy

from ..scene.host.session import session
from ..scene.takes import new_lines


def draw_offer(self, context):
    name = new_lines.newest(context)
    if not name or session.job is not None:
        return
    row = self.layout.row(align=True)
    row.operator("thunder.generate", text=f"Generate Takes of “{name}”", icon="PLAY").strip = name
    other = row.operator("thunder.cast_strip", text="", icon="X")
    other.strip, other.speaker = name, "NO_SPEAKER"


def register():
    bpy.types.SEQUENCER_HT_header.append(draw_offer)


def unregister():
    bpy.types.SEQUENCER_HT_header.remove(draw_offer)
