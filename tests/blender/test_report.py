# SPDX-License-Identifier: GPL-3.0-or-later
"""Report a Problem: what it collects, and that nothing private is in it."""

import json
import re

import pytest
from thunder.scene.engine import connection, install
from thunder.scene.heads import head
from thunder.scene.review import problem_report
from thunder.scene.takes import transcript
from thunder.thunder_core.animation import timing
from thunder.thunder_core.errors import BadSound

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


class AnnabelError(RuntimeError):
    """A class of somebody else."""


def test_nothing_private_is_told(blender, private_file, monkeypatch):
    scene, folder = private_file
    message = f"object SecretHero Face of Zorbax: cannot read '{folder}/confidential line.wav'"
    place = str(folder / "quokka.py")
    code = compile(f"def whispered(error):\n    raise error({message!r})", place, "exec")
    exec(code, names := {"__name__": "annabel.tools"})
    with pytest.raises(AnnabelError) as caught:
        names["whispered"](AnnabelError)
    problem_report.note("Generate Takes", caught.value)
    monkeypatch.setattr(install.installing, "error", message)
    words = report_of(blender)
    assert "Generate Takes, " in words and "\nRuntimeError\nThe installation failed\n" in words
    for name in (*PRIVATE, str(folder)):
        assert name.lower() not in words.lower(), f"{name} in:\n{words}"


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
    assert re.search(
        r"\nAttributeError\n  thunder_core/animation/timing\.py, line \d+, in of\n", words
    )
    problem_report.last_error.close()


def test_the_error_behind_an_error_is_told(blender, stage):
    try:
        try:
            json.loads("annabel")
        except ValueError as error:
            raise BadSound("annabel is no sound") from error
    except BadSound as error:
        problem_report.note("Listen", error)
    assert "\nBadSound\nValueError\n" in report_of(blender)
    problem_report.last_error.close()


def test_an_error_of_an_operator_is_the_last_error(blender, stage):
    problem_report.last_error.close()
    with pytest.raises(RuntimeError):
        blender.ops.thunder.generate()
    words = report_of(blender)
    assert "Generate Takes, " in words
    assert re.search(r"\nBadSound\n(  .*\n)*  scene/voice/strip\.py, line \d+, in ", words)
    problem_report.last_error.close()
