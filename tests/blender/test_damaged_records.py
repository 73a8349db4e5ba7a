# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on stores in a .blend may be changed by anybody: panels and operators ignore it
then, or say a sentence; and a take carries what it was keyed from, through saving, copying and edits."""

import json
import time

import bpy
import numpy as np
import pytest
from drawing import draw
from performances import enter, keys_of, list_take, noise, performance, reopen, same
from thunder.scene.animation import display
from thunder.scene.heads import head, head_state, mapping_table, new_shapes
from thunder.scene.host import compat, jobs
from thunder.scene.host.jobs import session
from thunder.scene.takes import grades, take_list, take_record, voice_fit
from thunder.scene.takes.shape import applying
from thunder.scene.voice import changes, fingerprint, strip
from thunder.thunder_core import progress, records
from thunder.thunder_core.animation import timing
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.direction_words import words_of_take
from thunder.thunder_core.errors import BadRequest, ThunderError
from thunder.thunder_core.face.moving.lips import opening_mm

HUGE = "9" * 5000
VALUES = [
    "", "{", "[" * 5000, "\x01", "null", "[]", "5", f"[{HUGE}]", '{"version": 1}', 5, -1, 1.5,
    float("nan"), True,
    [], [1, 2], [0.5] * 7, {}, {"version": 1}, {"checksum": [1]}, {"findings": 5, "parts": "x"},
    *({"parts": {"size": "x"}, "findings": json.dumps([each]), "scored_keys": 1} for each in (
        {"kind": 5, "start": "x", "end": [], "size": None, "weight": 1},
        {"kind": "open", "start": float("nan"), "end": 1e999, "size": "x", "weight": 1},
        {"kind": "still", "start": 0, "end": 1, "size": 1, "weight": "x", "whole": True},
    )),
]  # fmt: skip
OF_TAKES = (
    "thunder",
    "thunder_source",
    "thunder_drift",
    "thunder_look",
    "thunder_shaped",
    "thunder_strip",
    "thunder_live",
)
OF_COMMITS = ("thunder_lines", "thunder_keys", "thunder_line_scores", "thunder_as_committed")
OPERATORS = ("commit_take", "reset_shape", "adopt_takes")


def panels(blender):
    ours = [each for each in blender.types.Panel.__subclasses__() if ".thunder." in each.__module__]
    return [
        each
        for each in ours
        if each.bl_space_type in ("VIEW_3D", "PROPERTIES")
        and getattr(each, "poll", lambda _: True)(blender.context)
    ]


def use_all(blender, scene, rig, entry, operators=False):
    """Read a take and its head in every way; each is done or ends in a sentence."""
    action = entry.action
    target = rig.targets[0].animation_data.action if rig.targets[0].animation_data else None
    uses = [
        lambda: (grades._grades.known.clear(), grades.of_take(entry),
        take_record.is_outdated(entry), grades.parts_of(entry)),
        *(lambda cls=cls: draw(cls, blender.context) for cls in panels(blender)),
        lambda: (take_record.load(action), take_record.is_edited(entry), take_record.sync_of(action),
        take_record.of_mouth(action)),
        lambda: list(take_record.read(rig, entry)),
        lambda: (changes.stale_takes(scene), changes.change(scene, entry),
        voice_fit.needs_engine(scene)),
        lambda: applying.follow(entry),
        lambda: take_record.request_of(take_record.about_of(action), scene.thunder),
        lambda: words_of_take(take_record.about_of(action)),
        lambda: [
            (line_records.lines_of(each), line_records.keys_of(each),
            line_records.score_of(each, "voice")) for each in (action, target)
        ],
        lambda: mapping_table.end_all(),
        lambda: (display.restore_animation(rig), display.show(rig, entry)),
    ]  # fmt: skip
    for use in uses:
        try:
            use()
        except ThunderError as error:
            assert "Traceback" not in str(error) and len(str(error)) < 400
    for name in OPERATORS if operators else ():
        try:
            getattr(blender.ops.thunder, name)()
        except RuntimeError as error:  # how an operator's sentence arrives here
            assert "Traceback" not in str(error), str(error)


@pytest.fixture
def entry(stage, scene, rig):
    """A shaped take with a voice, committed once: its entry."""
    entry = enter(stage, seconds=1.0, closed=(0.5,))
    fingerprint.remember(entry.action, fingerprint.State("voice", "", "0", "", 1.0, 1, 25, 24.0))
    entry.action.thunder_shape.jaw = 1.5
    return entry


def put(action, name, value):
    """Store a value where Blender can; whether it could."""
    try:
        action[name] = value
        return True
    except (TypeError, ValueError, OverflowError):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TAKES)
def test_a_damaged_record_of_a_take_is_ignored_or_said(blender, entry, scene, rig, name):
    for value in VALUES:
        if put(entry.action, name, value):
            use_all(blender, scene, rig, entry)
    entry.action[name] = {"version": 1, "prints": "x"}
    use_all(blender, scene, rig, entry, operators=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_COMMITS)
def test_a_damaged_record_of_a_commit_is_ignored(blender, entry, scene, rig, name):
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    action = rig.targets[0].animation_data.action
    records = [
        {"version": 1, "base": 5, "lines": each}
        for each in (5, [[]], [["a", *[10**4000] * 4]], {"a": [10**400, {}]}, {"a": [0, {"x": 5}]})
    ]
    for value in [
        *VALUES,
        *map(json.dumps, records),
        {"version": 1, "lines": {"voice": {"take": "x", "share": [1]}}},
    ]:
        if put(action, name, value):
            use_all(blender, scene, rig, entry)
    action[name] = json.dumps(records[-1])
    use_all(blender, scene, rig, entry, operators=True)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["own_state", "preview_kept", "mapping"])
def test_a_damaged_record_of_a_head_is_ignored_or_said(blender, entry, scene, rig, place):
    holder = scene.thunder if place == "preview_kept" else head_state.ensure(rig.owner)
    count = len(rig.targets)
    states = [
        {"targets": [state] * count}
        for state in ({"values": [1]}, {"action_influence": HUGE, "values": [["x"] * 3]})
    ]
    for value in [
        "",
        "{",
        "[" * 5000,
        "5",
        "[]",
        f"[{HUGE}]",
        '{"head": "x"}',
        '{"head": [1], "values": 7}',
        *map(json.dumps, states),
    ]:
        setattr(holder, place, value)
        use_all(blender, scene, rig, entry)
    setattr(holder, place, json.dumps(states[-1]))
    use_all(blender, scene, rig, entry, operators=True)


@pytest.mark.parametrize("value", ["{", "[" * 5000, 5, {"version": 1, "checksum": 5, "lines": "x"}])
def test_where_all_records_are_damaged_everything_is_ignored_or_said(
    blender, entry, scene, rig, value
):
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    for name in OF_TAKES:
        entry.action[name] = value
    for name in OF_COMMITS:
        rig.targets[0].animation_data.action[name] = value
    head_state.ensure(rig.owner).own_state = scene.thunder.preview_kept = (
        value if isinstance(value, str) else json.dumps(value)
    )
    use_all(blender, scene, rig, entry, operators=value == 5)


# ---- what a take was keyed from


PARTS = ("expression", "jaw", "head", "eyes")


def keyed(stage, start=1.0, **how):
    made = performance(**how)
    return made, list_take(stage, made, start)


def alike(a, b, tolerance=0.0):
    return all(np.abs(getattr(a, part) - getattr(b, part)).max() <= tolerance for part in PARTS)


@pytest.mark.one_blender
def test_a_take_gives_back_what_was_sampled(blender, stage):
    made, entry = keyed(stage, start=3.25)
    loaded = take_record.load(entry.action)
    assert (
        alike(loaded.motion, made.motion)
        and loaded.channels == made.channels
        and loaded.motion.fps == 25
    )
    assert (
        (loaded.opening == made.opening).all()
        and (loaded.width == made.width).all()
        and loaded.sync_per_frame is None
    )
    assert (loaded.seed, loaded.score, loaded.provenance) == (
        made.seed,
        made.score,
        made.provenance,
    )
    assert take_record.clock_of(entry.action) == timing.Clock(3.25, 24.0)
    assert (
        entry.kind == "SAMPLED"
        and abs(entry.made - time.time()) < 60
        and not take_record.is_edited(entry)
    )


@pytest.mark.one_blender
def test_an_edited_take_is_read_from_its_keys_without_being_shown(blender, stage, scene, rig):
    made, entry = keyed(stage, start=5.0, closed_at=())
    assert alike(progress.result(take_record.read(rig, entry)).motion, made.motion)
    action, slot = display.part_of(display.actions_of(entry), rig, 1)
    brow = next(c for c in compat.curves_of(action, slot) if "browInnerUp" in c.data_path)
    values = np.empty(2 * len(brow.keyframe_points), np.float32)
    brow.keyframe_points.foreach_get("co", values)
    values[1::2] = 0.125
    brow.keyframe_points.foreach_set("co", values)
    brow.update()
    assert take_record.is_edited(entry)
    pieces = []
    now = progress.result(progress.map_progress(take_record.read(rig, entry), pieces.append))
    column = made.channels.index("browInnerUp")
    assert now.motion.expression[:, column] == pytest.approx(0.125, abs=1e-5)
    others = [i for i in range(len(made.channels)) if i != column]
    assert np.abs(now.motion.expression - made.motion.expression)[2:-2, others].max() < 5e-3
    assert now.motion.frames == made.motion.frames and now.sync_per_frame is None
    assert now.opening == pytest.approx(opening_mm(now.motion))
    # in pieces; the head was left alone
    assert len(pieces) > 40 and scene.thunder.active_take == -1


@pytest.mark.one_blender
def test_a_take_without_a_source_is_read_from_its_keys(blender, stage, rig):
    made, entry = keyed(stage, start=5.0, closed_at=())
    take_record.remove_data(entry.action)
    assert take_record.load(entry.action) is None and take_record.clock_of(entry.action) is None
    read = progress.result(take_record.read(rig, entry))
    assert abs(read.motion.frames - made.motion.frames) <= 1
    inside = slice(2, made.motion.frames - 2)
    assert np.abs(read.motion.expression[inside] - made.motion.expression[inside]).max() < 5e-3


@pytest.mark.one_blender
@pytest.mark.parametrize(
    "name, value",
    [
        ("version", 99),
        ("channels", None),
        ("channels", "a\nb"),
        ("frames", 0),
        ("frames", 10**6),
        ("fps", 0.0),
        ("start", float("nan")),
        ("jaw", None),
        ("opening", [0.5] * 60),
    ],
)
def test_a_record_that_does_not_fit_together_is_no_performance(blender, name, value):
    action = blender.data.actions.new("damaged")
    made = performance(seconds=0.4, closed_at=())
    take_record.store(action, made, timing.Clock(1.0, 24.0), "line")
    assert take_record.load(action) is not None
    assert take_list.unlisted_actions(blender.context.scene) == [action]
    if value is None:
        action[take_record.SOURCE].pop(name)
    else:
        action[take_record.SOURCE][name] = value
    assert take_record.load(action) is take_record.clock_of(action) is None
    assert take_record.opening_of(action) is None
    assert take_list.unlisted_actions(blender.context.scene) == []


# ---- records and their version


def stored(rig, action):
    """Every record of a shaped take and its head, by name, as a dict."""
    return {
        "provenance": action["thunder"].to_dict(),
        "source": action["thunder_source"].to_dict(),
        "shape": action["thunder_shaped"].to_dict(),
        "voice": json.loads(action["thunder_strip"]),
        "own": json.loads(head_state.of(rig.owner).own_state),
    }


@pytest.fixture
def own(stage):
    """A shaped and remembered take on our head: (scene, rig, entry)."""
    entry = enter(stage, seconds=2.0, closed=(1.0,))
    fingerprint.remember(entry.action, fingerprint.State("voice", "", "0", "", 1.0, 1, 49, 24.0))
    entry.action.thunder_shape.jaw = 1.5
    return *stage, entry


@pytest.mark.one_blender
def test_every_record_carries_the_version(blender, own):
    scene, rig, entry = own
    assert {
        name: record.get("version") for name, record in stored(rig, entry.action).items()
    } == dict.fromkeys(("provenance", "source", "shape", "voice", "own"), records.VERSION)
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    committed = [action for action in blender.data.actions if "thunder_lines" in action]
    assert committed and all(
        json.loads(action["thunder_lines"])["version"] == records.VERSION for action in committed
    )
    assert "version" not in take_record.load(entry.action).provenance


@pytest.mark.one_blender
def test_records_of_a_later_version_are_left_alone(own):
    scene, rig, entry = own
    later, action = records.VERSION + 1, entry.action
    keys = keys_of(rig, entry)
    action["thunder_shaped"]["version"] = action["thunder_source"]["version"] = later
    action["thunder_strip"] = json.dumps(
        {**json.loads(action["thunder_strip"]), "version": later, "more": "unknown"}
    )
    assert take_record.load(action) is None and take_record.clock_of(action) is None
    assert fingerprint.state_of(action) is None and changes.stale_takes(scene) == []
    with pytest.raises(BadRequest, match="later version of Thunder"):
        applying.follow(entry)
    assert same(keys, keys_of(rig, entry)) and action["thunder_shaped"]["version"] == later


def test_a_choice_that_is_not_known_becomes_the_usual_one_and_is_said(blender, stage, tmp_path):
    """As of a later version; a take's and a commit's too."""
    scene = stage[0]
    enter(stage, seconds=1.0, closed=(0.5,))
    groups = scene.thunder, scene.thunder.commit, scene.thunder.takes[0], scene.thunder.heads[0]
    for group, name in zip(groups, ("quality", "keys", "kind", "role")):
        group[name] = 77
        assert getattr(group, name) == ""
    scene.thunder.heads[0].direction["look_at"] = 77
    settings = reopen(blender, tmp_path).thunder
    assert settings.quality == "NORMAL" and settings.commit.keys == "POSES"
    assert settings.takes[0].kind == "SAMPLED" and settings.heads[0].direction.look_at == "NONE"
    assert session.note.startswith("This version does not know what the file chose as ")
    assert "“Look At”" in session.note and "“Keys”" in session.note
    reopen(blender, tmp_path)
    assert session.note == ""


# ---- what others than takes and commits carry


ODD = [
    "", "{", "null", "5", 5, -1, 10**9, float("nan"), True, [], [1, 2], [1.5] * 15, [1e30] * 15,
    [1, 250, 40, 1, 2, 3], {}, {"version": 1}, '["Thunder Head", ["x"]]', '[["a"], [1e999]]',
    '{"jawOpen": "x"}', '["jawOpen", 5, ["x"]]',
]  # fmt: skip
ACTS = ("make_shapes", "light_scene", "remove_stage", "fit_flame_bones", "loop_word", "send_face")


def holders(scene, rig):
    """What may carry a property of ours, and its name."""
    dots = [obj for obj in scene.objects if obj.type == "EMPTY"]
    yield from ((scene, name) for name in ("thunder_live", "thunder_looped", "thunder_stage"))
    yield from ((rig.mesh.data, name) for name in (new_shapes.MADE, new_shapes.TORN))
    yield from ((dot, new_shapes.DOTS) for dot in dots)
    yield from ((rig.armature, f"thunder_{name}") for name in ("flame", "joints", "joint_shifts"))
    for group in scene.collection.children:
        for name in ("stage", "camera", "preview_range"):
            yield group, f"thunder_{name}"
    yield from ((each, "thunder_channel") for each in strip.sound_strips(scene))
    for action in bpy.data.actions:
        for name in ("live", "live_copy", "target", "as_committed"):
            yield action, f"thunder_{name}"


@pytest.fixture(scope="module")
def full_file(head_file, tmp_path_factory):
    """A file with a head, dots on it, lights, a strip and a take: its path."""
    bpy.ops.wm.read_homefile(filepath=head_file)
    scene, folder = bpy.context.scene, tmp_path_factory.mktemp("full")
    rig = head.find(scene)
    enter((scene, rig), seconds=1.0, closed=(0.5,))
    root = bpy.data.objects.new("Dots", None)
    dot = bpy.data.objects.new("Chin", None)
    for each, parent in ((root, rig.mesh), (dot, root)):
        scene.collection.objects.link(each)
        each.parent, each[new_shapes.DOTS] = parent, 1
    if strip.has_audio():
        strip.add(scene, noise(folder / "a.wav"), "line", 1)
    bpy.ops.thunder.light_scene()
    bpy.context.view_layer.objects.active = dot
    path = str(folder / "full.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


@pytest.mark.parametrize("value", ODD, ids=[str(each)[:30] for each in ODD])
def test_a_file_of_a_stranger_is_opened_drawn_and_worked_on(
    blender, full_file, tmp_path, capfd, value
):
    """Whatever the properties hold that are called like ours: done, or a sentence."""
    blender.ops.wm.open_mainfile(filepath=full_file)
    scene = blender.context.scene
    for holder, name in list(holders(scene, head.find(scene))):
        put(holder, name, value)
    path = str(tmp_path / "odd.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    capfd.readouterr()
    blender.ops.wm.open_mainfile(filepath=path)  # raises where a handler does

    def look():
        for cls in panels(blender):
            draw(cls, blender.context)
        for part in session.parts:
            if isinstance(part, jobs.Task) and part.due is not None:
                part.step()

    look()
    for name in ACTS:
        try:
            getattr(blender.ops.thunder, name)()
        except RuntimeError as error:  # how an operator's sentence arrives here
            assert "Traceback" not in str(error) and "Unexpected" not in str(error), str(error)
    look()
    jobs.end_job()
    output, complaints = capfd.readouterr()
    assert "Traceback" not in output + complaints, complaints
