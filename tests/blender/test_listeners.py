# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads that listen to the lines of others: their takes have no lip-sync score."""

import math

import pytest
from performances import noise
from thunder.cli import bake
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.review import live_score
from thunder.scene.takes import dialogue, take_list, take_record
from thunder.scene.takes.commit import committing
from thunder.scene.voice import strip
from thunder.thunder_core import errors


@pytest.mark.one_blender
def test_a_head_is_named_by_its_mesh_or_its_rig(blender):
    for _ in range(2):
        blender.ops.thunder.add_head()
    scene = blender.context.scene
    heads = head.in_scene(scene)
    rigs = [head.owner_of(mesh).name for mesh in heads]
    assert not {*rigs} & {mesh.name for mesh in heads}
    named = [bake.choose_head(scene, name).mesh for name in (rigs[0], heads[1].name)]
    assert named == list(heads)
    with pytest.raises(errors.BadHead, match=f"name one of its heads, {', '.join(rigs)}$"):
        bake.choose_head(scene, "Nobody")


@pytest.fixture
def heads(needs_sound, heads, scene, tmp_path, client):
    """Two heads, a strip that the first speaks and one that the second speaks: the heads."""
    for number, (name, start) in enumerate((("one", 1), ("two", 61))):
        strip.add(scene, noise(tmp_path / f"{name}.wav", seed=number), name, start)
        dialogue.cast(scene, name, heads[number])
    scene.thunder.count, scene.thunder.seed = 2, 1
    return heads


def listen(scene, name, listener):
    """Choose a head that listens to a strip."""
    scene.thunder.head = listener
    scene.thunder.voice, scene.thunder.head_role = name, "LISTENS"


def test_a_head_listens_to_the_line_of_another(blender, heads, scene, client):
    scene.thunder.head = heads[1]
    scene.thunder.head_role = "LISTENS"
    scene.sequence_editor.active_strip = strip.by_name(scene, "one")
    assert strip.find(blender.context).name == "one"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    ((_, request),) = client.asked
    assert request["role"] == "listens"
    assert [(entry.head, entry.voice, entry.role, entry.seed) for entry in scene.thunder.takes] == [
        (heads[1], "one", "LISTENS", 1),
        (heads[1], "one", "LISTENS", 2),
    ]
    entry = scene.thunder.takes[0]
    assert (
        math.isnan(entry.score)
        and take_list.score_text(entry) == "Listener"
        and "no Lip-Sync" in entry.tooltip
    )
    assert (
        display.shown_action(head.resolve(heads[1])) == entry.action
        and display.shown_action(head.resolve(heads[0])) is None
    )
    assert dialogue.speaker_of(scene, "one") == heads[0]  # who speaks it has not changed
    # nor do its own takes exist
    assert [line.strip for line in dialogue.lines_to_generate(scene)] == ["one", "two"]
    dialogue.select(blender.context, "two")
    assert scene.thunder.head_role == "SPEAKS" and strip.find(blender.context).name == "two"


def test_a_head_does_not_listen_to_itself(blender, heads, scene):
    listen(scene, "one", heads[0])
    with pytest.raises(RuntimeError, match="speaks “one” and cannot listen to it"):
        blender.ops.thunder.generate()
    assert not len(scene.thunder.takes)
    scene.thunder.voice = ""  # then the other's voice is meant, whichever strip is active
    scene.sequence_editor.active_strip = strip.by_name(scene, "one")
    assert strip.find(blender.context).name == "two"
    dialogue.cast(scene, "two", heads[0])
    with pytest.raises(errors.BadSound, match="speaks all sound strips"):
        strip.find(blender.context)


def test_a_listener_is_sampled_again_as_one(blender, heads, scene, client):
    listen(scene, "one", heads[1])
    blender.ops.thunder.generate()
    blender.ops.thunder.select_take(index=0)
    scene.thunder_keep.upper_face = True
    assert blender.ops.thunder.resample_rest() == {"FINISHED"}
    assert (
        all(request["role"] == "listens" for _, request in client.asked) and len(client.asked) == 2
    )
    entry = scene.thunder.takes[0]
    made = take_record.load(entry.action)
    assert (
        math.isnan(made.score) and take_record.request_of(made.provenance, scene.thunder).listening
    )
    assert all(entry.role == "LISTENS" for entry in scene.thunder.takes)
    roles = {entry.action.name: entry.role for entry in scene.thunder.takes}
    # takes that were appended from another file are listed as what they are
    scene.thunder.takes.clear()
    take_list.adopt(scene, head.resolve(heads[1]))
    assert {entry.action.name: entry.role for entry in scene.thunder.takes} == roles


def test_a_listener_is_committed_and_has_no_lip_sync_then_either(blender, heads, scene):
    listen(scene, "one", heads[1])
    blender.ops.thunder.generate()
    rig = head.resolve(heads[1])
    assert (
        "no Lip-Sync" in live_score.why_none(rig)
        and not live_score.shown_score(scene, rig).is_known
    )
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    own = live_score.animator_action(rig)
    assert own is not None and take_list.on_head(scene, heads[1]) is None
    scene.thunder.head_role = "SPEAKS"
    assert "a head that listens has no Lip-Sync" in live_score._why_unscored(scene, rig)
    # what is committed for a whole dialogue is what heads say
    assert all(committing.take_of(scene, line) is None for line in dialogue.lines(scene))
