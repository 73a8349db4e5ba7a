# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that tests of the core share."""

import tempfile

import numpy as np
import pytest


@pytest.fixture(scope="session")
def engine():
    """The shipped weights on the processor, loaded once: no test leaves it changed."""
    from thunder_core.engine.engine import Engine

    return Engine.load(device="cpu")


@pytest.fixture
def put(tmp_path):
    """Write an array where the engine's process reads it; its path."""

    def write(values):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, values)
        return str(path)

    return write


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files of this process and of those that it starts, empty."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def sample():
    """The shipped sample of a voice."""
    from thunder_core.engine.speech.audio import read_sound
    from thunder_core.shipped import SAMPLE

    return read_sound(SAMPLE)
