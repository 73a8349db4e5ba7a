# SPDX-License-Identifier: GPL-3.0-or-later
"""Report a Problem: what it collects, and that nothing private is in it unless the animator ticks
that."""

import getpass
import os
import re
import socket

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


@pytest.fixture
def private_file(blender, scene, rig, tmp_path):
    """A file in which everything has a name that must not be told."""
    folder = tmp_path / "annabel" / "The UnreleasedFilm Project"
    folder.mkdir(parents=True)
    blender.ops.wm.save_as_mainfile(filepath=str(folder / "quokka shot.blend"))
    scene = blender.context.scene
    rig = head.find(scene)
    rig.mesh.name = "SecretHero Face"
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


def test_what_helps_of_the_engines_log_is_told(blender, private_file, monkeypatch):
    monkeypatch.setattr(
        connection,
        "log",
        lambda: (
            "by annabel\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
            * 50
        ),
    )
    words = section(report_of(blender), "Engine Log")
    assert (
        words[-1] == "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
        and len(words) <= problem_report.LOG_LINES
    )


def test_names_are_told_where_they_are_ticked(blender, private_file):
    scene, folder = private_file
    problem_report.note("Generate Takes", ValueError(f"cannot read {folder}/confidential line.wav"))
    words = report_of(blender, names=True)
    assert (
        f"ValueError: cannot read {folder}/confidential line.wav" in words
        and "with names and paths" in words
    )
    assert words == blender.data.texts[
        "Thunder Report"
    ].as_string() and "confidential" not in report_of(blender)


def test_it_tells_versions_settings_and_where_our_own_code_failed(blender, stage):
    problem_report.last_error.close()
    words = report_of(blender)
    assert (
        "Add-on: 0." in words
        and f"Blender: {blender.app.version_string}" in words
        and "System: " in words
    )
    assert "none in this session" in words and "Head: bundled, 44 channels" in words
    try:
        timing.Clock.of(None, 1)
    except AttributeError as error:
        problem_report.note("Listen", error)
    words = report_of(blender)
    assert 'File "<add-on>/thunder_core/animation/timing.py", line ' in words
    assert "AttributeError: 'NoneType' object has no attribute" in words
    problem_report.last_error.close()


def section(words, title):
    """The lines under a title of a report."""
    return words.split(f"\n{title}\n", 1)[1].split("\n\n", 1)[0].splitlines()


def test_it_lists_what_matters_and_in_words(blender, scene):
    scene.render.fps = 24
    words = report_of(blender)
    assert section(words, "Settings Changed From Their Defaults") == ["none"]
    engine = section(words, "Engine")
    assert engine[0] in (
        "State: The engine is not installed",
        "State: A custom Python environment",
        "State: The engine is installed",
    )
    packages = next(line for line in engine if line.startswith("Packages: "))
    assert packages.count(",") < 4 and len(words.splitlines()) < 45 + problem_report.LOG_LINES
    # what stands before is how others call system and graphics
    ours = words.split("\nSettings Changed", 1)[1].split("Engine Log")[0]
    assert not re.search(r"\b[A-Z]{4,}\b", ours.replace("THUNDER", ""))  # no names of the code's
    (
        scene.thunder.quality,
        scene.thunder.commit.keys,
        scene.thunder.commit.tongue,
        scene.thunder.guidance,
    ) = "FINAL", "DENSE", False, 1.5
    assert section(report_of(blender), "Settings Changed From Their Defaults") == [
        "Quality: Final",
        "Voice Guidance: 1.5",
        "Commit › Keys: Dense Curves",
        "Commit › Tongue: off",
    ]


def test_an_error_of_an_operator_is_the_last_error(blender, stage):
    problem_report.last_error.close()
    with pytest.raises(RuntimeError):
        blender.ops.thunder.generate()
    words = report_of(blender)
    assert "Generate Takes, " in words and "BadSound: There is no sound strip" in words
    problem_report.last_error.close()
