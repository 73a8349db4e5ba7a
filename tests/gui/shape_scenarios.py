# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does with the take that is shown: sliders, emotion over time, closures, a mix
with cuts, frames that are kept."""

import time

import bpy
import numpy as np
from scenarios import done, scene_with_voice_and_head, until
from take_scenarios import list_takes
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.takes import take_list
from thunder.scene.takes.shape import applying
from thunder.thunder_core import progress
from thunder.thunder_core.face.lips import bundled_lips


def lips(scene, frame):
    """How far the lips of the shown take are apart at a frame, millimetres, and how far its brows
    are down."""
    settings = scene.thunder
    entry = settings.takes[settings.active_take]
    rig = take_list.rig_of(scene, entry)
    values = keying.values(rig, keying.curves(rig, entry), np.array([frame]))
    motion = progress.result(keying.motion(rig, values, 25.0))
    names = head.channel_names()
    return [
        float(bundled_lips().opening(motion, names)[0]),
        float(motion.expression[0, names.index("browDownLeft")]),
    ]


def shapes(hand, takes=list_takes):
    """A slider is live, a take follows the curve of its emotion by itself, lips close at a frame and
    undo opens them."""
    yield from scene_with_voice_and_head(hand, "shape")
    yield from takes(hand, 2)
    entry = hand.scene.thunder.takes[0]
    hand.scene.frame_set(40)
    yield 1.0
    shape = entry.action.thunder_shape
    took = []
    for amount in (0.9, 0.7, 1.8, 1.5, 1.2):
        before = time.process_time()
        shape.jaw = amount
        took.append(time.process_time() - before)
        yield 0.2
    hand.keeps(0.1, min(took), "a slider in the window")
    shape.mouth, shape.emotion = 1.3, "ANGER"
    assert hand.button(bpy.ops.thunder.animate_emotion) == ["FINISHED"]
    yield 0.5
    rig = take_list.rig_of(hand.scene, entry)
    for frame, value in ((1, 0.0), (40, 0.0), (60, 1.0)):
        rig.targets[0].thunder_emotion = value
        rig.targets[0].keyframe_insert("thunder_emotion", frame=frame)
    # Nobody presses anything: the take follows the curve by itself.
    yield from until(
        lambda: not applying.is_outdated(rig, hand.scene.thunder.takes[0]), "the emotion", 20
    )
    yield 1.0
    assert lips(hand.scene, 80)[1] > lips(hand.scene, 20)[1] + 0.3
    hand.scene.frame_set(70)
    yield 1.0
    hand.photograph("animated")
    frame = max(range(45, 100), key=lambda f: lips(hand.scene, f)[0])
    hand.scene.frame_set(frame)
    yield 0.5
    opened = lips(hand.scene, frame)[0]
    hand.button(bpy.ops.thunder.add_closure)
    yield from done()
    assert opened > 2 and lips(hand.scene, frame)[0] <= 0.3
    yield from hand.undo()
    assert abs(lips(hand.scene, frame)[0] - opened) < 1e-3


def kinds(scene):
    return [entry.kind for entry in scene.thunder.takes]


def mixes(hand, takes=list_takes):
    """Parts and two cuts are chosen; the mix is a take and one undo step."""
    yield from scene_with_voice_and_head(hand, "mix")
    yield from takes(hand, 4)
    actions = [entry.action.name for entry in hand.scene.thunder.takes]
    for part, index in (("mouth", 0), ("upper_face", 1), ("eyes", 2), ("head", 1)):
        hand.button(bpy.ops.thunder.choose_part, part=part, take=actions[index])
    for frame, index, part in ((60, 2, "ALL"), (100, 3, "mouth")):
        hand.scene.thunder.active_take = index
        hand.scene.frame_set(frame)
        hand.button(bpy.ops.thunder.add_cut, part=part)
    yield from hand.settle()
    hand.photograph("cuts")
    hand.button(bpy.ops.thunder.mix_takes)
    yield from done()
    assert kinds(hand.scene) == ["SAMPLED"] * 4 + ["MIXED"]
    assert hand.scene.thunder.active_take == 4
    yield from hand.undo()
    assert kinds(hand.scene) == ["SAMPLED"] * 4


def keeps(hand, takes=list_takes):
    """Frames and a part of a take are kept."""
    yield from scene_with_voice_and_head(hand, "mix")
    yield from takes(hand, 1)
    for frame in (60, 110):
        hand.scene.frame_set(frame)
        hand.button(bpy.ops.thunder.keep_frames, which="AROUND")
    hand.scene.thunder_keep.upper_face = hand.scene.thunder_keep.selected = True
    yield from hand.settle()
    hand.photograph("kept")
    ranges = [(each.first, each.last) for each in hand.scene.thunder_keep.ranges]
    assert ranges == [(48, 72), (98, 122)]
