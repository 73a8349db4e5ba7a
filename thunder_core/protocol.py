# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol between Blender and the engine: its version, its heartbeat, names of events, and
how the channel of a sound that is the voice is written.

Standard library only; both sides import it. docs/reference/protocol.md describes the events.
"""

import json
from collections.abc import Mapping

PROTOCOL = 6
HEARTBEAT = 0.5  # seconds between two heartbeats of a busy worker
# events before takes: one channel of the sound was chosen, nobody speaks in the sound, its text is
# another's, it is hard to understand, lips cannot follow the letters of its text, or its kanji
CHANNEL, UNSPOKEN, OTHER_TEXT, UNCLEAR = "channel", "unspoken", "other_text", "unclear"
OTHER_SCRIPT, KANJI = "other_script", "kanji"
SOUNDS = "sounds"  # what of a text is not read where espeak-ng cannot be used
NOTES = {
    UNSPOKEN: "Nobody speaks in “{}”, so its takes will show an idle face: if somebody should "
    "speak, choose another sound or Channel",
    OTHER_TEXT: "“{}” does not seem to say its transcript, so its takes are made without it: give "
    "all its words, from the first to the last",
    OTHER_SCRIPT: "Lips cannot follow the transcript of “{}”, because the letters of its alphabet "
    "are not known as sounds; they follow the voice alone: write what is said in Latin letters",
    KANJI: "The kanji of “{}” cannot be read yet, so lips follow its kana and the voice: install "
    "Kanji Reading in the preferences, or write in kana what is said",
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
AWAY = "The microphone delivers no sound; it is waited for: reconnect it, or wake it up"
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


# ---- which channel of a sound is the voice: None: automatic, 0 for the mean of all, 1 for
# the left, 2 for the right, n for the nth

MIX, LEFT, RIGHT = 0, 1, 2
MOST_CHANNELS = 64  # of a sound; no recorder has more
_CHANNELS = {"auto": None, "mix": MIX, "left": LEFT, "right": RIGHT}


def read_channel(value: object) -> int | None:
    """The number of “auto”, “mix”, “left”, “right” or n. Raises ValueError, the message being the
    end of a sentence."""
    if value is None or (isinstance(value, str) and value in _CHANNELS):
        return None if value is None else _CHANNELS[value]
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if type(number) is not int or not MIX <= number <= MOST_CHANNELS:
        raise ValueError(f"is none of {', '.join(_CHANNELS)} and 1 to {MOST_CHANNELS}")
    return number


def name_of(channel: int) -> str:
    """As a sentence names a single channel."""
    return {LEFT: "left channel", RIGHT: "right channel"}.get(channel, f"channel {channel}")


def say_missing(name: str, channel: int, count: int) -> str:
    """The sentence that a sound of that name has no such channel but so many."""
    return f"“{name}” has no channel {channel}, it has {count}: choose another Channel"


def say_chosen(name: str, channel: int) -> str:
    """The sentence that a single channel of a sound of that name was chosen."""
    return (
        f"“{name}” is heard from its {name_of(channel)} alone, where a voice is clearest: choose "
        f"another Channel if that is wrong (in a bake: --channel)"
    )
