# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct a character and generate takes: presets, the style of an animation or a recording; sampled
performances of the voice, listed as they arrive and ranked, or of all strips of the dialogue; who
speaks which strip; more takes like the shown one; and make takes fit a voice that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy

from ..scene.animation import keying
from ..scene.engine import connection
from ..scene.heads import character, head, head_state
from ..scene.host import jobs
from ..scene.host.language import translated
from ..scene.host.prop import EnumProperty, StringProperty
from ..scene.review import listening
from ..scene.takes import (
    corrections,
    dialogue,
    keep,
    perform_as,
    seeds,
    take_list,
    take_record,
    voice_fit,
)
from ..scene.takes.commit import following
from ..scene.takes.direction import head_direction, sliders
from ..scene.takes.generation import perform
from ..scene.voice import changes, strip
from ..scene.voice.strip import Voice
from ..thunder_core.errors import attempt, BadRequest
from ..thunder_core.manner import describe, Manner
from ..thunder_core.request import Request
from ..thunder_core.translation import plural
from ..thunder_core.types import LISTENS, SPEAKS
from .base import (
    ChoosesFile,
    chosen_head,
    InstantWork,
    keep_alive,
    NeedsShownTake,
    Obstacles,
    PartialResults,
    shown_take_and_rig,
    ShowsDialog,
    SlicedWork,
    why_no_head,
)

_NO_SPEAKER = ("NO_SPEAKER", "No Speaker", "For music, sound effects and off-screen voices")


class THUNDER_OT_generate(PartialResults, bpy.types.Operator):
    """Generate takes of the chosen voice on the chosen head, ranked by Lip-Sync, and show the best.
    How many, their seed and quality are settings of the scene"""

    bl_label = "Generate Takes"

    strip: str = StringProperty(
        name="Strip",
        options={"SKIP_SAVE"},
        description="Sound strip to make the voice first; empty for the chosen one",
    )

    def begin(self, context: bpy.types.Context):
        settings, client = context.scene.thunder, connection.start_client()
        if self.strip:
            dialogue.choose_strip(context, self.strip)
        voice = strip.find(context)
        rig = head.find(context.scene, context.object)
        self.voice, self.warning = voice.name, strip.warning(voice)
        listens = settings.head_role == "LISTENS"
        how = self.how(context, settings.count, self.choose_seed, listening=listens)
        return "Generating takes", perform(client, context.scene, rig, voice, how)

    def choose_seed(
        self, scene: bpy.types.Scene, mesh: bpy.types.Object, voice: Voice, request: Request
    ):
        """The request with its first seed, also noting whether its takes are there already, and
        the weights that made them."""
        request = seeds.with_unused(scene, mesh, voice, request)
        before = seeds.listed(scene, mesh, voice.name, request)
        self.again = before is not None
        self.weights = None if before is None else take_record.weights_of(before)
        return request

    def finish(self, context: bpy.types.Context, takes: list[keying.TakeData]) -> None:
        best = takes[0]
        if (role := take_record.role_of(best.provenance)) != SPEAKS:
            many = take_list.count_in_words(len(takes))
            what = (
                f"Generated {many} of a listener"
                if role == LISTENS
                else f"Nobody speaks in “{self.voice}”: generated {many} of an idle face"
            )
            self.tell({"INFO"}, what)
            return
        name = next(
            (
                f"{entry.name}, "
                for entry in context.scene.thunder.takes
                if (entry.seed, entry.score) == (best.seed, best.score)
            ),
            "",
        )
        what = "Generated a take" if self.requested == 1 else f"Best of {self.requested} takes"
        others = take_list.other_weights_in_words(self.weights, takes)
        self.tell({"INFO"}, f"{what}: {name}Lip-Sync {take_list.points(best.score)}{others}")
        rig = head.find(context.scene, context.object)
        has_unused = rig.armature is None and not rig.driver.is_drawn
        unused = character.say_unused(rig.mesh) if has_unused else ""
        self.warn([*self.said, self.warning, unused, head_state.fault(rig.owner)])
        if self.again and not others:
            self.tell({"INFO"}, "These takes were there already: unlock the seed for new ones")


_RESYNCED = {
    "MOVED": "moved",
    "CUT": "shortened",
    "RATE": "converted to the scene's frame rate",
    "CHANGED": "regenerated",
    "OTHER_WEIGHTS": "regenerated with other weights than before",
    "PIECE": "added for pieces of a cut strip",
    "LINE": "of your committed lines moved along",
}


class THUNDER_OT_resync(SlicedWork, bpy.types.Operator):
    """Update takes to match their voice: move or trim keys, and generate what is new. Edited keys
    go along, or their take is kept. Committed lines move along with your keys on their frames"""

    bl_label = "Re-sync"
    obstacles: Obstacles = (
        lambda context: (
            ""
            if changes.stale_takes(context.scene) or following.stale_lines(context.scene)
            else "No voice of a take has changed"
        ),
    )

    kinds: Sequence[str] = ()

    def begin(self, context: bpy.types.Context):
        client = connection.start_client() if voice_fit.needs_engine(context.scene) else None
        kinds: list[str] = []
        self.left: list[str] = []
        self.kinds = kinds
        return "Re-syncing takes", voice_fit.resync(client, context.scene, kinds, self.left)

    def finish(self, context: bpy.types.Context, value: object) -> None:
        listening.follow(strip.scene_of_strips(context))
        context.scene.thunder_check.findings.clear()  # they are of other keys, or another place
        self.tell({"INFO"}, f"Re-synced takes: {self.changed_so_far or 'nothing was moved'}")
        self.warn(self.left)

    @property
    def changed_so_far(self) -> str:
        return ", ".join(
            f"{self.kinds.count(kind)} {done}"
            for kind, done in _RESYNCED.items()
            if kind in self.kinds
        )


# ---- the dialogue


@keep_alive
def _heads_of_scene(self: bpy.types.OperatorProperties, context: bpy.types.Context):
    """The heads of the scene; none if Blender calls without a scene."""
    scene = getattr(context, "scene", None)
    heads = head.in_scene(scene) if scene is not None else []
    return [(obj.name, obj.name, f"Choose “{obj.name}”") for obj in heads]


@keep_alive
def _speakers(self: bpy.types.OperatorProperties, context: bpy.types.Context):
    return [*_heads_of_scene(self, context), _NO_SPEAKER]


class THUNDER_OT_cast_strip(InstantWork, bpy.types.Operator):
    """Choose who speaks this strip: a head, or nobody for music and off-screen voices"""

    bl_label = "Choose Speaker"

    strip: str = StringProperty(
        name="Strip", options={"SKIP_SAVE"}, description="Name of the sound strip"
    )
    speaker: str = EnumProperty(
        name="Speaker", items=_speakers, description="Head that speaks the strip"
    )

    def act(self, context: bpy.types.Context):
        if strip.by_name(strip.scene_of_strips(context), self.strip) is None:
            raise BadRequest(
                f"The strip “{self.strip}” is no longer in the sequencer: choose another"
            )
        speaker = (
            None if self.speaker == _NO_SPEAKER[0] else context.scene.objects.get(self.speaker)
        )
        scene, chosen = context.scene, dialogue.chosen_strip(context)
        former = dialogue.speaker_of(scene, self.strip)
        dialogue.cast(scene, self.strip, speaker)
        if chosen and (chosen == self.strip or dialogue.chosen_strip(context) != chosen):
            dialogue.select(context, chosen)
        if former is None or dialogue.speaks(scene, self.strip, former):
            return ""
        for line in (line for line in following.lines_of(former) if line.name == self.strip):
            self.tell(
                {"WARNING"},
                f"“{former.name}” still speaks “{self.strip}” where that is committed, on frames "
                f"{line.first} to {line.last}: delete its keys there if it should not",
            )
        return dialogue.silence(scene, self.strip, former)


class THUNDER_OT_generate_all(PartialResults, bpy.types.Operator):
    """Generate takes for every dialogue strip that has none yet, each on the head of its speaker"""

    bl_label = "Generate for All Dialogue Strips"
    obstacles: Obstacles = (
        lambda context: (
            "" if dialogue.lines_to_generate(context.scene) else dialogue.why_none(context.scene)
        ),
    )

    def begin(self, context: bpy.types.Context):
        scene, count = context.scene, context.scene.thunder.count
        todo = dialogue.lines_to_generate(scene)
        client = connection.start_client()
        self.warnings = dialogue.warnings(scene, todo)
        self.pieces = dialogue.say_pieces(scene)
        how = self.how(context, count)
        self.requested, self.strips = count * len(todo), len(todo)
        return "Generating takes", dialogue.generate(client, scene, todo, how)

    def finish(self, context: bpy.types.Context, left_out: list[str]) -> None:
        strips, takes = self.strips - len(left_out), take_list.count_in_words(len(self.takes))
        self.tell(
            {"INFO"},
            plural(
                strips,
                f"Generated {takes} for {strips} strip",
                f"Generated {takes} for {strips} strips",
            ),
        )
        for sentence in self.pieces:
            self.tell({"INFO"}, sentence)
        self.warn([*self.said, *self.warnings, *(f"Skipped: {sentence}" for sentence in left_out)])


# ---- direction


class _OfDirection(InstantWork):
    """An operator whose `direct(direction)` changes the direction of the chosen head and returns
    what to report."""

    obstacles: Obstacles = (why_no_head,)

    def act(self, context: bpy.types.Context):
        return self.direct(sliders.ensure(chosen_head(context).owner))

    def direct(self, direction: sliders.ThunderDirection) -> str | None:
        """Change the direction; the sentence to report, or None. Raises ThunderError."""
        raise NotImplementedError


class THUNDER_OT_reset_direction(_OfDirection, bpy.types.Operator):
    """Set all sliders of the direction as usual, without a mood. Their keys are removed"""

    bl_label = "Reset"

    def direct(self, direction: sliders.ThunderDirection) -> None:
        head_direction.remove_keys(direction)
        head_direction.reset_direction(direction)


class THUNDER_OT_use_direction(_OfDirection, bpy.types.Operator):
    """Direct the character as this preset says"""

    bl_label = "Use Preset"

    name: str = StringProperty(name="Preset", description="Name of the preset")

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties):
        preset, _ = attempt(head_direction.all_presets().load, properties.name)
        return (preset.about.rstrip(".") if preset is not None else "") or cls.__doc__

    def direct(self, direction: sliders.ThunderDirection) -> None:
        head_direction.use_preset(direction, self.name)


class THUNDER_OT_save_direction(ShowsDialog, _OfDirection, bpy.types.Operator):
    """Save the direction as a preset for other characters and files"""

    bl_label = "Save as Preset"
    bl_options = {"REGISTER"}

    name: str = StringProperty(
        name="Name", description="Name of the preset. A preset of yours with this name is replaced"
    )

    def direct(self, direction: sliders.ThunderDirection):
        return f"Saved as {head_direction.save_preset(direction, self.name)}"


@keep_alive
def _items(self: bpy.types.OperatorProperties, context: bpy.types.Context):
    names = head_direction.all_presets().user_names()
    return [(name, name, f"Delete the preset “{name}”") for name in names] or [
        ("", "None Saved Yet", "Save a direction first")
    ]


class THUNDER_OT_delete_direction(ShowsDialog, InstantWork, bpy.types.Operator):
    """Delete a preset that you saved"""

    bl_label = "Delete Preset"
    bl_options = {"REGISTER"}
    bl_property = "name"
    obstacles: Obstacles = (
        lambda _: (
            ""
            if head_direction.all_presets().user_names()
            else "You have not saved any preset; the bundled ones cannot be deleted"
        ),
    )

    name: str = EnumProperty(name="Preset", items=_items, description="Preset to delete")

    def act(self, context: bpy.types.Context):
        head_direction.all_presets().delete(self.name)
        return f"Deleted “{self.name}”"


@keep_alive
def _performances(self: bpy.types.OperatorProperties, context: bpy.types.Context):
    """What the chosen voice may perform, for a menu; none if Blender calls without a scene."""
    if getattr(context, "scene", None) is None or (voice := strip.current(context)) is None:
        return []
    found = perform_as.sources(context.scene, voice.name, take_list.chosen_mesh(context))
    return [
        (
            each.key,
            f"{each.line} · {each.name}",
            each.about,
            "ACTION" if each.uid else "CHECKMARK",
            number,
        )
        for number, each in enumerate(found)
    ]


class THUNDER_OT_perform_as(PartialResults, bpy.types.Operator):
    """Add a take in which the chosen voice performs as another line: head, brows, eyes and your own
    keys move to its accents and pauses, the mouth is new"""

    obstacles: Obstacles = (why_no_head, perform_as.why_none)

    source: str = EnumProperty(
        name="Performance", items=_performances, description="Take or committed line to perform"
    )

    def begin(self, context: bpy.types.Context):
        voice, rig = strip.find(context), chosen_head(context)
        head.check_animatable(rig)
        source = perform_as.find(context.scene, voice.name, self.source, rig.mesh)
        client = connection.start_client()
        self.transfer = perform_as.Transfer(source, voice.name)
        return f"Performing as {source.line}", perform_as.perform_source(
            client, context.scene, rig, voice, self.transfer, self.how(context, 1)
        )

    def finish(self, context: bpy.types.Context, takes: list[keying.TakeData]) -> None:
        first, *more = self.transfer.messages(takes[0].provenance)
        self.tell({"INFO"}, first)
        self.warn([*self.said, *more])


class THUNDER_OT_more_like_this(NeedsShownTake, PartialResults, bpy.types.Operator):
    """Sample takes that are played like the shown one, each a little differently. They are added to
    the list"""

    obstacles: Obstacles = (
        lambda context: keep.why_none_alike(take_list.shown_take(context.scene.thunder)),
    )

    def begin(self, context: bpy.types.Context):
        entry, _ = shown_take_and_rig(context)
        client = connection.start_client()
        self.like, self.weights = entry.name, take_record.weights_of(entry)
        return "Generating takes", keep.sample_alike(client, context, self.how(context, keep.COUNT))

    def outcome(self, takes: list[keying.TakeData]):
        return (
            f"{len(takes)} new takes like “{self.like}”{take_list.best_in_words(takes)}"
            f"{take_list.other_weights_in_words(self.weights, takes)}"
        )


@keep_alive
def _look_targets(self: bpy.types.OperatorProperties, context: bpy.types.Context):
    """No target, the camera, each other head, an object; numbered by what they are."""
    rig = None if context is None else attempt(chosen_head, context)[0]
    items = sliders.ThunderDirection.bl_rna.properties["look_at"].enum_items
    fixed = [(each.identifier, each.name, each.description) for each in items]
    others = [
        (f"HEAD {name}", translated(f"Look at {name}"), "The eyes look into the eyes of this head")
        for name, *_ in _heads_of_scene(self, context)
        if rig is not None and name != rig.mesh.name
    ]
    return fixed[:-1] + others + fixed[-1:]


class THUNDER_OT_look_at(InstantWork, bpy.types.Operator):
    """Choose what the eyes look at: nothing, the camera, another head, or an object"""

    obstacles: Obstacles = (why_no_head,)

    target: str = EnumProperty(
        name="Target", items=_look_targets, description="What the eyes look at"
    )

    def act(self, context: bpy.types.Context) -> None:
        direction = sliders.ensure(chosen_head(context).owner)
        kind, _, name = self.target.partition(" ")
        if kind in ("HEAD", "OBJECT"):
            direction.look_object = context.scene.objects[name] if kind == "HEAD" else None
        direction.look_at = "OBJECT" if kind == "HEAD" else kind


def _why_no_eyes(context: bpy.types.Context) -> str:
    """The reason why the eyes of the shown take's head cannot be aimed, "" if they can."""
    found, wrong = attempt(shown_take_and_rig, context)
    return wrong if found is None else head_direction.why_no_target(found[1])


class THUNDER_OT_learn_manner(SlicedWork, bpy.types.Operator):
    """Learn how this character departs from its takes: from committed lines that you corrected.
    Takes follow it by the slider Manner. Nothing leaves this computer"""

    bl_label = "Learn from Corrections"
    obstacles = (why_no_head,)

    lines: str = EnumProperty(
        name="Lines",
        options={"SKIP_SAVE"},
        description="What to learn from",
        items=[
            ("CORRECTED", "Corrected Lines", "Committed lines whose keys you changed"),
            (
                "ALL",
                "All Animation",
                "Also your animation of other strips that this head speaks, whatever made it, "
                "beside a take as directed",
            ),
        ],
    )

    def begin(self, context: bpy.types.Context):
        return "Learning from corrections", corrections.learn(
            connection.start_client(), context.scene, chosen_head(context), self.lines == "ALL"
        )

    def finish(self, context: bpy.types.Context, learned: Manner) -> None:
        direction = sliders.ensure(chosen_head(context).owner)
        former, _ = attempt(sliders.manner_of, direction)
        if learned.changes or former is None:  # else the one that it has stays
            sliders.set_manner(direction, learned.drop_as(former))
        self.tell({"INFO"}, describe(learned))


def _why_no_manner(context: bpy.types.Context) -> str:
    """The reason why the chosen head has no manner, "" if it has one."""
    rig, wrong = attempt(chosen_head, context)
    if rig is None:
        return wrong
    direction = sliders.of(rig.owner)
    if direction is not None and len(direction.manner):
        return ""
    return "This character has no manner yet: learn one, or load a file"


class THUNDER_OT_forget_manner(_OfDirection, bpy.types.Operator):
    """Take this character's manner away. Takes that were made in it stay"""

    bl_label = "Remove Manner"
    obstacles = (_why_no_manner,)

    def direct(self, direction: sliders.ThunderDirection) -> None:
        sliders.set_manner(direction, None)


class THUNDER_OT_save_manner(ChoosesFile, _OfDirection, bpy.types.Operator):
    """Save this character's manner as a file, for bakes and other files"""

    bl_label = "Save Manner"
    bl_options = {"REGISTER"}
    obstacles = (_why_no_manner,)

    def direct(self, direction: sliders.ThunderDirection):
        return f"Saved as {corrections.save(direction, self.filepath)}"


class THUNDER_OT_load_manner(ChoosesFile, _OfDirection, bpy.types.Operator):
    """Give this character the manner in a file"""

    bl_label = "Load Manner"

    def direct(self, direction: sliders.ThunderDirection):
        return corrections.load(direction, self.filepath)


class THUNDER_OT_update_eyes(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Aim the eyes of all takes of the shown one's line as Look At says now. Takes that you edited
    or shaped stay as they are"""

    obstacles: Obstacles = (_why_no_eyes,)

    def begin(self, context: bpy.types.Context):
        entry, rig = shown_take_and_rig(context)
        self.aimed: list[int] = []
        steps = head_direction.update_eyes(context.scene, rig, entry.voice, self.aimed.append)
        return "Aiming the eyes", jobs.stage(steps, "Aiming the eyes")

    @property
    def changed_so_far(self):
        count = len(getattr(self, "aimed", ()))
        aimed = plural(count, f"eyes of {count} take aimed", f"eyes of {count} takes aimed")
        return aimed if count else ""

    def outcome(self, counts: tuple[int, int]):
        count, left = counts
        kept = plural(
            left,
            f"; {left} edited or shaped stays as before",
            f"; {left} edited or shaped stay as before",
        ) * bool(left)  # fmt: skip
        return plural(
            count, f"Aimed the eyes of {count} take{kept}", f"Aimed the eyes of {count} takes{kept}"
        )


class THUNDER_OT_style_from_animation(SlicedWork, bpy.types.Operator):
    """Set the direction by how the head performs now: a take, your own animation, or what NLA and
    drivers make of it"""

    bl_label = "Style from Animation"
    obstacles: Obstacles = (why_no_head,)

    frames: str = EnumProperty(
        name="Frames", items=listening.FRAMES, description="Frames to read the style from"
    )

    def begin(self, context: bpy.types.Context):
        rig = chosen_head(context)
        first, last = listening.chosen_frames(context, rig, self.frames)
        return "Reading the style", jobs.stage(
            head_direction.style_of_animation(rig, context.scene, first, last),
            "Reading the animation",
        )

    def finish(self, context: bpy.types.Context, read: Any) -> None:
        direction = sliders.ensure(chosen_head(context).owner)
        self.tell({"INFO"}, head_direction.use_style(direction, read))
