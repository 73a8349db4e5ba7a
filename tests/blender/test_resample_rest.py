# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes sampled around what is kept are listed one by one; those that have come survive a
cancellation and a failure."""

import pytest
from performances import noise, show_take
from played_engine import listed, seeds
from speaking import speak
from thunder.scene.animation import display
from thunder.scene.takes import keep
from thunder.scene.voice import strip
from thunder.thunder_core import errors, progress

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


def test_each_is_listed_as_it_comes_and_all_are_ranked_at_the_end(stage, start):
    steps, client = start()
    fractions, seen = [], []

    def note(step):
        fractions.append(step.fraction)
        if not seen or seen[-1] != seeds(stage):
            seen.append(seeds(stage))

    takes = progress.result(progress.map_progress(steps, note))
    seen.append(seeds(stage))
    assert seen == [
        [0],
        [1001, 0],
        [1001, 1002, 0],
        [1001, 1002, 1003, 0],
        [1001, 1002, 1003, 1004, 0],
        [1002, 1004, 1001, 1003, 0],
    ]
    assert fractions == sorted(fractions)
    assert stage.thunder.active_take == 0 and stage.thunder_keep.seed == 1005
    assert [take.seed for take in takes] == [1002, 1004, 1001, 1003]
    assert [entry.kind for entry in stage.thunder.takes] == ["RESAMPLED"] * 4 + ["SAMPLED"]


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


def test_a_take_that_is_deleted_meanwhile_is_said_and_the_new_ones_stay(blender, stage, start):
    steps, _ = start()
    listed(stage, 2, steps)
    blender.ops.thunder.delete_take(index=1)
    with pytest.raises(errors.BadRequest, match="was deleted while"):
        for _ in steps:
            pass
    assert seeds(stage) == [1001]
