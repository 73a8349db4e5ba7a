# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the operators on the shown take."""

from ..scene.review import problem_report
from ..scene.takes import take_list
from ..thunder_core.errors import ThunderError
from .slices import nothing_runs


def shown(context):
    """The shown take's entry and rig. Raises BadHead."""
    entry = take_list.shown_take(context.scene.thunder)
    return entry, take_list.rig_of(context.scene, entry)


class NeedsShownTake:
    """An operator that can be called while a take is shown and no work is under way."""

    @classmethod
    def poll(cls, context):
        if context.scene is None:
            return False
        if take_list.shown_index(context.scene.thunder) < 0:
            cls.poll_message_set(take_list.why_none(context))
            return False
        return nothing_runs(cls)


class OnShownTake(NeedsShownTake):
    """An operator that is done at once; its `perform(context)` may raise ThunderError and then has changed nothing."""

    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        try:
            self.perform(context)
        except ThunderError as error:
            problem_report.note(self.bl_label, error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}
