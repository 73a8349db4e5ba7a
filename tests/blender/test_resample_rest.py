# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes sampled around what is kept are listed one by one; those that have come survive a
cancellation and a failure."""

import pytest
from performances import noise, show_take
from speaking import speak
from thunder.scene.animation import display
from thunder.scene.takes import keep
from thunder.scene.voice import strip

VOICE_SECONDS = 4.0


@pytest.fixture
def stage(stage, voice):
    """A scene with the bundled head, a voice of four seconds and a take of it that is shown, some
    frames of it kept."""
    scene, rig = stage
    scene.thunder.source, scene.thunder.sound_file = "FILE", noise(voice, VOICE_SECONDS)
    speaking = strip.of_file(scene, voice)
    show_take(stage, speak(seconds=VOICE_SECONDS), speaking.clock.start, speaking.name)
    keep.add_range(scene, 30, 55)
    return scene


@pytest.fixture
def start(blender, stage, client):
    """Begins to resample the shown take with a played engine: (its steps, the client)."""
    return lambda: (keep.resample(client, blender.context), client)


def debris(blender):
    """Actions that no list knows."""
    known = [
        action
        for scene in blender.data.scenes
        for entry in scene.thunder.takes
        for action in display.actions_of(entry)
    ]
    return [
        action.name
        for action in blender.data.actions
        if action not in known and "thunder" in action
    ]


def test_a_cancellation_at_any_step_leaves_whole_takes_and_no_debris(blender, stage, start):
    count = 0
    while True:
        steps, client = start()
        stage.thunder_keep.count, stage.thunder_keep.seed = 1, 1001
        before = len(stage.thunder.takes)
        for _ in zip(range(count), steps):
            pass
        if next(steps, None) is None:
            break
        steps.close()
        assert debris(blender) == []
        assert set(client.folders) == set(client.forgotten)
        while len(stage.thunder.takes) > before:
            blender.ops.thunder.delete_take(index=0)
        blender.ops.thunder.select_take(index=0)
        count += 7
    assert count > 30
