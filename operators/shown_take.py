# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with the shown take: mix it with others, keep parts and regenerate the rest, shape
it, commit it; or commit one take of every line of the dialogue."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import bpy

from ..scene.animation import keying
from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import jobs
from ..scene.host.language import translated
from ..scene.host.prop import BoolProperty, EnumProperty, IntProperty
from ..scene.properties.settings import ThunderTake
from ..scene.review import live_score
from ..scene.takes import keep, mix, take_list, take_record
from ..scene.takes.commit import committing
from ..scene.takes.direction.live import is_dragging_keys
from ..scene.takes.shape import applying
from ..thunder_core.animation.commit.curves import Report
from ..thunder_core.errors import BadRequest
from ..thunder_core.progress import map_progress
from .base import (
    InstantWork,
    keep_alive,
    NeedsShownTake,
    Obstacles,
    PartialResults,
    shown_take_and_rig,
    SlicedWork,
    why_none_shown,
)


@keep_alive
def _takes(self: bpy.types.Operator, context: bpy.types.Context):
    listed = [] if context is None else mix.candidates(context)
    names = [  # with what is most seen of each: their names alone tell nobody which they are
        ": ".join(filter(None, (entry.name, translated(entry.words.partition(", ")[0]))))
        for entry in listed
    ]
    return [
        (entry.action.name, name, entry.words, index)
        for index, (entry, name) in enumerate(zip(listed, names))
    ]


class THUNDER_OT_choose_part(InstantWork, bpy.types.Operator):
    """Choose the take for this part of the face"""

    bl_label = "Choose Take"

    part: str = EnumProperty(name="Part", items=mix.PART_ITEMS, description="Part of the face")
    take: str = EnumProperty(name="Take", items=_takes, description="Take used for this part")

    def act(self, context: bpy.types.Context) -> None:
        setattr(context.scene.thunder_mix, self.part, bpy.data.actions.get(self.take))


class THUNDER_OT_add_cut(InstantWork, bpy.types.Operator):
    """Switch to the shown take from the current frame on"""

    bl_label = "Cut to Shown Take"
    obstacles: Obstacles = (why_none_shown,)

    part: str = EnumProperty(
        name="Part", items=mix.CUT_ITEMS, description="Part of the face to switch"
    )

    def act(self, context: bpy.types.Context) -> None:
        mix.add_cut(
            context.scene,
            context.scene.frame_current,
            self.part,
            take_list.shown_take(context.scene.thunder),
        )


class THUNDER_OT_remove_cut(InstantWork, bpy.types.Operator):
    """Remove this cut. The previous take continues"""

    index: int = IntProperty(name="Cut", min=0, description="Place in the list of cuts")

    def act(self, context: bpy.types.Context) -> None:
        context.scene.thunder_mix.cuts.remove(self.index)


class THUNDER_OT_mix_takes(SlicedWork, bpy.types.Operator):
    """Create a new take from the chosen parts and cuts. The source takes are not changed"""

    bl_label = "Mix"
    obstacles: Obstacles = (
        lambda context: (
            "There is only one take of this head and voice: generate more to mix them"
            if len(mix.candidates(context)) < 2
            else ""
        ),
    )

    def begin(self, context: bpy.types.Context):
        return "Mixing takes", jobs.stage(mix.mix(context), "Mixing takes")

    def outcome(self, entry: ThunderTake):
        return f"Created take “{entry.name}”"


class THUNDER_OT_keep_frames(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Keep frames of the take unchanged"""

    which: str = EnumProperty(
        name="Frames",
        description="Which frames",
        items=[
            ("AROUND", "Around Current Frame", "Half a second around the current frame"),
            ("PREVIEW", "Preview Range", "The scene's current preview range"),
        ],
    )

    def act(self, context: bpy.types.Context) -> None:
        scene = context.scene
        entry, _ = shown_take_and_rig(context)
        if self.which == "PREVIEW":
            if not scene.use_preview_range:
                raise BadRequest("There is no preview range: set one in the timeline (P)")
            first, last = scene.frame_preview_start, scene.frame_preview_end
        else:
            half = round(scene.render.fps / scene.render.fps_base / 2)
            first, last = scene.frame_current - half, scene.frame_current + half
        if last < entry.first or first > entry.last:
            raise BadRequest(
                f"These frames are outside the take: choose frames from {entry.first} to "
                f"{entry.last}"
            )
        keep.add_range(scene, max(first, entry.first), min(last, entry.last))


class THUNDER_OT_free_frames(InstantWork, bpy.types.Operator):
    """Stop keeping these frames"""

    bl_label = "Remove Range"

    index: int = IntProperty(name="Frames", min=0, description="Place in the list of kept frames")

    def act(self, context: bpy.types.Context) -> None:
        context.scene.thunder_keep.ranges.remove(self.index)


class THUNDER_OT_resample_rest(NeedsShownTake, PartialResults, bpy.types.Operator):
    """Generate everything of the shown take that is not kept again. The results are new takes"""

    bl_label = "Regenerate the Rest"

    def begin(self, context: bpy.types.Context):
        entry, rig = shown_take_and_rig(context)
        # before the engine is started
        keep.masks_of(context.scene, rig, entry, max(1, entry.last - entry.first))
        client = connection.start_client()
        self.weights = take_record.weights_of(entry)
        how = self.how(context, context.scene.thunder_keep.count)
        return "Regenerating the rest", keep.resample(client, context, how)

    def outcome(self, takes: list[keying.TakeData]):
        count = len(takes)
        sentence = (
            f"{count} new takes around what you kept"
            if count > 1
            else "A new take around what you kept"
        )
        return (
            f"{sentence}{take_list.best_in_words(takes)}"
            f"{take_list.other_weights_in_words(self.weights, takes)}"
        )


class THUNDER_OT_apply_shape(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Update the keys of the shown take from its sliders"""

    bl_label = "Update Shape"

    def begin(self, context: bpy.types.Context):
        entry, rig = shown_take_and_rig(context)
        return "Shaping", jobs.stage(applying.apply(rig, entry), "Shaping the take")


class _AtFrame(NeedsShownTake, SlicedWork):
    """An operator whose generator `change(rig, entry, frame)` changes the shown take at the current
    frame."""

    def begin(self, context: bpy.types.Context):
        entry, rig = shown_take_and_rig(context)
        return self.bl_label, jobs.stage(
            self.change(rig, entry, context.scene.frame_current_final), self.bl_label
        )

    def change(self, rig: head.Rig, entry: ThunderTake, frame: float) -> Generator:
        """Change that take; yields progress."""
        raise NotImplementedError


class THUNDER_OT_add_closure(_AtFrame, bpy.types.Operator):
    """Close the lips at the current frame, as for M, B or P"""

    bl_label = "Close Lips"
    change = staticmethod(applying.close_lips)


class THUNDER_OT_remove_closure(_AtFrame, bpy.types.Operator):
    """Remove the lip closure at or next to the current frame"""

    bl_label = "Open Lips"
    change = staticmethod(applying.open_lips)


class THUNDER_OT_reset_shape(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Reset all sliders that change the shown take. Keys you edited are kept"""

    bl_label = "Reset"
    obstacles: Obstacles = (
        lambda context: (
            ""
            if applying.is_shaped(take_list.shown_take(context.scene.thunder).action)
            else "The take is not shaped: move one of the sliders first"
        ),
    )

    def act(self, context: bpy.types.Context) -> None:
        entry, _ = shown_take_and_rig(context)
        applying.reset(entry)


class THUNDER_OT_animate_emotion(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Animate the emotion's strength with a curve that grows over the take"""

    bl_label = "Animate Strength"

    def act(self, context: bpy.types.Context) -> None:
        entry, rig = shown_take_and_rig(context)
        applying.animate_strength(rig, entry)


class THUNDER_OT_still_emotion(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Remove the curve of the emotion's strength. The slider then sets it for the whole take"""

    bl_label = "Remove Strength Curve"

    def act(self, context: bpy.types.Context) -> None:
        entry, rig = shown_take_and_rig(context)
        applying.remove_strength_curve(rig, entry)
        applying.follow(entry)


def _update() -> float | None:
    """Write the shown take: a timer's changes would be no undo step, an operator's are one."""
    manager = bpy.context.window_manager
    window = manager.windows[0] if manager is not None and manager.windows else None
    if window is None:
        return None
    if is_dragging_keys():
        return applying.UPDATE_SECONDS
    with bpy.context.temp_override(window=window):
        if bpy.ops.thunder.apply_shape.poll():  # type: ignore[attr-defined]
            bpy.ops.thunder.apply_shape("INVOKE_DEFAULT", True)  # type: ignore[attr-defined]
    return None


def register() -> None:
    applying.update.step = _update


class THUNDER_OT_commit_take(SlicedWork, bpy.types.Operator):
    """Apply the shown take to your animation with fewer keys. Your previous action is kept"""

    bl_label = "Commit"
    obstacles: Obstacles = (why_none_shown,)
    done = committing.CommitLog()

    def begin(self, context: bpy.types.Context):
        self.done = committing.CommitLog()
        return "Committing", self.commit(context.scene, *shown_take_and_rig(context))

    def commit(self, scene: bpy.types.Scene, entry: ThunderTake, rig: head.Rig):
        """Steps that commit a take, and where keys leave much out find how many points that costs;
        return the report."""
        is_scored = scene.thunder.commit.keys == "BLOCKING" and not rig.driver.is_drawn
        share = 0.8 if is_scored else 1.0
        yield from map_progress(
            committing.commit_line(scene, entry, self.done),
            lambda step: replace(step, fraction=share * step.fraction),
        )
        (report,) = self.done.reports
        if is_scored:
            report = replace(report, lost=(yield from live_score.points_lost(scene, rig, entry)))
        return report

    @property
    def changed_so_far(self):
        return "".join(report.sentence for report in self.done.reports)

    def finish(self, context: bpy.types.Context, report: Report) -> None:
        warnings = [*report.warnings, *self.done.wrong]
        if warnings:  # in one message: the status bar shows only the last one
            self.tell({"WARNING"}, ". ".join((report.cost, *warnings)))
        else:
            self.tell({"INFO"}, report.sentence)
        _score_soon()


class THUNDER_OT_commit_all(SlicedWork, bpy.types.Operator):
    """Commit one take of every line of the dialogue that is not committed yet, or of all: the one
    that is shown, else the best with a star, else the best by Lip-Sync"""

    bl_label = "Commit All Dialogue"
    obstacles: Obstacles = (
        lambda context: (
            ""
            if committing.has_takes(context.scene)
            else "No line of the dialogue has takes of its speaker: generate some, or choose other "
            "speakers"
        ),
    )

    again: bool = BoolProperty(
        name="Commit Again",
        description="Commit lines that are committed already once more, and replace their keys",
        default=False,
        options={"SKIP_SAVE"},
    )
    done = committing.CommitLog()

    def begin(self, context: bpy.types.Context):
        self.done = committing.CommitLog()
        return "Committing the dialogue", committing.commit_all(
            context.scene, self.done, self.again
        )

    @property
    def changed_so_far(self):
        return self.done.sentence if self.done.reports else ""

    def finish(self, context: bpy.types.Context, value: Any):
        self.tell({"INFO"}, self.done.sentence)
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
