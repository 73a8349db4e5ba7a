# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct a character: presets, the style of an animation or a recording, resetting the sliders,
more takes like the shown one."""

import math
import os

import bpy

from ..scene.engine import connection
from ..scene.host import jobs
from ..scene.review import listening
from ..scene.takes import keep, take_list
from ..scene.takes.direction import asking, looking, sliders
from ..thunder_core.animation import recording
from ..thunder_core.errors import attempt, BadRequest
from .base import (
    ChoosesFile,
    chosen_head,
    InstantWork,
    keep_alive,
    NeedsShownTake,
    PartialResults,
    shown_take_and_rig,
    SlicedWork,
    why_busy,
    why_no_head,
)


class _OfDirection(InstantWork):
    """An operator whose `direct(direction)` changes the direction of the chosen head and returns
    what to report."""

    obstacles = (why_no_head,)

    def act(self, context):
        return self.direct(sliders.ensure(chosen_head(context).owner))


class THUNDER_OT_reset_direction(_OfDirection, bpy.types.Operator):
    """Set all sliders of the direction as usual, without a mood. Their keys are removed"""

    bl_label = "Reset"

    def direct(self, direction):
        asking.remove_keys(direction)
        asking.reset_direction(direction)


class THUNDER_OT_use_direction(_OfDirection, bpy.types.Operator):
    """Direct the character as this preset says"""

    bl_label = "Use Preset"

    name: bpy.props.StringProperty(name="Preset", description="Name of the preset")

    @classmethod
    def description(cls, context, properties):
        preset, _ = attempt(asking.all_presets().load, properties.name)
        return (preset.about.rstrip(".") if preset is not None else "") or cls.__doc__

    def direct(self, direction):
        asking.use_preset(direction, self.name)


class THUNDER_OT_save_direction(_OfDirection, bpy.types.Operator):
    """Save the direction as a preset for other characters and files"""

    bl_label = "Save as Preset"
    bl_options = {"REGISTER"}

    name: bpy.props.StringProperty(
        name="Name", description="Name of the preset. A preset of yours with this name is replaced"
    )

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self)

    def direct(self, direction):
        return f"Saved as {asking.save_preset(direction, self.name)}"


@keep_alive
def _items(self, context):
    names = asking.all_presets().user_names()
    return [(name, name, f"Delete the preset “{name}”") for name in names] or [
        ("", "None Saved Yet", "Save a direction first")
    ]


class THUNDER_OT_delete_direction(InstantWork, bpy.types.Operator):
    """Delete a preset that you saved"""

    bl_label = "Delete Preset"
    bl_options = {"REGISTER"}
    bl_property = "name"
    obstacles = (
        lambda _: (
            ""
            if asking.all_presets().user_names()
            else "You have not saved any preset; the bundled ones cannot be deleted"
        ),
    )

    name: bpy.props.EnumProperty(name="Preset", items=_items, description="Preset to delete")

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self)

    def act(self, context):
        asking.all_presets().delete(self.name)
        return f"Deleted “{self.name}”"


class THUNDER_OT_more_like_this(NeedsShownTake, PartialResults, SlicedWork, bpy.types.Operator):
    """Sample takes that are played like the shown one, each a little differently. They are added to
    the list"""

    obstacles = (lambda context: keep.why_none_alike(take_list.shown_take(context.scene.thunder)),)

    def begin(self, context):
        entry, _ = shown_take_and_rig(context)
        client = connection.start_client()
        self.takes, self.asked, self.like = [], keep.COUNT, entry.name
        return "Generating takes", keep.sample_alike(client, context, self.takes.append)

    def outcome(self, takes):
        best = (
            f", the best with Lip-Sync {take_list.points(takes[0].score)}"
            if math.isfinite(takes[0].score)
            else ""
        )
        return f"{len(takes)} new takes like “{self.like}”{best}"


class THUNDER_OT_update_eyes(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Aim the eyes of all takes of the shown one's line as Look At says now. Takes that you edited
    or shaped stay as they are"""

    def begin(self, context):
        entry, rig = shown_take_and_rig(context)
        if sentence := looking.why_not(rig):
            raise BadRequest(sentence)
        entries = looking.entries_of(context.scene, entry.head, entry.voice)
        return "Aiming the eyes", jobs.stage(
            looking.update(context.scene, rig, entries), "Aiming the eyes"
        )

    def outcome(self, counts):
        count, left = counts
        kept = f"; {left} edited or shaped stay{'s' if left == 1 else ''} as before" if left else ""
        return f"Aimed the eyes of {count} take{'' if count == 1 else 's'}{kept}"


class THUNDER_OT_style_from_animation(SlicedWork, bpy.types.Operator):
    """Set the direction by how the head performs now: a take, your own animation, or what NLA and
    drivers make of it"""

    bl_label = "Style from Animation"
    obstacles = (why_no_head,)

    frames: bpy.props.EnumProperty(
        name="Frames", items=listening.FRAMES, description="Frames to read the style from"
    )

    def begin(self, context):
        rig = chosen_head(context)
        first, last = listening.chosen_frames(context, rig, self.frames)
        return "Reading the style", jobs.stage(
            asking.style_of_animation(rig, context.scene, first, last), "Reading the animation"
        )

    def finish(self, context, read):
        direction = sliders.ensure(chosen_head(context).owner)
        self.report({"INFO"}, asking.use_style(direction, read))


class THUNDER_OT_style_from_file(ChoosesFile, InstantWork, bpy.types.Operator):
    """Set the direction by how somebody performs in a recording: a .csv of Live Link Face, or an
    .npz of bake.py or Export"""

    bl_label = "Style from Recording"
    obstacles = (why_busy, why_no_head)

    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{ending}" for ending in recording.ENDINGS), options={"HIDDEN"}
    )

    def act(self, context):
        if not os.path.basename(self.filepath):
            raise BadRequest("No file was chosen: choose a recording")
        read = asking.style_of_file(bpy.path.abspath(self.filepath))
        return asking.use_style(sliders.ensure(chosen_head(context).owner), read)
