# SPDX-License-Identifier: GPL-3.0-or-later
"""A small cache: a dict that forgets its oldest entry when it is full."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dict of at most `most` entries: a new one replaces the one that was added first. Reading
    does not make an entry newer."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def __setitem__(self, key: K, value: V) -> None:
        while key not in self and len(self) >= self.most:
            self.pop(next(iter(self)), None)  # another thread may have removed it meanwhile
        super().__setitem__(key, value)
