# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window checks an animation, fixes what is found, and undoes it."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def checked(real_blender):
    return real_blender.act("check_scenarios.checks", timeout=800)


def test_what_fits_has_no_problem_and_an_open_jaw_has(windowed, checked):
    assert checked["as_committed"] == []
    assert checked["found"] and all("mm apart" in sentence for sentence in checked["found"])


def test_go_shows_the_frame(windowed, checked):
    assert checked["gone"] == ["FINISHED"] and checked["frame"] == checked["first"]


def test_a_fix_is_one_undo_step(windowed, checked):
    assert checked["after_fix"] == checked["found"][1:]
    assert checked["undone"] == checked["found"]
    before, after = checked["keys"]
    assert before == after
