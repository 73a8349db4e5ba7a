# SPDX-License-Identifier: GPL-3.0-or-later
"""Report a Problem: what it collects, and that nothing private is in it unless the animator ticks
that."""

import getpass
import os
import re
import socket
from types import SimpleNamespace

import pytest
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.review import problem_report
from thunder.scene.takes import transcript
from thunder.thunder_core.animation import timing

pytestmark = pytest.mark.one_blender

PRIVATE = (
    "SecretHero",
    "Zorbax",
    "confidential",
    "UnreleasedFilm",
    "annabel",
    "whispered",
    "murdermystery",
    "quokka",
)


def test_the_state_of_an_engine_that_another_python_runs_is_told(monkeypatch):
    monkeypatch.delenv("THUNDER_PYTHON", raising=False)
    for packaged, python, state in (
        (False, None, "The engine is not installed"),
        (False, "/opt/python", "A Python that the add-on did not install"),
        (True, "/opt/python", "The engine is included"),
    ):
        monkeypatch.setattr(connection, "is_packaged", lambda packaged=packaged: packaged)
        monkeypatch.setattr(connection, "current_python", lambda python=python: (python, ""))
        assert f"State: {state}\n" in problem_report.engine()


def test_an_engine_that_was_stopped_has_left_its_last_words(monkeypatch):
    engine = SimpleNamespace(stop=lambda: None, log="the last words")
    monkeypatch.setattr(connection._engine, "client", engine)
    monkeypatch.setattr(connection._engine, "log", "older ones")
    connection.stop()
    assert connection._engine.client is None and connection.log() == "the last words"


@pytest.fixture
def private_file(blender, scene, rig, tmp_path):
    """A file in which everything has a name that must not be told."""
    folder = tmp_path / "annabel" / "The UnreleasedFilm Project"
    folder.mkdir(parents=True)
    blender.ops.wm.save_as_mainfile(filepath=str(folder / "quokka shot.blend"))
    scene = blender.context.scene
    head.find(scene).mesh.name = "SecretHero Face"
    blender.data.objects.new("Zorbax", None)
    scene.name = "murdermystery"
    scene.thunder.source, scene.thunder.sound_file = "FILE", str(folder / "confidential line.wav")
    transcript.ensure(scene, "confidential line").text = "whispered words"
    entry = scene.thunder.takes.add()
    entry.name, entry.voice, entry.note = "annabel likes it", "confidential line", "ask annabel"
    yield scene, folder
    problem_report.last_error.close()


def report_of(blender, **how):
    assert blender.ops.thunder.report_problem(**how) == {"FINISHED"}
    return blender.data.texts["Thunder Report"].as_string()


LEAKS = (  # tests/core/test_redaction.py has many more
    "The strip “confidential line” is muted: unmute it or choose another voice",
    "object SecretHero Face, of Zorbax, in murdermystery: [Errno 2] No such file or directory: "
    "'{folder}/other whispered thing.wav'",
    'File "{folder}/annabel tools/quokka.py", line 3, in load',
)


@pytest.mark.parametrize("leak", LEAKS)
def test_nothing_private_is_told(blender, private_file, monkeypatch, leak):
    scene, folder = private_file
    problem_report.note("Generate Takes", RuntimeError(leak.format(folder=folder)))
    monkeypatch.setattr(
        connection,
        "log",
        lambda: f"reading {folder}/confidential line.wav by {getpass.getuser()}x\n" * 50,
    )
    words = report_of(blender)
    assert "Generate Takes" in words and "RuntimeError" in words
    for name in (
        *PRIVATE,
        str(folder),
        os.path.expanduser("~"),
        socket.gethostname(),
        getpass.getuser() + "x",
    ):
        # as a word: a host may be “vm”
        assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words, re.I), (
            f"{name} in:\n{words}"
        )


def test_it_tells_versions_settings_and_where_our_own_code_failed(blender, stage):
    problem_report.last_error.close()
    words = report_of(blender)
    assert (
        "Add-on: 0." in words
        and f"Blender: {blender.app.version_string}" in words
        and "System: " in words
    )
    assert (
        "none in this session" in words and f"Head: {len(head.channel_names())} channels" in words
    )
    try:
        timing.Clock.of(None, 1)
    except AttributeError as error:
        problem_report.note("Listen", error)
    words = report_of(blender)
    assert 'File "<add-on>/thunder_core/animation/timing.py", line ' in words
    assert "AttributeError: 'NoneType' object has no attribute" in words
    problem_report.last_error.close()


def test_an_error_of_an_operator_is_the_last_error(blender, stage):
    problem_report.last_error.close()
    with pytest.raises(RuntimeError):
        blender.ops.thunder.generate()
    words = report_of(blender)
    assert "Generate Takes, " in words and "BadSound: There is no sound strip" in words
    problem_report.last_error.close()
