# SPDX-License-Identifier: GPL-3.0-or-later
"""A mood that comes as a file is in the panel; of a broken one a sentence is shown, and the rest
works; so it is with other files that come with Thunder."""

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

DAMAGED = """
import bake, bpy
bake.load_extension()
from thunder.panels.sidebar import notes
from thunder.scene.heads import head
from thunder.scene.takes.direction.sliders import ThunderDirection
bpy.ops.thunder.add_head()
moods = ThunderDirection.bl_rna.properties["mood"].enum_items.keys()
print("sad" in moods, "gloomy" in moods, head.find(bpy.context.scene).mesh.name)
print(notes(bpy.context))
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


SENTENCE = "The mood file “gloomy.json” has an unknown “sliders.smil”: did you mean “smile”?"


def test_a_bake_in_a_broken_mood_ends_with_what_is_wrong_with_it(run_in):
    broken = of_sad(number=FREE, sliders={"smil": 1})
    options = ("--audio", "a.wav", "--out", "out", "--mood", "gloomy=.5")
    done = run_in(broken, "bake.py", "--", *options)
    assert done.returncode == 2 and f"“gloomy=.5” cannot be used: {SENTENCE}" in done.stderr


def test_of_a_broken_mood_blender_says_a_sentence_and_the_rest_works(run_in):
    done = run_in(of_sad(number=FREE, sliders={"smil": 1}), "-c", DAMAGED)
    assert f"True False Thunder Head\n['{SENTENCE}. Thunder has started without it']" in done.stdout
    assert done.stderr == f"Thunder: {SENTENCE}. Thunder has started without it\n"


@pytest.mark.parametrize(
    "file", ["habits.json", "emotions.json", "face/reading/conventions/arkit.json"]
)
def test_of_other_files_that_are_damaged_the_rest_works(run_in, tmp_path, file):
    """Of the names of a convention a character's face is known by others; of habits the engine
    alone says a sentence."""
    code = f"import pathlib; pathlib.Path('thunder_core', {file!r}).write_text('[1]')\n{DAMAGED}"
    done = run_in(of_sad(number=FREE), "-c", code)
    assert "True True Thunder Head\n" in done.stdout, done.stderr
