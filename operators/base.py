# SPDX-License-Identifier: GPL-3.0-or-later
"""Base classes of the operators: why a button is greyed, work that is done at once or in slices
that a timer advances, and what the work is done on; Cancel, and Report a Problem."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, TYPE_CHECKING

import bpy

from ..scene.heads import head, mapping_table
from ..scene.host import jobs
from ..scene.host.language import CONTEXT, translated
from ..scene.host.prop import StringProperty
from ..scene.review import problem_report
from ..scene.takes import dialogue, seeds, take_list
from ..scene.takes.generation import How
from ..scene.voice import strip
from ..thunder_core.errors import attempt, Cancelled, CancelledByUndo, ThunderError
from ..thunder_core.request import Request

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import WmReportItems

    from ..scene.animation import keying

    # What is mixed into operators knows what those have.
    _Operator = bpy.types.Operator
else:
    _Operator = object


Obstacles = tuple[Callable[[bpy.types.Context], str], ...]


class HasObstacles(_Operator):
    """An operator that can be called in a scene unless one of its `obstacles`, or of its base
    classes', gives a reason, which its greyed button shows.

    obstacles: functions of the context; each returns a sentence, "" if nothing is in the way. Those
    of base classes come first. Its name is that of its class, and its label too if it has none:
    THUNDER_OT_add_head is thunder.add_head, “Add Head”.
    """

    bl_translation_context = CONTEXT
    obstacles: Obstacles = ()

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        name = cls.__name__.removeprefix("THUNDER_OT_")
        cls.bl_idname = f"thunder.{name}"
        cls.bl_label = vars(cls).get("bl_label", name.replace("_", " ").title())
        # in one line, as files of translations have it
        cls.bl_description = " ".join((cls.__doc__ or "").split())

    @classmethod
    def why_not(cls, context: bpy.types.Context) -> str:
        """The reason why it cannot be called now, "" if it can."""
        sentences = (
            obstacle(context)
            for each in reversed(cls.__mro__)
            for obstacle in vars(each).get("obstacles", ())
        )
        return next(filter(None, sentences), "")

    @classmethod
    def poll(cls, context: bpy.types.Context):
        if context.scene is None:
            return False
        if sentence := cls.why_not(context):
            cls.poll_message_set(translated(sentence))
        return not sentence

    def tell(self, kinds: set[WmReportItems], sentence: str) -> None:
        """Report a sentence, in the animator's language. kinds: as of Blender's `report`, which no
        class can override."""
        self.report(kinds, translated(sentence))

    def warn(self, sentences: Iterable[str]) -> None:
        """Report a warning for each sentence that is not empty."""
        for sentence in filter(None, sentences):
            self.tell({"WARNING"}, sentence)


class InstantWork(HasObstacles):
    """An operator whose `act(context)` is done at once and returns the sentence to report, or None.

    A ThunderError is reported, too, and then nothing was changed.
    """

    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        """Do it; the sentence to report, or None. Raises ThunderError."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context):
        try:
            sentence = self.act(context)
        except ThunderError as error:
            problem_report.note(self.bl_label, error)
            self.tell({"ERROR"}, str(error))
            return {"CANCELLED"}
        if sentence:
            self.tell({"INFO"}, sentence)
        return {"FINISHED"}


class ShowsDialog(_Operator):
    """An operator whose settings are chosen in a dialog first."""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        return context.window_manager.invoke_props_dialog(self)


class ChoosesFile(_Operator):
    """An operator whose file or folder is chosen in the file browser first."""

    filepath: str = StringProperty(
        name="File",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", "SKIP_PRESET"},
        description="File that is read, or written",
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


# ---- obstacles


def why_busy(context: bpy.types.Context | None = None) -> str:
    """The reason why no other job can start now, "" if it can."""
    return (
        ""
        if jobs.session.job is None
        else "Another Thunder operation is running: wait for it or cancel it"
    )


def why_not_in_object_mode(context: bpy.types.Context) -> str:
    """The sentence that asks for Object Mode, "" in it."""
    return "" if context.mode == "OBJECT" else "Switch to Object Mode first"


def why_no_head(context: bpy.types.Context) -> str:
    """The reason why no head is chosen, "" if one is."""
    return attempt(chosen_head, context)[1]


def why_no_audio(context: bpy.types.Context) -> str:
    """The reason why nothing can be heard, "" if it can."""
    return (
        ""
        if strip.has_audio()
        else "This Blender was built without audio: use one with audio to listen"
    )


def why_none_shown(context: bpy.types.Context) -> str:
    """The reason why no take is shown, "" if one is."""
    return take_list.why_none(context) if take_list.shown_index(context.scene.thunder) < 0 else ""


class NeedsTakes(HasObstacles):
    """An operator that can be called while the scene has takes."""

    obstacles: Obstacles = (
        lambda context: (
            "" if context.scene.thunder.takes else "There are no takes yet: generate some"
        ),
    )


class NeedsShownTake(HasObstacles):
    """An operator that can be called while a take is shown and no work is under way."""

    obstacles: Obstacles = (why_none_shown, why_busy)


class OnCharacter(InstantWork):
    """An operator whose `change(context, obj)` acts on the character chosen in the Thunder tab and
    returns what to report."""

    obstacles: Obstacles = (
        lambda context: (
            ""
            if context.scene.thunder.head or context.object
            else "No character is selected: choose its face or its armature"
        ),
    )

    def act(self, context: bpy.types.Context):
        """Change the character's face, or the object that represents it."""
        return self.change(context, mapping_table.face(context.scene, context.object))

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> str | None:
        """Change that object; the sentence to report, or None. Raises ThunderError."""
        raise NotImplementedError


# ---- what the work is done on


def shown_take_and_rig(context: bpy.types.Context):
    """The shown take's entry and rig. Raises BadHead."""
    entry = take_list.shown_take(context.scene.thunder)
    return entry, take_list.rig_of(context.scene, entry)


def chosen_head(context: bpy.types.Context) -> head.Rig:
    """The head chosen in the Thunder tab. Raises ThunderError."""
    return head.find(context.scene, head.active_object(context))


def keep_alive(items: Callable) -> Callable:
    """The callback `items` of an EnumProperty, with its last texts kept alive: Blender keeps no
    copy of them."""
    kept: list = []

    def callback(self: bpy.types.OperatorProperties, context: bpy.types.Context):
        kept[:] = items(self, context)
        return kept

    return callback


TICK_SECONDS, WAIT_SECONDS = 0.01, 0.05
# progress is shown so seldom that drawing it takes at most this share of the time, but at least
# every so many seconds
SHARE_OF_DRAWING, LONGEST_UNSHOWN = 0.2, 2.0
# that a click or key may wait for data that the work holds; then it is dropped
INPUT_SECONDS = 0.5


def _is_undo_key(context: bpy.types.Context, event: bpy.types.Event) -> bool:
    """Whether an event is the animator's key for undo or redo."""
    keymap = context.window_manager.keyconfigs.user.keymaps.get("Screen")
    item = keymap.keymap_items.match_event(event) if keymap is not None else None
    return item is not None and item.idname in ("ed.undo", "ed.redo")


class SlicedWork(HasObstacles):
    """An operator whose `begin(context)` gives (title, job): modal in a window, blocking without
    one.

    job: a Generator[Step, None, T], whose value is passed to `finish(context, value)`, which
    reports what `outcome` says of it.

    Everything is one undo step, made when the work is over. An error is one sentence and changes
    nothing except what `changed_so_far` tells. An undo or redo meanwhile cancels the work unless
    `survives_undo` is set.

    tick: seconds between looks at the work.  wait: between slices of work that waits for something
    else.  show_every: between status texts, at least, because each one redraws the window.
    editors: types of areas that are drawn again with them.
    """

    bl_options = {"UNDO"}  # without REGISTER, because Repeat Last would block the window
    obstacles: Obstacles = (why_busy,)
    survives_undo = False
    tick, wait, show_every = TICK_SECONDS, WAIT_SECONDS, 0.25
    left_at, next_shown, was_shown = 0.0, 0.0, False
    editors: tuple[str, ...] = ()
    timer: bpy.types.Timer | None = None

    def begin(self, context: bpy.types.Context) -> tuple[str, Generator[jobs.Step, None, Any]]:
        """The title of the work, and its steps. Raises ThunderError."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context):
        try:
            dialogue.follow(context.scene)  # the panel may not have been drawn since
            return self.finish(context, jobs.run_through(*self.begin(context))) or {"FINISHED"}
        except Exception as error:
            return self.fail(error)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if bpy.app.background or context.window is None:
            return self.execute(context)
        return self.start(context)

    def start(self, context: bpy.types.Context):
        """Begin the work, which goes on while the window is used."""
        try:
            dialogue.follow(context.scene)
            jobs.begin(*self.begin(context), self.survives_undo)
        except Exception as error:
            jobs.end_job()
            return self.fail(error)
        self.timer = context.window_manager.event_timer_add(self.tick, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event):
        if jobs.session.job is None:  # the add-on was disabled meanwhile
            self.cancel(context)
            return {"CANCELLED"}
        if (
            event.type == "ESC"
            and event.value == "PRESS"
            and not (context.screen is not None and context.screen.is_animation_playing)
        ):
            jobs.session.job.stop_requested = True
            return {"RUNNING_MODAL"}
        away, seconds = time.monotonic() - self.left_at, None
        if event.type == "TIMER":
            if not jobs.session.job.step.busy and away < self.wait:
                return {"PASS_THROUGH"}
        else:
            # While the work holds data between two slices, an edit could remove them: it first goes
            # on until it lets go of them. Before an undo it does so itself, and the mouse must move
            # for buttons to know what a click is for.
            if (
                not jobs.session.job.step.busy
                or event.type == "MOUSEMOVE"
                or _is_undo_key(context, event)
            ):
                return {"PASS_THROUGH"}
            if event.value != "PRESS":
                return {"RUNNING_MODAL"}
            seconds = INPUT_SECONDS
        try:
            if jobs.session.job.advance(seconds):
                value = jobs.session.job.value
                self.cancel(context)
                return self.finish(context, value) or {"FINISHED"}
        except Exception as error:
            self.cancel(context)
            return self.fail(error)
        self.show_progress(context, away)
        self.left_at = time.monotonic()
        return {"RUNNING_MODAL" if jobs.session.job.step.busy else "PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Remove the timer and the text in the status bar. Blender calls it where it ends the
        operator itself: another file is opened or the window closes."""
        if getattr(self, "timer", None) is not None:
            context.window_manager.event_timer_remove(self.timer)
            self.timer = None
        if context.workspace is not None:
            context.workspace.status_text_set(None)
        jobs.end_job()

    def show_progress(self, context: bpy.types.Context, away: float) -> None:
        """Show how far the job is in the status bar and the panels, every `show_every`. away:
        seconds since the last slice, in which Blender has drawn what was shown then."""
        now = time.monotonic()
        if self.was_shown and away > WAIT_SECONDS:  # it took long
            self.next_shown = max(
                self.next_shown, now + min(away / SHARE_OF_DRAWING, LONGEST_UNSHOWN)
            )
        self.was_shown = False
        if now < self.next_shown:
            return
        self.next_shown, self.was_shown = now + self.show_every, True
        if (job := jobs.session.job) is not None:
            context.workspace.status_text_set(self.status(job))
        jobs.redraw(self.editors)

    def status(self, job: jobs.Job) -> str:
        """What the status bar says."""
        parts = f"{job.step.fraction:.0%}", translated(job.time_left)
        return (
            f"{translated(job.title)}: {translated(job.step.message)} "
            f"({', '.join(filter(None, parts))}) · {translated('Esc cancels')}"
        )

    def fail(self, error: Exception):
        """Report an error as one sentence; returns the operator's result."""
        if isinstance(error, Cancelled):
            self.tell({"INFO"}, str(error))
        else:
            problem_report.note(self.bl_label, error)
            sentence = str(error)
            if not isinstance(error, ThunderError):  # a bug: the console gets the traceback
                traceback.print_exception(error)
                sentence = (
                    f"Unexpected error ({type(error).__name__}): see the console or use "
                    f"Report a Problem"
                )
            self.tell({"ERROR"}, sentence)
        changed = self.changed_so_far
        if not changed or isinstance(error, CancelledByUndo):  # an undo takes it back
            return {"CANCELLED"}
        self.tell({"WARNING"}, f"Stopped: {changed}")
        return {"FINISHED"}

    @property
    def changed_so_far(self) -> str:
        """What the work has changed, in words; it stays, as one undo step, if the work stops early.
        "" for nothing."""
        return ""

    def finish(self, context: bpy.types.Context, value: Any) -> set[str] | None:
        """Report what the job returned; returns the operator's result if it is not FINISHED."""
        if sentence := self.outcome(value):
            self.tell({"INFO"}, sentence)
        return None

    def outcome(self, value: Any) -> str:
        """The sentence to report about the job's value, "" for none."""
        return ""


class FileWork(ChoosesFile, SlicedWork):
    """A SlicedWork on a file that is chosen in the file browser, unless it was dropped or named."""

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        return (SlicedWork if self.filepath else ChoosesFile).invoke(self, context, event)

    def execute(self, context: bpy.types.Context):
        if bpy.app.background or context.window is None:
            return super().execute(context)
        return self.start(context)  # after the file browser


class PartialResults(SlicedWork):
    """A SlicedWork that makes takes as its `how` says: if stopped or failed, those in `takes` stay
    in the list. Undo and redo go past it.

    said: sentences for its end.
    """

    survives_undo = True

    def how(
        self,
        context: bpy.types.Context,
        takes: int,
        seed: Callable = seeds.with_unused,
        **more: Any,
    ) -> How:
        """How so many takes are made. seed: as of `How`.  more: of the request."""
        self.takes: list[keying.TakeData] = []
        self.said: list[str] = []
        self.requested = takes
        request = Request.of(context.scene.thunder, takes=takes, **more)
        return How(request, seed, on_take=self.takes.append, said=self.said)

    def finish(self, context: bpy.types.Context, takes: Sequence[keying.TakeData]) -> None:
        """Report what the job returned, and what is to be said at its end."""
        super().finish(context, takes)
        self.warn(self.said)

    @property
    def changed_so_far(self) -> str:
        # An undo beyond the start takes the list along. Those of a head that was removed are in the
        # undo step of that.
        scene = bpy.context.scene
        listed = {
            entry.seed
            for entry in scene.thunder.takes
            if entry.head is not None and entry.head.name in scene.objects
        }
        count = sum(take.seed in listed for take in getattr(self, "takes", ()))
        return f"{count} of {self.requested} takes kept in the list" if count else ""


class THUNDER_OT_cancel(InstantWork, bpy.types.Operator):
    """Cancel the running operation. Finished takes are kept, everything else stays as it was"""

    bl_options = {"INTERNAL"}
    obstacles: Obstacles = (lambda _: "Nothing is running" if jobs.session.job is None else "",)

    def act(self, context: bpy.types.Context) -> None:
        if jobs.session.job is not None:
            jobs.session.job.stop_requested = True


class THUNDER_OT_report_problem(InstantWork, bpy.types.Operator):
    """Copy versions, settings and where in the add-on the last error arose, without names, paths
    and messages, to the clipboard. Nothing is sent"""

    bl_label = "Report a Problem"

    def act(self, context: bpy.types.Context):
        text = bpy.data.texts.get(problem_report.TEXT) or bpy.data.texts.new(problem_report.TEXT)
        words = problem_report.text(context)
        text.clear()
        text.write(words)
        text.cursor_set(0)
        context.window_manager.clipboard = words
        return (
            f"Report copied to the clipboard and saved as the text “{problem_report.TEXT}” in "
            f"this file: read it before you paste it"
        )
