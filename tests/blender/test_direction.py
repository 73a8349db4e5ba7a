# SPDX-License-Identifier: GPL-3.0-or-later
"""A character is directed: its sliders are kept with it, keys of theirs become a direction for
every frame of a line."""

import numpy as np
import pytest
from performances import set_keys
from thunder.scene.heads import head, head_state
from thunder.scene.host import compat
from thunder.scene.takes.direction import head_direction, sliders
from thunder.thunder_core import direction as core
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.errors import BadRequest

MOOD = {
    name: len(core.AXES) + place
    for place, name in enumerate(name for name in core.MOODS if name != core.NEUTRAL)
}


def energy(vectors):
    """The energy that vectors ask for."""
    return np.exp(vectors[:, 0] * core.AXES[0].speakers)


def test_every_axis_is_a_slider_with_the_axis_own_range(blender, stage):
    direction = sliders.ensure(stage[1].owner)
    properties = direction.bl_rna.properties
    for axis in core.AXES:
        part = properties[axis.name]
        assert (part.name, part.default) == (axis.label, pytest.approx(axis.usual))
        assert (part.hard_min, part.hard_max) == (
            pytest.approx(axis.least),
            pytest.approx(axis.most),
        )
        assert part.is_animatable
    choices = properties["mood"].enum_items
    assert [item.identifier for item in choices] == list(core.CHOICES)
    for mood in core.CHOICES.values():
        assert choices[mood.name].value == mood.number, "that files and keys have"
    assert np.allclose(sliders.value(direction).vector(), core.Direction().vector(), atol=1e-6)


def test_a_direction_without_keys_is_one_for_the_line(blender, scene, rig):
    asked = head_direction.direction_over(
        rig.owner, Clock.of(scene, 1.0), 97.0
    )  # nobody directed it
    assert (asked.vectors == core.Direction().vector()).all() and head_state.of(rig.owner) is None
    direction = sliders.ensure(rig.owner)
    direction.energy, direction.mood, direction.strength, direction.spread = 1.5, "warm", 0.7, 0.3
    asked = head_direction.direction_over(rig.owner, Clock.of(scene, 1.0), 97.0)
    assert (
        asked.vectors.shape == (1, len(core.DIRECTION_NAMES))
        and asked.spread == pytest.approx(0.3)
        and asked.exact_first
    )
    assert energy(asked.vectors)[0] == pytest.approx(1.5, abs=1e-5)
    assert asked.vectors[0, MOOD["warm"]] == pytest.approx(0.7) and asked.vectors[
        0, len(core.AXES) :
    ].sum() == pytest.approx(0.7)


def test_keys_of_a_slider_are_read_on_every_frame_of_the_line_within_its_range(blender, scene, rig):
    """24 frames a second in the scene, 25 in the engine; the line begins on frame 11."""
    direction = sliders.ensure(rig.owner)
    set_keys(direction, "energy", {11: 0.5, 59: 1.5})
    for curve in compat.curves_for(scene):
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"
    asked = head_direction.direction_over(rig.owner, Clock.of(scene, 11.0), 107.0)
    assert len(asked.vectors) == 100
    assert energy(asked.vectors)[[0, 25, 50, 99]] == pytest.approx([0.5, 1.0, 1.5, 1.5], abs=1e-3)
    core.check(asked.vectors)
    set_keys(direction, "energy", {201: 2.0, 220: 2.0, 224: 0.35, 260: 0.35})
    # the curve overshoots
    core.check(head_direction.direction_over(rig.owner, Clock.of(scene, 201.0), 297.0).vectors)


def test_a_mood_changes_within_a_line_and_flows(blender, scene, rig):
    direction = sliders.ensure(rig.owner)
    direction.strength = 1.0
    set_keys(direction, "mood", {1: "warm", 49: "angry"})
    vectors = head_direction.direction_over(rig.owner, Clock.of(scene, 1.0), 97.0).vectors
    assert vectors[[0, 99]][:, [MOOD["warm"], MOOD["angry"]]].tolist() == [[1, 0], [0, 1]]
    moods = vectors[:, len(core.AXES) :]
    assert (
        np.allclose(moods.sum(axis=1), 1, atol=1e-5) and np.abs(np.diff(moods, axis=0)).max() < 0.15
    )
    core.check(vectors)


def test_a_key_that_is_no_mood_is_said(blender, scene, rig):
    set_keys(sliders.ensure(rig.owner), "mood", {1: "warm"})
    (curve,) = (c for c in compat.curves_for(scene) if c.data_path.endswith(".mood"))
    for wrong in (99.0, -3.0, np.nan):
        curve.keyframe_points[0].co.y = wrong
        with pytest.raises(BadRequest, match="no mood"):
            head_direction.direction_over(rig.owner, Clock.of(scene, 1.0), 97.0)


def test_a_voice_is_followed_as_heard_in_a_part_of_a_line(blender, scene, rig):
    direction = sliders.ensure(rig.owner)
    direction.mood, direction.strength = core.AS_HEARD, 0.7
    asked = head_direction.direction_over(rig.owner, Clock.of(scene, 1.0), 97.0)
    assert asked.as_heard.tolist() == pytest.approx([0.7]) and not asked.vectors.any()
    set_keys(direction, "mood", {1: "warm", 49: core.AS_HEARD})
    asked = head_direction.direction_over(rig.owner, Clock.of(scene, 1.0), 97.0)
    whole = asked.vectors[:, MOOD["warm"]] + asked.as_heard
    assert np.allclose(whole, 0.7, atol=1e-5) and asked.as_heard[[0, 99]] == pytest.approx(
        [0.0, 0.7]
    )
    assert np.abs(np.diff(asked.as_heard)).max() < 0.15
    direction.mood = core.NEUTRAL
    head_direction.remove_keys(direction)
    assert not head_direction.direction_over(rig.owner, Clock.of(scene, 1.0), 97.0).as_heard.any()


def test_keys_of_the_next_head_stay_with_it_when_one_is_deleted(blender, scene, rig):
    blender.ops.thunder.add_head()
    other = next(head.resolve(obj) for obj in head.in_scene(scene) if obj != rig.mesh)
    for each, value in ((rig, 0.5), (other, 1.7)):
        set_keys(sliders.ensure(each.owner), "energy", {1: value})
    for obj in (rig.mesh, rig.armature):
        blender.data.objects.remove(obj)
    blender.ops.thunder.add_head()
    third = next(obj for obj in head.in_scene(scene) if obj != other.mesh)
    sliders.ensure(head.owner_of(third))
    clock = Clock.of(scene, 1.0)
    assert energy(head_direction.direction_over(other.owner, clock, 50.0).vectors)[
        0
    ] == pytest.approx(1.7, abs=1e-4)
    assert (
        head_direction.direction_over(head.owner_of(third), clock, 50.0).vectors
        == core.Direction().vector()
    ).all()
