# SPDX-License-Identifier: GPL-3.0-or-later
"""State that lives between events and in no file: one object with the running job and a part for
each module.

Undo, redo and opening a file free Blender's data-blocks and read them again; using an old reference
to one, or to something in it, then crashes Blender. So all references are dropped before, in one
place: `Session.release`.
"""

from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

import bpy
from bpy.app.handlers import persistent

from . import handlers

if TYPE_CHECKING:
    from .jobs import Job


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

    def close(self) -> None:
        """Drop everything: the add-on is disabled."""
        self.file_opened()


class Memory(Part):
    """A dict of what was worked out from the file's data, by their session ids: empty again when
    another file is opened, which may have the same ids."""

    def __init__(self, known: dict | None = None):
        self.known = {} if known is None else known

    def file_opened(self) -> None:
        self.known.clear()


P = TypeVar("P", bound=Part)


class Session:
    """Everything the add-on remembers while it is enabled. A part may use those that were added
    before it."""

    def __init__(self):
        self.job: Job | None = None  # the long work that runs (jobs.py)
        # parts of long work that refer to Blender's data between steps, and begin again
        # (jobs.restart_after_undo)
        self.held: list[Generator] = []
        self.parts: list[Part] = []

    def add(self, part: P) -> P:
        """Hold a module's part; returns it."""
        self.parts.append(part)
        return part

    def release(self, why: str, may_go_on: bool) -> None:
        """Let go of all of Blender's data, which are about to be replaced. why: the reason, for a
        sentence.  may_go_on: whether work that looks its data up again goes on afterwards."""
        with ExitStack() as last_to_first:  # all of it, whatever one of them raises
            for part in self.parts:
                last_to_first.callback(part.release)
            if self.job is not None:
                last_to_first.callback(self.job.release, why, may_go_on, bool(self.held))
            for work in self.held:
                last_to_first.callback(work.close)

    def file_opened(self) -> None:
        """Let every part drop what belongs to the file that was open before."""
        for part in self.parts:
            part.file_opened()

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

    def __exit__(self, *_) -> None:
        self.active = False


@persistent
def _file_opened(*_):
    session.file_opened()


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

    def close(self) -> None:
        self.end()


_whole_file = session.add(_WholeFile())


def _before(why: str, may_go_on: bool):
    @persistent
    def release(*_):
        if session.job is not None and may_go_on:
            _whole_file.begin()
        session.release(why, may_go_on)

    return release


@persistent
def _after(*_):
    _whole_file.end()


_HANDLERS = (
    ("undo_pre", _before("a step was undone", may_go_on=True)),
    ("redo_pre", _before("a step was redone", may_go_on=True)),
    ("load_pre", _before("another file was opened", may_go_on=False)),
    ("undo_post", _after),
    ("redo_post", _after),
    ("load_post", _file_opened),
)


register, unregister = handlers.registration(_HANDLERS)
