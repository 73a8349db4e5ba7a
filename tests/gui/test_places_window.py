# SPDX-License-Identifier: GPL-3.0-or-later
"""At a real window: what is in the sidebar stays where it is while steps are taken, takes come and
play."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(600)]


@pytest.mark.parametrize("scenario", ["first_steps", "grid_and_back"])
def test_buttons_stay_where_they_are(windowed, scenario):
    seen = windowed.act(f"place_scenarios.{scenario}", timeout=500)
    assert seen.get("playing", True) and not any(seen["moved"].values()), seen["moved"]
