# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar of a day is not longer than two screens."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(600)]

SCREEN = 1080 - 100  # pixels of a screen that a sidebar has at interface scale 1: without the bars of the window and the timeline's header


def test_everything_a_day_needs_fits_two_screens_and_what_is_open_by_itself_needs_little_more_than_one(windowed):
    seen = windowed.act("height_scenarios.measures_a_day", timeout=300)
    assert 300 < seen["default"] < 1.3 * SCREEN
    assert seen["default"] < seen["day"] < 2 * SCREEN
