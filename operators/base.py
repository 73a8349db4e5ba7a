# SPDX-License-Identifier: GPL-3.0-or-later
"""Base classes of the operators: why a button is greyed, work that is done at once, and what the
work is done on."""

from collections.abc import Callable

from ..scene.heads import head, mapping_table
from ..scene.host.session import session
from ..scene.review import problem_report
from ..scene.takes import take_list
from ..scene.voice import strip
from ..thunder_core.errors import attempt, ThunderError


class Explained:
    """An operator that can be called in a scene unless one of its `obstacles`, or of its base
    classes', gives a reason, which its greyed button shows.

    obstacles: functions of the context; each returns a sentence, "" if nothing is in the way. Those
    of base classes come first. Its name is that of its class: THUNDER_OT_add_head is
    thunder.add_head.
    """

    obstacles: tuple[Callable[..., str], ...] = ()

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.bl_idname = cls.__name__.replace("THUNDER_OT_", "thunder.")

    @classmethod
    def why_not(cls, context) -> str:
        """The reason why it cannot be called now, "" if it can."""
        sentences = (
            obstacle(context)
            for each in reversed(cls.__mro__)
            for obstacle in vars(each).get("obstacles", ())
        )
        return next(filter(None, sentences), "")

    @classmethod
    def poll(cls, context):
        if context.scene is None:
            return False
        if sentence := cls.why_not(context):
            cls.poll_message_set(sentence)
        return not sentence


class InstantWork(Explained):
    """An operator whose `act(context)` is done at once and returns the sentence to report, or None.

    A ThunderError is reported, too, and then nothing was changed.
    """

    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        try:
            sentence = self.act(context)
        except ThunderError as error:
            problem_report.note(self.bl_label, error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if sentence:
            self.report({"INFO"}, sentence)
        return {"FINISHED"}


class ChoosesFile:
    """An operator whose file or folder is chosen in the file browser first."""

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


# ---- obstacles


def why_busy(context=None) -> str:
    """The reason why no other job can start now, "" if it can."""
    return (
        ""
        if session.job is None
        else "Another Thunder operation is running: wait for it or cancel it"
    )


def why_not_in_object_mode(context) -> str:
    """The sentence that asks for Object Mode, "" in it."""
    return "" if context.mode == "OBJECT" else "Switch to Object Mode first"


def why_no_head(context) -> str:
    """The reason why no head is chosen, "" if one is."""
    return attempt(chosen_head, context)[1]


def why_no_audio(context) -> str:
    """The reason why nothing can be heard, "" if it can."""
    return (
        ""
        if strip.has_audio()
        else "This Blender was built without audio: use one with audio to listen"
    )


def why_none_shown(context) -> str:
    """The reason why no take is shown, "" if one is."""
    return take_list.why_none(context) if take_list.shown_index(context.scene.thunder) < 0 else ""


class NeedsTakes(Explained):
    """An operator that can be called while the scene has takes."""

    obstacles = (
        lambda context: (
            "" if context.scene.thunder.takes else "There are no takes yet: generate some"
        ),
    )


class NeedsShownTake(Explained):
    """An operator that can be called while a take is shown and no work is under way."""

    obstacles = (why_none_shown, why_busy)


class OnCharacter(InstantWork):
    """An operator whose `change(context, obj)` acts on the character chosen in the Thunder tab and
    returns what to report."""

    obstacles = (
        lambda context: (
            ""
            if context.scene.thunder.head or context.object
            else "No character is selected: choose its face or its armature"
        ),
    )

    def act(self, context):
        """Change the character's face, or the object that represents it."""
        return self.change(context, mapping_table.face(context.scene, context.object))


# ---- what the work is done on


def shown_take_and_rig(context):
    """The shown take's entry and rig. Raises BadHead."""
    entry = take_list.shown_take(context.scene.thunder)
    return entry, take_list.rig_of(context.scene, entry)


def chosen_head(context) -> head.Rig:
    """The head chosen in the Thunder tab. Raises ThunderError."""
    return head.find(context.scene, head.active_object(context))


def keep_alive(items: Callable) -> Callable:
    """The callback `items` of an EnumProperty, with its last texts kept alive: Blender keeps no
    copy of them."""
    kept: list = []

    def callback(self, context):
        kept[:] = items(self, context)
        return kept

    return callback
