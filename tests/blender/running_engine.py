# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engine, left running from test to test of a module, and a scene with a voice for it."""

import importlib
from pathlib import Path

import bpy
import pytest
from thunder.scene.engine import connection as connection_module
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import engine_python, errors

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = str(ROOT / "assets" / "sample.wav")


def find_or_skip():
    try:
        engine_python.find_engine_python()
    except errors.NoEngine as error:
        pytest.skip(f"no engine to ask: {error}")


@pytest.fixture
def connection():
    """The engine connection, left running from test to test; skips where no engine is installed."""
    find_or_skip()
    return connection_module


@pytest.fixture(scope="module", autouse=True)
def stop_engine():
    yield
    importlib.import_module("bl_ext.user_default.thunder.scene.engine.connection").stop()


@pytest.fixture
def scene(stage, connection):
    """A scene with the bundled head, two takes to be made."""
    settings = stage[0].thunder
    settings.count, settings.seed = 2, 11
    return stage[0]


def speak(scene, path=SAMPLE, start=1):
    """Give the scene a voice: a strip where this Blender has sound, the file itself where it has
    none."""
    if strip_module.has_audio():
        return strip_module.add(scene, path, "line", start)
    scene.frame_start = start
    scene.thunder.source, scene.thunder.sound_file = "FILE", path
    return None


@pytest.fixture(scope="module")
def committed(stop_engine, tmp_path_factory):
    """A file with the bundled head, the sample as its voice and a committed take of it: made once,
    its path."""
    find_or_skip()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.thunder.add_head()
    settings = bpy.context.scene.thunder
    settings.count, settings.seed = 1, 12
    speak(bpy.context.scene)
    assert bpy.ops.thunder.generate() == bpy.ops.thunder.commit_take() == {"FINISHED"}
    path = str(tmp_path_factory.mktemp("committed") / "good.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path
