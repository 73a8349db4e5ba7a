# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs or lives between Blender's events, in this order: what a module adds to Blender while
the add-on is enabled; the session, with the running job and a part for each module; long jobs in
slices; and small tasks that run while nobody edits.

Undo, redo and opening a file free Blender's data-blocks and read them again; using an old reference
to one, or to something in it, then crashes Blender. So all references are dropped before, in one
place: `Session.release`. Of what an animator deletes or purges Blender tells nobody: a `Watch`
looks before each slice whether what work refers to is still there.

A job is a Generator[Step, None, T]: it yields Steps and returns its value; an operator's timer
advances it step by step, or it runs to its end without a window. Parts of it that report only how
far they are (thunder_core/progress.py) become Steps with `stage`. An undo or redo, by a key or a
script, ends a job with a sentence, since it may hold Blender's data. A job that survives
(`survives_undo`) holds them only within `restart_after_undo`, and looks them up again after it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass, replace
from inspect import get_annotations
from types import ModuleType
from typing import Any, cast, TypeVar

import bpy
from bpy.app.handlers import persistent

from ...thunder_core.errors import Cancelled, CancelledByUndo, ThunderError
from ...thunder_core.progress import map_progress, time_in_words
from . import compat, playback
from .language import CONTEXT, translated
from .redraw import forget, watch

P = TypeVar("P")
T = TypeVar("T")


def registration(
    handlers: tuple[tuple[str, Callable], ...] = (),
    properties: tuple[tuple[type, str, object], ...] = (),
    menus: tuple[tuple[str, object], ...] = (),
    keymap: str = "",
    keys: tuple[tuple[str, str, dict, dict], ...] = (),
    drawings: tuple[tuple[str, Callable, tuple, str], ...] = (),
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The functions `register` and `unregister` of a module.

    handlers: (name of the list in bpy.app.handlers, function).
    properties: (Blender's type that gets one, its name, the property).  menus: (Blender's menu or
    header, function that draws in it).
    keys: of Blender's keymap of the name `keymap`: (operator, event, more of the keymap item,
    properties of the operator).
    drawings: over what editors show: (Blender's space, function that draws, its arguments, when).
    """
    added = ExitStack()

    def register() -> None:
        for owner, name, prop in properties:
            setattr(owner, name, prop)
            added.callback(delattr, owner, name)
        for name, handler in handlers:
            added.enter_context(handled(name, handler))
        for name, draw in menus:
            menu = getattr(bpy.types, name)
            menu.append(draw)
            added.callback(menu.remove, draw)
        for space, draw, arguments, event in drawings if not bpy.app.background else ():
            kind = getattr(bpy.types, space)
            handle = kind.draw_handler_add(draw, arguments, "WINDOW", event)
            added.callback(kind.draw_handler_remove, handle, "WINDOW")
        configuration = bpy.context.window_manager.keyconfigs.addon if keys else None
        if configuration is None:  # Blender without a window has no keys
            return
        for operator, event, how, settings in keys:
            into = configuration.keymaps.new(keymap, space_type="EMPTY", region_type="WINDOW")
            item = into.keymap_items.new(operator, cast(Any, event), **how)
            for name, setting in settings.items():
                setattr(item.properties, name, setting)
            added.callback(into.keymap_items.remove, item)

    return register, added.close


@contextmanager
def handled(name: str, handler: Callable):
    """Have Blender call a function while the block runs. name: of the list in
    bpy.app.handlers."""
    functions = getattr(bpy.app.handlers, name)
    functions.append(handler)
    try:
        yield
    finally:
        if handler in functions:  # Blender drops others than persistent ones with the file
            functions.remove(handler)


def classes_of(module: ModuleType) -> list[type]:
    """The operators, panels and so on that a module defines, in its order."""
    types = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, bpy.types.bpy_struct)
    ]
    return [each for each in types if each.__module__ == module.__name__]


def add_module(module: ModuleType) -> None:
    """Register a module's classes, then call its `register` if it adds anything else."""
    for cls in classes_of(module):
        for prop in (prop for base in cls.__mro__ for prop in get_annotations(base).values()):
            if hasattr(prop, "keywords"):  # a property: its words have our sense, not Blender's
                prop.keywords.setdefault("translation_context", CONTEXT)
        watch(cls)
        bpy.utils.register_class(cls)
    if hasattr(module, "register"):
        module.register()


def remove_module(module: ModuleType) -> None:
    """Undo `add_module`."""
    if hasattr(module, "unregister"):
        module.unregister()
    for cls in reversed(classes_of(module)):
        bpy.utils.unregister_class(cls)


class Part:
    """State that one module keeps between events; `session.add` it where the module is imported.

    It holds names and session ids of data-blocks, and looks them up, or drops what refers to them
    in `release`.
    """

    def release(self) -> None:
        """Let go of all of Blender's data: an undo, a redo or another file is about to replace
        them."""

    def file_opened(self) -> None:
        """Drop what belongs to the file that was open before."""

    def undone(self) -> None:
        """Look at Blender's data again: a step was undone or redone."""

    def actions_edited(self, scene: bpy.types.Scene, uids: set[int]) -> None:
        """Keys of the actions with these session ids have changed."""

    def work_ended(self) -> None:
        """Long work has come to its end, was stopped or has failed."""

    def close(self) -> None:
        """Drop everything: the add-on is disabled."""
        self.file_opened()


class Memory(Part):
    """A dict of what was worked out from the file's data, by their session ids: empty again when
    another file is opened, which may have the same ids."""

    def __init__(self, known: dict | None = None) -> None:
        self.known = {} if known is None else known

    def file_opened(self) -> None:
        self.known.clear()


PartT = TypeVar("PartT", bound=Part)


class Session:
    """Everything the add-on remembers while it is enabled. A part may use those that were added
    before it."""

    def __init__(self) -> None:
        self.job: Job | None = None  # the long work that runs
        self.note = ""  # the last note of the last work, until other work begins
        self.next_note = ""  # of work that another file ends: shown in that file
        # parts of long work that refer to Blender's data between steps, and begin again
        # (jobs.restart_after_undo)
        self.held: set[Generator[Any, Any, Any]] = set()
        self.parts: list[Part] = []

    def add(self, part: PartT) -> PartT:
        """Hold a module's part; returns it."""
        self.parts.append(part)
        return part

    def release(self, why: str, may_go_on: bool) -> None:
        """Let go of all of Blender's data, which are about to be replaced. why: the reason, for a
        sentence.  may_go_on: whether work that looks its data up again goes on afterwards."""
        forget()
        with ExitStack() as last_to_first:  # all of it, whatever one of them raises
            for part in self.parts:
                last_to_first.callback(part.release)
            last_to_first.callback(self.release_job, why, may_go_on)

    def release_job(
        self, why: str, may_go_on: bool = True, kind: type[Cancelled] = CancelledByUndo
    ) -> None:
        """The same of the running job alone. kind: of the error that it ends with."""
        with ExitStack() as last_to_first:
            last_to_first.callback(self.held.clear)
            if self.job is not None:
                last_to_first.callback(self.job.release, why, may_go_on, bool(self.held), kind)
            for work in self.held:
                last_to_first.callback(work.close)

    def notify(self, event: str, *about: Any) -> None:
        """Call the method `event` of every part, whatever one of them raises."""
        with ExitStack() as last_to_first:
            for part in reversed(self.parts):
                last_to_first.callback(getattr(part, event), *about)

    def close(self) -> None:
        """Stop all work and clear all parts, last one first."""
        for part in reversed(self.parts):
            part.close()


session = Session()


class AddonChanges:
    """`with addon_changes:` where the add-on sets properties; `if addon_changes.active: return` in
    the update functions for the animator's changes."""

    active = False

    def __enter__(self) -> None:
        self.active = True

    def __exit__(self, *_: object) -> None:
        self.active = False


@persistent
def _file_opened(*_: object) -> None:
    session.note, session.next_note = session.next_note, ""
    session.notify("file_opened")


class _WholeFile(Part):
    """Lets Blender read the whole file at an undo or redo that comes while a job runs.

    Otherwise Blender keeps data-blocks that are the same in both steps as they are now. A job has
    changed them since the last step, for example put a take on a head that no step contains: the
    head would then refer to an action that is freed.

    kept: the user's preferences meanwhile, None while they are as they were.
    """

    kept: tuple[bool, bool, bool] | None = None

    def begin(self) -> None:
        preferences = bpy.context.preferences
        if self.kept is None:
            self.kept = (
                preferences.view.show_developer_ui,
                preferences.experimental.use_undo_legacy,
                preferences.is_dirty,
            )
        preferences.view.show_developer_ui = preferences.experimental.use_undo_legacy = True

    def end(self) -> None:
        preferences = bpy.context.preferences
        if self.kept is not None:
            (
                preferences.view.show_developer_ui,
                preferences.experimental.use_undo_legacy,
                preferences.is_dirty,
            ) = self.kept
        self.kept = None

    close = end


_whole_file = session.add(_WholeFile())


def _before(why: str, may_go_on: bool):
    @persistent
    def release(*_: object) -> None:
        if session.job is not None and may_go_on:
            _whole_file.begin()
        session.release(why, may_go_on)

    return release


@persistent
def _after(*_: object) -> None:
    _whole_file.end()
    session.notify("undone")


@persistent
def _changed(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    forget()
    ids = (update.id for update in depsgraph.updates)
    actions = [each.original for each in ids if isinstance(each, bpy.types.Action)]
    if uids := {each.session_uid for each in actions if each is not None}:
        session.notify("actions_edited", scene, uids)


register, unregister = registration(
    (
        ("undo_pre", _before("a step was undone", may_go_on=True)),
        ("redo_pre", _before("a step was redone", may_go_on=True)),
        ("load_pre", _before("another file was opened", may_go_on=False)),
        ("undo_post", _after),
        ("redo_post", _after),
        ("load_post", _file_opened),
        ("depsgraph_update_post", _changed),
    )
)


# work per timer call, plus at most one step: Blender must not block for more than 50 ms
SLICE_SECONDS = 0.018
# editors with curves and words over their frames
TIMELINES = ("SEQUENCE_EDITOR", "DOPESHEET_EDITOR")
# and with what keys move: Blender draws none of them again because a script wrote keys
OF_KEYS = (*TIMELINES, "GRAPH_EDITOR", "VIEW_3D")
# limit for a busy step plus the longest step so far; the window's events wait during it anyway
BUSY_SECONDS = 0.04


@dataclass(frozen=True)
class Step:
    """Progress of a job. busy: the job holds Blender data until the next step, so a click or
    key waits for one that does not.
    begins: a new kind of work starts here; its pace is estimated anew.  note: a sentence that the
    animator should know while the job runs.  falls: the fraction is a level, which falls too, and
    the job waits for the next one.
    """

    fraction: float
    message: str
    busy: bool = False
    begins: bool = False
    note: str | None = None
    falls: bool = False


def stage(
    work: Generator[float, None, T],
    message: str,
    start: float = 0.0,
    end: float = 1.0,
    busy: bool = True,
) -> Generator[Step, None, T]:
    """Work that yields its progress 0 … 1 as Steps of that message from fraction `start` to `end`.
    Returns its value."""
    return map_progress(
        work, lambda fraction: Step(start + fraction * (end - start), message, busy)
    )


def restart_after_undo(make: Callable[[], Generator[P, None, T]]) -> Generator[P, None, T]:
    """Work that refers to Blender's data between steps, in a job that survives an undo: the
    undo, or what is deleted meanwhile, closes the work, and make() begins it again with data that
    it looks up, or raises what is missing. Returns the value of the work."""
    failed = False
    while True:
        work = make()
        session.held.add(work)
        try:
            value = yield from work
            if work in session.held:  # else it was closed
                return value
        except ReferenceError:
            if failed:
                raise
            failed = True
        finally:
            session.held.discard(work)


class Watch:
    """Tells before a slice of work what was deleted since the last one: takes of a list, their
    heads, or actions and curves. A reference to a take or a curve that is gone crashes Blender; one
    to a data-block raises ReferenceError, but work is to end before it has done a part of it."""

    def __init__(self) -> None:
        self.before: dict[int, tuple] = {}

    def look(self, holds: bool = True) -> None:
        """Remember where all these are, or nothing if the work holds none of them."""
        self.before = self._places() if holds else {}

    def lost(self) -> str:
        """The reason why the work cannot go on, "" if it can."""
        now = self._places() if self.before else {}
        for uid, (name, count, place) in self.before.items():
            there = now.get(uid)
            if there is None or there[1] < count or there[2] != place:
                return f"“{name}” was deleted or changed"
        return ""

    @staticmethod
    def _places() -> dict[int, tuple]:
        """(name, number of parts, which and where they are) by session ids. Actions that nothing
        uses are left out: no work holds them, and they are purged."""
        places: dict[int, tuple] = {}
        for scene in bpy.data.scenes:
            takes = [
                (entry.as_pointer(), entry.action.session_uid if entry.action else 0)
                for entry in scene.thunder.takes
            ]
            places[scene.session_uid] = scene.name, 0, takes
            faces = {entry.head for entry in scene.thunder.takes if entry.head is not None}
            for face in faces:
                keys = getattr(face.data, "shape_keys", None)
                rigs = [each.session_uid for each in (face.parent, keys) if each is not None]
                places[face.session_uid] = face.name, len(keys.key_blocks) if keys else 0, rigs
        for action in bpy.data.actions:
            if action.session_uid in compat.given and action.users:
                places[action.session_uid] = action.name, *compat.place_of_curves(action)
        return places


_PARTS: dict[str, str] = {
    "scenes": "", "objects": "modifiers", "meshes": "vertices", "armatures": "bones",
    "shape_keys": "key_blocks", "actions": "", "sounds": "", "cameras": "",
}  # fmt: skip


def _sizes(kinds: Iterable[str] = _PARTS) -> dict[int, int]:
    """The number of parts of each data-block that work may use, by session ids; a mesh has its
    shape keys too."""
    sizes = {
        block.session_uid: len(getattr(block, _PARTS[kind])) if _PARTS[kind] else 0
        for kind in kinds
        for block in getattr(bpy.data, kind)
    }
    for mesh in bpy.data.meshes if "meshes" in kinds else ():
        if mesh.shape_keys is not None:
            sizes[mesh.session_uid] += len(mesh.shape_keys.key_blocks)
    return sizes


_GROWS = ("objects", "meshes", "armatures")  # to which work may add parts


class Recent(dict):
    """A dict of at most `most` entries: a new one replaces the one that was added first. Reading
    does not make an entry newer."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: Any, value: Any) -> None:
        while key not in self and len(self) >= self.most:
            self.pop(next(iter(self)), None)  # another thread may have removed it meanwhile
        super().__setitem__(key, value)


MARKS, MARK_SECONDS = 12, 2.0  # of the progress by which the pace is measured, and their distance
STEADY = 1.6  # factor by which the pace since the middle one may differ: else nobody knows it


class Pace:
    """Speed of work lately: what comes before its first progress, such as loading a model, does not
    count, nor does what was done long ago."""

    def __init__(self, fraction: float = 0.0) -> None:
        self.began = fraction
        self.marks: deque[tuple[float, float]] = deque(maxlen=MARKS)  # when, and fraction

    def note(self, fraction: float) -> None:
        """Remember how far it is now."""
        last = self.marks[-1] if self.marks else (-MARK_SECONDS, self.began)
        if fraction > last[1] and time.monotonic() - last[0] >= MARK_SECONDS:
            self.marks.append((time.monotonic(), fraction))

    def seconds_left(self, fraction: float) -> float | None:
        """Seconds that the rest will take at this pace; None while it is too early to know, or the
        pace changes."""
        if not self.marks:
            return None
        (since, at), (lately, there) = self.marks[0], self.marks[len(self.marks) // 2]
        now = time.monotonic()
        if now - since < 1.0 or fraction - at < 0.02:
            return None
        pace = (fraction - at) / (now - since)
        if (
            now - lately >= MARK_SECONDS
            and not 1 / STEADY < (fraction - there) / (now - lately) / pace < STEADY
        ):
            return None
        return (1.0 - fraction) / pace

    def time_left(self, fraction: float) -> str:
        """The same in words; "" while it is too early."""
        seconds = self.seconds_left(fraction)
        return "" if seconds is None else time_in_words(seconds)


class Job:
    """A running generator of Steps; at most one runs in a session (session.job).

    survives_undo: whether it goes on after an undo or redo; otherwise that cancels it.  over:
    whether the generator has ended, and value: what it returned.
    note: the last note of a step, "" before there is one.
    """

    def __init__(
        self, title: str, steps: Generator[Step, None, object], survives_undo: bool = False
    ) -> None:
        self.title, self.steps, self.survives_undo = title, steps, survives_undo
        self.undone: Cancelled | None = None
        self.over, self.value = False, None  # type: bool, object
        self.step, self.note = Step(0.0, title), ""
        self.started = time.monotonic()
        self.pace = Pace()
        self.stop_requested = False
        self.longest = 0.0  # seconds of a step
        self.watch, self.sizes = Watch(), _sizes()
        compat.given.clear()
        self.watch.look()  # the generator was given data, and does not run yet

    @property
    def time_left(self) -> str:
        """A guess in words: “12 s left”; "" while it is too early."""
        return self.pace.time_left(self.step.fraction)

    def advance(self, seconds: float | None = None, is_alone: bool = False) -> bool:
        """Run for about `seconds`, or as long as the window may be blocked. Returns whether the job
        is over.

        is_alone: nobody can delete anything before the next slice.
        """
        if seconds is None:
            seconds = (
                max(SLICE_SECONDS, BUSY_SECONDS - self.longest) if self.step.busy else SLICE_SECONDS
            )
        if self.undone is None and (why := self.watch.lost()):
            session.release_job(why, kind=Cancelled)
        now = time.monotonic()
        end = now + seconds
        while not self.over:
            if self.undone is not None:
                raise self.undone
            if self.stop_requested:
                self.close()
                raise Cancelled(f"{self.title} was cancelled")
            before = self.step
            try:
                step = next(self.steps)
            except StopIteration as stop:
                self.over, self.value = True, stop.value
                break
            except Exception as error:
                is_known = isinstance(error, ThunderError)
                if not is_known and (isinstance(error, ReferenceError) or self._has_lost()):
                    why = "something that it works on was deleted"
                    raise self._cancelled(Cancelled, why) from error
                raise
            # work that tries again, or begins again after an undo, tells less than before
            least = 0.0 if step.falls else before.fraction
            self.step = replace(step, fraction=max(step.fraction, least))
            self.note = self.note if self.step.note is None else self.step.note
            self.longest, now = max(self.longest, time.monotonic() - now), time.monotonic()
            if self.step.begins:
                self.pace = Pace(self.step.fraction)
            self.pace.note(self.step.fraction)
            # Steps that only wait for the engine end the slice at once, because there is nothing to
            # do. So does the first step that is no longer busy, because the animator's input has
            # been waiting.
            if now >= end or (not step.busy and (step.falls or self.step == before or before.busy)):
                break
        self.watch.look(self.step.busy and not self.over and not is_alone)
        self.sizes |= {
            uid: size for uid, size in _sizes(_GROWS).items() if size > self.sizes.get(uid, size)
        }
        return self.over

    def _has_lost(self) -> bool:
        """Whether a data-block, or a part of one, was deleted since the job began, or since it
        added the part."""
        now = _sizes()
        return any(now.get(uid, -1) < size for uid, size in self.sizes.items())

    def _cancelled(self, kind: type[Cancelled], why: str) -> Cancelled:
        return kind(f"{self.title} was cancelled, because {why}: start it again")

    def close(self) -> None:
        """Stop where it is; the generator's clean-up runs."""
        self.steps.close()

    def release(self, why: str, may_go_on: bool, renews: bool, kind: type[Cancelled]) -> None:
        """Blender's data are about to be replaced, or were deleted: stop, unless the job goes on
        afterwards. `advance` then raises the sentence.

        renews: whether what held them was closed and begins again.  kind: of the error."""
        if not (may_go_on and self.survives_undo and (renews or not self.step.busy)):
            self.undone = self._cancelled(kind, why)
            self.close()


def begin(title: str, steps: Generator[Step, None, object], survives_undo: bool = False) -> Job:
    """Make a job the one that runs (session.job); `end` must follow, whatever happens, also where
    this raises.

    survives_undo: as of `Job`. One that survives takes its first step here, in which it notes names
    of the data that it was given: an undo may come before the next.
    """
    session.job, session.note, session.next_note = Job(title, steps, survives_undo), "", ""
    job = session.job
    if survives_undo:
        job.advance(0.0)
    return job


def end_job() -> None:
    """Close the job that runs, if there is one."""
    if session.job is not None:
        session.job.close()
        session.note = session.job.note
        session.job = None
        session.notify("work_ended")
    redraw(OF_KEYS)


def run_through(
    title: str, steps: Generator[Step, None, T], on_step: Callable[[Step], None] | None = None
) -> T:
    """Run a job to its end, for Blender without a window. on_step gets every step with a note, and
    other steps that differ from the one before, at most two a second. Returns the job's value."""
    job = begin(title, steps)
    try:
        last, due = None, 0.0
        while not job.advance(0.0, is_alone=True):
            is_due = job.step != last and time.monotonic() >= due
            if on_step is not None and (is_due or job.step.note):
                on_step(job.step)
                last, due = job.step, time.monotonic() + 0.5
            time.sleep(0.0 if job.step.busy else 0.01)
        return cast(T, job.value)
    finally:
        end_job()


def pop_up_errors(function: Callable, *args: Any) -> None:
    """Call a function where no operator can report an error, because a property was set: then its
    sentence pops up."""
    try:
        function(*args)
    except ThunderError as error:
        if bpy.app.background:
            raise
        sentence = translated(str(error))
        bpy.context.window_manager.popup_menu(
            lambda menu, _: cast(Any, menu.layout).label(text=sentence),
            title="Thunder",
            icon="ERROR",
        )


def redraw(editors: tuple[str, ...] = ()) -> None:
    """Ask the sidebars and the preferences to show how far the work is. editors: types of areas
    that are drawn again too."""
    manager = getattr(bpy.context, "window_manager", None)
    for area in (
        area for window in (manager.windows if manager else ()) for area in window.screen.areas
    ):
        if area.type in editors:
            area.tag_redraw()
        for region in area.regions if area.type in ("VIEW_3D", "PREFERENCES") else ():
            if region.type == ("UI" if area.type == "VIEW_3D" else "WINDOW"):
                region.tag_redraw()


STEP_SECONDS = 0.02  # target length of a step
# pause between steps of different tasks, in which Blender draws and handles events
PAUSE_SECONDS = 0.01
LOOK_SECONDS = 0.3  # interval of checking whether playback or a job has ended


class Task(Part):
    """Work that is done when Blender is idle, a step at a time, by a timer of its own.

    step: does a little; returns the seconds until its next step, None when there is nothing left to
    do.
    any_time: also while the scene plays or a job runs.  any_file: continues when another file is
    opened.  due: time.monotonic() of the next step, None while there is nothing to do.
    """

    last_step = 0.0  # time.monotonic() at which the last step of any task ended

    def __init__(
        self, step: Callable[[], float | None], any_time: bool = False, any_file: bool = False
    ) -> None:
        self.step, self.any_time, self.any_file = step, any_time, any_file
        self.due: float | None = None
        self.timer = self.tick  # Blender knows a timer by this very object
        session.add(self)

    def start(self, seconds: float) -> None:
        """Schedule the task in `seconds`; a task already scheduled keeps its time."""
        if self.due is None:
            self.postpone(seconds)

    def postpone(self, seconds: float) -> None:
        """Schedule the task `seconds` from now, replacing an earlier time."""
        self.stop()
        self.due = time.monotonic() + seconds
        bpy.app.timers.register(self.timer, first_interval=seconds, persistent=True)

    def stop(self) -> None:
        """Forget it until it is started again."""
        self.due = None
        if bpy.app.timers.is_registered(self.timer):
            bpy.app.timers.unregister(self.timer)

    def tick(self) -> float | None:
        """Called by Blender's timer: do a step. Returns the seconds until the next call, None for
        no more."""
        if not self.any_time and (session.job is not None or playback.is_on()):
            return LOOK_SECONDS
        if time.monotonic() - Task.last_step < PAUSE_SECONDS:
            return PAUSE_SECONDS
        self.due = None
        forget()
        try:
            pause = self.step()
        finally:
            Task.last_step = time.monotonic()
        if pause is None or self.due is not None:
            return None
        # longer than another task waits for its turn
        pause = max(pause, 2 * PAUSE_SECONDS)
        self.due = time.monotonic() + pause
        return pause

    def file_opened(self) -> None:
        if not self.any_file:
            self.stop()

    close = stop
