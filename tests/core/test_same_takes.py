# SPDX-License-Identifier: GPL-3.0-or-later
"""One request, asked in two ways, makes the same takes to the bit: of the engine that has answered
others before, and over the protocol of one that has not."""

import json
from dataclasses import replace

import numpy as np
import pytest

from thunder_core.direction import Brief, Direction, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.verbs import read_request
from thunder_core.request import DRAFT, Request
from thunder_core.types import Keep, pack

SAYS = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
    "thief, and put up with his thunder?"
)
SAD = Brief.of(Direction(Style(energy=1.3, rounding=0.5), "sad", 0.6), 0.5)
CASES = {
    "one take": Request(1, 5, direction=Brief()),
    "eight takes": Request(8, 5, DRAFT, direction=Brief()),
    "with its text": Request(2, 5, direction=Brief(text=SAYS)),
    "undirected": Request(2, 5),
    "another direction": Request(2, 5, direction=SAD),
    "more like it": Request(2, 40, direction=replace(SAD, as_asked=False, like=((5, 0.2),))),
    "listening": Request(2, 5, listening=True, direction=Brief()),
    "what is kept of it": Request(2, 9, direction=Brief()),
}


@pytest.fixture(scope="module")
def other():
    """An engine that has answered nothing."""
    return Engine.load(device="cpu")


@pytest.mark.parametrize("name", CASES)
def test_a_request_makes_the_same_takes_however_it_is_asked(engine, other, sample, put, name):
    request = CASES[name]
    if name == "what is kept of it":
        (take,) = engine.generate(sample, CASES["one take"])
        mask = np.zeros(pack(take.motion).shape, bool)
        mask[:, :10] = mask[:30] = True
        request = replace(request, keep=Keep(take.motion, mask))
    takes = engine.generate(sample, request)
    sent = read_request(json.loads(json.dumps(request.arguments(put))))
    again = other.generate(sample, sent)
    assert len(takes) == len(again) == request.takes
    for one, two in zip(takes, again):
        assert one.seed == two.seed and np.array_equal(pack(one.motion), pack(two.motion))
        assert one.provenance == two.provenance
        assert (one.score and one.score.total) == (two.score and two.score.total)
