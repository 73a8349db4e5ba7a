# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is in the sidebar stays in its place while its state changes, seen in pictures of
it."""

from itertools import pairwise

import bpy
import numpy as np
from scenarios import done, only_open, until
from thunder.scene.host.jobs import session

# pixels: height of a row of the sidebar, and how far a row is looked for above and below its place
BAND, FAR = 18, 70
# correlation of a row that is the same, and deviation of brightness of one that has nothing to
# recognise
SAME, PLAIN = 0.9, 0.02


def photograph_sidebar(hand, name):
    """Steps that wait until nothing slides any more; the brightness of the sidebar [height, width],
    without icons, which change."""
    yield from hand.settle()
    region, height = hand.sidebar, hand.window.height
    pixels = hand.photograph(name)[
        height - region.y - region.height : height - region.y,
        region.x + 40 : region.x + region.width - 60,
    ]
    return pixels.mean(axis=2)


def moved(before, after):
    """Rows of a picture that another has elsewhere but not in their place: (row, by how many
    pixels)."""
    result = []
    for top in range(0, len(before) - BAND, BAND // 2):
        band = before[top : top + BAND]
        if band.std() < PLAIN:
            continue
        places = range(max(0, top - FAR), min(len(after) - BAND, top + FAR))
        like = np.nan_to_num(
            [
                np.corrcoef(band.ravel(), after[place : place + BAND].ravel())[0, 1]
                for place in places
            ],
            nan=-1.0,
        )
        best = places[int(np.argmax(like))]
        if like.max() > SAME and abs(best - top) > 2 and like[top - places[0]] < SAME:
            result.append([top, best - top])
    return result


def first_steps(hand):
    """Buttons stay where they are before and after each of the first steps."""
    only_open("main", "takes")
    overlay = hand.viewport.spaces.active.overlay
    overlay.show_floor = overlay.show_ortho_grid = (
        False  # lines that are seen through the sidebar where it has no panel
    )
    yield from hand.open_tab("Thunder")
    pictures = {"start": (yield from photograph_sidebar(hand, "start"))}
    for name, operator in (
        ("head", bpy.ops.thunder.add_head),
        ("voice", bpy.ops.thunder.sample_voice),
    ):
        assert hand.button(operator) == ["FINISHED"]
        yield 1.5
        pictures[name] = yield from photograph_sidebar(hand, name)
    hand.scene.thunder.count, hand.scene.thunder.quality = 2, "DRAFT"
    yield from hand.click_main_button()
    yield from until(lambda: session.job is not None, "the click")
    yield from done()
    yield 1.0
    pictures["takes"] = yield from photograph_sidebar(hand, "takes")
    for before, after in pairwise(pictures):
        assert not moved(pictures[before], pictures[after]), (before, after)
