# SPDX-License-Identifier: GPL-3.0-or-later
"""What Thunder stores in a file: settings and takes of a scene, and of each head what was on it before a take."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..thunder_core.face import mapping
from . import browsing, character, compat, head, preview, strip, table, takes

MOST_TAKES = 64
LARGEST_SEED = 2**31 - 1
_AXES = [(axis, axis, f"The {axis} axis") for axis in "XYZ"]


def _strip_names(self, context, text):
    strips = strip.sound_strips(context.scene) or strip.sound_strips(compat.sequencer_scene(context))
    return [found.name for found in strips]


def _may_be_head(self, candidate) -> bool:
    return candidate.type in {"MESH", "ARMATURE"} and candidate.name in self.id_data.objects


def _sources(self, context, text):
    return [*mapping.JOINTS, *mapping.DERIVED, *head.channel_names()]


def _objects(self, context, text):
    return [thing.name for thing in _family(self)]


def _targets(self, context, text):
    """Names of the shape keys, or of the custom properties, that a row may move."""
    things = _family(self)
    if self.kind == "PROPERTY":
        owners = [thing for thing in things] + [bone for thing in things if thing.type == "ARMATURE" for bone in thing.pose.bones
                                                if not self.bone or bone.name == self.bone]
        return list(dict.fromkeys(name for owner in owners for name in owner.keys() if isinstance(owner.get(name), (int, float))))
    return list(dict.fromkeys(name for thing in things for name in character.key_names(thing)[1:]))


def _bones(self, context, text):
    return [bone.name for thing in _family(self) if thing.type == "ARMATURE" for bone in thing.pose.bones]


def _family(row):
    """The objects a row may speak of."""
    settings = row.id_data.thunder
    if settings.table_head is None:
        return []
    things = character.objects_of(settings.table_head, character.plan_of(settings.table_head))
    return [thing for thing in things if thing.name == row.object] or things


def _take_up_kind(self, context):
    """A name given to a row that had none makes it a rule."""
    if self.target and self.kind == "NONE":
        self.kind = "KEY"
    table.edited(self, context)


def _show_row(self, context):
    if self.preview:
        preview.refresh(self.id_data)


def _switch_preview(self, context):
    preview.refresh(self.id_data)


class ThunderRow(bpy.types.PropertyGroup):
    """A row of the mapping table: what moves, what is moved, how far."""

    source: StringProperty(name="Channel", search=_sources, update=table.edited,
                           description="Channel of the motion, key derived from its rotations, or joint")
    kind: EnumProperty(
        name="Target",
        items=[("NONE", "Nothing", "The channel moves nothing", "DOT", 0),
               ("KEY", "Shape Key", "A shape key", "SHAPEKEY_DATA", 1),
               ("BONE", "Bone Channel", "Location, rotation or scale of a bone along one axis", "BONE_DATA", 2),
               ("PROPERTY", "Property", "A custom property of an object or a bone", "PROPERTIES", 3),
               ("JOINT", "Bone Turn", "A bone turns with the joint", "ORIENTATION_GIMBAL", 4)],
        update=table.edited, description="What the channel moves")
    object: StringProperty(name="Object", search=_objects, update=table.edited,
                           description="Object that has the target; empty moves all of the character's that have it")
    target: StringProperty(name="Name", search=_targets, update=_take_up_kind, description="Shape key or custom property that moves")
    bone: StringProperty(name="Bone", search=_bones, update=table.edited, description="Bone that moves or has the property")
    path: EnumProperty(
        name="Channel",
        items=[("location", "Location", "Along the bone's own axis"),
               ("rotation", "Rotation", "About the head's axis (X to its left, Y up, Z out of the face), in any rotation mode, radians"),
               ("rotation_euler", "Euler", "The bone's own Euler angle, radians"), ("scale", "Scale", "Along the bone's own axis")],
        update=table.edited, description="What of the bone moves")
    index: EnumProperty(name="Axis", items=_AXES, update=table.edited,
                        description="Axis along or about which it moves")
    weight: FloatProperty(name="Amount", default=1.0, soft_min=-2.0, soft_max=2.0, step=5, precision=3, update=table.edited,
                          description="How far the target goes when the channel is at 1")


class ThunderAction(bpy.types.PropertyGroup):
    """One action of several that belong together."""

    action: PointerProperty(type=bpy.types.Action)


class ThunderTake(bpy.types.PropertyGroup):
    """A take in the list: its action (before 4.4 one for each of its rig's targets) and what is shown of it."""

    name: StringProperty(name="Name", update=takes.name_action, description="What the take is called; its action follows")
    action: PointerProperty(type=bpy.types.Action)
    more: CollectionProperty(type=ThunderAction)
    head: PointerProperty(type=bpy.types.Object)
    voice: StringProperty(name="Voice", description="Strip or file that this take speaks")
    seed: IntProperty(name="Seed", description="Number that makes this take again")
    score: FloatProperty(name="Lip-Sync", description="How well the lips say the voice, 0 to 100")
    curve: StringProperty(description="Mouth opening over the length of the take")
    first: IntProperty(name="First Frame", description="Scene frame on which the take begins")
    last: IntProperty(name="Last Frame", description="Scene frame on which the take ends")
    star: BoolProperty(name="Star", description="A take worth coming back to")
    note: StringProperty(name="Note", description="What you want to remember of this take")
    hidden: BoolProperty(name="Hidden", description="Left out of the list; nothing is lost")
    made: IntProperty(name="Made", description="When it was made, seconds since 1970")
    kind: EnumProperty(
        name="Kind", description="How the take was made",
        items=[("SAMPLED", "Sampled", "Sampled from the voice"), ("MIXED", "Mixed", "Put together from other takes"),
               ("RESAMPLED", "Resampled", "Sampled around what was kept of another take"),
               ("DUPLICATED", "Duplicated", "A copy of another take")])

    @property
    def edited(self) -> bool:
        """Whether its keys were changed since it was made. Reads them all: some milliseconds."""
        return takes.is_edited(self)


class ThunderHead(bpy.types.PropertyGroup):
    """Of a head, what the animator had on it before a take was shown, and which take is shown; how it is mapped."""

    object: PointerProperty(type=bpy.types.Object)
    shown: PointerProperty(type=bpy.types.Action)
    before: PointerProperty(type=bpy.types.Action, description="The take that was shown before; empty for the animator's own")
    own: CollectionProperty(type=ThunderAction)
    own_state: StringProperty(description="Slots, blending and still values of the animator's own animation")
    mapping: StringProperty(description="How this file drives the character, as JSON; empty takes what came with it")


class ThunderCommit(bpy.types.PropertyGroup):
    """How Commit puts the shown take into the animator's animation."""

    to: EnumProperty(
        name="Commit To",
        items=[("COPY", "Copy of My Action", "A copy of your own action gets the take; your action stays in the file as it is"),
               ("OWN", "My Action", "Your own action itself gets the take; as it was before, it stays in the file as a copy"),
               ("NEW", "New Action", "An action with the take alone; your own action stays in the file"),
               ("STRIP", "NLA Strip", "A strip of the take on an NLA track of its own, above your own animation")],
        description="Where the take goes",
    )
    how: EnumProperty(
        name="Method",
        items=[("REPLACE", "Replace", "The take's frames replace what is there; everything before and after stays"),
               ("ADD", "Add", "The take is added on top of what is there"),
               ("INSERT", "Insert", "What is there from the take's first frame on moves later, and the take goes into the gap")],
        description="What becomes of your own keys on these frames",
    )
    range: EnumProperty(
        name="Frames",
        items=[("TAKE", "Whole Take", "All of the take's frames"),
               ("PREVIEW", "Preview Range", "Only those of the take's frames that lie in the scene's preview range")],
        description="Frames that are committed",
    )
    error: FloatProperty(
        name="Error", default=0.3, min=0.0, soft_max=2.0, max=10.0, step=5, precision=2,
        description="Millimetres that the lips may be off for the sake of fewer keys, never where they close; 0 keeps a key on every frame",
    )
    blend: IntProperty(
        name="Blend", default=3, min=1, soft_max=25, max=250,
        description="Frames before and after the take in which your own animation passes into it; your keys there stay",
    )


class ThunderOverlay(bpy.types.PropertyGroup):
    """What is drawn over the timeline and the sequencer."""

    show: BoolProperty(name="Curves in the Timeline", default=True,
                       description="Draw voice, mouth and lip-sync of the shown take over the timeline, dope sheet and sequencer")
    waveform: BoolProperty(name="Voice", default=True, description="The sound of the voice")
    opening: BoolProperty(name="Mouth", default=True, description="How far the mouth of the shown take is open")
    drift: BoolProperty(name="Lip-Sync", default=True, description="How well the lips say the voice, from red to green")


class ThunderPart(bpy.types.PropertyGroup):
    """Who speaks a strip of the dialogue."""

    strip: StringProperty(name="Strip", description="Name of the sound strip")
    head: PointerProperty(type=bpy.types.Object)
    silent: BoolProperty(name="Nobody Speaks It", description="Music, footsteps, a voice without a face")


class ThunderScene(bpy.types.PropertyGroup):
    """Per-scene settings of the Thunder tab, and its takes."""

    source: EnumProperty(
        name="Voice From", description="Where the voice is",
        items=[("STRIP", "Strip", "A sound strip of the sequencer, as it is heard"),
               ("FILE", "File", "A sound file, from the scene's first frame")],
    )
    strip: StringProperty(
        name="Voice", search=_strip_names,
        description="Sound strip that the takes speak; empty takes the active one, or the only one",
    )
    sound_file: StringProperty(
        name="Sound File", subtype="FILE_PATH",
        description="Sound that the takes speak, heard from the scene's first frame on",
    )
    head: PointerProperty(
        name="Head", type=bpy.types.Object, poll=_may_be_head,
        description="Head that the takes move; empty takes the selected one, or the only one",
    )
    count: IntProperty(name="Takes", default=8, min=1, max=MOST_TAKES,
                       description="How many performances to sample")
    seed: IntProperty(name="Seed", default=1, min=0, max=LARGEST_SEED,
                      description="Seed of the first take; the same seed makes the same take again")
    steps: IntProperty(name="Steps", default=20, min=5, max=100,
                       description="Sampling steps of a take: more are a little more precise, and the time grows with them")
    guidance: FloatProperty(
        name="Follow the Voice", default=1.0, min=1.0, max=3.0, step=10, precision=2,
        description="How much more of the voice goes into takes than they were taught (classifier-free guidance): above 1 they "
                    "take twice the time and differ less from each other; 1 is off",
    )
    speech_guidance: FloatProperty(
        name="Lip-Sync Pull", default=0.0, min=0.0, max=2.0, step=10, precision=2,
        description="How strongly mesh-to-speech pulls takes to where it hears the voice in them: 1 makes the lips say it "
                    "clearer, for about three times the time; 0 is off",
    )
    listen_range: EnumProperty(
        name="Frames", default="EDITED",
        items=[("EDITED", "Edited Frames", "What was changed since Listen was last pressed, or since the take was made; "
                "all of it where nothing was", "NONE", 3),
               ("TAKE", "Take", "From the first to the last frame of the take or the voice", "NONE", 0),
               ("PREVIEW", "Preview Range", "The scene's preview range", "NONE", 1),
               ("SCENE", "Scene", "The scene's frame range", "NONE", 2)],
        description="Frames that Listen speaks",
    )
    listen_play: BoolProperty(name="Play", default=True,
                              description="Play the frames at once with what was heard, in place of the original")
    live_score: BoolProperty(name="Keep Scores Current", default=True,
                             description="Score the lips anew a moment after you stop editing keys")
    commit: PointerProperty(type=ThunderCommit)
    overlay: PointerProperty(type=ThunderOverlay)
    takes: CollectionProperty(type=ThunderTake)
    sort: EnumProperty(name="Sort", items=browsing.SORTS, description="Order of the takes in the list")
    only_starred: BoolProperty(name="Starred Only", description="List the takes with a star alone")
    show_hidden: BoolProperty(name="Show Hidden", description="List hidden takes too")
    play_shown: BoolProperty(name="Play When Shown", description="Play a take from its first frame as soon as it is shown")
    heads: CollectionProperty(type=ThunderHead)
    cast: CollectionProperty(type=ThunderPart)
    dialogue_index: IntProperty(name="Strip", description="A strip of the dialogue")
    only_preview: BoolProperty(name="Only Preview Range", default=False,
                               description="Speak only what of the voice lies in the scene's preview range")
    table: CollectionProperty(type=ThunderRow)
    table_head: PointerProperty(type=bpy.types.Object)
    table_text: StringProperty(description="The mapping that the table was filled from")
    table_index: IntProperty(name="Row", update=_show_row, description="A row of the mapping; with Preview on, what it does is shown")
    preview: BoolProperty(name="Preview", update=_switch_preview, options={"SKIP_SAVE"},
                          description="Show on the character what the chosen row's channel does; its pose comes back afterwards")
    preview_amount: FloatProperty(name="At", default=1.0, min=-1.0, max=2.0, step=5, update=_show_row, subtype="FACTOR", soft_min=0.0,
                                  soft_max=1.0, description="How far the channel goes in the preview")
    show_losses: BoolProperty(name="Show All", description="Show all that is missing, and what is lost without it")
    preview_kept: StringProperty(description="What stood on the character before the preview")
    active_take: IntProperty(
        name="Shown Take", get=takes.shown_index, set=takes.show_index,
        description="Take that is on the head now; −1 is your own animation",
    )


class ThunderObject(bpy.types.PropertyGroup):
    """Of a character's object, what goes with it into other files."""

    mapping: StringProperty(description="How the character is driven, as JSON")


CLASSES = (ThunderCommit, ThunderOverlay, ThunderRow, ThunderAction, ThunderTake, ThunderHead, ThunderPart, ThunderScene, ThunderObject)


def register():
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.thunder = PointerProperty(type=ThunderScene)
    bpy.types.Object.thunder = PointerProperty(type=ThunderObject)


def unregister():
    del bpy.types.Object.thunder
    del bpy.types.Scene.thunder
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
