# SPDX-License-Identifier: GPL-3.0-or-later
"""A real window: held poses, mouth sliders and speakers of a recording, as an animator sees them."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.slow, pytest.mark.timeout(1200)]


def test_sliders_move_the_mouth_of_a_committed_take_and_leave_nothing(windowed):
    seen = windowed.act("slider_scenarios.steps_and_slides", timeout=500)
    assert seen["added"] == ["FINISHED"] and seen["left"] < 1e-6
    assert seen["Open"] > 2e-3 and seen["Smile"] > 2e-3


def test_two_heads_share_a_recording(windowed):
    seen = windowed.act("slider_scenarios.marks_speakers", timeout=500)
    assert [first for _, first in seen["ranges"]] == [1, 41] and len({name for name, _ in seen["ranges"]}) == 2
