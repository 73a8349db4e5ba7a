# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker takes for a request, and for the direction that a motion is played in."""

import json
from dataclasses import asdict, replace

import numpy as np

from thunder_core.direction import Direction, DirectionRequest, HELD, Mark, SOUND, Style
from thunder_core.engine.verbs import read_array
from thunder_core.request import Request
from thunder_core.types import Keep, pack, unpack

USUAL, HEARD = Direction().vector()[None], np.array([0.5, 1.0], np.float32)
MARKS = (Mark(HELD, 0.5, 1.0), Mark(SOUND, 1, 2, "AA"))
ASKED = DirectionRequest(
    USUAL, 0.25, False, USUAL * 0.5, ((3, 0.5), (2**30, 1.0)), HEARD, MARKS, "a b"
)  # all that may be asked


def test_a_direction_is_read_with_its_spread(put):
    vector = Direction(Style(energy=1.2), "warm", 0.4).vector()[None]
    read = DirectionRequest.of_record(
        {"direction": put(vector), "spread": 0.3, "as_asked": False}, read_array
    )
    assert np.array_equal(read.vectors, vector) and np.array_equal(read.requested, vector)
    assert (read.spread, read.exact_first, read.original, read.like) == (0.3, False, None, ())
    around = {"direction": put(vector), "original": put(0 * vector), "like": [3, 0.5]}
    around = DirectionRequest.of_record(around, read_array)
    assert around.like == ((3, 0.5),) and np.array_equal(around.requested, 0 * vector)
    assert (
        DirectionRequest.of_record({}) is None
        and DirectionRequest.of_record({"direction": None}) is None
    )


def test_a_request_is_the_same_after_its_way_over_the_protocol(put):
    motion = unpack(np.arange(4 * 53, dtype=np.float32).reshape(4, 53), 44)
    keep, around = Keep(motion, pack(motion) % 2 > 0.5), replace(ASKED, like=((3, 0.5),))
    sums = [[["jawOpen", 1.0]]]
    whole = Request(3, 2**40, "draft", 0, 1.5, around, keep, True, sums)
    for sent in (whole, Request(), Request(steps=7, direction=DirectionRequest())):
        read = Request.of_record(json.loads(json.dumps(sent.to_record(put))), read_array)
        both = (asdict(replace(x, keep=None, quality=str(x.quality))) for x in (read, sent))
        np.testing.assert_equal(*both)
        assert (read.keep is None) == (sent.keep is None)
        assert sent.keep is None or np.array_equal(pack(read.keep.motion), pack(motion))
    assert not {"marks", "as_heard"} & DirectionRequest().to_record(put).keys()


def test_a_take_in_a_file_says_what_it_was_asked_for():
    """As numbers, texts and rows of numbers, which are all that a .blend holds."""
    spoken = {"listening": True, "phones": "[]"}
    request = Request(3, 7, "draft", 0, 1.5, ASKED, **spoken)
    record = request.to_record()
    for value in record.values():
        row = value if isinstance(value, list) else [value]
        assert all(isinstance(each, (float, int, str)) for each in row)
    read = Request.of_record(record)
    np.testing.assert_equal(asdict(read), asdict(replace(request, takes=1, seed=0)))
    nested = {"direction": USUAL, "original": USUAL, "as_heard": HEARD, "like": [[3, 0.5]]}
    nested = Request.of_record(request.to_record(str) | nested, np.asarray)
    assert nested.direction.like == ((3, 0.5),)
