# SPDX-License-Identifier: GPL-3.0-or-later
"""At a real window somebody speaks into a microphone: strips lie where it was spoken, and takes
follow at once."""

import pytest
from timing import keeps

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def spoken(real_blender):
    return real_blender.act("record_scenarios.records", timeout=800)


def test_a_line_lies_where_it_was_spoken_and_is_the_voice(windowed, spoken):
    name, channel, first, last, path, muted, packed = spoken["strips"][0]
    assert (name, channel, first, path, muted, packed) == (
        "shot_voice_01",
        1,
        40,
        "//shot_voice_01.wav",
        False,
        False,
    )
    assert 40 + 4 * 25 <= last <= 200 and spoken["chosen"] == name and spoken["frame"] == 40
    assert -1 <= spoken["behind"][0] <= 2, "the sound is a frame or more off the picture"


def test_the_settings_show_the_microphones(windowed, spoken):
    assert spoken["microphones"] == ["Booth", "Desk"] and "Traceback" not in spoken["log"]


def test_takes_follow_at_once(windowed, spoken):
    assert [take[:2] for take in spoken["takes"]] == [["shot_voice_01", 40]] * 2
    keeps(1.0, spoken["first_take"], "the first take after a line of four seconds")


def test_esc_in_the_countdown_leaves_nothing(windowed, spoken):
    assert spoken["after_esc"] == [1, ["shot_voice_01.wav"]]


def test_a_punch_in_lies_in_its_range_above_what_it_mutes_and_undo_takes_it_away(windowed, spoken):
    assert [each[:4] for each in spoken["punched"]] == [
        [*spoken["strips"][0][:4]],
        ["shot_voice_02", 2, 60, 100],
    ]
    assert [each[5] for each in spoken["punched"]] == [True, False]
    assert spoken["undone"] == spoken["strips"] and "shot_voice_02.wav" in spoken["wavs"]
