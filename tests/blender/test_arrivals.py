# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes are listed one by one while the rest is sampled; what has arrived survives a cancellation, a failure and an undo."""

from contextlib import nullcontext

import numpy as np
import pytest
from performances import write_wav
from played_engine import listed, PlayedClient, seeds
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import generation, sampling
from thunder.scene.voice import strip
from thunder.thunder_core import errors

VOICE_SECONDS = 2.0


@pytest.fixture
def scene(blender, tmp_path):
    """A scene with the bundled head whose voice is a sound file."""
    blender.ops.thunder.add_head()
    scene = blender.context.scene
    scene.render.fps = 25
    rng = np.random.default_rng(0)
    path = write_wav(tmp_path / "line.wav", 0.3 * rng.standard_normal(int(16000 * VOICE_SECONDS)))
    scene.thunder.source, scene.thunder.sound_file = "FILE", path
    return scene


def start(blender, scene, client, count=4, on_take=None):
    voice = strip.find(blender.context)
    return generation.generate(client, voice, scene, head.find(scene), count, 11, sampling.Sampling(), on_take=on_take)


def test_each_take_is_listed_as_it_comes_and_all_are_ranked_at_the_end(blender, scene, tmp_path):
    steps = start(blender, scene, PlayedClient(tmp_path))
    fractions, seen = [], []
    for step in steps:
        fractions.append(step.fraction)
        if seeds(scene) and (not seen or seen[-1] != seeds(scene)):
            seen.append(seeds(scene))
    seen.append(seeds(scene))
    assert seen == [[11], [11, 12], [11, 12, 13], [11, 12, 13, 14], [12, 14, 11, 13]]
    assert fractions == sorted(fractions)
    assert scene.thunder.active_take == 0


def test_the_first_is_shown_when_it_comes(blender, scene, tmp_path):
    steps = start(blender, scene, PlayedClient(tmp_path))
    listed(scene, 2, steps)
    assert scene.thunder.active_take == 0 and scene.thunder.takes[0].seed == 11
    scene.frame_set(10)
    assert scene.thunder.head.parent.pose.bones["jaw"].rotation_euler[0] > 0.1
    steps.close()


def test_a_take_that_the_animator_chose_meanwhile_stays_on_the_head(blender, scene, tmp_path):
    steps = start(blender, scene, PlayedClient(tmp_path))
    listed(scene, 3, steps)
    scene.thunder.active_take = 2
    for _ in steps:
        pass
    assert scene.thunder.takes[scene.thunder.active_take].seed == 13


def test_what_the_animator_put_on_the_head_meanwhile_stays(blender, scene, tmp_path):
    steps = start(blender, scene, PlayedClient(tmp_path))
    listed(scene, 1, steps)
    blender.ops.thunder.select_take(index=-1)
    for _ in steps:
        pass
    assert scene.thunder.active_take == -1 and len(scene.thunder.takes) == 4


def test_a_cancellation_keeps_what_has_arrived(blender, scene, tmp_path):
    client, kept = PlayedClient(tmp_path), []
    steps = start(blender, scene, client, on_take=kept.append)
    listed(scene, 3, steps)
    steps.close()
    assert client.requests[0].cancelled
    assert seeds(scene) == [12, 11, 13]  # in order of their scores
    assert all(entry.action is not None for entry in scene.thunder.takes)
    assert len(kept) >= 2


def test_a_cancellation_in_the_middle_of_keying_leaves_no_debris(blender, scene, tmp_path):
    steps = start(blender, scene, PlayedClient(tmp_path))
    before = len(blender.data.actions)
    while True:
        if next(steps).busy and len(blender.data.actions) > before:
            break
    steps.close()
    assert len(blender.data.actions) == before and not scene.thunder.takes


def test_a_cancellation_puts_no_earlier_take_away(blender, scene, tmp_path):
    for _ in start(blender, scene, PlayedClient(tmp_path), count=2):
        pass
    earlier = {entry.action.name for entry in scene.thunder.takes}
    steps = start(blender, scene, PlayedClient(tmp_path))
    listed(scene, 3, steps)
    steps.close()
    assert earlier <= {entry.action.name for entry in scene.thunder.takes}


def test_a_worker_that_dies_costs_only_the_takes_that_had_not_come(blender, scene, tmp_path):
    error = errors.WorkerDied("The engine was ended by signal 9 in the middle of its work: try again", "log")
    steps = start(blender, scene, PlayedClient(tmp_path, error=error, fails_after=2))
    with pytest.raises(errors.WorkerDied):
        for _ in steps:
            pass
    assert seeds(scene) == [12, 11]


@pytest.mark.parametrize("how", ["done", "cancelled", "failed", "unwritable"])
def test_the_folder_of_a_request_goes_however_it_ends(blender, scene, tmp_path, how):
    error = errors.WorkerDied("The engine was ended: try again", "log") if how == "failed" else None
    client = PlayedClient(tmp_path, error=error, fails_after=2)
    steps = start(blender, scene, client)
    listed(scene, 2, steps)
    assert client.folders and not client.forgotten
    if how == "cancelled":
        steps.close()
    elif how == "unwritable":
        blender.data.objects.remove(scene.thunder.head)
    with pytest.raises(errors.ThunderError) if how in ("failed", "unwritable") else nullcontext():
        for _ in steps:
            pass
    assert client.forgotten == client.folders


def test_the_operator_says_what_it_kept(blender, scene, tmp_path, monkeypatch):
    error = errors.WorkerDied("The engine was ended by signal 9 in the middle of its work: try again", "log")
    client = PlayedClient(tmp_path, error=error, fails_after=2)
    monkeypatch.setattr(connection, "client", lambda: client)
    scene.thunder.count = 4
    with pytest.raises(RuntimeError, match="signal 9.*2 of 4 takes"):
        blender.ops.thunder.generate()
    assert len(scene.thunder.takes) == 2


def test_the_operator_warns_of_a_voice_that_was_cut_and_counts_a_single_take(blender, scene, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(connection, "client", lambda: PlayedClient(tmp_path))
    monkeypatch.setattr(strip, "warning", lambda voice: f"“{voice.name}.wav” holds less than its header promises")
    for count, says in ((1, "Generated a take: "), (2, "Best of 2 takes: ")):
        scene.thunder.count = count
        assert blender.ops.thunder.generate() == {"FINISHED"}
        said = capfd.readouterr().out
        assert says in said and "Warning: “" in said and "holds less than its header promises" in said


def test_an_undo_while_takes_arrive_costs_none_of_them(blender, scene, tmp_path):
    blender.context.preferences.edit.use_global_undo = True
    blender.ops.ed.undo_push(message="before")
    steps = start(blender, scene, PlayedClient(tmp_path))
    listed(scene, 2, steps)
    blender.ops.ed.undo_push(message="the animator's own action")
    blender.ops.ed.undo()
    scene = blender.context.scene
    after_undo = len(scene.thunder.takes)
    for _ in steps:
        pass
    scene = blender.context.scene
    assert after_undo < 2, "the undo took nothing, so this tests nothing"
    assert seeds(scene) == [12, 14, 11, 13]
    for entry in scene.thunder.takes:
        assert entry.action is not None
        assert len(compat.all_curves(entry.action)) > 10


def test_a_deleted_take_does_not_come_back(blender, scene, tmp_path):
    steps = start(blender, scene, PlayedClient(tmp_path))
    listed(scene, 3, steps)
    action = scene.thunder.takes[1].action
    scene.thunder.takes.remove(1)
    blender.data.actions.remove(action)
    for _ in steps:
        pass
    assert sorted(seeds(scene)) == [11, 13, 14]


def test_a_head_that_is_removed_meanwhile_is_said(blender, scene, tmp_path):
    steps = start(blender, scene, PlayedClient(tmp_path))
    listed(scene, 1, steps)
    for obj in list(blender.data.objects):
        blender.data.objects.remove(obj)
    with pytest.raises(errors.BadHead, match="removed during"):
        for _ in steps:
            pass
