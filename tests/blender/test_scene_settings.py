# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's own settings that would part lips and sound are said, with what to do."""

import pytest
from characters import small_face
from few_points import KEYS
from performances import noise
from thunder.cli import bake
from thunder.scene.heads import head as head_module
from thunder.scene.host import compat
from thunder.scene.voice import strip
from thunder.thunder_core import errors


def test_time_stretching_is_refused_with_where_to_find_it(blender):
    face = small_face(blender, KEYS)
    rig = head_module.resolve(face)
    head_module.check_animatable(rig)
    blender.context.scene.render.frame_map_new = 200
    with pytest.raises(errors.BadHead, match="stretches time.*Time Stretching"):
        head_module.check_animatable(rig)


def test_heads_that_share_a_mesh_are_named(blender):
    face = small_face(blender, KEYS, name="Anna")
    twin = face.copy()
    twin.name, twin.location = "Ben", (0.6, 0, 0)
    blender.context.collection.objects.link(twin)
    blender.context.view_layer.update()
    rig = head_module.resolve(face)
    with pytest.raises(errors.BadHead, match="“Anna” and “Ben” share one mesh.*Single User"):
        head_module.check_animatable(rig)
    twin.hide_viewport = True
    head_module.check_animatable(rig)  # nobody sees it speak
    twin.hide_viewport = False
    twin.data = face.data.copy()
    head_module.check_animatable(head_module.resolve(face))


@pytest.mark.skipif(not strip.has_audio(), reason="this Blender was built without sound")
def test_dialogue_in_another_scene_is_named(blender, tmp_path):
    scene = blender.context.scene
    if hasattr(blender.context.workspace, "sequencer_scene"):
        blender.context.workspace.sequencer_scene = scene
    small_face(blender, KEYS)
    with pytest.raises(errors.BadSound, match="no sound strip in the sequencer"):
        strip.find(blender.context)
    edit = blender.data.scenes.new("Edit")
    edit.sequence_editor_create()
    strip.add(edit, noise(tmp_path / "line.wav"), "Line", 1)
    with pytest.raises(errors.BadSound, match="dialogue is in the scene “Edit”"):
        strip.find(blender.context)
    with pytest.raises(errors.BadSound, match="no sound strip “Other”"):
        bake.choose_voice(scene, None, "Other", None, None)


@pytest.mark.skipif(not strip.has_audio(), reason="this Blender was built without sound")
def test_a_bake_takes_dialogue_of_another_scene_where_its_frames_are_the_same(blender, tmp_path):
    scene = blender.context.scene
    edit = blender.data.scenes.new("Edit")
    edit.sequence_editor_create()
    strip.add(edit, noise(tmp_path / "line.wav"), "Line", 10)

    def choose():
        return bake.choose_voice(scene, None, "Line", None, None)

    voice = choose()
    assert (voice.scene, voice.strip, voice.clock.start) == ("Edit", "Line", 10)
    scene.sequence_editor_create()
    shown = compat.strips(scene.sequence_editor).new_scene("EditInShot", edit, 2, 1)
    assert choose() == voice  # the scene strip shows it at its own frames
    strip.move(shown, 25)
    with pytest.raises(errors.BadSound, match="“Line” is in the scene “Edit”, not in “Scene”"):
        choose()
    strip.move(shown, 1)
    edit.render.fps = 30
    with pytest.raises(errors.BadSound, match="copy it into this scene's sequencer"):
        choose()
