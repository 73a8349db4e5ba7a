# SPDX-License-Identifier: GPL-3.0-or-later
"""Every line of the page for scripts does what it says, with the real engine; and the tooltips of
operators say enough for who reads nothing else."""

import os
import re
import shutil
import subprocess

import pytest
from running_engine import connection, ROOT, SAMPLE, stop_engine  # noqa: F401
from thunder.scene.voice import strip
from thunder.thunder_core import engine_python
from thunder.thunder_core.shipped import SAMPLE_TEXT

PAGE = (ROOT / "docs" / "reference" / "scripting.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


@pytest.mark.one_blender
@pytest.mark.skipif(os.name == "nt", reason="the package is a link here")
def test_every_line_of_the_page_for_scripts_runs(blender, connection, tmp_path, monkeypatch):
    if not strip.has_audio():
        pytest.skip("this Blender has no sound strips")
    monkeypatch.chdir(tmp_path)
    shutil.copy(SAMPLE, "line.wav")
    (tmp_path / "line.txt").write_text(SAMPLE_TEXT, "utf-8")
    in_blender, without, back = BLOCKS
    names = {}
    exec(compile(in_blender, "scripting.md", "exec"), names)
    settings = blender.context.scene.thunder
    committed = settings.head.data.shape_keys.animation_data.action
    assert committed is not None and committed != settings.takes[0].action
    assert len(settings.takes) == 2 and os.path.getsize("line.glb") > 10_000
    (tmp_path / "thunder_takes").symlink_to(ROOT / "thunder_core", target_is_directory=True)
    done = subprocess.run(
        [engine_python.find_engine_python(), "-c", without],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.match(r"\d+(\.\d+)? (good|check|poor)", done.stdout)
    exec(compile(back, "scripting.md", "exec"), names)
    assert len(settings.takes) == 3
    assert settings.head.data.shape_keys.animation_data.action not in (None, committed)


def test_the_page_for_scripts_is_short():
    assert len(PAGE.split()) <= 350


def test_tooltips_of_operators_say_what_they_do_with_what():
    """A verb first, and a sentence that is more than the label again."""
    import bpy

    for name in dir(bpy.ops.thunder):
        kind = getattr(bpy.ops.thunder, name).get_rna_type()
        words = kind.description.split()
        assert len(words) >= 4 and kind.description[0].isupper(), (name, kind.description)
        assert kind.description != kind.name, name
        for prop in kind.properties:
            if not prop.is_hidden and prop.identifier != "rna_type":
                assert prop.description or prop.identifier == "check_existing", (
                    name, prop.identifier,
                )  # fmt: skip
