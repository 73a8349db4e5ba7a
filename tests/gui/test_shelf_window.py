# SPDX-License-Identifier: GPL-3.0-or-later
"""In a window, from the dragged package to the first take."""

import pytest
from timing import keeps, measured

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def first_take(real_blender, package):
    return real_blender.act("shelf_scenarios.from_zip_to_take", package=package, timeout=800)


@pytest.mark.slow
def test_the_dragged_package_leads_to_a_playing_take(windowed, first_take):
    assert first_take["takes"] == 8 and first_take["playing"] and first_take["frame"] > 1
    assert "Traceback" not in first_take["log"], first_take["log"][-3000:]
    measured.append(f"from the dragged package to the take, s: {first_take['steps']}")


@pytest.mark.slow
def test_the_first_take_comes_soon_after_the_drag(windowed, first_take):
    seconds = first_take["steps"]
    keeps(
        20,
        seconds["install"] + seconds["head"] + seconds["voice"] + seconds["playing"],
        "from the drag to the playing take",
    )
