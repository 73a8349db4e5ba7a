# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets of a direction: those that come with the add-on, and the animator's own."""

from pathlib import Path

from ....thunder_core.direction import Direction
from ....thunder_core.direction_presets import Preset, Presets, USERS
from ...host.user_folder import user_folder
from . import sliders


def all_presets() -> Presets:
    """The shipped presets and the animator's own."""
    return Presets(user_folder(USERS))


def use(direction: sliders.ThunderDirection, name: str) -> None:
    """Move the sliders of a direction to a preset. Raises BadRequest."""
    preset = all_presets().load(name)
    sliders.put(direction, preset.direction)
    if preset.spread is not None:
        direction.spread = preset.spread


def save(direction: sliders.ThunderDirection, name: str) -> Path:
    """Save the sliders as a preset of the animator. Raises BadRequest or NoSpace."""
    return all_presets().save(Preset(name.strip(), sliders.value(direction), spread=direction.spread))


def reset(direction: sliders.ThunderDirection) -> None:
    """Move all sliders to their usual values."""
    sliders.put(direction, Direction())
    for name in ("strength", "spread"):
        direction.property_unset(name)
