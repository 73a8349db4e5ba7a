# SPDX-License-Identifier: GPL-3.0-or-later
"""Our reduction of keys beside Blender's own decimate operator, which needs an open graph editor."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def reduced(real_blender):
    return real_blender.act("speed_scenarios.reduces_briefly", timeout=400)


def test_keys_are_reduced_several_times_faster_than_by_blender_and_are_as_near(windowed, reduced):
    assert reduced["answer"] == ["FINISHED"] and reduced["blender_keys"] < reduced["dense_keys"] / 2
    assert reduced["our_off"] <= 1.05 * max(reduced["blender_off"], 0.01), reduced
    assert reduced["our_keys"] < reduced["dense_keys"] / 2, reduced
    assert reduced["times_faster"] > 2, reduced
