# SPDX-License-Identifier: GPL-3.0-or-later
"""One recording with several speakers: ranges that stay where they are heard, and heads that speak
theirs and listen to the others'; takes of those that listen have no lip-sync score."""

import math

import numpy as np
import pytest
from performances import noise, performance, read_wav, reopen, trim_end, trim_start
from played_engine import PlayedClient
from thunder.cli import bake, batch
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.review import live_score
from thunder.scene.takes import dialogue, take_list, take_record, turns
from thunder.scene.takes.commit import committing
from thunder.scene.voice import strip
from thunder.thunder_core import errors
from thunder.thunder_core.request import turns_of


class HearingClient(PlayedClient):
    """Remembers what it was given to hear: (listening, loudness of each fifth of a second)."""

    def __init__(self, folder):
        super().__init__(folder)
        self.heard = []

    def request(self, verb, **args):
        if verb == "generate":
            samples, rate = read_wav(args["sound"])
            fifth = rate // 5
            loud = np.abs(samples[: len(samples) // fifth * fifth]).reshape(-1, fifth).mean(1)
            self.heard.append((args.get("role") == "listens", loud > 0.05))
        return super().request(verb, **args)


@pytest.fixture
def talk(needs_sound, blender, tmp_path, play):
    """Two heads and a recording of four seconds from frame 11 on, at 25 fps: (scene, heads, strip,
    client)."""
    client = play(HearingClient(tmp_path))
    for _ in range(2):
        blender.ops.thunder.add_head()
    scene = blender.context.scene
    scene.render.fps = 25
    one = strip.add(scene, noise(tmp_path / "talk.wav", 4.0), "talk", 11)
    blender.context.preferences.edit.use_global_undo = True
    return scene, head.in_scene(scene), one, client


def mark(bpy, speaker, first, last):
    scene = bpy.context.scene
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, first, last
    return bpy.ops.thunder.mark_speaker(strip="talk", speaker=speaker.name)


def ranges(scene, one):
    return [
        (turn.head and turn.head.name, turn.first, turn.last - 1)
        for turn in turns.of_strip(scene, one)
    ]


@pytest.fixture
def marked(blender, talk):
    """The same, the first half spoken by one, the second by the other."""
    scene, heads, one, client = talk
    mark(blender, heads[0], 11, 60)
    mark(blender, heads[1], 61, 110)
    scene.use_preview_range = False
    return talk


@pytest.mark.one_blender
def test_ranges_follow_their_strip(blender, marked):
    scene, heads, one, _ = marked
    names = [mesh.name for mesh in heads]
    assert ranges(scene, one) == [(names[0], 11, 60), (names[1], 61, 110)]
    strip.move(one, 31)
    one.name = "another name"
    assert ranges(scene, one) == [(names[0], 31, 80), (names[1], 81, 130)]
    trim_start(one, 10)
    trim_end(one, 30)
    assert ranges(scene, one) == [(names[0], 41, 80), (names[1], 81, 100)]
    later = one.split(frame=60, split_method="SOFT")
    assert [ranges(scene, part) for part in (one, later)] == [
        [(names[0], 41, 59)],
        [(names[0], 60, 80), (names[1], 81, 100)],
    ]


@pytest.mark.one_blender
def test_ranges_survive_saving_and_undo(blender, marked, tmp_path):
    scene, heads, one, _ = marked
    before = ranges(scene, one)
    blender.ops.ed.undo_push(message="marked")
    blender.ops.thunder.remove_speaker(index=0)
    blender.ops.ed.undo_push(message="removed")
    assert len(ranges(scene, one)) == 1
    blender.ops.ed.undo()
    scene = blender.context.scene
    assert ranges(scene, strip.by_name(scene, "talk")) == before
    scene = reopen(blender, tmp_path)
    assert ranges(scene, strip.by_name(scene, "talk")) == before


@pytest.mark.one_blender
def test_a_range_without_a_preview_range_goes_from_the_playhead_to_the_next(blender, talk):
    scene, heads, one, _ = talk
    mark(blender, heads[1], 61, 80)
    scene.use_preview_range = False
    scene.frame_set(31)
    blender.ops.thunder.mark_speaker(strip="talk", speaker=heads[0].name)
    assert ranges(scene, one) == [(heads[0].name, 31, 60), (heads[1].name, 61, 80)]
    scene.frame_set(71)  # more of the same head is one range with it
    blender.ops.thunder.mark_speaker(strip="talk", speaker=heads[1].name)
    assert ranges(scene, one) == [(heads[0].name, 31, 60), (heads[1].name, 61, 110)]


@pytest.mark.one_blender
def test_a_mark_replaces_others_and_one_that_cannot_be_made_changes_nothing(blender, marked):
    scene, heads, one, _ = marked
    before = ranges(scene, one)
    with pytest.raises(RuntimeError, match="Too little of “talk”"):
        mark(blender, heads[0], 200, 240)
    mark(blender, heads[0], 1, 30)  # cut to the strip, and one with the range beside it
    assert ranges(scene, one) == before
    mark(blender, heads[1], 30, 40)
    names = [mesh.name for mesh in heads]
    assert ranges(scene, one) == [
        (names[0], 11, 29),
        (names[1], 30, 40),
        (names[0], 41, 60),
        (names[1], 61, 110),
    ], "who is marked last speaks"
    blender.ops.thunder.remove_speaker(index=turns.of_strip(scene, one)[0].index)
    with pytest.raises(RuntimeError, match="it needs 0.3 s or more"):
        mark(blender, heads[0], 20, 22)


@pytest.mark.one_blender
def test_each_head_speaks_its_ranges_and_listens_to_the_others(blender, marked):
    scene, heads, one, client = marked
    scene.thunder.count = 2
    assert [(line.strip, line.speaker) for line in dialogue.lines(scene)] == [
        ("talk", heads[0]),
        ("talk", heads[1]),
    ]
    assert blender.ops.thunder.generate_all() == {"FINISHED"}
    assert sorted((entry.head.name, entry.role) for entry in scene.thunder.takes) == sorted(
        (mesh.name, "SPEAKS") for mesh in heads * 2
    )
    first, second = np.arange(20) < 10, np.arange(20) >= 10
    for (listening, loud), (wanted, listens) in zip(
        client.heard, ((second, True), (first, False), (first, True), (second, False)), strict=True
    ):
        assert listening == listens and np.array_equal(loud, wanted)
    assert not dialogue.lines_to_generate(scene)
    entry = next(entry for entry in scene.thunder.takes if entry.head == heads[0])
    assert turns_of(dict(entry.action["thunder"])) == ((0.0, 2.0),)
    assert (entry.first, entry.last) == (11, 110)
    assert blender.ops.thunder.commit_all() == {"FINISHED"}
    assert all(committing.committed_lines(mesh) == {"talk"} for mesh in heads)
    blender.ops.thunder.remove_speaker(index=1)
    assert [line.speaker for line in dialogue.lines(scene)] == [heads[0]]
    mark(blender, heads[1], 81, 110)
    # its takes speak another range
    assert [line.speaker for line in dialogue.lines_to_generate(scene)] == [heads[1]]


@pytest.mark.one_blender
def test_a_bake_of_a_strip_with_speakers_bakes_the_one_that_is_named(blender, talk, tmp_path):
    scene, heads, one, client = talk
    names = [mesh.name for mesh in heads]
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "talk.blend"))
    arguments = [
        "--blend",
        str(tmp_path / "talk.blend"),
        "--strip",
        "talk",
        "--takes",
        "1",
        "--commit",
        "twos",
    ]
    arguments += ["--speakers", f"{names[0]} 11-60, {names[1]} 61-110"]
    report = bake.bake(
        bake.options([*arguments, "--out", str(tmp_path / "out"), "--head", names[1]])
    )
    scene = blender.context.scene
    entry, rig = scene.thunder.takes[0], head.resolve(scene.objects[names[1]])
    assert entry.head.name == names[1] and [listening for listening, _ in client.heard] == [
        True,
        False,
    ]
    assert report["committed"] == [rig.targets[0].animation_data.action.name]
    kinds = {
        point.interpolation
        for curve in compat.curves_for(rig.keys)
        for point in curve.keyframe_points
        if 20 < point.co[0] < 100
    }
    assert kinds == {"CONSTANT"}
    wrong = ["--out", str(tmp_path / "none")]
    with pytest.raises(
        errors.BadHead, match="no object “Nobody” in the scene “Scene”: name one of"
    ):
        bake.bake(bake.options([*arguments[:-1], "Nobody 1-2", *wrong]))
    scene = blender.context.scene
    camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    with pytest.raises(errors.BadHead, match="“Camera” is no head"):
        turns.mark_all(scene, "talk", [("Camera", "1", "2")])


@pytest.mark.one_blender
def test_a_head_is_named_by_its_mesh_or_its_rig(blender, talk):
    scene, heads, one, _ = talk
    rigs = [head.owner_of(mesh).name for mesh in heads]
    assert not {*rigs} & {mesh.name for mesh in heads}
    turns.mark_all(scene, "talk", [(rigs[0], "11", "60"), (heads[1].name, "61", "110")])
    assert [turn.head for turn in turns.of_strip(scene, one)] == list(heads)
    assert [bake.choose_head(scene, name).mesh for name in rigs] == list(heads)
    with pytest.raises(errors.BadHead, match=f"name one of its heads, {', '.join(rigs)}$"):
        bake.choose_head(scene, "Nobody")


@pytest.mark.one_blender
def test_a_scene_with_ranges_is_a_job_for_each_of_its_speakers(blender, marked, tmp_path):
    scene, heads, one, _ = marked
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "talk.blend"))
    listed = batch.of_scene(str(tmp_path / "talk.blend"), {}, False)
    names = [mesh.name for mesh in head.in_scene(blender.context.scene)]
    assert [(job.name, job.settings["head"], job.settings["strip"]) for job in listed.jobs] == [
        (f"talk {name}", name, "talk") for name in names
    ]


@pytest.mark.one_blender
def test_a_take_listens_outside_its_ranges_and_flows_between():
    speaks = performance(seconds=4.0, closed_at=())
    listens = performance(seconds=4.0, closed_at=(), shut=True)
    take = turns.join_takes(speaks, listens, ((1.0, 2.0),), None)
    jaw = take.motion.jaw[:, 0]
    assert (
        np.allclose(jaw[25:51], 0.2) and np.allclose(jaw[:15], 0.0) and np.allclose(jaw[61:], 0.0)
    )
    assert np.abs(np.diff(jaw)).max() < 0.05 and take.opening[30] > take.opening[0] + 5


@pytest.fixture
def heads(needs_sound, heads, scene, tmp_path, client):
    """Two heads, a strip that the first speaks and one that the second speaks: the heads."""
    for number, (name, start) in enumerate((("one", 1), ("two", 61))):
        strip.add(scene, noise(tmp_path / f"{name}.wav", seed=number), name, start)
        dialogue.cast(scene, name, heads[number])
    scene.thunder.count, scene.thunder.seed = 2, 1
    return heads


def test_a_head_listens_to_the_line_of_another(blender, heads, scene, client):
    assert blender.ops.thunder.listen_to_strip(strip="one", listener=heads[1].name) == {"FINISHED"}
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
    dialogue.let_listen(scene, "one", heads[0])
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
    dialogue.let_listen(scene, "one", heads[1])
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
    dialogue.let_listen(scene, "one", heads[1])
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
