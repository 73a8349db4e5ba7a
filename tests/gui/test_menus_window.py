# SPDX-License-Identifier: GPL-3.0-or-later
"""At a real window: Thunder where Blender has such things, in the sequencer's sidebar, Add › Armature and a pie menu."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_strip_gets_takes_in_the_sequencer(windowed):
    seen = windowed.act("menu_scenarios.in_the_sequencer")
    assert seen["sound"] == "dialogue" and seen["takes"] == 3
    assert (seen["shown"], seen["frame"]) == (1, 1)


def test_a_head_comes_from_the_add_menu(windowed):
    assert windowed.act("menu_scenarios.adds_a_head")["heads"] == 1


def test_the_pie_opens_on_its_key_and_shows_the_next_take(windowed):
    seen = windowed.act("menu_scenarios.opens_the_pie")
    assert seen["before"] != seen["after"] == seen["second"]


def test_a_right_click_opens_the_guide(windowed):
    seen = windowed.act("menu_scenarios.asks_for_the_manual")
    assert [address.rpartition("/")[2] for address in seen["opened"]] == ["takes.md"]
