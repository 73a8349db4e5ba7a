# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator commits a take on twos, adds the mouth sliders and grabs one; and marks who speaks in a recording."""

import bpy
import numpy as np
from commit_scenarios import until_done
from scenarios import only_open, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.heads import controls, head
from thunder.scene.takes import turns
from thunder.scene.voice import strip


def steps_and_slides(hand):
    """Commit on twos, sliders at both ends, and gone again."""
    only_open("takes", "commit")
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    yield from list_takes(hand, count=2)
    scene.thunder.active_take = 0
    scene.thunder.commit.step = "TWOS"
    yield 1.0
    hand.photograph("commit_twos")
    with hand.context():
        bpy.ops.thunder.commit_take("INVOKE_DEFAULT", True)
    yield from until_done()
    with hand.context():
        hand.seen["added"] = sorted(bpy.ops.thunder.add_mouth_sliders("INVOKE_DEFAULT", True))
    scene.frame_set(40)
    rig = head.find(scene)
    owner = controls.owner_of(rig)
    yield 1.0
    before = _points(rig)
    for slider, value in (("Open", 1.0), ("Smile", -1.0)):
        owner["Thunder " + slider] = value
        owner.update_tag()
        for area in hand.window.screen.areas:
            area.tag_redraw()
        yield 0.7
        hand.photograph(f"slider_{slider.lower()}")
        hand.seen[slider] = float(np.abs(_points(rig) - before).max())
        owner["Thunder " + slider] = 0.0
    with hand.context():
        bpy.ops.thunder.remove_mouth_sliders("INVOKE_DEFAULT", True)
    yield 0.7
    hand.seen["left"] = float(np.abs(_points(rig) - before).max())


def _points(rig):
    done = rig.mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.empty(3 * len(done.data.vertices))
    done.data.vertices.foreach_get("co", points)
    return points


def marks_speakers(hand):
    """Two heads share a recording: the first half is one's, the second the other's."""
    only_open("main", "dialogue")
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    with hand.context():
        bpy.ops.thunder.add_head()
        one = strip.sound_strips(scene)[0]
        scene.thunder.voice = one.name
        scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 1, 40
        first, second = head.in_scene(scene)
        bpy.ops.thunder.mark_speaker(strip=one.name, speaker=first.name)
        scene.use_preview_range = False
        scene.frame_set(41)
        bpy.ops.thunder.mark_speaker(strip=one.name, speaker=second.name)
    next(area for area in hand.window.screen.areas if area.type == "PROPERTIES").type = "SEQUENCE_EDITOR"
    yield 3.0
    hand.photograph("speakers")
    hand.seen["ranges"] = [(turn.head.name, turn.first) for turn in turns.of_strip(scene, one)]
