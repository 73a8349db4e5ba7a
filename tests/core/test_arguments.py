# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker takes for the direction that a motion is played in."""

import numpy as np
import pytest

from thunder_core.direction import Direction, Style
from thunder_core.engine.arguments import played
from thunder_core.errors import BadRequest


def test_a_reading_is_a_direction():
    vector = Direction(Style(energy=1.2), "warm", 0.4).vector()
    assert np.array_equal(played({"reading": vector.tolist()}), vector)
    assert played({}) is None and played({"reading": None}) is None


def test_a_reading_may_change_over_the_line(tmp_path):
    vectors = np.stack([Direction(Style(energy=1.2), "warm", share).vector() for share in (0.2, 0.4, 0.6)])
    np.save(tmp_path / "direction.npy", vectors)
    assert np.array_equal(played({"direction": str(tmp_path / "direction.npy")}), vectors)
    np.save(tmp_path / "direction.npy", 99 * vectors)
    with pytest.raises(BadRequest, match="move its slider back"):
        played({"direction": str(tmp_path / "direction.npy")})


@pytest.mark.parametrize(
    "values", ["much", 3, [], [1, 2], [[0.0] * 23] * 2, [[1], [2, 3]], {"energy": 1}, [float("nan")] * 23, [10**400] * 23, [99.0] * 23]
)
def test_anything_else_is_refused_with_a_sentence(values):
    with pytest.raises(BadRequest, match=r"generate it again|set it again|look for broken|look at the keys|move its slider back"):
        played({"reading": values})
