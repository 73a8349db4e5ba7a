# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engine, left running from test to test of a module, and a scene with a voice for it."""

import importlib
from pathlib import Path

import pytest
from thunder.scene.engine import connection as connection_module
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import engine_python, errors

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = str(ROOT / "assets" / "sample.wav")


@pytest.fixture
def connection():
    """The engine connection, left running from test to test; skips where no engine is installed."""
    try:
        engine_python.find_engine_python()
    except errors.NoEngine as error:
        pytest.skip(f"no engine to ask: {error}")
    return connection_module


@pytest.fixture(scope="module", autouse=True)
def stop_engine():
    yield
    importlib.import_module("bl_ext.user_default.thunder.scene.engine.connection").stop()


@pytest.fixture
def scene(blender, connection):
    """A scene with the bundled head, two takes to be made."""
    blender.ops.thunder.add_head()
    scene = blender.context.scene
    scene.thunder.count, scene.thunder.seed = 2, 11
    return scene


def speak(scene, path=SAMPLE, start=1):
    """Give the scene a voice: a strip where this Blender has sound, the file itself where it has none."""
    if strip_module.has_audio():
        return strip_module.add(scene, path, "line", start)
    scene.frame_start = start
    scene.thunder.source, scene.thunder.sound_file = "FILE", path
    return None
