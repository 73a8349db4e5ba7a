# SPDX-License-Identifier: GPL-3.0-or-later
"""`bake.py check`: what it prints of files, with which code it ends, and the pictures of the
worst."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from running_engine import committed, connection, stop_engine  # noqa: F401
from thunder.cli import check
from thunder.scene.heads import head
from thunder.scene.host import compat

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files(needs_sound, blender, committed, tmp_path):  # noqa: F811
    """A file whose lips fit the voice, and one with an open jaw: (path, path)."""
    paths = str(tmp_path / "good.blend"), str(tmp_path / "bad.blend")
    shutil.copy(committed, paths[0])
    blender.ops.wm.open_mainfile(filepath=paths[0])
    curves = [
        curve
        for target in head.find(blender.context.scene).targets
        for curve in compat.curves_for(target)
    ]
    jaw = next(curve for curve in curves if "jaw" in curve.data_path and curve.array_index == 0)
    for point in jaw.keyframe_points:
        point.co[1] += 0.12 * (30 <= point.co[0] <= 60)
    jaw.update()
    blender.ops.wm.save_as_mainfile(filepath=paths[1])
    return paths


def run(capfd, *arguments):
    """(exit code, what a check prints)."""
    code = check.check(check.options([*arguments]))
    return code, capfd.readouterr().out


def test_files_are_checked_as_text_json_and_junit_the_worst_are_drawn_and_all_stay_as_they_are(
    files, tmp_path, capfd
):
    (good, bad), before = files, [Path(path).read_bytes() for path in files]
    code, said = run(capfd, good)
    assert (code, said.splitlines()[-1]) == (0, f"{good}: line: no problems")
    code, said = run(capfd, bad, "--pictures", str(tmp_path / "pictures"))
    assert code == check.FOUND and f"{bad}: line: " in said and "mm apart" in said
    assert (tmp_path / "pictures" / "problem_1.png").stat().st_size > 10_000
    code, said = run(capfd, good, bad, "--format", "json")
    lines = json.loads(said[said.index("{") :])["lines"]
    assert [bool(line["problems"]) for line in lines] == [False, True]
    assert lines[1]["problems"][0]["kind"] == "open" and lines[1]["problems"][0]["frames"][0] > 1
    code, said = run(capfd, good, bad, "missing.blend", "--format", "junit")
    suite = ElementTree.fromstring(said[said.index("<testsuite") :])
    assert code == check.FAILED
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert [Path(path).read_bytes() for path in files] == before


def test_a_file_without_a_line_says_so(blender, connection, tmp_path, capfd):  # noqa: F811
    path = str(tmp_path / "empty.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    code, said = run(capfd, path)
    assert (
        code == check.FAILED
        and "has no sound strip that somebody speaks: add the voice to its sequencer" in said
    )


def test_bake_knows_the_command():
    done = subprocess.run(
        [sys.executable, str(ROOT / "bake.py"), "check", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and "--tolerance {realistic,cartoony,snappy}" in done.stdout
