# SPDX-License-Identifier: GPL-3.0-or-later
"""One request, asked in two ways, makes the same takes to the bit: of the engine that has answered
others before, and over the protocol of one that has not. They are those that are stored, which
THUNDER_STORE=1 writes anew where takes change for a reason."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thunder_core.direction import Direction, DirectionRequest, HELD, Mark, STRESSED, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.verbs import read_array
from thunder_core.request import DRAFT, OFF_EXPECTED, Request, SourcePerformance
from thunder_core.types import Keep, pack, Speech

SAYS = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
    "thief, and put up with his thunder?"
)
SAD = DirectionRequest.of(Direction(Style(energy=1.3, rounding=0.5), "sad", 0.6), 0.5)
MARKS = (Mark(STRESSED, 0.4, 0.8), Mark(HELD, 1.6, 2.1))
STORED = Path(__file__).resolve().parents[1] / "fixtures" / "takes.npz"
EVERY = 10  # a stored frame of so many
NEAR = 0.004  # processors round otherwise, and half precision rounds what is stored


def in_two_moods():
    """A direction that goes from warm to angry over a line."""
    moods = [Direction(Style(smile=0.2), mood, 0.8).vector() for mood in ("warm", "angry")]
    turn = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    return DirectionRequest((1 - turn) * moods[0] + turn * moods[1], 0.3)


CASES = {
    "one take": Request(1, 5, direction=DirectionRequest()),
    "eight takes": Request(8, 5, DRAFT, direction=DirectionRequest()),
    "with its text": Request(2, 5, direction=DirectionRequest(text=SAYS)),
    "undirected": Request(2, 5),
    "another direction": Request(2, 5, direction=SAD),
    "more like it": Request(2, 40, direction=replace(SAD, exact_first=False, like=((5, 0.2),))),
    "listening": Request(2, 5, listening=True, direction=DirectionRequest()),
    "what is kept of it": Request(2, 9, direction=DirectionRequest()),
    "with marks on words": Request(2, 5, direction=DirectionRequest(marks=MARKS)),
    "from one mood to another": Request(1, 5, direction=in_two_moods()),
    "moved to another voice": Request(1, 5, direction=DirectionRequest()),
}


def request_of(name, engine, sample):
    """The request of a case, with the take that it needs."""
    request = CASES[name]
    if name not in ("what is kept of it", "moved to another voice"):
        return request
    (take,) = engine.generate(sample, CASES["one take"])
    if name == "moved to another voice":
        faster = Speech(sample.samples[np.arange(0, len(sample.samples), 1.07).astype(int)])
        (take,) = engine.generate(faster, replace(CASES["one take"], quality=DRAFT))
        return replace(request, perform_as=SourcePerformance(take.motion, faster))
    mask = np.zeros(pack(take.motion).shape, bool)
    mask[:, :10] = mask[:30] = True
    return replace(request, keep=Keep(take.motion, mask))


def in_short(takes):
    """What is stored of a case: frames of its takes and their scores, and what they say of
    themselves besides weights and numbers that processors round."""
    rows = np.stack([pack(take.motion)[::EVERY] for take in takes]).astype(np.float16)
    rounded = (
        *("weights", "score", "parts", "findings", "read", "reading", "seen", "voice_sounds"),
        OFF_EXPECTED,
    )
    about = [{k: v for k, v in take.provenance.items() if k not in rounded} for take in takes]
    keys = [sorted(take.provenance) for take in takes]
    totals = [[take.seed, -1.0 if take.score is None else take.score.total] for take in takes]
    return rows, np.array(totals), json.dumps([about, keys])


@pytest.fixture(scope="module")
def other():
    """An engine that has answered nothing."""
    return Engine.load(device="cpu")


@pytest.mark.parametrize("name", CASES)
def test_takes_are_those_that_are_stored_however_they_are_asked_for(
    engine, other, sample, put, name
):
    request = request_of(name, engine, sample)
    takes = engine.generate(sample, request)
    rows, totals, about = in_short(takes)
    fresh = {f"{name}: rows": rows, f"{name}: totals": totals, f"{name}: about": about}
    with np.load(STORED) as file:
        stored = dict(file)
    if os.environ.get("THUNDER_STORE"):
        np.savez_compressed(STORED, **stored | fresh)
        return
    known = stored[f"{name}: rows"].astype(float)
    assert json.loads(about) == json.loads(str(stored[f"{name}: about"]))
    assert rows.shape == known.shape and np.abs(rows - known).max() < NEAR
    assert np.abs(totals - stored[f"{name}: totals"]).max() < 0.5
    record = json.loads(json.dumps(request.to_record(put), default=lambda sound: "its"))
    sent = Request.of_record(record, read_array)
    if request.perform_as is not None:
        sent = replace(sent, perform_as=request.perform_as)
    again = other.generate(sample, sent)
    assert len(takes) == len(again) == request.takes
    for one, two in zip(takes, again):
        assert one.seed == two.seed and np.array_equal(pack(one.motion), pack(two.motion))
        assert one.provenance == two.provenance
        assert (one.score and one.score.total) == (two.score and two.score.total)
