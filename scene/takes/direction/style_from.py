# SPDX-License-Identifier: GPL-3.0-or-later
"""Style From: sets a character's direction by the style read from an animation or a recording."""

from collections.abc import Generator

from ....thunder_core.animation import recording
from ....thunder_core.animation.style_of_motion import style_of, StyleOfMotion
from ....thunder_core.animation.timing import Clock
from ....thunder_core.direction import Direction
from ....thunder_core.direction_words import words
from ....thunder_core.errors import BadRequest
from ....thunder_core.types import FPS
from ...animation import reading
from ...heads import head
from . import asking, sliders

MOST_SECONDS = 120.0  # longest motion that is read; more does not improve the style


def of_animation(rig: head.Rig, scene, first: int, last: int) -> Generator[float, None, StyleOfMotion]:
    """Read the style of a head's animation over these frames of its scene. Returns it. Raises BadRequest."""
    if last <= first:
        raise BadRequest(f"Frames {first} to {last} are not a range: the first frame must come before the last")
    clock = Clock.of(scene, first)
    motion = yield from reading.read(rig, head.channel_names(), clock, min(MOST_SECONDS, (last - first + 1) / clock.fps))
    return style_of(motion, head.channel_names())


def of_file(path: str) -> StyleOfMotion:
    """Read the style of a recording. Raises BadRequest."""
    channels = head.channel_names()
    motion = recording.read(path, channels)
    return style_of(motion.part(slice(0, round(MOST_SECONDS * FPS))), channels)


def put(direction: sliders.ThunderDirection, read: StyleOfMotion) -> str:
    """Move the sliders of a direction to a style, without a mood and without their keys; returns a sentence on the result."""
    asking.remove_keys(direction)
    wanted = Direction(read.style)
    sliders.put(direction, wanted)
    if read.spread is not None:
        direction.spread = read.spread
    return f"Style read from {read.seconds:.0f} s of speech: {words(wanted.vector())}"
