# SPDX-License-Identifier: GPL-3.0-or-later
"""Thunder where Blender has such things: a strip of the sequencer and its takes,
the keys and the pie menu; and heads that listen to the lines of others."""

import math
import os
from types import SimpleNamespace

import bpy
import pytest
from drawing import Layout
from performances import noise
from thunder.cli.line import choose_head
from thunder.operators.listen import THUNDER_OT_check
from thunder.panels import dialogue as dialogue_panel, preferences
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.media import export
from thunder.scene.review import live_score
from thunder.scene.takes import dialogue, take_list, take_record
from thunder.scene.takes.commit import committing
from thunder.scene.voice import strip
from thunder.thunder_core import errors


@pytest.fixture
def heads(needs_sound, heads, scene, client, tmp_path):
    """Two heads, two strips of which each speaks one, the first head chosen, an engine that
    answers: the heads."""
    scene.thunder.count, scene.thunder.seed = 2, 1
    for name, start, speaker in (("one", 1, heads[0]), ("two", 61, heads[1])):
        strip.add(scene, noise(tmp_path / f"{name}.wav"), name, start)
        dialogue.cast(scene, name, speaker)
    scene.thunder.head = heads[0]
    return heads


def test_a_strip_gets_takes_of_its_own_speaker_whatever_is_chosen(blender, heads, scene):
    scene.thunder.source = "FILE"
    assert blender.ops.thunder.generate(strip="two") == {"FINISHED"}
    assert {(entry.voice, entry.head) for entry in scene.thunder.takes} == {("two", heads[1])}
    assert scene.thunder.head == heads[1] and scene.thunder.source == "STRIP"
    assert scene.sequence_editor.active_strip.name == "two"


@pytest.mark.parametrize(
    "name, sentence",
    [("two", "Nobody speaks “two”"), ("third", "“third” is no longer in the sequencer")],
)
def test_a_strip_that_nobody_can_speak_changes_nothing(blender, heads, scene, name, sentence):
    dialogue.cast(scene, "two", None)
    scene.thunder.source = "FILE"
    with pytest.raises(RuntimeError, match=sentence):
        blender.ops.thunder.generate(strip=name)
    assert (
        scene.thunder.source == "FILE"
        and scene.thunder.head == heads[0]
        and not scene.thunder.takes
    )


@pytest.mark.parametrize("name", ["one", "two"])
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
    for name, is_drawn in (("one", False), ("two", True), ("two", False), ("one", True)):
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


# ---- heads that listen


@pytest.mark.one_blender
def test_a_head_is_named_by_its_mesh_or_its_rig(blender):
    for _ in range(2):
        blender.ops.thunder.add_head()
    scene = blender.context.scene
    heads = head.in_scene(scene)
    rigs = [head.owner_of(mesh).name for mesh in heads]
    assert not {*rigs} & {mesh.name for mesh in heads}
    named = [choose_head(scene, name).mesh for name in (rigs[0], heads[1].name)]
    assert named == list(heads)
    with pytest.raises(errors.BadHead, match=f"name one of its heads, {', '.join(rigs)}$"):
        choose_head(scene, "Nobody")


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


def test_a_listener_has_nothing_to_check_and_rests_in_cues(blender, heads, scene, tmp_path):
    """While its take is shown, and once that is committed."""
    listen(scene, "one", heads[1])
    blender.ops.thunder.generate()
    entry = take_list.shown_take(scene.thunder)
    frames = entry.first, entry.last
    for said in ("does not speak, so it has no Lip-Sync", "a head that listens has no Lip-Sync"):
        assert said in THUNDER_OT_check.why_not(blender.context)
        assert not blender.ops.thunder.check.poll()
        path = tmp_path / "cues.tsv"
        shot = export.Shot(scene, blender.context.view_layer, head.resolve(heads[1]), *frames)
        export.export(shot, export.FORMATS["CUES"], str(path))
        rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
        assert {tuple(row[2:]) for row in rows} == {("shape", "X")}
        if display.shown_action(head.resolve(heads[1])) is not None:
            blender.ops.thunder.commit_take()
    scene.thunder.voice, scene.thunder.head_role = "two", "SPEAKS"  # a line of its own
    assert THUNDER_OT_check.why_not(blender.context) == ""
    scene.thunder.head_role = "LISTENS"
    assert not dialogue.say_listens(scene, heads[1], "two")
