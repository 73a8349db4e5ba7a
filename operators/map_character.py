# SPDX-License-Identifier: GPL-3.0-or-later
"""Map a character: recognise its shapes by name, edit the table, choose its objects, save and load
presets; and sliders on its mouth."""

from __future__ import annotations

from dataclasses import replace

import bpy

from ..scene.animation import drawn_frames
from ..scene.heads import (
    character,
    detection,
    drawing_rules,
    family,
    head,
    head_state,
    mapping_table,
)
from ..scene.host.prop import EnumProperty, IntProperty, StringProperty
from ..thunder_core.errors import attempt, BadRequest
from ..thunder_core.face import mapping
from ..thunder_core.face.drawn_mouths import UNUSED
from ..thunder_core.translation import plural
from .base import (
    chosen_head,
    InstantWork,
    Obstacles,
    OnCharacter,
    ShowsDialog,
    why_no_head,
    why_not_in_object_mode,
)


class THUNDER_OT_find_mapping(OnCharacter, bpy.types.Operator):
    """Map the character automatically by the names of its shape keys, controls and bones, or of
    its drawings: A, AI, O, E, MBP, rest, blink and the like, or Rhubarb's A to H and X"""

    bl_label = "Find by Names"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object):
        if family.is_drawn(obj):
            return _fill(context, obj, drawing_rules.by_names(obj))
        plan = detection.detect(obj, anew=True)
        mapping_table.keep_plan(context.scene, obj, plan)
        context.scene.thunder.head = obj
        if not plan.rules:
            return "No known names found: map the channels by hand"
        result = sum(name in plan.used for name in head.channel_names())
        return f"{plan.name}: {result} of {len(head.channel_names())} channels"


class THUNDER_OT_map_by_poses(OnCharacter, bpy.types.Operator):
    """Use the pose assets of this file that are named after sounds or channels: AH, EE, OH, OO,
    MBP, FV, L, TH, jawOpen"""

    bl_label = "Find by Pose Assets"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object):
        plan, names = detection.map_by_poses(obj)
        mapping_table.keep_plan(context.scene, obj, plan)
        context.scene.thunder.head = obj
        return f"Mapped by {len(names)} pose assets: {', '.join(names)}"


class THUNDER_OT_show_mapping(OnCharacter, bpy.types.Operator):
    """Show the character's mapping as an editable table"""

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        mapping_table.fill(context.scene, obj)
        context.scene.thunder.head = obj


class _OfTable(OnCharacter):
    obstacles: Obstacles = (
        lambda context: (
            ""
            if context.scene.thunder.table and context.scene.thunder.table_head is not None
            else "The mapping is not shown: press Show Mapping first"
        ),
    )


class THUNDER_OT_add_rule(_OfTable, bpy.types.Operator):
    """Add another target to the selected row's channel"""

    bl_label = "Add Target"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        settings = context.scene.thunder
        source = (
            settings.table[settings.table_index].source if settings.table_index >= 0 else "jawOpen"
        )
        settings.table.add()
        settings.table.move(len(settings.table) - 1, settings.table_index + 1)
        settings.table[settings.table_index + 1].source = source
        settings.table_index += 1


class THUNDER_OT_remove_rule(_OfTable, bpy.types.Operator):
    """Remove this target from its channel"""

    bl_label = "Remove Target"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        settings = context.scene.thunder
        mapping_table.end(context.scene)
        if 0 <= settings.table_index < len(settings.table):
            settings.table.remove(settings.table_index)
            mapping_table.keep(context.scene)
            assert settings.table_head is not None
            mapping_table.fill(context.scene, settings.table_head)


class THUNDER_OT_learn_channel(_OfTable, bpy.types.Operator):
    """Use the character's current pose as the effect of the selected row's channel"""

    bl_label = "Learn from Pose"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object):
        settings = context.scene.thunder
        source = settings.table[settings.table_index].source
        obj = settings.table_head or obj
        plan = character.plan_of(obj)
        rules = detection.rules_of_pose(source, plan, character.objects_of(obj, plan))
        kept = tuple(rule for rule in plan.rules if rule.source != source)
        joints = tuple(rule for rule in plan.joints if rule.joint != source)
        mapping_table.keep_plan(
            context.scene,
            obj,
            replace(plan, name="By Hand", rules=kept + tuple(rules), joints=joints),
        )
        count = len(rules)
        return plural(
            count, f"“{source}” moves {count} target now", f"“{source}” moves {count} targets now"
        )


class THUNDER_OT_swap_sides(OnCharacter, bpy.types.Operator):
    """Swap left and right, for a character named from the viewer's side"""

    bl_label = "Swap Left and Right"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        plan = character.plan_of(obj)
        mapping_table.keep_plan(
            context.scene, obj, replace(character.swap_sides(plan), name=plan.name)
        )


class THUNDER_OT_save_mapping(ShowsDialog, OnCharacter, bpy.types.Operator):
    """Save the character's mapping as a preset for other characters"""

    bl_options = {"REGISTER"}

    name: str = StringProperty(
        name="Name", description="Name of the preset. A preset with this name is replaced"
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if (obj := context.scene.thunder.head or context.object) is not None:
            self.name = obj.name
        return super().invoke(context, event)

    def change(self, context: bpy.types.Context, obj: bpy.types.Object):
        return (
            f"Saved as {mapping_table.presets().write(self.name, character.plan_of(obj).to_json())}"
        )


class THUNDER_OT_load_mapping(OnCharacter, bpy.types.Operator):
    """Use a saved mapping on this character"""

    name: str = StringProperty(name="Preset", description="Saved mapping")

    def change(self, context: bpy.types.Context, obj: bpy.types.Object):
        mapping_table.keep_plan(context.scene, obj, mapping_table.preset(self.name))
        context.scene.thunder.head = obj
        return f"{len(head.resolve(obj).channels)} channels are mapped by “{self.name}”"


class THUNDER_OT_add_drawn_mouth(InstantWork, bpy.types.Operator):
    """Make a head of what is selected: a Grease Pencil object, a plane with an image sequence or a
    sheet, or an object for each mouth. Drawings are found by their names, else by their order"""

    obstacles: Obstacles = (
        why_not_in_object_mode,
        lambda context: (
            ""
            if context.object is not None
            else "Nothing is selected: select the drawing, or the objects that are mouths"
        ),
    )

    def act(self, context: bpy.types.Context):
        scene = context.scene
        face = drawing_rules.adopt(context.object, list(context.selected_objects))
        scene.thunder.head = face
        if family.is_drawn(face):
            # what it shares is copied
            mapping_table.keep_plan(scene, face, character.plan_of(face))
            return f"“{face.name}” has drawn mouths already: see them in Thunder Character"
        # it may have lost its number alone
        kept = attempt(character.plan_of, face)[0] if head_state.mapping(face) else None
        plan = kept or mapping.Mapping("Drawn Mouths", ())
        if not plan.drawn:
            plan = mapping.Mapping("Drawn Mouths", tuple(drawing_rules.found_rules(face)))
        mapping_table.keep_plan(scene, face, plan)
        plan = character.plan_of(face)
        self.warn([*head.resolve(face).warnings, *drawing_rules.say_left_out(face, plan)])
        count = len({rule.source for rule in plan.rules} - {UNUSED})
        return f"“{face.name}” has {count} sounds and looks: see them in Thunder Character"


def _fill(context: bpy.types.Context, obj: bpy.types.Object, found: list[mapping.Rule]) -> str:
    """Fill rows of a head of drawings with rules; the sentence to report."""
    if not found:
        raise BadRequest("No drawing was found: choose one in each row of the table")
    plan, filled = character.plan_of(obj), {rule.source for rule in found}
    kept = (rule for rule in plan.rules if rule.source not in filled)
    mapping_table.keep_plan(context.scene, obj, replace(plan, rules=(*found, *kept)))
    return f"{len(filled)} rows were filled"


class THUNDER_OT_fill_in_order(ShowsDialog, OnCharacter, bpy.types.Operator):
    """Fill the rows with the drawings in the order of a usual chart"""

    chart: str = EnumProperty(
        name="Order",
        items=[
            (name, name, ", ".join(label for label, _ in rows))
            for name, rows in drawing_rules.CHARTS.items()
        ],
        description="Order in which the drawings are",
    )
    first: int = IntProperty(
        name="From", default=1, min=1, description="Which of the drawings is the first mouth"
    )

    def change(self, context: bpy.types.Context, obj: bpy.types.Object):
        return _fill(context, obj, drawing_rules.in_order(obj, self.chart, self.first))


class THUNDER_OT_tilt_drawing(OnCharacter, bpy.types.Operator):
    """Let the active object, such as the whole drawing, or in Pose Mode the active bone tilt to the
    side as the head of a take does"""

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        turned, bone = context.object or obj, context.active_pose_bone
        if bone is None and turned.rotation_mode in ("QUATERNION", "AXIS_ANGLE"):
            raise BadRequest(
                f"“{turned.name}” has no Euler angles: choose XYZ as its rotation mode"
            )
        of, name = turned.name * (turned != obj), getattr(bone, "name", "")
        mapping_table.keep_plan(
            context.scene, obj, drawing_rules.tilt(character.plan_of(obj), of, name)
        )


class THUNDER_OT_copy_drawings(InstantWork, bpy.types.Operator):
    """Copy the drawings of Grease Pencil layers to the frames on which the head shows them, to
    place them by hand. They share their drawing; the modifiers that chose it are switched off"""

    obstacles: Obstacles = (why_not_in_object_mode, why_no_head)

    def act(self, context: bpy.types.Context):
        count = drawn_frames.copy_drawings(context.scene, chosen_head(context))
        frames = plural(count, f"{count} frame", f"{count} frames")
        return f"Copied drawings to {frames}: switch the modifiers on to follow keys again"
