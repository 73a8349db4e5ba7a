# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouse over the track of words: it tells of the sound beneath, a click loops a word, a drag moves one of its edges."""

import bpy

from ..scene.review import word_track
from ..scene.takes import word_places
from ..thunder_core.errors import attempt
from .word_tools import go_to

EDGE_PIXELS = 5  # distance from an edge of a word within which it is dragged


class _OverTrack:
    """An operator that the mouse calls over an editor with a track."""

    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        return context.area is not None and context.area.type in ("DOPESHEET_EDITOR", "SEQUENCE_EDITOR")


class THUNDER_OT_hover_words(_OverTrack, bpy.types.Operator):
    """Tell which sounds the one under the mouse may be"""

    bl_idname = "thunder.hover_words"
    bl_label = "Show Sound Under Mouse"

    def invoke(self, context, event):
        if word_track.hover(context, event.mouse_region_x, event.mouse_region_y):
            context.region.tag_redraw()
        return {"PASS_THROUGH"}


class THUNDER_OT_click_word(_OverTrack, bpy.types.Operator):
    """Click a word on the track to loop it; drag one of its edges to move the lips"""

    bl_idname = "thunder.click_word"
    bl_label = "Click Word"

    def invoke(self, context, event):
        frame, per_frame = word_track.frame_at(context.region, event.mouse_region_x, event.mouse_region_y)
        line, _ = attempt(word_places.line, context) if frame is not None else (None, "")
        if line is None or not line.words:
            return {"PASS_THROUGH"}
        edges = ((abs(at - frame), place, side) for place in line.words for side, at in enumerate(_edges(place)))
        away, self.place, self.side = min(edges, key=lambda each: each[0])
        self.begun, self.per_frame, self.may_drag = event.mouse_region_x, per_frame, away * per_frame <= EDGE_PIXELS
        self.clicked = next((place for place in line.words if _edges(place)[0] <= frame < _edges(place)[1]), None)
        if self.clicked is None and not self.may_drag:
            return {"PASS_THROUGH"}
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        moved = event.mouse_region_x - self.begun
        if event.type in ("ESC", "RIGHTMOUSE"):
            return {"CANCELLED"}
        if event.type != "LEFTMOUSE" or event.value != "RELEASE":
            return {"RUNNING_MODAL"}
        if self.may_drag and abs(moved) > EDGE_PIXELS:
            go_to(context, self.place)
            bpy.ops.thunder.move_word(**{("start", "end")[self.side]: moved / self.per_frame})
            return {"FINISHED"}
        if self.clicked is None:
            return {"CANCELLED"}
        go_to(context, self.clicked)
        if not word_places.is_looped(context.scene):
            bpy.ops.thunder.loop_word()
        return {"FINISHED"}


def _edges(place: word_places.Place) -> tuple[float, float]:
    """Scene frames at which a word begins and ends."""
    return place.origin + place.start * place.fps, place.origin + place.end * place.fps


_keys: list = []


def register():
    """Let the mouse over timelines reach the track of words."""
    keys = bpy.context.window_manager.keyconfigs.addon
    if keys is not None:
        keymap = keys.keymaps.new("View2D", space_type="EMPTY", region_type="WINDOW")
        for operator, event, value in ((THUNDER_OT_hover_words, "MOUSEMOVE", "ANY"), (THUNDER_OT_click_word, "LEFTMOUSE", "PRESS")):
            _keys.append((keymap, keymap.keymap_items.new(operator.bl_idname, event, value)))


def unregister():
    for keymap, item in _keys:
        keymap.keymap_items.remove(item)
    _keys.clear()
