# SPDX-License-Identifier: GPL-3.0-or-later
"""Thunder where Blender has such things: a strip of the sequencer and its takes,
the keys and the pie menu."""

import os
from types import SimpleNamespace

import bpy
import pytest
from drawing import Layout
from performances import noise
from thunder.panels import dialogue as dialogue_panel, preferences
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import dialogue
from thunder.scene.voice import strip


@pytest.fixture
def heads(needs_sound, heads, scene, client, tmp_path):
    """Two heads, two strips of which each speaks one, the first head chosen, an engine that
    answers: the heads."""
    scene.thunder.count = 2
    for name, start, speaker in (("one", 1, heads[0]), ("second", 61, heads[1])):
        strip.add(scene, noise(tmp_path / f"{name}.wav"), name, start)
        dialogue.cast(scene, name, speaker)
    scene.thunder.head = heads[0]
    return heads


def test_a_strip_gets_takes_of_its_own_speaker_whatever_is_chosen(blender, heads, scene):
    scene.thunder.source = "FILE"
    assert blender.ops.thunder.generate(strip="second") == {"FINISHED"}
    assert {(entry.voice, entry.head) for entry in scene.thunder.takes} == {("second", heads[1])}
    assert scene.thunder.head == heads[1] and scene.thunder.source == "STRIP"
    assert scene.sequence_editor.active_strip.name == "second"


@pytest.mark.parametrize(
    "name, sentence",
    [("second", "Nobody speaks “second”"), ("third", "“third” is no longer in the sequencer")],
)
def test_a_strip_that_nobody_can_speak_changes_nothing(blender, heads, scene, name, sentence):
    dialogue.cast(scene, "second", None)
    scene.thunder.source = "FILE"
    with pytest.raises(RuntimeError, match=sentence):
        blender.ops.thunder.generate(strip=name)
    assert (
        scene.thunder.source == "FILE"
        and scene.thunder.head == heads[0]
        and not scene.thunder.takes
    )


@pytest.mark.parametrize("name", ["one", "second"])
def test_choosing_who_speaks_a_line_keeps_the_chosen_line(blender, heads, scene, name):
    dialogue.select(blender.context, "one")
    for speaker in (heads[1], heads[0]):
        assert blender.ops.thunder.cast_strip(strip=name, speaker=speaker.name) == {"FINISHED"}
        assert dialogue.chosen_strip(blender.context) == "one"
        assert head.find(scene, blender.context.object).mesh == dialogue.speaker_of(scene, "one")


@pytest.mark.skipif(
    "sequencer_scene" not in bpy.types.WorkSpace.bl_rna.properties,
    reason="the sequencer shows the active scene",
)
def test_a_sequencer_without_a_scene_shows_that_of_the_first_voice(blender, needs_sound, tmp_path):
    blender.ops.wm.read_homefile(use_factory_startup=True)
    scene, spaces = blender.context.scene, blender.data.workspaces
    other = blender.data.scenes.new("Edit")
    spaces["Animation"].sequencer_scene = other
    assert spaces["Layout"].sequencer_scene is None
    strip.add_voice(scene, noise(tmp_path / "line.wav"), "line", 1)
    assert spaces["Layout"].sequencer_scene == scene
    assert spaces["Animation"].sequencer_scene == other


def test_only_a_sound_of_the_animators_is_shown(blender, heads, scene):
    editor = scene.sequence_editor
    assert strip.active_sound(scene) == editor.active_strip or editor.active_strip is None
    editor.active_strip = strip.by_name(scene, "one")
    assert strip.active_sound(scene).name == "one"
    strip.by_name(scene, "one").name = strip.LISTEN_MARK
    assert strip.active_sound(scene) is None
    assert strip.active_sound(blender.data.scenes.new("Empty")) is None


def test_another_clicked_strip_redraws_the_sidebars_once(blender, heads, scene):
    dialogue_panel._active.file_opened()
    for name, is_drawn in (("one", False), ("second", True), ("second", False), ("one", True)):
        scene.sequence_editor.active_strip = strip.by_name(scene, name)
        dialogue_panel.draw_offer(SimpleNamespace(layout=Layout()), blender.context)
        assert (dialogue_panel._redraw.due is not None) == is_drawn
        dialogue_panel._redraw.stop()


@pytest.mark.skipif(
    "sequencer_scene" not in bpy.types.WorkSpace.bl_rna.properties,
    reason="the sequencer shows the active scene",
)
def test_the_heads_of_a_silent_scene_speak_the_sequencers(
    blender, needs_sound, client, voice, capsys
):
    blender.ops.thunder.add_head()
    edit = blender.data.scenes.new("Edit")
    strip.add(edit, voice, "line", 11)
    scene = blender.context.scene
    scene.thunder.count = 1
    with blender.context.temp_override(sequencer_scene=edit):
        assert (
            compat.sequencer_scene(blender.context)
            == strip.scene_of_strips(blender.context)
            == edit
        )
        assert blender.ops.thunder.generate(strip="line") == {"FINISHED"}
    assert [entry.voice for entry in scene.thunder.takes] == ["line"]
    assert "is gone" not in capsys.readouterr().out


def test_no_letter_of_ours_is_a_key_of_blenders(blender):
    """In no editor, so that none takes it from us; arrows with Alt are used where text is
    edited."""
    folder = os.path.join(
        bpy.utils.system_resource("SCRIPTS"), "presets", "keyconfig", "keymap_data"
    )
    data = bpy.utils.execfile(os.path.join(folder, "blender_default.py"))
    events = [
        (name, item[1])
        for name, _, content in data.generate_keymaps(data.Params())
        for item in content["items"]
    ]
    for name, key, _ in preferences.KEYS:
        taken = {
            name
            for name, event in events
            if event["type"] == key and event.get("alt") and not set(event) & {"ctrl", "shift"}
        }
        assert not taken or len(key) > 1, (name, taken)
