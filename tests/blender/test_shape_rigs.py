# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done with takes of our head works on an animator's own character and on a FLAME file's
head too."""

from pathlib import Path

import numpy as np
import pytest
from characters import grid_mesh
from made_flame import made_flame
from speaking import enter, keys_of, opening_of, same, tracks
from thunder.scene.heads import head
from thunder.thunder_core.face import mapping

ROOT = Path(__file__).resolve().parents[2]


def own_character(blender, folder):
    """A face of shape keys with ARKit's names that stop at 1, as most do; the jaw and the eyes are
    keys too."""
    names = (*head.channel_names(), *mapping.DERIVED)
    hero = grid_mesh(blender, "Hero", [name for name in names if not name.startswith("tongue")])
    for block in hero.data.shape_keys.key_blocks:
        block.slider_min, block.slider_max = 0.0, 1.0


def flame_head(blender, folder):
    with np.load(ROOT / "weights" / "head.npz") as asset:
        made_flame({name: asset[name] for name in asset.files}, seed=11, own=0.0004).write(
            folder / "flame.npz"
        )
    blender.ops.thunder.add_flame_head(filepath=str(folder / "flame.npz"))


@pytest.fixture(
    params=[own_character, pytest.param(flame_head, marks=pytest.mark.slow)], ids=["own", "flame"]
)
def stage(request, blender, tmp_path):
    request.param(blender, tmp_path)
    scene = blender.context.scene
    scene.render.fps = 24
    return scene, head.find(scene)


def closed_and_open(rig, entry):
    gap = opening_of(rig, entry, np.arange(entry.first, entry.last + 1))
    return gap, gap <= 0.3


def test_sliders_restore_every_key_and_open_no_lips(blender, stage, rig):
    entry = enter(stage, seconds=3.0, closed=(0.8, 1.5, 2.2))
    before = keys_of(rig, entry)
    gap, closed = closed_and_open(rig, entry)
    assert closed.sum() > 5 and gap.max() > 8
    shape = entry.action.thunder_shape
    for values in ({"jaw": 1.8}, {"jaw": 0.4, "mouth": 1.6, "emotion": "DISGUST"}):
        for name, value in values.items():
            setattr(shape, name, value)
        now, _ = closed_and_open(rig, entry)
        assert now[closed].max() <= 0.35, values
        assert np.abs(now - gap).max() > 1
    blender.ops.thunder.reset_shape()
    assert same(before, keys_of(rig, entry))


# FLAME's own directions have no ends that a face has.
@pytest.mark.parametrize("stage", [own_character], indirect=True, ids=["own"])
def test_keys_of_a_character_stay_within_its_sliders_at_closures(blender, stage, rig):
    entry = enter(stage, seconds=3.0, closed=(0.8, 1.5, 2.2))
    _, closed = closed_and_open(rig, entry)
    entry.action.thunder_shape.jaw = 2.0
    close = keys_of(rig, entry)[tracks(rig, "mouthClose")[0]]["co"][entry.lead_in :, 1]
    # a slider that stops at 1 would leave the lips open
    assert close[: len(closed)][closed].max() <= 1.0 + 1e-5
