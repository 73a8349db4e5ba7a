# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator sees of lip-sync once lines are committed: scores of the line that is meant, and none of another's."""

import time

import bpy
from scenarios import only_open, PATIENCE, SAMPLE
from shape_scenarios import button, done
from thunder.scene.heads import head
from thunder.scene.review import live_score
from thunder.scene.takes import dialogue
from thunder.scene.voice import strip


def score_now(hand):
    """The score that the Listen panel shows, None for none."""
    with hand.context():
        context = bpy.context
        rig = head.find(context.scene, context.object)
        result = live_score.shown_score(context.scene, rig)
    return None if result is None or not result.is_known else result.total


def until_scored(seconds=60):
    """Steps that wait until the score of what was committed or edited is there."""
    end = time.monotonic() + seconds
    yield 1.0
    while live_score.live.is_running and time.monotonic() < end:
        yield 0.1
    yield 0.5


def scores_a_committed_line(hand):
    """Two lines on one head, the first committed: its score is shown, and stays when the other line is chosen."""
    only_open("main", "takes", "commit", "listen")
    yield from hand.open_tab("Thunder")
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
        assert button(bpy.ops.thunder.first_head) == ["FINISHED"]
    scene = hand.window.scene
    scene.render.fps, scene.thunder.count = 24, 2
    strip.add(scene, SAMPLE, "line one", 1)
    strip.add(scene, SAMPLE, "line two", 260)
    scene.frame_end = 470
    scene.thunder.listen_play = False
    hand.seen["head"] = scene.thunder.head is not None
    with hand.context():
        dialogue.select(bpy.context, "line one")
        bpy.ops.ed.undo_push(message="Two lines")
        button(bpy.ops.thunder.generate)
    yield from done(PATIENCE)
    scene = hand.window.scene
    hand.seen["take"] = scene.thunder.takes[scene.thunder.active_take].score
    with hand.context():
        button(bpy.ops.thunder.commit_take)
    yield from done()
    yield from until_scored()
    hand.seen["committed"], hand.seen["why_not"] = score_now(hand), live_score.live.latest
    hand.photograph("committed")
    with hand.context():
        dialogue.select(bpy.context, "line two")
    yield 2.0
    yield from until_scored()
    hand.seen["other_line"], hand.seen["why_not_other"] = score_now(hand), live_score.live.latest
    hand.photograph("other_line")
    scene.thunder.head = None  # the only head of the scene is meant
    with hand.context():
        dialogue.select(bpy.context, "line one")
        scene.thunder.strip = ""
        scene.thunder.listen_range = "EDITED"
        button(bpy.ops.thunder.listen)
    yield from done(PATIENCE)
    yield from until_scored()
    hand.seen["no_head_chosen"], hand.seen["why_not_no_head"] = score_now(hand), live_score.live.latest
    hand.photograph("listened")
