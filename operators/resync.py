# SPDX-License-Identifier: GPL-3.0-or-later
"""Re-sync: make takes fit a voice that was moved, trimmed, replaced or retimed."""

import bpy

from ..scene.engine import connection
from ..scene.takes import resync
from ..scene.voice import fingerprint
from .slices import SlicedWork

_DONE = {
    "MOVED": "moved",
    "CUT": "shortened",
    "RATE": "converted to the scene's frame rate",
    "CHANGED": "resampled",
    "PIECE": "added for pieces of a cut strip",
}


class THUNDER_OT_resync(SlicedWork, bpy.types.Operator):
    """Update takes to match their voice: move or trim keys, and generate what is new. Edited takes are kept"""

    bl_idname = "thunder.resync"
    bl_label = "Re-sync"

    kinds = ()

    @classmethod
    def why_not(cls, context):
        if (busy := super().why_not(context)) or fingerprint.stale(context.scene):
            return busy
        gone = len(fingerprint.removed(context.scene))
        return f"The voice of {gone} takes is gone, all others match theirs" if gone else "All takes match their voice"

    def begin(self, context):
        client = connection.started() if resync.needs_engine(context.scene) else None
        self.kinds = []
        return "Re-syncing takes", resync.resync(client, context.scene, self.kinds)

    def outcome(self, value):
        return f"Re-synced takes: {self.changed_so_far}"

    @property
    def changed_so_far(self) -> str:
        return ", ".join(f"{self.kinds.count(kind)} {done}" for kind, done in _DONE.items() if kind in self.kinds)


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_resync,))
