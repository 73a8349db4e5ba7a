# SPDX-License-Identifier: GPL-3.0-or-later
"""A few of the kills that `make faults` does by the hundred: what a killed process leaves
behind."""

from pathlib import Path

import kills
import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    not Path("/proc").is_dir(), reason="processes are looked up as Linux lists them"
)
@pytest.mark.parametrize(
    "of, count", [("worker", 4), ("bake", 3), ("batch", 2), ("installer", 3), ("blender", 4)]
)
def test_killed_at_random_moments(of, count):
    if of in ("bake", "batch", "blender"):
        try:
            kills.blender_python()
        except SystemExit as missing:
            pytest.skip(str(missing))
    (tally,) = kills.campaign(count, 7, [of]).values()
    assert tally.kills >= 1 and tally.wrong == []
