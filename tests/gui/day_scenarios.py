# SPDX-License-Identifier: GPL-3.0-or-later
"""A newcomer's first day, in one go: from the file that Blender opens with to a committed line that
is listened to."""

import time

import bpy
import numpy as np
from scenarios import done, only_open, time_slices
from thunder.scene.heads import head
from thunder.scene.host.session import session
from thunder.scene.review import listening, live_score


def a_day(hand):
    """Head, voice, takes, a star, a mix, kept frames, a slider, commit, listen; then all of it
    undone again."""
    only_open("main", "takes", "commit", "listen")
    yield from hand.open_tab("Thunder")
    held = time_slices()
    yield from first_steps(hand)
    yield from choose(hand)
    yield from rework(hand)
    yield from finish(hand)
    hand.seen["held"] = held
    yield from undo_it_all(hand)


def take_names(hand):
    return [entry.name for entry in hand.scene.thunder.takes]


def first_steps(hand):
    """Three clicks from the file with the cube to a moving face."""
    yield 1.0
    hand.photograph("getting_started")
    assert hand.button(bpy.ops.thunder.first_head) == ["FINISHED"]
    yield 1.0
    assert hand.button(bpy.ops.thunder.sample_voice) == ["FINISHED"]
    yield 2.0
    hand.scene.thunder.count = 4
    x, y = hand.main_button(hand.photograph("a_voice"))
    yield from hand.click(x, y)
    end = time.monotonic() + 20  # a busy machine answers a click late
    while session.job is None and time.monotonic() < end:
        yield 0.1
    hand.seen["started"] = session.job is not None
    yield from done()
    rig = head.find(hand.scene)
    frames = range(hand.scene.frame_start, hand.scene.frame_start + 190, 3)  # all of the sample
    angles = []
    for frame in frames:
        hand.scene.frame_set(frame)
        angles.append(rig.armature.pose.bones["jaw"].matrix_basis.to_quaternion().angle)
    hand.seen["moved"], hand.seen["generated"] = float(np.ptp(angles)), take_names(hand)
    hand.scene.frame_set(frames[int(np.argmax(angles))])
    hand.call(bpy.ops.object.select_all, action="DESELECT")
    yield 2.0
    hand.photograph("a_moving_face")


def choose(hand):
    """Down the list by keys, a star for the second."""
    for key in ("DOWN_ARROW", "Y"):
        hand.press(key, alt=True)
        yield 1.0
    hand.seen["starred"] = [entry.star for entry in hand.scene.thunder.takes]


def rework(hand):
    """The mouth of one take with the head of another, the middle of it kept, the rest sampled
    again, more jaw."""
    actions = [entry.action.name for entry in hand.scene.thunder.takes]
    with hand.context():
        for part, index in (("mouth", 0), ("upper_face", 1), ("eyes", 1), ("head", 2)):
            assert hand.button(bpy.ops.thunder.choose_part, part=part, take=actions[index]) == [
                "FINISHED"
            ]
        hand.button(bpy.ops.thunder.mix_takes)
    yield from done()
    hand.scene.frame_set(60)
    hand.scene.thunder_keep.count = 1
    with hand.context():
        assert hand.button(bpy.ops.thunder.keep_frames, which="AROUND") == ["FINISHED"]
        hand.button(bpy.ops.thunder.resample_rest)
    yield from done()
    hand.seen["kinds"], hand.seen["shown"] = (
        [entry.kind for entry in hand.scene.thunder.takes],
        hand.scene.thunder.active_take,
    )
    began = time.process_time()
    hand.scene.thunder.takes[hand.scene.thunder.active_take].action.thunder_shape.jaw = 1.4
    hand.seen["slider"] = time.process_time() - began
    hand.call(bpy.ops.ed.undo_push, message="Jaw")  # as a slider's own end does
    yield 2.0
    hand.photograph("reworked")


def finish(hand):
    """Commit, and hear what the line says."""
    hand.seen["before_commit"] = committed_state(hand)
    before = {action.name for action in bpy.data.actions}
    hand.button(bpy.ops.thunder.commit_take)
    yield from done()
    hand.seen["committed"] = sorted({action.name for action in bpy.data.actions} - before)
    hand.scene.thunder.listen_play = False
    hand.scene.thunder.listen_range = "SCENE"
    hand.button(bpy.ops.thunder.listen)
    yield from done()
    with hand.context():
        hand.seen["heard"] = listening.listening_strip(bpy.context)[1] is not None
    end = time.monotonic() + 20
    while live_score.live.is_running and time.monotonic() < end:
        yield 0.2
    yield 2.0
    hand.photograph("heard")


def committed_state(hand):
    """What a commit changes and its undo brings back: all actions, and the take that is shown."""
    return [sorted(action.name for action in bpy.data.actions), hand.scene.thunder.active_take]


def undo_it_all(hand):
    """Undo back to before the takes, and redo all."""
    after = take_names(hand)
    for turn in range(20):
        hand.press("Z", ctrl=True)
        yield 1.0 if turn < 2 else 0.6
        if turn == 1:  # Listen and Commit are undone
            hand.seen["uncommitted"] = committed_state(hand)
        if not take_names(hand):
            break
    hand.seen["undone"] = [take_names(hand), len(bpy.data.actions)]
    for _ in range(20):
        hand.press("Z", ctrl=True, shift=True)
        yield 0.4
        if take_names(hand) == after:
            break
    hand.seen["redone"] = take_names(hand) == after
    hand.photograph("redone")
