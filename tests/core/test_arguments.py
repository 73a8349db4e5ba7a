# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker takes for a request, and for the direction that a motion is played in."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from thunder_core.direction import Brief, Direction, Style
from thunder_core.engine.arguments import read_brief, request as request_of
from thunder_core.errors import BadRequest
from thunder_core.request import Request
from thunder_core.types import Keep, pack, unpack


def request(tmp_path, values, **more):
    np.save(tmp_path / "direction.npy", values)
    return {"direction": str(tmp_path / "direction.npy"), **more}


def test_a_direction_is_read_with_its_spread(tmp_path):
    vector = Direction(Style(energy=1.2), "warm", 0.4).vector()
    read = read_brief(request(tmp_path, vector[None], spread=0.3, as_asked=False))
    assert (
        np.array_equal(read.vectors, vector[None])
        and read.spread == pytest.approx(0.3)
        and not read.as_asked
    )
    assert read.original is None and np.array_equal(read.requested, vector[None])
    np.save(tmp_path / "original.npy", Direction().vector()[None])
    around = read_brief(
        request(tmp_path, vector[None], original=str(tmp_path / "original.npy"), like=[[3, 0.5]])
    )
    assert around.like == ((3, 0.5),) and read.like == ()
    assert np.array_equal(around.requested, Direction().vector()[None])
    assert read_brief({}) is None and read_brief({"direction": None}) is None


@pytest.mark.parametrize(
    "like", [3, [3, 0.5], [[3]], [[3, 2.0]], [[-1, 0.5]], [["a", 0.5]], [[3, None]]]
)
def test_takes_to_be_like_that_are_no_pairs_are_refused(tmp_path, like):
    with pytest.raises(BadRequest, match="must be"):
        read_brief(request(tmp_path, Direction().vector()[None], like=like))


def test_a_request_is_the_same_after_its_way_over_the_protocol(tmp_path):
    def put_array(array):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, np.asarray(array, np.float32))
        return str(path)

    motion = unpack(np.arange(4 * 53, dtype=np.float32).reshape(4, 53), 44)
    usual = Direction().vector()[None]
    whole = Request(
        3, 2**40, "draft", 0, 1.5, 0.25, Brief(usual, 0.25, False, usual * 0.5, ((3, 0.5),)),
        Keep(motion, pack(motion) % 2 > 0.5), True,
        "media2face", np.ones((30, 53), np.float32), np.full((48, 48), 0.5, np.float32),
        [[["jawOpen", 1.0]]],
    )  # fmt: skip
    for sent in (whole, Request(), Request(steps=7, direction=Brief())):
        read = request_of(json.loads(json.dumps(sent.arguments(put_array))))
        for name in (
            "takes",
            "seed",
            "quality",
            "steps",
            "guidance",
            "speech_guidance",
            "listening",
            "system",
            "sums",
        ):
            assert getattr(read, name) == getattr(sent, name), name
        for name in ("reference", "picture"):
            assert np.array_equal(getattr(read, name), getattr(sent, name)), name
        one, other = (
            None if each.direction is None else asdict(each.direction) for each in (read, sent)
        )
        assert str(one) == str(other)
        assert (read.keep is None) == (sent.keep is None)
    assert np.array_equal(
        pack(request_of(json.loads(json.dumps(whole.arguments(put_array)))).keep.motion),
        pack(motion),
    )


@pytest.mark.parametrize(
    "arguments",
    [{"takes": 257}, {"takes": True}, {"seed": -1}, {"quality": []}, {"steps": 0},
    {"guidance": "1"}, {"speech_guidance": 6},
     {"listening": 1}, {"system": []}, {"system": ""}, {"sums": 3}],
)  # fmt: skip
def test_a_value_out_of_range_is_refused(arguments):
    with pytest.raises(BadRequest, match="must be|no engine"):
        request_of(arguments)
