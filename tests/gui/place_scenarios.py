# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is in the sidebar stays in its place while its state changes, seen in pictures of
it."""

from itertools import pairwise

import bpy
import numpy as np
from scenarios import done, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.animation import keying
from thunder.scene.host import jobs
from thunder.scene.host.jobs import session
from thunder.thunder_core import findings
from thunder.thunder_core.findings import Finding, OPEN, SIZE

# pixels: height of a row of the sidebar, and how far a row is looked for above and below its place
BAND, FAR = 18, 70
# correlation of a row that is the same, and deviation of brightness of one that has nothing to
# recognise
SAME, PLAIN = 0.9, 0.02
BELOW_LIST = 280  # pixels of a low sidebar from below the list of takes on


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


FOUND = (
    Finding(OPEN, 0.4, 0.6, 2.4, 1.6, "m", "commercials"),
    Finding(SIZE, 0.0, 5.0, 1.4, 1.5, whole=True),
)


def show_part(hand, part):
    bpy.context.window_manager.thunder_part = part
    hand.sidebar.tag_redraw()


def while_working(hand):
    """Nothing below moves in a part of the tab while takes arrive, work runs, or a take of another
    verdict is chosen."""
    yield from scene_with_voice_and_head(hand, "main", "takes", "commit", "listen")
    hand.viewport.spaces.active.overlay.show_overlays = False
    pictures = {}
    show_part(hand, "TAKES")
    for count in (1, 2, 3):
        yield from list_takes(hand, count=count)
        pictures[f"takes_{count}"] = yield from photograph_sidebar(hand, f"takes_{count}")
    entry = hand.scene.thunder.takes[1]
    entry.action[keying.PROPERTY] = keying.record_of(entry.action).to_dict() | (
        findings.record_of(FOUND)
    )
    entry.score -= 0.5  # its grade is looked up again
    hand.scene.thunder.active_take = 1
    pictures["worse"] = yield from photograph_sidebar(hand, "worse")
    jobs.begin("Generating takes", (each for each in [jobs.Step(0.4, "Sampling 8 takes")]))
    session.job.advance()
    pictures["working"] = yield from photograph_sidebar(hand, "working")
    jobs.end_job()
    below = {name: picture[-BELOW_LIST:] for name, picture in pictures.items()}
    for before, after in pairwise(below):
        assert not moved(below[before], below[after]), (before, after)
    assert not moved(pictures["worse"], pictures["working"])
    show_part(hand, "FINISH")
    pictures = {"reason": (yield from photograph_sidebar(hand, "reason"))}
    hand.scene.thunder.active_take = 0
    pictures["good"] = yield from photograph_sidebar(hand, "good")
    hand.scene.thunder.active_take = 1
    assert hand.button(bpy.ops.thunder.check) == ["RUNNING_MODAL"]
    yield from done()
    pictures["checked"] = yield from photograph_sidebar(hand, "checked")
    hand.scene.thunder_check.index = 1
    pictures["another"] = yield from photograph_sidebar(hand, "another")
    assert not moved(pictures["good"], pictures["reason"])
    assert not moved(pictures["checked"], pictures["another"])
