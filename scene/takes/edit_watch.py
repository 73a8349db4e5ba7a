# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects edited takes in small steps after an edit, so that drawing the list costs nothing."""

import time

import bpy
from bpy.app.handlers import persistent

from ..animation import display, keying
from ..host import compat, handlers, idle, jobs
from ..host.session import Part, session

QUIET_SECONDS = 0.6  # delay after the last edit, so that nothing is checked while a key is dragged
PAUSE_SECONDS = 0.08


class _Look:
    """The fingerprint of one action, curve by curve. Keeps no pointer into the file: an undo may
    come between steps."""

    def __init__(self, uid: int, remembered: object):
        """remembered: the checksum that the action's take was keyed with."""
        self.uid, self.place, self.now = uid, 0, keying.Checksum(remembered)

    def advance(self, action, seconds: float) -> bool:
        """Continue for about `seconds`; True when all curves are included."""
        end = time.monotonic() + seconds
        curves = compat.all_curves(action)
        while self.place < len(curves):
            self.now.add(curves[self.place])
            self.place += 1
            if time.monotonic() >= end:
                break
        return self.place >= len(curves)


class EditWatch(Part):
    """Results for the takes' actions, by session id."""

    def __init__(self):
        self.edited: dict[int, bool] = {}
        self.waiting: dict[int, None] = {}  # actions to look at, in order
        self.look: _Look | None = None
        self.task = idle.Task(self.step)

    def is_edited(self, entry) -> bool:
        """Whether a take is known to be edited, for the list. False until it was examined."""
        return any(
            self.edited.get(action.session_uid, False) for action in display.actions_of(entry)
        )

    def look_at(self, uids) -> None:
        """Schedule actions for examination when Blender is idle."""
        for uid in uids:
            self.waiting.pop(uid, None)
            self.waiting[uid] = None
            if self.look is not None and self.look.uid == uid:
                self.look = None
        if self.waiting:
            self.task.postpone(QUIET_SECONDS)

    def step(self) -> float | None:
        """Examine some curves."""
        if self.look is None:
            if not self.waiting:
                return None
            uid = next(iter(self.waiting))
            del self.waiting[uid]
            self.look = _Look(uid, _checksum_of(_of_takes().get(uid)))
        look = self.look
        action = _of_takes().get(look.uid)
        if action is None:  # gone, or no take
            self.edited.pop(look.uid, None)
            self.look = None
        elif look.advance(action, idle.STEP_SECONDS):
            now = _checksum_of(action) is None or look.now.text != _checksum_of(action)
            if self.edited.get(look.uid, False) != now:
                self.edited[look.uid] = now
                jobs.redraw()
            self.look = None
        return PAUSE_SECONDS if self.waiting or self.look is not None else None

    def close(self) -> None:
        self.edited.clear()
        self.waiting.clear()
        self.look = None

    def file_opened(self) -> None:
        self.close()
        self.look_at(_of_takes())


watch = session.add(EditWatch())


def _checksum_of(action) -> object:
    """The checksum that the keys of a take's action had when it was keyed; None without one."""
    return keying.record_of(action).get("checksum")


def _of_takes() -> dict[int, bpy.types.Action]:
    return {
        action.session_uid: action
        for scene in bpy.data.scenes
        for entry in scene.thunder.takes
        for action in display.actions_of(entry)
    }


@persistent
def _on_change(scene, depsgraph):
    uids = [
        update.id.original.session_uid
        for update in depsgraph.updates
        if isinstance(update.id, bpy.types.Action)
    ]
    if uids:
        takes = _of_takes()
        watch.look_at([uid for uid in uids if uid in takes])


@persistent
def _on_undo(*_):
    takes = _of_takes()
    shown = [
        head.shown.session_uid
        for scene in bpy.data.scenes
        for head in scene.thunder.heads
        if head.shown is not None
    ]
    watch.look_at([uid for uid in (*shown, *watch.edited) if uid in takes])


register, unregister = handlers.registration(
    (("depsgraph_update_post", _on_change), ("undo_post", _on_undo), ("redo_post", _on_undo))
)
