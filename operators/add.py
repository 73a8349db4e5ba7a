# SPDX-License-Identifier: GPL-3.0-or-later
"""Add heads, bundled or from files, voices, lines from sounds, a file of jobs or the microphone,
and takes from recordings of a face, also where files are dropped in the viewport; make a linked
character editable; measure and fit a head from a FLAME file."""

from __future__ import annotations

import contextlib
import math
import os

import bpy
import numpy as np
from bpy_extras import view3d_utils
from mathutils import Vector

from ..scene.engine import connection, install
from ..scene.heads import drawing_rules, family, flame, head, live_head, mapping_table, receivers
from ..scene.host import compat, jobs
from ..scene.host.language import translated
from ..scene.host.prop import (
    BoolProperty,
    Collection,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    StringProperty,
)
from ..scene.media import grid
from ..scene.takes import dialogue, take_list, transcript, voice_fit
from ..scene.takes.direction import head_direction
from ..scene.voice import recording, strip
from ..thunder_core import files, shipped, vmc
from ..thunder_core.animation.motion_file import RECORDINGS, VIDEOS
from ..thunder_core.batch.job_file import SOUNDS
from ..thunder_core.client import Client
from ..thunder_core.engine_python import find_tracker
from ..thunder_core.errors import attempt, BadRequest
from .base import (
    ChoosesFile,
    chosen_head,
    FileWork,
    InstantWork,
    Obstacles,
    SlicedWork,
    why_no_head,
    why_not_in_object_mode,
)
from .install_engine import confirm

SAMPLE = str(shipped.SAMPLE)


class AddsHead(InstantWork):
    """An operator whose `add(context, collection)` adds a head to a collection that can be changed
    and returns its mesh. The view frames all heads then."""

    obstacles: Obstacles = (why_not_in_object_mode,)

    def act(self, context: bpy.types.Context) -> None:
        collection = context.collection
        if collection is None or collection.library is not None:
            collection = context.scene.collection
        mesh = self.add(context, collection)
        head.fit_to_units(context.scene, mesh)
        head.move_clear(context.scene, context.view_layer, mesh)
        context.scene.thunder.head = mesh
        if context.area is not None and context.area.type == "VIEW_3D":
            _frame_heads(context, context.area)

    def add(self, context: bpy.types.Context, collection: bpy.types.Collection) -> bpy.types.Object:
        """Add it; its mesh. Raises ThunderError."""
        raise NotImplementedError


class THUNDER_OT_add_head(AddsHead, bpy.types.Operator):
    """Add the bundled head at the 3D cursor, ready to animate, beside other heads there. The view
    frames all heads"""

    person: str = EnumProperty(
        name="Person",
        description="Whose head: all have the same keys, so any take plays on any of them",
        items=[
            (key, name, f"Add the bundled head called {name}") for key, name in head.PEOPLE.items()
        ],
    )

    def add(self, context: bpy.types.Context, collection: bpy.types.Collection):
        return head.build(
            collection, context.view_layer, context.scene.cursor.location, self.person
        ).mesh


class THUNDER_OT_sample_drawing(AddsHead, bpy.types.Operator):
    """Add a drawn face with a mouth for each sound, to try takes on drawings"""

    bl_label = "Use a Sample Drawing"

    def add(self, context: bpy.types.Context, collection: bpy.types.Collection):
        face, plan = drawing_rules.add_sample(collection)
        mapping_table.keep_plan(context.scene, face, plan)
        return face


def _frame_heads(context: bpy.types.Context, area: bpy.types.Area) -> None:
    """Look at all heads from the front; a view through a camera changes for the first head only."""
    region = next(region for region in area.regions if region.type == "WINDOW")
    boxes = np.array([family.extent(mesh) for mesh in head.in_scene(context.scene)])
    if len(boxes) > 1 and area.spaces.active.region_3d.view_perspective == "CAMERA":
        return
    with context.temp_override(area=area, region=region):
        bpy.ops.view3d.view_axis(type="FRONT")
    low, high = boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)
    grid.frame_box(area, region, Vector((low + high) / 2), *(high - low)[[0, 2]])


class THUNDER_OT_add_flame_head(ChoosesFile, AddsHead, bpy.types.Operator):
    """Add a head from a FLAME file (2019, 2020, 2023, 2023 Open; .pkl or .npz). No code in the file
    is run"""

    bl_label = "Head from FLAME File…"

    filter_glob: str = StringProperty(default="*.pkl;*.npz", options={"HIDDEN"})
    sliders: int = IntProperty(
        name="Identity Sliders",
        default=10,
        min=0,
        max=300,
        description="Number of identity shape keys to create",
    )

    def add(self, context: bpy.types.Context, collection: bpy.types.Collection):
        return flame.add(
            self.filepath,
            collection,
            context.view_layer,
            context.scene.cursor.location,
            self.sliders,
        )


def _chosen(context: bpy.types.Context):
    return context.scene.thunder.head or context.object


class THUNDER_OT_make_editable(InstantWork, bpy.types.Operator):
    """Make a library override of the linked character and its meshes, so that it can be animated"""

    obstacles: Obstacles = (
        lambda context: (
            ""
            if family.find_linked(context.scene, _chosen(context))
            else "Nothing here is linked from another file"
        ),
        why_not_in_object_mode,
    )

    def act(self, context: bpy.types.Context):
        scene = context.scene
        linked = family.find_linked(scene, _chosen(context))
        assert linked is not None
        face = family.make_editable(scene, context.view_layer, linked)
        scene.thunder.head = face
        return f"“{face.name}” can be animated now. The linked file is not changed"


def _add_voice(scene: bpy.types.Scene, path: str, name: str):
    """Put a sound in the sequencer and make it the voice: the first from the scene's first frame
    on, another from the playhead on, or after the last sound if there is one at the playhead.
    Returns the strip; None in a Blender without sound."""
    settings = scene.thunder
    if not strip.has_audio():
        settings.source, settings.sound_file = "FILE", path
        return None
    added = strip.add_voice(scene, path, name, strip.free_frame(scene))
    settings.source, settings.voice = "STRIP", added.name
    return added


class THUNDER_OT_sample_voice(InstantWork, bpy.types.Operator):
    """Add a sample recording to the sequencer to try Thunder"""

    bl_label = "Use a Sample Voice"
    obstacles: Obstacles = (
        lambda _: (
            ""
            if os.path.isfile(SAMPLE)
            else "This copy of the add-on has no sample: choose a sound of your own"
        ),
    )

    def act(self, context: bpy.types.Context) -> None:
        added = _add_voice(context.scene, SAMPLE, "Sample Voice")
        if added is not None:
            added.sound.pack()  # its file goes when the add-on is updated or removed
            transcript.ensure(context.scene, added.name).text = shipped.SAMPLE_TEXT


class THUNDER_OT_own_voice(ChoosesFile, InstantWork, bpy.types.Operator):
    """Add a sound file to the sequencer and use it as the voice"""

    bl_label = "Choose a Recording"

    filter_sound: bool = BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: bool = BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bool = BoolProperty(default=True, options={"HIDDEN"})

    def act(self, context: bpy.types.Context) -> None:
        if problem := files.not_a_file(self.filepath):
            raise BadRequest(f"{problem}: choose a recording")
        # of a script: what is saved finds it whatever the working folder is
        path = os.path.abspath(bpy.path.abspath(self.filepath))
        _add_voice(context.scene, path, os.path.splitext(os.path.basename(path))[0])


class THUNDER_OT_fit_flame_bones(InstantWork, bpy.types.Operator):
    """Move the jaw, neck and eye bones to fit the identity sliders"""

    bl_label = "Fit Bones to Identity"
    obstacles: Obstacles = (
        why_not_in_object_mode,
        lambda context: (
            ""
            if head.flame_mesh(context)
            else "No head from a FLAME file is selected: add one with Head from FLAME File"
        ),
    )

    def act(self, context: bpy.types.Context):
        mesh = head.flame_mesh(context)
        assert mesh is not None
        rig = head.resolve(mesh)
        assert rig.armature is not None
        far = flame.fit_bones(rig.mesh, rig.armature, context.view_layer)
        return f"Bones moved by up to {1000 * far:.1f} mm"


class DropsInViewport:
    """A handler of files that are dropped in a 3D viewport."""

    @classmethod
    def poll_drop(cls, context: bpy.types.Context):
        return context.area is not None and context.area.type == "VIEW_3D"


def choose_head_under(context: bpy.types.Context, event: bpy.types.Event) -> None:
    """Make the head under the pointer the one of the Thunder tab, if there is one. Over another
    object it is the scene's only head."""
    region, view = context.region, context.region_data
    if region is None or view is None or region.type != "WINDOW":
        return
    ray = [
        to_3d(region, view, (event.mouse_region_x, event.mouse_region_y))
        for to_3d in (view3d_utils.region_2d_to_origin_3d, view3d_utils.region_2d_to_vector_3d)
    ]
    is_hit, *_, obj, _ = context.scene.ray_cast(context.evaluated_depsgraph_get(), *ray)
    mesh = head.guess(context.scene, context.scene.objects.get(obj.name)) if is_hit else None
    if mesh is not None and mesh != head.current(context):
        context.scene.thunder.head = mesh


class THUNDER_OT_add_lines(InstantWork, bpy.types.Operator):
    """Add sound files to the sequencer from the playhead on, one after the other, as lines that the
    heads speak in turn"""

    directory: str = StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: Collection[bpy.types.OperatorFileListElement] = CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"}
    )
    filter_sound: bool = BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bool = BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if not self.files:
            context.window_manager.fileselect_add(self)
            return {"RUNNING_MODAL"}
        choose_head_under(context, event)
        return self.execute(context)

    def act(self, context: bpy.types.Context):
        folder = bpy.path.abspath(self.directory)
        paths = [os.path.join(folder, file.name) for file in self.files if file.name]
        added, left_out = dialogue.add_sounds(context, paths)
        self.warn(f"Left out: {sentence}" for sentence in left_out)
        what = (
            f"Added “{added[0]}”"
            if len(added) == 1
            else f"Added {len(added)} lines, one after the other"
        )
        return (
            what
            if head.is_any_in(context.scene)
            else f"{what}: add a head that speaks, then generate takes"
        )


class THUNDER_FH_lines(DropsInViewport, bpy.types.FileHandler):  # type: ignore[misc]
    bl_label = "Lines of Dialogue"
    bl_import_operator = "thunder.add_lines"
    bl_file_extensions = ";".join(sorted(SOUNDS))


class THUNDER_OT_import_capture(FileWork, bpy.types.Operator):
    """Add a captured face as a take of the chosen head and voice: curves of Live Link Face or ARKit
    (.csv, .tsv), a video of an actor, or a take of ours (.npz)"""

    bl_label = "Import Captured Face"

    filter_glob: str = StringProperty(
        default=";".join(f"*{ending}" for ending in (*RECORDINGS, *VIDEOS)), options={"HIDDEN"}
    )
    rate: float = FloatProperty(
        name="Frames per Second",
        min=0.0,
        max=240.0,
        options={"SKIP_SAVE"},
        description="Frame rate of a table of curves; 0: as its times tell",
    )
    mirrored: bool = BoolProperty(
        name="Mirrored Video",
        options={"SKIP_SAVE"},
        description="The video shows the actor as in a mirror",
    )
    pixel_aspect: float = FloatProperty(
        name="Pixel Aspect",
        min=0.0,
        max=3.0,
        precision=3,
        options={"SKIP_SAVE"},
        description="Width of a video's pixels for their height, if its picture is squeezed; 0: as "
        "the video says",
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        for name in ("rate", "mirrored", "pixel_aspect"):
            layout.prop(self, name)
        if attempt(find_tracker, install.TRACKER.venvs())[1]:
            layout.label(text="Videos need MediaPipe", icon="INFO")
            layout.operator("thunder.install_tracker", icon="IMPORT")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if self.filepath:
            choose_head_under(context, event)
        return super().invoke(context, event)

    def begin(self, context: bpy.types.Context):
        if not os.path.basename(self.filepath):
            raise BadRequest("No file was chosen: choose a recording")
        path = bpy.path.abspath(self.filepath)
        client = connection.start_client() if strip.current(context) is not None else None
        return "Importing the capture", voice_fit.list_capture(
            client, context, path, self.rate, self.mirrored, self.pixel_aspect
        )

    def finish(self, context: bpy.types.Context, entered: voice_fit.ImportedCapture) -> None:
        place = (
            "has no voice: add the line to the sequencer, and import it again"
            if entered.place is None
            else entered.place.sentence
        )
        score = (
            f". Lip-Sync {take_list.points(entered.score)}" if math.isfinite(entered.score) else ""
        )
        read = f". {entered.read}" if entered.read else ""
        unsure = entered.place is None or (entered.place.by != "" and entered.place.sure < 1)
        self.tell({"WARNING" if unsure else "INFO"}, f"“{entered.name}” {place}{score}{read}")
        self.warn([entered.unscored, *entered.notes])


class THUNDER_FH_captures(DropsInViewport, bpy.types.FileHandler):  # type: ignore[misc]
    bl_label = "Captured Face"
    bl_import_operator = "thunder.import_capture"
    bl_file_extensions = ";".join(RECORDINGS)


def _in_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator("thunder.add_lines", text="Thunder Lines (Sounds)")
    self.layout.operator("thunder.import_capture", text="Thunder Captured Face (.csv, .npz, Video)")


register, unregister = jobs.registration(menus=(("TOPBAR_MT_file_import", _in_menu),))


def scene_of(context: bpy.types.Context):
    """The scene that gets the strip: the sequencer's, where that is under the mouse."""
    space = context.space_data
    return (
        compat.sequencer_scene(context)
        if space is not None and space.type == "SEQUENCE_EDITOR"
        else context.scene
    )


class Records(SlicedWork):
    """An operator that records the microphone, and then generates takes of what was spoken; or
    plays a voice."""

    obstacles: Obstacles = (
        lambda context: (
            "Recording needs a window: open the file in Blender"
            if bpy.app.background or context.window is None
            else ""
        ),
        lambda _: "" if strip.has_audio() else "This Blender was built without sound",
        lambda _: attempt(connection.client)[1],
    )
    survives_undo = True
    show_every, editors = 0.05, ("SEQUENCE_EDITOR",)  # the level is a meter

    def begin(self, context: bpy.types.Context):
        # While somebody speaks, the engine loads what the first take needs.
        connection.start_client().request("hello")
        self.scene = scene_of(context).name
        self.recording = self.make(connection.recorder(), scene_of(context))
        self.recording.microphone = connection.microphone()
        return self.recording.title, self.recording.steps()

    def make(self, client: Client, scene: bpy.types.Scene) -> recording.Recording:
        """The recording."""
        raise NotImplementedError

    def modal(self, context: bpy.types.Context, event: bpy.types.Event):
        is_key = event.type in {"ESC", "SPACE", "RET"}
        if jobs.session.job is not None and (
            jobs.session.job.stop_requested or is_key and event.value == "PRESS"
        ):
            jobs.session.job.stop_requested = False  # Cancel, too, keeps what was spoken
            recording.stop()
        return {"RUNNING_MODAL"} if is_key else super().modal(context, event)

    def status(self, job: jobs.Job):
        keeps = " and keeps what was spoken" if self.recording.voice is None else ""
        return translated(f"{job.step.message} · Space or Esc ends it{keeps}")

    def finish(self, context: bpy.types.Context, result: dict):
        if self.recording.voice is not None:  # nothing was changed
            self.warn([result["ended"]])
            return {"CANCELLED"}
        scene = bpy.data.scenes.get(self.scene) or scene_of(context)  # it may be renamed meanwhile
        added = recording.lay(scene, self.recording, result)
        scene.frame_set(self.recording.first)
        problem = attempt(strip.of_strip, scene, added)[1]
        settings, speaker = context.scene.thunder, head.current(context)
        settings.source, settings.voice = "STRIP", added.name
        if speaker is not None and settings.head_role != "LISTENS":
            strip.keep_speaker(context.scene, added.name, speaker)
        for other in strip.sound_strips(scene) if self.recording.live and speaker else ():
            if (
                compat.strip_span(other)[0] == self.recording.first
                and other != added
                and not other.mute
                and dialogue.speaker_of(scene, other.name) == speaker
            ):
                other.mute = True  # else all acts of a line would be heard at once
                self.tell({"INFO"}, f"“{other.name}” begins there too, and is muted now")
        kept = f"Recorded {self.recording.spoken:.1f} s to “{result['path']}”"
        if not bpy.data.filepath:
            kept += ", and packed it into this file, which is not saved yet"
        self.tell({"INFO"}, kept)
        self.warn([problem, result["ended"]])
        if speaker is None:
            self.tell({"INFO"}, "Add a head and press Generate Takes")
        elif not problem:
            with contextlib.suppress(RuntimeError):  # it reports its own errors
                bpy.ops.thunder.generate("INVOKE_DEFAULT")  # type: ignore[attr-defined]


class THUNDER_OT_record(Records, bpy.types.Operator):
    """Record a line while the scene plays, and generate takes of it. Space or Esc ends it and keeps
    what was spoken"""

    obstacles: Obstacles = (lambda context: recording.why_no_range(scene_of(context)),)
    make = staticmethod(recording.Recording)


class THUNDER_OT_perform_live(Records, bpy.types.Operator):
    """Let the head speak while you do, and generate takes of what you said, or hear the chosen
    voice. Space or Esc ends it; nothing that it did live is kept"""

    obstacles: Obstacles = (why_no_head,)
    tick = 0.02

    def make(self, client: Client, scene: bpy.types.Scene):
        rig, settings = chosen_head(bpy.context), scene.thunder.recording
        voice = strip.find(bpy.context) if settings.hears == "VOICE" else None
        return recording.Recording(
            client,
            scene,
            live_head.LiveHead(bpy.context.scene, rig),
            voice,
            ahead=recording.LOOK_AHEAD[settings.look_ahead],
            **head_direction.direction_now(rig.owner).to_record(client.put_array),
        )


class THUNDER_OT_choose_microphone(SlicedWork, bpy.types.Operator):
    """Choose the microphone that records, among those that the system lists"""

    bl_label = "Microphone"
    bl_options = {"INTERNAL"}

    def begin(self, context: bpy.types.Context):
        message = "Looking for microphones"
        client = connection.start_client()
        return message, connection.ask(client, "microphones", (0.0, 1.0), message)

    def finish(self, context: bpy.types.Context, found: dict) -> None:
        def draw(menu: bpy.types.UIPopupMenu, context: bpy.types.Context) -> None:
            for name in ("", *found["names"]):
                assert menu.layout is not None
                choice = menu.layout.operator(
                    "wm.context_set_string",
                    text=name or translated("Default"),
                    icon="DOT" if name == connection.microphone() else "BLANK1",
                    translate=False,
                )
                choice.data_path, choice.value = connection.MICROPHONE, name

        context.window_manager.popup_menu(draw, title=translated("Microphone"))


class THUNDER_OT_send_face(InstantWork, bpy.types.Operator):
    """Send the head to other programs by the VMC protocol (OSC), as shapes of ARKit and VRM, head
    and eyes: the animation that plays, and what is performed live. Press it again to stop; another
    head goes to another port"""

    bl_label = "Send to Other Programs"
    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (lambda context: "" if live_head.sender.heads else why_no_head(context),)

    is_agreed: bool = BoolProperty(
        name="Agreed",
        options={"HIDDEN", "SKIP_SAVE"},
        description="Send to a computer that only the file names",
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        settings = context.scene.thunder.recording
        rig, _ = attempt(chosen_head, context)
        stops = rig is None or rig.mesh.name in live_head.sender.heads
        host, _ = attempt(vmc.read_host, settings.host)
        if stops or host is None or receivers.is_agreed(host):
            return self.execute(context)
        self.is_agreed = True
        return confirm(
            self, context, event, "Send the Face to Another Computer?", "Send",
            f"This file names “{host}”, port {settings.port}: the face, and what you perform "
            f"live, go there until you stop it or open another file",
        )  # fmt: skip

    def act(self, context: bpy.types.Context):
        rig, _ = attempt(chosen_head, context)
        sent = live_head.sender.heads
        if rig is None or rig.mesh.name in sent:
            for mesh in sent if rig is None else [rig.mesh.name]:  # all where it is gone
                live_head.sender.stop(mesh)
            return "The head is no longer sent"
        settings = context.scene.thunder.recording
        host, port = vmc.read_host(settings.host), settings.port
        if not vmc.is_here(host) and not install.may_download():
            raise BadRequest(
                f"{install.how_to_go_online()} to send a face to “{host}”, or send it to "
                f"{vmc.HERE}, this computer"
            )
        if not self.is_agreed and not receivers.is_agreed(host):
            raise BadRequest(
                f"This file names “{host}” to send the face to: press Send to Other Programs and "
                f"agree, or type its address again"
            )
        is_looking = live_head.sender.start(context.scene, rig, port, host, settings.names)
        receivers.agree(host)
        if is_looking:
            return f"“{rig.owner.name}” is sent to “{host}” as soon as this name is looked up"
        return f"“{rig.owner.name}” is sent to {host}, port {port}, as it plays"


class THUNDER_OT_stop_recording(InstantWork, bpy.types.Operator):
    """End the recording or the live performance, and keep what was spoken"""

    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (lambda _: "" if recording.is_on() else "Nothing is being recorded",)

    def act(self, context: bpy.types.Context) -> None:
        recording.stop()
