# SPDX-License-Identifier: GPL-3.0-or-later
"""Whichever call fails during a bake or a commit: afterwards all of the old
or all of the new is there.

Blender's own saving is made to fail by the largest size of file that the system allows.
THUNDER_ALL_CALLS=1 (`make faults`) lets every single call fail where a usual run tries a sample.
"""

import contextlib
import os
import sys
from pathlib import Path
from unittest import mock

import pytest

# bake.py; failing_calls.py
sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "faults")]

from commit_stage import animate, everything
from failing_calls import FailingCalls, is_whole, sample
from performances import performance, show_take
from thunder.scene.animation import display, fcurves
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import CommitChoice
from thunder.thunder_core import errors, progress

pytestmark = pytest.mark.one_blender

ALL = bool(os.environ.get("THUNDER_ALL_CALLS"))
WRITES = [(compat, name) for name in ("new_action", "new_curve", "assign_action")]
WRITES += [(fcurves, "write")]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


# ---- a bake


@pytest.mark.slow
@pytest.mark.parametrize("earlier", [0, 3])
def test_whichever_call_of_a_bake_fails(baked, tmp_path, earlier):
    def bake_into(folder, takes=2):
        baked("--takes", takes, "--npz", "--out", folder)

    bakes = tmp_path / "bakes"
    folder = bakes / "count"
    if earlier:
        bake_into(folder, earlier)
    with FailingCalls(0, bakes) as calls:
        bake_into(folder)
    assert is_whole(folder, 2) and len(calls.calls) > 20
    old = 0
    for k in sample(len(calls.calls), None if ALL else 7):
        folder = bakes / f"out{k}"
        if earlier:
            bake_into(folder, earlier)
        before = contents(folder)
        with FailingCalls(k, bakes) as failing:
            try:
                bake_into(folder)
            except errors.ThunderError as error:
                assert "\n" not in str(error)
        assert failing.failed is not None
        after = contents(folder)
        old += after == before
        assert after == before or is_whole(folder, 2), (failing.failed, sorted(after))
        assert after or not folder.exists(), (failing.failed, "an empty folder was left")
    assert old
    bake_into(folder)  # the next one works
    assert is_whole(folder, 2)


# ---- a commit


def commit(rig, entry, to):
    choice = CommitChoice(entry.first, entry.last, to=to, error=0.0)
    progress.result(committing.commit(rig, entry, "Committed", choice))


def animation(blender):
    """What an animator would miss: the keys of every action, and what each data-block plays."""
    found = everything(blender)
    plays = {name: part[0] for kind in ("objects", "keys") for name, part in found[kind].items()}
    return [(action[0], action[4]) for action in found["actions"]], plays


@contextlib.contextmanager
def failing_writes(k):
    """Let the k-th call fail with which a commit writes Blender's data: new actions, curves, their
    keys, who plays them; yields the calls so far."""
    calls = []

    def failing(original):
        def call(*args, **options):
            calls.append(original)
            if len(calls) == k:
                raise MemoryError("made to fail")
            return original(*args, **options)

        return call

    with contextlib.ExitStack() as patches:
        for module, name in WRITES:
            patch = mock.patch.object(module, name, failing(getattr(module, name)))
            patches.enter_context(patch)
        yield calls


def strip_of_ones_own(blender, rig):
    """An NLA strip of the animator's that moves a channel of the take: a commit lays a strip of its
    own above it."""
    (action,), (curves,) = compat.new_action("Funnel", [rig.keys])
    curve = compat.new_curve(curves, 'key_blocks["mouthFunnel"].value', 0, "")
    for frame, value in ((1, 0.0), (30, 0.5), (60, 0.1)):
        curve.keyframe_points.insert(frame, value)
    rig.keys.animation_data.nla_tracks.new().strips.new("funnel", 1, action)


@pytest.mark.parametrize(
    "to, strips", [("COPY", False), ("NEW", False), ("STRIP", False), ("OWN", False), ("OWN", True)]
)
def test_whichever_write_of_a_commit_fails(stage, blender, tmp_path, to, strips):
    rig = stage[1]
    animate(rig)
    entry = show_take(stage, performance(seconds=1.0, closed_at=(0.4,)), 21.0)
    if strips:
        display.restore_animation(rig)
        strip_of_ones_own(blender, rig)
        display.show(rig, entry)
    file, name = str(tmp_path / "scene.blend"), rig.mesh.name
    blender.ops.wm.save_as_mainfile(filepath=file)
    before = animation(blender)
    with failing_writes(0) as writes:
        commit(rig, entry, to)
    assert len(writes) > 10
    for k in sample(len(writes), None if ALL else 5):
        blender.ops.wm.open_mainfile(filepath=file)
        scene = blender.context.scene
        with failing_writes(k), pytest.raises(MemoryError):
            commit(head.resolve(scene.objects[name]), scene.thunder.takes[0], to)
        assert animation(blender) == before, f"call {k} of {len(writes)}"
