# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar is short: what choosing a take needs fits one screen."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(600)]

# pixels that the sidebar has in a window of 1920 × 1080, of Blender's default layout at interface
# scale 1
SCREEN = 909
CLOSED = 2 * 28  # pixels of the headers of two closed panels below Commit, Listen and Words


def test_sliders_takes_and_commit_are_visible_together(windowed):
    seen = windowed.act("height_scenarios.together", timeout=250, size=(1920, 1080))
    assert 600 < seen["height"] - CLOSED < SCREEN
