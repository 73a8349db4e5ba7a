# SPDX-License-Identifier: GPL-3.0-or-later
"""Going through takes: the list's order, filters and small pictures, stepping, flipping, what becomes
of a take and of its keys, and earlier takes, which a new batch folds."""

import importlib
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
from drawing import Context, Shown
from measuring import Measured, Sidebar
from performances import list_take, listed_seeds, load_into_empty, performance, reopen, write_wav
from thunder.panels.takes import ROWS, TALLER
from thunder.scene.animation import display, keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import browsing, grades, take_list, take_record
from thunder.scene.voice import strip
from thunder.thunder_core import findings


@pytest.fixture
def stage(stage):
    stage[0].render.fps = 25
    return stage


def enter(stage, start=1.0, voice="voice", **how):
    return list_take(stage, performance(**how), start, voice)


def add_head(blender, scene):
    """A second head, which is chosen then: as a stage of its own."""
    blender.ops.thunder.add_head()
    return scene, head.resolve(blender.context.object)


def shown(bpy):
    settings = bpy.context.scene.thunder
    return settings.takes[settings.active_take].seed if settings.active_take >= 0 else None


def keys(entry):
    """What all keys of a take say."""
    return [keying.checksum_of(action) for action in display.actions_of(entry)]


# ---- order


def test_the_list_is_sorted_by_score_and_by_time(blender, stage):
    settings = stage[0].thunder
    for seed, score in enumerate((50, 90, 70, 60), start=1):
        enter(stage, seed=seed, score=score)
    for place, entry in enumerate(settings.takes):
        entry.made = 1000 + (place * 7) % 4  # 0, 3, 2, 1
    assert listed_seeds(blender) == [2, 3, 4, 1]
    settings.sort = "TIME"
    assert listed_seeds(blender) == [2, 3, 4, 1]
    enter(stage, seed=5, score=80).made = 2000
    assert listed_seeds(blender) == [5, 2, 3, 4, 1]
    settings.takes.remove(4)
    # an order of earlier versions, such as by difference, is that by score
    entries = settings.takes
    assert browsing.arrange(entries, list(range(4)), "") == [1, 2, 3, 0]


def test_the_list_is_sorted_by_what_is_read_and_rows_say_it(blender, stage):
    settings = stage[0].thunder
    for seed, heard in enumerate((0.9, 0.41, -1.0, 0.97, "x"), start=1):
        entry = enter(stage, seed=seed, score=90 - seed)
        keying.record_of(entry.action)["read"] = heard
    assert listed_seeds(blender) == [1, 2, 3, 4, 5]
    settings.sort = "READ"
    assert listed_seeds(blender) == [4, 1, 2, 3, 5], "what is not known comes last, by score"
    said = [findings.heard_in_a_word(grades.heard_of(each)) for each in settings.takes]
    assert said == ["90%", "little", "", "97%", ""]
    tooltips = [each.tooltip for each in settings.takes]
    assert (
        "Read by mesh-to-speech: little, 41% of what a mouth made for this voice gives"
        in tooltips[1]
    )
    assert "mesh-to-speech" not in tooltips[2]


def test_the_list_leaves_room_for_takes_that_arrive_and_says_why_it_is_empty(blender, stage):
    def drawn():
        layout = Measured()
        panel = Shown(blender.types.THUNDER_PT_takes, layout)
        panel.draw(Sidebar(blender.context, 900))
        column = next(
            each for each in layout.inside if hasattr(each, "inside") and each.kind == "column"
        )
        said = [leaf.words for part in column.inside for leaf in part.inside if leaf.words]
        return said, sum(part.set.get("scale_y", len(part.inside)) for part in column.inside)

    heights = []
    for seed in range(6):
        enter(stage, seed=seed, seconds=1.2)
        said, room = drawn()
        assert said == []
        heights.append(room + min(seed + 1, ROWS) * (1 + TALLER) + max(0, ROWS - seed - 1))
    assert max(heights) - min(heights) < 0.2
    other = add_head(blender, stage[0])[1].mesh
    stage[0].thunder.head = other
    said, room = drawn()
    assert " ".join(said) == "This head has no takes yet: press Generate Takes"
    assert abs(room + ROWS - heights[0]) < 0.2


def test_a_take_without_a_score_yet_comes_last_and_one_without_a_source_is_listed(blender, stage):
    enter(stage, seed=1, score=float("nan"))
    enter(stage, seed=2, score=40)
    take_record.remove_data(enter(stage, seed=3, score=30).action)
    assert listed_seeds(blender) == [2, 3, 1]


def test_the_list_is_of_the_chosen_head_and_voice(blender, stage, scene, rig, tmp_path):
    for seed, voice in ((1, "first"), (2, "second")):
        enter(stage, seed=seed, voice=voice)
    scene.thunder.source = "FILE"
    for voice, listed in (("second", [2]), ("first", [1]), ("neither", [1, 2])):
        path = tmp_path / f"{voice}.wav"
        path.write_bytes(b"RIFF")
        scene.thunder.sound_file = str(path)
        assert listed_seeds(blender) == listed
    scene.thunder.sound_file = ""
    assert listed_seeds(blender) == [1, 2]  # no voice: all there are
    other = add_head(blender, scene)
    enter(other, seed=3)
    for index in (0, 2):
        blender.ops.thunder.select_take(index=index)
    for mesh, listed, seed in (
        (rig.mesh, [1, 2], 1),
        (other[1].mesh, [3], 3),
        (rig.mesh, [1, 2], 1),
    ):
        scene.thunder.head = mesh
        assert listed_seeds(blender) == listed and shown(blender) == seed


# ---- going through it


def test_next_and_previous_follow_the_list_as_it_is_drawn(blender, stage):
    for seed, score in ((1, 10), (2, 90), (3, 50), (4, 70)):
        enter(stage, seed=seed, score=score)
    for step, seed in ((1, 2), (1, 4), (1, 3), (1, 1), (1, 2), (-1, 1)):
        blender.ops.thunder.select_take(step=step)
        assert shown(blender) == seed
    blender.ops.thunder.select_take(index=-1)
    blender.ops.thunder.select_take(step=-1)
    assert shown(blender) == 1


def test_flip_goes_back_and_forth(blender, stage):
    for seed in (1, 2, 3):
        enter(stage, seed=seed)
    with pytest.raises(RuntimeError, match="nothing to flip to"):
        blender.ops.thunder.flip_take()
    for chosen, flipped in ((0, [None, 1]), (2, [1, 3, 1])):
        blender.ops.thunder.select_take(index=chosen)
        for seed in flipped:
            blender.ops.thunder.flip_take()
            assert shown(blender) == seed
    blender.ops.thunder.delete_take(index=2)
    blender.ops.thunder.flip_take()
    assert shown(blender) is None  # what was shown before is gone: the animator's own animation


# ---- what becomes of a take


def test_a_duplicate_has_the_edits_and_leaves_the_original_alone(blender, stage, scene):
    def edit(entry, number, value):
        curve = next(c for c in compat.all_curves(entry.action) if len(c.keyframe_points) > 5)
        curve.keyframe_points[number].co[1] = value

    for seed in (7, 8):
        enter(stage, seed=seed)
    edit(scene.thunder.takes[0], 5, 0.777)
    scene.thunder.takes[0].note = "softer"
    before = keys(scene.thunder.takes[0])
    blender.ops.thunder.select_take(index=0)
    blender.ops.thunder.duplicate_take(index=0)
    original, copy, other = scene.thunder.takes
    assert (
        (original.seed, copy.seed, other.seed) == (7, 7, 8)
        and shown(blender) == 7
        and scene.thunder.active_take == 1
    )
    assert (
        copy.kind == "DUPLICATED"
        and copy.name == "Take 1.2"
        and copy.note == "softer"
        and copy.action != original.action
    )
    assert keys(copy) == before and take_record.is_edited(copy)
    assert (
        take_record.load(copy.action).motion.jaw == take_record.load(original.action).motion.jaw
    ).all()
    edit(copy, 9, 0.111)
    assert keys(original) == before
    blender.ops.thunder.duplicate_take(index=1)
    assert [entry.name for entry in scene.thunder.takes] == [
        "Take 1",
        "Take 1.2",
        "Take 1.2.2",
        "Take 2",
    ]
    scene.thunder.takes[0].name = "Warm smile"
    blender.ops.thunder.duplicate_take(index=0)
    assert scene.thunder.takes[1].name == "Warm smile 2"
    scene.thunder.takes[0].name = ""
    assert scene.thunder.takes[0].name == "Take 3"


def test_deleting_the_shown_take_shows_the_next_and_undo_brings_it_back(blender, stage, scene):
    for seed, score in ((1, 90), (2, 80), (3, 70)):
        enter(stage, seed=seed, score=score)
    blender.ops.thunder.select_take(index=1)
    blender.ops.ed.undo_push(message="before")
    actions = sorted(action.name for action in blender.data.actions)
    before = keys(scene.thunder.takes[1])
    blender.ops.thunder.delete_take()
    blender.ops.ed.undo_push(message="delete")
    assert listed_seeds(blender) == [1, 3] and shown(blender) == 3
    assert len(blender.data.actions) == len(actions) * 2 // 3
    blender.ops.ed.undo()
    assert sorted(action.name for action in blender.data.actions) == actions
    assert listed_seeds(blender) == [1, 2, 3] and shown(blender) == 2
    assert keys(blender.context.scene.thunder.takes[1]) == before


def test_an_action_that_something_else_uses_survives_the_last_take_and_the_head_is_given_back(
    blender, stage, scene, rig
):
    rig.keys.key_blocks["browInnerUp"].value = 0.4
    for seed in (1, 2):
        used = enter(stage, seed=seed).action
    name = used.name
    other = blender.data.objects.new("other", None)
    other.animation_data_create().nla_tracks.new().strips.new("used", 1, used)
    blender.ops.thunder.select_take(index=1)
    for _ in range(2):
        blender.ops.thunder.delete_take()
    assert {action.name for action in blender.data.actions} == {name} and not scene.thunder.takes
    assert rig.keys.key_blocks["browInnerUp"].value == pytest.approx(0.4)


def test_deleting_many_spares_what_the_animator_touched(blender, stage, scene):
    for seed in range(1, 7):
        enter(stage, seed=seed, score=100 - seed)
    entries = scene.thunder.takes
    entries[0].star = True
    entries[1].note = "calm"
    entries[2].name = "The one"
    compat.all_curves(entries[3].action)[0].keyframe_points[0].co[1] += 0.2
    blender.ops.thunder.select_take(index=5)
    blender.ops.thunder.delete_takes(which="UNSTARRED")
    assert [entry.seed for entry in scene.thunder.takes] == [1, 2, 3, 4] and shown(blender) is None


def test_takes_are_numbered_for_each_head_and_voice_and_keep_their_numbers(
    blender, stage, scene, rig
):
    for seed, voice in ((7, "one"), (8, "one"), (9, "two")):
        enter(stage, seed=seed, voice=voice)
    enter(add_head(blender, scene), seed=7, voice="one")
    assert [entry.name for entry in scene.thunder.takes] == ["Take 1", "Take 2", "Take 1", "Take 1"]
    scene.thunder.head = rig.mesh
    scene.thunder.takes[0].name = "Warm"
    assert enter(stage, seed=10, voice="one").name == "Take 3"
    assert [entry.name for entry in scene.thunder.takes][:3] == ["Warm", "Take 2", "Take 1"]


def test_takes_that_are_listed_again_keep_the_names_they_were_given(blender, stage, scene, rig):
    for seed in (1, 2, 3):
        enter(stage, seed=seed)
    entries = scene.thunder.takes
    entries[0].name = "Warm smile"
    for entry in (entries[1], entries[2]):
        take_list.name_action(entry, None)
    entries[2].action.name = "voice · seed 3"  # as an earlier version called it
    # before 4.4 a take has an action for each data-block, called after the first: not here
    actions = [entry.action for entry in entries]
    entries.clear()
    for action in actions:
        action.use_fake_user = False
    assert take_list.adopt(scene, rig) == 3
    assert all(action.use_fake_user for action in actions), "a purge or saving would lose them"
    names = {entry.seed: entry.name for entry in entries}
    assert names.keys() == {1, 2, 3} and names[1] == "Warm smile" and names[2] != names[3]
    assert all(names[seed].startswith("Take ") for seed in (2, 3))


def test_takes_their_marks_and_the_animators_own_action_survive_saving_and_undo(
    blender, stage, scene, rig, tmp_path
):
    rig.armature.pose.bones["jaw"].keyframe_insert("rotation_euler", frame=1)
    own = rig.armature.animation_data.action.name
    for seed in (1, 2):
        enter(stage, seed=seed)
    blender.ops.thunder.select_take(index=0)
    blender.ops.ed.undo_push(message="before")
    blender.ops.thunder.star_take(index=1)
    blender.ops.ed.undo_push(message="star")
    blender.ops.ed.undo()
    assert not blender.context.scene.thunder.takes[1].star
    blender.ops.ed.redo()
    settings = blender.context.scene.thunder
    settings.takes[1].note = "louder at the end"
    settings.takes[1].name, settings.sort, settings.active_take = "B", "TIME", 1

    def marks(settings):
        return (
            settings.sort,
            settings.active_take,
            [(entry.made, entry.star, entry.note, entry.name) for entry in settings.takes],
        )

    before = marks(settings)
    settings = reopen(blender, tmp_path).thunder
    assert marks(settings) == before and settings.takes[1].star
    blender.ops.thunder.select_take(index=-1)
    assert head.find(blender.context.scene).armature.animation_data.action.name == own


def test_takes_appended_with_their_actions_are_listed_for_the_head_that_is_there(
    blender, stage, scene, rig, tmp_path
):
    for seed in (1, 2):
        enter(stage, seed=seed, start=11.0)
    wanted = [action.name for entry in scene.thunder.takes for action in display.actions_of(entry)]
    before = [keys(entry) for entry in scene.thunder.takes]
    assert not blender.ops.thunder.adopt_takes.poll()
    load_into_empty(blender, tmp_path, actions=wanted)
    blender.ops.thunder.add_head()
    blender.ops.thunder.adopt_takes()
    entries = blender.context.scene.thunder.takes
    assert sorted(entry.seed for entry in entries) == [1, 2] and {
        entry.voice for entry in entries
    } == {"voice"}
    assert {(entry.first, entry.last) for entry in entries} == {(11, 85)}
    assert [keys(entry) for entry in sorted(entries, key=lambda entry: entry.seed)] == before
    blender.ops.thunder.select_take(index=0)
    blender.context.scene.frame_set(30)
    rig = head.find(blender.context.scene)
    assert rig.armature.pose.bones["jaw"].rotation_euler[0] == pytest.approx(0.2, abs=1e-4)
    assert not blender.ops.thunder.adopt_takes.poll()


# ---- which take is the shown one


def refused(blender, operator, **how):
    """What an operator that cannot be called says."""
    with pytest.raises(RuntimeError) as failed:
        getattr(blender.ops.thunder, operator)(**how)
    return str(failed.value)


def test_a_take_of_another_head_than_the_chosen_one_is_not_acted_on(blender, stage, scene, rig):
    enter(stage, seed=1)
    blender.ops.thunder.select_take(index=0)
    _, other = add_head(blender, scene)
    enter((scene, other), seed=2)
    scene.thunder.head = other.mesh
    assert take_list.shown_take(scene.thunder) is None and scene.thunder.active_take == -1
    actions = {action.name for action in blender.data.actions}
    for operator in (
        *("commit_take", "reset_shape", "add_closure", "keep_frames", "resample_rest", "add_cut"),
        *("delete_take", "star_take", "duplicate_take"),
    ):
        assert "No take is shown" in refused(blender, operator), operator
    assert not blender.ops.thunder.delete_take.poll()  # the buttons are grey
    assert {action.name for action in blender.data.actions} == actions
    assert [take_list.on_head(scene, each.mesh) for each in (rig, other)] == [
        scene.thunder.takes[0],
        None,
    ]
    note = importlib.import_module("thunder.panels.shown_take").THUNDER_PT_note
    assert not note.poll(blender.context)
    blender.ops.thunder.select_take(index=1)
    scene.thunder.head = None
    blender.context.view_layer.objects.active = None
    assert shown(blender) is None and "Several heads show a take" in refused(blender, "commit_take")
    blender.context.view_layer.objects.active = other.mesh
    assert shown(blender) == 2


def test_of_a_take_whose_strip_is_gone_that_is_said(blender, stage, scene, needs_sound, tmp_path):
    sound = write_wav(tmp_path / "line.wav", np.zeros(16000))
    for seed, voice in ((1, "first"), (2, "second")):
        enter(stage, seed=seed, voice=voice)
        strip.add(scene, sound, voice, 100 * seed)
    scene.thunder.source, scene.thunder.strip = "STRIP", "first"
    blender.ops.thunder.select_take(index=0)
    assert shown(blender) == 1
    strips = compat.strips(scene.sequence_editor)
    strips.remove(strips["first"])
    scene.thunder.strip = "second"
    assert shown(blender) is None
    assert "of “first”, which is not in the list: choose a take, that voice" in refused(
        blender, "commit_take"
    )


# ---- earlier takes stay, folded


@pytest.fixture
def voiced(voiced, client):
    """A head with a voice, and an engine that answers with made takes, three at a time."""
    voiced.thunder.count = 3
    return voiced


def generate(blender, *seeds):
    for seed in seeds:
        blender.context.scene.thunder.seed = seed
        assert blender.ops.thunder.generate() == {"FINISHED"}


def listed(blender):
    entries = blender.context.scene.thunder.takes
    return sorted(entries[place].seed for place in browsing.order(blender.context))


def entry_of(blender, seed):
    return next(entry for entry in blender.context.scene.thunder.takes if entry.seed == seed)


def show(blender, seed):
    entries = blender.context.scene.thunder.takes
    entries.id_data.thunder.active_take = next(
        place for place, entry in enumerate(entries) if entry.seed == seed
    )


@pytest.mark.one_blender
def test_a_new_batch_folds_the_earlier_takes_and_deletes_none(blender, voiced):
    generate(blender, 1, 11, 21)
    assert len(voiced.thunder.takes) == 9 and all(
        entry.action is not None for entry in voiced.thunder.takes
    )
    assert listed(blender) == [21, 22, 23]
    assert [len(batch) for batch in take_list.batches(blender.context)] == [3, 3, 3]
    names = [entry.name for entry in voiced.thunder.takes]
    assert len(set(names)) == 9 and len({entry.action.name for entry in voiced.thunder.takes}) == 9


@pytest.mark.one_blender
def test_the_panels_header_says_how_many_earlier_takes_there_are(blender, voiced):
    def said():
        panel = Shown(blender.types.THUNDER_PT_takes)
        panel.draw_header_preset(Context(blender.context))
        return [how["text"] for _, _, how in panel.layout.notes]

    generate(blender, 1)
    assert said() == []
    generate(blender, 11, 21)
    assert said() == ["6 Earlier Takes"]
    for batch in take_list.batches(blender.context)[1:]:
        blender.ops.thunder.fold_takes(batch=batch[0].batch)
    assert said() == ["Earlier Takes"] and len(listed(blender)) == 9


@pytest.mark.one_blender
def test_a_heading_unfolds_its_takes_and_undo_of_a_batch_that_of_the_one_before(blender, voiced):
    blender.context.preferences.edit.use_global_undo = True
    for seed in (1, 11):
        generate(blender, seed)
        blender.ops.ed.undo_push(message="a batch")
    blender.ops.ed.undo()
    assert listed(blender) == [1, 2, 3]
    blender.ops.ed.redo()
    assert listed(blender) == [11, 12, 13] and len(blender.context.scene.thunder.takes) == 6
    assert blender.ops.thunder.fold_takes(batch=entry_of(blender, 2).batch) == {
        "FINISHED"
    } and listed(blender) == [1, 2, 3, 11, 12, 13]
    blender.ops.thunder.fold_takes(batch=entry_of(blender, 11).batch)
    shown = take_list.shown_take(blender.context.scene.thunder).seed
    assert shown > 10 and listed(blender) == [1, 2, 3, shown], "the shown take is listed"


@pytest.mark.one_blender
def test_a_take_of_a_folded_batch_is_listed_while_it_is_shown_or_starred(blender, voiced):
    generate(blender, 1)
    show(blender, 2)
    rig = head.find(voiced)
    generate(blender, 11)
    assert listed(blender)[-3:] == [11, 12, 13]
    display.show(rig, entry_of(blender, 2))
    assert listed(blender) == [2, 11, 12, 13] and take_list.shown_take(voiced.thunder).seed == 2
    blender.ops.thunder.flip_take()
    assert listed(blender) == [11, 12, 13]
    for seed in (3, 12):
        entry_of(blender, seed).star = True
    voiced.thunder.only_starred = True
    assert listed(blender) == [3, 12]
    blender.ops.thunder.delete_takes(which="UNSTARRED")
    assert sorted(entry.seed for entry in voiced.thunder.takes) == [1, 2, 3, 12], (
        "what has no star, but for folded takes"
    )


@pytest.mark.one_blender
def test_clearing_spares_what_is_unfolded_newest_shown_or_touched(blender, voiced):
    generate(blender, 1, 11, 21, 31)
    entry_of(blender, 1).star = True
    entry_of(blender, 2).note = "softer"
    entry_of(blender, 11).name = "Warm"
    for seed in (23, 33):  # an earlier one unfolded, the newest one folded
        blender.ops.thunder.fold_takes(batch=entry_of(blender, seed).batch)
    display.show(head.find(voiced), entry_of(blender, 13))
    doomed = entry_of(blender, 12).action.name
    assert blender.ops.thunder.delete_takes(which="EARLIER") == {"FINISHED"}
    assert sorted(entry.seed for entry in voiced.thunder.takes) == [
        1,
        2,
        11,
        13,
        21,
        22,
        23,
        31,
        32,
        33,
    ]
    assert doomed not in blender.data.actions
    with pytest.raises(RuntimeError, match="No earlier take can be deleted"):
        blender.ops.thunder.delete_takes(which="EARLIER")


@pytest.mark.one_blender
def test_only_what_deletes_takes_that_are_not_listed_asks_before(blender, voiced):
    generate(blender, 1, 11)
    asked = []
    manager = SimpleNamespace(
        invoke_confirm=lambda operator, *_, **how: asked.append(operator.which)
    )
    for which in ("UNSTARRED", "EARLIER"):
        operator = SimpleNamespace(which=which, properties=None, description=lambda *_: "")
        with suppress(TypeError):  # what asks nothing goes on, which this stand-in cannot
            blender.types.THUNDER_OT_delete_takes.invoke(
                operator, Context(blender.context, window_manager=manager), None
            )
    assert asked == ["EARLIER"]


@pytest.mark.one_blender
def test_takes_of_earlier_versions_are_one_batch_and_unfolded(blender, voiced, tmp_path):
    generate(blender, 1)
    for entry in voiced.thunder.takes:
        for name in ("batch", "asked", "folded"):
            entry.property_unset(name)
    reopen(blender, tmp_path)
    assert listed(blender) == [1, 2, 3] and len(take_list.batches(blender.context)) == 1
    generate(blender, 11)
    assert listed(blender) == [11, 12, 13] and len(blender.context.scene.thunder.takes) == 6


# ---- small pictures of what takes do


def test_a_picture_shows_brows_mouth_and_head_where_they_move(blender):
    made = performance()
    motion, brow = made.motion, made.channels.index("browInnerUp")
    half = motion.frames // 2
    motion.expression[:] = 0.0
    motion.expression[half:, brow] = 0.5
    motion.head[:] = 0.0
    motion.head[: half // 2, 1] = np.radians(20.0)
    made.opening[:] = 0.0
    made.opening[-5:] = 30.0
    does = browsing.activity(made)
    image = browsing.picture(does, [does])
    assert (
        image.shape == (browsing.SIZE, browsing.TILES * browsing.SIZE, 4)
        and (image[:, :, 3] == 1.0).all()
    )
    width = image.shape[1]
    brows, mouth, head = (  # [columns] pixels of each column that have a colour
        (np.abs(image[:, :, :3] - np.float32(colour)).max(axis=2) < 1e-3).sum(axis=0)
        for colour in (browsing.BROW_COLOUR, browsing.MOUTH_COLOUR, browsing.HEAD_COLOUR)
    )
    assert (brows[width // 2 + 2 :] == 7).all() and not brows[: width // 2 - 2].any()
    assert mouth[-4:].min() == 16 and not mouth[:-16].any()
    assert (head[: width // 4 - 4] == 7).all() and not head[width // 4 + 4 :].any()


def test_every_take_has_tiles_of_its_own_that_stay(blender, stage):
    for seed in (1, 2):
        enter(stage, seed=seed)
    entries = list(stage[0].thunder.takes)
    one, other = (browsing.icons(entry) for entry in entries)
    # numbers that are all 0 where there is no window to draw them in
    assert len(one) == len(other) == browsing.TILES
    assert (
        browsing.icons(entries[0]) == one
        and len(browsing.thumbnails.collection) == 2 * browsing.TILES
    )
    tiles = [
        browsing.thumbnails.collection[f"{entries[0].action.session_uid}.{tile}"]
        for tile in range(browsing.TILES)
    ]
    whole = np.concatenate(
        [
            np.reshape(tile.icon_pixels_float[:], (browsing.SIZE, browsing.SIZE, 4))
            for tile in tiles
        ],
        axis=1,
    )
    does = [browsing.activity(take_record.load(entry.action)) for entry in entries]
    assert np.abs(whole - browsing.picture(does[0], does)).max() < 0.01
    take_record.remove_data(entries[1].action)
    browsing.drop_thumbnail(entries[1].action.session_uid)
    assert len(browsing.icons(entries[0])) == browsing.TILES and browsing.icons(entries[1]) == ()


def test_pictures_are_drawn_again_when_takes_of_the_line_come_and_go(blender, stage):
    for seed in (1, 2):
        enter(stage, seed=seed)
    entries, drawn = stage[0].thunder.takes, []
    for change in (
        None,
        lambda: enter(stage, seed=3),
        lambda: setattr(entries[2], "voice", "another"),
    ):
        if change is not None:
            change()
        browsing.icons(entries[0])
        line, icons = browsing.thumbnails.icons[entries[0].action.session_uid]
        drawn.append(len(line))
        assert len(icons) == browsing.TILES
    assert drawn == [2, 3, 2]
