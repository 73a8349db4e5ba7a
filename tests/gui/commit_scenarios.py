# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does at the end of the day: sees where the lips drift, commits."""

import time
from contextlib import contextmanager

import bpy
from scenarios import done, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.review import overlay

PATIENCE = 500  # seconds, on two very busy cores


def lay(hand, area, kind):
    """Steps that make an area an editor of some kind which shows all of the scene."""
    if hasattr(hand.window.workspace, "sequencer_scene"):
        hand.window.workspace.sequencer_scene = hand.scene
    area.type = kind
    yield 1.0
    with hand.context(area):
        if kind == "SEQUENCE_EDITOR":
            bpy.ops.sequencer.view_all()
        elif kind == "DOPESHEET_EDITOR":
            bpy.ops.action.view_all()
    yield 1.2


@contextmanager
def timed_draws():
    """Times each redraw of the overlay while this lasts: the list fills with (seconds, editor)."""
    spent, draw = [], overlay.draw

    def timed(name):
        before = time.thread_time()
        draw(name)
        spent.append((time.thread_time() - before, name))

    overlay.unregister()
    overlay.draw = timed
    overlay.register()
    yield spent
    overlay.unregister()
    overlay.draw = draw


def draws_curves(hand):
    """The overlay over dope sheet and sequencer is soon drawn, and goes with its switch and the
    add-on."""
    yield from scene_with_voice_and_head(hand, "listen")
    hand.scene.thunder.live_score = False
    yield from list_takes(hand, count=2)
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    yield from lay(hand, area, "SEQUENCE_EDITOR")
    # where the sample lies does not matter
    area.spaces.active.timeline_overlay.show_strip_source = False
    for each in compat.strips(hand.scene.sequence_editor):
        each.select = False  # a selected strip's edge is orange too
    yield 0.5
    plain = count_red(hand.photograph("curves_sequencer"))

    def redrawn(name):
        for each in hand.window.screen.areas:
            each.tag_redraw()
        yield 0.7
        return count_red(hand.photograph(name))

    with timed_draws() as spent:
        for frame in range(2, 40, 2):
            hand.scene.frame_set(frame)
            for each in hand.window.screen.areas:
                each.tag_redraw()
            yield 0.1
        assert {name for _, name in spent} == {"SpaceDopeSheetEditor", "SpaceSequenceEditor"}
        assert len(spent) > 20
        hand.keeps(0.002, sorted(spent)[len(spent) // 2][0], "a redraw of the curves, median")
        hand.scene.thunder.curves = False
        off = yield from redrawn("curves_off")
        hand.scene.thunder.curves = True
        on = yield from redrawn("curves_on")
    gone = yield from redrawn("curves_gone")
    # pixels of the mouth's line
    assert plain - off > 300 and on - off > 300 and gone == off
    area.type = "VIEW_3D"
    yield 0.5


def count_red(pixels):
    """Pixels of the mouth's line, orange as little else of Blender's is."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return int(((red > 0.75) & (green > 0.45) & (green < 0.75) & (blue < 0.4)).sum())


NINE_SECONDS = 20.0  # seconds of processor time, drawing included
SOON = 1.0  # seconds left of which nobody needs to know
PACE = 3.0  # seconds after which the pace of work is known


def commits_poses(hand):
    """Poses of the sample are there soon although the window is drawn without a graphics card,
    and the time left that is told holds within a factor of two."""
    yield from scene_with_voice_and_head(hand, "main", "takes", "commit")
    hand.scene.render.fps, hand.scene.thunder.count = 24, 1
    hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT")
    yield from done(PATIENCE)
    hand.scene.thunder.commit.to = "NEW"
    told, start, spent = [], time.monotonic(), time.process_time()
    assert hand.button(bpy.ops.thunder.commit_take) == ["RUNNING_MODAL"]
    while (job := session.job) is not None:
        told.append((time.monotonic(), job.time_left))
        yield 0.1
    end = time.monotonic()
    hand.keeps(NINE_SECONDS, time.process_time() - spent, "Poses of the sample in a window")
    asked = [(words, end - at) for at, words in told if at - start > PACE and end - at > SOON]
    left = [(float(words.split()[0]), after) for words, after in asked if words]
    hand.seen |= {"seconds": end - start, "told and left": left}
    assert len(left) >= len(asked) / 2, told  # on an idle machine there is nothing to ask
    # the window is not alone on its machine: one in ten may be off
    wrong = [pair for pair in left if not 0.5 < pair[0] / pair[1] < 2.0]
    assert len(wrong) <= 0.1 * len(left), wrong
