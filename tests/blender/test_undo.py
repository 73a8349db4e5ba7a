# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo, redo and deletions between any two slices of long work: it goes on or ends with a sentence,
and nothing else of the animator's is lost; every operator that changes the file is a step of undo.

Every place at which a job waits between two slices is visited, so whoever holds data of Blender's
there sees it fail, or Blender crash."""

import random
from itertools import product
from types import SimpleNamespace

import bpy
import pytest
from deleting import DELETIONS
from drawing import Context, Layout, Shown
from extension import NAME
from performances import enter, noise
from played_engine import seeds
from sliced_work import ARE_CANCELLED, GO_ON, place_of, shot, shot_folder, to_new_place  # noqa: F401
from thunder.operators import base
from thunder.panels import tab
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.host import compat, jobs
from thunder.scene.host.jobs import session
from thunder.scene.media import grid
from thunder.scene.review import checking
from thunder.scene.takes import dialogue, keep, mix, transcript
from thunder.scene.takes.direction import sliders
from thunder.scene.voice import fingerprint, strip
from thunder.thunder_core import errors
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.findings import Finding, OPEN

pytestmark = pytest.mark.one_blender


def state(blender):
    """The takes, every action's keys and what the head plays."""
    scene = blender.context.scene
    return (
        [
            (entry.name, entry.voice, entry.seed, entry.first, entry.action.name, entry.head.name)
            for entry in scene.thunder.takes
        ],
        {
            action.name: (keying.checksum_of(action), action.users)
            for action in blender.data.actions
        },
        [
            target.animation_data and target.animation_data.action.name
            for target in head.find(scene).targets
        ],
        sorted(obj.name for obj in blender.data.objects),
        len(blender.data.scenes),
        [(record.voice, record.text, record.spoken) for record in scene.thunder_transcripts],
    )


def undo_and_redo(blender, redo):
    """Undo the animator's step, or do it again; it has happened, and nothing refers to an action
    that is gone."""
    (blender.ops.ed.redo if redo else blender.ops.ed.undo)()
    scene = blender.context.scene
    assert scene.frame_step == (3 if redo else 2)
    there = {action.as_pointer() for action in blender.data.actions}
    used = [target.animation_data.action for target in head.find(scene).targets] + [
        entry.action for entry in scene.thunder.takes
    ]
    assert {action.as_pointer() for action in used if action is not None} <= there


def widest(names):
    """Names of work; that whose slices “… all” has too is for the slow tests."""
    return [pytest.param(x, marks=[pytest.mark.slow] * (f"{x} all" in names)) for x in names]


@pytest.mark.parametrize("name", widest(ARE_CANCELLED))
def test_an_undo_between_any_two_slices_cancels_the_work_and_nothing_is_lost(
    shot, blender, client, name
):
    before, seen = state(blender), set()
    while True:
        job = jobs.begin(name, ARE_CANCELLED[name](blender, client))
        if not to_new_place(job, seen):
            break
        undo_and_redo(blender, redo=False)
        with pytest.raises(
            errors.CancelledByUndo,
            match=f"{name} was cancelled, because a step was undone: start it again",
        ):
            job.advance()
        jobs.end_job()
        assert state(blender) == before
        undo_and_redo(blender, redo=True)
        assert state(blender) == before
    assert len(seen) > 1


@pytest.mark.parametrize("name", widest(GO_ON))
def test_takes_go_on_arriving_whatever_is_undone_and_redone(shot, blender, client, name):
    before, seen, redo = state(blender)[0], set(), True
    job = jobs.begin(name, GO_ON[name](blender, client), survives_undo=True)
    undo_and_redo(blender, redo=False)
    while to_new_place(job, seen):
        undo_and_redo(blender, redo)
        redo = not redo
        assert job.undone is None
    jobs.end_job()
    scene = blender.context.scene
    wanted = {
        "generate": [("two", 2)],
        "generate all": [("one", 2), ("two", 2)],
        "keep": [("two", 2)],
        "perform as": [("one", 1)],
    }[name]
    made = [
        entry
        for entry in scene.thunder.takes
        if (entry.name, entry.voice) not in {(each[0], each[1]) for each in before}
    ]
    assert [
        (voice, sum(entry.voice == voice for entry in made)) for voice, _ in wanted
    ] == wanted, state(blender)[0]
    assert all(len(compat.all_curves(entry.action)) > 10 for entry in scene.thunder.takes)
    assert len(seen) > 10


def left_behind(blender, before):
    """Scenes, puppets and actions without use that work has left in the file."""
    data = blender.data
    unused = [
        action
        for action in data.actions
        if action.users <= action.use_fake_user and action.asset_data is None
    ]
    return [
        *(scene.name for scene in data.scenes if scene.name.startswith("Thunder")),
        *(obj.name for obj in data.objects if head.PUPPET_MARK in obj),
        *(action.name for action in unused if action.session_uid not in before),
    ]


@pytest.mark.parametrize("name", widest([*ARE_CANCELLED, *GO_ON]))
def test_what_is_deleted_between_any_two_slices_ends_in_a_sentence(shot, blender, client, name):
    """Purge Unused Data too, which nothing of the work falls victim to."""
    survives = name in GO_ON
    begin, seen, path = (ARE_CANCELLED | GO_ON)[name], set(), blender.data.filepath
    random.seed(name)
    todo = sorted(DELETIONS)
    while True:
        blender.ops.wm.open_mainfile(filepath=path)
        before = {action.session_uid for action in blender.data.actions}
        # at first before any slice: takes given to the work move in memory
        what = random.choice(todo) if seen else "more takes"
        job = jobs.begin(name, begin(blender, client), survives)
        try:
            while not job.over and (place := place_of(job.steps)) in seen:
                job.advance(0.0)
            if job.over:
                break
            seen.add(place)
            print(name, what, place[-1], flush=True)  # what a crash was caused by
            takes = blender.context.scene.thunder.takes
            before |= {entry.action.session_uid for entry in takes}
            DELETIONS[what](blender)
            while not job.advance(0.0):
                pass
        except errors.ThunderError as error:
            assert what != "purge", error
            assert ": " in str(error)
        jobs.end_job()
        if job.over:  # it stays as long as it plays
            grid.leave()
        assert not left_behind(blender, before), (what, place)
    assert len(seen) > 1


MODES = ["EDIT", "POSE rig"]
LIKE_THEM = ["SCULPT", "WEIGHT_PAINT", "VERTEX_PAINT", "TEXTURE_PAINT", "EDIT rig"]


@pytest.mark.parametrize(
    "mode", [*MODES, *(pytest.param(mode, marks=pytest.mark.slow) for mode in LIKE_THEM)]
)
def test_all_work_is_done_or_says_a_sentence_in_every_mode(shot, blender, client, mode):
    mode, _, of_rig = mode.partition(" ")
    rig, path = head.find(blender.context.scene), blender.data.filepath
    layer = blender.context.view_layer
    layer.objects.active = rig.armature if of_rig else rig.mesh
    for obj in layer.objects:
        obj.select_set(obj.type == layer.objects.active.type)  # several are edited at once
    blender.ops.object.mode_set(mode=mode)
    blender.ops.wm.save_as_mainfile(filepath=path)
    done = 0
    for name, begin in (ARE_CANCELLED | GO_ON).items():
        blender.ops.wm.open_mainfile(filepath=path)
        try:
            jobs.run_through(name, begin(blender, client))
            done += 1
        except errors.ThunderError as error:
            print(name, error)
        assert blender.context.mode.startswith(mode.partition("_")[2] or mode)
    assert done > 15


def test_an_edit_meanwhile_survives_the_undo_of_a_later_step(shot, blender, client):
    job = jobs.begin("generate", GO_ON["generate all"](blender, client), survives_undo=True)
    while len(blender.context.scene.thunder.takes) < 5:
        job.step = next(job.steps)
    scene = blender.context.scene
    scene.thunder.takes[0].star = True
    blender.ops.ed.undo_push(message="star")
    seed = scene.thunder.takes[0].seed
    scene.frame_step = 7
    blender.ops.ed.undo_push(message="another")
    blender.ops.ed.undo()
    scene = blender.context.scene
    assert (
        scene.frame_step == 3
        and scene.thunder.takes[0].star
        and scene.thunder.takes[0].seed == seed
    )
    while not job.advance(1.0):
        pass
    assert sum(entry.star for entry in blender.context.scene.thunder.takes) == 1


def test_preferences_are_as_they_were(shot, blender, client):
    preferences = blender.context.preferences
    before = preferences.view.show_developer_ui, preferences.experimental.use_undo_legacy
    jobs.begin("generate", GO_ON["keep"](blender, client), survives_undo=True).advance()
    blender.ops.ed.undo()
    assert (preferences.view.show_developer_ui, preferences.experimental.use_undo_legacy) == before


def test_another_file_ends_the_work(shot, blender, client):
    job = jobs.begin("Generating takes", GO_ON["generate all"](blender, client), survives_undo=True)
    while len(blender.context.scene.thunder.takes) < 5:
        job.step = next(job.steps)
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with pytest.raises(errors.CancelledByUndo, match="because another file was opened"):
        job.advance()
    assert not session.held and not seeds(blender.context.scene)


def classes(blender):
    def below(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    result = [
        cls
        for cls in below(blender.types.bpy_struct)
        if cls.__module__.startswith(NAME) and getattr(cls, "is_registered", False)
    ]
    assert len(result) > 60
    return result


def test_what_changes_the_file_can_be_undone(blender):
    """All but those that say why not: the work itself, the engine, the preferences, what is outside,
    the grid that is never kept."""
    allowed = {
        "cancel",
        "check_engine",
        "choose_microphone",
        "click_word",  # calls operators that are
        "delete_direction",
        "download_model",
        "export_performance",
        "install_engine",
        "install_kanji",
        "install_recogniser",
        "install_tracker",
        "play_grid",
        "remove_engine",
        "remove_kanji",
        "remove_recogniser",
        "remove_tracker",
        "save_direction",
        "save_manner",
        "save_mapping",
        "send_face",
        "stop_installation",
        "stop_recording",
    }
    checked = {
        cls.bl_idname.partition(".")[2]
        for cls in classes(blender)
        if issubclass(cls, blender.types.Operator)
        and not {"UNDO", "UNDO_GROUPED"} & set(cls.bl_options)
    }
    assert checked == allowed


def test_what_is_done_at_once_and_fails_is_cancelled_and_no_undo_step(blender):
    """Blender makes a step of what is finished."""
    told = []

    def act(context):
        raise errors.BadRequest("Nothing is chosen: choose something")

    operator = SimpleNamespace(bl_label="Refused", act=act, tell=lambda *of: told.append(of))
    assert base.InstantWork.execute(operator, blender.context) == {"CANCELLED"}
    assert told == [({"ERROR"}, "Nothing is chosen: choose something")]


# ---- what is drawn after a deletion


OF_CHARACTER = ("THUNDER_MT_mapping",)  # in a panel that our heads do not have


@pytest.fixture(scope="module")
def shot_file(head_file, tmp_path_factory):
    """A file of two heads in a dialogue with takes, one of them shown, and all that refers to
    takes: a mix with a cut, kept frames, findings, a transcript with a mark, a direction, a commit.
    Made once: its path."""
    if not strip.has_audio():
        pytest.skip("this Blender was built without sound")
    bpy.ops.wm.read_homefile(filepath=head_file)
    bpy.ops.thunder.add_head()
    scene, folder = bpy.context.scene, tmp_path_factory.mktemp("shot")
    scene.render.fps = 25
    for name, start, speaker in zip(("one", "two"), (1, 60), head.in_scene(scene)):
        strip.add(scene, noise(folder / f"{name}.wav", 1.0), name, start)
        dialogue.cast(scene, name, speaker)
    dialogue.select(bpy.context, "one")
    rig = head.resolve(head.in_scene(scene)[0])
    sliders.ensure(rig.owner)
    for seed in range(3):
        entry = enter((scene, rig), seconds=1.0, closed=(0.5,), seed=seed)
        entry.voice, entry.batch = "one", 1 + seed // 2
        voice = strip.of_strip(scene, strip.by_name(scene, "one"))
        fingerprint.remember(entry.action, voice.state)
        if not seed:
            bpy.ops.thunder.commit_take()
    takes = scene.thunder.takes
    scene.thunder_mix.mouth, scene.thunder_mix.eyes = takes[0].action, takes[1].action
    mix.add_cut(scene, 12, "ALL", takes[1])
    keep.add_range(scene, 5, 10)
    transcript.ensure(scene, "one").text = "one two"
    checking.show(scene, rig, "one", Clock(1.0, 25.0), [Finding(OPEN, 0.3, 0.4, 4.0, 1.0, "m")])
    takes[1].action.thunder_shape.jaw = 1.2
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return str(folder / "shot.blend")


@pytest.fixture
def drawn_shot(blender, shot_file, client):
    """That file, opened, and an engine that runs."""
    client.running = True
    blender.ops.wm.open_mainfile(filepath=shot_file)
    yield
    jobs.end_job()


def ours(kind):
    found, left = [], [kind]
    while left:
        left += (each := left.pop()).__subclasses__()
        if each.__module__.startswith(NAME) and getattr(each, "is_registered", False):
            found.append(each)
    return found


def draw_all(blender):
    """Every panel, menu, list and header of the add-on; the number of them."""
    space = SimpleNamespace(view_type="SEQUENCER", type="SEQUENCE_EDITOR")
    context, types, count = Context(blender.context, space_data=space), blender.types, 0
    for part, cls in product(tab.PARTS, (*ours(types.Panel), *ours(types.Menu))):
        blender.context.window_manager.thunder_part = part[0]
        if cls.__name__ not in OF_CHARACTER and getattr(cls, "poll", lambda _: True)(context):
            for part in ("draw_header", "draw_header_preset", "draw"):
                if part in vars(cls) or part == "draw":
                    getattr(Shown(cls), part)(context)
                    count += 1
    scene = blender.context.scene
    for cls, owner, name in (
        (types.THUNDER_UL_takes, scene.thunder, "takes"),
        (types.THUNDER_UL_cuts, scene.thunder_mix, "cuts"),
        (types.THUNDER_UL_kept, scene.thunder_keep, "ranges"),
        (types.THUNDER_UL_findings, scene.thunder_check, "findings"),
    ):
        shown = Shown(cls)
        if "filter_items" in vars(cls):
            shown.bitflag_filter_item, shown.filter_name = 1, ""
            shown.filter_items(context, owner, name)
        for index, item in enumerate(getattr(owner, name)):
            given = context, Layout(), owner, item, 0, owner, "", index
            shown.draw_item(*given[: cls.draw_item.__code__.co_argcount - 1])
            count += 1
    return count


@pytest.mark.parametrize("what", DELETIONS)
def test_everything_is_drawn_whatever_was_deleted(blender, drawn_shot, what):
    assert draw_all(blender) > 40
    DELETIONS[what](blender)
    draw_all(blender)
    for part in jobs.session.parts:
        if isinstance(part, jobs.Task):
            part.step()
    draw_all(blender)
