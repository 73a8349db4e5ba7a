# SPDX-License-Identifier: GPL-3.0-or-later
"""The small pictures of the list of takes: what brows, mouth and head do, each at its place and as
high as it should be."""

import numpy as np
from performances import list_take, performance
from thunder.scene.takes import browsing, take_record


def enter(stage, seed=1, **how):
    made = performance(seed=seed, **how)
    return list_take(stage, made), made


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
    does = browsing.activity(made)
    image = browsing.picture(does, [does])
    assert (
        image.shape == (browsing.SIZE, browsing.TILES * browsing.SIZE, 4)
        and (image[:, :, 3] == 1.0).all()
    )
    width = image.shape[1]
    brows, mouth, head = (
        of_colour(image, colour)
        for colour in (browsing.BROW_COLOUR, browsing.MOUTH_COLOUR, browsing.HEAD_COLOUR)
    )
    assert (brows[width // 2 + 2 :] == 7).all() and not brows[: width // 2 - 2].any()
    assert mouth[-4:].min() == 16 and not mouth[:-16].any()
    assert (head[: width // 4 - 4] == 7).all() and not head[width // 4 + 4 :].any()


def test_every_take_has_tiles_of_its_own_that_stay(blender, stage):
    entries = [enter(stage, seed=seed)[0] for seed in (1, 2)]
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
