# SPDX-License-Identifier: GPL-3.0-or-later
"""Save mouths, moods and takes as assets, and put an asset on the chosen head."""

import bpy

from ..scene.animation import display
from ..scene.heads import head
from ..scene.media import assets
from ..scene.takes import provenance, take_list
from ..thunder_core.errors import BadRequest
from .base import (
    chosen_head,
    InstantWork,
    NeedsShownTake,
    shown_take_and_rig,
    SlicedWork,
    why_no_head,
)


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
