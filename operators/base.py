# SPDX-License-Identifier: GPL-3.0-or-later
"""Base classes of the operators: why a button is greyed, work that is done at once, and what the work is done on."""

from ..scene.heads import head, mapping_table
from ..scene.host.session import session
from ..scene.review import problem_report
from ..scene.takes import take_list
from ..thunder_core.errors import attempt, ThunderError


class Explained:
    """An operator that can be called in a scene unless `why_not` gives a reason, which its greyed button shows.

    Its name is that of its class: THUNDER_OT_add_head is thunder.add_head.
    """

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.bl_idname = cls.__name__.replace("THUNDER_OT_", "thunder.")

    @classmethod
    def why_not(cls, context) -> str:
        """The reason why it cannot be called now, "" if it can."""
        return ""

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


class NeedsTakes(Explained):
    """An operator that can be called while the scene has takes."""

    @classmethod
    def why_not(cls, context):
        return super().why_not(context) if context.scene.thunder.takes else "There are no takes yet: generate some"


class NeedsShownTake(Explained):
    """An operator that can be called while a take is shown and no work is under way."""

    @classmethod
    def why_not(cls, context):
        return take_list.why_none(context) if take_list.shown_index(context.scene.thunder) < 0 else why_busy()


class OnCharacter(InstantWork):
    """An operator whose `change(context, obj)` acts on the character chosen in the Thunder tab and returns what to report."""

    @classmethod
    def why_not(cls, context):
        is_chosen = context.scene.thunder.head is not None or context.object is not None
        return "" if is_chosen else "No character is selected: choose its face or its armature"

    def act(self, context):
        """Change the character's face, or the object that represents it."""
        return self.change(context, mapping_table.face(context.scene, context.object))


def why_busy() -> str:
    """The reason why no other job can start now, "" if it can."""
    return "" if session.job is None else "Another Thunder operation is running: wait for it or cancel it"


def why_not_in_object_mode(context) -> str:
    """The sentence that asks for Object Mode, "" in it."""
    return "" if context.mode == "OBJECT" else "Switch to Object Mode first"


def shown(context):
    """The shown take's entry and rig. Raises BadHead."""
    entry = take_list.shown_take(context.scene.thunder)
    return entry, take_list.rig_of(context.scene, entry)


def chosen_head(context) -> head.Rig:
    """The head chosen in the Thunder tab. Raises ThunderError."""
    return head.find(context.scene, head.active_object(context))


def why_no_head(context) -> str:
    """The reason why no head is chosen, "" if one is."""
    return attempt(chosen_head, context)[1]
