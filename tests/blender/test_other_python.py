# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python or an environment that the preferences name is accepted, and it is the one that runs the
engine."""

import os

import pytest
from running_engine import connection, stop_engine  # noqa: F401
from thunder.thunder_core import engine_python

ONE = pytest.mark.one_blender


@pytest.fixture
def environment(connection, tmp_path):
    """The folder of an environment whose Python is the engine's and leaves a mark when it is
    run."""
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    real = engine_python.find_engine_python()
    python.write_text(f'#!/bin/sh\ntouch "{tmp_path}/was_run"\nexec "{real}" "$@"\n')
    python.chmod(0o755)
    connection.stop()
    yield tmp_path / "env"
    connection.preferences().engine_python = ""
    connection.stop()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the Python")
@pytest.mark.parametrize(
    "named",
    [
        pytest.param("{}", id="environment", marks=ONE),
        pytest.param("{}/bin/python", id="executable", marks=ONE),
        pytest.param("//env", id="beside the file"),
    ],
)
def test_the_python_that_is_named_runs_the_engine(blender, connection, environment, named):
    if named.startswith("//") and blender.app.version >= (5, 0):
        pytest.skip("from 5.0 on Blender offers no path beside the file here")
    blender.ops.wm.save_as_mainfile(filepath=str(environment.parent / "shot.blend"))
    connection.preferences().engine_python = named.format(environment)
    assert connection.current_python() == (str(environment / "bin" / "python"), "")
    assert blender.ops.thunder.check_engine() == {"FINISHED"}
    assert connection.running_engine()["device"] and (environment.parent / "was_run").exists()
