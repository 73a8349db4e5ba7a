# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen to the animation and compare it with the original voice; check it against the voice, and
do something about what is found."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import jobs, playback
from ..scene.host.prop import EnumProperty
from ..scene.review import checking, listening, live_score
from ..scene.takes import dialogue, take_list
from ..scene.voice import strip
from ..thunder_core.errors import attempt
from ..thunder_core.findings import Finding
from ..thunder_core.translation import plural
from .base import (
    chosen_head,
    HasObstacles,
    InstantWork,
    Obstacles,
    SlicedWork,
    why_no_audio,
    why_no_head,
)


class THUNDER_OT_score_again(SlicedWork, bpy.types.Operator):
    """Score the takes of this line that have no score, or one of other weights than those in use.
    Takes and keys stay as they are"""

    obstacles: Obstacles = (
        lambda context: (
            ""
            if live_score.takes_to_score(context)
            else "All takes of this line are scored by the weights in use"
        ),
    )

    def begin(self, context: bpy.types.Context):
        return "Scoring takes", live_score.score_again(connection.start_client(), context)

    def outcome(self, count: int):
        return plural(count, f"Scored {count} take", f"Scored {count} takes")


class THUNDER_OT_listen(SlicedWork, bpy.types.Operator):
    """Generate speech from the current animation, edited keys included, and add it to the
    sequencer"""

    bl_label = "Hear the Lips"
    obstacles: Obstacles = (why_no_audio,)
    is_added = False

    def begin(self, context: bpy.types.Context):
        rig = head.find(context.scene, context.object)
        first, last = listening.frame_range(context, rig)
        voice = strip.current(context)  # without a voice the sound has an average timbre
        client = connection.start_client()
        edited = listening.is_of_edits(context.scene)
        return "Listening", live_score.listen(
            client, context.scene, rig, voice, first, last, edited, self.note_speech
        )

    def note_speech(self) -> None:
        """Note that the speech is in the sequencer, where it stays if only its score is missing."""
        self.is_added = True

    @property
    def changed_so_far(self):
        return "the generated speech is in the sequencer" if self.is_added else ""

    def finish(self, context: bpy.types.Context, frames: tuple[int, int]) -> None:
        first, last = frames
        self.tell({"INFO"}, f"Generated speech for frames {first}–{last}")
        if bpy.app.background or context.window is None or not context.scene.thunder.listen_play:
            return
        if not attempt(listening.flip, context, True)[1]:  # it plays instead of the original
            playback.start(context.scene, first)


class THUNDER_OT_original(InstantWork, bpy.types.Operator):
    """Switch between the original voice and the generated speech"""

    obstacles: Obstacles = (
        lambda context: (
            ""
            if listening.listening_strip(context)[1]
            else "There is no generated speech yet: press Hear the Lips first"
        ),
    )

    to: str = EnumProperty(
        name="Hear",
        options={"SKIP_SAVE"},
        description="Sound to hear",
        items=[
            ("FLIP", "The Other", "Whichever is muted now"),
            ("ORIGINAL", "Original", "The voice"),
            ("HEARD", "Animation", "Speech generated from the animation"),
        ],
    )

    def act(self, context: bpy.types.Context) -> None:
        listening.flip(
            context,
            not listening.plays_generated(context) if self.to == "FLIP" else self.to == "HEARD",
        )


def _why_nothing_to_check(context: bpy.types.Context) -> str:
    """The reason why the chosen head has no lip-sync, "" if it may have."""
    mesh = chosen_head(context).mesh
    entry = take_list.on_head(context.scene, mesh)
    voice, _ = attempt(strip.voice_of_take, context, entry)  # without one, Check says why
    return "" if voice is None else dialogue.why_silent(context.scene, mesh, voice.name)


class THUNDER_OT_check(SlicedWork, bpy.types.Operator):
    """Find where the lips of the current animation do not fit its voice, whatever made it"""

    obstacles: Obstacles = (why_no_head, _why_nothing_to_check)

    def begin(self, context: bpy.types.Context):
        return "Checking", checking.check(
            connection.start_client(), context.scene, chosen_head(context)
        )

    def finish(self, context: bpy.types.Context, findings: list[Finding]) -> None:
        super().finish(context, findings)
        self.warn(checking.warnings(chosen_head(context)))

    def outcome(self, findings: list[Finding]):
        return checking.summary(findings)


def _why_none_listed(context: bpy.types.Context) -> str:
    """The reason why no finding of the chosen head is chosen in the list, "" if one is."""
    rig, sentence = attempt(chosen_head, context)
    is_listed = (
        rig is not None
        and checking.of_head(context.scene, rig) is not None
        and checking.chosen_finding(context.scene) is not None
    )
    return "" if is_listed else sentence or "Press Check first: there is nothing in its list"


def _finding(context: bpy.types.Context):
    """The chosen finding: its row in the list, and the finding. There is one (_OnFinding)."""
    found = checking.chosen_finding(context.scene)
    assert found is not None
    return found


def _better_take(context: bpy.types.Context):
    """The take that does the chosen finding right, None for none."""
    return checking.better_take(context.scene, chosen_head(context), _finding(context)[1])


class _OnFinding(HasObstacles):
    """An operator on the finding that is chosen in the list."""

    obstacles: Obstacles = (_why_none_listed,)


class THUNDER_OT_go_to_finding(_OnFinding, InstantWork, bpy.types.Operator):
    """Go to a problem, and make it the preview range with a syllable on either side"""

    bl_label = "Go"
    bl_options = {"REGISTER", "UNDO_GROUPED"}
    bl_undo_group = "Frame Change"

    def act(self, context: bpy.types.Context) -> None:
        checking.go(context, _finding(context)[0])


class THUNDER_OT_fix_finding(_OnFinding, SlicedWork, bpy.types.Operator):
    """Mend the problem by the smallest change: few keys of your own animation, or the shape of the
    shown take"""

    bl_label = "Fix"
    obstacles: Obstacles = (lambda context: checking.why_not(_finding(context)[1]),)

    def begin(self, context: bpy.types.Context):
        rig, (_, finding) = chosen_head(context), _finding(context)
        head.check_animatable(rig)
        steps = checking.mend(context.scene, rig, finding, context.scene.thunder_check.start)
        return "Fixing", jobs.stage(steps, "Changing keys")

    def finish(self, context: bpy.types.Context, mended: Any) -> None:
        if (chosen := checking.chosen_finding(context.scene)) is not None:
            checking.drop(context.scene, chosen[0])
        live_score.live.score_soon()
        self.tell({"INFO"}, mended)


class THUNDER_OT_show_better_take(_OnFinding, InstantWork, bpy.types.Operator):
    """Show the take with the best lip-sync that does this right"""

    bl_label = "Show Take"
    obstacles: Obstacles = (
        lambda context: (
            ""
            if _better_take(context)
            else "No other take of this line does it right: generate more takes"
        ),
    )

    def act(self, context: bpy.types.Context):
        better, settings = _better_take(context), context.scene.thunder
        take_list.show(settings, list(settings.takes).index(better))
        checking.go(context, _finding(context)[0])
        return f"Shown: “{better.name}”. My Animation brings your own back"


class THUNDER_OT_ignore_finding(_OnFinding, InstantWork, bpy.types.Operator):
    """Leave this problem out of the list, also when you check again. The file keeps it"""

    bl_label = "Ignore"

    def act(self, context: bpy.types.Context) -> None:
        checking.ignore(context.scene, chosen_head(context), *_finding(context))


class THUNDER_OT_list_ignored(InstantWork, bpy.types.Operator):
    """Forget which problems are ignored: the next check lists them again"""

    bl_label = "List Ignored Again"
    obstacles: Obstacles = (
        lambda context: "" if context.scene.thunder_check.ignored else "No problem is ignored",
    )

    def act(self, context: bpy.types.Context):
        count = len(context.scene.thunder_check.ignored)
        context.scene.thunder_check.ignored.clear()
        return plural(
            count,
            f"{count} ignored problem will be listed again: press Check",
            f"{count} ignored problems will be listed again: press Check",
        )
