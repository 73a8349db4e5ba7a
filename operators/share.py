# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand on what was made: mouths, moods and takes as assets, to put on a head; the head with its
animation as a file for other programs."""

import os

import bpy

from ..scene.animation import display
from ..scene.heads import head
from ..scene.host.jobs import registration
from ..scene.media import assets, export
from ..scene.review import listening
from ..scene.takes import provenance, take_list
from ..thunder_core.errors import BadRequest
from .base import (
    ChoosesFile,
    chosen_head,
    InstantWork,
    NeedsShownTake,
    shown_take_and_rig,
    SlicedWork,
    why_busy,
    why_no_head,
)

_SUFFIXES = {form.suffix for form in export.FORMATS.values()}


class THUNDER_OT_save_poses(SlicedWork, bpy.types.Operator):
    """Save ten mouths and all moods of the chosen head as pose assets, each with its picture.
    Assets saved before are replaced"""

    bl_label = "Save Mouth Poses as Assets"
    obstacles = (why_no_head,)

    def begin(self, context):
        rig = chosen_head(context)
        head.check_animatable(rig)
        return "Saving Poses", assets.save_poses(context.scene, rig)

    def outcome(self, value):
        return (
            f"{value} poses are assets of this file: save it, and find them in the Asset "
            f"Browser under Thunder"
        )


class THUNDER_OT_save_take_asset(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Make the shown take an asset, with its picture. It stays in the file if the take is deleted
    from the list"""

    bl_label = "Save Take as Asset"

    def act(self, context):
        entry, rig = shown_take_and_rig(context)
        assets.save_take(context.scene, rig, entry)
        return (
            f"“{entry.name}” is an asset of this file: save it, and find it in the Asset "
            f"Browser under Thunder"
        )


class THUNDER_OT_apply_asset(InstantWork, bpy.types.Operator):
    """Put this pose or take on the chosen head. A pose is keyed at the current frame where Auto
    Keying is on"""

    bl_label = "Apply to Head"
    obstacles = (why_no_head,)

    strength: bpy.props.FloatProperty(
        name="Strength",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        description="How far the face goes from what it is to the pose",
    )
    action: bpy.props.StringProperty(
        options={"HIDDEN", "SKIP_SAVE"}, description="Name of the asset; empty: the chosen one"
    )
    # What an asset shelf says of the asset that is clicked, under the names that it wants.
    asset_library_type: bpy.props.EnumProperty(
        options={"HIDDEN", "SKIP_SAVE"},
        items=[
            ("LOCAL", "This File", "", 1),
            ("ALL", "All", "", 2),
            ("ESSENTIALS", "Essentials", "", 3),
            ("CUSTOM", "Other", "", 100),
        ],
        description="Kind of the asset's library",
    )
    asset_library_identifier: bpy.props.StringProperty(
        options={"HIDDEN", "SKIP_SAVE"}, description="Name of the asset's library"
    )
    relative_asset_identifier: bpy.props.StringProperty(
        options={"HIDDEN", "SKIP_SAVE"}, description="Place of the asset in its library"
    )
    library: bpy.props.StringProperty(
        options={"HIDDEN", "SKIP_SAVE"}, description="File that has it; empty: this one"
    )

    def act(self, context):
        rig, asset = chosen_head(context), getattr(context, "asset", None)
        if self.relative_asset_identifier:
            self.action, self.library = assets.place_of(
                self.asset_library_identifier, self.relative_asset_identifier
            )
        elif not self.action and asset is not None:
            self.action = asset.name
            self.library = "" if asset.local_id is not None else asset.full_library_path
        head.check_animatable(rig)
        with assets.open_asset(self.action, self.library) as action:
            if provenance.source_of(action) is not None:
                return self._show(context, rig, action)
            if not assets.apply(
                rig, action, self.strength, context.scene.tool_settings.use_keyframe_insert_auto
            ):
                raise BadRequest(
                    f"“{action.name}” moves nothing of “{rig.owner.name}”: it is a pose of "
                    f"another character"
                )

    def _show(self, context, rig, action):
        """Show a take, listed where it is not yet."""
        if take_list.entry_of(context.scene, action) is None and not take_list.adopt(
            context.scene, rig, [action]
        ):
            raise BadRequest(
                f"What the take “{action.name}” was made of is damaged: choose another"
            )
        entry = take_list.entry_of(context.scene, action)
        display.show(take_list.rig_of(context.scene, entry), entry)


class THUNDER_OT_export_performance(ChoosesFile, InstantWork, bpy.types.Operator):
    """Export the head and its current animation for other programs"""

    bl_options = {"PRESET"}  # nothing in the scene changes: there is nothing to undo
    obstacles = (why_busy, why_no_head)

    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{suffix}" for suffix in sorted(_SUFFIXES)), options={"HIDDEN"}
    )
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    form: bpy.props.EnumProperty(
        name="Format",
        items=[(key, form.name, form.carries) for key, form in export.FORMATS.items()],
        description="File format",
    )
    frames: bpy.props.EnumProperty(
        name="Frames", items=listening.FRAMES, description="Frames to export"
    )
    rate: bpy.props.FloatProperty(
        name="Rows per Second",
        default=60.0,
        min=1.0,
        max=240.0,
        precision=3,
        description="Sampling rate of the curves. Live Link Face records 60 rows per second, which "
        "most importers expect",
    )

    from_zero: bpy.props.BoolProperty(
        name="Start at Zero",
        default=True,
        description="Start the file at time 0 instead of the frame's time in the scene",
    )

    def invoke(self, context, event):
        if not self.filepath:
            folder = os.path.dirname(bpy.data.filepath) or os.path.expanduser("~")
            self.filepath = os.path.join(folder, _file_name(context))
        self.check(context)
        return ChoosesFile.invoke(self, context, event)

    def check(self, context):
        """Keep the file's ending that of the format; whether it changed."""
        stem, suffix = os.path.splitext(self.filepath)
        path = (stem if suffix.lower() in _SUFFIXES else self.filepath) + export.FORMATS[
            self.form
        ].suffix
        changed = path != self.filepath and bool(os.path.basename(self.filepath))
        if changed:
            self.filepath = path
        return changed

    def draw(self, context):
        pass  # the options are a panel of the file browser

    def act(self, context):
        if not os.path.basename(self.filepath):
            raise BadRequest("The file has no name: enter one")
        self.check(context)
        rig = head.find(context.scene, context.object)
        first, last = listening.chosen_frames(context, rig, self.frames)
        shot = export.Shot(
            context.scene, context.view_layer, rig, first, last, self.rate, self.from_zero
        )
        notes = export.export(shot, export.FORMATS[self.form], bpy.path.abspath(self.filepath))
        for note in notes:
            self.report({"WARNING"}, note)
        return f"Exported frames {first}–{last} to “{os.path.basename(self.filepath)}”"


def _file_name(context) -> str:
    """A name for the file: the shown take's, or the head's."""
    rig = head.find(context.scene, context.object)
    entry = take_list.on_head(context.scene, rig.mesh)
    return bpy.path.clean_name(entry.action.name if entry is not None else rig.owner.name)


def _in_menu(self, context):
    self.layout.operator("thunder.export_performance", text="Thunder Performance…")


register, unregister = registration(menus=(("TOPBAR_MT_file_export", _in_menu),))
