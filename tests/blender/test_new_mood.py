# SPDX-License-Identifier: GPL-3.0-or-later
"""A mood that comes as a file is in the panel; of a broken one a sentence is shown, and it ends a
bake."""

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

DAMAGED = """
import json, pathlib, sys
import bake, bpy
thunder = bake.load_extension()
kept = bpy.context.scene
panel = bpy.types.THUNDER_PT_damaged
print(panel.bl_category, hasattr(kept, "thunder"))
path = pathlib.Path("thunder_core/moods/gloomy.json")
path.write_text(json.dumps(json.loads(path.read_text()) | {"sliders": {}}))
thunder.unregister()
thunder.register()
print(hasattr(bpy.types, "THUNDER_PT_damaged"), kept.thunder.count)
"""


@pytest.fixture
def run_in(tmp_path):
    """Run Python with Blender in a copy of this repository with a mood, with arguments."""

    def run(data, *arguments):
        copy_with(tmp_path, "gloomy", data, "cli", "scene", "operators", "panels")
        for name in ("__init__.py", "bake.py", "blender_manifest.toml"):
            shutil.copy2(ROOT / name, tmp_path / name)
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

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
    done = run_in(of_sad(number=FREE, sliders={"smil": 1}), "-c", DAMAGED)
    assert done.stdout.split("\n")[:2] == ["Thunder False", "False 8"], done.stderr
    assert done.stderr == (
        "Thunder: The mood file “gloomy.json” has an unknown “sliders.smil”: did you mean “smile”?\n"
    )
