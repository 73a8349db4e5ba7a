# SPDX-License-Identifier: GPL-3.0-or-later
"""A real window: the asset shelf with our poses, and the lit scene with its playblast."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_click_in_the_shelf_poses_the_head_and_a_playblast_is_filmed(windowed):
    seen = windowed.act("asset_scenarios.poses_and_stage")
    # the startup file has a camera and a light of its own
    assert seen["asks"] == ["RUNNING_MODAL"] and seen["camera"]
    assert seen["saving"] == ["RUNNING_MODAL"] and seen["assets"] == 21
    assert seen["shelf"][3] > 50 and seen["moved"]
    assert (
        seen["filming"] == ["RUNNING_MODAL"]
        and seen["films"] == ["shot_playblast.mp4"]
        and seen["scenes"] == 1
    )
