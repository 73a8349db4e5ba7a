# SPDX-License-Identifier: GPL-3.0-or-later
"""The small pictures of the list of takes: what brows, mouth and head do, each at its place and as high as it should be."""

import numpy as np
from performances import key, performance
from thunder.scene.takes import provenance, take_list, thumbnails
from thunder.thunder_core.animation import timing


def enter(stage, seed=1, **how):
    scene, rig = stage
    made = performance(seed=seed, **how)
    clock = timing.Clock.of(scene, 1.0)
    return take_list.add_to_list(scene, rig, key(rig, made, clock), made, "voice", clock), made


def of_colour(image, colour):
    """[columns] how many pixels of each column have a colour."""
    return (np.abs(image[:, :, :3] - np.float32(colour)).max(axis=2) < 1e-3).sum(axis=0)


def test_a_picture_shows_brows_mouth_and_head_where_they_move(stage):
    _, made = enter(stage)
    motion, brow = made.motion, made.channels.index("browInnerUp")
    half = motion.frames // 2
    motion.expression[:] = 0.0
    motion.expression[half:, brow] = 0.5
    motion.head[:] = 0.0
    motion.head[: half // 2, 1] = np.radians(20.0)
    made.opening[:] = 0.0
    made.opening[-5:] = 30.0
    image = thumbnails.picture(*thumbnails.activity(made))
    assert image.shape == (thumbnails.SIZE, thumbnails.TILES * thumbnails.SIZE, 4) and (image[:, :, 3] == 1.0).all()
    width = image.shape[1]
    brows, mouth, head = (of_colour(image, colour) for colour in (thumbnails.BROWS, thumbnails.MOUTH, thumbnails.HEAD))
    assert (brows[width // 2 + 2 :] == 7).all() and not brows[: width // 2 - 2].any()
    assert mouth[-4:].min() == 16 and not mouth[:-16].any()
    assert (head[: width // 4 - 4] == 7).all() and not head[width // 4 + 4 :].any()


def test_every_take_has_tiles_of_its_own_that_stay(blender, stage):
    entries = [enter(stage, seed=seed)[0] for seed in (1, 2)]
    entries = list(stage[0].thunder.takes)
    one, other = (thumbnails.icons(entry) for entry in entries)
    assert len(one) == len(other) == thumbnails.TILES  # numbers that are all 0 where there is no window to draw them in
    assert thumbnails.icons(entries[0]) == one and len(thumbnails.thumbnails.collection) == 2 * thumbnails.TILES
    tiles = [thumbnails.thumbnails.collection[f"{entries[0].action.session_uid}.{tile}"] for tile in range(thumbnails.TILES)]
    whole = np.concatenate([np.reshape(tile.icon_pixels_float[:], (thumbnails.SIZE, thumbnails.SIZE, 4)) for tile in tiles], axis=1)
    wanted = thumbnails.picture(*thumbnails.activity(provenance.load(entries[0].action)))
    assert np.abs(whole - wanted).max() < 0.01
    provenance.forget(entries[1].action)
    thumbnails.thumbnails.file_opened()
    assert len(thumbnails.icons(entries[0])) == thumbnails.TILES and thumbnails.icons(entries[1]) == ()


def test_a_short_take_has_a_picture_too(stage):
    _, made = enter(stage, seconds=0.2, closed_at=())
    assert all(len(values) == thumbnails.BARS and np.isfinite(values).all() for values in thumbnails.activity(made))
