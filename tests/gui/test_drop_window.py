# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are dropped on a head or beside it, in a real window."""


def test_a_sound_dropped_on_a_head_becomes_its_line_and_a_capture_its_take(windowed):
    seen = windowed.act("drop_scenarios.drops")
    assert seen["line"] == [["sample", True]] and seen["chosen"] and not seen["started"]
    name, kind, score, is_its_own = seen["capture"]
    # it was cut half a second: out of sync it has 8
    assert (name, kind, is_its_own) == ("Slate_4", "CAPTURED", True) and score > 60
