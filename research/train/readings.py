# SPDX-License-Identifier: GPL-3.0-or-later
"""The directions of training: people who are known by name read clips, each in a mood or none."""

import zlib

import numpy as np

from thunder_core.direction import AXES, Direction, MOOD_NAMES, Style

_FURTHEST = 2.5  # largest deviation of speakers and readings
_SHARE_OF_NEUTRAL = 0.35  # share of the corpus without a mood
_LEAST_STRENGTH = 0.25  # smallest strength of a mood in the corpus


def style_of_speaker(name: str) -> Style:
    """The usual style of a person, who is known by name: the same name has the same style on any
    machine."""
    drawn = [
        np.random.default_rng(
            [zlib.crc32(name.encode()), zlib.crc32(axis.name.encode())]
        ).standard_normal()
        for axis in AXES
    ]
    return Style.of_vector(np.clip(drawn, -_FURTHEST, _FURTHEST))


def draw_reading(style: Style, rng: np.random.Generator) -> Style:
    """A person of a style reading once, a little different every time."""
    by = rng.standard_normal(len(AXES)).clip(-_FURTHEST, _FURTHEST)
    return Style.of_vector(style.vector() + by * [axis.readings / axis.speakers for axis in AXES])


def direction_of_clip(speaker: str, rng: np.random.Generator) -> Direction:
    """A reading of one clip by a person of this name, in a mood drawn from the generator."""
    style = draw_reading(style_of_speaker(speaker), rng)
    if rng.random() < _SHARE_OF_NEUTRAL:
        return Direction(style)
    return Direction(
        style, MOOD_NAMES[rng.integers(len(MOOD_NAMES))], float(rng.uniform(_LEAST_STRENGTH, 1.0))
    )
