# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth sliders of the chosen character, below Commit."""

from ..scene.heads import controls, head
from ..thunder_core.errors import attempt


def draw(layout, context) -> None:
    """The sliders, or the button that adds them."""
    rig, _ = attempt(head.find, context.scene, head.active_object(context))
    if rig is None or not controls.are_on(rig):
        layout.operator("thunder.add_mouth_sliders", icon="ADD")
        return
    row = layout.row(align=True)
    row.label(text="Mouth")
    row.operator("thunder.remove_mouth_sliders", text="", icon="X", emboss=False)
    column = layout.column(align=True)
    owner = controls.owner_of(rig)
    for slider in [slider for slider in controls.SLIDERS if controls.OWN_PREFIX + slider in owner]:
        column.prop(owner, controls.path_of(slider), text=slider, slider=True)
