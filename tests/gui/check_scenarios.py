# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator checks an animation in the Listen panel, goes to what is found, has it fixed and undoes that."""

import bpy
from picture_scenarios import sampled
from scenarios import only_open, scene_with_voice_and_head
from shape_scenarios import button, done
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import take_list


def own_jaw(scene):
    """The curve that opens the jaw in the head's own animation."""
    curves = [curve for target in head.find(scene).targets for curve in compat.curves_for(target)]
    return next(curve for curve in curves if "jaw" in curve.data_path and curve.array_index == 0)


def checks(hand):
    """A committed take whose jaw is opened for a second and whose middle is held."""
    only_open("listen")
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    yield from sampled(hand, 2)
    scene.thunder.commit.keys = "DENSE"
    with hand.context():
        button(bpy.ops.thunder.commit_take)
    yield from done()
    assert take_list.on_head(scene, head.find(scene).mesh) is None, display.shown_action(head.find(scene))
    with hand.context():
        button(bpy.ops.thunder.check)
    yield from done()
    hand.seen["as_committed"] = [row.sentence for row in scene.thunder_check.findings]
    hand.photograph("nothing")
    for point in own_jaw(scene).keyframe_points:
        point.co[1] += 0.12 * (30 <= point.co[0] <= 60)
    own_jaw(scene).update()
    bpy.ops.ed.undo_push(message="Edit Keys")
    yield 0.5
    with hand.context():
        button(bpy.ops.thunder.check)
    yield from done()
    hand.seen["found"] = [row.sentence for row in scene.thunder_check.findings]
    with hand.context():
        hand.seen["gone"] = button(bpy.ops.thunder.go_to_finding)
    yield from hand.settle()
    hand.photograph("found")
    hand.seen["frame"], hand.seen["first"] = scene.frame_current, scene.thunder_check.findings[0].first
    before = len(own_jaw(scene).keyframe_points)
    with hand.context():
        button(bpy.ops.thunder.fix_finding)
    yield from done()
    hand.seen["after_fix"] = [row.sentence for row in scene.thunder_check.findings]
    yield from hand.settle()
    hand.photograph("fixed")
    with hand.context():
        bpy.ops.ed.undo()
    yield 0.5
    scene = hand.window.scene
    hand.seen["undone"] = [row.sentence for row in scene.thunder_check.findings]
    hand.seen["keys"] = [before, len(own_jaw(scene).keyframe_points)]
