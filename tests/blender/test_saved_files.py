# SPDX-License-Identifier: GPL-3.0-or-later
"""A file saved by version 0.1.0 opens with all that it stores: takes, a shape, a committed line, a
mapping; one with an earlier bundled head goes on playing, for its mesh and its takes are its own.

saved_0_1_0 is a Blender 4.2 file, compressed, with a character of its own (a sheet whose shape keys
have ARKit's names, its mapping stored, and a neck bone) at 24 fps. It has keys of the animator's on
jawOpen from frame 80 to 90, 0.4 at 85, and two takes of 2 s that begin on frame 1: take 1 (seed 1,
star, note, sync from 50 to 90 over its frames) is committed as the line “voice”, take 2 (seed 2,
Jaw at 1.5 and Mouth at 0.5) is shown. No record in it has a version. Before 4.4 a take is one
action per data-block, and actions have no slots.

saved_0_2_0 is the same file as 0.2.0 opened and saved it, with a sort by *Heard*, *Exact* and a
hidden take 1. Its own test is at the end.

head_of_2026_11 is a Blender 4.2 file with the head as it was in November 2026 (coordinates rounded
to 8 µm, so that the file is small) and two takes of 1.5 s at 24 fps, seeds 7 and 8, whose jaw is
0.2 rad open but for one closure, at 0.5 s and 1.0 s.
"""

import numpy as np
import pytest
from characters import drive, small_face
from few_points import KEYS
from performances import keys_of, reopen, same
from thunder.scene.animation import display, keying
from thunder.scene.heads import head, head_state
from thunder.scene.host import compat
from thunder.scene.takes import grades, take_list, take_record
from thunder.scene.takes.commit import committing
from thunder.scene.takes.shape.applying import is_shaped
from thunder.scene.voice import changes, fingerprint
from thunder.thunder_core import progress
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.face import mapping
from thunder.thunder_core.types import JAW_OPEN_RADIANS

JAW = 'key_blocks["jawOpen"].value'


@pytest.fixture
def stage(request, open_saved):
    """The file opened: (scene, rig)."""
    return open_saved(getattr(request, "param", "saved_0_1_0"))


def test_takes_mapping_and_the_animators_own_animation_are_there(blender, scene, rig):
    one, two = scene.thunder.takes
    assert [(take.name, take.seed, take.star, take.note) for take in (one, two)] == [
        ("Take 1", 1, True, "the good one"),
        ("Take 2", 2, False, ""),
    ]
    assert [(take.first, take.last) for take in (one, two)] == [(1, 49), (1, 49)]
    assert take_list.shown_take(scene.thunder) == two
    plan = mapping.Mapping.from_json(head_state.mapping(rig.mesh))
    assert {"jawOpen", "mouthClose", "browInnerUp", "neck"} <= plan.used
    assert {source.split(".")[0] for source in rig.driver.used} == plan.used
    assert set(rig.channels) > {"mouthPucker", "eyeBlinkLeft"}
    display.restore_animation(rig)
    assert rig.keys.animation_data.action == blender.data.actions["Hero own · voice"]
    scene.frame_set(85)
    assert abs(rig.keys.key_blocks["jawOpen"].value - 0.4) < 1e-4


def test_a_take_plays_on_keys_and_bones(scene, rig):
    neck = scene.objects["Rig"].pose.bones["neck"]
    for entry in scene.thunder.takes:
        display.show(rig, entry)
        curves = keying.curves_of_tracks(rig, entry)
        assert len(curves) == len(rig.driver.tracks) and None not in curves
        scene.frame_set(30)
        assert neck.rotation_quaternion.angle > 0.01
        jaw = next(curve for curve in curves if curve.data_path == JAW)
        assert abs(rig.keys.key_blocks["jawOpen"].value - jaw.evaluate(30)) < 1e-5


def test_takes_that_are_in_no_list_are_listed_again_whole(blender, scene, rig):
    display.restore_animation(rig)
    own = blender.data.actions.new(scene.thunder.takes[0].action.name + " for the trailer")
    scene.thunder.takes.clear()
    assert blender.ops.thunder.adopt_takes() == {"FINISHED"}
    assert not own.use_fake_user, "what is called like a take is none"
    assert sorted(entry.seed for entry in scene.thunder.takes) == [1, 2]
    for entry in scene.thunder.takes:
        assert None not in keying.curves_of_tracks(rig, entry)


def test_a_take_knows_what_it_was_made_from(scene):
    one = scene.thunder.takes[0]
    performance = take_record.load(one.action)
    assert (performance.seed, performance.score, performance.motion.frames) == (1, 80.0, 50)
    assert performance.provenance["steps"] == 20
    # a score of an earlier version has points alone
    assert grades.of_take(one) is None and take_list.verdict(one) == take_list.WAITS
    assert grades.has_old_score(one) and "Heard" not in one.tooltip
    assert np.allclose(take_record.sync_of(one.action), np.linspace(50, 90, 50))
    assert (
        take_record.clock_of(one.action).start == 1.0
        and take_record.clock_of(one.action).fps == 24.0
    )
    assert not take_record.is_edited(one)
    assert (
        fingerprint.state_of(one.action).strip == "voice"
        and changes.change(scene, one).kind == "GONE"
    )


def test_the_shape_comes_off_a_take_and_back_on(blender, scene, rig):
    two = scene.thunder.takes[1]
    shaped = keys_of(rig, two)
    assert is_shaped(two.action) and two.action.thunder_shape.jaw == 1.5
    assert blender.ops.thunder.reset_shape() == {"FINISHED"}
    assert not is_shaped(two.action) and not same(keys_of(rig, two), shaped)
    assert not take_record.is_edited(two)  # the base is bit for bit what was sampled
    two.action.thunder_shape.jaw, two.action.thunder_shape.mouth = 1.5, 0.5
    again = keys_of(rig, two)
    # Not bit for bit: where lips close is measured on the bundled head, and that of 0.1.0 was
    # another.
    assert (
        max(np.abs(a["co"] - b["co"]).max() for a, b in zip(again, shaped) if a is not None) < 0.01
    )


def test_the_committed_line_is_known_and_another_take_replaces_it(blender, rig):
    def lines(action):
        return [(line.name, line.first, line.last) for line in line_records.lines_of(action).lines]

    def jaw(curves, frames):
        curve = next(curve for curve in curves if curve.data_path == JAW)
        return np.array([curve.evaluate(frame) for frame in frames])

    own = blender.data.actions["Hero own · voice"]
    before = jaw(compat.all_curves(own), range(1, 49))
    assert lines(own) == [("voice", 1, 49)]
    assert blender.ops.thunder.commit_take() == {"FINISHED"}  # take 2, which is shown
    assert lines(rig.keys.animation_data.action) == [("voice", 1, 49)]
    played = compat.curves_for(rig.keys)
    assert np.abs(jaw(played, range(1, 49)) - before).max() > 0.05
    # the animator's own keys beside it
    assert np.abs(jaw(played, (80, 85, 90)) - (0.0, 0.4, 0.0)).max() < 1e-4


# ---- an earlier bundled head

UPPER_LIP, LOWER_LIP = 4748, 4768  # the inner lips' middles, by the old head's numbers
OLD_KEYS = 45  # channels and the jaw's corrective, as saved


def gap_mm(blender, scene, rig, frame):
    scene.frame_set(frame)
    mesh = rig.mesh.evaluated_get(blender.context.evaluated_depsgraph_get()).data
    return 1e3 * (mesh.vertices[UPPER_LIP].co - mesh.vertices[LOWER_LIP].co).length


@pytest.mark.parametrize("stage", ["head_of_2026_11"], indirect=True)
def test_takes_of_an_earlier_bundled_head_play_and_can_be_switched(blender, scene, rig):
    assert (
        rig.armature is not None
        and rig.channels == head.channel_names()
        and len(rig.keys.key_blocks) == OLD_KEYS + 1
    )
    by_seed = {entry.seed: entry for entry in scene.thunder.takes}
    assert sorted(by_seed) == [7, 8]
    for seed, closed, opened in ((8, 25, 13), (7, 13, 25)):  # the frames of 1.0 s and 0.5 s
        display.show(rig, by_seed[seed])
        assert gap_mm(blender, scene, rig, closed) < 0.6
        assert gap_mm(blender, scene, rig, opened) > 10.0


# ---- what 0.2.0 says otherwise


def test_settings_of_0_2_0_and_hidden_takes_are_adopted(blender, open_saved, tmp_path):
    scene, _ = open_saved("saved_0_2_0")
    settings, (one, two) = scene.thunder, scene.thunder.takes
    assert settings.sort == "SCORE" and settings.commit.accuracy == "EXACT"
    assert committing.choice_of(scene, two).error == pytest.approx(0.3)
    # hidden takes are listed again as takes of earlier batches are, and not committed by Commit All
    assert [take.folded for take in (one, two)] == [True, False] and one.star
    assert [[take.name for take in batch] for batch in take_list.batches(blender.context)] == [
        ["Take 2"],
        ["Take 1"],
    ]
    blender.ops.thunder.fold_takes(batch=one.batch)
    settings.sort, settings.commit.accuracy = "TIME", "CUSTOM"
    reopen(blender, tmp_path)
    settings = blender.context.scene.thunder
    assert (settings.sort, settings.commit.accuracy) == ("TIME", "CUSTOM")
    assert not any(take.folded for take in settings.takes)


def test_what_mouth_sliders_of_earlier_files_add_is_read_and_their_keys_are_no_channels(blender):
    face = small_face(blender, KEYS)
    face["Thunder Open"] = 0.4
    twin = face.shape_key_add(name="Thunder jawOpen", from_mix=False)
    twin.slider_min = -10.0
    drive(twin, "value", face, '["Thunder Open"]', "v")
    blender.context.view_layer.update()
    rig, names = head.resolve(face), head.channel_names()
    assert not any("Thunder" in track.path for track in rig.driver.tracks)
    clock = Clock.of(blender.context.scene, 1.0)
    assert progress.result(keying.read_quietly(rig, names, clock, 0.2)) is None, "not keys alone"
    motion = progress.result(keying.read(rig, names, clock, 0.2))
    assert motion.jaw[:, 0] == pytest.approx(0.4 * JAW_OPEN_RADIANS, rel=0.05)


def test_all_actions_of_an_old_take_are_renamed_with_it(scene):
    """It has one for each of its data-blocks."""
    entry = scene.thunder.takes[0]
    entry.name = "Angry"
    first, *more = (action.name for action in display.actions_of(entry))
    assert first == "voice · Angry" and more
    assert {*more} <= {"voice · Angry Key", "voice · Angry Object"}
