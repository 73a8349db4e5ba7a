# SPDX-License-Identifier: GPL-3.0-or-later
"""The take list as the animator sees it: which takes, in what order, and how far apart they are."""

import math

import numpy as np

from ...thunder_core.errors import BadRequest
from ...thunder_core.types import FPS
from . import provenance, take_list

SORTS = (
    ("SCORE", "Lip-Sync", "Best lip-sync first", "NONE", 0),
    ("HEARD", "Heard", "First the takes whose lips alone tell most about the voice", "NONE", 3),
    (
        "DIVERSITY",
        "Diversity",
        "The best first, then always the take whose mouth differs most from those above it",
        "NONE",
        1,
    ),
    ("TIME", "Newest", "Latest made first", "NONE", 2),
)


def order(context) -> list[int]:
    """Places in the scene's list of the takes that are listed now, from the top."""
    settings = context.scene.thunder
    return arrange(settings.takes, take_list.visible_places(context), settings.sort)


def of_one_head(context) -> list:
    """The listed takes, from the top, that belong to one head and can be shown. Raises
    BadRequest."""
    entries = context.scene.thunder.takes
    listed = [entries[place] for place in order(context)]
    listed = [entry for entry in listed if entry.action is not None and entry.head is not None]
    if not listed:
        raise BadRequest(why_empty(context))
    return [entry for entry in listed if entry.head == listed[0].head]


def why_empty(context) -> str:
    """The reason why no take is listed, and what to do about it."""
    settings = context.scene.thunder
    if not settings.takes:
        return "There are no takes yet: press Generate Takes"
    if len(take_list.batches(context)) > 1:
        return (
            "All takes of the list are folded or filtered out: click a heading below the "
            "list, or change its filter"
        )
    if take_list.of_voice(context):
        return (
            "All takes are filtered out: switch off the star and show hidden takes in the "
            "list's filter"
        )
    return (
        "The list shows the takes of the chosen voice and head, and these have none: choose "
        "others or press Generate Takes"
    )


def arrange(entries, places: list[int], sort: str) -> list[int]:
    """Places in the order of a sort; equal takes, and those without a score, keep their order."""
    by_score = sorted(places, key=lambda place: -_score(entries[place]))
    if sort == "TIME":
        return sorted(places, key=lambda place: -entries[place].made)
    if sort == "HEARD":
        return sorted(by_score, key=lambda place: -entries[place].heard)
    if sort == "DIVERSITY":
        farthest, _ = order_by_difference([_opening(entries[place]) for place in by_score])
        return [by_score[i] for i in farthest]
    return by_score


def differences(entries, places: list[int]) -> dict[int, float]:
    """{index: distance of a take's mouth curve from the nearest one above it, mm} for `places`
    ordered by diversity.

    The first take and takes without a stored mouth curve are missing.
    """
    ordered, apart = order_by_difference(
        [_opening(entries[place]) for place in places], keep_order=True
    )
    return {places[i]: value for i, value in zip(ordered, apart) if math.isfinite(value)}


def order_by_difference(
    openings: list[tuple[float, np.ndarray] | None], keep_order: bool = False
) -> tuple[list[int], list[float]]:
    """Order mouth curves so that each is as different as possible from those before it; the first
    stays first.

    openings: (seconds of the first sample, mm [T] at 25 fps) each, or None if unknown: those come
    last.
    keep_order: only measure. Returns (order, distance of each to the nearest before it: the
    root of the mean square difference in mm; infinite for the first).
    """
    known = [i for i, opening in enumerate(openings) if opening is not None]
    unknown = [i for i, opening in enumerate(openings) if opening is None]
    if not known:
        return unknown, [math.inf] * len(unknown)
    begin = min(openings[i][0] for i in known)
    starts = [round((openings[i][0] - begin) * FPS) for i in known]
    length = max(start + len(openings[i][1]) for i, start in zip(known, starts))
    rows = np.zeros((len(known), length), np.float32)
    for row, i, start in zip(rows, known, starts):
        row[start : start + len(openings[i][1])] = openings[i][1]
    nearest = np.full(len(known), np.inf)
    chosen, apart, left = [], [], list(range(len(known)))
    while left:
        best = left[0] if keep_order or not chosen else max(left, key=lambda i: nearest[i])
        left.remove(best)
        chosen.append(best)
        apart.append(float(nearest[best]))
        nearest = np.minimum(nearest, np.sqrt(np.mean((rows - rows[best]) ** 2, axis=1)))
    return [known[i] for i in chosen] + unknown, apart + [math.inf] * len(unknown)


def _opening(entry) -> tuple[float, np.ndarray] | None:
    opening = provenance.opening_of(entry.action) if entry.action is not None else None
    if opening is None:
        return None
    clock = provenance.clock_of(entry.action)
    return clock.start / clock.fps, opening


def _score(entry) -> float:
    return entry.score if math.isfinite(entry.score) else -1.0
