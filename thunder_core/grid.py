# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on which poses and drawings are held: ones, twos or threes."""

from typing import NamedTuple

import numpy as np


class Grid(NamedTuple):
    """Every `step`th frame from `origin`, the scene's first, so that all lines, heads and drawings
    share it."""

    origin: int
    step: int

    def place(self, frames: np.ndarray) -> np.ndarray:
        """The number of the frame of the grid that is held on each frame."""
        return (frames - self.origin) // self.step

    def since(self, frame: int) -> int:
        """Frames from the last one of the grid to this one."""
        return (frame - self.origin) % self.step

    def until(self, frame: int) -> int:
        """Frames from this one to the next one of the grid."""
        return (self.origin - frame) % self.step

    def within(self, first: int, last: int) -> tuple[int, int]:
        """The first and the last frame of the grid from frame `first` to `last`."""
        first += self.until(first)
        return first, max(first, last - self.since(last))
