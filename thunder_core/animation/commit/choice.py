# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's choices for a commit, and the report of a finished one."""

from __future__ import annotations

from dataclasses import dataclass

from .. import placing
from ..poses import Column, poses_in, REGIONS
from . import line_records

_LONGEST_NAME = 32  # bytes of an action's name in a message


@dataclass(frozen=True)
class Choice:
    """The animator's choices: see ThunderCommit. first, last: committed scene frames of the take.

    regions: those of poses.REGIONS that are committed; others keep the animator's animation.  backup: whether
    My Action is copied first.
    """

    first: int
    last: int
    to: str = "COPY"
    how: str = "REPLACE"
    error: float = 0.6
    blend: int = 3
    keys: str = "POSES"
    regions: frozenset[str] = frozenset(REGIONS)
    markers: bool = False
    backup: bool = True

    @property
    def span(self) -> placing.Span:
        """The frames of the take, and those around it in which the animator's animation passes into it."""
        return placing.Span(self.first, self.last, self.blend)


@dataclass(frozen=True)
class Report:
    """The result of a commit.

    actions: names.  keys: number of new keys.  total: number of all keys in the actions.  key_frames: number of frames with a new
    key.  first, frames: first committed frame and their number.  poses: of the mouth, counted from the first frame; None unless
    keys are poses and the mouth is committed.  error: largest lip error in mm; None if every key was kept or the mouth is left out.
    edited: number of keys the animator had set or edited that this commit replaced.  earlier: action that still has them, or "".
    twice: the line, if it was added on top of itself.  stale: how the voice has changed since the take was made, or "".
    """

    actions: tuple[str, ...]
    keys: int
    total: int
    key_frames: int
    first: int
    frames: int
    poses: tuple[Column, ...] | None
    error: float | None
    edited: int = 0
    earlier: str = ""
    twice: str = ""
    stale: str = ""

    @property
    def sentence(self) -> str:
        """The message for the animator: short, or the status bar cuts it off."""
        keys = f"{self.keys} keys" if self.keys == self.total else f"{self.keys} new keys ({self.total} in all)"
        sentence = f"Committed to “{line_records.cut(self.actions[0], _LONGEST_NAME)}”: {keys} on {self.key_frames} of {self.frames} frames"
        if self.poses:
            sentence += f", {poses_in(self.poses)} mouth poses"
        return sentence if self.error is None else f"{sentence}, each lip within {self.error:.2f} mm"

    @property
    def warnings(self) -> list[str]:
        """Warnings for the animator: edited keys that were replaced, a line added twice, a take of a voice that has changed since."""
        twice = self.twice and (
            f"“{line_records.cut(self.twice, _LONGEST_NAME)}” was committed here before and is added to itself: undo, or use Replace"
        )
        return [*filter(None, (twice or edited_warning(self.edited, self.earlier), stale_warning(self.stale)))]


def stale_warning(stale: str) -> str:
    """A warning that a take was committed unchanged though its voice has changed since; "" if it has not."""
    return stale and f"{stale}; the take was committed as it was made: undo and press Re-sync to fit it"


def edited_warning(edited: int, earlier: str) -> str:
    """A warning about the number of the animator's keys that were replaced, and the action that still has them; "" for none."""
    if not edited:
        return ""
    keys = "1 key that you had set or edited was" if edited == 1 else f"{edited} keys that you had set or edited were"
    return f"{keys} replaced" + (f"; your action “{earlier}” still has {'it' if edited == 1 else 'them'}" if earlier else "")
