# SPDX-License-Identifier: GPL-3.0-or-later
"""A panel that could generate takes has the engine started in a quiet moment, once, where the preferences allow it."""

import time
from types import SimpleNamespace

import pytest
from running_engine import connection, stop_engine  # noqa: F401
from thunder.scene.engine import early
from thunder.scene.host import idle
from thunder.thunder_core.errors import NoEngine

pytestmark = pytest.mark.one_blender


@pytest.fixture
def preferred(blender, connection, monkeypatch):  # noqa: F811
    """The add-on's preferences, to be changed; nothing was started before, nor is after the test."""
    early._early.close()
    chosen = SimpleNamespace(starts_early=True, engine_python="", weights="", device="CPU")
    monkeypatch.setattr(connection, "preferences", lambda: chosen)
    monkeypatch.setattr(early, "_WAIT", 0.0)
    yield chosen
    early._early.close()
    connection.stop()


def quiet(seconds, until=lambda: False):
    """Let the timer be called for so long, or until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        idle.tick()
        time.sleep(0.01)


def test_the_engine_is_ready_before_anybody_asks(preferred, connection):  # noqa: F811
    early.start_soon()
    early.start_soon()  # a panel is drawn many times
    assert not connection.client().running, "drawing starts nothing"
    quiet(120, until=lambda: connection.running_engine() is not None)
    assert connection.running_engine()["engine"] == "thunder" and connection.client().running
    pid = connection.client().pid
    early.start_soon()
    quiet(0.1)
    assert connection.client().pid == pid


def test_nothing_is_started_against_the_preferences(preferred, connection):  # noqa: F811
    preferred.starts_early = False
    early.start_soon()
    quiet(0.1)
    assert not connection.client().running


def test_an_engine_that_fails_is_asked_once_and_silently(preferred, connection, monkeypatch):  # noqa: F811
    asked = []

    def none():
        asked.append(1)
        raise NoEngine("There is none: install it")

    monkeypatch.setattr(connection, "client", none)
    for _ in range(3):
        early.start_soon()
        quiet(0.05)
    assert asked == [1]
