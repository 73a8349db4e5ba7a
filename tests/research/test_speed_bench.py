# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of speed says what was not measured and what misses its bar, and its page has the last run."""

from research import speed


def test_the_table_says_what_was_not_measured_and_what_misses_its_bar():
    lines = speed.table({"machine": "a machine", "one_take_over_torch": 1.5, "takes8_over_torch": 1.25, "keying_seconds": 0.4})
    label = "the same, over the engine in torch"
    assert lines[0].startswith("a machine") and "\n".join(lines).count("not measured") == len(speed.BARS) - 3
    assert f"| {label} | 1.5 × | ≤ 1.15 ×: missed |" in lines and f"| {label} | 1.25 × | ≤ 1.3 × |" in lines
    assert "| keying eight takes of a minute | 0.4 s | ≤ 0.5 s |" in lines
    assert "<!-- figures -->" in speed.PAGE.read_text(encoding="utf-8")
