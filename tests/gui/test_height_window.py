# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar is short: what choosing a take needs fits one screen, and a day two."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(600)]

# pixels that the sidebar has in a window of 1920 × 1080, of Blender's default layout at interface
# scale 1
SCREEN = 909
CLOSED = 2 * 28  # pixels of the headers of two closed panels below Commit, Listen and Words


def test_sliders_takes_and_commit_are_visible_together(windowed):
    seen = windowed.act("height_scenarios.together", timeout=250, size=(1920, 1080))
    assert 600 < seen["height"] - CLOSED < SCREEN


def test_what_is_open_by_itself_needs_little_more_than_one_screen(windowed):
    assert (
        300 < windowed.act("height_scenarios.open_by_itself", timeout=250)["height"] < 1.2 * SCREEN
    )


def test_everything_that_a_day_needs_fits_two_screens(windowed):
    assert (
        1.1 * SCREEN < windowed.act("height_scenarios.of_a_day", timeout=250)["height"] < 2 * SCREEN
    )
