# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker takes for the direction that a motion is played in."""

import numpy as np
import pytest

from thunder_core.direction import Direction, Style
from thunder_core.engine.arguments import asked
from thunder_core.errors import BadRequest


def request(tmp_path, values, **more):
    np.save(tmp_path / "direction.npy", values)
    return {"direction": str(tmp_path / "direction.npy"), **more}


def test_a_direction_is_read_with_its_spread(tmp_path):
    vector = Direction(Style(energy=1.2), "warm", 0.4).vector()
    read = asked(request(tmp_path, vector[None], spread=0.3, as_asked=False))
    assert np.array_equal(read.vectors, vector[None]) and read.spread == pytest.approx(0.3) and not read.as_asked
    assert read.original is None and np.array_equal(read.requested, vector[None])
    np.save(tmp_path / "original.npy", Direction().vector()[None])
    around = asked(request(tmp_path, vector[None], original=str(tmp_path / "original.npy"), like=[[3, 0.5]]))
    assert around.like == ((3, 0.5),) and read.like == ()
    assert np.array_equal(around.requested, Direction().vector()[None])
    assert asked({}) is None and asked({"direction": None}) is None


@pytest.mark.parametrize("values", [np.zeros((0, 23)), np.zeros(23), np.zeros((2, 5)), np.full((1, 23), np.nan), np.full((1, 23), 99.0)])
def test_anything_else_is_refused_with_a_sentence(tmp_path, values):
    with pytest.raises(BadRequest, match=r"set it again|look at the keys|move its slider back"):
        asked(request(tmp_path, values))


@pytest.mark.parametrize("like", [3, [3, 0.5], [[3]], [[3, 2.0]], [[-1, 0.5]], [["a", 0.5]], [[3, None]]])
def test_takes_to_be_like_that_are_no_pairs_are_refused(tmp_path, like):
    with pytest.raises(BadRequest, match="must be"):
        asked(request(tmp_path, Direction().vector()[None], like=like))


def test_a_spread_without_a_direction_is_refused():
    with pytest.raises(BadRequest, match="give a direction too"):
        asked({"spread": 0.5})
