# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are dropped or imported become lines of the heads; a strip that the animator adds is
offered; bad files change nothing."""

from types import SimpleNamespace

import bpy
import pytest
from performances import noise
from thunder.operators import add
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import dialogue
from thunder.scene.voice import strip

pytestmark = pytest.mark.usefixtures("needs_sound")


@pytest.fixture
def sounds(tmp_path):
    """Files of one second: names of those that are made."""

    def make(*names):
        for number, name in enumerate(names):
            noise(tmp_path / name, 1.0, seed=number)
        return {"directory": str(tmp_path), "files": [{"name": name} for name in names]}

    return make


def spans(scene):
    return {each.name: compat.strip_span(each) for each in strip.sound_strips(scene)}


def test_a_sound_becomes_the_line_of_the_chosen_head_at_the_playhead_in_a_free_channel(
    blender, scene, rig, sounds, client
):
    scene.frame_set(33)
    dialogue.newest_strip(blender.context)
    assert blender.ops.thunder.add_lines(**sounds("hello.wav")) == {"FINISHED"}
    assert spans(scene) == {"hello": (33, 57)} and dialogue.newest_strip(blender.context) == "", (
        "it is not offered again"
    )
    assert (
        strip.find(blender.context).name == "hello"
        and dialogue.speaker_of(scene, "hello") == rig.mesh
    )
    assert scene.sync_mode == "AUDIO_SYNC" and not scene.thunder.takes  # it never starts by itself
    scene.thunder.count = 1
    assert (
        blender.ops.thunder.generate() == {"FINISHED"} and scene.thunder.takes[0].voice == "hello"
    )
    blender.ops.thunder.add_lines(**sounds("hello.wav"))
    assert [each.channel for each in strip.sound_strips(scene)] == [1, 2] and set(
        spans(scene).values()
    ) == {(33, 57)}


def test_several_sounds_become_a_dialogue_of_the_heads_in_turn(blender, scene, sounds):
    blender.ops.thunder.add_head()
    one, two = head.in_scene(scene)
    scene.thunder.head = two
    assert blender.ops.thunder.add_lines(**sounds("a.wav", "b.wav", "c.wav")) == {"FINISHED"}
    assert spans(scene) == {"a": (1, 25), "b": (25, 49), "c": (49, 73)}
    assert [dialogue.speaker_of(scene, name) for name in "abc"] == [two, one, two]
    assert (
        scene.thunder.head == two
        and scene.thunder.voice in ("", "a")
        and strip.find(blender.context).name == "a"
    )
    assert [line.strip for line in dialogue.lines_to_generate(scene)] == ["a", "b", "c"]


def test_what_is_no_sound_is_left_out_and_said(blender, scene, sounds, tmp_path, capfd):
    files = sounds("a.wav")
    (tmp_path / "bad.wav").write_text("no sound")
    files["files"] += [{"name": "bad.wav"}, {"name": "gone.wav"}]
    assert blender.ops.thunder.add_lines(**files) == {"FINISHED"}
    assert list(spans(scene)) == ["a"]
    said = capfd.readouterr().out
    assert "Left out: " in said and "bad" in said and "gone.wav" in said


@pytest.mark.parametrize(
    "names, sentence",
    [(("bad.wav",), "bad"), (("gone.wav",), "gone.wav"), ((), "No sound file was chosen")],
)
def test_nothing_changes_where_no_sound_can_be_used(blender, scene, tmp_path, names, sentence):
    (tmp_path / "bad.wav").write_text("no sound")
    sounds = len(blender.data.sounds)
    with pytest.raises(RuntimeError, match=sentence):
        blender.ops.thunder.add_lines(
            directory=str(tmp_path), files=[{"name": name} for name in names]
        )
    assert not spans(scene) and len(blender.data.sounds) == sounds and not scene.thunder.cast


def test_without_a_head_the_sound_waits_for_one(blender, sounds):
    scene = blender.context.scene
    assert blender.ops.thunder.add_lines(**sounds("a.wav")) == {"FINISHED"}
    blender.ops.thunder.add_head()
    assert (
        strip.find(blender.context).name == "a"
        and dialogue.speaker_of(scene, "a") == head.in_scene(scene)[0]
    )


# ---- a strip that the animator adds


def test_a_strip_that_comes_into_the_sequencer_is_offered_until_it_is_spoken_or_refused(
    blender, scene, rig, sounds, client, tmp_path
):
    sounds("old.wav", "new.wav")
    strip.add(scene, str(tmp_path / "old.wav"), "old", 1)
    assert dialogue.newest_strip(blender.context) == ""  # it was there before
    strip.add(scene, str(tmp_path / "new.wav"), "new", 40)
    assert dialogue.newest_strip(blender.context) == "new" == dialogue.newest_strip(blender.context)
    scene.thunder.count = 1
    assert blender.ops.thunder.generate(strip="new") == {"FINISHED"}
    assert [(entry.voice, entry.head) for entry in scene.thunder.takes] == [("new", rig.mesh)]
    assert dialogue.newest_strip(blender.context) == ""
    strip.add(scene, str(tmp_path / "old.wav"), "music", 1)
    assert dialogue.newest_strip(blender.context) == "music"
    blender.ops.thunder.cast_strip(strip="music", speaker="NO_SPEAKER")
    assert dialogue.newest_strip(blender.context) == ""


def test_undo_takes_the_offer_back_and_redo_brings_it(blender, stage, sounds, tmp_path):
    blender.context.preferences.edit.use_global_undo = True
    sounds("a.wav")
    dialogue.newest_strip(blender.context)
    blender.ops.ed.undo_push(message="before")
    strip.add(blender.context.scene, str(tmp_path / "a.wav"), "a", 1)
    blender.ops.ed.undo_push(message="Add Sound Strip")
    assert dialogue.newest_strip(blender.context) == "a"
    blender.ops.ed.undo()
    assert dialogue.newest_strip(blender.context) == ""
    blender.ops.ed.redo()
    assert dialogue.newest_strip(blender.context) == "a"


# ---- what Blender calls when files are held over an editor


def test_files_are_taken_over_the_viewport_alone(blender):
    handlers = [getattr(bpy.types, name) for name in ("THUNDER_FH_lines", "THUNDER_FH_captures")]
    for handler in handlers:
        assert handler.poll_drop(SimpleNamespace(area=SimpleNamespace(type="VIEW_3D")))
        assert not handler.poll_drop(SimpleNamespace(area=SimpleNamespace(type="SEQUENCE_EDITOR")))
        assert not handler.poll_drop(SimpleNamespace(area=None))
        assert handler.bl_import_operator.partition(".")[2] in dir(bpy.ops.thunder)
    assert not add.DropsInViewport.poll_drop(blender.context)
    endings = ";".join(handler.bl_file_extensions for handler in handlers).split(";")
    assert {".wav", ".mp3", ".flac", ".csv", ".npz"} <= set(endings) and len(endings) == len(
        set(endings)
    )
