# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit a take to the animator's animation, or one take of every line of the dialogue."""

import bpy

from ..scene.heads import head
from ..scene.review import live_score
from ..scene.takes import take_list
from ..scene.takes.commit import committing
from .base import shown_take_and_rig, SlicedWork


class THUNDER_OT_commit_take(SlicedWork, bpy.types.Operator):
    """Apply the shown take to your animation with fewer keys. Your previous action is kept"""

    bl_label = "Commit"
    obstacles = (
        lambda context: (
            committing.why_none(context) if take_list.shown_index(context.scene.thunder) < 0 else ""
        ),
    )

    def begin(self, context):
        entry, rig = shown_take_and_rig(context)
        head.check_animatable(rig)
        return "Committing", committing.commit(
            rig, entry, entry.voice, committing.choice_of(context.scene, entry)
        )

    def finish(self, context, report):
        self.report({"INFO"}, report.sentence)
        self.warn(report.warnings)
        _score_soon()


class THUNDER_OT_commit_all(SlicedWork, bpy.types.Operator):
    """Commit a take of every line of the dialogue"""

    bl_label = "Commit All Dialogue"
    bl_description = (
        "Commit one take of every line of the dialogue that is not committed yet: the one that is "
        "shown, "
        "else the best with a star, else the best by Lip-Sync"
    )
    obstacles = (
        lambda context: (
            "" if committing.has_takes(context.scene) else committing.why_no_line(context.scene)
        ),
    )

    again: bpy.props.BoolProperty(
        name="Commit Again",
        description="Commit lines that are committed already once more, and replace their keys",
        default=False,
        options={"SKIP_SAVE"},
    )
    done = None

    @classmethod
    def description(cls, context, properties):
        return (
            cls.bl_description.replace(" that is not committed yet", " again")
            if properties.again
            else cls.bl_description
        )

    def begin(self, context):
        self.done = committing.CommitLog()
        return "Committing the dialogue", committing.commit_all(
            context.scene, self.done, self.again
        )

    @property
    def changed_so_far(self):
        return self.done.sentence if self.done is not None and self.done.reports else ""

    def finish(self, context, value):
        self.report({"INFO"}, self.done.sentence)
        if not self.done.reports:
            return {"CANCELLED"}  # nothing to undo
        self.warn(
            [*self.done.warnings, *(f"Left out: {sentence}" for sentence in self.done.left_out)]
        )
        _score_soon()


def _score_soon() -> None:
    """Score the animator's new animation, which has no score yet."""
    if not bpy.app.background:
        live_score.live.score_soon()
