# SPDX-License-Identifier: GPL-3.0-or-later
"""At a real window: Thunder where Blender has such things, in the sequencer's sidebar, Add ›
Armature and a pie menu."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_pie_opens_on_its_key_and_shows_the_next_take(windowed):
    seen = windowed.act("menu_scenarios.opens_the_pie")
    assert seen["before"] != seen["after"] == seen["second"]


def test_a_right_click_opens_the_guide(windowed):
    seen = windowed.act("menu_scenarios.asks_for_the_manual")
    assert [address.rpartition("/")[2] for address in seen["opened"]] == ["takes.md"]
