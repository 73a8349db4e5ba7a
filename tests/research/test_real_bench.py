# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench against real people measures what it says: the truth perfect, a still face without correlation, half a mouth worse."""

import numpy as np
import pytest

from research import real
from research.measures.evaluate import Measured
from thunder_core.direction import Direction
from thunder_core.engine.speech.phones import phone_index
from thunder_core.face.head import load_head
from thunder_core.train.teacher import perform
from thunder_core.types import pack

HEAD = load_head()


@pytest.fixture(scope="module")
def bench():
    return real


@pytest.fixture(scope="module")
def spoken():
    labels = np.repeat([phone_index(p) for p in "SIL AA M IY P OW F AE SIL".split()], 24).astype(np.uint8)
    loud = np.full((len(labels) // 4, 2), 0.4, np.float32)
    return pack(perform(labels, loud, list(HEAD.expression_names), np.random.default_rng(0), Direction()))


def test_the_truth_is_perfect_and_a_still_face_is_not(bench, spoken):
    seen, keep = Measured(HEAD), np.ones(len(spoken), bool)
    perfect = bench.measure(seen, spoken, spoken, keep)
    assert (perfect["L-CCC"], perfect["L-PCC"]) == pytest.approx((1, 1), abs=1e-3)
    assert [perfect[c] for c in ("LVE", "DTW", "FDD-U", "FDD-L")] == pytest.approx([0] * 4, abs=1e-6)
    half = bench.measure(seen, 0.5 * spoken, spoken, keep)
    still = bench.measure(seen, 0 * spoken, spoken, keep)
    assert still["L-PCC"] == pytest.approx(0, abs=1e-3)
    for column in ("LVE", "DTW", "FDD-L"):
        assert 0 < half[column] < still[column]
    assert half["L-PCC"] > 0.9 > half["L-CCC"] > still["L-CCC"]


def test_frames_without_a_face_are_left_out(bench, spoken):
    seen, keep = Measured(HEAD), np.ones(len(spoken), bool)
    spoiled = spoken.copy()
    spoiled[10:14, : HEAD.channels] += 0.5
    keep[10:14] = False
    assert bench.measure(seen, spoiled, spoken, keep)["LVE"] == pytest.approx(0, abs=1e-6)
    keep[10] = True
    assert bench.measure(seen, spoiled, spoken, keep)["LVE"] > 0.001


def test_a_table_has_a_line_for_every_system(bench):
    row = dict.fromkeys(bench.COLUMNS, 0.5)
    lines = bench.table("all", {"take_01": row, "still": row})
    assert len(lines) == 3 and all(len(line.strip().split()) == len(bench.COLUMNS) + 1 for line in lines[1:])
