# SPDX-License-Identifier: GPL-3.0-or-later
"""Building blocks of sessions that press keys in the middle of long work: an engine at a pace, the
work's end, what may not be lost."""

import time
from dataclasses import dataclass, field

import bpy
from played_engine import Asked, PlayedClient
from thunder.operators import base
from thunder.scene.animation import display, keying
from thunder.scene.engine import connection
from thunder.scene.host import jobs
from thunder.thunder_core.errors import BadRequest, ThunderError

KEYS = {
    "undo": {"key": "Z", "ctrl": True},
    "redo": {"key": "Z", "ctrl": True, "shift": True},
    "escape": {"key": "ESC"},
}
_EVENT_SECONDS = 0.03  # between two events of the engine


class PacedClient(PlayedClient):
    """An engine without a process whose events come one by one, so that a window is drawn and keys
    are pressed between them."""

    running, pid = True, 0

    def request(self, verb, **args):
        unscored = {"event": "error", "error": BadRequest("This engine scores nothing")}
        asked = Asked([unscored]) if verb == "score" else super().request(verb, **args)
        poll, last = asked.poll, [time.monotonic()]

        def paced():
            if time.monotonic() - last[0] < _EVENT_SECONDS:
                return []
            last[0] = time.monotonic()
            return poll()

        asked.poll = paced
        return asked

    def close(self, *_):
        pass


def play_engine(hand):
    """Answer all requests without an engine's process, and advance work in small slices, so that
    keys come between them."""
    client = PacedClient(hand.folder)
    connection.client = lambda *_: client
    jobs.SLICE_SECONDS = jobs.BUSY_SECONDS = 0.008
    base.TICK_SECONDS = 0.01
    return client


@dataclass
class Ends:
    """How each job ended: "done", or the sentence. bugs: errors that are none of an animator's."""

    all: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)


def watch_ends():
    """The `Ends` of all jobs from now on."""
    ends, advance = Ends(), jobs.Job.advance

    def watched(self, *arguments):
        try:
            over = advance(self, *arguments)
        except Exception as error:
            ends.all.append(str(error))
            if not isinstance(error, ThunderError):
                ends.bugs.append(repr(error))
            raise
        if over:
            ends.all.append("done")
        return over

    jobs.Job.advance = watched
    return ends


def treasure(hand, by="session_uid"):
    """What may not be lost: of each take and each other action the name and the keys, by id, or by
    the action's name, which a file keeps."""
    scene = hand.scene
    takes = {
        getattr(entry.action, by): (
            entry.name,
            entry.voice,
            entry.star,
            keying.checksum_of(entry.action),
        )
        for entry in scene.thunder.takes
        if entry.action is not None
    }
    others = (
        action
        for action in bpy.data.actions
        if getattr(action, by) not in takes and not action.name.startswith(display.STILL_TRACK)
    )
    return {
        "takes": takes,
        "named": {take[:3]: take[:3] for take in takes.values()},
        "own": {getattr(action, by): keying.checksum_of(action) for action in others},
    }


def lost(before, after, of=("takes", "own")):
    """What of a treasure is not as it was."""
    return [
        f"{kind}: {value}"
        for kind in of
        for uid, value in before[kind].items()
        if after[kind].get(uid) != value
    ]
