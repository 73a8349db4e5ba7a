# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes: show one, step through them, flip between two; star, duplicate and
delete them."""

from __future__ import annotations

import bpy

from ..scene.heads import head
from ..scene.host.jobs import Step
from ..scene.host.language import translated
from ..scene.host.prop import EnumProperty, IntProperty
from ..scene.properties.settings import ThunderScene
from ..scene.takes import browsing, take_list
from ..thunder_core.errors import BadRequest
from ..thunder_core.translation import plural
from .base import InstantWork, NeedsTakes, Obstacles, SlicedWork, why_none_shown


class THUNDER_OT_select_take(NeedsTakes, InstantWork, bpy.types.Operator):
    """Show a take on its head, or your own animation again, which is kept"""

    bl_label = "Show Take"

    index: int = IntProperty(
        name="Take", default=-1, min=-1, description="Index in the list; −1 for your own animation"
    )
    step: int = IntProperty(
        name="Step",
        default=0,
        options={"SKIP_SAVE"},
        description="Number of takes to move on from the shown one, ignoring Take",
    )

    def act(self, context: bpy.types.Context) -> None:
        settings, index = context.scene.thunder, self.index
        if self.step:  # rows further in the list as drawn; from none to its first or last
            order = browsing.order(context) or list(range(len(settings.takes)))
            shown = take_list.shown_index(settings)
            row = order.index(shown) + self.step if shown in order else -(self.step < 0)
            index = order[row % len(order)]
        take_list.show(settings, index, settings.play_shown)


class THUNDER_OT_flip_take(NeedsTakes, InstantWork, bpy.types.Operator):
    """Switch between the shown take and the one shown before"""

    bl_label = "A/B"

    def act(self, context: bpy.types.Context):
        rig = take_list.shown_rig(context.scene.thunder) or head.find(context.scene, context.object)
        return f"Showing {take_list.flip(context.scene, rig)}"


class _OnTake(NeedsTakes, InstantWork):
    """An operator whose `change(context, settings, index)` acts on the take at `index` of the list,
    or on the one that is shown."""

    obstacles: Obstacles = (why_none_shown,)

    index: int = IntProperty(
        name="Take",
        default=-1,
        min=-1,
        options={"SKIP_SAVE"},
        description="Index in the list; −1 for the shown take",
    )

    def act(self, context: bpy.types.Context) -> None:
        settings = context.scene.thunder
        index = take_list.shown_index(settings) if self.index < 0 else self.index
        take_list.take_at(settings, index)
        self.change(context, settings, index)

    def change(self, context: bpy.types.Context, settings: ThunderScene, index: int) -> None:
        """Change the take at that place."""
        raise NotImplementedError


class THUNDER_OT_star_take(_OnTake, bpy.types.Operator):
    """Add or remove the take's star"""

    bl_label = "Star"

    def change(self, context: bpy.types.Context, settings: ThunderScene, index: int) -> None:
        settings.takes[index].star = not settings.takes[index].star


class THUNDER_OT_duplicate_take(_OnTake, bpy.types.Operator):
    """Copy the take with your edits and show the copy"""

    bl_label = "Duplicate"

    def change(self, context: bpy.types.Context, settings: ThunderScene, index: int) -> None:
        copy = take_list.duplicate(context.scene, index)
        if settings.takes[copy].head is not None:
            take_list.show(settings, copy)


class THUNDER_OT_delete_take(_OnTake, bpy.types.Operator):
    """Delete the take and its keys. If it is shown, the next take is shown instead"""

    bl_label = "Delete"

    def change(self, context: bpy.types.Context, settings: ThunderScene, index: int) -> None:
        if index == take_list.shown_index(settings):
            _show_next(context, settings, index)
        take_list.delete(context.scene, [index])


class THUNDER_OT_fold_takes(NeedsTakes, InstantWork, bpy.types.Operator):
    """Fold or unfold the takes that were generated together. A folded take stays as it is, and is
    listed while it is shown"""

    batch: int = IntProperty(
        name="Batch", description="Number of the batch that the takes have in common"
    )

    def act(self, context: bpy.types.Context) -> None:
        for takes in take_list.batches(context):
            if takes[0].batch == self.batch:
                folded = not takes[0].folded
                for entry in takes:
                    entry.folded = folded


class THUNDER_OT_delete_takes(NeedsTakes, SlicedWork, bpy.types.Operator):
    """Delete several takes of this head and voice at once"""

    which: str = EnumProperty(
        name="Takes",
        items=[
            (
                "UNSTARRED",
                "Without a Star",
                "Takes without a star, a note, edited keys or a name of their own, and not folded",
            ),
            ("EARLIER", "Earlier", "The same of earlier batches that are folded"),
        ],
        description="Takes to delete",
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties):
        return {
            "UNSTARRED": "Delete the unfolded takes of this head and voice without a star. Edited, "
            "named and noted ones are kept",
            "EARLIER": "Delete the folded takes of earlier batches. Those with a star, a note, "
            "edited keys or a name of their own are kept",
        }[properties.which]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if self.which != "EARLIER" or not take_list.earlier_takes(context):
            return super().invoke(context, event)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=translated("Clear Earlier Takes"),
            message=translated(self.description(context, self.properties)),
            confirm_text=translated("Delete"),
        )

    def begin(self, context: bpy.types.Context):
        return "Deleting Takes", self._steps(context)

    def _places(self, context: bpy.types.Context) -> list[int]:
        """Indices of the takes to choose from."""
        if self.which == "EARLIER":
            return take_list.earlier_takes(context)
        entries = take_list.entries_of(context.scene)
        return [place for place in take_list.of_voice(context) if not entries[place].folded]

    def _steps(self, context: bpy.types.Context):
        entries, places = context.scene.thunder.takes, self._places(context)
        result = []
        for number, place in enumerate(places):
            entry = entries[place]
            if entry.action is None or not take_list.holds_work(entry):
                result.append(place)
            yield Step((number + 1) / len(places), "Checking takes", busy=True)
        if not result:
            raise BadRequest(
                {
                    "UNSTARRED": "Every take has a star, a note, a name or edited keys: there is "
                    "nothing to delete",
                    "EARLIER": "No earlier take can be deleted: fold the batch of those that are "
                    "to go. Takes with a star, a note, a name or edited keys stay",
                }[self.which]
            )
        take_list.delete(context.scene, result)
        return len(result)

    def outcome(self, count: int):
        return plural(count, f"{count} take deleted", f"{count} takes deleted")


class THUNDER_OT_adopt_takes(InstantWork, bpy.types.Operator):
    """Add takes of this file that are in no list, such as takes appended from another file"""

    bl_label = "Add Unlisted Takes"
    obstacles: Obstacles = (
        lambda context: (
            "" if take_list.unlisted_actions(context.scene) else "All takes of this file are listed"
        ),
    )

    def act(self, context: bpy.types.Context):
        count = take_list.adopt(context.scene, head.find(context.scene, context.object))
        hidden = "" if take_list.of_voice(context) else ": choose their voice to list them"
        return plural(count, f"Added {count} take{hidden}", f"Added {count} takes{hidden}")


def _show_next(context: bpy.types.Context, settings: ThunderScene, index: int) -> None:
    """Show the take that follows in the list as drawn, at its end the one before, if there is
    another."""
    entries, order = take_list.entries_of(context.scene), browsing.order(context)
    order = [each for each in order if each == index or entries[each].action is not None]
    if index in order and len(order) > 1:
        row = order.index(index)
        take_list.show(settings, [*order, order[row - 1]][row + 1])
