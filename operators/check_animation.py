# SPDX-License-Identifier: GPL-3.0-or-later
"""Check an animation against its voice, and do something about what is found: go there, fix it, show a take, ignore it."""

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import jobs
from ..scene.review import checking, live_score, mending
from ..scene.takes import take_list
from ..thunder_core.errors import attempt
from .base import chosen_head, InstantWork, why_busy, why_no_head
from .slices import SlicedWork


class THUNDER_OT_check(SlicedWork, bpy.types.Operator):
    """Find where the lips of the current animation do not fit its voice, whatever made it"""

    bl_label = "Check"

    @classmethod
    def why_not(cls, context):
        return super().why_not(context) or why_no_head(context)

    def begin(self, context):
        return "Checking", checking.check(connection.started(), context.scene, chosen_head(context))

    def outcome(self, findings):
        return checking.summary(findings)


class _OnFinding(InstantWork):
    """An operator on the finding that is chosen in the list."""

    @classmethod
    def why_not(cls, context):
        rig, sentence = attempt(chosen_head, context)
        if rig is None:
            return sentence
        is_listed = checking.of_head(context.scene, rig) is not None and checking.chosen(context.scene) is not None
        return "" if is_listed else "Press Check first: there is nothing in its list"


class THUNDER_OT_go_to_finding(_OnFinding, bpy.types.Operator):
    """Go to a problem, and make it the preview range with a syllable on either side"""

    bl_label = "Go"
    bl_options = {"REGISTER", "UNDO_GROUPED"}
    bl_undo_group = "Frame Change"

    to: bpy.props.EnumProperty(
        name="Go To",
        options={"SKIP_SAVE"},
        description="Problem to go to",
        items=[
            ("CHOSEN", "Chosen", "The one chosen in the list"),
            ("NEXT", "Next", "Next in time"),
            ("PREVIOUS", "Previous", "Previous in time"),
        ],
    )

    def act(self, context):
        checked, now = context.scene.thunder_check, context.scene.frame_current
        if self.to != "CHOSEN":
            order = sorted(range(len(checked.findings)), key=lambda place: checked.findings[place].first)
            later = [place for place in order if checked.findings[place].first > now]
            earlier = [place for place in order if checked.findings[place].first < now]
            checked.index = (later or order)[0] if self.to == "NEXT" else (earlier or order)[-1]
        checking.go(context, checking.chosen(context.scene)[0])


class THUNDER_OT_fix_finding(SlicedWork, bpy.types.Operator):
    """Mend the problem by the smallest change: few keys of your own animation, or the shape of the shown take"""

    bl_label = "Fix"

    @classmethod
    def why_not(cls, context):
        return why_busy() or _OnFinding.why_not(context) or mending.why_not(checking.chosen(context.scene)[1])

    def begin(self, context):
        rig, (_, finding) = chosen_head(context), checking.chosen(context.scene)
        head.check_animatable(rig)
        steps = mending.mend(context.scene, rig, finding, context.scene.thunder_check.start)
        return "Fixing", jobs.stage(steps, "Changing keys")

    def finish(self, context, mended):
        if (chosen := checking.chosen(context.scene)) is not None:
            checking.drop(context.scene, chosen[0])
        live_score.live.look()
        self.report({"INFO"}, mended.sentence)


class THUNDER_OT_show_better_take(_OnFinding, bpy.types.Operator):
    """Show the take with the best lip-sync that does this right"""

    bl_label = "Show Take"

    @classmethod
    def why_not(cls, context):
        if sentence := super().why_not(context):
            return sentence
        better = checking.better_take(context.scene, chosen_head(context), checking.chosen(context.scene)[1])
        return "" if better is not None else "No other take of this line does it right: generate more takes"

    def act(self, context):
        row, finding = checking.chosen(context.scene)
        better = checking.better_take(context.scene, chosen_head(context), finding)
        settings = context.scene.thunder
        take_list.show(settings, list(settings.takes).index(better))
        checking.go(context, row)
        return f"Shown: “{better.name}”. My Animation brings your own back"


class THUNDER_OT_ignore_finding(_OnFinding, bpy.types.Operator):
    """Leave this problem out of the list, also when you check again. The file keeps it"""

    bl_label = "Ignore"

    def act(self, context):
        checking.ignore(context.scene, chosen_head(context), *checking.chosen(context.scene))


class THUNDER_OT_list_ignored(InstantWork, bpy.types.Operator):
    """Forget which problems are ignored: the next check lists them again"""

    bl_label = "List Ignored Again"

    @classmethod
    def why_not(cls, context):
        return "" if context.scene.thunder_check.ignored else "No problem is ignored"

    def act(self, context):
        count = len(context.scene.thunder_check.ignored)
        context.scene.thunder_check.ignored.clear()
        return f"{count} ignored problem{'s' * (count > 1)} will be listed again: press Check"
