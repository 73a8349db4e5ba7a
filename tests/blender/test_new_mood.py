# SPDX-License-Identifier: GPL-3.0-or-later
"""A mood that comes as a file is in the panel; of a broken one a sentence is shown, and it ends a
bake."""

import os
import shutil
import subprocess
import sys

import pytest
from mood_file import copy_with, FREE, of_sad, ROOT

PANEL = """
import bake
bake.load_extension()
from thunder.scene.takes.direction.sliders import ThunderDirection
items = ThunderDirection.bl_rna.properties["mood"].enum_items
print({item.identifier: (item.name, item.value) for item in items})
"""

KEEP = """
import os
import bake, bpy
bake.load_extension()
bpy.context.scene.thunder.count = 3
bpy.ops.wm.save_as_mainfile(filepath="kept.blend")
os._exit(0)  # Blender 4.2 as a module crashes as it ends
"""
DAMAGED = f"""
import json, pathlib, subprocess, sys
import bake, bpy
mood = pathlib.Path("thunder_core/moods/gloomy.json")
damaged = mood.read_text()
mended = json.dumps(json.loads(damaged) | {{"sliders": {{}}}})
mood.write_text(mended)
subprocess.run([sys.executable, "-c", {KEEP!r}], check=True, stdout=subprocess.DEVNULL)
mood.write_text(damaged)
thunder = bake.load_extension()
bpy.ops.wm.open_mainfile(filepath="kept.blend")
there = bpy.types.THUNDER_PT_damaged.bl_category, hasattr(bpy.context.scene, "thunder")
bpy.ops.wm.save_mainfile()
mood.write_text(mended)
thunder.unregister()
thunder.register()
bpy.ops.wm.open_mainfile(filepath="kept.blend")
print(*there, hasattr(bpy.types, "THUNDER_PT_damaged"), bpy.context.scene.thunder.count)
"""


@pytest.fixture
def run_in(tmp_path):
    """Run Python with Blender in a copy of this repository with a mood, with arguments."""

    def run(data, *arguments):
        copy_with(tmp_path, "gloomy", data, "cli", "scene", "operators", "panels")
        for name in ("__init__.py", "bake.py", "blender_manifest.toml"):
            shutil.copy2(ROOT / name, tmp_path / name)
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=os.environ | {"PWD": str(tmp_path)},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


def test_a_new_mood_is_in_the_panel_and_the_others_keep_their_numbers(run_in):
    done = run_in(of_sad(number=FREE, label="Gloomy"), "-c", PANEL)
    assert "'gloomy': ('Gloomy', 999)" in done.stdout, done.stderr
    assert "'sad': ('Sad', 3)" in done.stdout and "'as heard': ('As Heard', 12)" in done.stdout


def test_a_broken_mood_ends_a_bake_with_a_sentence(run_in):
    done = run_in(of_sad(number=FREE, sliders={"smil": 1}), "bake.py", "--", "--help")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == (
        "bake.py: The mood file “gloomy.json” has an unknown “sliders.smil”: did you mean “smile”?\n"
    )


def test_of_a_broken_mood_blender_shows_a_sentence_until_it_is_mended(run_in):
    """And files that were saved meanwhile keep what Thunder stores in them."""
    done = run_in(of_sad(number=FREE, sliders={"smil": 1}), "-c", DAMAGED)
    assert "Thunder False False 3\n" in done.stdout, done.stderr
    assert done.stderr == (
        "Thunder: The mood file “gloomy.json” has an unknown “sliders.smil”: did you mean “smile”?\n"
    )
