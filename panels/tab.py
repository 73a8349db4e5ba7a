# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared parts of the panels in the Thunder tab: base classes, and sentences wrapped to the
sidebar's width."""

from __future__ import annotations

from typing import Any, TYPE_CHECKING

import blf
import bpy

from ..scene.heads import new_shapes
from ..scene.host.jobs import Memory, redraw, registration, session
from ..scene.host.language import CONTEXT, translated
from ..scene.takes import take_list
from ..thunder_core.translation import wrap

# average number of letters per pixel of width beside an icon, at scale 1, measured
LETTERS_PER_PIXEL = 0.113
POPOVER_LETTERS = 36  # that fit into a line of a popover beside an icon, also of wide ones
BUTTON = 20  # pixels of an icon button, at scale 1


TALL = 850  # pixels at scale 1 of a sidebar in which all parts of the tab have room
PARTS = [
    ("DIRECT", "Direct", "Choose voice and head, direct, and generate takes"),
    ("TAKES", "Takes", "Choose a take, mix, shape and commit it"),
    ("WORDS", "Words", "The words of the voice"),
    ("FINISH", "Finish", "Commit, hear and check the animation"),
]


def is_divided(context: bpy.types.Context) -> bool:
    """Whether one part of the tab is shown at a time: where the sidebar has no room for all."""
    region = context.region
    return region is not None and region.height / context.preferences.system.ui_scale < TALL


# Addresses of the sidebars in which all panels have been drawn. Blender puts a panel that a sidebar
# has not drawn yet before all that it hides then, for good.
_in_order = session.add(Memory())


def keep_order(context: bpy.types.Context) -> None:
    """All panels of the sidebar are being drawn, in their order: show the parts from now on."""
    if not _all_in_order(context):
        _in_order.known[_region(context).as_pointer()] = True
        bpy.app.timers.register(redraw)


def _all_in_order(context: bpy.types.Context) -> bool:
    return _region(context).as_pointer() in _in_order.known


def _region(context: bpy.types.Context) -> bpy.types.Region:
    """The region that is drawn."""
    assert context.region is not None
    return context.region


# What is mixed into panels knows what those have.
if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    _Panel = bpy.types.Panel
else:
    _Panel = object


class Tab(_Panel):
    """A panel of the tab. They are registered in the order of a day's work, in which Blender shows
    them. parts: those that it belongs to."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Thunder"
    bl_translation_context = CONTEXT
    parts: tuple[str, ...] = ("DIRECT",)

    @classmethod
    def poll(cls, context: bpy.types.Context):
        return (
            not is_divided(context)
            or context.window_manager.thunder_part in cls.parts
            or (len(context.scene.thunder.takes) > 0 and not _all_in_order(context))
        )


class Popover(_Panel):
    """A panel that a button opens; it is in no tab."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "HEADER"
    bl_ui_units_x = 13
    bl_translation_context = CONTEXT

    def say(self, text: str) -> None:
        """Write a sentence in as many lines as the popover's width needs, greyed."""
        in_lines(tune(self.layout.column(align=True), active=False), text, POPOVER_LETTERS, "INFO")


class OfTakes(Tab):
    """A tab's panel that is there once there are takes."""

    @classmethod
    def poll(cls, context: bpy.types.Context):
        return bool(context.scene.thunder.takes) and super().poll(context)


class OfShownTake(OfTakes):
    """A sub-panel of Takes, which says why where no take is shown: what is below it must not move
    when one is."""

    bl_parent_id = "THUNDER_PT_takes"
    bl_options = {"DEFAULT_CLOSED"}
    parts = ("TAKES",)

    def draw(self, context: bpy.types.Context) -> None:
        if take_list.shown_index(context.scene.thunder) >= 0:
            self.draw_shown(self.layout, context)
        else:
            wrapped_label(self.layout, take_list.why_none(context), context)

    def draw_shown(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
        """Draw it for the take that is shown."""
        raise NotImplementedError


def wrapped_label(
    layout: bpy.types.UILayout, text: str, context: bpy.types.Context, icon: IconItems = "INFO"
) -> int:
    """A sentence in as many lines as the sidebar's width needs, greyed, behind an icon; how many
    that are."""
    pixels = _region(context).width / context.preferences.system.ui_scale
    letters = max(16, int(pixels * LETTERS_PER_PIXEL))
    return in_lines(tune(layout.column(align=True), active=False), text, letters, icon)


def text_width(text: str, context: bpy.types.Context) -> float:
    """Width of a text of the interface, in icon buttons."""
    blf.size(0, context.preferences.ui_styles[0].widget.points)
    return blf.dimensions(0, text)[0] / BUTTON


def shorten(name: str, room: float, context: bpy.types.Context) -> str:
    """A name that fits into `room`, in icon buttons, cut in its middle: numbered names differ at
    their ends."""
    whole = name
    for letters in range(len(name) - 1, 2, -1):
        if text_width(name, context) <= room:
            break
        end = letters // 2
        name = f"{whole[: letters - end]}…{whole[-end:]}"
    return name


def tune(layout: bpy.types.UILayout, **how: Any):
    """Set attributes of a part of a layout, such as scale_y and active; returns it."""
    for name, value in how.items():
        setattr(layout, name, value)
    return layout


def shape_buttons(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The buttons that make shapes for a face that has none."""
    is_marked = new_shapes.is_marked(new_shapes.face_of(context.object))
    text = "Show Dots" if is_marked else "Mark the Face"
    layout.operator("thunder.mark_face", text=text, icon="OUTLINER_DATA_EMPTY")
    layout.operator("thunder.make_shapes", icon="SHAPEKEY_DATA")


def buttons(layout: bpy.types.UILayout, *operators: tuple[str, IconItems], **how: Any) -> None:
    """A button of each operator, with its icon."""
    for name, icon in operators:
        layout.operator(name, icon=icon, **how)


def big_button(layout: bpy.types.UILayout, name: str, **how: Any):
    """The button of an operator, taller than others."""
    return tune(layout.column(), scale_y=1.2).operator(name, **how)


def progress_row(layout: bpy.types.UILayout, scale_y: float, said: str | None = None) -> None:
    """How far the job is that runs, and the button that cancels it. said: in place of what it
    does."""
    row, job = tune(layout.row(align=True), scale_y=scale_y), session.job
    assert job is not None
    said = job.step.message if said is None else said
    row.progress(
        factor=job.step.fraction, text=translated(", ".join(filter(None, (said, job.time_left))))
    )
    row.operator("thunder.cancel", text="", icon="X")


def props(layout: bpy.types.UILayout, data: bpy.types.bpy_struct, *names: str, **how: Any) -> None:
    """Several settings, one after the other, all shown in the same way."""
    for name in names:
        layout.prop(data, name, **how)


def grey(layout: bpy.types.UILayout):
    """A row whose text is greyed."""
    return tune(layout.row(), active=False)


def offer_editable(
    layout: bpy.types.UILayout, context: bpy.types.Context, what: str = "It"
) -> None:
    """A button that makes a linked character editable, and why."""
    wrapped_label(layout, f"{what} is linked from another file and cannot be animated yet", context)
    layout.operator("thunder.make_editable", icon="LIBRARY_DATA_OVERRIDE")


def in_lines(column: bpy.types.UILayout, text: str, letters: int, icon: IconItems) -> int:
    """A sentence, in the animator's language, in lines of at most `letters` letters, behind an
    icon; words stay whole. Returns how many lines."""
    lines = wrap(translated(text), letters)
    for line in lines:
        column.label(text=line, icon=icon)
        icon = "BLANK1"
    return len(lines)


PART = bpy.props.EnumProperty(
    name="Part",
    items=PARTS,
    description="Part of the Thunder tab that is shown",
    translation_context=CONTEXT,
)
register, unregister = registration(properties=((bpy.types.WindowManager, "thunder_part", PART),))
