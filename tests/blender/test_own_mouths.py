# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator's own mouths: poses for sounds that keys hold instead of channels, while closures of
the take stay shut."""

import json
from dataclasses import replace

import numpy as np
import pytest
from characters import seen_points, small_face
from few_points import KEYS, PLACES, POINTS
from performances import performance, say_take
from running_engine import connection, speak, stop_engine  # noqa: F401
from thunder.scene.animation import keying
from thunder.scene.heads import character, detection, head, head_state, mapping_table
from thunder.scene.takes import last_look, take_list
from thunder.scene.takes.commit import committing
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face.moving import mouths

pytestmark = pytest.mark.one_blender

OH = {"upper": (0, 0, 0.006), "lower": (0, -0.004, -0.012)}  # a drawn mouth, 18 mm open


def artist(blender, *more):
    """A face with ARKit's keys, and drawn mouths MyOh and MyShut; the object."""
    shut = {"lower": (0, 0, 0.0006)}  # lips that touch
    return small_face(blender, KEYS | {"MyOh": OH, "MyShut": shut} | dict(more))


def map_mouths(scene, face, **targets):
    """Pick a key for each sound in the table of the mapping, as an animator does."""
    mapping_table.fill(scene, face)
    for source, target in targets.items():
        row = next(r for r in scene.thunder.table if r.source == source.replace("_", " "))
        row.target = target


def gap(blender, face):
    """How far the evaluated lips are apart beyond rest, mm."""
    seen = seen_points(blender, face)
    apart = seen[PLACES.index("upper")] - seen[PLACES.index("lower")]
    return 1000 * (apart[2] - POINTS["upper"][2] + POINTS["lower"][2])


def value(scene, face, name, second):
    scene.frame_set(1 + round(second * 25))
    return face.data.shape_keys.key_blocks[name].value


SAID = [["M", 0.92, 1.08], ["OW", 1.08, 1.4], ["AA", 1.4, 1.7], ["AO", 2.0, 2.2]]


@pytest.fixture
def scene(blender):
    blender.context.scene.render.fps = 25
    return blender.context.scene


def open_take():
    """Three seconds of an open jaw that shuts at 1 s for an m."""
    made = performance(closed_at=())
    made.motion.jaw[:, 0] = 0.2
    made.motion.jaw[24:28, 0] = 0.0
    return replace(made, opening=100.0 * made.motion.jaw[:, 0])


def test_a_mouth_is_keyed_instead_of_the_channels_and_closures_stay_shut(blender, scene):
    face = artist(blender)
    map_mouths(scene, face, OH="MyOh")
    rig = head.resolve(face)
    say_take((scene, rig), open_take(), SAID)
    assert value(scene, face, "MyOh", 1.25) == pytest.approx(1.0, abs=0.01)
    assert value(scene, face, "jawOpen", 1.25) == pytest.approx(0.0, abs=0.01)
    assert gap(blender, face) == pytest.approx(18.0, abs=0.3)  # as it is drawn
    # other sounds are the channels', and from one to the next they blend
    assert value(scene, face, "MyOh", 1.55) == pytest.approx(0.0, abs=0.01)
    assert value(scene, face, "jawOpen", 1.55) == pytest.approx(0.2 / 0.3, abs=0.02)
    halves = [value(scene, face, name, 1.4) for name in ("MyOh", "jawOpen")]
    assert halves[0] == pytest.approx(0.5, abs=0.2) and halves[1] > 0.1
    scene.frame_set(26)
    assert abs(gap(blender, face)) < 0.6, "the m is shut"


def test_a_drawn_closure_shuts_and_leads_come_before_their_sounds(blender, scene):
    face = artist(blender)
    map_mouths(scene, face, M_B_P="MyShut", OH="MyOh")
    row = next(r for r in scene.thunder.table if r.source == "OH")
    row.lead = 0.12
    rig = head.resolve(face)
    say_take((scene, rig), open_take(), SAID)
    assert value(scene, face, "MyShut", 1.0) > 0.9
    assert gap(blender, face) == pytest.approx(-0.6, abs=0.1)
    # the second “o” comes .12 s early, and leaves early
    assert value(scene, face, "MyOh", 1.96) > 0.9 and value(scene, face, "MyOh", 2.16) < 0.1
    again = character.plan_of(face)
    assert dict(again.leads) == {"OH": pytest.approx(0.12)}
    assert type(again).from_json(head_state.mapping(face)) == again


def test_what_only_mouths_move_is_read_back_as_a_mouth(blender, scene):
    """Score, Check and Commit see an open mouth where a drawn one is keyed."""
    face = artist(blender)
    map_mouths(scene, face, OH="MyOh")
    rig, made = head.resolve(face), open_take()
    say_take((scene, rig), made, SAID)
    clock = timing.Clock.of(scene, 1.0)
    motion = progress.result(keying.read(rig, head.channel_names(), clock, 3.0))
    funnel = motion.expression[:, head.channel_names().index("mouthFunnel")]
    assert funnel[31] == pytest.approx(0.65, abs=0.02) and abs(funnel[39]) < 0.02
    assert motion.jaw[31, 0] == pytest.approx(0.17, abs=0.02)


def test_a_commit_keeps_the_mouths(blender, scene):
    face = artist(blender)
    map_mouths(scene, face, OH="MyOh", M_B_P="MyShut")
    rig = head.resolve(face)
    entry = say_take((scene, rig), open_take(), SAID)
    report = progress.result(
        committing.commit(rig, entry, "line", committing.choice_of(scene, entry))
    )
    assert report.actions
    assert value(scene, face, "MyOh", 1.25) == pytest.approx(1.0, abs=0.1)
    assert value(scene, face, "MyOh", 1.55) == pytest.approx(0.0, abs=0.1)
    value(scene, face, "MyShut", 1.0)
    assert abs(gap(blender, face)) < 0.9


def test_a_mouth_that_vanished_is_said(blender, scene):
    face = artist(blender)
    map_mouths(scene, face, OH="MyOh")
    assert not any("MyOh" in said for said in head.resolve(face).warnings)
    face.shape_key_remove(face.data.shape_keys.key_blocks["MyOh"])
    rig = head.resolve(face)
    assert rig.warnings[0].startswith("“MyOh”, the mouth for OH, is no longer on “Face”: choose")
    say_take((scene, rig), open_take(), SAID)
    assert value(scene, face, "jawOpen", 1.25) == pytest.approx(0.2 / 0.3, abs=0.02)


@pytest.mark.parametrize("muted", [False, True])
def test_drawn_mouths_of_unknown_names_are_looked_at_as_lips(blender, scene, muted):
    wide = {"corner_l": (0.012, 0, 0), "corner_r": (-0.012, 0, 0), "lower": (0, 0, -0.005)}
    keys = {"Bild1": OH, "Bild2": {"lower": (0, 0, -0.02)}, "Bild3": wide}
    face = small_face(blender, keys | {"Bild4": {"lower": (0, 0, 0.0006)}})
    with pytest.raises(errors.BadHead):
        head.resolve(face)
    map_mouths(scene, face, OH="Bild1", AH="Bild2", EE="Bild3", M_B_P="Bild4")
    if muted:
        for block in face.data.shape_keys.key_blocks[1:]:
            block.mute = True
    rig, made = head.resolve(face), open_take()
    say_take((scene, rig), made, SAID)
    clock = timing.Clock.of(scene, 1.0)
    steps = last_look.look(scene.name, rig, clock, made.opening, json.dumps(SAID))
    wrong, faults = progress.result(steps), " ".join(rig.warnings)
    assert wrong.startswith("The jaw does not part the lips") if muted else wrong == ""
    assert ("“Bild2” of “Face” is muted" in faults) == muted
    assert ("does not part" in faults) == muted and "“oo” looks like" not in faults
    found = detection.reach_of(face, character.plan_of(face))
    assert found.shown["open"][0] == pytest.approx(0.0 if muted else 20.0, abs=0.1)
    assert rig.sums is None, "takes are scored as they are, not as a face that shows no channel"


def test_generate_asks_for_the_sounds_and_keys_the_mouths(
    blender,
    scene,
    connection,  # noqa: F811
):
    face = artist(blender)
    map_mouths(scene, face, OO="MyOh")
    scene.thunder.head, scene.thunder.count = face, 1
    if speak(scene) is None:
        pytest.skip("this Blender has no sound")
    assert blender.ops.thunder.generate() == {"FINISHED"}
    entry = take_list.shown_take(scene.thunder)
    said = json.loads(entry.action[keying.PROPERTY][keying.SAID])
    rounds = [(a + b) / 2 for phone, a, b in said if phone == "UW" and b - a > 0.1]
    assert rounds
    assert max(value(scene, face, "MyOh", second) for second in rounds) > 0.8
    # shaping the take leaves its mouths
    entry.action.thunder_shape.jaw = 1.3
    assert max(value(scene, face, "MyOh", second) for second in rounds) > 0.8


def test_a_lead_never_opens_a_closure():
    """An “o” that comes early leaves lips shut where the take shuts them."""
    opening = np.full(75, 9.0)
    opening[24:27] = 0.0
    of_mouths = mouths.weights(SAID, {"OH": 0.3}, np.arange(75) / 25, opening)
    assert of_mouths["OH"][24:27].max() == 0.0 and of_mouths["OH"][21] > 0.9


def test_weights_are_shares_of_one():
    opening = np.full(75, 9.0)
    leads = dict.fromkeys(("OH", "M B P", "AH", "Rest"), 0.0)
    of_mouths = mouths.weights(SAID, leads, np.arange(75) / 25, opening)
    total = sum(of_mouths.values())
    assert total == pytest.approx(1.0) and min(map(np.min, of_mouths.values())) >= 0.0


def test_a_face_is_known_by_its_limits_unless_drawn_mouths_are_all_it_has(blender, scene):
    """Takes are scored as this face shows them; a jaw that drawn mouths stand beside counts."""
    face = artist(blender)
    limits = head.resolve(face).sums
    map_mouths(scene, face, OH="MyOh")
    assert limits and head.resolve(face).sums is not None
