# SPDX-License-Identifier: GPL-3.0-or-later
"""On a laptop choosing and committing need no scrolling, what a take is can be read, and a click
anywhere on a take shows it."""

import bpy
from scenarios import scene_with_voice_and_head
from take_scenarios import list_takes, SECOND_LINE, shown, under_the_shown_row
from thunder.panels.tab import PARTS
from thunder.scene.takes import take_list
from thunder.thunder_core.direction_words import AS_DIRECTED, AXIS_WORDS

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
