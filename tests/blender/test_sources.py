# SPDX-License-Identifier: GPL-3.0-or-later
"""A take carries what it was keyed from, through saving, copying and edits."""

import json
import time

import numpy as np
import pytest
import speaking
from performances import list_take, performance
from thunder.scene.animation import display
from thunder.scene.heads import head_state
from thunder.scene.host import compat
from thunder.scene.takes import take_list, take_record
from thunder.scene.takes.shape import applying
from thunder.scene.voice import changes, fingerprint
from thunder.thunder_core import progress, records
from thunder.thunder_core.animation import timing
from thunder.thunder_core.errors import BadRequest
from thunder.thunder_core.face.lips import opening_mm

pytestmark = pytest.mark.one_blender

PARTS = ("expression", "jaw", "head", "eyes")


def enter(stage, start=1.0, **how):
    made = performance(**how)
    return made, list_take(stage, made, start)


def same(a, b, tolerance=0.0):
    return all(np.abs(getattr(a, part) - getattr(b, part)).max() <= tolerance for part in PARTS)


def test_a_take_gives_back_what_was_sampled(blender, stage):
    made, entry = enter(stage, start=3.25)
    loaded = take_record.load(entry.action)
    assert (
        same(loaded.motion, made.motion)
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


def test_an_edited_take_is_read_from_its_keys_without_being_shown(blender, stage, scene, rig):
    made, entry = enter(stage, start=5.0, closed_at=())
    assert same(progress.result(take_record.read(rig, entry)).motion, made.motion)
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


def test_a_take_without_a_source_is_read_from_its_keys(blender, stage, rig):
    made, entry = enter(stage, start=5.0, closed_at=())
    take_record.remove_data(entry.action)
    assert take_record.load(entry.action) is None and take_record.clock_of(entry.action) is None
    read = progress.result(take_record.read(rig, entry))
    assert abs(read.motion.frames - made.motion.frames) <= 1
    inside = slice(2, made.motion.frames - 2)
    assert np.abs(read.motion.expression[inside] - made.motion.expression[inside]).max() < 5e-3


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
    entry = speaking.enter(stage, seconds=2.0, closed=(1.0,))
    fingerprint.remember(entry.action, fingerprint.State("voice", "", "0", "", 1.0, 1, 49, 24.0))
    entry.action.thunder_shape.jaw = 1.5
    return *stage, entry


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


def test_records_of_a_later_version_are_left_alone(own):
    scene, rig, entry = own
    later, action = records.VERSION + 1, entry.action
    keys = speaking.keys_of(rig, entry)
    action["thunder_shaped"]["version"] = action["thunder_source"]["version"] = later
    action["thunder_strip"] = json.dumps(
        {**json.loads(action["thunder_strip"]), "version": later, "more": "unknown"}
    )
    assert take_record.load(action) is None and take_record.clock_of(action) is None
    assert fingerprint.state_of(action) is None and changes.stale_takes(scene) == []
    with pytest.raises(BadRequest, match="later version of Thunder"):
        applying.follow(entry)
    assert (
        speaking.same(keys, speaking.keys_of(rig, entry))
        and action["thunder_shaped"]["version"] == later
    )
