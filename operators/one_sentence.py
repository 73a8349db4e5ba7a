# SPDX-License-Identifier: GPL-3.0-or-later
"""Base class of operators that report one sentence: the result, or the reason why nothing was changed."""

from ..scene.heads import head
from ..scene.review import problem_report
from ..thunder_core.errors import ThunderError


class OneSentence:
    """An operator whose `act(context)` does its work: its result is reported, as is a ThunderError."""

    def execute(self, context):
        try:
            message = self.act(context)
        except ThunderError as error:
            problem_report.note(self.bl_label, error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if message:
            self.report({"INFO"}, message)
        return {"FINISHED"}


def chosen_head(context) -> head.Rig:
    """The head chosen in the Thunder tab. Raises ThunderError."""
    return head.find(context.scene, head.active_object(context))


def has_head(operator, context) -> bool:
    """Whether a head is chosen; if not, the operator's button says so."""
    try:
        chosen_head(context)
    except (ThunderError, AttributeError) as error:
        operator.poll_message_set(str(error))
        return False
    return True
