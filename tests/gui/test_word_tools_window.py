# SPDX-License-Identifier: GPL-3.0-or-later
"""A line mended by its words in a real window."""

import pytest
from timing import keeps


@pytest.fixture(scope="module")
def mended(real_blender):
    return real_blender.act("word_tool_scenarios.mends_a_line", timeout=500)


def test_a_word_is_marked_retaken_and_said_by_another_mouth(windowed, mended):
    assert mended["word"] and mended["readings"] == 8
    assert mended["mixed"].startswith("Mix")


def test_a_word_is_heard_at_once(windowed, mended):
    keeps(0.7, mended["heard"], "hearing a word")


def test_a_click_on_the_track_loops_its_word(windowed, mended):
    assert mended["looped"]
