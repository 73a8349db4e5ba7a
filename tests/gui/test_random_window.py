# SPDX-License-Identifier: GPL-3.0-or-later
"""Random use: whatever an animator presses, and whenever, Blender lives and nothing of theirs is
lost."""

import os

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(3600)]

# Seeds of the long sessions: THUNDER_RANDOM_SEEDS names others.
SEEDS = [int(word) for word in os.environ.get("THUNDER_RANDOM_SEEDS", "1 2 3").split()]


def check(real_blender, seed: int, actions: int) -> None:
    """Act a session and look at what is left of it."""
    os.environ["THUNDER_RANDOM"] = f"{seed} {actions}"
    seen = real_blender.act("random_scenarios.lives", timeout=60 + 12 * actions)
    assert sum(seen["counts"].values()) == actions
    assert seen["bugs"] == []
    assert "Traceback" not in seen["log"], seen["log"][-3000:]


def test_twenty_random_actions_lose_nothing(windowed):
    check(windowed, 1, 20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_random_session_loses_nothing(windowed, seed):
    check(windowed, seed, 200)
