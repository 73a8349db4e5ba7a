# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a head, bundled or from files of the animator's, or a voice; make a linked character
editable; open the preferences; measure and fit a head from a FLAME file."""

import os

import bpy

from ..scene.engine import connection
from ..scene.heads import family, flame, head, ict
from ..scene.media import export
from ..scene.voice import strip
from ..thunder_core import files, shipped
from ..thunder_core.errors import BadRequest
from .base import ChoosesFile, Explained, InstantWork, SlicedWork, why_not_in_object_mode

SAMPLE = str(shipped.SAMPLE)


class AddsHead(InstantWork):
    """An operator whose `add(context, collection)` adds a head to a collection that can be changed
    and returns its mesh."""

    obstacles = (why_not_in_object_mode,)

    def act(self, context):
        collection = context.collection
        if collection is None or collection.library is not None:
            collection = context.scene.collection
        mesh = self.add(context, collection)
        head.fit_to_units(context.scene, mesh)
        head.move_clear(context.scene, context.view_layer, mesh)
        context.scene.thunder.head = mesh


class THUNDER_OT_add_head(AddsHead, bpy.types.Operator):
    """Add the bundled head at the 3D cursor, ready to animate. The first head of a scene is framed
    in the view"""

    person: bpy.props.EnumProperty(
        name="Person",
        description="Whose head: all have the same keys, so any take plays on any of them",
        items=[
            (key, name, f"Add the bundled head called {name}") for key, name in head.PEOPLE.items()
        ],
    )

    def add(self, context, collection):
        return head.build(
            collection, context.view_layer, context.scene.cursor.location, self.person
        ).mesh

    def execute(self, context):
        is_first, area = not head.is_any_in(context.scene), context.area
        result = super().execute(context)
        if is_first and result == {"FINISHED"} and area is not None and area.type == "VIEW_3D":
            region = next(region for region in area.regions if region.type == "WINDOW")
            with context.temp_override(area=area, region=region):
                bpy.ops.view3d.view_axis(type="FRONT")
                bpy.ops.view3d.view_selected()
        return result


class THUNDER_OT_add_flame_head(ChoosesFile, AddsHead, bpy.types.Operator):
    """Add a head from a FLAME file (2019, 2020, 2023, 2023 Open; .pkl or .npz). No code in the file
    is run"""

    bl_label = "Head from FLAME File…"

    filter_glob: bpy.props.StringProperty(default="*.pkl;*.npz", options={"HIDDEN"})
    sliders: bpy.props.IntProperty(
        name="Identity Sliders",
        default=10,
        min=0,
        max=300,
        description="Number of identity shape keys to create",
    )

    def add(self, context, collection):
        return flame.add(
            self.filepath,
            collection,
            context.view_layer,
            context.scene.cursor.location,
            self.sliders,
        )


class THUNDER_OT_add_ict_head(ChoosesFile, AddsHead, bpy.types.Operator):
    """Add the head from the FaceXModel folder of ICT-FaceKit (MIT licence), ready to animate"""

    bl_label = "Head from ICT-FaceKit Folder…"

    directory: bpy.props.StringProperty(
        name="Folder",
        subtype="DIR_PATH",
        description="The ICT-FaceKit folder, or its FaceXModel folder",
    )
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def add(self, context, collection):
        return ict.add(
            self.directory, collection, context.view_layer, context.scene.cursor.location
        )


def _chosen(context):
    return context.scene.thunder.head or context.object


class THUNDER_OT_make_editable(InstantWork, bpy.types.Operator):
    """Make a library override of the linked character and its meshes, so that it can be animated"""

    obstacles = (
        lambda context: (
            ""
            if family.find_linked(context.scene, _chosen(context))
            else "Nothing here is linked from another file"
        ),
        why_not_in_object_mode,
    )

    def act(self, context):
        scene = context.scene
        face = family.make_editable(
            scene, context.view_layer, family.find_linked(scene, _chosen(context))
        )
        scene.thunder.head = face
        return f"“{face.name}” can be animated now. The linked file is not changed"


class _AddsVoice(InstantWork):
    """An operator that puts a sound in the sequencer and makes it the voice: the first from the
    scene's first frame on, another from the playhead on, or after the last sound if there is one at
    the playhead."""

    def put(self, context, path: str, name: str):
        """The strip; None in a Blender without sound."""
        scene = context.scene
        settings = scene.thunder
        if not strip.has_audio():
            settings.source, settings.sound_file = "FILE", path
            return None
        added = strip.add_voice(scene, path, name, strip.free_frame(scene))
        settings.source, settings.voice = "STRIP", added.name
        return added


class THUNDER_OT_sample_voice(_AddsVoice, bpy.types.Operator):
    """Add a sample recording to the sequencer to try Thunder"""

    bl_label = "Use a Sample Voice"
    obstacles = (
        lambda _: (
            ""
            if os.path.isfile(SAMPLE)
            else "This copy of the add-on has no sample: choose a sound of your own"
        ),
    )

    def act(self, context):
        added = self.put(context, SAMPLE, "Sample Voice")
        if added is not None:
            added.sound.pack()  # its file goes when the add-on is updated or removed


class THUNDER_OT_own_voice(ChoosesFile, _AddsVoice, bpy.types.Operator):
    """Add a sound file to the sequencer and use it as the voice"""

    bl_label = "Choose a Recording"

    filter_sound: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def act(self, context):
        if problem := files.not_a_file(self.filepath):
            raise BadRequest(f"{problem}: choose a recording")
        self.put(context, self.filepath, os.path.splitext(os.path.basename(self.filepath))[0])


class _NeedsFlameHead(Explained):
    obstacles = (
        lambda context: (
            ""
            if flame.chosen_mesh(context)
            else "No head from a FLAME file is selected: add one with Head from FLAME File"
        ),
    )


class _OfFlameHead(_NeedsFlameHead, InstantWork):
    """An operator whose `change(context, rig)` acts on the chosen FLAME head and returns what to
    report."""

    def act(self, context):
        return self.change(context, head.resolve(flame.chosen_mesh(context)))


class THUNDER_OT_measure_retarget(_OfFlameHead, bpy.types.Operator):
    """Measure how closely this head follows the bundled one during speech"""

    bl_label = "Measure"

    def change(self, context, rig):
        measured = flame.measure(rig.mesh, rig.armature)
        text = (
            f"Lip opening off by {measured.opening:.2f} mm on average, {measured.worst:.1f} mm at "
            f"most; "
            f"lips that should touch are at most {measured.closed:.2f} mm apart; "
            f"lip shape off by {measured.lips:.1f} of {measured.travel:.1f} mm"
        )
        rig.armature[flame.MEASURED] = text
        return text


class THUNDER_OT_fit_flame_bones(_OfFlameHead, bpy.types.Operator):
    """Move the jaw, neck and eye bones to fit the identity sliders"""

    bl_label = "Fit Bones to Identity"
    obstacles = (why_not_in_object_mode,)

    def change(self, context, rig):
        return (
            f"Bones moved by up to "
            f"{1000 * flame.fit_bones(rig.mesh, rig.armature, context.view_layer):.1f} mm"
        )


class THUNDER_OT_check_with_smplx(_NeedsFlameHead, SlicedWork, bpy.types.Operator):
    """Compare this head on the current frame with the same FLAME file posed by smplx. Needs the
    FLAME extra"""

    bl_label = "Check with smplx"
    bl_options = {"INTERNAL"}

    filepath: bpy.props.StringProperty(
        name="File",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
        description="FLAME file that this head was made from; empty for the one in the preferences",
    )

    def begin(self, context):
        chosen = connection.preferences()
        path = self.filepath or (chosen.flame_file if chosen else "")
        if not path:
            raise BadRequest("No FLAME file is chosen: choose the one that this head was made from")
        rig = head.resolve(flame.chosen_mesh(context))
        model = flame.load(path, "choose the FLAME file that this head was made from")
        return "Checking with smplx", export.compare_with_smplx(
            connection.client(), context.scene, rig, model
        )

    def outcome(self, answer):
        return (
            f"In this pose the head differs from smplx {answer['smplx']} by {answer['rig']:.3f} "
            f"mm at most; "
            f"Thunder's skinning of the file by {answer['skinning']:.4f} mm"
        )
