# SPDX-License-Identifier: GPL-3.0-or-later
"""Ctrl-Z, Ctrl-Shift-Z and Esc in the middle of every long work, at a real window."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(
    "scenario",
    [
        "presses_keys",
        pytest.param("presses_keys_five_times", marks=pytest.mark.slow),
        pytest.param("presses_keys_forty_five_times", marks=pytest.mark.slow),
    ],
)
def test_no_key_in_the_middle_of_work_costs_anything(windowed, scenario):
    seen = windowed.act(f"undo_scenarios.{scenario}", timeout=3400)
    assert seen["wrong"] == [] and seen["bugs"] == []
    assert "Traceback" not in seen["log"], seen["log"][-3000:]
    assert seen["last"] == "done", seen["ends"][-3:]
    assert windowed.left_behind() == []  # it closed in the middle of work
