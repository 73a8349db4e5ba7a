# SPDX-License-Identifier: GPL-3.0-or-later
"""What buttons ask while Blender draws is worked out once, and drawing the tab is quick however many
takes there are."""

import gc
import time

import pytest
from drawing import Layout, Shown
from measuring import Sidebar
from performances import list_take, noise, performance
from test_tab import in_tab
from thunder.panels.takes import ROWS, THUNDER_UL_takes
from thunder.scene.animation import display
from thunder.scene.host import redraw
from thunder.scene.takes import browsing, dialogue, take_list
from thunder.scene.voice import fingerprint, strip
from thunder.thunder_core.errors import BadRequest
from timing import keeps


def test_an_answer_holds_while_blender_draws_and_no_longer():
    asked = []

    @redraw.once
    def answer(*what):
        asked.append(what)
        if what == ("bad",):
            raise BadRequest("There is none")
        return len(asked)

    assert (answer("a"), answer("a")) == (1, 2), "in a script"
    with redraw.drawing():
        assert (answer("a"), answer("a"), answer("b")) == (3, 3, 4)
        for _ in range(2):
            with pytest.raises(BadRequest, match="There is none"):
                answer("bad")
        with redraw.drawing():  # a button's poll
            assert answer("a") == 3
        with redraw.changing():  # an operator's work, and the poll of another that it calls
            assert (answer("a"), answer("a")) == (6, 7)
            with redraw.drawing():
                assert (answer("a"), answer("a")) == (8, 8)
            with redraw.drawing():
                assert answer("a") == 9
        assert answer("a") == 10, "it may have changed something"
    with redraw.drawing():
        assert answer("a") == 11


def test_a_poll_sees_what_an_operator_and_a_script_have_changed(blender, stage):
    scene, rig = stage
    for seed in range(3):
        list_take(stage, performance(seed=seed))
    assert not blender.ops.thunder.star_take.poll(), "no take is shown"
    display.show(rig, scene.thunder.takes[0])
    assert blender.ops.thunder.star_take.poll() and scene.thunder.active_take == 0
    blender.ops.thunder.select_take(index=1)
    assert scene.thunder.active_take == 1
    scene.thunder.active_take = -1
    assert not blender.ops.thunder.star_take.poll()


TAKES, LINES, OF_BATCH = 1600, 20, 8
PROMISE = 0.03  # seconds


def fill(scene, rig, names):
    """List TAKES copies of one take, in batches of each line; all but the newest are folded."""
    first = list_take((scene, rig), performance(1.0, ()), voice=names[0])
    states = [fingerprint.of_strip(scene, strip.by_name(scene, name)) for name in names]
    fingerprint.remember(first.action, states[0])
    first.batch, first.folded = 1, True
    action, span, last = first.action, (first.first, first.last), TAKES // (OF_BATCH * len(names))
    for number in range(1, TAKES):
        entry, line = scene.thunder.takes.add(), number % len(names)
        entry.action, entry.head, entry.voice = action.copy(), rig.mesh, names[line]
        fingerprint.remember(entry.action, states[line])
        entry.score, entry.made = 50.0 + number % 47, number
        entry.first, entry.last = span
        entry.batch = 1 + number // (OF_BATCH * len(names))
        entry.folded = entry.batch < last


def draw_tab(blender, context):
    """All panels of the tab as one redraw draws them, with the rows of the list that are seen."""
    settings = context.scene.thunder
    with redraw.drawing():
        for panel in (each for each in in_tab(blender) if each.poll(context)):
            shown = Shown(panel)
            for draw in ("draw_header_preset", "draw"):
                if hasattr(panel, draw):
                    getattr(shown, draw)(context)
        listing = Shown(THUNDER_UL_takes)
        listing.bitflag_filter_item = 1
        flags, rows = THUNDER_UL_takes.filter_items(listing, context, settings, "takes")
        seen = sorted((row, place) for place, (flag, row) in enumerate(zip(flags, rows)) if flag)
        for _, place in seen[:ROWS]:
            entry = settings.takes[place]
            THUNDER_UL_takes.draw_item(
                listing, context, Layout(), settings, entry, 0, None, "", place
            )
            assert entry.tooltip


@pytest.mark.one_blender
def test_the_tab_is_drawn_soon_whatever_number_of_takes_there_is(
    needs_sound, blender, stage, tmp_path
):
    scene, rig = stage
    path = noise(tmp_path / "line.wav", 1.0)
    names = [f"Line {number}" for number in range(LINES)]
    for number, name in enumerate(names):
        strip.add(scene, path, name, 1 + 30 * number)
        dialogue.cast(scene, name, rig.mesh)
    fill(scene, rig, names)
    dialogue.select(blender.context, names[0])
    display.show(rig, scene.thunder.takes[0])
    context = Sidebar(blender.context, 1200)
    assert len(take_list.batches(blender.context)) == TAKES // LINES // OF_BATCH
    draw_tab(blender, context)
    browsing.watch.waiting.clear()
    spent = []
    gc.collect()
    gc.freeze()  # Python looks through all that the tests hold
    for _ in range(10):
        start = time.thread_time()
        draw_tab(blender, context)
        spent.append(time.thread_time() - start)
    gc.unfreeze()
    keeps(PROMISE, spent, f"drawing the tab with {TAKES} takes")
