# SPDX-License-Identifier: GPL-3.0-or-later
"""State that lives between events and in no file: one object with the running job and a part for each module."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bpy.app.handlers import persistent

from . import handlers

if TYPE_CHECKING:
    from .jobs import Job


class Part:
    """State that one module keeps between events; `session.add` it where the module is imported."""

    def file_opened(self) -> None:
        """Drop what belongs to the file that was open before."""

    def close(self) -> None:
        """Drop everything: the add-on is disabled."""
        self.file_opened()


P = TypeVar("P", bound=Part)


class Session:
    """Everything the add-on remembers while it is enabled. A part may use those that were added before it."""

    def __init__(self):
        self.job: Job | None = None  # the long work that runs (jobs.py)
        self.parts: list[Part] = []

    def add(self, part: P) -> P:
        """Hold a module's part; returns it."""
        self.parts.append(part)
        return part

    def file_opened(self) -> None:
        """Let every part drop what belongs to the file that was open before."""
        for part in self.parts:
            part.file_opened()

    def close(self) -> None:
        """Stop all work and clear all parts, last one first."""
        for part in reversed(self.parts):
            part.close()


session = Session()


@persistent
def _file_opened(*_):
    session.file_opened()


_HANDLERS = (("load_post", _file_opened),)


def register():
    """Watch for files being opened."""
    handlers.add(_HANDLERS)


def unregister():
    """Stop watching."""
    handlers.remove(_HANDLERS)
