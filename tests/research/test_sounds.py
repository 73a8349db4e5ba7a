# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips by sound, and who moves first, are read off curves as they were made."""

import numpy as np
import pytest

from research.faces.lip_clips import Phone
from research.sounds import held_still, instances, lag, Mouth, sound_figures
from thunder_core.filters import gaussian

PHONES = [
    Phone("AA", 0.4, 0.8, "a"), Phone("M", 0.8, 0.86, "m"), Phone("AA", 0.86, 1.4, "a"),
    Phone("W", 1.4, 1.5, "w"), Phone("IY", 1.5, 2.0, "e"), Phone("T", 2.0, 2.1, "t"),
    Phone("UW", 2.1, 2.4, "u"), Phone("AA", 2.4, 2.8, "a"),
]  # fmt: skip


def mouth(**at):
    """A mouth that is open by 8 mm and 50 wide, but for some frames: name → (frame, mm)."""
    opening, width = np.full(80, 8.0), np.full(80, 50.0)
    for frame, gap in at.get("opening", ()):
        opening[frame] = gap
    for frame, wide in at.get("width", ()):
        width[frame] = wide
    return Mouth(opening, width, *np.zeros((3, 80)))


def figures(**at):
    made = sound_figures({"clip": mouth(**at)}, {"clip": instances(PHONES, 80)})
    return {what: float(figure.split()[0]) for what, figure in made.items()}


def test_closures_gaps_and_rounding_are_counted_where_they_are():
    none = figures()
    assert none["m, b, p closed, ≤ 80 ms"] == none["w shut"] == none["other vowels shut"] == 0
    made = figures(opening=[(20, 0.2), (36, 1.2), (56, 0.1), (65, 0.0)], width=[(56, 40.0)])
    assert made["m, b, p closed, ≤ 80 ms"] == made["w with a gap of .5 to 2 mm"] == 1
    assert made["u shut"] == 1 and made["w shut"] == 0
    assert made["other vowels shut"] == 0.5, "two of four are beside an m"
    assert made["u rounded after sh, t, n …, deviations"] > 3


@pytest.mark.parametrize("late", [-1, 0, 2])
def test_a_curve_that_is_later_is_said_to_be(late):
    moved = gaussian(np.random.default_rng(0).standard_normal(400), 2.0)
    together, by = lag(np.roll(moved, late), moved)
    assert by == pytest.approx(late, abs=0.15) and (together > 0.95) == (late == 0)


def test_a_head_that_turns_and_nods_is_held_still():
    rng = np.random.default_rng(1)
    face = rng.standard_normal((478, 3))
    turned = []
    for angle in np.linspace(-0.4, 0.4, 9):
        c, s = np.cos(angle), np.sin(angle)
        turned.append(face @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) + [angle, 1, 0])
    still = held_still(np.array(turned))
    assert np.abs(still - still[0]).max() < 1e-9
