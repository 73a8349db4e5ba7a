# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator corrects on committed lines becomes the character's manner, which its next takes
follow; it is shown in words, ticked, keyed, saved and taken along by presets."""

import bpy
import numpy as np
import pytest
from characters import small_face
from drawing import draw
from few_points import KEYS
from performances import read_wav, write_wav
from running_engine import find_or_skip, SAMPLE, stop_engine  # noqa: F401
from thunder.panels import direction as panel
from thunder.scene.animation import display, fcurves
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import corrections, dialogue, take_list, take_record
from thunder.scene.takes.commit import following
from thunder.scene.takes.direction import head_direction, sliders
from thunder.scene.voice import strip
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.manner import Change, Manner

pytestmark = pytest.mark.usefixtures("needs_sound")
NAMES = ("one", "two")
MANNER = Manner((Change("jaw", size=0.7, lines=3), Change("brows", size=1.5, lines=2)), 3)


@pytest.fixture(scope="module")
def committed_file(head_file, tmp_path_factory):
    """A file with two committed lines, their takes beside them: made once, its path."""
    find_or_skip()
    if not strip.has_audio():
        pytest.skip("this Blender was built without sound")
    folder = tmp_path_factory.mktemp("manner")
    samples, rate = read_wav(SAMPLE)
    bpy.ops.wm.read_homefile(filepath=head_file)
    scene = bpy.context.scene
    settings = scene.thunder
    settings.quality, settings.count, settings.seed = "DRAFT", 1, 11
    settings.recognise_words = False
    for number, name in enumerate(NAMES):
        part = samples[4 * number * rate : 4 * (number + 1) * rate]
        sound = write_wav(folder / f"{name}.wav", part, rate)
        strip.add(scene, sound, name, 11 + 150 * number)
        settings.voice = name
        assert bpy.ops.thunder.generate() == {"FINISHED"}
        assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    path = str(folder / "lines.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


@pytest.fixture
def scene(blender, committed_file):
    blender.ops.wm.open_mainfile(filepath=committed_file)
    return blender.context.scene


@pytest.fixture
def arkit_scene(blender, committed_file):
    """The same voices, spoken by a character with ARKit's shape keys."""
    blender.ops.wm.open_mainfile(filepath=committed_file)
    scene = blender.context.scene
    rig = head.find(scene)
    for part in (rig.armature, *rig.armature.children_recursive):
        blender.data.objects.remove(part)
    face = small_face(blender, KEYS, name="Hero")
    scene.thunder.head = face
    for name in NAMES:
        dialogue.cast(scene, name, face)
        generate(scene, name)
        assert blender.ops.thunder.commit_take() == {"FINISHED"}
    return scene


def direction_of(scene):
    return sliders.ensure(head.find(scene).owner)


def generate(scene, voice):
    """A new take of a voice, which is shown."""
    known = {entry.action.session_uid for entry in scene.thunder.takes}
    scene.thunder.voice = voice
    assert bpy.ops.thunder.generate() == {"FINISHED"}
    (new,) = (entry for entry in scene.thunder.takes if entry.action.session_uid not in known)
    display.show(head.find(scene), new)
    return new


def scale_jaw(scene, size):
    """Correct the jaw of all committed lines."""
    rig = head.find(scene)
    for action, slot in following.action_slots(rig):
        for curve in compat.curves_of(action, slot):
            if "jaw" in curve.data_path.lower() and curve.array_index == 0:
                keys = fcurves.read(curve)
                for name in ("co", "handle_left", "handle_right"):
                    keys[name] = keys[name].copy()
                    keys[name][:, 1] *= size
                fcurves.write(curve, keys, np.ones(len(keys["co"]), bool))


def test_corrected_lines_become_a_manner_that_takes_follow(scene):
    rig = head.find(scene)
    assert corrections.find_lines(scene, rig).unedited == 2
    with pytest.raises(RuntimeError, match="2 as committed"):
        bpy.ops.thunder.learn_manner()
    scale_jaw(scene, 0.7)
    assert len(corrections.find_lines(scene, rig).edited) == 2
    assert bpy.ops.thunder.learn_manner() == {"FINISHED"}
    manner = sliders.manner_of(direction_of(scene))
    assert manner.of("jaw").size == pytest.approx(0.7, abs=0.06) and manner.lines == 2
    assert not {change.what for change in manner.changes} & {"smile", "brows", "head", "blinks"}
    before = next(entry for entry in scene.thunder.takes if entry.voice == "two")
    was = take_record.load(before.action).motion.jaw[:, 0].mean()
    new = generate(scene, "two")
    about = take_record.about_of(new.action)
    assert about["manner"], "a take says the manner it was made in"
    taken = take_record.load(new.action).motion.jaw[:, 0].mean()
    assert taken == pytest.approx(0.7 * was, rel=0.12)


def test_what_was_learned_before_is_part_of_what_is_learned_next(scene):
    """Lines of takes in a manner are compared with what they would be without it."""
    sliders.set_manner(direction_of(scene), Manner((Change("jaw", size=0.7),), 3))
    for name in NAMES:
        generate(scene, name)
        assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    scale_jaw(scene, 0.8)
    assert bpy.ops.thunder.learn_manner() == {"FINISHED"}
    size = sliders.manner_of(direction_of(scene)).of("jaw").size
    assert size == pytest.approx(0.56, abs=0.07)


def test_of_a_take_whose_mouth_was_committed_alone_the_rest_is_not_learned(scene):
    """The brows of a line are another take's then, and no correction of this one's."""
    scene.thunder.keep_seed = False
    for name in NAMES:
        generate(scene, name)
        for region in ("brows", "eyes", "cheeks", "head"):
            setattr(scene.thunder.commit, region, False)
        assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    scale_jaw(scene, 0.7)
    assert bpy.ops.thunder.learn_manner() == {"FINISHED"}
    learned = {change.what for change in sliders.manner_of(direction_of(scene)).changes}
    assert "jaw" in learned and not learned & {"brows", "head", "gaze", "blinks"}


def test_animation_from_elsewhere_is_compared_with_takes_as_directed(scene):
    scale_jaw(scene, 0.6)
    for action, _ in following.action_slots(head.find(scene)):
        action.pop("thunder_lines", None)
    with pytest.raises(RuntimeError, match="0 corrected"):
        bpy.ops.thunder.learn_manner()
    assert bpy.ops.thunder.learn_manner(lines="ALL") == {"FINISHED"}
    assert sliders.manner_of(direction_of(scene)).of("jaw").size < 0.8


def test_a_line_whose_take_is_gone_is_counted_and_left_out(scene):
    scale_jaw(scene, 0.7)
    voices = [entry.voice for entry in scene.thunder.takes]
    take_list.delete(scene, [voices.index("one")])
    found = corrections.find_lines(scene, head.find(scene))
    assert (len(found.edited), found.without_take) == (1, 1)
    with pytest.raises(RuntimeError, match="1 whose take or strip was deleted"):
        bpy.ops.thunder.learn_manner()


def test_a_line_whose_strip_is_gone_is_left_out(scene):
    scale_jaw(scene, 0.7)
    strips = compat.strips(scene.sequence_editor)
    strips.remove(strips["one"])
    found = corrections.find_lines(scene, head.find(scene))
    assert (len(found.edited), found.without_take) == (1, 1)


def test_the_slider_is_keyed_and_ticks_drop_rows(scene):
    direction = direction_of(scene)
    rig = head.find(scene)
    clock = Clock(1.0, 25.0)
    assert head_direction.direction_now(rig.owner).manner is None
    sliders.set_manner(direction, MANNER)
    assert head_direction.direction_now(rig.owner).manner == MANNER
    direction.manner[0].is_used = False
    used = head_direction.direction_now(rig.owner).manner.used
    assert [change.what for change in used] == ["brows"]
    for frame, value in ((1, 0.0), (26, 1.0)):
        direction.manner_strength = value
        direction.keyframe_insert("manner_strength", frame=frame)
    strength = head_direction.direction_over(rig.owner, clock, 27.0).manner_strength
    assert strength[0] == 0 and strength[-1] == pytest.approx(1.0, abs=0.05)
    assert len(strength) == 26
    assert bpy.ops.thunder.forget_manner() == {"FINISHED"}
    assert head_direction.direction_now(rig.owner).manner is None


def test_a_file_and_a_preset_take_the_manner_along(scene, tmp_path):
    direction, file = direction_of(scene), tmp_path / "anna.json"
    sliders.set_manner(direction, MANNER)
    assert bpy.ops.thunder.save_manner(filepath=str(file)) == {"FINISHED"}
    assert bpy.ops.thunder.save_direction(name="Anna") == {"FINISHED"}
    sliders.set_manner(direction, None)
    assert bpy.ops.thunder.use_direction(name="Anna") == {"FINISHED"}
    assert sliders.manner_of(direction) == MANNER
    sliders.set_manner(direction, None)
    assert bpy.ops.thunder.load_manner(filepath=str(file)) == {"FINISHED"}
    assert sliders.manner_of(direction) == MANNER
    file.write_text("{}")
    with pytest.raises(RuntimeError, match="not one of Thunder's"):
        bpy.ops.thunder.load_manner(filepath=str(file))
    assert sliders.manner_of(direction) == MANNER, "the old one stays"


def test_a_row_that_was_dropped_stays_so_when_more_is_learned(scene):
    scale_jaw(scene, 0.7)
    direction = direction_of(scene)
    sliders.set_manner(direction, Manner((Change("jaw", size=0.9, is_used=False),), 2))
    assert bpy.ops.thunder.learn_manner() == {"FINISHED"}
    (jaw,) = (row for row in direction.manner if row.what == "jaw")
    assert not jaw.is_used and jaw.size < 0.8


@pytest.mark.parametrize("values", [
    {"what": "nose"}, {"what": "jaw", "size": 1e9}, {"what": "jaw", "size": float("nan")},
    {"what": "brows", "where": "OO"}, {"what": "jaw", "lines": -5}, {},
])  # fmt: skip
def test_a_row_of_a_strange_file_is_a_sentence(scene, tmp_path, values):
    row = direction_of(scene).manner.add()
    for name, value in values.items():
        setattr(row, name, value)
    told = "or remove the manner"
    for work in (
        bpy.ops.thunder.generate,
        lambda: bpy.ops.thunder.save_manner(filepath=str(tmp_path / "odd.json")),
        lambda: bpy.ops.thunder.save_direction(name="Odd"),
    ):
        with pytest.raises(RuntimeError, match=told):
            work()
    drawn = draw(panel.THUNDER_PT_manner, bpy.context)
    assert not drawn.of("prop") and told in " ".join(drawn.texts())
    assert bpy.ops.thunder.forget_manner() == {"FINISHED"}


def test_the_panel_shows_what_was_learned_in_words(scene):
    assert not panel.THUNDER_PT_manner.poll(bpy.context)
    sliders.set_manner(direction_of(scene), MANNER)
    assert panel.THUNDER_PT_manner.poll(bpy.context)


def test_a_character_with_arkit_keys_has_a_manner_too(arkit_scene):
    scene = arkit_scene
    assert scene.thunder.head.name == "Hero"
    scale_jaw(scene, 0.7)
    assert bpy.ops.thunder.learn_manner() == {"FINISHED"}
    manner = sliders.manner_of(direction_of(scene))
    assert manner.of("jaw").size == pytest.approx(0.7, abs=0.07)
    assert {change.what for change in manner.changes} <= {"jaw", "lips", "upper lip"}


@pytest.mark.one_blender
def test_a_drawn_head_follows_a_manner_that_another_character_learned(blender, committed_file):
    blender.ops.wm.open_mainfile(filepath=committed_file)
    scene = blender.context.scene
    if compat.new_drawing("Drawing") is None:
        pytest.skip("Blender 4.3 and newer draw the sample")
    assert blender.ops.thunder.sample_drawing() == {"FINISHED"}
    face = scene.thunder.head
    with pytest.raises(RuntimeError, match="another character learned"):
        bpy.ops.thunder.learn_manner()
    dialogue.cast(scene, "one", face)
    opened = []
    for size in (1.0, 0.2):
        sliders.set_manner(direction_of(scene), Manner((Change("jaw", size=size),), 2))
        scene.thunder.keep_seed, scene.thunder.first_seed = True, 21
        entry = generate(scene, "one")
        opened.append(take_record.load(entry.action).opening.mean())
    assert opened[1] < 0.75 * opened[0]
