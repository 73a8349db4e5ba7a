# SPDX-License-Identifier: GPL-3.0-or-later
"""A file saved with an earlier bundled head goes on playing: its mesh and its takes are its own.

The fixture is a Blender 4.2 file with the head as it was in November 2026 (coordinates rounded to 8
µm, so that the file is small) and two takes of 1.5 s at 24 fps, seeds 7 and 8, whose jaw is 0.2 rad
open but for one closure, at 0.5 s and 1.0 s.
"""

import pytest
from thunder.scene.animation import display
from thunder.scene.heads import head

UPPER_LIP, LOWER_LIP = 4748, 4768  # the inner lips' middles, by the old head's numbers
KEYS = 45  # channels and the jaw's corrective, as saved


@pytest.fixture
def stage(open_saved):
    """The file opened: (scene, rig)."""
    return open_saved("head_of_2026_11")


def gap_mm(blender, scene, rig, frame):
    scene.frame_set(frame)
    mesh = rig.mesh.evaluated_get(blender.context.evaluated_depsgraph_get()).data
    return 1e3 * (mesh.vertices[UPPER_LIP].co - mesh.vertices[LOWER_LIP].co).length


def test_saved_takes_play_and_can_be_switched(blender, stage, scene, rig):
    assert (
        rig.armature is not None
        and rig.channels == head.channel_names()
        and len(rig.keys.key_blocks) == KEYS + 1
    )
    by_seed = {entry.seed: entry for entry in scene.thunder.takes}
    assert sorted(by_seed) == [7, 8]
    for seed, closed, opened in ((8, 25, 13), (7, 13, 25)):  # the frames of 1.0 s and 0.5 s
        display.show(rig, by_seed[seed])
        assert gap_mm(blender, scene, rig, closed) < 0.6
        assert gap_mm(blender, scene, rig, opened) > 10.0
