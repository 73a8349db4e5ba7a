# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns of a packed motion and groups of channels say the same as the motions and names that they
stand for."""

import numpy as np
import pytest

from thunder_core import types
from thunder_core.face.head import load_head
from thunder_core.types import Columns, in_group, Motion, pack, unpack

PARTS = ("expression", "jaw", "head", "eyes")


@pytest.mark.parametrize("count", [1, 40, 100])
def test_columns_are_where_the_parts_of_a_motion_are_packed(count):
    motion = Motion(
        *(np.full((2, width), value, np.float32) for value, width in enumerate((count, 3, 3, 3), 1))
    )
    packed, columns = pack(motion), Columns(count)
    assert packed.shape[1] == columns.count
    for value, part in enumerate(PARTS, 1):
        assert set(packed[:, getattr(columns, part)].ravel()) == {value}
        assert np.array_equal(getattr(unpack(packed, count), part), getattr(motion, part))


def test_every_column_belongs_to_one_part():
    columns = Columns(40)
    assert sorted(
        i for part in PARTS for i in range(columns.count)[getattr(columns, part)]
    ) == list(range(columns.count))


def test_groups_name_channels_of_the_bundled_head():
    names = load_head().expression_names
    groups = {
        name: value
        for name, value in vars(types).items()
        if name[0].isalpha() and name.isupper() and isinstance(value, tuple)
    }
    # gaze: joints; coefficients: of FLAME files
    others = ("TURNS", "REGIONS", "GAZE", "COEFFICIENTS")
    known = {name: in_group(names, group) for name, group in groups.items() if name not in others}
    assert len(known) >= 8 and all(chosen.any() for chosen in known.values())
    assert (
        not (known["SPEECH"] & ~known["MOUTH"]).any()
        and not (known["MOODS"] & ~known["SPEECH"]).any()
    )


def test_a_group_leaves_out_what_is_excepted():
    names = ("mouthSmileLeft", "mouthPucker", "browDownLeft")
    assert in_group(names, types.SPEECH, but=types.MOODS).tolist() == [False, True, False]
