# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an action is still as a commit left it; if so, the stored copies of it hold all of the animator's work."""

from __future__ import annotations

import zlib

import numpy as np

from ...animation import fcurves
from ...host import compat

PROPERTY = "thunder_as_committed"  # custom property of an action: checksum of its curves after the last commit to it
_NOT_EDITED = ("is_valid", "rna_type", "show_expanded", "active")  # properties of a modifier that do not affect the curve


def remember(action) -> None:
    """Note that an action is as a commit left it."""
    action[PROPERTY] = _sum(action)


def is_as_committed(action) -> bool:
    """Whether an action's curves and pose markers are unchanged since the last commit to it."""
    return action.get(PROPERTY) == _sum(action)


def _sum(action) -> str:
    """A sum of an action's curves: keys, handles, modifiers; and of its pose markers."""
    total = 0
    for curve in compat.all_curves(action):
        modifiers = [
            (name, _plain(getattr(modifier, name)))
            for modifier in curve.modifiers
            for name in sorted(prop.identifier for prop in modifier.bl_rna.properties)
            if name not in _NOT_EDITED
        ]
        about = (curve.data_path, curve.array_index, curve.extrapolation, curve.mute, curve.group.name if curve.group else "", modifiers)
        total = zlib.crc32(repr(about).encode(), total)
        for part in fcurves.read(curve).values():
            total = zlib.crc32(np.ascontiguousarray(part).tobytes(), total)
    markers = [(marker.name, marker.frame) for marker in action.pose_markers]
    return f"{zlib.crc32(repr(markers).encode(), total):08x}"


def _plain(value):
    """A setting as a value that is written out the same each time."""
    if hasattr(value, "bl_rna"):
        return ""
    if hasattr(value, "foreach_get") and hasattr(next(iter(value), None), "frame"):  # points of an envelope
        return [(point.frame, point.min, point.max) for point in value]
    return tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value
