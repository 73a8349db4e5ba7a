# SPDX-License-Identifier: GPL-3.0-or-later
"""Several heads with a voice each, all strips in one go; and first steps, units, rates and the
preview range."""

from types import SimpleNamespace

import bpy
import pytest
from characters import small_face
from drawing import draw
from few_points import KEYS
from performances import noise, trim_start
from thunder.cli.line import choose_voice
from thunder.operators import add, generate
from thunder.panels import listen, sidebar
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import dialogue, take_list
from thunder.scene.takes.commit import committing as commit_dialogue, following
from thunder.scene.takes.generation import How, perform
from thunder.scene.voice import changes, strip
from thunder.thunder_core import errors, progress
from thunder.thunder_core.request import Request, seed_of_voice


def sound(tmp_path, name, seconds=2.0):
    return noise(tmp_path / f"{name}.wav", seconds, seed=len(name))


@pytest.fixture
def strips(needs_sound, scene, heads, tmp_path):
    """Beside two heads three strips, by name."""
    starts = {"one": 1, "two": 61, "music": 1}
    return {
        name: strip.add(scene, sound(tmp_path, name), name, start) for name, start in starts.items()
    }


def cast(scene, **speakers):
    """Choose who speaks strips, by their names."""
    for name, speaker in speakers.items():
        dialogue.cast(scene, name, speaker)


def test_each_head_finds_its_own_voice_and_its_second_line_when_the_first_is_over(
    blender, strips, scene, heads
):
    cast(scene, one=heads[0], two=heads[1], music=None)
    scene.sequence_editor.active_strip = strips["music"]
    for mesh, name in zip(heads, ("one", "two")):
        scene.thunder.head = mesh
        assert strip.find(blender.context).name == name
    assert [line.strip for line in dialogue.lines(scene)] == ["one", "two"]
    scene.thunder.head = heads[0]
    dialogue.cast(scene, "two", heads[0])
    for frame, name in ((10, "one"), (55, "two")):
        scene.frame_set(frame)
        assert strip.find(blender.context).name == name


def test_a_clicked_strip_that_nobody_speaks_is_the_voice_of_a_head_with_lines(
    blender, strips, scene, heads, client
):
    cast(scene, one=heads[0], music=None)
    scene.thunder.head, scene.thunder.count = heads[0], 1
    scene.sequence_editor.active_strip = strips["two"]
    strips["two"].mute = True
    with pytest.raises(errors.BadSound, match="“two” is muted"):
        strip.find(blender.context)
    strips["two"].mute = False
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert [(entry.voice, entry.head) for entry in scene.thunder.takes] == [("two", heads[0])]
    assert dialogue.speaker_of(scene, "two") == heads[0]
    scene.sequence_editor.active_strip = strips["music"]
    assert strip.find(blender.context).name == "one"


def test_a_clicked_strip_of_a_removed_head_is_nobodys(blender, strips, scene, heads, client):
    cast(scene, one=heads[0], two=heads[1])
    scene.thunder.head, scene.thunder.count = heads[0], 1
    scene.sequence_editor.active_strip = strips["two"]
    scene.collection.objects.unlink(heads[1])
    assert strip.find(blender.context).name == "two"
    blender.ops.thunder.generate()
    assert dialogue.speaker_of(scene, "two") == heads[0]


def test_a_clicked_line_of_another_head_stays_its_own_and_that_is_said(
    blender, strips, scene, heads
):
    cast(scene, one=heads[0], two=heads[1], music=None)
    scene.thunder.head = heads[0]
    for name, is_said in (("one", False), ("two", True), ("music", False)):
        scene.sequence_editor.active_strip = strips[name]
        voice = strip.find(blender.context)
        said = (
            f"“two” is a line of “{heads[1].name}”, so the voice is “one”: choose “two” in "
            "Dialogue to change both"
        )
        assert voice.name == "one"
        assert dialogue.say_passed_over(blender.context, voice) == (said if is_said else "")
    scene.sequence_editor.active_strip = strips["two"]
    shown = " ".join(draw(sidebar.THUNDER_PT_main, blender.context).texts())
    assert "so the voice is “one”" in shown
    assert said in " ".join(draw(listen.THUNDER_PT_words, blender.context).texts())
    scene.sequence_editor.active_strip = strips["one"]
    assert "so the voice is" not in " ".join(draw(listen.THUNDER_PT_words, blender.context).texts())


def test_a_head_without_lines_speaks_that_of_another_only_where_that_is_chosen(
    blender, strips, scene, heads, client
):
    cast(scene, one=heads[0], two=heads[0], music=None)
    scene.thunder.head, scene.thunder.count = heads[1], 1
    name = heads[1].name
    ends = f", so “{name}” has no voice: choose a line in Dialogue, or “two” in Thunder's first "
    said = f"“two” is a line of “{heads[0].name}”{ends}field to let “{name}” speak it"
    scene.sequence_editor.active_strip = strips["two"]
    with pytest.raises(RuntimeError, match=said):
        blender.ops.thunder.generate()
    assert said in " ".join(draw(sidebar.THUNDER_PT_main, blender.context).texts())
    for active, why in (("music", "“music” has no speaker"), (None, "“one” is a line of")):
        scene.sequence_editor.active_strip = strips.get(active)
        with pytest.raises(errors.BadSound, match=f"{why}.*, so “{name}” has no voice"):
            strip.find(blender.context)
    scene.thunder.strip = "two"  # chosen before there was a head
    assert scene.thunder.voice == ""
    scene.thunder.voice = "two"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert [(entry.voice, entry.head) for entry in scene.thunder.takes] == [("two", heads[1])]


def test_a_head_without_lines_speaks_the_only_strip_that_nobody_does(blender, strips, scene, heads):
    cast(scene, one=heads[0], music=None)
    scene.thunder.head = heads[1]
    for active in (None, "one", "music"):
        scene.sequence_editor.active_strip = strips.get(active)
        voice = strip.find(blender.context)
        assert voice.name == "two"
    scene.sequence_editor.active_strip = strips["one"]
    said = f"“one” is a line of “{heads[0].name}”, so the voice is “two”"
    assert dialogue.say_passed_over(blender.context, voice).startswith(said)
    scene.thunder.cast.remove([part.strip for part in scene.thunder.cast].index("music"))
    with pytest.raises(errors.BadSound, match="“one” is a line of"):
        strip.find(blender.context)
    scene.sequence_editor.active_strip = None
    with pytest.raises(errors.BadSound, match="There are several sound strips"):
        strip.find(blender.context)


def test_voice_and_role_that_are_shown_are_used_and_belong_to_the_head(
    blender, strips, scene, heads, client, tmp_path
):
    settings, settings.count = scene.thunder, 1
    cast(scene, one=heads[0], two=heads[1])
    settings.head = heads[0]
    settings.voice = "two"
    assert settings.voice == strip.find(blender.context).name == "two"
    settings.head_role = "LISTENS"
    blender.ops.thunder.generate()
    settings.head = heads[1]
    assert (
        settings.head_role == "SPEAKS"
        and settings.voice == ""
        and strip.find(blender.context).name == "two"
    )
    blender.ops.thunder.generate()
    made = [(entry.head, entry.voice, entry.role) for entry in settings.takes]
    assert sorted(made, key=lambda take: take[0].name) == [
        (heads[0], "two", "LISTENS"),
        (heads[1], "two", "SPEAKS"),
    ]
    settings.head = heads[0]
    assert (settings.voice, settings.head_role) == ("two", "LISTENS")
    settings.head_role, settings.voice = "SPEAKS", "one"
    dialogue.cast(scene, "one", heads[1])  # from now on the line of another
    assert settings.voice != "one"


def test_all_strips_get_takes_on_the_heads_that_speak_them(
    blender, strips, scene, heads, client, tmp_path
):
    assert not blender.ops.thunder.generate_all.poll()  # nobody was chosen to speak anything
    blender.ops.thunder.cast_strip(strip="one", speaker=heads[0].name)
    blender.ops.thunder.cast_strip(strip="two", speaker=heads[1].name)
    blender.ops.thunder.cast_strip(strip="music", speaker="NO_SPEAKER")
    scene.thunder.count = 2
    assert blender.ops.thunder.generate_all() == {"FINISHED"}
    made = {(entry.voice, entry.head.name) for entry in scene.thunder.takes}
    assert (
        made == {("one", heads[0].name), ("two", heads[1].name)} and len(scene.thunder.takes) == 4
    )
    assert {entry.voice: entry.first for entry in scene.thunder.takes} == {"one": 1, "two": 61}
    seeds = {
        name: sorted(entry.seed for entry in scene.thunder.takes if entry.voice == name)
        for name in ("one", "two")
    }
    # other people on every head
    assert seeds == {
        name: [seed_of_voice(name, number), seed_of_voice(name, number) + 1]
        for number, name in enumerate(("one", "two"))
    }
    for mesh in heads:
        assert display.shown_action(head.resolve(mesh)) is not None
    assert not blender.ops.thunder.generate_all.poll()
    assert dialogue.lines_to_generate(scene) == [] and dialogue.why_none(scene).endswith(
        "press Generate Takes for more of the chosen one"
    )
    cast(scene, **dict.fromkeys(strips))
    assert (
        dialogue.why_none(scene)
        == "There is no sound strip with a speaker: add the dialogue to the sequencer, or choose a "
        "speaker"
    )


def test_all_lines_of_a_character_have_its_seed_whichever_is_generated_first(
    blender, strips, scene, heads, client, tmp_path
):
    cast(scene, one=heads[0], two=heads[0])
    scene.thunder.count = 1
    dialogue.select(blender.context, "two")
    assert blender.ops.thunder.generate() == {"FINISHED"}
    dialogue.select(blender.context, "one")
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert {(entry.voice, entry.seed) for entry in scene.thunder.takes} == {
        ("one", seed_of_voice("one")),
        ("two", seed_of_voice("one")),
    }
    # now the first line of the character, which has its seed
    strips["new"] = strip.add(scene, sound(tmp_path, "new"), "new", -80)
    dialogue.cast(scene, "new", heads[0])
    dialogue.select(blender.context, "new")
    assert scene.thunder.first_seed == seed_of_voice("one")


def test_a_bake_of_any_line_has_the_seed_of_the_panel(
    blender, strips, scene, heads, baked, tmp_path
):
    cast(scene, one=heads[1], two=heads[1], music=heads[0])
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    chosen = ("--blend", tmp_path / "shot.blend", "--strip", "two")
    assert baked(*chosen)["seed"] == seed_of_voice("one", 1)
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    blender.context.scene.thunder.first_seed = 5
    blender.ops.wm.save_mainfile()
    assert baked(*chosen)["seed"] == 5


def test_a_line_that_fails_costs_only_itself(blender, strips, scene, heads, client):
    cast(scene, one=heads[0], two=heads[1], music=None)
    todo = dialogue.lines_to_generate(scene)
    strips["one"].mute = True
    kept = []
    left_out = progress.result(
        dialogue.generate(client, scene, todo, How(Request(2), on_take=kept.append))
    )
    assert len(left_out) == 1 and "muted" in left_out[0]
    assert {entry.voice for entry in scene.thunder.takes} == {"two"} and len(kept) == 2


@pytest.mark.one_blender
def test_a_head_whose_line_is_given_to_another_no_longer_plays_it(
    blender, strips, scene, heads, client
):
    cast(scene, one=heads[0], music=None)
    scene.thunder.head, scene.thunder.count = heads[0], 1
    blender.context.preferences.edit.use_global_undo = True
    blender.ops.thunder.generate(strip="one")
    blender.ops.ed.undo_push(message="generated")
    name = heads[0].name
    blender.ops.thunder.cast_strip(strip="one", speaker=heads[0].name)
    assert take_list.on_head(scene, heads[0]).voice == "one", "it is still its line"
    blender.ops.thunder.cast_strip(strip="two", speaker=heads[1].name)
    assert take_list.on_head(scene, heads[0]).voice == "one", "that was another line"
    blender.ops.ed.undo_push(message="cast")
    blender.ops.thunder.cast_strip(strip="one", speaker=heads[1].name)
    assert take_list.on_head(scene, heads[0]) is None and len(scene.thunder.takes) == 1
    blender.ops.ed.undo_push(message="cast again")
    blender.ops.ed.undo()
    scene = blender.context.scene
    assert dialogue.speaker_of(scene, "one").name == name
    assert take_list.on_head(scene, scene.objects[name]).voice == "one"


def test_a_committed_line_that_is_given_to_another_head_stays_and_that_is_said(
    blender, strips, scene, heads, client
):
    cast(scene, one=heads[0], two=heads[0], music=None)
    scene.thunder.head, scene.thunder.count = heads[0], 1
    for name in ("one", "two"):
        blender.ops.thunder.generate(strip=name)
        blender.ops.thunder.commit_take()
    line = next(each for each in following.lines_of(heads[0]) if each.name == "one")
    said = []
    operator = SimpleNamespace(
        strip="one", speaker=heads[1].name, tell=lambda kind, sentence: said.append(sentence)
    )
    assert not generate.THUNDER_OT_cast_strip.act(operator, blender.context)
    assert said == [
        f"“{heads[0].name}” still speaks “one” where that is committed, on frames {line.first} to "
        f"{line.last}: delete its keys there if it should not"
    ]
    assert commit_dialogue.committed_lines(heads[0]) == {"one", "two"}, "of which nothing is said"


@pytest.mark.parametrize("fps, base", [(24, 1.0), (30, 1.001), (30, 1.0), (60, 1.0)])
def test_only_the_preview_range_is_spoken_where_that_is_wanted(
    blender, strips, scene, heads, client, fps, base
):
    scene.render.fps, scene.render.fps_base = fps, base
    dialogue.cast(scene, "one", heads[0])
    scene.thunder.head = heads[0]
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 11, 30
    assert strip.find(blender.context).clock.start == 1
    scene.thunder.only_preview = True
    voice = strip.find(blender.context)
    assert (voice.clock.start, voice.last) == (11, 31)
    progress.result(perform(client, scene, head.find(scene), voice, How(Request(1, 1), None)))
    entry = scene.thunder.takes[0]
    assert entry.first == 11 and 28 <= entry.last <= 31
    assert changes.stale_takes(scene) == []  # what was left out is not missed
    trim_start(strips["one"], 2)
    assert changes.stale_takes(scene) == []
    scene.frame_preview_end = 12
    with pytest.raises(errors.BadSound, match="preview range"):
        strip.find(blender.context)


def test_a_recording_of_ones_own_becomes_the_voice_or_is_refused(
    blender, scene, tmp_path, monkeypatch
):
    assert blender.ops.thunder.own_voice(filepath=sound(tmp_path, "mine")) == {"FINISHED"}
    assert strip.find(blender.context).name.startswith("mine")
    if strip.has_audio():
        # of a script whose working folder is its own
        monkeypatch.chdir(tmp_path)
        assert blender.ops.thunder.own_voice(filepath="mine.wav") == {"FINISHED"}
        assert strip.sound_strips(scene)[-1].sound.filepath == str(tmp_path / "mine.wav")
    with pytest.raises(RuntimeError, match="There is no file"):
        blender.ops.thunder.own_voice(filepath=str(tmp_path / "none.wav"))
    if strip.has_audio():
        names, sounds = [each.name for each in strip.sound_strips(scene)], len(blender.data.sounds)
        (tmp_path / "text.wav").write_text("no sound at all")
        (tmp_path / "picture.wav").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(400))
        for name in ("text.wav", "picture.wav"):
            with pytest.raises(RuntimeError):
                blender.ops.thunder.own_voice(filepath=str(tmp_path / name))
        assert scene.thunder.voice.startswith("mine")
        assert [each.name for each in strip.sound_strips(scene)] == names and len(
            blender.data.sounds
        ) == sounds


def test_another_recording_goes_to_the_playhead_or_after_the_last(
    blender, scene, tmp_path, needs_sound
):
    scene.render.fps = 25
    spans = []
    for name, frame in (("first", 520), ("second", 520), ("third", 530), ("fourth", 200)):
        scene.frame_set(frame)
        assert blender.ops.thunder.own_voice(filepath=sound(tmp_path, name)) == {"FINISHED"}
        added = strip.by_name(scene, scene.thunder.voice)
        spans.append((*compat.strip_span(added), added.channel))
    length = spans[0][1] - spans[0][0]
    assert [first for first, *_ in spans] == [1, 520, 520 + length, 200] and {
        channel for *_, channel in spans
    } == {1}
    assert scene.frame_end == 520 + 2 * length


def test_a_row_of_the_dialogue_selects_its_strip_and_its_character(blender, strips, scene, heads):
    scene.thunder.head = None
    cast(scene, one=heads[0], two=heads[1], music=None)
    strips = compat.strips_all(scene.sequence_editor)
    for name, speaker in (("two", heads[1]), ("one", heads[0]), ("music", heads[0])):
        scene.thunder.dialogue_index = [each.name for each in strips].index(name)
        assert scene.sequence_editor.active_strip.name == name
        assert [each.name for each in strips if each.select] == [name]
        assert head.find(scene, blender.context.object).mesh == speaker
        assert strip.find(blender.context).name == ("one" if name == "music" else name)
        assert blender.context.object == speaker and speaker.select_get()
        if name != "music":
            assert strips[scene.thunder.dialogue_index].name == name


@pytest.fixture
def first(needs_sound, blender, scene, tmp_path):
    """One head and two strips that nobody was chosen for: the head."""
    for name, start in (("one", 1), ("two", 61)):
        strip.add(scene, sound(tmp_path, name), name, start)
    return head.in_scene(scene)[0]


def test_a_line_stays_with_its_head_when_a_second_is_added(blender, first, scene, client):
    voice = strip.of_strip(scene, strip.by_name(scene, "one"))
    progress.result(perform(client, scene, head.resolve(first), voice, How(Request(1, 1), None)))
    blender.ops.thunder.add_head()
    assert len(head.in_scene(scene)) == 2
    assert dialogue.speaker_of(scene, "one") == first
    assert dialogue.speaker_of(scene, "two") is None  # it has no takes: the animator chooses
    assert dialogue.has_takes(scene, "one", first)
    assert commit_dialogue.has_takes(scene)
    scene.thunder.head = first
    assert strip.find(blender.context).name == "one"


# ---- Blender's settings that part lips and sound


def test_time_stretching_is_refused_with_where_to_find_it(blender):
    face = small_face(blender, KEYS)
    rig = head.resolve(face)
    head.check_animatable(rig)
    blender.context.scene.render.frame_map_new = 200
    with pytest.raises(errors.BadHead, match="stretches time.*Time Stretching"):
        head.check_animatable(rig)


def test_heads_that_share_a_mesh_are_named(blender):
    face = small_face(blender, KEYS, name="Anna")
    twin = face.copy()
    twin.name, twin.location = "Ben", (0.6, 0, 0)
    blender.context.collection.objects.link(twin)
    blender.context.view_layer.update()
    rig = head.resolve(face)
    with pytest.raises(errors.BadHead, match="“Anna” and “Ben” share one mesh.*Single User"):
        head.check_animatable(rig)
    twin.hide_viewport = True
    head.check_animatable(rig)  # nobody sees it speak
    twin.hide_viewport = False
    twin.data = face.data.copy()
    head.check_animatable(head.resolve(face))


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
        choose_voice(scene, None, "Other", None, None)


@pytest.mark.skipif(not strip.has_audio(), reason="this Blender was built without sound")
def test_a_bake_takes_dialogue_of_another_scene_where_its_frames_are_the_same(blender, tmp_path):
    scene = blender.context.scene
    edit = blender.data.scenes.new("Edit")
    edit.sequence_editor_create()
    strip.add(edit, noise(tmp_path / "line.wav"), "Line", 10)

    def choose():
        return choose_voice(scene, None, "Line", None, None)

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


# ---- files that are dropped, and strips that the animator adds, become lines


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


@pytest.mark.usefixtures("needs_sound")
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


@pytest.mark.usefixtures("needs_sound")
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


@pytest.mark.usefixtures("needs_sound")
def test_what_is_no_sound_is_left_out_and_said(blender, scene, sounds, tmp_path, capfd):
    files = sounds("a.wav")
    (tmp_path / "bad.wav").write_text("no sound")
    files["files"] += [{"name": "bad.wav"}, {"name": "gone.wav"}]
    assert blender.ops.thunder.add_lines(**files) == {"FINISHED"}
    assert list(spans(scene)) == ["a"]
    said = capfd.readouterr().out
    assert "Left out: " in said and "bad" in said and "gone.wav" in said


@pytest.mark.usefixtures("needs_sound")
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


@pytest.mark.usefixtures("needs_sound")
def test_without_a_head_the_sound_waits_for_one(blender, sounds):
    scene = blender.context.scene
    assert blender.ops.thunder.add_lines(**sounds("a.wav")) == {"FINISHED"}
    blender.ops.thunder.add_head()
    assert (
        strip.find(blender.context).name == "a"
        and dialogue.speaker_of(scene, "a") == head.in_scene(scene)[0]
    )


# ---- a strip that the animator adds


@pytest.mark.usefixtures("needs_sound")
def test_a_strip_that_comes_into_the_sequencer_is_offered_until_it_is_spoken_or_refused(
    blender, scene, rig, sounds, client, tmp_path
):
    sounds("old.wav", "new.wav", "music.wav")
    strip.add(scene, str(tmp_path / "old.wav"), "old", 1)
    assert dialogue.newest_strip(blender.context) == ""  # it was there before
    strip.add(scene, str(tmp_path / "new.wav"), "new", 40)
    assert dialogue.newest_strip(blender.context) == "new" == dialogue.newest_strip(blender.context)
    scene.thunder.count = 1
    assert blender.ops.thunder.generate(strip="new") == {"FINISHED"}
    assert [(entry.voice, entry.head) for entry in scene.thunder.takes] == [("new", rig.mesh)]
    assert dialogue.newest_strip(blender.context) == ""
    # since 5.2 a file that is added again has one sound, as pieces of a strip have
    strip.add(scene, str(tmp_path / "music.wav"), "music", 1)
    assert dialogue.newest_strip(blender.context) == "music"
    blender.ops.thunder.cast_strip(strip="music", speaker="NO_SPEAKER")
    assert dialogue.newest_strip(blender.context) == ""


@pytest.mark.usefixtures("needs_sound")
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


@pytest.mark.usefixtures("needs_sound")
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
