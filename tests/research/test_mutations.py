# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutations are drawn from every group that is named, and shares have the interval that they should."""

import pytest

from research.harness import ROOT
from research.mutations import group_of, GROUPS, interval, mutable_files

FILES = [path.relative_to(ROOT).as_posix() for path in mutable_files()]


def test_every_group_has_files():
    """Also every alternative of a group's pattern: a file that was renamed is not silently drawn as
    something else."""
    assert {group_of(file) for file in FILES} == set(GROUPS)
    assert group_of("thunder_core/engine/diffusion.py") == "sampler"
    assert group_of("thunder_core/engine/engine.py") == "sampler"
    assert group_of("research/train/loop.py") == "losses"
    assert group_of("research/train/teacher.py") == "train"
    assert group_of("thunder_core/engine/scorer.py") == "scoring"
    assert group_of("thunder_core/types.py") == "other"


@pytest.mark.parametrize("noticed, total, low", [(12, 14, 0.65), (24, 30, 0.66), (52, 63, 0.73)])
def test_an_interval_holds_nine_tenths_of_what_may_be(noticed, total, low):
    assert interval(noticed, total)[0] == pytest.approx(low, abs=0.005)
    for end, side in zip(interval(noticed, total), (-1, 1)):
        # the score test: at either end the share is 1.645 deviations away
        off = noticed / total - end
        assert -side * off == pytest.approx(1.645 * (end * (1 - end) / total) ** 0.5, rel=1e-3)
    assert interval(0, 0) == (0, 1) and interval(5, 5)[1] == pytest.approx(1)
