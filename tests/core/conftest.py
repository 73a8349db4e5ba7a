# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that tests of the core share."""

import pytest


@pytest.fixture(scope="session")
def engine():
    """The shipped weights on the processor, loaded once: no test leaves it changed."""
    from thunder_core.engine.engine import Engine

    return Engine.load(device="cpu")
