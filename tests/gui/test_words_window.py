# SPDX-License-Identifier: GPL-3.0-or-later
"""The track of words and sounds in a real window."""

import pytest
from timing import keeps


@pytest.mark.slow
def test_a_redraw_over_an_hour_of_dialogue_takes_less_than_4_ms(windowed):
    seen = windowed.act("word_scenarios.draws_an_hour", timeout=500)
    assert seen["sounds"] > 10000
    for zoom, spent in seen["spent"].items():
        assert len(spent) > 5
        keeps(0.004, sorted(spent)[len(spent) // 2], f"a redraw at {zoom}, median")
