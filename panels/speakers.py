# SPDX-License-Identifier: GPL-3.0-or-later
"""Who speaks which frames of the chosen strip, in the Dialogue panel."""

from ..scene.heads import head
from ..scene.takes import turns
from ..scene.voice import strip


def draw(layout, context, name: str) -> None:
    """The ranges of the strip of that name, and the menu that adds one."""
    one = strip.named(context.scene, name)
    if one is None or len(head.in_scene(context.scene)) < 2:
        return
    column = layout.column(align=True)
    for turn in turns.of_strip(context.scene, one):
        row = column.row(align=True)
        row.alert = turn.head is None
        row.label(text=f"{turn.first} – {turn.last - 1}   {turn.head.name if turn.head is not None else 'Deleted'}", icon="USER")
        row.operator("thunder.remove_speaker", text="", icon="X", emboss=False).index = turn.index
    what = "Preview Range" if context.scene.use_preview_range else "from Playhead"
    column.operator_menu_enum("thunder.mark_speaker", "speaker", text=f"Mark Speaker ({what})", icon="ADD").strip = name
