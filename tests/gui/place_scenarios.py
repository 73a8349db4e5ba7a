# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is in the sidebar stays in its place while its state changes, seen in pictures of
it; and that on a laptop choosing and committing need no scrolling."""

from itertools import pairwise

import bpy
import numpy as np
from scenarios import done, scene_with_voice_and_head
from take_scenarios import list_takes, SECOND_LINE, shown, under_the_shown_row
from thunder.panels.tab import PARTS
from thunder.scene.animation import keying
from thunder.scene.host import jobs
from thunder.scene.host.jobs import session
from thunder.scene.takes import take_list
from thunder.thunder_core import findings
from thunder.thunder_core.direction_words import AS_DIRECTED, AXIS_WORDS
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


# ---- choosing on a laptop


LEAST, MOST = ({name: pair[end] for name, pair in AXIS_WORDS.items()} for end in (0, 1))
WORDS = (
    f"{LEAST['energy']}, {LEAST['jaw']}",
    f"{MOST['energy']}, warm",
    f"{MOST['jaw']}, {LEAST['head']}",
    AS_DIRECTED,
    f"{LEAST['articulation']}, {MOST['frown']}",
    MOST["brows"],
    MOST["articulation"],
    MOST["energy"],
)


def laptop(hand):
    """Every part is drawn; the sidebar is not taller than the window; takes are shown by a
    click on either of their lines and by keys, which give a star too, and each is an undo step."""
    yield from scene_with_voice_and_head(hand)
    yield from list_takes(hand, count=8)
    for entry, words in zip(hand.scene.thunder.takes, WORDS):
        entry.words = words
    for part, *_ in reversed(PARTS):
        bpy.context.window_manager.thunder_part = part
        hand.sidebar.tag_redraw()
        yield 0.7
    bpy.context.window_manager.thunder_part = "TAKES"
    hand.sidebar.tag_redraw()
    yield from hand.settle()
    seed = shown(hand.scene)
    hand.call(bpy.ops.ed.undo_push, message="Takes")  # made behind the window's back
    x, y = under_the_shown_row(hand, hand.photograph("list"))
    # whichever part was shown first, the list is above Commit
    assert hand.sidebar.y + hand.sidebar.height - y < 200, (hand.sidebar.y, y)
    # the words of the shown take, then those of the next one
    for up, expected in ((SECOND_LINE, seed), (-21, seed + 1)):
        yield from hand.click(x + 50, y + up)
        yield 1.0
        assert shown(hand.scene) == expected, (up, shown(hand.scene))
    yield from hand.undo()
    assert shown(hand.scene) == seed
    # next, next, previous, the other of the last two, back, a star
    for key, place in (
        ("DOWN_ARROW", 1),
        ("DOWN_ARROW", 2),
        ("UP_ARROW", 1),
        ("X", 2),
        ("X", 1),
        ("Y", 1),
    ):
        hand.press(key, alt=True)
        yield 0.6
        assert shown(hand.scene) == seed + place, key
    assert [entry.seed for entry in hand.scene.thunder.takes if entry.star] == [seed + 1]
    yield from hand.undo()
    assert not any(entry.star for entry in hand.scene.thunder.takes)
    low = hand.sidebar.height / bpy.context.preferences.system.ui_scale
    tall = {"shown": (yield from height(hand))}
    for entry in list(hand.scene.thunder.takes)[:4]:
        entry.batch, entry.folded = 1, True
    tall["batches"] = yield from height(hand)
    hand.photograph("batches")
    take_list.show(hand.scene.thunder, -1)
    tall["none"] = yield from height(hand)
    hand.photograph("none")
    hand.seen["heights"] = [low, tall]
    assert 400 < min(tall.values()) and max(tall.values()) <= low, (low, tall)


def height(hand):
    """Steps that scroll the sidebar to its end; gives its height in pixels at interface scale 1."""
    region = hand.sidebar
    for _ in range(80):
        with bpy.context.temp_override(window=hand.window, area=hand.viewport, region=region):
            bpy.ops.view2d.scroll_down(deltax=0, deltay=-60)
        yield 0.02
    yield 0.7
    return -region.view2d.region_to_view(0, 0)[1] / bpy.context.preferences.system.ui_scale
