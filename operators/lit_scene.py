# SPDX-License-Identifier: GPL-3.0-or-later
"""A lit scene in one click, its removal, and playblasts of takes."""

import bpy

from ..scene.heads import head
from ..scene.media import contact_sheet, stage, studio
from .base import ChoosesFile, chosen_head, InstantWork, SlicedWork, why_not_in_object_mode


class THUNDER_OT_light_scene(InstantWork, bpy.types.Operator):
    """Set up a camera that frames the head, three lights and a backdrop, or fit them to the head
    again"""

    bl_label = "Light the Scene"
    obstacles = (
        lambda context: (
            "" if head.is_any_in(context.scene) else "There is no head to light: add one first"
        ),
        why_not_in_object_mode,
    )

    all_heads: bpy.props.BoolProperty(
        name="All Heads", description="Frame all heads of the scene instead of the chosen one"
    )
    instead: bpy.props.BoolProperty(
        name="New Camera and Lights",
        description="Look through the new camera and add the new lights and backdrop though the "
        "scene has its own. "
        "Those stay, and its camera comes back when the stage is removed",
    )

    def invoke(self, context, event):
        self.all_heads = (
            len(head.in_scene(context.scene)) > 1 and context.scene.thunder.head is None
        )
        if stage.find(context.scene) is None and {"CAMERA", "LIGHT"} & stage.scene_types(
            context.scene
        ):
            self.instead = True
            return context.window_manager.invoke_props_dialog(self)
        return self.execute(context)

    def act(self, context):
        scene = context.scene
        context.view_layer.update()
        rigs = (
            [head.resolve(obj) for obj in head.in_scene(scene)]
            if self.all_heads
            else [chosen_head(context)]
        )
        stage.set_up(scene, rigs, self.instead)
        if (
            scene.camera == stage.camera_of(scene)
            and context.area is not None
            and context.area.type == "VIEW_3D"
        ):
            context.space_data.region_3d.view_perspective = "CAMERA"


class THUNDER_OT_remove_stage(InstantWork, bpy.types.Operator):
    """Remove the camera, lights and backdrop of Light the Scene. The scene's own camera and
    settings come back"""

    bl_label = "Remove Lights and Backdrop"
    obstacles = (
        lambda context: (
            ""
            if stage.find(context.scene)
            else "There is nothing to remove: Light the Scene was not used in this scene"
        ),
    )

    def act(self, context):
        view = (
            context.space_data.region_3d
            if context.space_data is not None and context.space_data.type == "VIEW_3D"
            else None
        )
        if view is not None and view.view_perspective == "CAMERA":
            view.view_perspective = "PERSP"  # the scene's camera may show something else
        stage.remove(context.scene)


class THUNDER_OT_playblast(SlicedWork, bpy.types.Operator):
    """Film the scene's frames with their sound, through the stage's camera or the scene's, into a
    video next to the .blend"""

    bl_label = "Playblast"
    bl_options = set()  # nothing in the file changes: there is nothing to undo

    filepath: bpy.props.StringProperty(
        name="File", subtype="FILE_PATH", options={"SKIP_SAVE"}, description="The video to write"
    )
    filter_glob: bpy.props.StringProperty(default="*.mp4", options={"HIDDEN"})
    percent: bpy.props.IntProperty(
        name="Resolution",
        default=50,
        min=5,
        max=100,
        subtype="PERCENTAGE",
        description="Share of the scene's resolution",
    )
    engine: bpy.props.EnumProperty(
        name="Engine",
        items=[
            ("BLENDER_WORKBENCH", "Workbench", "Quick, as the solid view"),
            ("SCENE", "The Scene's Engine", "As renders look, and as slow"),
        ],
        description="What renders the frames",
    )

    choose: bpy.props.BoolProperty(
        name="Choose the File",
        options={"SKIP_SAVE", "HIDDEN"},
        description="Ask where to write the video",
    )

    def invoke(self, context, event):
        self.choose = (self.choose or not bpy.data.filepath) and not self.filepath
        if not self.choose:
            return super().invoke(context, event)
        self.filepath = contact_sheet.free_path("playblast", ".mp4")
        return ChoosesFile.invoke(self, context, event)

    def execute(self, context):
        if not self.choose:
            return super().execute(context)
        how = {name: getattr(self, name) for name in ("filepath", "percent", "engine")}
        # the file browser would wait for the film
        bpy.ops.thunder.playblast("INVOKE_DEFAULT", **how)
        return {"CANCELLED"}

    def begin(self, context):
        title = bpy.path.display_name_from_filepath(bpy.data.filepath) or "Scene"
        path = bpy.path.abspath(self.filepath) or contact_sheet.free_path(
            f"{title} playblast", ".mp4"
        )
        path = bpy.path.ensure_ext(path, ".mp4")
        return "Playblast", studio.playblast(
            context.scene, path, self.percent, "" if self.engine == "SCENE" else self.engine
        )

    def outcome(self, value):
        return f"Playblast saved to {value}"
