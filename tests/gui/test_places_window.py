# SPDX-License-Identifier: GPL-3.0-or-later
"""At a real window: what is in the sidebar stays where it is while steps are taken, takes come and
play."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(600)]


def test_buttons_stay_where_they_are(windowed):
    seen = windowed.act("place_scenarios.first_steps", timeout=500)
    assert not any(seen["moved"].values()), seen["moved"]
