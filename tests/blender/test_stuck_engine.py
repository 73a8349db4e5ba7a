# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender stays usable beside an engine that hangs or sends what makes no sense, and names what
does not exist at once."""

import os
import sys
import time

import bpy
import pytest
from thunder.scene.engine import connection as connection_module
from thunder.scene.heads import head
from thunder.scene.host import jobs
from thunder.scene.takes import generation, provenance
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import errors, protocol, worker_process
from timing import keeps, until

pytestmark = [
    pytest.mark.one_blender,
    pytest.mark.skipif(os.name == "nt", reason="the engines are POSIX scripts"),
]

ENGINE = """#!{python}
import json, os, sys, time
def say(**event): print(json.dumps(event), flush=True)
say(id=None, event="ready", protocol={protocol})
work = json.loads(sys.stdin.readline())
{code}
"""


@pytest.fixture
def connection():
    connection_module.stop()
    yield connection_module
    connection_module.stop()


@pytest.fixture
def begin(voiced, connection, tmp_path, monkeypatch):
    """Starts generating with an engine that does what a piece of Python says; gives the client and
    the operators' work."""
    monkeypatch.setattr(worker_process.WorkerProcess, "patience", 0.2)
    scene = voiced

    def start(code):
        program = tmp_path / "python"
        program.write_text(
            ENGINE.format(python=sys.executable, protocol=protocol.PROTOCOL, code=code)
        )
        program.chmod(0o755)
        client = connection.client(str(program))
        rig, strip = head.find(scene), strip_module.find(bpy.context)
        steps = generation.generate(client, strip, scene, rig, 2, 1, provenance.Sampling())
        return client, jobs.begin("Generating takes", steps)

    yield start
    jobs.end()
    connection.stop()


def test_cancel_frees_the_window_at_once_and_the_stuck_engine_is_replaced(blender, begin):
    client, work = begin(
        "say(id=work['id'], event='progress', fraction=0.3, message='At work')\ntime.sleep(600)\n"
    )
    until(lambda: work.advance() or work.step.message == "At work")
    stuck = client.pid
    work.asked_to_stop = True
    started = time.monotonic()
    with pytest.raises(errors.Cancelled):
        work.advance()
    keeps(0.1, time.monotonic() - started, "Cancel in the window, of an engine that hangs")
    until(lambda: not client.running)
    keeps(2.0, time.monotonic() - started, "the end of an engine that hangs")
    client.start()
    assert client.running and client.pid != stuck
    assert not len(blender.context.scene.thunder.takes)
