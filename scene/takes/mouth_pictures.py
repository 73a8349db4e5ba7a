# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of mouths, of a take over a word and of what a character's mouth can do, and of a face
on which dots are."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...thunder_core.face.head import load_head
from ...thunder_core.face.making import dots
from ...thunder_core.face.reading.reach import Reach
from ...thunder_core.types import FPS
from ..host import jobs
from . import take_record
from .browsing import Previews

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake
    from . import word_places


SIZE = 32  # height of a picture of mouths, pixels
MOUTHS = 6  # mouths in a picture
_WIDE_MM, _OPEN_MM = 60.0, 24.0  # width and opening that fill a mouth's square
LIPS, _INSIDE, _BACKGROUND = (0.86, 0.44, 0.42), (0.17, 0.05, 0.06), (0.09, 0.10, 0.12)
_WRONG = (0.55, 0.05, 0.05)
_REST_MM, _EYE_MM = 44.0, (36.0, 10.0)  # width of a mouth, width and height of an eye, at rest
FACE, _REACH = 200, 0.72  # height of a picture of a face, pixels, and what it shows, in widths
# of dots, and of one that is chosen: colour, and radius in metres
_DOT, _CHOSEN = ((0.10, 0.10, 0.12), 0.0022), ((1.0, 0.45, 0.05), 0.0055)

_mouths = jobs.session.add(Previews())  # by a take, its score, and the start and end of a word


def icons(entry: ThunderTake, place: word_places.WordPlace) -> tuple[int, ...]:
    """Icons of a take's mouth over a word (word_places.Place) from left to right; none of a take
    that does not store its performance."""
    if entry.action is None:
        return ()
    key = (
        entry.action.session_uid,
        round(entry.score, 3),
        round(place.start, 3),
        round(place.end, 3),
    )
    if key not in _mouths.icons:
        performance, clock = take_record.load(entry.action), take_record.clock_of(entry.action)
        if performance is None or clock is None:
            return ()
        first, last = (float(clock.seconds(frame)) * FPS for frame in place.frames)
        rows = (
            np.linspace(first, last, MOUTHS)
            .round()
            .astype(int)
            .clip(0, len(performance.opening) - 1)
        )
        pictures = (
            mouth(float(performance.width[row]), float(performance.opening[row])) for row in rows
        )
        _mouths.add(key, None, pictures)
    return _mouths.icons[key][1]


def icons_of_reach(seen: Reach) -> tuple[int, ...]:
    """Icons of a character's mouths, as wide and open as they were measured; the last is an
    eye."""
    shown = [
        (_REST_MM + wider, apart, name in seen.faults)
        if name != "blink"
        else (_EYE_MM[0], _EYE_MM[1] - apart, name in seen.faults)
        for name, (apart, wider) in seen.shown.items()
    ]
    key = tuple((round(width), round(apart), wrong) for width, apart, wrong in shown)
    if key not in _mouths.icons:
        _mouths.add(key, None, itertools.starmap(mouth, shown))
    return _mouths.icons[key][1]


def icon_of_dots(chosen: int | None) -> int:
    """The icon of a face with its 24 dots, of which the number of one may be chosen."""
    key = "dots", chosen
    if key not in _mouths.icons:
        _mouths.add(key, None, [face_with_dots(chosen)])
    return _mouths.icons[key][1][0]


def face_with_dots(chosen: int | None) -> np.ndarray:
    """A picture [FACE, FACE, 4] of the bundled face with its 24 dots, first row at the bottom."""
    places, view, light = _portrait()
    image = np.dstack([light, light, light, np.ones_like(light)])
    for number, (x, y, _) in enumerate(places):
        colour, radius = _CHOSEN if number == chosen else _DOT
        image[np.hypot(view.x - x, view.y[:, None] - y) < radius, :3] = colour
    return image[::-1].astype(np.float32)


@lru_cache(maxsize=1)
def _portrait():
    """The places on the bundled face, and its picture as `dots.portrait` gives it."""
    head = load_head()
    places = head.v_template[dots.vertices_of(head)]
    return places, *dots.portrait(head.v_template, head.f, places, FACE, _REACH)


def mouth(width: float, opening: float, is_wrong: bool = False) -> np.ndarray:
    """A picture [SIZE, SIZE, 4] of lips so wide and so far apart, millimetres; on red if they are
    not as they should be."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2) / (SIZE / 2)
    wide, high = np.clip(width / _WIDE_MM, 0.35, 0.97), np.clip(opening, 0.0, _OPEN_MM) / _OPEN_MM
    lips, inside = (
        (x / across) ** 2 + (y / up) ** 2 < 1
        for across, up in ((wide, high + 0.2), (0.88 * wide, max(high, 0.04)))
    )
    image = np.ones((SIZE, SIZE, 4), np.float32)
    behind = _WRONG if is_wrong else _BACKGROUND
    for where, colour in ((np.ones_like(lips), behind), (lips, LIPS), (inside, _INSIDE)):
        image[where, :3] = colour
    return image
