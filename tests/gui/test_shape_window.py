# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window shapes, closes, mixes and keeps takes, and undoes it."""

import pytest
from timing import keeps

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def shaped(real_blender):
    return real_blender.act("shape_scenarios.shapes", timeout=800)


@pytest.fixture(scope="module")
def mixed(real_blender):
    return real_blender.act("shape_scenarios.mixes", timeout=800)


def test_a_slider_is_live(windowed, shaped):
    keeps(0.1, min(shaped["slider_seconds"]), "a slider in the window")


def test_a_take_follows_the_curve_of_its_emotion_by_itself(windowed, shaped):
    assert shaped["animated"] == ["FINISHED"] and not shaped["behind"]
    before, after = shaped["brows"]
    assert after > before + 0.3


def test_lips_close_at_a_frame_and_undo_opens_them(windowed, shaped):
    assert shaped["open"] > 2 and shaped["shut"] <= 0.3
    assert shaped["undone"] == pytest.approx(shaped["open"], abs=1e-3)


def test_a_mix_is_a_take_and_one_undo_step(windowed, mixed):
    assert mixed["kinds"] == ["SAMPLED"] * 4 + ["MIXED"] and mixed["shown"] == 4
    assert mixed["undone"] == ["SAMPLED"] * 4


def test_frames_are_kept(windowed):
    assert windowed.act("shape_scenarios.keeps", timeout=800)["ranges"] == [[48, 72], [98, 122]]
