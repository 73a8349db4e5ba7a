# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct a character: presets, resetting the sliders, more takes like the shown one."""

import math

import bpy

from ..scene.engine import connection
from ..scene.host import jobs
from ..scene.takes import take_list
from ..scene.takes.direction import asking, looking, presets, similar, sliders
from ..thunder_core.errors import BadRequest, ThunderError
from .generate import PartialResults
from .on_shown_take import NeedsShownTake, shown
from .one_sentence import chosen_head, has_head, OneSentence
from .slices import SlicedWork

_own_names: list = []  # Blender keeps no copy of an enum's texts


class _OfDirection(OneSentence):
    """An operator whose `direct(direction)` changes the direction of the chosen head.

    Its result is reported; a ThunderError becomes one sentence, and nothing is changed.
    """

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return has_head(cls, context)

    def act(self, context):
        """Change the direction of the chosen head; returns what to report."""
        return self.direct(sliders.ensure(chosen_head(context).owner))


class THUNDER_OT_reset_direction(_OfDirection, bpy.types.Operator):
    """Set all sliders of the direction as usual, without a mood. Their keys are removed"""

    bl_idname = "thunder.reset_direction"
    bl_label = "Reset"

    def direct(self, direction):
        asking.remove_keys(direction)
        presets.reset(direction)


class THUNDER_OT_use_direction(_OfDirection, bpy.types.Operator):
    """Direct the character as this preset says"""

    bl_idname = "thunder.use_direction"
    bl_label = "Use Preset"

    name: bpy.props.StringProperty(name="Preset", description="Name of the preset")

    @classmethod
    def description(cls, context, properties):
        try:
            about = presets.all_presets().load(properties.name).about
        except ThunderError:
            about = ""
        return about.rstrip(".") or cls.__doc__

    def direct(self, direction):
        presets.use(direction, self.name)


class THUNDER_OT_save_direction(_OfDirection, bpy.types.Operator):
    """Save the direction as a preset for other characters and files"""

    bl_idname = "thunder.save_direction"
    bl_label = "Save as Preset"
    bl_options = {"REGISTER"}

    name: bpy.props.StringProperty(name="Name", description="Name of the preset. A preset of yours with this name is replaced")

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self)

    def direct(self, direction):
        return f"Saved as {presets.save(direction, self.name)}"


def _items(self, context):
    _own_names[:] = [(name, name, f"Delete the preset “{name}”") for name in presets.all_presets().own()]
    _own_names[:] = _own_names or [("", "None Saved Yet", "Save a direction first")]
    return _own_names


class THUNDER_OT_delete_direction(OneSentence, bpy.types.Operator):
    """Delete a preset that you saved"""

    bl_idname = "thunder.delete_direction"
    bl_label = "Delete Preset"
    bl_options = {"REGISTER"}
    bl_property = "name"

    name: bpy.props.EnumProperty(name="Preset", items=_items, description="Preset to delete")

    @classmethod
    def poll(cls, context):
        if not presets.all_presets().own():
            cls.poll_message_set("You have not saved any preset; the bundled ones cannot be deleted")
            return False
        return True

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self)

    def act(self, context):
        """Delete the preset; returns what to report."""
        presets.all_presets().delete(self.name)
        return f"Deleted “{self.name}”"


class THUNDER_OT_more_like_this(NeedsShownTake, PartialResults, SlicedWork, bpy.types.Operator):
    """Sample takes that are played like the shown one, each a little differently. They are added to the list"""

    bl_idname = "thunder.more_like_this"
    bl_label = "More Like This"

    @classmethod
    def poll(cls, context):
        if not super().poll(context):
            return False
        if sentence := similar.why_not(take_list.shown_take(context.scene.thunder)):
            cls.poll_message_set(sentence)
            return False
        return True

    def begin(self, context):
        entry, _ = shown(context)
        client = connection.client()
        client.start()
        self.takes, self.asked, self.like = [], similar.COUNT, entry.name
        return "Generating takes", similar.sample(client, context, self.takes.append)

    def finish(self, context, takes):
        best = f", the best with Lip-Sync {take_list.points(takes[0].score)}" if math.isfinite(takes[0].score) else ""
        self.report({"INFO"}, f"{len(takes)} new takes like “{self.like}”{best}")
        return {"FINISHED"}


class THUNDER_OT_update_eyes(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Aim the eyes of all takes of the shown one's line as Look At says now. Takes that you edited or shaped stay as they are"""

    bl_idname = "thunder.update_eyes"
    bl_label = "Update Eyes"

    def begin(self, context):
        entry, rig = shown(context)
        if sentence := looking.why_not(rig):
            raise BadRequest(sentence)
        entries = looking.entries_of(context.scene, entry.head, entry.voice)
        return "Aiming the eyes", jobs.stage(looking.update(context.scene, rig, entries), "Aiming the eyes")

    def finish(self, context, counts):
        done, left = counts
        kept = f"; {left} edited or shaped stay{'s' if left == 1 else ''} as before" if left else ""
        self.report({"INFO"}, f"Aimed the eyes of {done} take{'' if done == 1 else 's'}{kept}")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        THUNDER_OT_reset_direction,
        THUNDER_OT_use_direction,
        THUNDER_OT_save_direction,
        THUNDER_OT_delete_direction,
        THUNDER_OT_more_like_this,
        THUNDER_OT_update_eyes,
    )
)
