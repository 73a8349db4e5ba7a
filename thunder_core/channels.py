# SPDX-License-Identifier: GPL-3.0-or-later
"""Which channel of a sound is the voice: how a choice is written, and its numbers: None for an
automatic one, 0 for the mean of all, 1 for the left, 2 for the right, n for the nth."""

MIX, LEFT, RIGHT = 0, 1, 2
MOST = 64  # channels of a sound; no recorder has more
NAMES = {"auto": None, "mix": MIX, "left": LEFT, "right": RIGHT}


def read_channel(value: object) -> int | None:
    """The number of “auto”, “mix”, “left”, “right” or n. Raises ValueError, the message being the
    end of a sentence."""
    if value is None or value in NAMES:
        return None if value is None else NAMES[str(value)]
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if type(number) is not int or not MIX <= number <= MOST:
        raise ValueError(f"is none of {', '.join(NAMES)} and 1 to {MOST}")
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
