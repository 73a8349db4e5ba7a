# SPDX-License-Identifier: GPL-3.0-or-later
"""The scores that an animator at a real window sees of committed lines."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def scored(real_blender):
    return real_blender.act("score_scenarios.scores_a_committed_line", timeout=800)


def test_a_committed_line_shows_the_score_of_its_take(windowed, scored):
    assert scored["committed"] == pytest.approx(scored["take"], abs=1), scored["why_not"]


def test_the_score_stays_when_another_line_is_chosen(windowed, scored):
    assert scored["other_line"] == pytest.approx(scored["take"], abs=1), scored["why_not_other"]


def test_the_score_is_there_after_listening_with_no_head_chosen(windowed, scored):
    assert scored["no_head_chosen"] == pytest.approx(scored["take"], abs=1), scored["why_not_no_head"]
