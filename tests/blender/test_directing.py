# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes are sampled in a character's direction, tell how they are played, and the shown one follows
the sliders."""

import time
from functools import partial

import bpy
import numpy as np
import pytest
from drawing import draw
from idle import tick
from performances import keys_of, record_in, same, set_keys, show_take, speak
from played_engine import PlayedClient
from thunder.panels import sidebar
from thunder.scene.heads import head, head_state
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.takes import browsing, keep, take_list, take_record
from thunder.scene.takes.direction import head_direction, sliders
from thunder.scene.takes.direction.live import live, PENDING
from thunder.thunder_core import direction as core
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.errors import BadRequest
from thunder.thunder_core.request import DRAFT, NORMAL


class DirectedClient(PlayedClient):
    """An engine whose jaws open as far as is asked, and a little less in a draft. What takes are
    read as is what is asked, but for those that are not played just so: each by its seed more
    lively, with a wider jaw."""

    running = True

    def _generate(self, **request):
        events = super()._generate(**request)
        asked = self.arrays[request["direction"]]
        for event in events:
            if event["event"] != "take":
                continue
            take = event["take"]
            by = (
                0.0
                if take["provenance"]["as_asked"]
                else request["spread"] * (take["seed"] % 5 + 1)
            )
            take["provenance"]["reading"][0] += by
            take["provenance"]["seen"] = {"jaw": 4.0 * by}
            energy = np.exp((asked[:, 0].mean() + by) * core.AXES[0].speakers)
            self.arrays[take["jaw"]] = self.arrays[take["jaw"]] * np.float32(
                energy * (0.9 if request["quality"] == DRAFT else 1.0)
            )
        return events


@pytest.fixture
def client(tmp_path, play):
    return play(DirectedClient(tmp_path))


@pytest.fixture
def scene(voiced, client):
    """A head with a voice of two seconds."""
    voiced.thunder.count, voiced.thunder.seed = 3, 1
    return voiced


@pytest.fixture
def direction(scene):
    return sliders.ensure(head.find(scene).owner)


@pytest.fixture
def following(monkeypatch, scene):
    """The shown take follows, as in a window with Live. Lets the timer run until it has."""
    assert not scene.thunder.live_direction, "it is off until it is switched on"
    scene.thunder.live_direction = True
    monkeypatch.setattr(live, "in_background", True)

    def wait(seconds=10.0, until=lambda: live.task.due is None):
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "the take does not follow"
            tick()
            time.sleep(0.002)

    yield wait
    live.file_opened()


def asked(client):
    return [args for verb, args in client.asked if verb == "generate"]


def named(scene, name):
    return next(entry for entry in scene.thunder.takes if entry.name == name)


def jaw(entry):
    return take_record.load(entry.action).motion.jaw[:, 0].max()


@pytest.mark.one_blender
def test_generate_asks_for_the_heads_direction_and_keeps_it(blender, scene, client, direction):
    direction.energy, direction.mood, direction.strength, direction.spread = 1.5, "warm", 0.6, 0.25
    assert blender.ops.thunder.generate() == {"FINISHED"}
    (request,) = asked(client)
    wanted = core.Direction(core.Style(energy=1.5), "warm", 0.6).vector()
    assert np.allclose(client.arrays[request["direction"]], wanted[None], atol=1e-5)
    assert request["spread"] == pytest.approx(0.25) and request["as_asked"] is True
    for entry in scene.thunder.takes:
        kept = record_in(entry)
        assert (
            kept["spread"] == pytest.approx(0.25)
            and len(kept["reading"]) == len(wanted)
            and entry.asked
        )
        assert np.allclose(kept["direction"], wanted, atol=1e-5)
    sliders.set_direction(direction, core.Direction())
    direction.spread = 0.5
    scene.thunder.takes.clear()
    assert blender.ops.thunder.generate() == {"FINISHED"}  # each by its seed more lively
    assert {entry.seed: entry.words for entry in scene.thunder.takes} == {
        1: "as directed",
        2: "close to the direction",
        3: "wide jaw",
    }
    assert "wide jaw" in browsing.describe(
        next(entry for entry in scene.thunder.takes if entry.seed == 3)
    )


@pytest.mark.one_blender
def test_more_like_this_adds_takes_around_the_shown_ones_reading(blender, scene, client, direction):
    blender.ops.thunder.generate()
    entry = next(entry for entry in scene.thunder.takes if entry.seed == 3)
    scene.thunder.active_take = list(scene.thunder.takes).index(entry)
    liked, before = (
        record_in(entry)["reading"],
        {entry.action.name for entry in scene.thunder.takes},
    )
    assert blender.ops.thunder.more_like_this() == {"FINISHED"}
    request = asked(client)[-1]
    assert np.allclose(client.arrays[request["direction"]], [liked], atol=1e-4)
    assert (request["seed"], request["takes"]) == (4, keep.COUNT)
    assert request["spread"] == keep.ALIKE and request["as_asked"] is False
    asked_first = client.arrays[asked(client)[0]["direction"]]
    assert np.allclose(client.arrays[request["original"]], asked_first), "they score as that take"
    assert request["like"] == [3, asked(client)[0]["spread"]], "and are like it"
    copies = [entry for entry in scene.thunder.takes if entry.seed > 3]
    assert all(
        np.allclose(record_in(entry)["original"], asked_first.ravel(), atol=1e-5)
        for entry in copies
    )
    assert before < {entry.action.name for entry in scene.thunder.takes}
    assert sorted(entry.seed for entry in scene.thunder.takes) == list(range(1, 4 + keep.COUNT))
    others = dict.fromkeys((5, 6, 7), "close to the direction")
    assert {entry.seed: entry.words for entry in copies} == others | {4: "wide jaw"}
    assert len(take_list.batches(blender.context)) == 1 and not any(
        entry.folded for entry in scene.thunder.takes
    )


@pytest.mark.one_blender
def test_around_keeps_what_changes_over_a_line(blender):
    asked = np.zeros((4, len(core.DIRECTION_NAMES)), np.float32)
    asked[:, 0] = [-1, 0, 1, 2]
    asked[:2, 12] = 0.6
    take_style = asked.mean(axis=0)
    take_style[0] += 0.5
    take_style[12] *= 0.5
    around = keep.with_mean(asked, take_style)
    assert np.allclose(around[:, 0], asked[:, 0] + 0.5) and np.allclose(
        around[:, 12], asked[:, 12] * 0.5
    )
    assert np.allclose(around.mean(axis=0), take_style, atol=1e-5)
    core.check(around)


@pytest.mark.one_blender
def test_the_rest_is_resampled_in_the_direction_of_its_take(
    blender, scene, client, direction, monkeypatch
):
    direction.energy = 1.5
    blender.ops.thunder.generate()
    direction.energy = 0.5
    scene.thunder_keep.upper_face, scene.thunder_keep.count = True, 1
    assert blender.ops.thunder.resample_rest() == {"FINISHED"}
    request = asked(client)[-1]
    assert np.exp(
        client.arrays[request["direction"]][0, 0] * core.AXES[0].speakers
    ) == pytest.approx(1.5, abs=1e-3)
    assert request["as_asked"] is False and "keep_mask" in request


@pytest.mark.one_blender
def test_presets_move_the_sliders_and_own_ones_come_and_go(
    blender, scene, direction, tmp_path, monkeypatch
):
    monkeypatch.setattr(head_direction.compat, "user_folder", lambda name: tmp_path / name)
    shipped = head_direction.all_presets().names()
    assert len(shipped) >= 12 and blender.ops.thunder.use_direction(name=shipped[0]) == {"FINISHED"}
    wanted = head_direction.all_presets().load(shipped[0])
    assert np.allclose(sliders.value(direction).vector(), wanted.direction.vector(), atol=1e-4)
    direction.energy, direction.spread = 0.7, 0.1
    assert blender.ops.thunder.save_direction(name="My Own") == {"FINISHED"}
    assert blender.ops.thunder.reset_direction() == {"FINISHED"}
    assert (
        np.allclose(sliders.value(direction).vector(), core.Direction().vector(), atol=1e-6)
        and direction.spread == 0.5
    )
    blender.ops.thunder.use_direction(name="My Own")
    assert direction.energy == pytest.approx(0.7) and direction.spread == pytest.approx(0.1)
    assert blender.ops.thunder.delete_direction(name="My Own") == {"FINISHED"}
    assert head_direction.all_presets().names() == shipped
    with pytest.raises(RuntimeError, match="There is no preset"):
        blender.ops.thunder.use_direction(name="My Own")


@pytest.mark.one_blender
def test_reset_removes_the_sliders_keys_and_no_others(blender, scene, direction):
    direction.keyframe_insert("energy", frame=1)
    scene.keyframe_insert("gravity", frame=1)
    blender.ops.thunder.reset_direction()
    assert {curve.data_path for curve in compat.curves_for(scene)} == {"gravity"}


# ---- the shown take follows


@pytest.fixture
def shown(blender, scene, client, direction):
    """Three takes, one that is not played as directed shown; gives the take that is shown now."""
    blender.ops.thunder.generate()
    scene.thunder.active_take = next(
        place for place, entry in enumerate(scene.thunder.takes) if entry.seed == 2
    )
    return lambda: take_list.shown_take(blender.context.scene.thunder)


@pytest.mark.one_blender
def test_a_copy_of_the_shown_take_follows_a_slider_with_its_own_seed(
    blender, scene, client, direction, shown, following
):
    rig = head.find(scene)
    listed = {entry.name: keys_of(head.find(scene), entry) for entry in scene.thunder.takes}
    source, was = shown().name, jaw(shown())
    direction.spread = 0.1  # of takes to come: this one stays as far from what is asked as it is
    direction.energy = 1.5
    following()
    assert all(same(keys, keys_of(rig, named(scene, name))) for name, keys in listed.items()), (
        "the takes stay as they were"
    )
    shown, before = shown(), listed[source]
    assert (shown.name, shown.kind, shown.batch) == (
        f"{source}.2",
        "SAMPLED",
        named(scene, source).batch,
    )
    requests = asked(client)[1:]
    assert [(each["seed"], each["takes"], each["quality"]) for each in requests] == [
        (2, 1, DRAFT),
        (2, 1, NORMAL),
    ]
    assert all(each["as_asked"] is False and each["spread"] == 0.5 for each in requests)
    assert jaw(shown) == pytest.approx(was * 1.5, rel=1e-4) and not same(
        before, keys_of(rig, shown)
    )
    assert record_in(shown)["quality"] == NORMAL and np.isclose(
        record_in(shown)["direction"][0], np.log(1.5) / core.AXES[0].speakers, atol=1e-4
    )
    assert not take_record.is_edited(shown) and PENDING not in shown.action and live.sentence == ""
    assert len(scene.thunder.takes) == len(listed) + 1 and take_list.flip(scene, rig) == source, (
        "A/B compares them"
    )


@pytest.mark.one_blender
def test_the_face_follows_without_a_change_of_frame(blender, scene, client, direction, following):
    blender.ops.thunder.generate()
    scene.frame_set(20)
    armature = head.find(scene).armature

    def opening():
        return (
            armature.evaluated_get(blender.context.evaluated_depsgraph_get())
            .pose.bones["jaw"]
            .matrix_basis.to_euler()
            .x
        )

    for energy in (1.5, 0.6):  # the first makes a copy, which the second changes
        before = opening()
        direction.energy = energy
        following()
        now = opening()
        scene.frame_set(20)
        assert (abs(now) > abs(before)) == (energy > 1) and now == pytest.approx(
            opening(), abs=1e-5
        )


@pytest.mark.one_blender
def test_further_drags_change_the_copy_until_it_is_marked(
    blender, scene, client, direction, shown, following
):
    for energy in (1.5, 1.2):
        direction.energy = energy
        following()
    assert len(scene.thunder.takes) == 4
    for mark in ({"star": True}, {"note": "so"}, {"name": "Loud"}):
        for name, value in mark.items():
            setattr(shown(), name, value)
        marked, keys = shown().name, keys_of(head.find(scene), shown())
        direction.energy += 0.1
        following()
        assert shown().name != marked and same(
            keys, keys_of(head.find(scene), named(scene, marked))
        )
        assert not shown().star


@pytest.mark.one_blender
def test_a_drag_while_a_job_holds_the_list_or_without_live_makes_no_copy(
    blender, scene, client, direction, shown, following, monkeypatch
):
    scene.thunder.live_direction = False
    direction.energy = 1.4
    following()
    assert len(asked(client)) == 1 and live.sentence == ""
    scene.thunder.live_direction = True
    monkeypatch.setattr(session, "job", object())
    direction.energy = 1.5
    assert len(scene.thunder.takes) == 3 and "while other work runs" in live.sentence


@pytest.mark.one_blender
def test_drafts_come_one_at_a_time_and_the_last_wish_wins(
    blender, scene, client, direction, shown, following
):
    for energy in (1.1, 1.2, 1.3, 1.4):
        direction.energy = energy
        tick()
    following()
    requests = asked(client)[1:]
    assert len(requests) <= 3 and requests[-1]["quality"] == NORMAL
    assert np.exp(
        client.arrays[requests[-1]["direction"]][0, 0] * core.AXES[0].speakers
    ) == pytest.approx(1.4, abs=1e-3)


@pytest.mark.one_blender
def test_a_slider_put_back_brings_the_very_keys_back(
    blender, scene, client, direction, shown, following
):
    rig, source = head.find(scene), shown().name
    before, kept, actions = keys_of(rig, shown()), record_in(shown()), len(bpy.data.actions)
    direction.energy = 1.5
    following(until=lambda: record_in(shown())["quality"] == DRAFT)
    direction.energy = 1.0  # Esc
    following()
    assert (
        same(before, keys_of(rig, shown()))
        and record_in(shown()) == kept
        and shown().name == source
    )
    assert len(scene.thunder.takes) == 3 and len(bpy.data.actions) == actions, (
        "no copy is left that is as the take"
    )
    assert len(asked(client)) == 2  # generated, and one draft


def edit(entry):
    """Change a key of a take by hand."""
    curves = compat.all_curves(entry.action)
    next(each for each in curves if len(each.keyframe_points) > 5).keyframe_points[3].co[1] += 0.1


@pytest.mark.one_blender
@pytest.mark.parametrize("how", ["edited", "shaped", "mixed", "retaken"])
def test_what_is_the_animators_own_does_not_follow(
    blender, scene, client, direction, shown, following, how
):
    rig, shown = head.find(scene), shown()
    if how in ("mixed", "retaken"):
        shown.kind = {"mixed": "MIXED", "retaken": "RESAMPLED"}[how]
    elif how == "shaped":
        shown.action.thunder_shape.jaw = 0.5
    else:
        edit(shown)
    before = keys_of(rig, shown)
    direction.energy = 1.5
    following()
    assert same(before, keys_of(rig, shown)) and len(asked(client)) == 1
    assert live.sentence.startswith(f"“{shown.name}”") and PENDING not in shown.action
    # in the panel's header, as the sentence below the sliders may be out of sight
    assert live.sentence in sidebar.notes(blender.context) and how in live.sentence
    scene.thunder.active_take = 1
    assert live.sentence not in sidebar.notes(blender.context), "another take is shown"


@pytest.mark.one_blender
def test_a_take_that_is_edited_while_it_is_sampled_keeps_the_edit(
    blender, scene, client, direction, shown, following
):
    rig = head.find(scene)
    direction.energy = 1.5
    tick()
    shown = shown()
    edit(shown)
    before = keys_of(rig, shown)
    following()
    assert same(before, keys_of(rig, shown)) and "was edited" in live.sentence


@pytest.mark.one_blender
def test_undo_of_sliders_is_undo_of_the_take_and_redo_finishes_it_again(
    blender, scene, client, direction, shown, following
):
    """Nothing but the slider makes an undo step: the keys that come later are part of it, also
    where the next came before they did."""
    name, was = shown().name, jaw(shown())

    def energy():
        return sliders.of(head.find(blender.context.scene).owner).energy

    blender.context.preferences.edit.use_global_undo = True
    blender.ops.ed.undo_push(message="before")
    direction.energy = 1.5
    blender.ops.ed.undo_push(message="Energy")
    following()
    assert jaw(shown()) == pytest.approx(was * 1.5, rel=1e-4)
    blender.ops.ed.undo()
    assert energy() == 1.0 and shown().name == name and jaw(shown()) == pytest.approx(was)
    assert live.task.due is None and not take_record.is_edited(shown())
    blender.ops.ed.redo()
    following()
    assert (
        energy() == 1.5
        and jaw(shown()) == pytest.approx(was * 1.5, rel=1e-4)
        and not take_record.is_edited(shown())
    )
    for value in (1.2, 1.6):
        sliders.of(head.find(blender.context.scene).owner).energy = value
        blender.ops.ed.undo_push(message="Energy")
    following()
    for value in (1.6, 1.2, 1.5, 1.0):
        assert energy() == pytest.approx(value) and jaw(shown()) == pytest.approx(
            was * value, rel=1e-4
        )
        if value > 1.0:
            blender.ops.ed.undo()
            following()


# ---- the style of an animation moves the sliders


def speaking(smile, nod):
    """Ten seconds of somebody who smiles and nods while speaking."""
    made = speak(10.0)
    smiles = [place for place, name in enumerate(made.channels) if name.startswith("mouthSmile")]
    made.motion.expression[:, smiles] = smile
    made.motion.head[:, 0] = nod * np.sin(0.1 * np.arange(made.motion.frames))
    return made


@pytest.mark.one_blender
def test_the_style_of_the_shown_take_becomes_the_direction(blender, stage, direction):
    show_take(stage, speaking(smile=0.45, nod=0.3))
    direction.mood = "sad"
    assert blender.ops.thunder.style_from_animation(frames="TAKE") == {"FINISHED"}
    smile, turn = direction.smile, direction.head
    assert smile > 0.2 and turn > 1.2 and direction.mood == "neutral"
    show_take(stage, speaking(smile=0.0, nod=0.01))
    blender.ops.thunder.style_from_animation(frames="TAKE")
    assert direction.smile < smile - 0.15 and direction.head < turn * 0.8


# ---- what a direction is: sliders of a character, also keyed


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
    scene.render.fps = 24
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
    scene.render.fps = 24
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
    scene.render.fps = 24
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


def test_a_mood_that_is_not_on_this_machine_is_said_and_kept(blender, voiced, rig, client):
    direction = sliders.ensure(rig.owner)
    direction["mood"] = 999
    assert "This mood is not on this machine" in str(
        draw(blender.types.THUNDER_PT_direction, blender.context).texts()
    )
    for act in (
        blender.ops.thunder.generate,
        partial(blender.ops.thunder.save_direction, name="x"),
    ):
        with pytest.raises(
            RuntimeError, match="is not on this machine .its number is 999.: choose"
        ):
            act()
    assert direction["mood"] == 999 and not voiced.thunder.takes
