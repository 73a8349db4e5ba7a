# SPDX-License-Identifier: GPL-3.0-or-later
"""A video of an actor, a drawn head, becomes a take in a window."""

import os
import subprocess

import bpy
import numpy as np
from scenarios import done, ROOT, scene_with_voice_and_head, time_slices, until
from thunder.scene.heads import head
from thunder.scene.host.jobs import session
from thunder.scene.review import problem_report
from thunder.scene.takes import provenance
from thunder.thunder_core.animation import motion_file
from thunder.thunder_core.engine_python import find_tracker


def film(hand):
    """A film of the listed take's first seconds, and its motion."""
    motion = provenance.load(hand.scene.thunder.takes[0].action).motion
    path = os.path.join(hand.folder, "actor.npz")
    np.savez(path, **motion_file.arrays(motion, head.channel_names()))
    command = [find_tracker(), "-m", "research.faces.films", path, hand.folder, "plain"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=200)
    return os.path.join(hand.folder, "actor", "plain.avi"), motion


def takes_a_video(hand):
    """Work has progress, Esc leaves all as it was, and the take moves as the actor does and is one
    undo step; without what follows faces there is a sentence."""
    yield from scene_with_voice_and_head(hand, "takes")
    scene, settings = hand.scene, hand.scene.thunder
    settings.count = 1
    hand.button(bpy.ops.thunder.generate)
    yield from done()
    path, motion = film(hand)

    actions = len(bpy.data.actions)
    hand.call(bpy.ops.thunder.import_capture, "INVOKE_DEFAULT", filepath=path)
    yield from until(
        lambda: session.job.step.message == "Following the face" and session.job.step.fraction > 0.2
    )
    hand.photograph("following")
    hand.press("ESC")
    yield from until(lambda: session.job is None, "Esc", 20)
    assert len(settings.takes) == 1 and len(bpy.data.actions) == actions

    held = time_slices()
    hand.button(bpy.ops.thunder.import_capture, filepath=path)
    yield from done()
    assert {"Following the face", "Solving the face"} <= {message for _, message in held}
    hand.keeps(0.05, held, "slices of following a face")
    captured = next(take for take in settings.takes if take.kind == "CAPTURED")
    made = provenance.load(captured.action).motion
    turns = [each.head[: min(made.frames, motion.frames), 1] for each in (made, motion)]
    hand.seen["turn"] = float(np.corrcoef(*turns)[0, 1])
    assert hand.seen["turn"] > 0.9
    scene.frame_set(captured.first + int(made.jaw[:, 0].argmax()))
    yield 1.0
    hand.photograph("captured")
    yield from hand.undo()
    assert [take.kind for take in hand.scene.thunder.takes] == ["SAMPLED"]

    os.environ["THUNDER_TRACKER"] = os.path.join(hand.folder, "none")
    hand.call(bpy.ops.thunder.import_capture, "INVOKE_DEFAULT", filepath=path)
    yield from done()
    hand.photograph("refused")
    said = problem_report.last_error.error["sentence"]
    assert len(hand.scene.thunder.takes) == 1 and "There is no Python" in said
