# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells properties that we set ourselves from those the animator sets: the update function of the former has nothing to do."""

from __future__ import annotations


class OwnChanges:
    """`with own_changes:` around what we set; `if own_changes.active: return` in the properties' update function."""

    def __init__(self):
        self.active = False

    def __enter__(self) -> None:
        self.active = True

    def __exit__(self, *_) -> None:
        self.active = False
