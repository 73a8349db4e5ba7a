# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the actions of a commit, and which keys each line has put."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ....thunder_core.animation import keyframes
from ....thunder_core.animation.commit import line_keys, line_names
from .choice import Choice
from .new_keys import NewCurve


@dataclass(frozen=True)
class Naming:
    """Names for the actions of a commit: the lines of the action it goes into before it (None: an animator's own), and
    with the new line."""

    before: line_names.Lines | None
    lines: line_names.Lines

    @property
    def new(self) -> str:
        """Name of a new action."""
        return self.lines.name

    def of_copy(self, name: str) -> str:
        """Name of the copy of an action of that name."""
        return line_names.renamed(name, self.before, self.lines) or self.lines.name

    def in_place(self, name: str) -> str:
        """Name of an action that is changed in place; an animator's name is kept."""
        return line_names.renamed(name, self.before, self.lines) or name


def free_name(name: str, action=None) -> str:
    """A name that no other action than `action` has."""
    return line_names.free(name, {other.name for other in bpy.data.actions if other != action})


def named_after(choice: Choice, own_actions: list):
    """The animator's action whose lines a commit adds to, None if it begins a new one."""
    return next(filter(None, own_actions), None) if choice.to in ("COPY", "OWN") else None


def naming_of(line: str, of_line: Choice, choice: Choice, own_actions: list, earlier: list[line_names.Line]) -> Naming:
    """The names after a line is committed.

    of_line: the frames of the line itself.  choice: with the leads that it got.  earlier: commits of it that are replaced.
    """
    action = named_after(choice, own_actions)
    before = line_names.of(action)
    base = before or line_names.Lines(line_names.unnumbered(action.name) if action is not None else "")
    regions = choice.regions.union(*(old.regions for old in base.lines if (old.start, old.end) == (choice.first, choice.last)))
    new = line_names.Line(line, of_line.first, of_line.last, choice.first, choice.last, regions)
    base = base.without(earlier, regions)
    lines = base.with_line(new, choice.how, choice.span.end - choice.first)
    return Naming(before, lines)


def puts_after(
    before: dict[str, line_keys.LineKeys], line: str, naming: Naming, choice: Choice, written: list[list[NewCurve]]
) -> dict[str, line_keys.LineKeys]:
    """Keys written by each line, after this commit."""
    puts = dict(before)
    if choice.how == "INSERT":
        puts.pop(line, None)
        shift = choice.span.end - choice.first
        later = {old.name for old in naming.before.lines if old.first >= choice.first} if naming.before else set()
        puts = {name: put.later(shift) if name in later else put for name, put in puts.items()}
    none = keyframes.on_every_frame(np.zeros(0), np.zeros(0))
    # With Add the result includes the animator's own keys, so it is not only the line's.
    new = {
        line_keys.name_of(block, one.path, one.index): (
            one.keys,
            none if choice.how == "ADD" else one.inner,
            none if one.ends is None else one.ends,
        )
        for block, curves in enumerate(written)
        for one in curves
        if one.inner is not None
    }
    puts[line] = puts.get(line, line_keys.LineKeys()).with_keys(new)
    return puts
