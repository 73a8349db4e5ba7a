# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does with the take that is shown: sliders, an emotion, a mix with cuts,
frames that are kept."""

import time

import bpy
import numpy as np
from scenarios import scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.takes import take_list
from thunder.thunder_core import progress


def brow(scene, frame):
    """How far a brow of the shown take is down at a frame."""
    entry = take_list.shown_take(scene.thunder)
    rig = take_list.rig_of(scene, entry)
    values = keying.values_at(rig, keying.curves_of_tracks(rig, entry), np.array([frame]))
    motion = progress.result(keying.shown_motion(rig, values, 25.0))
    return float(motion.expression[0, head.channel_names().index("browDownLeft")])


def shapes(hand):
    """A slider is live, and an emotion."""
    yield from scene_with_voice_and_head(hand, "shape")
    yield from list_takes(hand, 2)
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
    yield 1.0
    shape.strength = 1.0
    yield 1.0
    assert brow(hand.scene, 80) > 0.3
    hand.scene.frame_set(80)
    yield 1.0
    hand.photograph("animated")


def mixes(hand):
    """Parts and two cuts are chosen."""
    yield from scene_with_voice_and_head(hand, "mix")
    yield from list_takes(hand, 4)
    actions = [entry.action.name for entry in hand.scene.thunder.takes]
    for part, index in (("mouth", 0), ("upper_face", 1), ("eyes", 2), ("head", 1)):
        hand.button(bpy.ops.thunder.choose_part, part=part, take=actions[index])
    for frame, index, part in ((60, 2, "ALL"), (100, 3, "mouth")):
        hand.scene.thunder.active_take = index
        hand.scene.frame_set(frame)
        hand.button(bpy.ops.thunder.add_cut, part=part)
    yield from hand.settle()
    hand.photograph("cuts")


def keeps(hand):
    """Frames and a part of a take are kept."""
    yield from scene_with_voice_and_head(hand, "mix")
    yield from list_takes(hand, 1)
    for frame in (60, 110):
        hand.scene.frame_set(frame)
        hand.button(bpy.ops.thunder.keep_frames, which="AROUND")
    hand.scene.thunder_keep.upper_face = hand.scene.thunder_keep.selected = True
    yield from hand.settle()
    hand.photograph("kept")
