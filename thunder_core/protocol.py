# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol between Blender and the engine: its version, its heartbeat, and names of events.

Standard library only; both sides import it. docs/reference/protocol.md describes the events.
"""

import json
from collections.abc import Mapping

from .channels import say_chosen

PROTOCOL = 6
HEARTBEAT = 0.5  # seconds between two heartbeats of a busy worker
# events before takes: one channel of the sound was chosen, nobody speaks in the sound, its text is
# another's, it is hard to understand, lips cannot follow the letters of its text
CHANNEL, UNSPOKEN, OTHER_TEXT, UNCLEAR = "channel", "unspoken", "other_text", "unclear"
OTHER_SCRIPT = "other_script"
NOTES = {
    UNSPOKEN: "Nobody speaks in “{}”, so its takes will show an idle face: if somebody should "
    "speak, choose another sound or Channel",
    OTHER_TEXT: "“{}” does not seem to say its transcript, so its takes are made without it: give "
    "all its words, from the first to the last",
    OTHER_SCRIPT: "Lips cannot follow the transcript of “{}”, because the letters of its alphabet "
    "are not known as sounds; they follow the voice alone: write what is said in Latin letters",
    UNCLEAR: "“{}” is hard to understand (noise, other voices or fast speech), so its takes may "
    "miss the same m, b, p, f and v: use a cleaner recording, or give its words with Add "
    "Transcript (in a bake: --transcript) and generate again",
}
SILENT = (
    "“{}” is silent, so its takes will show an idle face: if somebody should speak, turn up its "
    "volume, choose another sound or Channel"
)
SCORE = "score"  # event of a take that was sent before: its score
LEVEL = "level"  # event of a recording: how loud it is, and how long
QUIETEST = 2 / 32767  # peak of a sound in which nothing is; one bit of noise is nothing
CURVES = "curves"  # event of a live performance: frames of its motion
LOST, FULL = "lost", "full"  # why a recording ended by itself: no more sound, no more disk
ENDINGS = {
    LOST: "The microphone was unplugged or delivers no more sound",
    FULL: "The disk is full, so the recording has ended",
}
LONGEST_LINE = 2**24  # bytes; longer than any answer


def read_event(line: bytes) -> dict:
    """The event in a line of the worker's. Raises ValueError when the line holds none."""
    event = json.loads(line)
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise ValueError("not an event")
    return event


def note_of(event: Mapping, name: str) -> str:
    """What an event says of the voice of that name, a sentence; "" for nothing."""
    if event["event"] == CHANNEL:
        return say_chosen(name, event["channel"])
    return (SILENT if event.get("silent") else NOTES.get(event["event"], "")).format(name)
