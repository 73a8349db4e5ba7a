# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets a character's direction: by a preset, or by the style read from an animation or a
recording."""

from collections.abc import Generator
from pathlib import Path

from ....thunder_core.animation import recording
from ....thunder_core.animation.timing import Clock
from ....thunder_core.animation.traits import style_of, StyleOfMotion
from ....thunder_core.direction import Direction
from ....thunder_core.direction_presets import Preset, Presets, USERS
from ....thunder_core.direction_words import words
from ....thunder_core.errors import BadRequest
from ....thunder_core.types import FPS
from ...animation import reading
from ...heads import head
from ...host.compat import user_folder
from . import asking, sliders

MOST_SECONDS = 120.0  # longest motion that is read; more does not improve the style


def all_presets() -> Presets:
    """The shipped presets and the animator's."""
    return Presets(user_folder(USERS))


def use(direction: sliders.ThunderDirection, name: str) -> None:
    """Move the sliders of a direction to a preset. Raises BadRequest."""
    preset = all_presets().load(name)
    sliders.put(direction, preset.direction)
    if preset.spread is not None:
        direction.spread = preset.spread


def save(direction: sliders.ThunderDirection, name: str) -> Path:
    """Save the sliders as a preset of the animator. Raises BadRequest or NoSpace."""
    return all_presets().save(
        Preset(name.strip(), sliders.value(direction), spread=direction.spread)
    )


def reset(direction: sliders.ThunderDirection) -> None:
    """Move all sliders to their usual values."""
    sliders.put(direction, Direction())
    for name in ("strength", "spread"):
        direction.property_unset(name)


def style_of_animation(
    rig: head.Rig, scene, first: int, last: int
) -> Generator[float, None, StyleOfMotion]:
    """Read the style of a head's animation over these frames of its scene. Returns it. Raises
    BadRequest."""
    if last <= first:
        raise BadRequest(
            f"Frames {first} to {last} are not a range: the first frame must come before the last"
        )
    clock = Clock.of(scene, first)
    motion = yield from reading.read(
        rig, head.channel_names(), clock, min(MOST_SECONDS, (last - first + 1) / clock.fps)
    )
    return style_of(motion, head.channel_names())


def style_of_file(path: str) -> StyleOfMotion:
    """Read the style of a recording. Raises BadRequest."""
    channels = head.channel_names()
    motion = recording.read(path, channels)
    return style_of(motion.part(slice(0, round(MOST_SECONDS * FPS))), channels)


def use_style(direction: sliders.ThunderDirection, read: StyleOfMotion) -> str:
    """Move the sliders of a direction to a style, without a mood and without their keys; returns a
    sentence on the result."""
    asking.remove_keys(direction)
    direction_read = Direction(read.style)
    sliders.put(direction, direction_read)
    if read.spread is not None:
        direction.spread = read.spread
    return f"Style read from {read.seconds:.0f} s of speech: {words(direction_read.vector())}"
