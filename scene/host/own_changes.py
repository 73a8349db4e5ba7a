# SPDX-License-Identifier: GPL-3.0-or-later
"""Distinguishes properties that the add-on sets from those the animator sets: update functions ignore the former."""


class OwnChanges:
    """`with own_changes:` where the add-on sets properties; `if own_changes.active: return` in their update functions."""

    active = False

    def __enter__(self) -> None:
        self.active = True

    def __exit__(self, *_) -> None:
        self.active = False
