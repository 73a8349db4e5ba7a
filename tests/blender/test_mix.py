# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes are mixed by parts of the face and by cuts over time; what is one take's alone is that
take's own keys."""

import numpy as np
import pytest
from speaking import enter, keys_of, same, tracks, values_of
from thunder.scene.takes import provenance, track_values
from thunder.scene.takes.shape.stored import is_shaped


@pytest.fixture
def entries(stage, scene, rig):
    """A list of three takes, the first of them shown; the second is at another place in the
    list."""
    for seed in range(3):
        enter(stage, seed=seed, closed=((0.6, 1.3, 2.4), (0.9, 1.3, 2.9), (1.3, 2.0))[seed])
    scene.thunder.active_take = 0
    return scene.thunder.takes


def choose(blender, entries, **parts):
    for part, index in parts.items():
        blender.ops.thunder.choose_part(part=part, take=entries[index].action.name)


def test_each_part_is_of_the_take_that_was_chosen(blender, entries, scene, rig):
    before = [keys_of(rig, entry) for entry in entries]
    choose(blender, entries, mouth=0, upper_face=1, eyes=2, head=1)
    assert blender.ops.thunder.mix_takes() == {"FINISHED"}
    assert len(entries) == 4 and scene.thunder.active_take == 3
    made = entries[3]
    assert (
        made.kind == "MIXED"
        and made.name == "Mix"
        and made.head == rig.mesh
        and made.voice == "voice"
    )
    assert dict(made.action["thunder"]["mixed"]) == {
        "mouth": "Take 1",
        "upper_face": "Take 2",
        "eyes": "Take 3",
        "head": "Take 2",
    }
    now = keys_of(rig, made)
    for names, of in (
        (("mouthSmile", "mouthClose", "mouthPucker", '"jaw"'), 0),
        (("browInnerUp", "browDown", '"neck"'), 1),
        (("eyeBlink", "eye_left", "eye_right"), 2),
    ):
        for place in tracks(rig, *names):
            assert same([now[place]], [before[of][place]]), rig.driver.tracks[place].path
    sneer = tracks(rig, "noseSneerLeft")[0]
    frames = np.arange(made.first, made.last + 1)
    parts = [values_of(rig, entries[i], frames)[:, sneer] for i in (0, 1)]
    mixed = values_of(rig, made, frames)[:, sneer]
    assert ((mixed >= np.minimum(*parts) - 1e-6) & (mixed <= np.maximum(*parts) + 1e-6)).all()
    assert not same([now[sneer]], [before[0][sneer]]) and not same([now[sneer]], [before[1][sneer]])
    # The takes it is made of are as they were.
    assert all(same(keys, keys_of(rig, entry)) for keys, entry in zip(before, entries))
    # A take like any other: its source says what its keys say.
    source = provenance.load(made.action)
    assert not provenance.is_edited(made)
    brow = source.channels.index("browInnerUp")
    brows = provenance.load(entries[1].action).motion.expression[:, brow]
    assert np.abs(source.motion.expression[:, brow] - brows)[2:-2].max() < 0.02


def test_a_cut_goes_from_take_to_take(blender, entries, scene, rig):
    before = [keys_of(rig, entry) for entry in entries]
    choose(blender, entries, mouth=0, upper_face=0, eyes=0, head=0)
    for frame, index in ((40, 1), (70, 2)):
        scene.thunder.active_take = index
        scene.frame_set(frame)
        assert blender.ops.thunder.add_cut(part="ALL") == {"FINISHED"}
    assert blender.ops.thunder.mix_takes() == {"FINISHED"}
    now = keys_of(rig, entries[3])
    jaw = next(p for p in tracks(rig, '"jaw"') if rig.driver.tracks[p].index == 0)
    for place in (jaw, *tracks(rig, "browInnerUp", "mouthSmileLeft")):
        for of, first, last in ((0, 1, 37), (1, 43, 67), (2, 73, 97)):
            inside = (now[place]["co"][:, 0] >= first) & (now[place]["co"][:, 0] <= last)
            was = before[of][place]["co"]
            assert (
                now[place]["co"][inside] == was[(was[:, 0] >= first) & (was[:, 0] <= last)]
            ).all()
    # Over the fade the curve goes from one to the other without a step.
    brow = tracks(rig, "browInnerUp")[0]
    frames = np.arange(36, 46)
    mixed = values_of(rig, entries[3], frames)[:, brow]
    ends = [values_of(rig, entries[i], frames)[:, brow] for i in (0, 1)]
    assert ((mixed >= np.minimum(*ends) - 1e-6) & (mixed <= np.maximum(*ends) + 1e-6)).all()
    assert np.abs(np.diff(mixed)).max() < 0.6 * np.abs(ends[1][5] - ends[0][4]) + 0.05


def test_a_shaped_and_edited_take_is_mixed_as_it_is_seen(blender, entries, scene, rig):
    scene.thunder.active_take = 1
    entries[1].action.thunder_shape.upper_face = 2.0
    brow = tracks(rig, "browInnerUp")[0]
    curve = track_values.curves(rig, entries[1])[brow]
    curve.keyframe_points[50].co[1] = 0.99
    curve.update()
    choose(blender, entries, mouth=0, upper_face=1, eyes=0, head=0)
    blender.ops.thunder.mix_takes()
    mixed, seen = keys_of(rig, entries[3])[brow], keys_of(rig, entries[1])[brow]
    handles = ("handle_left", "handle_right")
    assert all(np.array_equal(mixed[part], seen[part]) for part in seen if part not in handles)
    assert all(np.abs(mixed[part] - seen[part]).max() <= 2**-13 for part in handles), (
        "rounded in takes, exact where they were edited"
    )
    assert not is_shaped(entries[3].action)
