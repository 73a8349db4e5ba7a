# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys are mended by the smallest change: none passes another, and those elsewhere keep their
bits."""

import numpy as np
import pytest

from thunder_core import findings
from thunder_core.animation import keyframes

FRAMES = np.arange(1.0, 61.0)


def keys():
    return keyframes.on_every_frame(FRAMES, np.sin(FRAMES / 5))


@pytest.mark.parametrize("by", [-4, 3])
def test_a_stretch_is_moved_and_its_neighbours_keep_their_order(by):
    moved, count = findings.shift_keys(keys(), 25, 35, by)
    inside = (FRAMES >= 25) & (FRAMES <= 35)
    assert np.allclose(moved["co"][inside, 0], FRAMES[inside] + by)
    assert (np.diff(moved["co"][:, 0]) > 0).all()
    assert np.array_equal(moved["co"][:, 1], keys()["co"][:, 1])
    far = np.abs(FRAMES - 30) > 5 + 2 * abs(by) + 2
    assert np.array_equal(moved["co"][far], keys()["co"][far]) and count == (~far).sum() - 2


def test_a_dent_needs_five_keys_where_there_were_none():
    few = keyframes.on_every_frame(FRAMES[[0, -1]], np.zeros(2))
    frames = np.arange(20.0, 31.0)
    by = -np.exp(-((frames - 25) ** 2) / 4)
    mended, count = findings.add_values(few, frames, np.zeros(11), by, [0, 4, 5, 6, 10])
    assert count == 5 and mended["co"][:, 0].tolist() == [1, 20, 24, 25, 26, 30, 60]
    assert mended["co"][3, 1] == pytest.approx(-1.0)
    assert np.array_equal(mended["co"][[0, -1]], few["co"])


def test_keys_between_two_frames_are_deleted_but_for_those_on_them():
    left, count = findings.delete_keys(keys(), 10, 20)
    assert (
        count == 9
        and {10.0, 20.0} <= set(left["co"][:, 0].tolist())
        and not np.isin(left["co"][:, 0], np.arange(11, 20)).any()
    )
