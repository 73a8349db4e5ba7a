# SPDX-License-Identifier: GPL-3.0-or-later
"""A newcomer's first day, in one go: from the file that Blender opens with to a committed line that
is listened to."""

import time
from itertools import pairwise

import bpy
import numpy as np
from place_scenarios import moved, photograph_sidebar
from scenarios import done, only_open, time_slices, until
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host.jobs import session
from thunder.scene.review import listening, live_score
from thunder.scene.takes import take_list
from thunder.scene.voice import strip


def a_day(hand):
    """Head, voice, takes, a star, a mix, kept frames, a slider, commit, listen; then all of it
    undone again."""
    only_open("main", "takes", "commit", "listen")
    yield from hand.open_tab("Thunder")
    held = time_slices()
    yield from first_steps(hand)
    yield from choose(hand)
    yield from rework(hand)
    state = committed_state(hand)
    yield from finish(hand)
    hand.keeps(0.05, held, "slices of a day")
    yield from undo_it_all(hand, state)


def take_names(hand):
    return [entry.name for entry in hand.scene.thunder.takes]


def first_steps(hand):
    """Three clicks from the file with the cube to a moving face, between which no button moves."""
    overlay = hand.viewport.spaces.active.overlay
    # lines that are seen through the sidebar where it has no panel
    overlay.show_floor = overlay.show_ortho_grid = False
    pictures = [(yield from photograph_sidebar(hand, "getting_started"))]
    for name, operator in (
        ("head", bpy.ops.thunder.add_head),
        ("voice", bpy.ops.thunder.sample_voice),
    ):
        assert hand.button(operator) == ["FINISHED"]
        yield 1.0
        pictures.append((yield from photograph_sidebar(hand, name)))
    hand.scene.thunder.count = 4
    yield from hand.click_main_button()
    # a busy machine answers a click late
    yield from until(lambda: session.job is not None, "the click started nothing", 20)
    yield from done()
    pictures.append((yield from photograph_sidebar(hand, "generated")))
    for before, after in pairwise(pictures):
        assert not moved(before, after), "buttons stay where they are"
    rig = head.find(hand.scene)
    frames = range(hand.scene.frame_start, hand.scene.frame_start + 190, 3)  # all of the sample
    angles = []
    for frame in frames:
        hand.scene.frame_set(frame)
        angles.append(rig.armature.pose.bones["jaw"].matrix_basis.to_quaternion().angle)
    assert len(take_names(hand)) == 4 and np.ptp(angles) > 0.03  # radians of the jaw
    hand.scene.frame_set(frames[int(np.argmax(angles))])
    hand.call(bpy.ops.object.select_all, action="DESELECT")
    yield 2.0
    hand.photograph("a_moving_face")


def choose(hand):
    """Down the list by keys, a star for the second."""
    for key in ("DOWN_ARROW", "Y"):
        hand.press(key, alt=True)
        yield 1.0
    assert [entry.star for entry in hand.scene.thunder.takes] == [False, True, False, False]


def rework(hand):
    """The mouth of one take with the head of another, the middle of it kept, the rest sampled
    again, more jaw."""
    actions = [entry.action.name for entry in hand.scene.thunder.takes]
    for part, index in (("mouth", 0), ("upper_face", 1), ("eyes", 1), ("head", 2)):
        hand.button(bpy.ops.thunder.choose_part, part=part, take=actions[index])
    hand.button(bpy.ops.thunder.mix_takes)
    yield from done()
    hand.scene.frame_set(60)
    hand.scene.thunder_keep.count = 1
    hand.button(bpy.ops.thunder.keep_frames, which="AROUND")
    hand.button(bpy.ops.thunder.resample_rest)
    yield from done()
    kinds = sorted(entry.kind for entry in hand.scene.thunder.takes)
    assert kinds == ["MIXED", "RESAMPLED"] + ["SAMPLED"] * 4
    began = time.process_time()
    hand.scene.thunder.takes[hand.scene.thunder.active_take].action.thunder_shape.jaw = 1.4
    hand.keeps(0.1, time.process_time() - began, "a slider")
    hand.call(bpy.ops.ed.undo_push, message="Jaw")  # as a slider's own end does
    yield 2.0


def finish(hand):
    """Commit, and hear what the line says."""
    before = len(bpy.data.actions)
    shown = display.actions_of(take_list.shown_take(hand.scene.thunder))
    hand.button(bpy.ops.thunder.commit_take)
    yield from done()
    assert len(bpy.data.actions) == before + len(shown)  # the commit has actions of its own
    hand.scene.thunder.listen_play = False
    hand.scene.thunder.listen_range = "SCENE"
    hand.button(bpy.ops.thunder.listen)
    yield from done()
    with hand.context():
        scene, speech = listening.listening_strip(bpy.context)
        voices = strip.sound_strips(scene)
        listening.flip(bpy.context, True)
        assert not speech.mute and any(voice.mute for voice in voices)
    hand.call(bpy.ops.screen.animation_play)
    yield 1.0
    hand.call(bpy.ops.screen.animation_play)  # it stops
    yield 0.5
    assert speech.mute and not any(voice.mute for voice in voices)
    yield from until(lambda: not live_score.live.is_running, "the live score", 20)
    yield 2.0


def committed_state(hand):
    """What a commit changes and its undo brings back: all actions, and the take that is shown."""
    return sorted(action.name for action in bpy.data.actions), hand.scene.thunder.active_take


def undo_it_all(hand, before_commit):
    """Undo back to before the takes, and redo all."""
    after = take_names(hand)
    for turn in range(20):
        hand.press("Z", ctrl=True)
        yield 1.0 if turn < 3 else 0.6
        if turn == 2:  # the playhead's move, Hear the Lips and Commit are undone
            assert committed_state(hand) == before_commit and before_commit[1] >= 0
        if not take_names(hand):
            break
    assert take_names(hand) == [] and not bpy.data.actions
    for _ in range(20):
        hand.press("Z", ctrl=True, shift=True)
        yield 0.4
        if take_names(hand) == after:
            return
    raise AssertionError("redo does not bring the takes back")
