# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does with the take that is shown: sliders, emotion over time, closures, a mix
with cuts, frames that are kept."""

import time

import bpy
import numpy as np
from scenarios import done, only_open, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.heads import head
from thunder.scene.takes import take_list, track_values
from thunder.scene.takes.shape import strength
from thunder.thunder_core import progress
from thunder.thunder_core.face.lips import bundled_lips


def lips(scene, frame):
    """How far the lips of the shown take are apart at a frame, millimetres, and how far its brows
    are down."""
    settings = scene.thunder
    entry = settings.takes[settings.active_take]
    rig = take_list.rig_of(scene, entry)
    values = track_values.values(rig, track_values.curves(rig, entry), np.array([frame]))
    motion = progress.result(track_values.motion(rig, values, 25.0))
    names = head.channel_names()
    return [
        float(bundled_lips().opening(motion, names)[0]),
        float(motion.expression[0, names.index("browDownLeft")]),
    ]


def shapes(hand, takes=list_takes):
    """Sliders, an emotion that grows, a closure by hand, and all of it undone."""
    only_open("shape")
    yield from scene_with_voice_and_head(hand)
    yield from takes(hand, 2)
    hand.scene.thunder.active_take = 0
    entry = hand.scene.thunder.takes[0]
    hand.scene.frame_set(40)
    yield 1.0
    hand.photograph("neutral")
    shape = entry.action.thunder_shape
    took = []
    for amount in (0.9, 0.7, 1.8, 1.5, 1.2):
        before = time.process_time()
        shape.jaw = amount
        took.append(time.process_time() - before)
        yield 0.2
    hand.seen["slider_seconds"] = took
    shape.mouth, shape.emotion = 1.3, "ANGER"
    yield 1.0
    hand.photograph("angry")
    hand.seen["animated"] = hand.button(bpy.ops.thunder.animate_emotion)
    yield 0.5
    rig = take_list.rig_of(hand.scene, entry)
    before = lips(hand.scene, 80)
    for frame, value in ((1, 0.0), (40, 0.0), (60, 1.0)):
        rig.targets[0].thunder_emotion = value
        rig.targets[0].keyframe_insert("thunder_emotion", frame=frame)
    # Nobody presses anything: the take follows the curve by itself.
    end = time.monotonic() + 20
    while strength.is_outdated(rig, hand.scene.thunder.takes[0]) and time.monotonic() < end:
        yield 0.3
    yield 1.0
    hand.seen["behind"] = strength.is_outdated(rig, hand.scene.thunder.takes[0])
    hand.seen["brows"] = [lips(hand.scene, frame)[1] for frame in (20, 80)]
    hand.seen["brow_before"] = before[1]
    hand.scene.frame_set(70)
    yield 1.0
    hand.photograph("animated")
    frame = max(range(45, 100), key=lambda f: lips(hand.scene, f)[0])
    hand.scene.frame_set(frame)
    yield 0.5
    hand.photograph("open")
    hand.seen["open"] = lips(hand.scene, frame)[0]
    hand.seen["closed"] = hand.button(bpy.ops.thunder.add_closure)
    yield from done()
    hand.seen["shut"] = lips(hand.scene, frame)[0]
    hand.photograph("closed")
    hand.press("Z", ctrl=True)
    yield 1.0
    hand.seen["undone"] = lips(hand.scene, frame)[0]


def mixes(hand, takes=list_takes):
    """Parts chosen, two cuts, the mix made, and undone."""
    only_open("mix")
    yield from scene_with_voice_and_head(hand)
    yield from takes(hand, 4)
    hand.scene.thunder.active_take = 0
    yield 1.0
    hand.photograph("before")
    actions = [entry.action.name for entry in hand.scene.thunder.takes]
    with hand.context():
        for part, index in (("mouth", 0), ("upper_face", 1), ("eyes", 2), ("head", 1)):
            assert hand.button(bpy.ops.thunder.choose_part, part=part, take=actions[index]) == [
                "FINISHED"
            ]
        for frame, index, part in ((60, 2, "ALL"), (100, 3, "mouth")):
            hand.scene.thunder.active_take = index
            hand.scene.frame_set(frame)
            assert hand.button(bpy.ops.thunder.add_cut, part=part) == ["FINISHED"]
    yield from hand.settle()
    hand.photograph("cuts")
    hand.seen["started"] = hand.button(bpy.ops.thunder.mix_takes)
    yield from done()
    hand.seen["kinds"] = [entry.kind for entry in hand.scene.thunder.takes]
    hand.seen["shown"] = hand.scene.thunder.active_take
    hand.photograph("mixed")
    hand.press("Z", ctrl=True)
    yield 1.5
    hand.seen["undone"] = [entry.kind for entry in hand.scene.thunder.takes]


def keeps(hand, takes=list_takes):
    """Frames and a part of a take are kept; the panels as they open under the list."""
    only_open("mix")
    yield from scene_with_voice_and_head(hand)
    yield from takes(hand, 1)
    hand.scene.thunder.active_take = 0
    yield 1.0
    hand.photograph("nothing_kept")
    hand.scene.frame_set(60)
    with hand.context():
        assert hand.button(bpy.ops.thunder.keep_frames, which="AROUND") == ["FINISHED"]
        hand.scene.frame_set(110)
        assert hand.button(bpy.ops.thunder.keep_frames, which="AROUND") == ["FINISHED"]
    hand.scene.thunder_keep.upper_face = hand.scene.thunder_keep.selected = True
    yield from hand.settle()
    hand.photograph("kept")
    hand.seen["ranges"] = [(each.first, each.last) for each in hand.scene.thunder_keep.ranges]
