# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds or removes closures of a take by hand, under the shape that the take has."""

from __future__ import annotations

from collections.abc import Generator

from ...thunder_core.errors import BadRequest
from ...thunder_core.face import lip_closures
from ..heads import head
from .shape.applying import change


def close(rig: head.Rig, entry, frame: float) -> Generator[float, None, None]:
    """Close the lips of a take at a scene frame; yields progress. Raises BadRequest outside the take."""
    _check(entry, frame)
    yield from change(rig, entry, lambda motion, first: lip_closures.close(motion, head.channel_names(), frame - first))


def open_lips(rig: head.Rig, entry, frame: float) -> Generator[float, None, None]:
    """Remove the closure at a scene frame; yields progress. Raises BadRequest if there is none."""
    _check(entry, frame)
    yield from change(rig, entry, lambda motion, first: lip_closures.part_lips(motion, head.channel_names(), frame - first))


def _check(entry, frame: float) -> None:
    if not entry.first <= frame <= entry.last:
        raise BadRequest(f"Frame {frame:g} is outside the take: go to one of its frames {entry.first} to {entry.last}")
