# SPDX-License-Identifier: GPL-3.0-or-later
"""Data that the add-on stores in a file: settings and takes of a scene, and for each head the
animation before a take."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
from bpy.app.handlers import persistent

from ...thunder_core import vmc
from ...thunder_core.batch.settings import LARGEST_SEED
from ...thunder_core.errors import attempt
from ...thunder_core.face import mapping
from ...thunder_core.request import MOST_TAKES, TAKES
from ...thunder_core.spoken import MOUTH_SOUNDS
from ...thunder_core.whisper import LANGUAGES
from ..heads import character, drawings, family, head, head_state, mapping_table, receivers
from ..host import compat, redraw
from ..host.jobs import registration, session
from ..host.prop import (
    BoolProperty,
    Collection,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)
from ..takes import browsing, dialogue, seeds, take_list
from ..takes.direction.sliders import ThunderDirection
from ..voice import fingerprint, strip

_ROLES = [
    ("SPEAKS", "Speaks", "The head speaks the voice. Where nobody speaks in it, the face is idle"),
    (
        "LISTENS",
        "Listens",
        "The head listens to the voice, which is another's: nods, brows, blinks and gaze react to "
        "it",
    ),
]
_CHANNELS = [
    ("AUTO", "Automatic", "All channels, or the one that speaks where others would blur it"),
    ("MIX", "Mix", "All channels"),
    ("LEFT", "Left", "The left channel alone"),
    ("RIGHT", "Right", "The right channel alone"),
    *((str(n), str(n), f"Channel {n} alone") for n in range(3, 17)),
]
# the numbers are kept in files, and must not change where a language is added
_LANGUAGES = [
    ("AUTO", "Automatic", "The one that is spoken, in each part of a voice", 0),
    *((code, name, f"Everybody speaks {name}", int(code, 36)) for code, name in LANGUAGES.items()),
]
_HIDDEN_BATCH = -1  # number of the batch of takes that 0.2.0 hid
# choices that are never unset: one of these may be a file of another machine, others are worked out
_NEVER_UNSET = {"mood", "channel", "head_role"}
_AXES = [(axis, axis, f"The {axis} axis") for axis in "XYZ"]


def _strip_names(self: ThunderScene, context: bpy.types.Context, text: str):
    strips = strip.sound_strips(context.scene) or strip.sound_strips(
        compat.sequencer_scene(context)
    )
    return [sound_strip.name for sound_strip in strips]


def _first_seed(self: ThunderScene) -> int:
    scene = self.id_data
    mesh = head.guess(scene, self.head or head.active_object(bpy.context))
    voice, _ = attempt(strip.find, bpy.context)
    return seeds.first(scene, mesh, voice)


def _current(settings: ThunderScene) -> bpy.types.Object | None:
    return head.current(bpy.context, settings.id_data)


def _voice(self: ThunderScene) -> str:
    return strip.chosen_name(self.id_data, _current(self))


def _choose_voice(self: ThunderScene, name: str) -> None:
    if (mesh := _current(self)) is None:
        self.strip = name
    else:
        head_state.ensure(head.owner_of(mesh)).voice = name


def _channel(self: ThunderScene) -> int:
    voice, _ = attempt(strip.find, bpy.context)
    channel = None if voice is None else voice.channel
    return min(fingerprint.AUTOMATIC if channel is None else channel, len(_CHANNELS) - 2) + 1


def _choose_channel(self: ThunderScene, number: int) -> None:
    strip.choose_channel(self.id_data, strip.find(bpy.context), number - 1 if number else None)


def _role(self: ThunderScene) -> int:
    return [name for name, *_ in _ROLES].index(strip.role(self.id_data, _current(self)))


def _choose_role(self: ThunderScene, number: int) -> None:
    if (mesh := _current(self)) is None:
        self.role = _ROLES[number][0]
    else:
        head_state.ensure(head.owner_of(mesh)).role = _ROLES[number][0]


def _keep_seed(self: ThunderScene, keep: bool) -> None:
    if keep:
        self.seed = self.first_seed
    else:
        self.property_unset("seed")


def _objects(self: ThunderRow, context: bpy.types.Context, text: str):
    return [obj.name for obj in _family(self)]


def _targets(self: ThunderRow, context: bpy.types.Context, text: str):
    """Names of the shape keys, or of the custom properties, that a row may move."""
    objects = _family(self)
    of = self.id_data.thunder.table_head
    if of is not None and family.is_drawn(of):
        things = (to for each in attempt(drawings.things_of, of)[0] or () for to, _ in each)
        names = [to.name for to in things if self.kind in ("NONE", to.kind)]
        groups = [group.name for group in bpy.data.collections] * (self.kind == "SHOW")
        return list(dict.fromkeys(names + groups))
    if self.kind == "PROPERTY":
        return list(family.property_names(objects, self.bone))
    return list(dict.fromkeys(name for obj in objects for name in family.key_names(obj)[1:]))


def _bones(self: ThunderRow, context: bpy.types.Context, text: str):
    return [bone.name for obj in _family(self) if obj.type == "ARMATURE" for bone in obj.pose.bones]


def _family(row: ThunderRow):
    """The objects a row may speak of."""
    settings = row.id_data.thunder
    if settings.table_head is None:
        return []
    if family.is_drawn(settings.table_head):
        return [settings.table_head, *settings.table_head.children_recursive]
    objects = character.objects_of(settings.table_head, character.plan_of(settings.table_head))
    return [obj for obj in objects if obj.name == row.object] or objects


def _take_up_kind(self: ThunderRow, context: bpy.types.Context) -> None:
    """A name given to a row that had none makes it a rule."""
    if self.target and self.kind == "NONE":
        self.kind = "SHOW" if family.is_drawn(self.id_data.thunder.table_head) else "KEY"
    mapping_table.keep_edit(self, context)


def _show_row(self: ThunderScene, context: bpy.types.Context) -> None:
    mapping_table.refresh(self.id_data)


class ThunderRow(bpy.types.PropertyGroup):
    """A row of the mapping table: what moves, what is moved, how far."""

    source: str = StringProperty(
        name="Channel",
        search=lambda self, context, text: [
            *mapping.JOINTS,
            *mapping.DERIVED,
            *head.channel_names(),
            *MOUTH_SOUNDS,
        ],
        update=mapping_table.keep_edit,
        description="Channel of the motion, key derived from its rotations, joint, or sound that "
        "has a mouth of its own",
    )
    kind: str = EnumProperty(
        name="Target",
        items=[
            ("NONE", "Nothing", "The channel moves nothing", "DOT", 0),
            ("KEY", "Shape Key", "A shape key", "SHAPEKEY_DATA", 1),
            (
                "BONE",
                "Bone Channel",
                "Location, rotation or scale of a bone along one axis",
                "BONE_DATA",
                2,
            ),
            ("PROPERTY", "Property", "A custom property of an object or a bone", "PROPERTIES", 3),
            (
                "JOINT",
                "Bone Rotation",
                "A bone that rotates with the joint",
                "ORIENTATION_GIMBAL",
                4,
            ),
            ("SHOW", "Show", "An object or a collection that is shown", "HIDE_OFF", 5),
            (
                "DRAWING",
                "Drawing",
                "The drawing on a frame of a Grease Pencil layer",
                "GREASEPENCIL",
                6,
            ),
            ("IMAGE", "Image", "An image of the sequence in a material", "RENDERLAYERS", 7),
            ("CELL", "Cell", "A cell of the sheet in a material", "MESH_GRID", 8),
            ("LAYER", "Layer", "A Grease Pencil layer that is shown", "RENDERLAYERS", 9),
        ],
        update=mapping_table.keep_edit,
        description="What the channel moves",
    )
    object: str = StringProperty(
        name="Object",
        search=_objects,
        update=mapping_table.keep_edit,
        description="Object with the target. Leave empty to move every object of the character "
        "that has it",
    )
    target: str = StringProperty(
        name="Name",
        search=_targets,
        update=_take_up_kind,
        description="Shape key or custom property to move",
    )
    bone: str = StringProperty(
        name="Bone",
        search=_bones,
        update=mapping_table.keep_edit,
        description="Bone to move, or bone with the property",
    )
    path: str = EnumProperty(
        name="Channel",
        items=[
            ("location", "Location", "Along the bone's own axis"),
            (
                "rotation",
                "Rotation",
                "About the head's axis (X to its left, Y up, Z out of the face), in any rotation "
                "mode, radians",
            ),
            ("rotation_euler", "Euler", "The bone's own Euler angle, radians"),
            ("delta_rotation_euler", "Tilt", "Beside the object's own rotation, radians"),
            ("scale", "Scale", "Along the bone's own axis"),
        ],
        update=mapping_table.keep_edit,
        description="Transform channel of the bone",
    )
    index: str = EnumProperty(
        name="Axis", items=_AXES, update=mapping_table.keep_edit, description="Axis of the movement"
    )
    weight: float = FloatProperty(
        name="Amount",
        default=1.0,
        soft_min=-2.0,
        soft_max=2.0,
        step=5,
        precision=3,
        update=mapping_table.keep_edit,
        description="Value of the target when the channel is at 1",
    )
    number: int = IntProperty(
        name="Number",
        get=lambda self: round(self.weight),  # type: ignore[attr-defined]
        set=lambda self, value: setattr(self, "weight", float(value)),
        description="Frame of the drawing, number of the image in the sequence, or of the cell in "
        "the sheet, counted from its upper left from 1",
    )
    lead: float = FloatProperty(
        name="Lead",
        min=-0.5,
        max=0.5,
        step=1,
        precision=2,
        update=mapping_table.keep_edit,
        description="Seconds by which this mouth comes before its sound; below 0 after it",
    )


class ThunderAction(bpy.types.PropertyGroup):
    """One action of several that belong together."""

    action: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)


class ThunderTake(bpy.types.PropertyGroup):
    """A take in the list: its action (before Blender 4.4 one per target of its rig) and what the
    list shows of it."""

    name: str = StringProperty(
        name="Name",
        update=take_list.name_action,
        description="Name of the take. Its action is renamed too",
    )
    action: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)
    more: Collection[ThunderAction] = CollectionProperty(type=ThunderAction)
    head: bpy.types.Object | None = PointerProperty(type=bpy.types.Object)
    voice: str = StringProperty(
        name="Voice", description="Strip or file that this take was generated for"
    )
    tooltip: str = StringProperty(
        get=redraw.getter(browsing.describe), description="Details of the take"
    )
    seed: int = IntProperty(name="Seed", description="Number that makes this take again")
    score: float = FloatProperty(
        name="Lip-Sync", description="How well the lips match the voice, 0 to 100"
    )
    of_whole: bool = BoolProperty(
        description="Whether the score is that of the whole line of which the take is a part"
    )
    words: str = StringProperty(
        name="Style",
        description="Style of the take, in a few words; empty where it was not directed",
    )
    first: int = IntProperty(name="First Frame", description="Scene frame on which the take begins")
    last: int = IntProperty(name="Last Frame", description="Scene frame on which the take ends")
    lead_in: int = IntProperty(
        name="Lead In", description="Frames before the first on which the face comes from rest"
    )
    lead_out: int = IntProperty(
        name="Lead Out", description="Frames after the last on which the face returns to rest"
    )
    star: bool = BoolProperty(name="Star", description="Mark the take as a favorite")
    note: str = StringProperty(name="Note", description="Your note on this take")
    hidden: bool = BoolProperty(description="Whether version 0.2.0 hid the take")
    made: int = IntProperty(name="Made", description="When it was made, seconds since 1970")
    batch: int = IntProperty(
        description="The same for takes that were generated together, and those made of them; 0 in "
        "files of earlier versions"
    )
    asked: str = StringProperty(
        description="Direction of the take, in a few words; empty for the usual one"
    )
    folded: bool = BoolProperty(
        description="Whether the takes of its batch are folded: the list shows it only while it is "
        "on its head"
    )
    role: str = EnumProperty(
        name="Role",
        description="What the face does with the sound",
        items=[
            ("SPEAKS", "Speaks", "Speaks the voice"),
            ("LISTENS", "Listener", "Listens to the voice: there is no Lip-Sync"),
            ("IDLE", "Idle", "Nobody speaks in the sound: there is no Lip-Sync"),
        ],
    )
    kind: str = EnumProperty(
        name="Kind",
        description="How the take was made",
        items=[
            ("SAMPLED", "Sampled", "Sampled from the voice"),
            ("MIXED", "Mixed", "Mixed from other takes"),
            ("RESAMPLED", "Regenerated", "Generated around the kept parts of another take"),
            ("DUPLICATED", "Duplicated", "A copy of another take"),
            ("CAPTURED", "Captured", "Captured from a face"),
        ],
    )


class ThunderHead(bpy.types.PropertyGroup):
    """State of a head: the animator's animation before a take was shown, the shown take, the
    mapping and the direction."""

    object: bpy.types.Object | None = PointerProperty(type=bpy.types.Object)
    shown: bpy.types.Action | None = PointerProperty(type=bpy.types.Action)
    before: bpy.types.Action | None = PointerProperty(
        type=bpy.types.Action,
        description="The take that was shown before; empty for the animator's own",
    )
    own: Collection[ThunderAction] = CollectionProperty(type=ThunderAction)
    own_state: str = StringProperty(
        description="Slots, blending and still values of the animator's own animation"
    )
    mapping: str = StringProperty(
        description="How this file drives the character, as JSON. Leave empty to use the mapping "
        "it came with"
    )
    direction: ThunderDirection = PointerProperty(type=ThunderDirection)
    voice: str = StringProperty(
        description="Sound strip that was chosen for this head; empty for the active one or one of "
        "its own"
    )
    role: str = EnumProperty(items=_ROLES, description="What this head does with its voice")
    fault: str = StringProperty(description="Fault of the visible lips when keys were last written")
    first_seed: int = IntProperty(
        default=seeds.UNKNOWN,
        min=seeds.UNKNOWN,
        description="Seed of the first take of every line; −1 before the first line",
    )


ACCURACIES = {"ROUGH": 1.2, "NORMAL": 0.6, "EXACT": 0.3}  # largest errors of the lips, millimetres


def _accuracy(self: ThunderCommit) -> int:
    """By the error, for files of 0.2.0 and scripts set that alone. Custom is the last number."""
    errors = [*ACCURACIES.values()] if not self.is_custom else []
    near = (number for number, error in enumerate(errors) if abs(self.error - error) < 1e-3)
    return next(near, len(ACCURACIES))


def _choose_accuracy(self: ThunderCommit, number: int) -> None:
    self.is_custom = number == len(ACCURACIES)
    if not self.is_custom:
        self.error = [*ACCURACIES.values()][number]


def _region(name: str, what: str):
    return BoolProperty(
        name=name,
        default=True,
        description=f"Commit {what}. When off, your own animation there is kept",
    )


class ThunderCommit(bpy.types.PropertyGroup):
    """Settings of Commit."""

    to: str = EnumProperty(
        name="Commit To",
        items=[
            (
                "COPY",
                "Copy of My Action",
                "Put the take into a copy of your action. Your action is kept unchanged",
            ),
            (
                "OWN",
                "My Action",
                "Put the take into your action. A copy of how it was is kept, one for all commits "
                "until you edit it",
            ),
            ("NEW", "New Action", "A new action with only the take. Your action is kept"),
            (
                "STRIP",
                "NLA Strip",
                "An NLA strip with the take on its own track, above your animation",
            ),
        ],
        description="Where the take goes",
    )
    how: str = EnumProperty(
        name="Method",
        items=[
            (
                "REPLACE",
                "Replace",
                "Replace the keys in the take's frames. Everything before and after stays",
            ),
            ("ADD", "Add", "Add the take on top of your animation"),
            (
                "INSERT",
                "Ripple",
                "Move your keys after the take's first frame later to make room for the take",
            ),
        ],
        description="What happens to your keys in these frames",
    )
    range: str = EnumProperty(
        name="Frames",
        items=[
            ("TAKE", "Whole Take", "All of the take's frames"),
            ("PREVIEW", "Preview Range", "Only the take's frames in the scene's preview range"),
        ],
        description="Frames to commit",
    )
    keys: str = EnumProperty(  # type: ignore[assignment]  # hides Blender's function
        name="Keys",
        items=[
            (
                "POSES",
                "Poses",
                "Keys on frames that all curves of a region share, as an animator sets them: "
                "closures, extremes, holds and breakdowns",
                "POSE_HLT",
                0,
            ),
            (
                "BLOCKING",
                "Blocking",
                "9 to 13 mouth poses in 3.5 s of speech, more where lips meet often, each held "
                "until the next. Closed lips, F and V, the widest vowels and blinks are kept",
                "KEYFRAME",
                2,
            ),
        ],
        description="Where keys are set",
    )
    step: str = EnumProperty(
        name="Animate On",
        items=[
            ("ONES", "Ones", "Curves that move on every frame"),
            (
                "TWOS",
                "Twos",
                "Stepped: each pose is held for two frames. Lips that close and blinks are kept",
            ),
            (
                "THREES",
                "Threes",
                "Stepped: each pose is held for three frames. Lips that close and blinks are kept",
            ),
        ],
        description="For how many frames a pose is held; held poses are on every second or third "
        "frame from the scene's first on",
    )
    breakdowns: bool = BoolProperty(
        name="Breakdowns",
        description="Blocking moves from pose to pose, with as many breakdowns as that needs. "
        "Without, each pose is held: Constant interpolation",
    )
    brows: str = _region("Brows", "the brows")
    eyes: str = _region("Eyes", "eyelids and gaze")
    cheeks: str = _region("Cheeks & Nose", "cheeks and nose")
    mouth: str = _region("Mouth", "the lips")
    jaw: str = _region("Jaw", "the jaw")
    tongue: str = _region("Tongue", "the tongue")
    head: str = _region("Head", "the movement of the head")
    accuracy: str = EnumProperty(
        name="Accuracy",
        items=[
            *(
                (name, name.title(), f"Lips may deviate by {error} millimetres")
                for name, error in ACCURACIES.items()
            ),
            ("CUSTOM", "Custom", "Enter how far the lips may deviate"),
        ],
        default="NORMAL",
        get=_accuracy,
        set=_choose_accuracy,
        description="How closely the committed lips follow the take: the closer, the more keys",
    )
    is_custom: bool = BoolProperty(options={"HIDDEN"})
    error: float = FloatProperty(
        name="Max Lip Error",
        default=0.6,
        min=0.0,
        soft_max=2.0,
        max=10.0,
        step=5,
        precision=2,
        description="How far the lips may deviate, in millimetres, to save keys. Closed lips stay "
        "closed; 0 keeps the take's own keys",
    )

    blend: int = IntProperty(
        name="Blend",
        default=3,
        min=1,
        soft_max=25,
        max=250,
        description="Frames before and after the take over which your animation blends into it, "
        "half a second at most. "
        "Your keys there are kept",
    )


def _agree(self: ThunderRecording, context: bpy.types.Context) -> None:
    """Who types an address knows whose it is."""
    host, _ = attempt(vmc.read_host, self.host)
    if host is not None:
        receivers.agree(host)


class ThunderRecording(bpy.types.PropertyGroup):
    """Settings of Record."""

    countdown: int = IntProperty(
        name="Countdown",
        default=3,
        min=0,
        max=10,
        subtype="TIME_ABSOLUTE",
        description="Seconds before the recording counts. The scene plays during them, so that you "
        "hear what comes before",
    )
    punch_in: bool = BoolProperty(
        name="Punch In",
        description="Record in the preview range: it starts and ends there. Without it you record "
        "from the playhead until you stop",
    )

    look_ahead: str = EnumProperty(
        name="Lips",
        default="SMOOTH",
        items=(
            ("QUICK", "Quick", "Soon, and less exact: 0.12 s are heard beyond what is seen"),
            ("SMOOTH", "Smooth", "0.2 s are heard beyond what is seen"),
            ("BEST", "Best", "As exact as can be: 0.36 s are heard beyond what is seen"),
        ),
        description="How far lips of a live performance are behind the voice, beside about 0.25 s "
        "of computing",
    )
    hears: str = EnumProperty(
        name="From",
        items=(
            ("MICROPHONE", "Microphone", "What you say becomes a strip, and takes of it follow"),
            ("VOICE", "Chosen Voice", "The strip or file that is chosen: a look without takes"),
        ),
        description="What the head hears when it performs live",
    )
    port: int = IntProperty(name="Port", default=vmc.PORT, min=1, max=65535)
    host: str = StringProperty(
        name="To",
        default=vmc.HERE,
        update=_agree,
        description="Name or address of the computer that gets the face; by default this one",
    )
    names: str = EnumProperty(
        name="Names",
        default=vmc.BOTH,
        items=(
            (vmc.ARKIT, "ARKit", "ARKit's 52 shapes, for avatars with Perfect Sync"),
            (vmc.VRM, "VRM", "VRM's mouths and blinks (A I U E O, aa ih ou ee oh), as VRoid's"),
            (vmc.BOTH, "Both", "Any avatar moves; one that has both kinds moves too far"),
        ),
        description="Names by which the face is sent: choose those that the avatar has",
    )


class ThunderPart(bpy.types.PropertyGroup):
    """The speaker of a dialogue strip."""

    strip: str = StringProperty(name="Strip", description="Name of the sound strip")
    head: bpy.types.Object | None = PointerProperty(type=bpy.types.Object)
    silent: bool = BoolProperty(
        name="No Speaker", description="For music, sound effects and off-screen voices"
    )


class ThunderScene(bpy.types.PropertyGroup):
    """Per-scene settings of the Thunder tab, and its takes."""

    source: str = EnumProperty(
        name="Voice From",
        description="Where the voice is",
        items=[
            ("STRIP", "From the Sequencer", "A sound strip of the sequencer, as it is heard"),
            ("FILE", "From a Sound File", "A sound file, from the scene's first frame"),
        ],
    )
    strip: str = StringProperty(
        description="Sound strip for heads without a choice of their own, as of earlier versions"
    )
    voice: str = StringProperty(
        name="Voice",
        search=_strip_names,
        get=_voice,
        set=_choose_voice,
        description="Sound strip to generate takes of this head for. Leave empty to use the active "
        "strip, or the head's own line if the active strip is another head's",
    )
    sound_file: str = StringProperty(
        name="Sound File",
        subtype="FILE_PATH",
        update=lambda self, context: self.property_unset("file_channel"),
        description="Sound file to generate takes for, starting at the scene's first frame",
    )
    channel: str = EnumProperty(
        name="Channel",
        items=_CHANNELS,
        get=_channel,
        set=_choose_channel,
        description="Channel of the strip, or of the sound file, that is the voice",
    )
    file_channel: int = IntProperty(
        default=fingerprint.AUTOMATIC,
        min=fingerprint.AUTOMATIC,
        description="Channel of the sound file; −1 for an automatic choice, 0 for all",
    )
    head: bpy.types.Object | None = PointerProperty(
        name="Head",
        type=bpy.types.Object,
        poll=lambda self, obj: (
            (obj.type in {"MESH", "ARMATURE"} or family.is_drawn(obj))
            and obj.name in self.id_data.objects
        ),
        description="Head to animate. Leave empty to use the selected head, or the only one",
    )
    recording: ThunderRecording = PointerProperty(type=ThunderRecording)
    role: str = EnumProperty(
        items=_ROLES, description="Role of heads without one of their own, as of earlier versions"
    )
    head_role: str = EnumProperty(
        name="Role",
        items=_ROLES,
        get=_role,
        set=_choose_role,
        description="What this head does with its voice",
    )
    count: int = IntProperty(
        name="Takes",
        default=TAKES,
        min=1,
        max=MOST_TAKES,
        description="Number of takes to generate",
    )
    seed: int = IntProperty(
        default=1,
        min=0,
        max=LARGEST_SEED,
        description="The seed that was chosen for all characters, if it is set",
    )
    first_seed: int = IntProperty(
        name="Seed",
        get=_first_seed,
        set=lambda self, value: setattr(self, "seed", value),
        min=0,
        max=LARGEST_SEED,
        description="Seed of the first take; the same seed makes the same take again. Once its "
        "takes are listed, Generate goes on "
        "with the next seeds. A seed that you set stays, and is used for every character",
    )
    keep_seed: bool = BoolProperty(
        name="Same Seed for Every Character",
        get=lambda self: self.is_property_set("seed"),
        set=_keep_seed,
        description="Use this seed for every character. Otherwise each has one of its own, which "
        "all its lines keep: "
        "the same people play all lines of a character, and others the next",
    )
    quality: str = EnumProperty(
        name="Quality",
        description="How finely takes are sampled. The same seed gives about the same take at each "
        "quality",
        default="NORMAL",
        items=[
            ("DRAFT", "Draft", "For a first look, in half the time of Normal"),
            ("NORMAL", "Normal", "A few steps, which were trained to come to what many come to"),
            ("FINAL", "Final", "Twenty steps of the whole model; several times as long as Normal"),
        ],
    )
    guidance: float = FloatProperty(
        name="Voice Guidance",
        default=1.0,
        min=0.0,
        max=3.0,
        step=10,
        precision=2,
        description="How closely takes follow the voice (classifier-free guidance). Above 1 they "
        "follow it more and differ less from "
        "each other, below 1 the opposite; both take twice as long. 1 is off",
    )
    recognise_words: bool = BoolProperty(
        name="Use Recognized Words",
        default=True,
        description="Before takes are generated, recognize the words of a voice without a "
        "transcript, and follow them. Off: recognized transcripts of all lines are not used",
    )
    language: str = EnumProperty(
        name="Language",
        items=_LANGUAGES,
        description="Language of transcripts, and the one that Recognize Words hears. Automatic "
        "goes by the words, and mistakes some short or noisy lines for another one",
    )
    listen_range: str = EnumProperty(
        name="Frames",
        default="EDITED",
        items=[
            (
                "EDITED",
                "Edited Frames",
                "Frames edited since Listen was last pressed, or since the take was made; the "
                "whole take or line if "
                "nothing was edited, and when animation of your own is listened to for the first "
                "time",
                "NONE",
                3,
            ),
            ("TAKE", "Take", "The frames of the take, or of the voice", "NONE", 0),
            ("PREVIEW", "Preview Range", "The scene's preview range", "NONE", 1),
            ("SCENE", "Scene", "The scene's frame range", "NONE", 2),
        ],
        description="Frames to generate speech for",
    )
    listen_play: bool = BoolProperty(
        name="Play", default=True, description="Play the result right away in place of the original"
    )
    live_score: bool = BoolProperty(
        name="Auto-Update Scores",
        default=True,
        description="Update the Lip-Sync score a moment after you stop editing keys",
    )
    live_direction: bool = BoolProperty(
        name="Live",
        default=False,
        description="While a slider of the direction is moved, sample a copy of the shown take "
        "again, with its own seed. The take itself "
        "stays. Takes that you edited, shaped or mixed are not copied",
    )
    commit: ThunderCommit = PointerProperty(type=ThunderCommit)
    curves: bool = BoolProperty(
        name="Curves in the Timeline",
        default=True,
        description="Draw voice, mouth and lip-sync of the shown take over the timeline, dope "
        "sheet and sequencer",
    )
    show_faults: bool = BoolProperty(
        name="Red on the Face",
        default=True,
        description="Show in the viewport, in red, where shapes that Make Shapes made are not good",
    )
    takes: Collection[ThunderTake] = CollectionProperty(type=ThunderTake)
    sort: str = EnumProperty(
        name="Sort", items=browsing.SORTS, description="Order of the takes in the list"
    )
    only_starred: bool = BoolProperty(
        name="Starred Only", description="List only takes with a star"
    )
    play_shown: bool = BoolProperty(
        name="Play When Shown",
        description="Play a take from its first frame as soon as it is shown",
    )
    heads: Collection[ThunderHead] = CollectionProperty(type=ThunderHead)
    cast: Collection[ThunderPart] = CollectionProperty(type=ThunderPart)
    dialogue_index: int = IntProperty(
        name="Strip",
        get=redraw.getter(dialogue.chosen_index),
        set=redraw.setter(dialogue.choose_index),
        description="Strip of the dialogue. Click a row to use its strip as the voice and select "
        "its speaker",
    )
    only_preview: bool = BoolProperty(
        name="Preview Range Only",
        default=False,
        description="Use only the part of the voice in the scene's preview range",
    )
    table: Collection[ThunderRow] = CollectionProperty(type=ThunderRow)
    table_head: bpy.types.Object | None = PointerProperty(type=bpy.types.Object)
    table_text: str = StringProperty(description="The mapping that the table was filled from")
    table_index: int = IntProperty(
        name="Row",
        update=_show_row,
        description="Row of the mapping. With Preview on, its effect is shown",
    )
    balance: float = FloatProperty(
        name="Jaw or Lips",
        default=0.0,
        min=-1.0,
        max=1.0,
        step=5,
        subtype="FACTOR",
        update=mapping_table.keep_edit,
        description="How much the jaw contributes to opening the mouth: above 0 more jaw and less "
        "lips, below 0 the reverse. "
        "The mouth opens as far and closes as before. Applies to takes you show or generate from "
        "now on",
    )
    least: int = IntProperty(
        name="Shortest Mouth",
        default=2,
        min=1,
        max=mapping.MOST_HELD,
        update=mapping_table.keep_edit,
        description="Frames for which a mouth of a new take is shown at least. The closed mouth of "
        "m, b and p is never left out",
    )
    step: int = IntProperty(
        name="Hold Each",
        default=1,
        min=1,
        max=mapping.MOST_HELD,
        update=mapping_table.keep_edit,
        description="Frames for which each drawing of a new take is held: 2 draws on twos",
    )
    preview: bool = BoolProperty(
        name="Preview",
        update=_show_row,
        options={"SKIP_SAVE"},
        description="Show the selected row's channel on the character. The pose is restored "
        "afterwards",
    )
    preview_amount: float = FloatProperty(
        name="At",
        default=1.0,
        min=-1.0,
        max=2.0,
        step=5,
        update=_show_row,
        subtype="FACTOR",
        soft_min=0.0,
        soft_max=1.0,
        description="Value of the channel in the preview",
    )
    preview_kept: str = StringProperty(description="What stood on the character before the preview")
    active_take: int = IntProperty(
        name="Shown Take",
        get=redraw.getter(take_list.shown_index),
        set=redraw.setter(take_list.show_index),
        description="Take that is on the head now; −1 is your own animation",
    )


class ThunderObject(bpy.types.PropertyGroup):
    """Of a character's object, what goes with it into other files."""

    mapping: str = StringProperty(description="How the character is driven, as JSON")


@persistent
def adopt_settings(*_: object) -> None:
    """Adopt what earlier versions say otherwise: takes that were hidden, which become an earlier
    batch that is folded. A choice that this version does not know, such as an earlier one's sort by
    *Heard* or a later one's, becomes the usual one, and a note says so; a mood stays, for it may be
    a file of another machine."""
    unset = []
    for scene in bpy.data.scenes:
        names = [name for name in scene.bl_rna.properties.keys() if name.startswith("thunder")]
        for group in (each for name in names for each in _groups_in(getattr(scene, name))):
            for prop in group.bl_rna.properties:
                is_choice = prop.type == "ENUM" and not prop.is_enum_flag
                is_choice &= prop.identifier not in _NEVER_UNSET
                if is_choice and not getattr(group, prop.identifier):
                    group.property_unset(prop.identifier)
                    unset.append(prop.name)
        for entry in scene.thunder.takes:
            if entry.hidden:
                entry.folded, entry.batch, entry.hidden = True, _HIDDEN_BATCH, False
    if named := ", ".join(f"“{name}”" for name in dict.fromkeys(filter(None, unset))):
        session.note = f"This version does not know what the file chose as {named}: look at it"


def _groups_in(value: object) -> Iterator[bpy.types.PropertyGroup]:
    """A group of properties and all groups within; none in what is none."""
    if not isinstance(value, bpy.types.PropertyGroup):
        return
    yield value
    for prop in value.bl_rna.properties:
        if prop.type == "POINTER" and prop.identifier != "rna_type":
            yield from _groups_in(getattr(value, prop.identifier))
        elif prop.type == "COLLECTION":
            for each in getattr(value, prop.identifier):
                yield from _groups_in(each)


_register, unregister = registration(
    (("load_post", adopt_settings),),
    (
        (bpy.types.Scene, "thunder", bpy.props.PointerProperty(type=ThunderScene)),
        (bpy.types.Object, "thunder", bpy.props.PointerProperty(type=ThunderObject)),
    ),
)


def register() -> None:
    _register()
    bpy.app.timers.register(adopt_settings)  # of the file that is open during an update
