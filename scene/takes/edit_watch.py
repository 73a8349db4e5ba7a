# SPDX-License-Identifier: GPL-3.0-or-later
"""Which takes were edited, found out a little at a time after an edit, so that the list can show it at no cost."""

from __future__ import annotations

import hashlib
import time

import bpy
from bpy.app.handlers import persistent

from ..animation import display, keying
from ..host import compat, handlers, jobs

QUIET_SECONDS = 0.6  # after the last edit: while a key is dragged nothing is looked at
SLICE_SECONDS = 0.02
PAUSE_SECONDS = 0.08

_edited: dict[int, bool] = {}  # by the action's session id
_waiting: dict[int, None] = {}  # actions to look at, in order
_look: _Look | None = None
_changed_at = 0.0


def is_known(entry) -> bool:
    """Whether a take is known to be edited: what the list shows. False until somebody has looked."""
    return any(_edited.get(action.session_uid, False) for action in display.actions_of(entry))


class _Look:
    """The fingerprint of one action, curve by curve. Keeps no pointer into the file: an undo may come between."""

    def __init__(self, uid: int):
        self.uid, self.place, self.digest = uid, 0, hashlib.sha256()

    def advance(self, action, seconds: float) -> bool:
        """Go on for about so long; True when all curves are in."""
        end = time.monotonic() + seconds
        curves = compat.all_curves(action)
        while self.place < len(curves):
            keying.add_to_print(self.digest, curves[self.place])
            self.place += 1
            if time.monotonic() >= end:
                break
        return self.place >= len(curves)


def _of_takes() -> dict[int, bpy.types.Action]:
    return {
        action.session_uid: action for scene in bpy.data.scenes for entry in scene.thunder.takes for action in display.actions_of(entry)
    }


def look_at(uids) -> None:
    """Have actions looked at when it is quiet."""
    global _changed_at, _look
    for uid in uids:
        _waiting.pop(uid, None)
        _waiting[uid] = None
        if _look is not None and _look.uid == uid:
            _look = None
    _changed_at = time.monotonic()
    if _waiting and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=QUIET_SECONDS)


def _tick():
    global _look
    quiet = QUIET_SECONDS - (time.monotonic() - _changed_at)
    if quiet > 0:
        return quiet
    if not _waiting and _look is None:
        return None
    there = _of_takes()
    if _look is None:
        uid = next(iter(_waiting))
        del _waiting[uid]
        _look = _Look(uid)
    action = there.get(_look.uid)
    if action is None:  # gone, or no take
        _edited.pop(_look.uid, None)
        _look = None
    elif _look.advance(action, SLICE_SECONDS):
        about = action.get(keying.PROPERTY)
        now = about is None or about.get("checksum") != _look.digest.hexdigest()[: keying.PRINT_LENGTH]
        if _edited.get(_look.uid, False) != now:
            _edited[_look.uid] = now
            jobs.redraw()
        _look = None
    return PAUSE_SECONDS if _waiting or _look is not None else None


@persistent
def _on_change(scene, depsgraph):
    uids = [update.id.original.session_uid for update in depsgraph.updates if isinstance(update.id, bpy.types.Action)]
    if uids:
        there = _of_takes()
        look_at([uid for uid in uids if uid in there])


@persistent
def _on_undo(*_):
    there = _of_takes()
    shown = [head.shown.session_uid for scene in bpy.data.scenes for head in scene.thunder.heads if head.shown is not None]
    look_at([uid for uid in (*shown, *_edited) if uid in there])


@persistent
def _on_load(*_):
    global _look
    _edited.clear()
    _waiting.clear()
    _look = None
    look_at(_of_takes())


_HANDLERS = (("depsgraph_update_post", _on_change), ("undo_post", _on_undo), ("redo_post", _on_undo), ("load_post", _on_load))


def register():
    handlers.add(_HANDLERS)


def unregister():
    global _look
    handlers.remove(_HANDLERS)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    _edited.clear()
    _waiting.clear()
    _look = None
