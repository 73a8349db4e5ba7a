# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol between Blender and the engine: its version, its heartbeat, and names of events.

Standard library only; both sides import it. docs/reference/protocol.md describes the events.
"""

import json

PROTOCOL = 5
HEARTBEAT = 0.5  # seconds between two heartbeats of a busy worker
# events before takes: one channel of the sound was chosen, nobody speaks in the sound, its text is
# another's, it is hard to understand
CHANNEL, UNSPOKEN, OTHER_TEXT, UNCLEAR = "channel", "unspoken", "other_text", "unclear"
SCORE = "score"  # event of a take that was sent before: its score
LEVEL = "level"  # event of a recording: how loud it is, and how long
LOST, FULL = "lost", "full"  # why a recording ended by itself: no more sound, no more disk
LONGEST_LINE = 2**24  # bytes; longer than any answer


def read_event(line: bytes) -> dict:
    """The event in a line of the worker's. Raises ValueError when the line holds none."""
    event = json.loads(line)
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise ValueError("not an event")
    return event
